"""Makes colours.onnx: a model of 3 classes, red, green and blue, whose maps anyone can check by eye; and
colours-128.onnx, the same for pictures [N, 3, 128, 128].

A picture [N, 3, 32, 32] is averaged in cells of 4×4; the evidence for a colour is its channel minus the
mean of the other two, the attention is its sigmoid, and the logits are the means of the evidence.

    python make_colours.py        (needs NumPy and onnx)
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

CELL = 4
METADATA = {
    "limpid.format": "1",
    "limpid.family": "scouter",
    "limpid.preprocess": "resize exact {side} {side} bilinear\nscale 1/255",
    "limpid.labels": "red\ngreen\nblue",
    "limpid.output.logits": "logits",
    "limpid.output.attention": "attention",
    "limpid.explain.scouter.output": "attention",
    "limpid.explain.scouter.slots_per_class": "1",
    "limpid.explain.scouter.sign": "positive",
    "limpid.layers": "features nchw",
    "limpid.source": "made by Tests/Fixtures/onnx/make_colours.py\nlicence Apache-2.0",
}


def constant(name, array):
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def build(side):
    average = np.zeros((3, 3, CELL, CELL), np.float32)
    for channel in range(3):
        average[channel, channel] = 8.0 / CELL**2
    contrast = np.where(np.eye(3) == 1, 1.0, -0.5).astype(np.float32).reshape(3, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["input", "average"], ["means"], strides=[CELL, CELL]),
        helper.make_node("Relu", ["means"], ["features"]),
        helper.make_node("Conv", ["features", "contrast"], ["evidence"]),
        helper.make_node("Sigmoid", ["evidence"], ["attention"]),
        helper.make_node("GlobalAveragePool", ["evidence"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "colours",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
         helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["N", 3, side // CELL, side // CELL])],
        [constant("average", average), constant("contrast", contrast)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="make_colours")
    helper.set_model_props(model, {key: value.format(side=side) for key, value in METADATA.items()})
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    save(build(32), Path(__file__).with_name("colours.onnx"))
    save(build(128), Path(__file__).with_name("colours-128.onnx"))
