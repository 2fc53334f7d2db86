"""Grad-CAM with no layer named, on what both exporters of PyTorch write, against pytorch-grad-cam at the same layer.

    scripts/conformance explained [NAME …]     architectures as in architectures.py; writes docs/explained.md

The layer that Limpid chooses is looked for among the outputs of the PyTorch modules: the last that holds the same
numbers, channels first, channels last, or as tokens. pytorch-grad-cam then explains the same class, the predicted one, at
that module. The difference is that of the maps at the size of the input, in 0…1. Where no module gives the value (the
network computes it in its own code), there is nothing to compare with, and the row says so.

The last column is what the way that Python offers makes of the same file: onnx2torch, whose result pytorch-grad-cam could
explain. "equal" if it converts the file and gives the network's logits.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import graphs
from graphs import EXPORTERS, ROOT, attempt, export

RESULTS = ROOT / ".build" / "explained.json"
TABLE = ROOT / "docs" / "explained.md"
TOLERANCE = 1e-3


def explain(name, exporter):
    import numpy as np
    import torch
    from architectures import create

    import limpid

    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            x = export(name, exporter, path)
        except Exception as error:
            raise graphs.ExporterRefuses(f"{type(error).__name__}: {error}") from error
        ours = limpid.Model(path)
        layer = ours.layers[0] if ours.layers else None
        found = ours.explain(x, "grad-cam", compat="grad-cam")[0]
        value = ours.fetch(x, layer)[layer][0]
        torch.manual_seed(0)
        model, _ = create(name)
        converted = convert(path, model, torch.from_numpy(x))
    result = {
        "layer": layer, "grid": list(found.grid.shape), "degenerate": found.degenerate, "onnx2torch": converted}
    module, arrange = same_module(model, torch.from_numpy(x), value, found.grid.shape)
    if module is None:
        return {**result, "failure": "no module gives this value"}
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=model, target_layers=[module], reshape_transform=arrange) as cam:
        expected = cam(torch.from_numpy(x), targets=[ClassifierOutputTarget(found.class_index)])[0]
    return {**result, "error": float(np.abs(found.map - expected).max())}


def convert(path, model, x):
    """What onnx2torch makes of the file: "equal", or the kind of its failure."""
    import onnx
    import torch
    from onnx2torch import convert

    try:
        with torch.no_grad():
            found, expected = convert(onnx.load(path))(x), model(x)
        return "equal" if torch.allclose(found, expected, rtol=1e-3, atol=1e-3) else "other numbers"
    except Exception as error:
        return f"no: {type(error).__name__}"


def same_module(model, x, value, grid):
    """The last module whose output is `value`, and how its output becomes [N, C, h, w]."""
    import numpy as np
    import torch

    outputs = []
    hooks = [
        m.register_forward_hook(lambda m, _, y: outputs.append((m, y.detach().clone())) if torch.is_tensor(y) else None)
        for m in model.modules()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    rows, columns = grid
    for module, y in reversed(outputs):
        y = y[0].numpy() if len(y) == 1 else None
        if y is None or y.ndim < 2 or y.size != value.size:
            continue
        for permuted in permutations(y, value):
            if permuted is not None and np.allclose(permuted, value, rtol=1e-3, atol=1e-3 * np.abs(value).max()):
                return module, transform(y.shape, rows, columns)
    return None, None


def permutations(y, value):
    if y.shape == value.shape:
        yield y
    if y.ndim == 3 and value.ndim == 3:
        for order in ((1, 2, 0), (2, 0, 1)):
            if y.transpose(order).shape == value.shape:
                yield y.transpose(order)
    yield y.reshape(value.shape) if y.size == value.size else None


def transform(shape, rows, columns):
    if len(shape) == 3 and shape[1:] == (rows, columns):
        return None
    if len(shape) == 3:
        return lambda t: t.permute(0, 3, 1, 2)
    if shape[0] >= rows * columns:
        before = shape[0] - rows * columns
        return lambda t: t[:, before:].reshape(len(t), rows, columns, -1).permute(0, 3, 1, 2)
    return lambda t: t.reshape(len(t), -1, rows, columns)


def write_table(results):
    flat = [r for exporters in results.values() for r in exporters.values()]
    mapped = [r for r in flat if "grid" in r]
    equal = [r for r in flat if r.get("error", 1) <= TOLERANCE]
    converted = [r for r in flat if r.get("onnx2torch") == "equal"]
    lines = [
        "# Grad-CAM on what exporters write", "",
        "`limpid explain MODEL IMAGE` with no layer and no method named, on the architectures of",
        "[conformance](conformance.md), against pytorch-grad-cam at the PyTorch module that gives the same value. The",
        f"difference is the largest of the maps in 0…1; bound {TOLERANCE:g}. Made by `scripts/conformance explained`.", "",
        f"{len(mapped)} of {len(flat)} exports get a map; {len(equal)} are compared and within the bound. onnx2torch, the way",
        f"to pytorch-grad-cam from the same files, converts {len(converted)} of them to the same logits.", "",
        "| model | exporter | layer | grid | difference | onnx2torch |", "|---|---|---|---|---|---|"]
    for name in sorted(results):
        for exporter, r in sorted(results[name].items(), reverse=True):
            grid = "×".join(map(str, r["grid"])) if "grid" in r else ""
            text = r.get("failure") or f"{r['error']:.1e}" + ("" if r["error"] <= TOLERANCE else " **beyond the bound**")
            lines.append(
                f"| {name} | {exporter} | `{r.get('layer', '')}` | {grid} | {text} | {r.get('onnx2torch', '')} |")
    TABLE.write_text("\n".join(lines) + "\n")


def main():
    from architectures import SIDES

    sys.path.insert(0, str(ROOT / "bindings" / "python"))
    graphs.compare = explain  # what `attempt` runs in a process of its own
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failures = 0
    for name in sys.argv[1:] or SIDES:
        for exporter in EXPORTERS:
            result = attempt(name, exporter)
            failures += "grid" not in result or result.get("error", 0) > TOLERANCE
            print(f"{name:45} {exporter:12}", result.get("failure") or f"{result['error']:.1e}", result.get("layer"),
                  flush=True)
            results.setdefault(name, {})[exporter] = result
            RESULTS.write_text(json.dumps(results, indent=1))
            write_table(results)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
