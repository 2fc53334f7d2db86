"""Makes filters.onnx: a LaViSE model of 4 filters whose names anyone can check by eye.

Filters 0 to 2 are the means of red, green and blue in cells of 4×4, filter 3 is always 0. The explainer passes on what it
reads, so the word nearest to what a filter sees is the colour of that place: red, green, blue, or for two of them purple.

    python make_filters.py        (needs NumPy and onnx)
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "purple": (1, 0, 1)}
PARAMETERS = {"features": "features", "pooled": "pooled", "embedding": "embedding", "head": "gap",
              "vocabulary": "vocabulary", "words": "vocabulary.words"}


def build():
    average = np.zeros((4, 3, 4, 4), np.float32)
    for channel in range(3):
        average[channel, channel] = 2 / 16
    weights = {"average": average, "head": np.eye(3, 4, dtype=np.float32),
               "vocabulary": np.array(list(WORDS.values()), np.float32),
               "vocabulary.words": np.frombuffer("\n".join(WORDS).encode(), np.uint8)}
    nodes = [
        helper.make_node("Conv", ["input", "average"], ["features"], strides=[4, 4]),
        helper.make_node("ReduceMean", ["features"], ["pooled"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["pooled", "head"], ["embedding"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "filters",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4, 8, 8]),
         helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(w, name) for name, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="make_filters")
    helper.set_model_props(model, {
        "limpid.format": "1", "limpid.family": "lavise", "limpid.preprocess": "resize exact 32 32 bilinear\nscale 1/255",
        "limpid.output.features": "features", "limpid.output.embedding": "embeddings",
        "limpid.source": "made by Tests/Fixtures/onnx/make_filters.py\nlicence Apache-2.0",
        **{f"limpid.explain.lavise.{name}": value for name, value in PARAMETERS.items()}})
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    save(build(), Path(__file__).with_name("filters.onnx"))
