"""The kind of a model's scores is found by what its graph computes; nothing is normalised twice."""

import numpy as np
import pytest
from networks import Network, softmax
from onnx import TensorProto, helper

import limpid

IMAGES = np.random.default_rng(5).normal(size=(3, 3, 12, 10)).astype(np.float32)
CLASSES = 5


def one(*shape):
    return np.ones(shape, np.float32)


def behind(last, *operators):
    """The operators, one after the other, behind what `last` makes of the logits."""
    def build(n, z):
        value = last(n, z)
        for operator, inputs, attributes in operators:
            value = n(operator, value, *inputs, **attributes)
        return value
    return build


def soft(n, z):
    return n("Softmax", z, axis=1)


def spelled(n, z, shift=False, product=False):
    if shift:
        z = n("Sub", z, n("ReduceMax", z, axes=[1], keepdims=1))
    power = n("Exp", z)
    total = n("ReduceSum", power, np.array([1]), keepdims=1)
    return n("Mul", n("Reciprocal", total), power) if product else n("Div", power, total)


def total(n, x):
    return n("ReduceSum", x, np.array([1]), keepdims=1)


def shares(n, x, below):
    return n("Div", x, below(x))


def stacked(n, z):
    return n("Concat", *[n("Unsqueeze", soft(n, z), np.array([0])) for z in (z, n("Neg", z))], axis=0)


def steps(n, z):
    """Of P(class > k), which fall with k, the P(class = k)."""
    score = n("Slice", z, np.array([0]), np.array([1]), np.array([1]))
    falling = n("Sigmoid", n("Add", score, np.float32([2, 1, 0, -1])))
    row = n("Mul", score, np.float32(0))
    return n("Sub", n("Concat", n("Add", row, one(1)), falling, axis=1), n("Concat", falling, row, axis=1))


def stable(n, z):
    power = n("Exp", n("Neg", n("Abs", z)))
    below = n("Add", power, one(1))
    return n("Where", n("GreaterOrEqual", z, np.float32(0)), n("Div", one(1), below), n("Div", power, below))


def log_spelled(n, z, form="sum"):
    if form == "together":
        return n("Sub", z, n("ReduceLogSumExp", z, axes=[1], keepdims=1))
    if form == "shifted":
        most = n("ReduceMax", z, axes=[1], keepdims=1)
        total = n("ReduceSum", n("Exp", n("Sub", z, most)), np.array([1]), keepdims=1)
        return n("Sub", z, n("Add", n("Log", total), most))
    return n("Sub", z, n("Log", n("ReduceSum", n("Exp", z), np.array([1]), keepdims=1)))


def logistic(n, z, ones=np.float32(1), form="division"):
    if form == "other":
        power = n("Exp", z)
        return n("Div", power, n("Add", power, np.asarray(ones)))
    negative = n("Mul", z, np.float32([-1])) if form == "product" else n("Neg", z)
    below = n("Add", np.asarray(ones), n("Exp", negative))
    return n("Reciprocal", below) if form == "reciprocal" else n("Div", np.asarray(ones), below)


def cast(n, value, kind):
    name = f"cast{len(n.nodes)}"
    n.nodes.append(helper.make_node("Cast", [value], [name], to=kind))
    return name


def quantised(n, value):
    steps = n("QuantizeLinear", value, np.float32(1 / 255), np.uint8(0))
    return n("DequantizeLinear", steps, np.float32(1 / 255), np.uint8(0))


def sliced(n, value):
    return n("Slice", value, np.array([1]), np.array([4]), np.array([1]))


