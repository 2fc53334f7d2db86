"""Shapes that pick other paths through the kernels, against ONNX Runtime or sums in double precision."""

import limpid
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

WINDOWS = [  # kernel, strides, dilations, pads
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    ((7, 7), (1, 1), (1, 1), (3, 3, 3, 3)),
    ((1, 7), (1, 1), (1, 1), (0, 3, 0, 3)),
    ((7, 1), (1, 1), (1, 1), (3, 0, 3, 0)),
    ((2, 3), (1, 1), (1, 1), (0, 2, 1, 0)),
    ((3, 3), (2, 1), (1, 1), (1, 1, 1, 1)),
    ((3, 3), (1, 2), (1, 1), (1, 1, 1, 1)),
    ((3, 5), (1, 1), (2, 1), (2, 2, 2, 2)),
    ((3, 5), (1, 1), (1, 2), (1, 4, 1, 4)),
    ((5, 5), (1, 1), (1, 1), (8, 8, 8, 8)),
    ((1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    ((3, 3), (2, 1), (3, 1), (0, 6, 9, 0)),
]


def draw(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def model(nodes, shape, constants):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


@pytest.mark.parametrize("channels", [2, 16, 19, 70])
@pytest.mark.parametrize("extent", [(9, 9), (7, 14), (12, 5), (8, 31)])
@pytest.mark.parametrize("window", WINDOWS)
def test_depthwise(window, extent, channels):
    kernel, strides, dilations, pads = window
    random = np.random.default_rng(5)
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["y"], group=channels, strides=strides, dilations=dilations, pads=pads)
    shape = (3, channels, *extent)
    data = model([node], shape, {"w": draw(random, channels, 1, *kernel), "b": draw(random, channels)})
    x = draw(random, *shape)
    expected = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with limpid.Model(data, threads=2) as network:
        found = network.run({"x": x})["y"]
        parts = [network.run({"x": x[i : i + 1]})["y"] for i in range(3)]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2e-6 * np.prod(kernel)
    assert np.array_equal(found, np.concatenate(parts))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(("depth", "columns"), [(1, 1), (15, 3), (16, 4), (100, 9), (1000, 33)])
def test_fully_connected(rows, depth, columns):
    random = np.random.default_rng(6)
    w, b = draw(random, columns, depth), draw(random, columns)
    data = model([helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)], (rows, depth), {"w": w, "b": b})
    x = draw(random, rows, depth)
    expected = x.astype(np.float64) @ w.astype(np.float64).T + b
    with limpid.Model(data) as network:
        found = network.run({"x": x})["y"]
        parts = [network.run({"x": x[i : i + 1]})["y"] for i in range(rows)]
    assert np.abs(found - expected).max() < 3e-7 * depth**0.5 * 8
    assert np.array_equal(found, np.concatenate(parts))


@pytest.mark.parametrize("operation", ["GlobalAveragePool", "ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1"])
def test_means_over_large_maps_do_not_drift(operation):
    # Behind a convolution the pixels lie channels last, so that a sum goes down the columns.
    nodes = [helper.make_node("Conv", ["x", "w"], ["v"])]
    constants = {"w": np.eye(20, dtype=np.float32).reshape(20, 20, 1, 1), "axes": np.array([2, 3])}
    if operation == "ReduceSum":
        nodes.append(helper.make_node(operation, ["v", "axes"], ["y"]))
    else:
        attributes = {} if operation == "GlobalAveragePool" else {"axes": [2, 3]}
        nodes.append(helper.make_node(operation, ["v"], ["y"], **attributes))
    data = model(nodes, (1, 20, 200, 200), constants)
    x = np.random.default_rng(7).uniform(0.1, 1.1, (1, 20, 200, 200)).astype(np.float32)
    wide = x.astype(np.float64)
    expected = {
        "GlobalAveragePool": wide.mean((2, 3)), "ReduceMean": wide.mean((2, 3)), "ReduceSum": wide.sum((2, 3)),
        "ReduceSumSquare": (wide**2).sum((2, 3)), "ReduceL1": wide.sum((2, 3))}[operation]
    with limpid.Model(data) as network:
        found = network.run({"x": x})["y"].reshape(1, 20)
    assert np.abs(found / expected - 1).max() < 2e-6


@pytest.mark.parametrize("operator, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("hidden", [16, 37, 256, 300])
def test_a_sequence_has_the_bits_that_it_has_alone(operator, gates, hidden):
    random = np.random.default_rng(hidden)
    weights = {"w": draw(random, 1, gates * hidden, 20) / 5, "r": draw(random, 1, gates * hidden, hidden) / 10,
               "b": draw(random, 1, 2 * gates * hidden)}
    for late in (0, 1) if operator == "GRU" else (0,):
        attributes = {"linear_before_reset": late} if operator == "GRU" else {}
        node = helper.make_node(operator, ["x", "w", "r", "b"], ["y"], hidden_size=hidden, **attributes)
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [7, "n", 20])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in weights.items()])
        file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
        x = draw(random, 7, 9, 20)
        expected = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        with limpid.Model(file) as loaded:
            together = loaded.run({"x": x})["y"]
            np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)
            for i in range(9):
                np.testing.assert_array_equal(loaded.run({"x": x[:, i:i + 1]})["y"], together[:, :, i:i + 1])


@pytest.mark.parametrize("depth, columns", [(20, 600), (300, 1000), (1000, 128), (5, 129), (700, 257)])
def test_one_row_of_a_product_has_the_bits_of_several(depth, columns):
    random = np.random.default_rng(depth)
    w, x = draw(random, depth, columns), draw(random, 9, depth)
    with limpid.Model(model([helper.make_node("MatMul", ["x", "w"], ["y"])], [1, depth], {"w": w})) as loaded:
        together = loaded.run({"x": x})["y"]
        np.testing.assert_allclose(together, x.astype(np.float64) @ w, rtol=0, atol=1e-3)
        for i in range(9):
            np.testing.assert_array_equal(loaded.run({"x": x[i:i + 1]})["y"][0], together[i])


def test_resizing_two_axes_by_several_threads():
    random = np.random.default_rng(3)
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    file = model([node], [1, 3, 13, 11], {"s": np.array([1, 1, 1.7, 2.3], np.float32)})
    x = draw(random, 2, 3, 13, 11)
    expected = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with limpid.Model(file) as loaded:
        one, three = (loaded.run({"x": x}, threads=threads)["y"] for threads in (1, 3))
    np.testing.assert_allclose(one, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(one, three)
