"""Writes a network of VGG-16's shape and size, 553 MB with random weights: make_vgg16.py FILE.onnx"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = (64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None)


def build():
    random = np.random.default_rng(0)
    nodes, weights = [], []

    def layer(operator, value, shape, **attributes):
        fan_in = int(np.prod(shape[1:]))
        name = f"layer{len(weights)}"
        weight = random.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        weights.append(numpy_helper.from_array(weight, f"{name}.weight"))
        weights.append(numpy_helper.from_array(np.zeros(shape[0], np.float32), f"{name}.bias"))
        nodes.append(helper.make_node(
            operator, [value, f"{name}.weight", f"{name}.bias"], [name], name=name, **attributes))
        return name

    def relu(value):
        nodes.append(helper.make_node("Relu", [value], [f"{value}.relu"]))
        return f"{value}.relu"

    value, depth = "input", 3
    for channels in CHANNELS:
        if channels is None:
            nodes.append(helper.make_node("MaxPool", [value], [f"{value}.pool"], kernel_shape=[2, 2], strides=[2, 2]))
            value = f"{value}.pool"
        else:
            value, depth = relu(layer("Conv", value, (channels, depth, 3, 3), pads=[1, 1, 1, 1])), channels
    nodes.append(helper.make_node("Flatten", [value], ["flat"]))
    value = relu(layer("Gemm", "flat", (4096, 512 * 7 * 7), transB=1))
    value = relu(layer("Gemm", value, (4096, 4096), transB=1))
    layer("Gemm", value, (1000, 4096), transB=1)
    nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        nodes, "vgg16", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1000])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    onnx.save(build(), sys.argv[1])