PROBABILITIES = {
    "softmax": soft,
    "identity": behind(soft, ("Identity", (), {}), ("Identity", (), {})),
    "cast": lambda n, z: cast(n, cast(n, soft(n, z), TensorProto.DOUBLE), TensorProto.FLOAT),
    "reshape": behind(soft, ("Reshape", (np.array([-1, CLASSES]),), {})),
    "moved": behind(soft, ("Unsqueeze", (np.array([2]),), {}), ("Transpose", (), {"perm": [0, 2, 1]}),
                    ("Squeeze", (np.array([1]),), {}), ("Flatten", (), {})),
    "clip": behind(soft, ("Clip", (np.float32(1e-7), np.float32(1)), {})),
    "dropout": behind(soft, ("Dropout", (), {})),
    "q-dq": lambda n, z: quantised(n, soft(n, z)),
    "spelled out": spelled,
    "spelled out, shifted": lambda n, z: spelled(n, z, shift=True),
    "spelled out, reciprocal": lambda n, z: spelled(n, z, product=True),
    "exp of log-softmax": lambda n, z: n("Exp", n("LogSoftmax", z, axis=1)),
    "exp of its spelling": lambda n, z: n("Exp", log_spelled(n, z)),
    "a mean of two": lambda n, z: n("Mul", n("Add", soft(n, z), soft(n, n("Neg", z))), np.float32(0.5)),
    "a mean of two, stacked": lambda n, z: n(
        "Mul", n("ReduceSum", stacked(n, z), np.array([0]), keepdims=0), np.float32(0.5)),
    "a weighted mean": lambda n, z: n("Add", n("Mul", soft(n, z), np.float32(0.3)),
                                      n("Mul", soft(n, n("Neg", z)), np.float32(0.7))),
    "times 1, plus 0": lambda n, z: n(
        "Div", n("Add", n("Mul", soft(n, z), one(CLASSES)), np.zeros(CLASSES, np.float32)), np.float32(1)),
    "within bounds": lambda n, z: n("Min", n("Max", soft(n, z), np.float32(1e-7)), np.float32(1)),
    "rectified": lambda n, z: n("Relu", n("Abs", soft(n, z))),
    "of transposed logits": lambda n, z: n(
        "Transpose", n("Softmax", n("Transpose", z, perm=[1, 0]), axis=0), perm=[1, 0]),
    "in another order": lambda n, z: n("Gather", soft(n, z), np.array([4, 3, 0, 1, 2]), axis=1),
    "shifted by a sum": lambda n, z: spelled(n, n("Add", z, n("Neg", n("ReduceMax", z, axes=[1], keepdims=1)))),
    "shifted by its mean": lambda n, z: spelled(n, n("Sub", z, n("ReduceMean", z, axes=[1], keepdims=1))),
    "shifted by the first of TopK": lambda n, z: spelled(
        n, n("Sub", z, n("TopK", z, np.array([1]), axis=1, outputs=2))),
    "sums by a product": lambda n, z: shares(n, n("Exp", z), lambda e: n("MatMul", e, one(CLASSES, 1))),
    "sums and a little": lambda n, z: shares(n, n("Exp", z), lambda e: n("Add", total(n, e), np.float32(1e-9))),
    "sums that are not 0": lambda n, z: shares(n, n("Exp", z), lambda e: n("Clip", total(n, e), np.float32(1e-12))),
    "power of e": lambda n, z: shares(n, n("Pow", np.float32(np.e), z), lambda e: total(n, e)),
    "LpNormalization": lambda n, z: n("LpNormalization", n("Exp", z), p=1, axis=1),
    "sigmoids, normalised": lambda n, z: shares(n, n("Sigmoid", z), lambda e: total(n, e)),
    "evidence": lambda n, z: shares(n, n("Add", n("Softplus", z), np.float32(1)), lambda e: total(n, e)),
    "geometric mean, normalised": lambda n, z: shares(
        n, n("Sqrt", n("Mul", soft(n, z), soft(n, n("Neg", z)))), lambda e: total(n, e)),
    "mixed classes": lambda n, z: n("MatMul", soft(n, z), softmax(np.eye(CLASSES) * 3).astype(np.float32)),
    "smoothed": lambda n, z: n("Add", n("Mul", soft(n, z), np.float32(0.9)), np.float32(0.1 / CLASSES)),
    "differences of what falls": lambda n, z: steps(n, z),
    "the largest": lambda n, z: n("Hardmax", z, axis=1),
    "the largest, marked": lambda n, z: n(
        "OneHot", n("ArgMax", z, axis=1, keepdims=0), np.array(CLASSES), np.float32([0, 1])),
}
INDEPENDENT = {
    "sigmoid": lambda n, z: n("Sigmoid", z),
    "hard sigmoid": lambda n, z: n("HardSigmoid", z),
    "clip": lambda n, z: n("Clip", n("Sigmoid", z), np.float32(0), np.float32(1)),
    "spelled out": logistic,
    "ones of other shapes": lambda n, z: logistic(n, z, one(1, CLASSES)),
    "ones of shape 1": lambda n, z: logistic(n, z, one(1), "product"),
    "reciprocal": lambda n, z: logistic(n, z, one(1, 1), "reciprocal"),
    "of e^z": lambda n, z: logistic(n, z, one(1), "other"),
    "by tanh": lambda n, z: n("Mul", n("Add", n("Tanh", n("Mul", z, np.float32(0.5))), np.float32(1)), np.float32(0.5)),
    "by tanh, divided": lambda n, z: n("Div", n("Add", one(1), n("Tanh", n("Div", z, np.float32(2)))), np.float32(2)),
    "without overflow": lambda n, z: stable(n, z),
    "what the opposite leaves": lambda n, z: n("Sub", one(1), n("Sigmoid", n("Neg", z))),
    "complementary log-log": lambda n, z: n("Sub", one(1), n("Exp", n("Neg", n("Exp", z)))),
    "any of three": lambda n, z: n("Sub", one(1), n("ReduceProd", n("Sub", one(1), n("Concat", *[
        n("Unsqueeze", n("Sigmoid", n("Mul", z, np.float32(k))), np.array([2])) for k in (0.5, 1, 2)], axis=2)),
        axes=[2], keepdims=0)),
    "yes or no": lambda n, z: cast(n, n("Greater", z, np.float32(0)), TensorProto.FLOAT),
    "a part of a softmax": lambda n, z: sliced(n, soft(n, z)),
    "rounded": lambda n, z: n("Round", n("Sigmoid", z)),
}
LOGARITHMS = {
    "of a sigmoid": lambda n, z: n("Log", n("Sigmoid", z)),
    "of a sigmoid, by softplus": lambda n, z: n("Neg", n("Softplus", n("Neg", z))),
    "of what is not 0": lambda n, z: n("Log", n("Clip", soft(n, z), np.float32(1e-7), np.float32(1))),
    "log-softmax": lambda n, z: n("LogSoftmax", z, axis=1),
    "log of softmax": lambda n, z: n("Log", soft(n, z)),
    "spelled out": log_spelled,
    "spelled out, shifted": lambda n, z: log_spelled(n, z, "shifted"),
    "with ReduceLogSumExp": lambda n, z: log_spelled(n, z, "together"),
}
LOGITS = {
    "plain": lambda n, z: n("Identity", z),
    "scaled": lambda n, z: n("Mul", z, np.float32(0.3)),
    "bounded by tanh": lambda n, z: n("Mul", n("Tanh", z), np.float32(3)),
    "rectified": lambda n, z: n("Relu", z),
}


