"""Operators that are written in others when a file is read, against ONNX Runtime on the same file.

Quantised results may differ by a step where a sum lies between two; everything else agrees within 1e-5 of its largest.
"""

import limpid
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
MICROSOFT = {"domain": "com.microsoft"}
RNG = np.random.default_rng(0)


def normal(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def whole(low, high, *shape, dtype=np.int8):
    return RNG.integers(low, high, shape, endpoint=True).astype(dtype)


def model(nodes, x, tensors, opset=17, outputs=("y",), types=FLOAT):
    names = [f"x{i}" if i else "x" for i in range(len(x))]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in zip(names, x)]
    results = [helper.make_tensor_value_info(name, types, None) for name in outputs]
    graph = helper.make_graph(
        nodes, "g", inputs, results, [numpy_helper.from_array(np.asarray(a), n) for n, a in tensors.items()])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8), dict(zip(names, x))


def compare(proto, feeds, step=0.0, tolerance=1e-5):
    data = proto.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)
    with limpid.Model(data) as loaded:
        found = loaded.run(feeds)
    for output, want in zip(proto.graph.output, expected):
        got = found[output.name]
        assert got.dtype == want.dtype and got.shape == want.shape
        error = np.abs(got.astype(np.float64) - want)
        if step:
            # One step apart, and that rarely.
            assert error.max() <= step * 1.001 and (error > step / 2).mean() < 0.05
        else:
            assert error.max() <= tolerance * max(1e-30, np.abs(want).max())


def scale(value):
    return np.float32(value)


# MARK: Quantised operators of ONNX Runtime


QUANTIZED = {"xs": scale(0.03), "xz": np.uint8(120), "bs": scale(0.02), "bz": np.uint8(100), "ys": scale(0.05),
             "yz": np.uint8(110)}


def quantized(nodes, *shape, tensors=(), before=()):
    x = normal(*shape)
    quantize = helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"])
    dequantize = helper.make_node("DequantizeLinear", ["r", "ys", "yz"], ["y"])
    return model([quantize, *before, *nodes, dequantize], [x], {**QUANTIZED, **dict(tensors)})


def ms(operation, inputs, outputs=("r",), **attributes):
    return helper.make_node(operation, list(inputs), list(outputs), **MICROSOFT, **attributes)


