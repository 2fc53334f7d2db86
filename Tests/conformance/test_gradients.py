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
    assert len(CASES) >= 380