def log_soft(n, z):
    return n("LogSoftmax", z, axis=1)


def less(n, z, form="together"):
    """log Σ exp(z) − z"""
    if form == "together":
        return n("Sub", n("ReduceLogSumExp", z, axes=[1], keepdims=1), z)
    return n("Sub", n("Log", total(n, n("Exp", z))), z)


#: Of heads that are c · log p + b: the head, c and b.
MULTIPLES = {
    "Neg": (lambda n, z: n("Neg", log_soft(n, z)), -1, 0),
    "times -1": (lambda n, z: n("Mul", log_soft(n, z), np.float32(-1)), -1, 0),
    "-1 times": (lambda n, z: n("Mul", -one(CLASSES), log_soft(n, z)), -1, 0),
    "by -1": (lambda n, z: n("Div", log_soft(n, z), np.float32(-1)), -1, 0),
    "0 less": (lambda n, z: n("Sub", np.float32(0), log_soft(n, z)), -1, 0),
    "magnitude": (lambda n, z: n("Abs", log_soft(n, z)), -1, 0),
    "of Log": (lambda n, z: n("Neg", n("Log", soft(n, z))), -1, 0),
    "of ReduceLogSumExp": (lambda n, z: n("Neg", log_spelled(n, z, "together")), -1, 0),
    "of its spelling": (lambda n, z: n("Neg", log_spelled(n, z, "shifted")), -1, 0),
    "ReduceLogSumExp less z": (less, -1, 0),
    "spelled out, less z": (lambda n, z: less(n, z, "sum"), -1, 0),
    "moved and rectified": (lambda n, z: n("Relu", n("Reshape", n("Neg", log_soft(n, z)), np.array([-1, CLASSES]))), -1, 0),
    "twice Neg": (lambda n, z: n("Neg", n("Neg", log_soft(n, z))), 1, 0),
    "twice": (lambda n, z: n("Mul", log_soft(n, z), np.float32(2)), 2, 0),
    "bits": (lambda n, z: n("Div", n("Log", soft(n, z)), np.float32(-np.log(2))), -1 / np.log(2), 0),
    "decibels": (lambda n, z: n("Mul", log_soft(n, z), np.float32(10 / np.log(10))), 10 / np.log(10), 0),
    "and a number": (lambda n, z: n("Add", log_soft(n, z), np.float32([3])), 1, 3),
    "a number less a part": (lambda n, z: n("Sub", np.float32(1), n("Mul", log_soft(n, z), np.float32(0.1))), -0.1, 1),
    "tempered": (lambda n, z: n("Neg", log_soft(n, n("Div", z, np.float32(2)))), -1, 0),
    "of a softmin": (lambda n, z: n("Neg", log_soft(n, n("Neg", z))), -1, 0),
    "of a sigmoid": (lambda n, z: n("Neg", n("Log", n("Sigmoid", z))), -1, 0),
}


