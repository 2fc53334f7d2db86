"""Small models for metrics whose fixtures were computed on formulas, as ONNX bytes."""

import numpy as np
from checkpoints import stand_in
from onnx import TensorProto, checker, helper, numpy_helper


def model(nodes, weights, shape, outputs, metadata=None):
    """Input "x" [N, *shape]; outputs {name: shape of one image}."""
    graph = helper.make_graph(
        nodes, "metrics", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *extents]) for name, extents in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata or {})
    checker.check_model(made)
    return made.SerializeToString()


def linear(weights, shape, bias=None):
    """logits = flattened x · weightsᵀ + bias"""
    bias = np.zeros(len(weights), np.float32) if bias is None else bias
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w", "b"], ["logits"], transB=1)]
    return model(nodes, {"w": weights, "b": bias}, shape, {"logits": [len(weights)]})


def probabilities(shape, preprocess=None):
    """The input itself, as probabilities of classes."""
    classes = int(np.prod(shape))
    metadata = {"limpid.output.p": "probabilities"}
    if preprocess:
        metadata["limpid.preprocess"] = preprocess
    return model([helper.make_node("Flatten", ["x"], ["p"])], {}, shape, {"p": [classes]}, metadata)


def toy(side, pool, classes, maps=False):
    """The toy classifier of SCOUTER's cases: average pooling, two layers; perhaps maps that move with the image."""
    inner = 3 * (side // pool) ** 2
    weights = {
        "w1": stand_in("toy.fc1.weight", (64, inner)), "b1": stand_in("toy.fc1.bias", (64,)),
        "w2": 6 * stand_in("toy.fc2.weight", (classes, 64)), "b2": 6 * stand_in("toy.fc2.bias", (classes,)),
    }
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[pool, pool], strides=[pool, pool]),
        helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("Gemm", ["f", "w1", "b1"], ["h1"], transB=1),
        helper.make_node("Relu", ["h1"], ["h"]), helper.make_node("Gemm", ["h", "w2", "b2"], ["logits"], transB=1),
    ]
    outputs, metadata = {"logits": [classes]}, {}
    if maps:
        weights["wm"] = stand_in("toy.map.weight", (classes, 3)).reshape(classes, 3, 1, 1)
        nodes += [
            helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Conv", ["small", "wm"], ["attention"]),
        ]
        outputs["attention"] = [classes, side // 2, side // 2]
        metadata = {
            "limpid.family": "scouter", "limpid.output.attention": "attention", "limpid.output.logits": "logits",
            "limpid.explain.scouter.output": "attention",
        }
    return model(nodes, weights, [3, side, side], outputs, metadata)