SINGLE = ["q", "xs", "xz", "ys", "yz"]
CASES = {
    "QLinearAdd": lambda: quantized([ms("QLinearAdd", ["q", "xs", "xz", "b", "bs", "bz", "ys", "yz"])], 2, 3, 5, 4,
                                    tensors={"b": whole(0, 255, 3, 1, 4, dtype=np.uint8)}),
    "QLinearMul": lambda: quantized([ms("QLinearMul", ["q", "xs", "xz", "b", "bs", "bz", "ys", "yz"])], 2, 3, 5, 4,
                                    tensors={"b": whole(0, 255, 4, dtype=np.uint8)}),
    "QLinearSigmoid": lambda: quantized([ms("QLinearSigmoid", SINGLE)], 2, 3, 5),
    "QLinearLeakyRelu": lambda: quantized([ms("QLinearLeakyRelu", SINGLE, alpha=0.2)], 2, 3, 5),
    "QLinearAveragePool": lambda: quantized(
        [ms("QLinearAveragePool", SINGLE, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])], 2, 3, 9, 8),
    "QLinearAveragePool, channels last": lambda: quantized(
        [ms("QLinearAveragePool", SINGLE, kernel_shape=[2, 2], channels_last=1)], 2, 9, 8, 3),
    "QLinearGlobalAveragePool": lambda: quantized(
        [ms("QLinearGlobalAveragePool", SINGLE, channels_last=0)], 2, 3, 9, 8),
    "QLinearSoftmax": lambda: quantized([ms("QLinearSoftmax", SINGLE, axis=-1, opset=13)], 4, 10),
    "QLinearConcat": lambda: quantized(
        [ms("QLinearConcat", ["ys", "yz", "q", "xs", "xz", "b", "bs", "bz"], axis=1)], 2, 3, 5,
        tensors={"b": whole(0, 255, 2, 4, 5, dtype=np.uint8)}),
    "QGemm": lambda: quantized(
        [ms("QGemm", ["q", "xs", "xz", "b", "s", "z", "c", "ys", "yz"], transB=1)], 3, 6,
        tensors={"b": whole(-99, 99, 5, 6), "s": normal(5) ** 2 * 0.02 + scale(0.01), "z": np.zeros(5, np.int8),
                 "c": whole(-99, 99, 5, dtype=np.int32)}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_quantised(case):
    compare(*case(), step=0.05)


def test_quantised_gemm_without_scale_of_the_result():
    proto, feeds = quantized(
        [ms("QGemm", ["q", "xs", "xz", "b", "bs", "bz"], outputs=["y"])], 3, 6,
        tensors={"b": whole(0, 255, 6, 5, dtype=np.uint8)})
    del proto.graph.node[-1]
    compare(proto, feeds)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("spatial", [1, 2])
def test_qlinear_conv(groups, by_channel, spatial):
    w = whole(-99, 99, 8, 4 // groups, *[3] * spatial)
    s = normal(8) ** 2 * 0.01 + scale(0.004) if by_channel else scale(0.01)
    tensors = {
        "w": w, "s": s, "z": np.zeros(np.shape(s), np.int8), "b": whole(-500, 500, 8, dtype=np.int32)}
    conv = helper.make_node(
        "QLinearConv", ["q", "xs", "xz", "w", "s", "z", "ys", "yz", "b"], ["r"], group=groups,
        pads=[1, 0] * spatial, strides=[2] * spatial)
    proto, feeds = quantized([conv], 2, 4, *[9, 8][:spatial], tensors=tensors)
    compare(proto, feeds, tolerance=1e-6)


@pytest.mark.parametrize("by_column", [False, True])
def test_qlinear_matmul(by_column):
    s = normal(7) ** 2 * 0.01 + scale(0.004) if by_column else scale(0.01)
    z = whole(-3, 3, *np.shape(s)) if not by_column else np.zeros(7, np.int8)
    product = helper.make_node("QLinearMatMul", ["q", "xs", "xz", "b", "s", "z", "ys", "yz"], ["r"])
    proto, feeds = quantized([product], 2, 5, 6, tensors={"b": whole(-99, 99, 6, 7), "s": s, "z": z})
    compare(proto, feeds, tolerance=1e-6)


def test_integer_product_and_what_follows():
    tensors = {"b": whole(-99, 99, 6, 7), "s": scale(0.01), "z": np.int8(3), "c": normal(7)}
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        helper.make_node("MatMulInteger", ["q", "b", "qz", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT), helper.make_node("Mul", ["qs", "s"], ["k"]),
        helper.make_node("Mul", ["f", "k"], ["y"])]
    compare(*model(nodes, [normal(3, 6)], tensors))
    joined = ms("MatMulIntegerToFloat", ["q", "b", "qs", "s", "qz", "z", "c"], outputs=["y"])
    compare(*model([nodes[0], joined], [normal(3, 6)], tensors))
    compare(*model([ms("DynamicQuantizeMatMul", ["x", "b", "s", "z", "c"], outputs=["y"])], [normal(3, 6)], tensors))


def test_dynamic_quantisation_of_zeros():
    proto, feeds = model(
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])], [np.zeros((2, 3), np.float32)], {})
    with limpid.Model(proto.SerializeToString()) as loaded:
        assert np.array_equal(loaded.run(feeds)["y"], np.zeros((2, 3), np.uint8))


