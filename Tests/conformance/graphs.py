"""Exports image classifiers by both exporters of PyTorch and compares Limpid with ONNX Runtime on them.

    scripts/conformance                        all architectures; writes docs/conformance.md
    scripts/conformance timm/deit_tiny_patch16_224 …     these ones; the table keeps what it has of the others

A result is the relative error ||limpid - onnxruntime|| / ||onnxruntime|| of the logits, the greater of that for one
picture and that for two. Each export runs in a process of its own, so that its memory is given back.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / ".build" / "conformance.json"
TABLE = ROOT / "docs" / "conformance.md"
EXPORTERS = ("torchscript", "dynamo")
TOLERANCE = 1e-4


def export(name, exporter, path):
    """Writes the ONNX file; returns its input [1, 3, side, side]."""
    import torch
    from architectures import create

    model, side = create(name)
    x = torch.randn(1, 3, side, side)
    if exporter == "dynamo":
        batch = ({0: torch.export.Dim.DYNAMIC},)
        # A batch of one would be taken for a constant.
        torch.onnx.export(model, (torch.cat([x, x]),), path, dynamo=True, dynamic_shapes=batch, external_data=False,
                          input_names=["x"], output_names=["y"])
    else:
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    return x.numpy()


def compare(name, exporter):
    import numpy as np
    import onnx
    import onnxruntime

    sys.path.insert(0, str(ROOT / "bindings" / "python"))
    os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))
    import limpid

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        x = export(name, exporter, path)
        proto = onnx.load(path, load_external_data=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        model = limpid.Model(path)
        pair = np.concatenate([x, np.random.default_rng(1).standard_normal(x.shape, np.float32)])
        expected = np.concatenate([session.run(["y"], {"x": one[None]})[0] for one in pair])
        single, double = model.run({"x": x})["y"], model.fetch(pair, "y")["y"]
        error = max(relative_error(single, expected[:1]), relative_error(double, expected))
    return {"opset": max(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")),
            "nodes": len(proto.graph.node), "side": x.shape[-1], "error": error}


def relative_error(found, expected):
    import numpy as np

    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def attempt(name, exporter):
    """The result of `compare` in another process, or {"failure": its last line}."""
    command = [sys.executable, __file__, "--one", name, exporter]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    except subprocess.TimeoutExpired:
        return {"failure": "took more than 20 minutes"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return {"failure": lines[-1].strip()[:200] if lines else f"ended with {done.returncode}"}


def passes(result):
    return result.get("error", float("inf")) <= TOLERANCE


def write_table(results):
    """`results`: {name: {exporter: result}}."""
    flat = [result for exporters in results.values() for result in exporters.values()]
    lines = [
        "# Conformance: real graphs", "",
        "Image classifiers of torchvision and timm, exported by both exporters of PyTorch (TorchScript: "
        "`dynamo=False`,", "dynamo: `dynamo=True`), with random weights. The error is ||y − r|| / ||r|| of the logits "
        "against ONNX Runtime on the", "same file, the greater of that for one picture and that for a batch of two. "
        f"Bound: {TOLERANCE:g}. Made by `make conformance`.", "",
        f"{sum(map(passes, flat))} of {len(flat)} graphs are within the bound.", "",
        "| model | input | exporter | opset | nodes | relative error |", "|---|---|---|---|---|---|"]
    for name in sorted(results):
        for exporter, r in sorted(results[name].items(), reverse=True):
            error = r.get("failure") or f"{r['error']:.1e}" + ("" if passes(r) else " **beyond the bound**")
            side = f"{r['side']}×{r['side']}" if "side" in r else ""
            lines.append(f"| {name} | {side} | {exporter} | {r.get('opset', '')} | {r.get('nodes', '')} | {error} |")
    TABLE.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exporter", choices=EXPORTERS, help="only this one")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(compare(*arguments.one)))
        return 0
    from architectures import SIDES

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failures = 0
    for name in arguments.names or SIDES:
        for exporter in [arguments.exporter] if arguments.exporter else EXPORTERS:
            result = attempt(name, exporter)
            failures += not passes(result)
            print(f"{name:45} {exporter:12}", result.get("failure") or f"{result['error']:.1e}", flush=True)
            results.setdefault(name, {})[exporter] = result
            RESULTS.write_text(json.dumps(results, indent=1))
            write_table(results)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
