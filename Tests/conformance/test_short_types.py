"""Element types of 8 bits and fewer that are no int8 or uint8: what becomes of numbers in them, judged by the package
`ml_dtypes` for every code and around every bound, and where files and arrays have them."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import limpid

FLOATS = {
    "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn, "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "FLOAT8E5M2": ml_dtypes.float8_e5m2, "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "FLOAT4E2M1": ml_dtypes.float4_e2m1fn,
}
INTEGERS = {
    "INT4": ml_dtypes.int4, "UINT4": ml_dtypes.uint4, "INT2": ml_dtypes.int2, "UINT2": ml_dtypes.uint2,
}
ALL = {**FLOATS, "FLOAT8E8M0": ml_dtypes.float8_e8m0fnu, **INTEGERS}
RNG = np.random.default_rng(0)


def run(nodes, feeds, outputs, weights=()):
    """The outputs {name: type}, by Limpid from feeds {name: array}."""
    graph = helper.make_graph(
        nodes, "short", [value(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in feeds.items()],
        [value(name, kind, None) for name, kind in outputs.items()], list(weights))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    return limpid.Model(proto.SerializeToString()).run(feeds, list(outputs))


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def cast(kind, **attributes):
    return helper.make_node("Cast", ["x"], ["y"], to=getattr(TensorProto, kind), **attributes)


def codes(name):
    """An array of every code of the type."""
    dtype = np.dtype(ALL[name])
    bits = 4 if "4" in name[-4:] or name == "FLOAT4E2M1" else 2 if name.endswith("2") and "INT" in name else 8
    numbers = np.arange(1 << bits)
    if name in ("INT4", "INT2"):
        numbers = numbers - (1 << bits >> 1)
    return numbers.astype(np.int8 if name in INTEGERS else np.uint8).astype(dtype) if name in INTEGERS else numbers.astype(
        np.uint8).view(dtype)


def same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize("name", ALL)
def test_every_code_is_its_number(name):
    x = codes(name)
    same(run([cast("FLOAT")], {"x": x}, {"y": TensorProto.FLOAT})["y"], x.astype(np.float32))


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("name", FLOATS)
def test_numbers_are_rounded_to_the_nearest_code(name, saturate):
    values = codes(name).astype(np.float32)
    values = np.unique(values[np.isfinite(values)])
    middle = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([values, middle, values[-1:] + (values[-1] - values[-2]) * np.float32([0.5, 0.75, 1, 2, 100])])
    x = np.concatenate([edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf)), -edges,
                        RNG.standard_normal(2000).astype(np.float32) * 10 ** RNG.uniform(-9, 6, 2000).astype(np.float32),
                        np.float32([0, -0.0, 1e-40, 3e38])]).astype(np.float32)
    found = run([cast(name, saturate=saturate)], {"x": x}, {"y": getattr(TensorProto, name)})["y"]
    expected = (numpy_helper.saturate_cast(x, np.dtype(FLOATS[name])) if saturate else x.astype(FLOATS[name]))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("name, nan, infinity, others", [
    ("FLOAT8E4M3FN", "nan", 448, "nan"), ("FLOAT8E4M3FNUZ", "nan", 240, "nan"), ("FLOAT8E5M2", "nan", 57344, "inf"),
    ("FLOAT8E5M2FNUZ", "nan", 57344, "nan"), ("FLOAT4E2M1", 0, 6, 6), ("FLOAT8E8M0", "nan", 2.0**127, "nan"),
])
def test_what_is_no_number(name, nan, infinity, others):
    x = np.float32([np.nan, np.inf])
    for saturate, expected in [(1, [nan, infinity]), (0, [nan, others])]:
        found = run([cast(name, saturate=saturate)], {"x": x}, {"y": getattr(TensorProto, name)})["y"]
        np.testing.assert_array_equal(found.astype(np.float32), np.float32(expected))


@pytest.mark.parametrize("mode, expected", [
    ("up", [2.0**-127, 0.25, 0.25, 2, 2, 4]), ("down", [2.0**-127, 0.125, 0.25, 1, 1, 2]), ("nearest", [2.0**-127, 0.125, 0.25, 1, 2, 4])])
def test_bare_exponents(mode, expected):
    x = np.float32([2.0**-127, 0.14, 0.25, 1.4, 1.5, 3.1])
    found = run([cast("FLOAT8E8M0", round_mode=mode)], {"x": x}, {"y": TensorProto.FLOAT8E8M0})["y"]
    assert found.astype(np.float32).tolist() == expected
    zero = run([cast("FLOAT8E8M0", round_mode=mode, saturate=0)], {"x": np.float32([0])}, {"y": TensorProto.FLOAT8E8M0})["y"]
    assert np.isnan(zero.astype(np.float32)).all()


def test_a_round_mode_that_does_not_exist():
    with pytest.raises(limpid.InvalidModel, match='round_mode "sideways" is none of up, down and nearest'):
        run([cast("FLOAT8E8M0", round_mode="sideways")], {"x": np.float32([1])}, {"y": TensorProto.FLOAT8E8M0})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_integers_keep_their_lowest_bits(name, dtype):
    x = np.arange(0 if np.dtype(dtype).kind == "u" else -20, 40).astype(dtype)
    found = run([cast(name)], {"x": x}, {"y": getattr(TensorProto, name)})["y"]
    same(found, x.astype(np.int64).astype(INTEGERS[name]))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("target", ["INT8", "INT64", "BOOL", "FLOAT16", "DOUBLE", "BFLOAT16", "INT4", "FLOAT8E5M2"])
def test_from_each_to_others(name, target):
    x = codes(name)
    x = x[np.isfinite(x.astype(np.float32)) & (np.abs(x.astype(np.float32)) < 8)]
    dtype = np.dtype(np.float32) if target == "BFLOAT16" else helper.tensor_dtype_to_np_dtype(getattr(TensorProto, target))
    found = run([cast(target)], {"x": x}, {"y": getattr(TensorProto, target)})["y"]
    wide = x.astype(np.float32)
    if target in ("INT4", "INT8", "INT64"):
        wide = wide.astype(np.int64)
    same(found, wide.astype(dtype))


def stored(name, array, form):
    kind = getattr(TensorProto, name)
    if form == "raw":
        return numpy_helper.from_array(array, "w")
    bits = np.atleast_1d(array).view(np.uint8).reshape(-1)
    width = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.get(name, 8)
    per = 8 // width
    bits = np.append(bits & ((1 << width) - 1), np.zeros(-len(bits) % per, np.uint8)).reshape(-1, per)
    packed = sum(bits[:, i].astype(np.int32) << width * i for i in range(per))
    return TensorProto(name="w", data_type=kind, dims=array.shape, int32_data=packed.tolist())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("form", ["raw", "numbers"])
@pytest.mark.parametrize("place", ["initializer", "Constant", "ConstantOfShape"])
def test_in_files(name, form, place):
    array = codes(name)[:15].reshape(3, -1) if len(codes(name)) >= 15 else codes(name)[:3]
    if place == "ConstantOfShape":
        array = array.reshape(-1)[-1:]
    tensor = stored(name, array, form)
    nodes, weights = [], []
    if place == "initializer":
        weights = [tensor]
    elif place == "Constant":
        nodes = [helper.make_node("Constant", [], ["w"], value=tensor)]
    else:
        weights = [numpy_helper.from_array(np.int64([2, 2]), "shape")]
        nodes = [helper.make_node("ConstantOfShape", ["shape"], ["w"], value=tensor)]
        array = np.broadcast_to(array, (2, 2))
    nodes += [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("Identity", ["t"], ["y"]),
              helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT), helper.make_node("Mul", ["z", "x"], ["scaled"])]
    found = run(nodes, {"x": np.float32([2])}, {"y": getattr(TensorProto, name), "scaled": TensorProto.FLOAT}, weights)
    same(found["y"], array.T)
    same(found["scaled"], array.T.astype(np.float32) * 2)


@pytest.mark.parametrize("name", ALL)
def test_what_moves_elements_takes_them(name):
    x = codes(name)[:4].reshape(2, 2)
    kind = getattr(TensorProto, name)
    nodes = [
        helper.make_node("Reshape", ["x", "wide"], ["r"]), helper.make_node("Concat", ["r", "r"], ["c"], axis=0),
        helper.make_node("Slice", ["c", "one", "two", "order"], ["s"]), helper.make_node("Gather", ["s", "order"], ["g"], axis=0),
        helper.make_node("Expand", ["g", "tall"], ["e"]), helper.make_node("Flatten", ["e"], ["y"])]
    weights = [numpy_helper.from_array(np.int64(a), n) for n, a in
               [("wide", [1, 4]), ("one", [1]), ("two", [2]), ("order", [0]), ("tall", [3, 4])]]
    found = run(nodes, {"x": x}, {"y": kind}, weights)["y"]
    same(found, np.tile(x.reshape(1, 4), (3, 1)))


@pytest.mark.parametrize("name", ALL)
def test_arithmetic_on_them_is_refused(name):
    with pytest.raises(limpid.Unsupported, match="float8|float4|int4|int2"):
        run([helper.make_node("Add", ["x", "x"], ["y"])], {"x": codes(name)[:2]}, {"y": getattr(TensorProto, name)})


QUANTISED = [(name, form) for name in [*FLOATS, *INTEGERS] for form in ("one", "axis", "block")]


@pytest.mark.parametrize("name, form", QUANTISED)
def test_quantised_and_back(name, form):
    x = (RNG.standard_normal((3, 6)) * 8).astype(np.float32)
    shape, attributes = {"one": ((), {}), "axis": ((3,), {"axis": 0}), "block": ((3, 2), {"axis": 1, "block_size": 3})}[form]
    scale = RNG.uniform(0.5, 2, shape).astype(np.float32)
    zero = np.zeros(shape) if name in FLOATS else RNG.integers(0, 2, shape)
    weights = [numpy_helper.from_array(scale, "s"), numpy_helper.from_array(np.asarray(zero).astype(ALL[name]), "z")]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attributes)]
    kinds = {"q": getattr(TensorProto, name), "y": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, x.shape)], [value(n, k, x.shape) for n, k in kinds.items()], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    expected = dict(zip(kinds, ReferenceEvaluator(proto).run(None, {"x": x})))
    if name in FLOATS:
        expected["y"] = expected["q"].astype(np.float32) * (np.repeat(scale, 3, 1) if form == "block" else scale.reshape(
            (3, 1) if form == "axis" else ()))
    both = run(nodes, {"x": x}, kinds, weights)
    same(both["q"], expected["q"])
    np.testing.assert_allclose(both["y"], expected["y"], rtol=1e-6)
    # Where nobody asks for what lies between, the two may be one step.
    same(run(nodes, {"x": x}, {"y": TensorProto.FLOAT}, weights)["y"], both["y"])


def test_scales_may_be_bare_exponents():
    x = codes("FLOAT4E2M1").reshape(2, 8)
    scale = np.float32([[0.5, 2], [4, 0.25]]).astype(ml_dtypes.float8_e8m0fnu)
    node = helper.make_node("DequantizeLinear", ["x", "s"], ["y"], axis=1, block_size=4, output_dtype=TensorProto.FLOAT)
    found = run([node], {"x": x}, {"y": TensorProto.FLOAT}, [numpy_helper.from_array(scale, "s")])["y"]
    same(found, x.astype(np.float32) * np.repeat(scale.astype(np.float32), 4, 1))


def test_the_quantised_type_by_attribute():
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=TensorProto.FLOAT8E5M2)
    x = np.float32([1, 2.3, -7, 1e9])
    found = run([node], {"x": x}, {"y": TensorProto.FLOAT8E5M2}, [numpy_helper.from_array(np.float32(0.5), "s")])["y"]
    same(found, np.clip(x / 0.5, -57344, 57344).astype(ml_dtypes.float8_e5m2))


@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "INT4"])
def test_gradients_pass_to_the_end_of_the_range(kind):
    """Straight through, and none where a value is clamped."""
    greatest = {"FLOAT8E4M3FN": 448, "INT4": 7}[kind]
    x = np.float32([[0.3, -1.2, greatest * 0.5 + 10]])
    scale = numpy_helper.from_array(np.float32(0.5), "s")
    zero = numpy_helper.from_array(np.zeros((), ALL[kind]), "z")
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
             helper.make_node("Mul", ["d", "d"], ["m"]), helper.make_node("ReduceSum", ["m"], ["y"], keepdims=0)]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, x.shape)], [value("y", TensorProto.FLOAT, [])], [scale, zero])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    model = limpid.Model(proto.SerializeToString())
    rounded = model.run({"x": x}, ["d"])["d"]
    found = model.run_gradient({"x": x}, "y", ["x"])["x"]
    np.testing.assert_allclose(found, 2 * rounded * [[1, 1, 0]], rtol=1e-6)


def test_gradients_pass_a_cast_there_and_back():
    x = np.float32([[0.3, -1.2]])
    nodes = [helper.make_node("Cast", ["x"], ["q"], to=TensorProto.FLOAT8E5M2), helper.make_node("Cast", ["q"], ["d"], to=TensorProto.FLOAT),
             helper.make_node("Mul", ["d", "d"], ["m"]), helper.make_node("ReduceSum", ["m"], ["y"], keepdims=0)]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, x.shape)], [value("y", TensorProto.FLOAT, [])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    found = limpid.Model(proto.SerializeToString()).run_gradient({"x": x}, "y", ["x"])["x"]
    np.testing.assert_allclose(found, 2 * x.astype(ml_dtypes.float8_e5m2).astype(np.float32))


def test_external_data(tmp_path):
    array = RNG.integers(-8, 8, (5, 3)).astype(ml_dtypes.int4)
    node = helper.make_node("Cast", ["w"], ["y"], to=TensorProto.FLOAT)
    graph = helper.make_graph([node], "g", [], [value("y", TensorProto.FLOAT, [5, 3])], [numpy_helper.from_array(array, "w")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    onnx.save(proto, str(tmp_path / "m.onnx"), save_as_external_data=True, size_threshold=0)
    same(limpid.Model(tmp_path / "m.onnx").run({}, ["y"])["y"], array.astype(np.float32))
