"""Exports image classifiers by both exporters of PyTorch and compares Limpid with ONNX Runtime on them.

    scripts/conformance                        all architectures; writes docs/conformance.md
    scripts/conformance timm/deit_tiny_patch16_224 …     these ones; the table keeps what it has of the others

A result is the relative error ||limpid - onnxruntime|| / ||onnxruntime|| of the logits, the greater of that for one
picture and that for two. Each export runs in a process of its own, so that its memory is given
back.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / ".build" / "conformance.json"
TABLE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- made by Tests/conformance/graphs.py -->", "<!-- end -->"
EXPORTERS = ("torchscript", "dynamo")
TOLERANCE = 1e-4


class ExporterRefuses(Exception):
    """PyTorch, not Limpid, is why there is no result."""


def export(name, exporter, path):
    """Writes the ONNX file of an architecture; returns its input [1, 3, side, side]."""
    from architectures import create

    return export_model(*create(name), exporter, path)


def export_model(model, side, exporter, path):
    """The same of any model, from an input "x" of any number of pictures to an output "y"."""
    import torch

    names = {"input_names": ["x"], "output_names": ["y"]}
    x = torch.randn(1, 3, side, side)
    if exporter == "dynamo":
        # A batch of one would be taken for a constant.
        torch.onnx.export(
            model, (torch.cat([x, x]),), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False, **names)
    else:
        torch.onnx.export(
            model, (x,), path, dynamo=False, opset_version=17, dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, **names)
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
        try:
            x = export(name, exporter, path)
        except Exception as error:
            raise ExporterRefuses(f"{type(error).__name__}: {error}") from error
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
    """The result of `compare` in a process of its own, or {"failure": why there is none}."""
    context = multiprocessing.get_context("fork")  # which does not import torch again
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=report, args=(sender, name, exporter))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(1200) else {"failure": "took more than 20 minutes"}
    except EOFError:
        process.join()
        return {"failure": f"the process ended with {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def report(sender, name, exporter):
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        try:
            result = compare(name, exporter)
        except Exception as error:
            lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines() or [""]
            result = {"failure": f"{type(error).__name__}: {lines[0][:200]}"}
    sender.send(result)


def passes(result):
    return result.get("error", float("inf")) <= TOLERANCE


def write_table(results):
    """Puts the table, and how many pass, between the marks of the page. `results`: {name: {exporter: result}}."""
    flat = [result for exporters in results.values() for result in exporters.values()]
    worst = max((result["error"] for result in flat if passes(result)), default=0)
    lines = [
        f"{sum(map(passes, flat))} of {len(flat)} exports of {len(results)} architectures are within the bound; the "
        f"greatest error of these is {worst:.1e}.", "",
        "| model | input | exporter | opset | nodes | relative error |", "|---|---|---|---|---|---|"]
    for name in sorted(results):
        for exporter, r in sorted(results[name].items(), reverse=True):
            error = r.get("failure") or f"{r['error']:.1e}" + ("" if passes(r) else " **beyond the bound**")
            side = f"{r['side']}×{r['side']}" if "side" in r else ""
            lines.append(f"| {name} | {side} | {exporter} | {r.get('opset', '')} | {r.get('nodes', '')} | {error} |")
    page = TABLE.read_text()
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    TABLE.write_text(page[:start] + "\n\n" + "\n".join(lines) + "\n\n" + page[end:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exporter", choices=EXPORTERS, help="only this one")
    arguments = parser.parse_args()
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