def test_gradients_pass_dynamic_quantisation():
    w = whole(-99, 99, 6, 7)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        helper.make_node("MatMulInteger", ["q", "w", "qz", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT), helper.make_node("Mul", ["qs", "s"], ["k"]),
        helper.make_node("Mul", ["f", "k"], ["y"])]
    proto, feeds = model(nodes, [normal(3, 6)], {"w": w, "s": scale(0.01), "z": np.int8(3)})
    weights = normal(3, 7)
    with limpid.Model(proto.SerializeToString()) as loaded:
        found = loaded.run_gradient(feeds, "y", ["x"], weights=weights)["x"]
    expected = weights @ ((w.astype(np.float32) - 3) * scale(0.01)).T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pool_of_quantised_numbers():
    pool = helper.make_node("MaxPool", ["q"], ["r"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), pool,
             helper.make_node("DequantizeLinear", ["r", "xs", "xz"], ["y"])]
    proto, feeds = model(nodes, [normal(2, 3, 9, 8)], QUANTIZED)
    compare(proto, feeds, tolerance=0)
    with limpid.Model(proto.SerializeToString()) as loaded:
        gradient = loaded.run_gradient(feeds, "y", ["x"], weights=np.ones((2, 3, 5, 8), np.float32))["x"]
    assert gradient.sum() == pytest.approx(2 * 3 * 5 * 8)


# MARK: Fused operators of ONNX Runtime


@pytest.mark.parametrize("activation, parameters", [
    ("Relu", []), ("Sigmoid", []), ("Tanh", []), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 1.0]),
    ("HardSigmoid", [0.3, 0.4])])
@pytest.mark.parametrize("has_sum", [False, True])
def test_fused_conv(activation, parameters, has_sum):
    tensors = {"w": normal(4, 3, 3, 3), "b": normal(4), "z": normal(2, 4, 6, 5)}
    node = ms(
        "FusedConv", ["x", "w", "b"] + ["z"] * has_sum, outputs=["y"], activation=activation, pads=[1, 1, 1, 1],
        **({"activation_params": parameters} if parameters else {}))
    compare(*model([node], [normal(2, 3, 6, 5)], tensors))


@pytest.mark.parametrize("a, b, trans_a, trans_b", [
    ([5, 4], [4, 3], 0, 0), ([5, 4], [3, 4], 0, 1), ([4, 5], [4, 3], 1, 0), ([2, 4, 5], [2, 3, 4], 1, 1),
    ([2, 3, 5, 4], [2, 3, 6, 4], 0, 1)])
def test_fused_matmul(a, b, trans_a, trans_b):
    node = ms("FusedMatMul", ["x", "x1"], outputs=["y"], alpha=0.5, transA=trans_a, transB=trans_b)
    compare(*model([node], [normal(*a), normal(*b)], {}))
    weights = ms("FusedMatMul", ["x", "b"], outputs=["y"], transA=trans_a, transB=trans_b)
    compare(*model([weights], [normal(*a)], {"b": normal(*b)}))


def test_fused_gemm():
    node = ms("FusedGemm", ["x", "b", "c"], outputs=["y"], activation="LeakyRelu", activation_alpha=0.2, alpha=0.5,
              beta=2.0, transB=1)
    compare(*model([node], [normal(3, 6)], {"b": normal(5, 6), "c": normal(5)}))


@pytest.mark.parametrize("node, tensors", [
    (ms("Gelu", ["x"], outputs=["y"]), {}), (ms("QuickGelu", ["x"], outputs=["y"]), {}),
    (ms("QuickGelu", ["x"], outputs=["y"], alpha=0.7), {}),
    (ms("BiasGelu", ["x", "b"], outputs=["y"]), {"b": normal(8)}),
    (ms("FastGelu", ["x"], outputs=["y"]), {}), (ms("FastGelu", ["x", "b"], outputs=["y"]), {"b": normal(8)}),
], ids=lambda value: value.op_type if hasattr(value, "op_type") else "")
def test_gelu(node, tensors):
    compare(*model([node], [normal(2, 5, 8, scale=3)], tensors))


