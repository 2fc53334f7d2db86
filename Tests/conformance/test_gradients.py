"""The gradient rule of each operator against central differences in double precision.

f = sum(weights * outputs) by ONNX's reference evaluator in float64, or where it cannot by NumPy (gradient_judges.py); along random directions d, (f(x + hd) - f(x - hd)) / 2h
must be the gradient's product with d.
"""

import warnings

import numpy as np
import onnx
import pytest
from gradient_cases import Weight, all_cases
from gradient_judges import judge
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import limpid

CASES = all_cases()
STEP = 1e-5


def model(operator, inputs, attributes, options, weights, floats):
    """sum over outputs of weights * output, in `floats`; the fed inputs are x0, x1, ..."""
    kind = TensorProto.DOUBLE if floats == np.float64 else TensorProto.FLOAT
    initializers, fed, names = [], [], []
    for i, value in enumerate(inputs):
        name = "" if value is None else f"x{i}"
        names.append(name)
        constant = value.array if isinstance(value, Weight) else value
        if value is None:
            continue
        if isinstance(value, Weight) or value.dtype.kind != "f":
            if operator != "Resize" and constant.dtype == np.float64:
                constant = np.asarray(constant, floats)
            initializers.append(numpy_helper.from_array(np.asarray(constant), name))
        else:
            fed.append(helper.make_tensor_value_info(name, kind, value.shape))
    outputs = [f"y{i}" for i in range(options.get("outputs", 1))]
    nodes = [helper.make_node(operator, names, outputs, **attributes)]
    values = [helper.make_tensor_value_info(name, kind, None) for name in outputs[:len(weights)]]
    graph = helper.make_graph(nodes, "g", fed, values, initializers)
    opset = options.get("opset", 17)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def named(case):
    operator, inputs, attributes, _ = case
    shapes = ",".join("x".join(map(str, np.shape(getattr(x, "array", x)))) for x in inputs if x is not None)
    return f"{operator}-{shapes}-" + "-".join(f"{k}={v}" for k, v in attributes.items())


def evaluator(operator, inputs, attributes, options):
    """The outputs as a function of what is fed, in double precision."""
    function = judge(operator, attributes, options)
    if function is None:
        outputs = [None] * options.get("outputs", 1)
        reference = ReferenceEvaluator(model(operator, inputs, attributes, options, outputs, np.float64))
        return lambda fed: reference.run(None, fed)
    given = [(f"x{i}", getattr(x, "array", x)) for i, x in enumerate(inputs)]
    return lambda fed: function(*(fed.get(name, x) for name, x in given), **attributes)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_gradient_is_that_of_central_differences(case):
    operator, inputs, attributes, options = case
    random = np.random.default_rng(3)
    fed = {f"x{i}": v for i, v in enumerate(inputs) if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    compute = evaluator(*case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = compute(fed)
    weights = {f"y{i}": random.uniform(-1, 1, y.shape) for i, y in enumerate(outputs) if y.dtype == np.float64}
    ours = limpid.Model(model(operator, inputs, attributes, options, outputs, np.float32).SerializeToString())
    found = {name: np.zeros(x.shape) for name, x in fed.items()}
    for output, w in weights.items():
        for name in fed:
            try:
                part = ours.run_gradient({k: v.astype(np.float32) for k, v in fed.items()}, output, [name], weights=w)
            except limpid.InvalidArgument as error:  # not all of several outputs depend on all inputs
                assert len(weights) > 1 and "does not depend" in str(error)
                continue
            assert part[name].shape == fed[name].shape
            found[name] += part[name]
    scale = max(1e-3, *(np.abs(g).max() for g in found.values()))

    def f(values):
        results = compute(values)
        return sum((w * results[int(output[1:])]).sum() for output, w in weights.items())

    for name, x in fed.items():
        for _ in range(4):
            d = random.uniform(-1, 1, x.shape)
            numeric = (f({**fed, name: x + STEP * d}) - f({**fed, name: x - STEP * d})) / (2 * STEP)
            assert (found[name] * d).sum() == pytest.approx(numeric, abs=2e-5 * scale * max(1, x.size) ** 0.5 + 1e-6)


@pytest.mark.parametrize("operator", ["Sign", "Floor", "Ceil", "Round", "Hardmax"])
def test_steps_have_no_gradient(operator):
    case = operator, [np.linspace(-2, 2, 6).reshape(2, 3)], {}, {}
    ours = limpid.Model(model(*case, [None], np.float32).SerializeToString())
    with pytest.raises(limpid.InvalidArgument, match='"y0" does not depend on "x0", or by steps only'):
        ours.run_gradient({"x0": case[1][0].astype(np.float32)}, "y0", ["x0"])


def test_the_table_has_every_form():
    assert len(CASES) >= 550


def test_a_refusal_names_node_and_operator():
    random = np.random.default_rng(0)
    weights = [numpy_helper.from_array(random.normal(size=(1, 6, n)).astype(np.float32), name) for n, name in ((3, "w"), (2, "r"))]
    graph = helper.make_graph(
        [helper.make_node("GRU", ["x", "w", "r"], ["y"], name="long", hidden_size=2)], "g", [floats("x", 2049, 1, 3)],
        [floats("y", 2049, 1, 1, 2)], weights)
    ours = limpid.Model(serialized(graph))
    with pytest.raises(limpid.Unsupported, match='GRU "long": its gradient is supported for up to 2048 steps; here are 2049'):
        ours.run_gradient({"x": np.zeros((2049, 1, 3), np.float32)}, "y", ["x"])


def serialized(graph, opset=17):
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()


def floats(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def looped(trips):
    """y = sum of h = x * x, in a branch, then `trips` times y = tanh(y) with "t" in the body."""
    then = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["h"]), helper.make_node("Exp", ["h"], ["b"])], "then", [], [floats("b", 3)])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [floats("e", 3)])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Tanh", ["v"], ["t"])], "body",
        [helper.make_tensor_value_info("k", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         floats("v", 3)],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), floats("t", 3)])
    graph = helper.make_graph(
        [helper.make_node("If", ["yes"], ["m"], then_branch=then, else_branch=other),
         helper.make_node("Loop", ["trips", "yes", "m"], ["y"], body=body)], "g", [floats("x", 3)], [floats("y", 3)],
        [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.int64(trips), "trips")])
    return limpid.Model(serialized(graph))