def made(path, head, shape=("N", 3, 12, 10), classes=CLASSES, metadata=(), outputs=None):
    network = Network()
    y = head(network, network("Mul", network.logits("x", 3, classes), np.float32(0.2)))
    judge = network.save(path, {"x": ("float32", list(shape))}, {y: ("float32", ["N", outputs or classes])}, metadata)
    return limpid.Model(path), judge


@pytest.mark.parametrize("kind, heads", [
    ("probabilities", PROBABILITIES), ("independent_probabilities", INDEPENDENT), ("log_probabilities", LOGARITHMS),
    ("logits", LOGITS),
])
@pytest.mark.parametrize(
    "shape", [("N", 3, 12, 10), ("N", 3, "h", "w"), (3, 3, 12, 10)], ids=["fixed", "open", "batch"])
def test_kinds(tmp_path, kind, heads, shape):
    expected = {"probabilities": lambda y: y, "independent_probabilities": lambda y: y, "log_probabilities": np.exp,
                "logits": softmax}[kind]
    for name, head in heads.items():
        model, judge = made(tmp_path / "m.onnx", head, shape, outputs=3 if name == "a part of a softmax" else CLASSES)
        if name == "q-dq":  # the judge has no such old form of it
            _, judge = made(tmp_path / "soft.onnx", soft, shape)
        assert model.scores == (kind, model.outputs[0]), name
        tolerance = 3e-3 if name == "q-dq" else 2e-6
        np.testing.assert_allclose(model.classify(IMAGES), expected(judge(x=IMAGES)[0]), atol=tolerance, err_msg=name)