@pytest.mark.parametrize("simplified", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_skip_layer_normalization(simplified, has_bias):
    tensors = {"s": normal(2, 5, 8), "g": normal(8), "e": normal(8), "b": normal(8)}
    name = "SkipSimplifiedLayerNormalization" if simplified else "SkipLayerNormalization"
    inputs = ["x", "s", "g"] + ([] if simplified else ["e"]) + ["b"] * has_bias
    node = ms(name, inputs, outputs=["y", "", "", "t"], epsilon=1e-3)
    compare(*model([node], [normal(2, 5, 8)], tensors, outputs=("y", "t")))


def test_simplified_layer_normalization():
    node = helper.make_node("SimplifiedLayerNormalization", ["x", "g"], ["y"], axis=-1, epsilon=1e-3)
    compare(*model([node], [normal(2, 5, 8)], {"g": normal(8)}))


@pytest.mark.parametrize("has_bias, has_mask", [(False, False), (True, False), (True, True)])
def test_multi_head_attention(has_bias, has_mask):
    tensors = {"b": normal(24), "m": normal(1, 2, 5, 6)}
    node = ms("MultiHeadAttention", ["x", "x1", "x2", "b" if has_bias else "", "", "m" if has_mask else ""],
              outputs=["y"], num_heads=2)
    compare(*model([node], [normal(2, 5, 8), normal(2, 6, 8), normal(2, 6, 8)], tensors))


@pytest.mark.parametrize("causal", [0, 1])
def test_attention(causal):
    node = ms("Attention", ["x", "w", "b"], outputs=["y"], num_heads=2, unidirectional=causal)
    compare(*model([node], [normal(2, 5, 8)], {"w": normal(8, 24), "b": normal(24)}))


# MARK: Convolutions over three axes


@pytest.mark.parametrize("attributes", [
    {}, {"pads": [1, 1, 1, 1, 1, 1]}, {"strides": [2, 1, 2], "pads": [0, 1, 2, 1, 0, 2]}, {"dilations": [2, 1, 2]},
    {"group": 2, "strides": [2, 2, 2], "dilations": [1, 2, 1], "pads": [2, 2, 2, 1, 1, 1]},
    {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID", "strides": [1, 2, 1]}], ids=str)
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 2), (2, 1, 1)])
def test_volume_convolution(attributes, kernel):
    w = normal(6, 4 // attributes.get("group", 1), *kernel)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    compare(*model([node], [normal(2, 4, 7, 8, 9)], {"w": w, "b": normal(6)}))


@pytest.mark.parametrize("attributes", [
    {}, {"pads": [1, 1, 1, 1, 1, 1]}, {"strides": [2, 1, 3], "pads": [0, 1, 2, 1, 0, 2]}, {"dilations": [2, 1, 2]},
    {"group": 2, "strides": [2, 2, 2], "output_padding": [1, 0, 1]}], ids=str)
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 2), (2, 2, 3)])
def test_volume_convolution_transposed(attributes, kernel):
    w = normal(4, 6 // attributes.get("group", 1), *kernel)
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **attributes)
    compare(*model([node], [normal(2, 4, 4, 5, 6)], {"w": w, "b": normal(6)}))


# MARK: Forms that ONNX Runtime has for elements that are not floating-point


def test_pool_and_resize_of_bytes():
    x = whole(0, 255, 1, 3, 9, 8, dtype=np.uint8)
    compare(*model(
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])], [x], {},
        types=UINT8))
    for sizes in ([1, 3, 20, 17], [1, 3, 5, 3]):
        for mode, step in [("nearest", 0), ("linear", 1)]:
            node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode=mode)
            compare(*model([node], [x], {"s": np.array(sizes)}, types=UINT8), step=step, tolerance=0)


@pytest.mark.parametrize("pads", [[-1, 2], [2, -1], [-2, -1], [-1, 4], [3, -2]], ids=str)
@pytest.mark.parametrize("mode", ["wrap", "edge", "constant", "reflect"])
def test_negative_pads(mode, pads):
    if mode == "reflect" and max(pads) > 2:
        pytest.skip("more than there is to reflect")
    node = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)
    compare(*model([node], [normal(5)], {"p": np.array(pads)}, opset=19))


@pytest.mark.parametrize("shapes", [
    ([3, 1, 1], [3, 1, 1]), ([3, 4, 5], [1, 4, 1]), ([5], [5]), ([1, 4, 5], [4, 5]), ([1], [1])], ids=str)
