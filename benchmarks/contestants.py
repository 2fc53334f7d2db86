"""The runtimes that are compared: each takes a model file and a number of threads, and gives a function from a
float32 tensor [n, 3, height, width] to the logits. Imports happen inside, so that a runtime that is not installed is
left out, and one that is not asked for takes no memory."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))
sys.path.insert(0, str(ROOT / "bindings" / "python"))


def limpid(path, threads):
    import limpid

    model = limpid.Model(path, threads=threads)
    feed, output = model.inputs[0], model.outputs[0]
    return lambda x: model.run({feed: x}, [output])[output]


def onnxruntime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0].name
    return lambda x: session.run(None, {feed: x})[0]


def openvino(path, threads):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: next(iter(request.infer({0: x}).values()))


CONTESTANTS = {f.__name__: f for f in (limpid, onnxruntime, openvino) if find_spec(f.__name__)}