@pytest.mark.parametrize("shape", [("N", 3, 12, 10), ("N", 3, "h", "w"), (3, 3, 12, 10)], ids=["fixed", "open", "batch"])
def test_multiples_of_logarithms(tmp_path, shape):
    for name, (head, factor, offset) in MULTIPLES.items():
        model, judge = made(tmp_path / "m.onnx", head, shape)
        expected = (judge(x=IMAGES)[0] - offset) / factor
        assert model.scores == ("log_probabilities", model.outputs[0]), name
        np.testing.assert_allclose(model.classify(IMAGES), np.exp(expected), atol=2e-6, err_msg=name)
        if shape[0] == "N":
            assert abs(model.explain(IMAGES[:1], "grad-cam", classes=[2])[0].score - expected[0, 2]) < 1e-5, name
            assert model.explain(IMAGES[:1], "grad-cam")[0].class_index == expected[0].argmax(), name


@pytest.mark.parametrize("of", ["logit", "probability", "log-probability"])
def test_gradients_of_multiples_are_those_of_what_they_are_multiples_of(tmp_path, of):
    def gradient(head):
        return made(tmp_path / "m.onnx", head)[0].gradient(IMAGES[:1], [2], wrt="x", of=of)

    expected = gradient(log_soft)
    for name in ("Neg", "twice", "a number less a part", "ReduceLogSumExp less z"):
        np.testing.assert_allclose(gradient(MULTIPLES[name][0]), expected, rtol=1e-4, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("head, factor", [("Neg", -1), ("Mul", -100), ("Mul", 7)])
def test_multiples_of_probabilities(tmp_path, head, factor):
    model, judge = made(
        tmp_path / "m.onnx", lambda n, z: n(head, soft(n, z), *[np.float32(factor)] * (head == "Mul")))
    assert model.scores.kind == "probabilities"
    np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0] / factor, atol=2e-6)


def test_a_number_for_each_class_makes_logits_of_logarithms(tmp_path):
    for operator in ("Add", "Mul"):
        model, judge = made(
            tmp_path / "m.onnx", lambda n, z: n(operator, log_soft(n, z), np.float32([1, 2, 3, 4, 5])))
        assert model.scores.kind == "logits"
        np.testing.assert_allclose(model.classify(IMAGES), softmax(judge(x=IMAGES)[0]), atol=2e-6)


def test_equal_labels_are_no_exclusive_classes(tmp_path):
    for head in (lambda n, z: n("Concat", n("Sigmoid", z), n("Sigmoid", z), axis=1),
                 lambda n, z: n("Sigmoid", n("Concat", z, z, axis=1)),
                 lambda n, z: n("Expand", n("Sigmoid", z), np.array([1, 2]))):
        model, judge = made(tmp_path / "m.onnx", head, classes=1, outputs=2)
        assert model.scores.kind == "independent_probabilities" and model.info.class_count == 2
        np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0], atol=2e-6)


@pytest.mark.parametrize("head", [("Neg",), ("Mul", np.float32(-3))])
def test_negative_logarithms_at_positions_are_explained_as_logarithms(tmp_path, head):
    """A class over the positions of [N, classes, h, w]."""
    def gradient(*ending):
        network = Network()
        y = network("LogSoftmax", network("Conv", network.features("x", 3), network.normal(4, 6, 1, 1)), axis=1)
        if ending:
            y = network(ending[0], y, *ending[1:])
        network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", 4, 12, 10])})
        return limpid.Model(tmp_path / "m.onnx").gradient(IMAGES[:1], [2], wrt="x", output=y)

    expected = gradient()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(gradient(*head), expected, rtol=1e-5, atol=1e-7)


def test_a_softmax_over_something_else_than_classes_is_of_independent_ones(tmp_path):
    def pairs(n, z):
        return n("Reshape", n("Softmax", n("Reshape", z, np.array([-1, 3, 2])), axis=2), np.array([-1, 6]))

    model, judge = made(tmp_path / "m.onnx", pairs, classes=6)
    assert model.scores.kind == "independent_probabilities"
    np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0], atol=2e-6)