@pytest.mark.parametrize("operation", ["LayerNormalization"])
def test_scales_that_repeat(operation, shapes):
    node = helper.make_node(operation, ["x", "s", "b"], ["y"], axis=1)
    s, b = normal(*shapes[0]), normal(*shapes[1])
    whole_shape = (3, 4, 5)
    full = {"s": np.broadcast_to(s, whole_shape).copy(), "b": np.broadcast_to(b, whole_shape).copy()}
    x = normal(2, 3, 4, 5)
    proto, feeds = model([node], [x], {"s": s, "b": b})
    twin, _ = model([node], [x], full)
    expected = onnxruntime.InferenceSession(twin.SerializeToString()).run(None, feeds)[0]
    with limpid.Model(proto.SerializeToString()) as loaded:
        np.testing.assert_allclose(loaded.run(feeds)["y"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("operation", ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
                                       "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"])
@pytest.mark.parametrize("has_axes", [False, True])
def test_reduction_over_no_axes(operation, has_axes):
    node = helper.make_node(operation, ["x"] + ["a"] * has_axes, ["y"], noop_with_empty_axes=1)
    x = np.abs(normal(2, 3)) * (1 if "Log" in operation else -1)
    formulas = {"ReduceL1": np.abs, "ReduceL2": np.abs, "ReduceSumSquare": np.square, "ReduceLogSum": np.log}
    proto, feeds = model([node], [x], {"a": np.zeros(0, np.int64)}, opset=18)
    with limpid.Model(proto.SerializeToString()) as loaded:
        np.testing.assert_allclose(loaded.run(feeds)["y"], formulas.get(operation, np.array)(x), rtol=1e-6)


# MARK: ONNX before version 7


def early(node, x, tensors, formula, opset=6, types=FLOAT):
    proto, feeds = model([node], [x], tensors, opset=opset, types=types)
    del proto.opset_import[1:]
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    with limpid.Model(proto.SerializeToString()) as loaded:
        np.testing.assert_allclose(loaded.run(feeds)["y"], formula(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("operation, formula", [
    ("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide)])
@pytest.mark.parametrize("axis, shape, view", [
    (1, [3], [3, 1, 1]), (0, [2, 3], [2, 3, 1, 1]), (1, [3, 4], [3, 4, 1]), (-2, [4], [4, 1]), (None, [4, 5], [4, 5]),
    (3, [5], [5]), (None, [1], [1])])
def test_early_broadcast(operation, formula, axis, shape, view):
    b = normal(*shape) + 3
    node = helper.make_node(operation, ["x", "b"], ["y"], broadcast=1, **({} if axis is None else {"axis": axis}))
    early(node, normal(2, 3, 4, 5), {"b": b}, lambda x: formula(x, b.reshape(view)))


@pytest.mark.parametrize("operation, formula", [("Greater", np.greater), ("Less", np.less)])
def test_early_comparison(operation, formula):
    b = normal(3)
    node = helper.make_node(operation, ["x", "b"], ["y"], broadcast=1, axis=1)
    early(node, normal(2, 3, 4), {"b": b}, lambda x: formula(x, b[:, None]), types=TensorProto.BOOL)


@pytest.mark.parametrize("shape", [[2, 3, 4, 5], [2, 3, 4], [2, 3]])
@pytest.mark.parametrize("slopes", [3, 1])
def test_early_prelu(shape, slopes):
    s = np.abs(normal(slopes))
    by_channel = s.reshape([slopes] + [1] * (len(shape) - 2))
    early(helper.make_node("PRelu", ["x", "s"], ["y"]), normal(*shape), {"s": s},
          lambda x: np.where(x < 0, x * by_channel, x))


def test_early_attributes():
    x = normal(1, 2, 3, 4)
    early(helper.make_node("Pad", ["x"], ["y"], paddings=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5), x, {},
          lambda x: np.pad(x, [(0, 0), (0, 0), (1, 0), (2, 1)], constant_values=0.5), opset=1)
    early(helper.make_node("Upsample", ["x"], ["y"], height_scale=2.0, width_scale=3.0, mode="nearest"), x, {},
          lambda x: x.repeat(2, 2).repeat(3, 3), opset=1)
    early(helper.make_node("Cast", ["x"], ["y"], to="INT32"), x, {}, lambda x: x.astype(np.int32), opset=1,
          types=TensorProto.INT32)
    early(helper.make_node("Concat", ["x", "x"], ["y"]), x, {}, lambda x: np.concatenate([x, x], 1), opset=1)
    early(helper.make_node("Selu", ["x"], ["y"]), x, {},
          lambda x: np.where(x > 0, 1.0507 * x, 1.0507 * 1.6732 * (np.exp(x) - 1)), opset=1)
    early(helper.make_node("ImageScaler", ["x"], ["y"], scale=0.5, bias=[1.0, -2.0]), x, {},
          lambda x: x * 0.5 + np.array([1, -2], np.float32)[:, None, None], opset=1)


def test_early_forms_that_are_refused():
    proto, _ = model([helper.make_node("Tile", ["x", "t", "a"], ["y"])], [normal(2, 3)],
                     {"t": np.float32(2), "a": np.float32(1)}, opset=1)
    with pytest.raises(limpid.Unsupported, match="Tile.*before version 6"):
        limpid.Model(proto.SerializeToString())


# MARK: Sequences, functions, strings


def test_sequences():
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=1), helper.make_node("SequenceConstruct", ["a", "b"], ["s"]),
        helper.make_node("SequenceInsert", ["s", "a", "i"], ["t"]),
        helper.make_node("SequenceErase", ["t", "j"], ["u"]),
        helper.make_node("SequenceAt", ["u", "i"], ["v"]), helper.make_node("ConcatFromSequence", ["u"], ["w"], axis=1),
        helper.make_node("ConcatFromSequence", ["u"], ["n"], axis=0, new_axis=1),
        helper.make_node("SequenceLength", ["u"], ["l"]), helper.make_node("Optional", ["v"], ["o"]),
        helper.make_node("OptionalGetElement", ["o"], ["g"]), helper.make_node("Add", ["v", "g"], ["y"])]
    tensors = {"i": np.int64(1), "j": np.int64(-1)}
    proto, feeds = model(nodes, [normal(2, 6)], tensors, outputs=("w", "n", "y"), opset=15)
    compare(proto, feeds)


@pytest.mark.parametrize("place", [0, 1, -1, 2])
def test_places_in_sequences(place):
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]), helper.make_node("SequenceConstruct", ["x", "n"], ["s"]),
        helper.make_node("SequenceInsert", ["s", "z", "p"], ["t"]),
        helper.make_node("ConcatFromSequence", ["t"], ["y"], axis=0)]
    compare(*model(nodes, [normal(2, 3)], {"z": normal(2, 3), "p": np.int64(place)}))


@pytest.mark.parametrize("sizes", [np.array([1, 3, 2]), np.int64(2), np.int64(4), None], ids=str)
@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("keeps", [0, 1])
def test_split_to_sequence(sizes, place, keeps):
    if sizes is not None and sizes.ndim == 0 and (place < 0 or not keeps):
        pytest.skip("refused, as how many slices there are is not known; by ONNX Runtime without the axis")
    inputs, tensors = (["x"], {}) if sizes is None else (["x", "n"], {"n": sizes})
    nodes = [
        helper.make_node("SplitToSequence", inputs, ["s"], axis=1, keepdims=keeps),
        helper.make_node("SequenceAt", ["s", "i"], ["y"]), helper.make_node("SequenceLength", ["s"], ["l"])]
    proto, feeds = model(nodes, [normal(2, 6)], {"i": np.int64(place), **tensors})
    proto.graph.output.append(helper.make_tensor_value_info("l", TensorProto.INT64, []))
    compare(proto, feeds)


@pytest.mark.parametrize("axes, directions", [([0], [0]), ([1], [1])])
def test_scan(axes, directions):
    body = helper.make_graph(
        [helper.make_node("Mul", ["s", "d"], ["m"]), helper.make_node("Add", ["m", "v"], ["t"]),
         helper.make_node("Relu", ["t"], ["r"])], "body",
        [helper.make_tensor_value_info(n, FLOAT, [4]) for n in ("s", "v")],
        [helper.make_tensor_value_info(n, FLOAT, [4]) for n in ("t", "r")])
    node = helper.make_node(
        "Scan", ["i", "x"], ["f", "y"], body=body, num_scan_inputs=1, scan_input_axes=axes,
        scan_input_directions=directions, scan_output_axes=axes, scan_output_directions=directions)
    x = normal(5, 4) if axes == [0] else normal(4, 5)
    compare(*model([node], [x], {"i": normal(4), "d": scale(0.5)}, outputs=("f", "y")))


@pytest.mark.parametrize("aligned", [0, 1])
def test_affine_grid(aligned):
    for size in ([2, 3, 4, 5], [2, 3, 2, 4, 5]):
        rank = len(size) - 2
        node = helper.make_node("AffineGrid", ["x", "n"], ["y"], align_corners=aligned)
        compare(*model([node], [normal(2, rank, rank + 1)], {"n": np.array(size)}, opset=20))


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_swish(alpha):
    x = normal(2, 3)
    proto, feeds = model([helper.make_node("Swish", ["x"], ["y"], alpha=alpha)], [x], {}, opset=24)
    with limpid.Model(proto.SerializeToString()) as loaded:
        np.testing.assert_allclose(loaded.run(feeds)["y"], x / (1 + np.exp(-alpha * x)), rtol=1e-5)


def test_strings_beside_numbers():
    nodes = [
        helper.make_node("Softmax", ["x"], ["y"], axis=1),
        helper.make_node("ArgMax", ["y"], ["k"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "k"], ["label"]),
        helper.make_node("ZipMap", ["y"], ["map"], domain="ai.onnx.ml", classlabels_strings=list("abc"))]
    proto, feeds = model(nodes, [normal(2, 3)], {})
    proto.graph.initializer.append(helper.make_tensor("names", TensorProto.STRING, [3], [b"a", b"b", b"c"]))
    proto.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.STRING, [2]))
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))
    proto.graph.output.append(helper.make_value_info("map", helper.make_sequence_type_proto(kind)))
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    with limpid.Model(proto.SerializeToString()) as loaded:
        powers = np.exp(feeds["x"])
        np.testing.assert_allclose(loaded.run(feeds)["y"], powers / powers.sum(1, keepdims=True), rtol=1e-5)
        with pytest.raises(limpid.Unsupported, match='"names".*string'):
            loaded.run(feeds, ["label"])