def test_values_inside_bodies_are_reached():
    x = np.float32([0.3, -0.5, 0.9])
    h = x * x
    t = np.tanh(np.exp(h))
    model = looped(1)
    found = model.run({"x": x}, ["h", "t"])
    np.testing.assert_allclose(found["h"], h, rtol=1e-6)
    np.testing.assert_allclose(found["t"], t, rtol=1e-6)
    found = model.run_gradient({"x": x}, "y", ["x", "h", "t"])
    np.testing.assert_allclose(found["t"], np.ones(3), rtol=1e-6)
    np.testing.assert_allclose(found["h"], (1 - t * t) * np.exp(h), rtol=1e-5)
    np.testing.assert_allclose(found["x"], 2 * x * (1 - t * t) * np.exp(h), rtol=1e-5)
    np.testing.assert_allclose(model.run_gradient({"x": x}, "h", ["x"])["x"], 2 * x, rtol=1e-6)


def test_a_value_that_a_loop_makes_again_is_refused():
    with pytest.raises(limpid.Unsupported, match='the value "t" is made 3 times, in bodies that are run repeatedly'):
        looped(3).run_gradient({"x": np.float32([0.3, -0.5, 0.9])}, "y", ["t"])
    with pytest.raises(limpid.NotFound, match='no value named "e"'):  # of the branch that is not taken
        looped(3).run({"x": np.float32([0.3, -0.5, 0.9])}, ["e"])