def test_the_same_where_it_is_spelled_out(tmp_path):
    def pairs(n, z):
        power = n("Exp", n("Reshape", z, np.array([-1, 3, 2])))
        return n("Reshape", n("Div", power, n("ReduceSum", power, np.array([2]), keepdims=1)), np.array([-1, 6]))

    model, judge = made(tmp_path / "m.onnx", pairs, classes=6)
    assert model.scores.kind == "independent_probabilities"
    np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0], atol=2e-6)
    why = model.explain(IMAGES[:1], "grad-cam", classes=[2], of="probability")[0]
    assert abs(why.score - judge(x=IMAGES[:1])[0][0, 2]) < 1e-6  # not the sigmoid of its logit

    def logarithms(n, z):
        apart = n("Reshape", z, np.array([-1, 3, 2]))
        return n("Reshape", n("Sub", apart, n("ReduceLogSumExp", apart, axes=[2], keepdims=1)), np.array([-1, 6]))

    model, judge = made(tmp_path / "m.onnx", logarithms, classes=6)
    assert model.scores.kind == "log_probabilities"
    why = model.explain(IMAGES[:1], "grad-cam", classes=[2], of="probability")[0]
    change = model.explain(IMAGES[:1], "occlusion", classes=[2], of="probability", window_height=12, window_width=10,
                           stride_y=12, stride_x=10)[0].grid
    lost = np.exp(judge(x=IMAGES[:1])[0][0, 2]) - np.exp(judge(x=IMAGES[:1] * 0)[0][0, 2])
    assert abs(why.score - judge(x=IMAGES[:1])[0][0, 2]) < 1e-6 and np.allclose(change, 3 * lost, atol=1e-5)


@pytest.mark.parametrize("head, kind", [(soft, "probabilities"), (INDEPENDENT["sigmoid"], "independent_probabilities")])
def test_percent_are_probabilities(tmp_path, head, kind):
    model, judge = made(tmp_path / "m.onnx", lambda n, z: n("Mul", head(n, z), np.float32(100)))
    assert model.scores == (kind, model.outputs[0])
    np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0] / 100, atol=2e-6)
    stated, judge = made(
        tmp_path / "m.onnx", lambda n, z: n("Mul", head(n, z), np.float32(100), to="y"),
        metadata={"limpid.output.y": "values"})
    np.testing.assert_allclose(stated.classify(IMAGES), judge(x=IMAGES)[0], rtol=1e-5)


def test_whole_percent_are_probabilities(tmp_path):
    for rounding in ("Round", "Floor", "Ceil"):
        model, judge = made(tmp_path / "m.onnx", lambda n, z: n(rounding, n("Mul", soft(n, z), np.float32(100))))
        assert model.scores.kind == "probabilities"
        np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0] / 100, atol=1e-2)
        np.testing.assert_allclose(model.classify(IMAGES).sum(axis=1), 1, atol=1e-5)
        assert np.abs(model.gradient(IMAGES[:1], [2], wrt="x", of="probability")).max() > 0


def test_one_unit(tmp_path):
    units = [(lambda n, z: n("Identity", z), "logits"), (lambda n, z: n("Sigmoid", z), "independent_probabilities")]
    for head, kind in units:
        model, judge = made(tmp_path / "m.onnx", head, classes=1)
        assert model.scores.kind == kind and model.info.class_count == 2
        y = judge(x=IMAGES)[0]
        p = 1 / (1 + np.exp(-y)) if kind == "logits" else y
        np.testing.assert_allclose(model.classify(IMAGES), np.hstack([1 - p, p]), atol=2e-6)


def test_a_probability_beside_what_it_leaves(tmp_path):
    def pair(n, z):
        p = n("Sigmoid", z)
        return n("Concat", n("Sub", one(1), p), p, axis=1)

    model, judge = made(tmp_path / "m.onnx", pair, classes=1, outputs=2)
    assert model.scores.kind == "probabilities"
    np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0], atol=2e-6)


def test_values_stay_as_they_are(tmp_path):
    for classes in (1, 2):
        network = Network()
        y = network.logits("x", 3, classes)
        judge = network.save(
            tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", classes])},
            {f"limpid.output.{y}": "values"})
        model = limpid.Model(tmp_path / "m.onnx")
        assert model.scores.kind == "values"
        np.testing.assert_allclose(model.classify(IMAGES), judge(x=IMAGES)[0], rtol=1e-5)


