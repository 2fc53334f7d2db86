"""How long single operators take, beside ONNX Runtime.

    operators.py [--only lstm,gelu] [--threads 1] [--rounds 15] [--bound 1.2]

Each is a network of one operator, or of the nodes that exporters write for it, whose result is summed up, so that what
comes out is small; those of images follow a convolution of three channels, so that they meet the layout of
networks. The two runtimes take turns, and processor time counts, that of all threads; a ratio is the median over the
rounds of the ratio in the same round: below 1 is faster. What a call from Python costs is in it. Errors are relative,
between the two. The run fails where a ratio is above `--bound`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import contestants
import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def draw(*shape):
    return (RANDOM.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)


def chain(*nodes):
    """Nodes (operation, inputs, attributes): "x" is what is fed, a number or array a constant, `...` the result before,
    an integer that of the node of this number."""

    def build(shape):
        made, constants = [], []
        for i, (operation, inputs, attributes) in enumerate(nodes):
            names = []
            for value in inputs:
                if isinstance(value, str):
                    names.append(value)
                elif value is ...:
                    names.append(f"v{i - 1}")
                elif isinstance(value, int):
                    names.append(f"v{value}")
                else:
                    names.append(f"c{len(constants)}")
                    kind = value.dtype if isinstance(value, np.ndarray) else np.float32
                    constants.append(numpy_helper.from_array(np.asarray(value, kind), names[-1]))
            made.append(helper.make_node(operation, names, [f"v{i}"], **attributes))
        made.append(helper.make_node("ReduceMean", [f"v{len(nodes) - 1}"], ["y"], keepdims=0))
        graph = helper.make_graph(
            made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    return build


def recurrent(operation, gates, hidden, features):
    weights = [draw(1, gates * hidden, size) for size in (features, hidden)]
    return chain((operation, ["x", *weights, draw(1, 2 * gates * hidden)], {"hidden_size": hidden}))


def image(channels, side, *nodes):
    first = ("Conv", ["x", draw(channels, 3, 1, 1), draw(channels)], {})
    return chain(first, *nodes), [1, 3, side, side]


def depthwise(channels, side, kernel):
    weights = [draw(channels, 1, kernel, kernel), draw(channels)]
    return image(channels, side, ("Conv", [..., *weights], {"group": channels, "pads": [kernel // 2] * 4}))


def activation(*nodes):
    return chain(*nodes), [1, 96, 56, 56]


LAYER_NORM = [
    ("ReduceMean", ["x"], {"axes": [-1]}), ("Sub", ["x", 0], {}), ("Pow", [1, 2.0], {}),
    ("ReduceMean", [2], {"axes": [-1]}), ("Add", [3, 1e-6], {}), ("Sqrt", [4], {}), ("Div", [1, 5], {}),
    ("Mul", [6, draw(384)], {}), ("Add", [7, draw(384)], {})]
DOUBLED = np.array([1, 1, 2, 2], np.float32)
CASES = {
    "lstm": (recurrent("LSTM", 4, 256, 128), [50, 1, 128]),
    "lstm of 8": (recurrent("LSTM", 4, 256, 128), [50, 8, 128]),
    "gru": (recurrent("GRU", 3, 256, 128), [50, 1, 128]),
    "gru of 8": (recurrent("GRU", 3, 256, 128), [50, 8, 128]),
    "erf": activation(("Erf", ["x"], {})),
    "silu": activation(("Sigmoid", ["x"], {}), ("Mul", ["x", ...], {})),
    "gelu": activation(
        ("Div", ["x", 2**0.5], {}), ("Erf", [...], {}), ("Add", [..., 1.0], {}), ("Mul", ["x", ...], {}),
        ("Mul", [..., 0.5], {})),
    "gelu by tanh": activation(
        ("Pow", ["x", 3.0], {}), ("Mul", [..., 0.044715], {}), ("Add", ["x", ...], {}),
        ("Mul", [..., (2 / np.pi) ** 0.5], {}), ("Tanh", [...], {}), ("Add", [..., 1.0], {}), ("Mul", ["x", ...], {}),
        ("Mul", [..., 0.5], {})),
    "hard swish": activation(("HardSwish", ["x"], {})),
    "layer norm": (
        chain(("LayerNormalization", ["x", draw(384), draw(384)], {"axis": -1})), [1, 784, 384]),
    "layer norm in nine nodes": (chain(*LAYER_NORM), [1, 784, 384]),
    "resize nearest 2": image(64, 56, ("Resize", [..., "", DOUBLED], {"mode": "nearest"})),
    "resize linear 2": image(64, 56, ("Resize", [..., "", DOUBLED], {"mode": "linear"})),
    "convtranspose 2x2": image(128, 56, ("ConvTranspose", [..., draw(128, 64, 2, 2), draw(64)], {"strides": [2, 2]})),
    "depthwise 3x3": depthwise(144, 56, 3),
    "depthwise 5x5": depthwise(240, 28, 5),
    "depthwise 7x7": depthwise(384, 14, 7),
    "stem 7x7": (
        chain(("Conv", ["x", draw(64, 3, 7, 7), draw(64)], {"strides": [2, 2], "pads": [3] * 4})), [1, 3, 224, 224]),
    "fully connected": (chain(("Gemm", ["x", draw(4096, 9216), draw(4096)], {"transB": 1})), [1, 9216]),
}


def limpid(path, threads):
    import limpid

    model = limpid.Model(path, threads=threads)
    return lambda x: model.run({"x": x})["y"]


def lap(run, x):
    start = time.process_time()
    run(x)
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bound", type=float, default=1.2)
    arguments = parser.parse_args()
    wanted = [word for word in arguments.only.split(",") if word]
    slow = []
    print(f"{'operator':26} {'limpid ms':>10} {'ort ms':>10} {'ratio':>6}  error")
    with tempfile.TemporaryDirectory() as folder:
        for name, (build, shape) in CASES.items():
            if wanted and not any(word in name for word in wanted):
                continue
            path = Path(folder) / "model.onnx"
            path.write_bytes(build(shape).SerializeToString())
            x = RANDOM.standard_normal(shape).astype(np.float32)
            runs = [limpid(path, arguments.threads), contestants.onnxruntime(path, arguments.threads, 1)]
            mine, theirs = (np.asarray(run(x)) for run in runs)
            rounds = [[median(lap(run, x) for _ in range(3)) for run in runs] for _ in range(arguments.rounds)]
            ratio = median(a / b for a, b in rounds)
            a, b = (1e3 * median(column) for column in zip(*rounds))
            error = abs(float(mine) - float(theirs)) / (abs(float(theirs)) + 1e-9)
            print(f"{name:26} {a:10.3f} {b:10.3f} {ratio:6.2f}  {error:.0e}", flush=True)
            if ratio > arguments.bound:
                slow.append(name)
    if slow:
        print(f"above {arguments.bound}: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