def test_statistics_that_are_fed_are_not_folded():
    rng = np.random.default_rng(5)
    w, x = rng.normal(size=(4, 3, 3, 3)).astype(np.float32), rng.normal(size=(1, 3, 5, 5)).astype(np.float32)
    parameters = {name: np.ones(4, np.float32) for name in ("scale", "shift", "mean", "variance")}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]),
         helper.make_node("BatchNormalization", ["c", *parameters], ["y"])],
        "g", [floats("x", 1, 3, 5, 5)], [floats("y", 1, 4, 3, 3)],
        [numpy_helper.from_array(w, "w"), *(numpy_helper.from_array(v, k) for k, v in parameters.items())])
    model = limpid.Model(serialized(graph))
    fed = {"x": x, "mean": rng.normal(size=4).astype(np.float32), "scale": rng.normal(size=4).astype(np.float32)}
    c, y = model.run(fed, ["c", "y"]).values()
    (alone,) = model.run(fed, ["y"]).values()

    def channels(name):
        return {**parameters, **fed}[name].reshape(1, 4, 1, 1)

    expected = (c - channels("mean")) / np.sqrt(channels("variance") + 1e-5) * channels("scale") + channels("shift")
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-5)
    gradient = model.run_gradient(fed, "y", ["mean"])["mean"]
    np.testing.assert_allclose(gradient, -9 * fed["scale"] / np.sqrt(1 + 1e-5), rtol=1e-4)


def test_gradients_by_weights_that_are_transformed():
    x, w = np.float32([[1, 2, 3]]), np.float32([[0.5, -1, 2], [1, 0, -1]])
    graph = helper.make_graph(
        [helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]), helper.make_node("MatMul", ["x", "t"], ["m"]),
         helper.make_node("Tanh", ["m"], ["y"])],
        "g", [floats("x", 1, 3)], [floats("y", 1, 2)], [numpy_helper.from_array(w, "w")])
    found = limpid.Model(serialized(graph)).run_gradient({"x": x}, "y", ["w"])["w"]
    np.testing.assert_allclose(found, (1 - np.tanh(x @ w.T) ** 2).T * x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("axis", [None, 1])
def test_quantisation_passes_gradients_within_its_range(axis):
    x = np.float32([[-3, -0.4, 0.2], [0.7, 2.9, 9]])
    scale = np.float32(0.05) if axis is None else np.float32([0.05, 0.02, 0.1])
    zero = np.uint8(100) if axis is None else np.uint8([100, 0, 50])
    attributes = {} if axis is None else {"axis": axis}
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
         helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], **attributes),
         helper.make_node("Mul", ["d", "d"], ["y"])],
        "g", [floats("x", 2, 3)], [floats("y", 2, 3)],
        [numpy_helper.from_array(np.asarray(scale), "s"), numpy_helper.from_array(np.asarray(zero), "z")])
    found = limpid.Model(serialized(graph)).run_gradient({"x": x}, "y", ["x"])["x"]
    level = np.round(x / scale) + zero
    inside = (level >= 0) & (level <= 255)
    assert 0 < inside.sum() < inside.size
    expected = np.where(inside, 2 * (np.clip(level, 0, 255) - zero) * scale, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name, gates, count", [("LSTM", 4, 3), ("GRU", 3, 2), ("RNN", 1, 2)])
def test_recurrent_gradients_stop_at_the_ends_of_sequences(name, gates, count):
    """By central differences of the runtime's own forward pass, which ONNX's node tests judge."""
    rng = np.random.default_rng(2)
    t, n, i, h = 4, 3, 2, 3
    weights = [rng.normal(size=s) * 0.5 for s in ((2, gates * h, i), (2, gates * h, h), (2, 2 * gates * h))]
    outputs = ["y", "yh", "yc"][:count]
    graph = helper.make_graph(
        [helper.make_node(name, ["x", "w", "r", "b", "l"], outputs, hidden_size=h, direction="bidirectional")], "g",
        [floats("x", t, n, i)], [floats(o) for o in outputs],
        [*(numpy_helper.from_array(w.astype(np.float32), k) for k, w in zip("wrb", weights)),
         numpy_helper.from_array(np.int32([4, 2, 0]), "l")])
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    model = limpid.Model(serialized(graph))
    x = rng.normal(size=(t, n, i)).astype(np.float32)
    for output in outputs:
        w = rng.normal(size=model.run({"x": x}, [output])[output].shape)
        found = model.run_gradient({"x": x}, output, ["x"], weights=w)["x"]
        assert (found[:, 2] == 0).all() and (found[2:, 1] == 0).all() and (found[:, 0] != 0).all()
        d = rng.normal(size=x.shape).astype(np.float32)
        both = [(w * model.run({"x": x + s * 1e-2 * d}, [output])[output].astype(np.float64)).sum() for s in (1, -1)]
        assert (found * d).sum() == pytest.approx((both[0] - both[1]) / 2e-2, rel=2e-3)