def test_an_unknown_role_is_refused(tmp_path):
    with pytest.raises(limpid.InvalidModel, match='limpid.output.y" is "probability".*log_probabilities'):
        made(tmp_path / "m.onnx", LOGITS["plain"], metadata={"limpid.output.y": "probability"})


def heads(path, metadata=(), ending=()):
    """Two heads of logits, [N, 4] and [N, 2], and a map; those in `ending` end in a softmax."""
    network = Network()
    features = network.features("x", 3)
    pooled = network("Flatten", network("GlobalAveragePool", features))
    for name, classes in (("age", 4), ("sex", 2)):
        z = network("Gemm", pooled, network.normal(6, classes))
        network("Softmax" if name in ending else "Identity", z, to=name)
    network("Sigmoid", features, to="map")
    outputs = {"map": ("float32", ["N", 6, 12, 10]), "age": ("float32", ["N", 4]), "sex": ("float32", ["N", 2])}
    judge = network.save(path, {"x": ("float32", ["N", 3, 12, 10])}, outputs, metadata)
    return limpid.Model(path), dict(zip(outputs, judge(x=IMAGES)))


class TestSeveralOutputs:
    def test_the_call_chooses(self, tmp_path):
        model, expected = heads(tmp_path / "m.onnx")
        assert model.scores is None and model.info.class_count == 0
        for name in ("age", "sex"):
            np.testing.assert_allclose(model.classify(IMAGES, output=name), softmax(expected[name]), atol=2e-6)
            for method in ("grad-cam", "saliency"):
                found = model.explain(IMAGES, method, output=name)
                assert [e.class_index for e in found] == expected[name].argmax(axis=1).tolist()
                np.testing.assert_allclose(
                    [e.score for e in found], expected[name].max(axis=1), rtol=1e-4, atol=1e-5)

    def test_unasked_it_is_refused(self, tmp_path):
        model, _ = heads(tmp_path / "m.onnx")
        words = r'several outputs.*"map" float32 \[N×6×12×10\], "age" float32 \[N×4\], "sex" float32 \[N×2\]'
        for call in (model.classify, lambda x: model.explain(x, "grad-cam")):
            with pytest.raises(limpid.LimpidError, match="age.*sex"):
                call(IMAGES)
        with pytest.raises(limpid.InvalidArgument, match=words):
            model.classify(IMAGES)
        with pytest.raises(limpid.NotFound, match='no output "ages".*"age", "sex"'):
            model.classify(IMAGES, output="ages")
        with pytest.raises(limpid.InvalidArgument, match='"map" has an extent in space: its 120 positions'):
            model.classify(IMAGES, output="map")
        with pytest.raises(limpid.InvalidArgument, match="class 2 is out of range"):
            model.explain(IMAGES, "grad-cam", 2, output="sex")

    def test_the_only_one_that_ends_in_a_softmax(self, tmp_path):
        model, expected = heads(tmp_path / "m.onnx", ending=("sex",))
        assert model.scores == ("probabilities", "sex")
        np.testing.assert_allclose(model.classify(IMAGES), expected["sex"], atol=2e-6)
        np.testing.assert_allclose(model.classify(IMAGES, output="age"), softmax(expected["age"]), atol=2e-6)

    def test_the_one_that_the_file_marks(self, tmp_path):
        model, expected = heads(tmp_path / "m.onnx", {"limpid.output.age": "logits"})
        assert model.scores == ("logits", "age")
        np.testing.assert_allclose(model.classify(IMAGES), softmax(expected["age"]), atol=2e-6)


def outputs(path, build):
    """A model with the outputs {name: extents} that `build` adds to a network, and its judge."""
    network = Network()
    made = build(network, network("Mul", network.logits("x", 3, CLASSES), np.float32(0.2)))
    shapes = {name: ("float32", ["N", *extents]) for name, extents in made.items()}
    judge = network.save(path, {"x": ("float32", ["N", 3, 12, 10])}, shapes)
    return limpid.Model(path), dict(zip(made, judge(x=IMAGES)))


