"""The runtimes that are compared: each takes a model file, a number of threads and a batch, and gives a function from a
float32 tensor [n, 3, height, width] to the logits. Imports happen inside, so that a runtime that is not installed is
left out, and one that is not asked for takes no memory. All compute in float32."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))
sys.path.insert(0, str(ROOT / "bindings" / "python"))


class Unable(Exception):
    """A runtime that cannot run this model, or this batch."""


def limpid(path, threads, batch):
    import limpid

    model = limpid.Model(path, threads=threads)
    output = model.outputs[0]
    return lambda x: model.fetch(x, [output], batch_size=batch)[output]


def onnxruntime(path, threads, batch):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0].name
    return lambda x: session.run(None, {feed: x})[0]


def openvino(path, threads, batch):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    model = core.read_model(str(path))
    model.reshape([batch, 3, 224, 224])
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda x: next(iter(request.infer({0: x}).values()))


def converted(path, suffix, *command):
    """The model in another runtime's format, made once, beside its link in a folder where converters may litter."""
    link = path.parent / "converted" / path.name
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(path.resolve())
    target = link.with_suffix(suffix)
    if not target.exists():
        tool = Path(sys.executable).with_name(command[0])
        if not tool.exists():
            raise Unable(f"there is no {command[0]}")
        words = [str(word).replace("MODEL", str(link)).replace("TARGET", str(target)) for word in command[1:]]
        done = subprocess.run([tool, *words], capture_output=True, timeout=600)
        if not target.exists():
            raise Unable(f"{command[0]} made nothing: {done.stderr[-100:]!r}")
    return target


def mnn(path, threads, batch):
    import numpy as np
    from MNN import expr, nn

    file = converted(
        path, ".mnn", "mnnconvert", "-f", "ONNX", "--modelFile", "MODEL", "--MNNModel", "TARGET", "--bizCode", "bench")
    runtime = nn.create_runtime_manager(({"precision": "high", "backend": 0, "numThread": threads},))
    network = nn.load_module_from_file(str(file), ["x"], ["y"], runtime_manager=runtime)

    def run(x):
        value = expr.placeholder(list(x.shape), expr.NCHW)
        value.write(x)
        return np.array(network.forward([value])[0].read()).reshape(len(x), -1)

    return run


def ncnn(path, threads, batch):
    import ncnn
    import numpy as np

    if batch > 1:
        raise Unable("it takes one image at a time")
    file = converted(path, ".ncnn.param", "pnnx", "MODEL", "inputshape=[1,3,224,224]", "fp16=0")
    network = ncnn.Net()
    network.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(network.opt, option, False)
    if network.load_param(str(file)) or network.load_model(str(file.with_suffix(".bin"))):
        raise Unable("it cannot load what it converted")

    def run(x):
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(x[0]))
        return np.array(extractor.extract("out0")[1]).reshape(1, -1)

    return run


MODULES = {limpid: "limpid", onnxruntime: "onnxruntime", openvino: "openvino", mnn: "MNN", ncnn: "ncnn"}
CONTESTANTS = {make.__name__: make for make, module in MODULES.items() if find_spec(module)}