# MARK: What else exporters and quantisers write


@pytest.mark.parametrize("image, patch, attributes", [
    ([8, 8], [2, 2], {"strides": [2, 2]}), ([7, 9], [3, 2], {}), ([7, 9], [3, 2], {"strides": [2, 3], "pads": [1, 0, 1, 1]}),
    ([9, 10], [2, 3], {"dilations": [3, 2], "strides": [2, 1]}), ([6, 5], [6, 5], {}), ([1, 4], [1, 1], {"strides": [1, 3]}),
])
def test_patches_are_put_together(image, patch, attributes):
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    pads = attributes.get("pads", [0] * 4)
    places = [(image[i] + pads[i] + pads[i + 2] - dilations[i] * (patch[i] - 1) - 1) // strides[i] + 1 for i in range(2)]
    x = normal(2, 3 * patch[0] * patch[1], places[0] * places[1])
    node = helper.make_node("Col2Im", ["x", "image", "patch"], ["y"], **attributes)
    compare(*model([node], [x], {"image": np.array(image), "patch": np.array(patch)}, opset=18))


@pytest.mark.parametrize("kernel, stride, counts", [(640, 640, 0), (5, 3, 0), (5, 4, 0), (3, 2, 1)])
def test_windows_larger_than_the_image_are_cut_where_extents_are_rounded_up(kernel, stride, counts):
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[kernel] * 2, strides=[stride] * 2, ceil_mode=1, count_include_pad=counts)
    compare(*model([node], [normal(2, 3, 3, 4)], {}))