def test_a_softmax_goes_before_what_lies_between_0_and_1(tmp_path):
    def build(n, z):
        n("Softmax", z, axis=1, to="p")
        n("ReduceMax", "p", axes=[1], keepdims=1, to="confidence")
        n("Clip", z, np.float32(0), np.float32(1), to="features")
        n("TopK", "p", np.array([3]), axis=1, outputs=2, to="largest")
        return {"confidence": [1], "largest": [3], "p": [CLASSES], "features": [CLASSES]}

    model, judged = outputs(tmp_path / "m.onnx", build)
    assert model.scores == ("probabilities", "p")
    np.testing.assert_allclose(model.classify(IMAGES), judged["p"], atol=2e-6)


def test_the_largest_by_rank_are_no_classes(tmp_path):
    def build(n, z):
        n("TopK", n("Softmax", z, axis=1), np.array([3]), axis=1, outputs=2, to="largest")
        return {"largest": [3]}

    model, _ = outputs(tmp_path / "m.onnx", build)
    with pytest.raises(limpid.InvalidArgument, match="by rank .TopK., not by class"):
        model.classify(IMAGES)


def branching(path, build, size=(12, 10)):
    """A model whose scores are the last of the nodes that `build` makes of logits, in a branch; and its judge."""
    network = Network()
    z = network("Mul", network.logits("x", 3, CLASSES), np.float32(0.2))
    nodes = {"then_branch": build(network, z), "else_branch": [helper.make_node("Identity", [z], ["d"])]}
    network("If", np.array(True), to="y", **{
        name: helper.make_graph(made, name, [], [
            helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, None)])
        for name, made in nodes.items()})
    judge = network.save(path, {"x": ("float32", ["N", 3, *size])}, {"y": ("float32", ["N", CLASSES])})
    return limpid.Model(path), judge


@pytest.mark.parametrize("offset, kind", [(0, "log_probabilities"), (1, "values")])
def test_negative_logarithms_inside_of_a_branch(tmp_path, offset, kind):
    model, judge = branching(tmp_path / "m.onnx", lambda network, z: [
        helper.make_node("LogSoftmax", [z], ["a"], axis=1),
        helper.make_node("Sub", [network.weight(np.float32(offset)), "a"], ["c"])])
    assert model.scores.kind == kind
    y = judge(x=IMAGES)[0]
    np.testing.assert_allclose(model.classify(IMAGES), y if offset else np.exp(-y), rtol=1e-4)


@pytest.mark.parametrize("factor", [1, 100])
@pytest.mark.parametrize("size", [(12, 10), ("h", "w")], ids=["fixed", "open"])
def test_a_softmax_inside_of_a_branch(tmp_path, factor, size):
    model, judge = branching(tmp_path / "m.onnx", lambda network, z: [
        helper.make_node("MatMul", [z, network.weight(network.normal(CLASSES, CLASSES))], ["a"]),
        helper.make_node("Softmax", ["a"], ["b"], axis=1),
        helper.make_node("Mul", ["b", network.weight(np.float32(factor))], ["c"])], size)
    assert model.scores.kind == "probabilities"
    expected = judge(x=IMAGES)[0] / factor
    np.testing.assert_allclose(model.classify(IMAGES), expected, rtol=1e-4)
    for of in ("logit", "probability"):
        found = model.explain(IMAGES[:1], "grad-cam", classes=[2], of=of)[0]
        assert np.isfinite(found.map).all() and abs(found.score - expected[0, 2]) < 1e-6
    change = model.explain(IMAGES[:1], "occlusion", classes=[2], of="probability", window_height=12, window_width=10,
                           stride_y=12, stride_x=10)[0].grid
    lost = expected[0, 2] - judge(x=IMAGES[:1] * 0)[0][0, 2] / factor
    np.testing.assert_allclose(change, 3 * lost, atol=1e-5)