def packed(levels, bits):
    """Levels of so many bits, the lowest bits of a byte first."""
    flat = (levels.reshape(-1, 8 // bits) & (2 ** bits - 1)).astype(np.uint8)
    return sum(flat[:, i] << (bits * i) for i in range(8 // bits)).astype(np.uint8)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("k, block", [(64, 32), (40, 16)])
def test_products_with_weights_of_few_bits(bits, zeros, k, block):
    n, blocks = 6, -(-k // block)
    levels = RNG.integers(0, 2 ** bits, (n, blocks, block))
    tensors = {"w": packed(levels, bits).reshape(n, blocks, block * bits // 8), "s": normal(n * blocks) ** 2 + scale(0.1)}
    inputs = ["x", "w", "s"]
    if zeros:
        per_row = RNG.integers(0, 2 ** bits, (n, blocks + blocks % 2))
        tensors["z"] = packed(per_row, bits).reshape(n, -1)[:, :-(-blocks * bits // 8)].reshape(-1)
        inputs.append("z")
    node = ms("MatMulNBits", inputs, outputs=["y"], K=k, N=n, bits=bits, block_size=block)
    compare(*model([node], [normal(2, 5, k)], tensors))


@pytest.mark.parametrize("kind, lowest", [(TensorProto.INT4, -8), (TensorProto.UINT4, 0)])
@pytest.mark.parametrize("count", [24, 15])
def test_weights_of_four_bits(kind, lowest, count):
    levels = RNG.integers(lowest, lowest + 16, (3, count // 3))
    raw = packed(np.append(levels.reshape(-1), np.zeros(count % 2, np.int64)), 4).tobytes()
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"], axis=0), helper.make_node("MatMul", ["x", "v"], ["y"])]
    proto, feeds = model(nodes, [normal(2, 3)], {"s": normal(3) ** 2 + scale(0.1)}, opset=21)
    proto.ir_version = 10
    proto.graph.initializer.append(helper.make_tensor("w", kind, [3, count // 3], raw, raw=True))
    proto.graph.initializer.append(helper.make_tensor("z", kind, [3], np.array([1, 2, 3])))
    compare(proto, feeds)


@pytest.mark.parametrize("shape, kernel, attributes, extra", [
    ((2, 4, 5, 7), (6, 2, 2, 3), {"group": 2, "offset_group": 2, "pads": [1, 0, 1, 1], "dilations": [1, 2]}, 2),
    ((1, 3, 6, 1), (2, 3, 3, 1), {"pads": [1, 0, 1, 0], "strides": [2, 1]}, 1),
    ((2, 2, 4, 4), (3, 2, 1, 1), {}, 0),
])
def test_deformable_convolution(shape, kernel, attributes, extra):
    """`extra`: how many of bias and mask are there."""
    strides, dilations, pads = (attributes.get(k, v) for k, v in (("strides", [1, 1]), ("dilations", [1, 1]), ("pads", [0] * 4)))
    extents = [(shape[2 + i] + pads[i] + pads[2 + i] - (kernel[2 + i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in (0, 1)]
    taps = attributes.get("offset_group", 1) * kernel[2] * kernel[3]
    inputs = [normal(*shape), normal(shape[0], 2 * taps, *extents, scale=1.5)]
    names, tensors = ["x", "w", "x1"], {"w": normal(*kernel)}
    if extra:
        names, tensors["b"] = [*names, "b"], normal(kernel[0])
    if extra > 1:
        names, inputs = [*names, "x2"], [*inputs, normal(shape[0], taps, *extents)]
    node = helper.make_node("DeformConv", names, ["y"], kernel_shape=kernel[2:], **attributes)
    compare(*model([node], inputs, tensors, opset=19))


def test_files_in_the_layout_of_one_processor_are_refused_by_words():
    node = helper.make_node("ReorderInput", ["x"], ["y"], domain="com.microsoft.nchwc", channels_last=0)
    proto, _ = model([node], [normal(1, 16, 4, 4)], {})
    proto.opset_import.append(helper.make_opsetid("com.microsoft.nchwc", 1))
    with pytest.raises(limpid.Unsupported, match='one kind of processor.*level "extended"'):
        limpid.Model(proto.SerializeToString())
