"""What of a score is explained: derivatives beside differences in double precision."""

import numpy as np
import onnx
import pytest
from networks import Network, softmax
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from test_scores import made, soft, total

import limpid

IMAGE = np.random.default_rng(3).normal(size=(1, 3, 6, 5)).astype(np.float32)
SHAPE = ("N", 3, 6, 5)


def number(value):
    return np.float32(value)


def clip(n, value, low, high):
    return n("Clip", value, number(low), number(high))


HEADS = {
    "logits": lambda n, z: n("Identity", z),
    "softmax": soft,
    "softmax, cut off": lambda n, z: clip(n, soft(n, z), 0.05, 0.3),
    "softmax of a temperature": lambda n, z: soft(n, n("Div", z, number(2.5))),
    "log-softmax": lambda n, z: n("LogSoftmax", z, axis=1),
    "sigmoid": lambda n, z: n("Sigmoid", z),
    "sigmoid, cut off": lambda n, z: clip(n, n("Sigmoid", z), 0.3, 0.6),
    "logarithm of a sigmoid": lambda n, z: n("Log", n("Sigmoid", z)),
    "hard sigmoid": lambda n, z: n("HardSigmoid", z),
    "a steeper one": lambda n, z: n("Identity", n("HardSigmoid", z, alpha=0.6, beta=0.4)),
    "one that falls": lambda n, z: n("HardSigmoid", z, alpha=-0.3, beta=0.6),
    "logarithm of a hard sigmoid": lambda n, z: n("Log", n("HardSigmoid", z, alpha=0.05)),
    "by ReLU6": lambda n, z: n("Div", clip(n, n("Add", z, number(3)), 0, 6), number(6)),
    "by tanh": lambda n, z: n("Mul", n("Add", n("Tanh", z), number(1)), number(0.5)),
    "softplus, normalised": lambda n, z: n("Div", n("Softplus", z), total(n, n("Softplus", z))),
}
PERCENT = {
    "percent of a softmax": lambda n, z: n("Mul", soft(n, z), number(100)),
    "percent of a hard sigmoid": lambda n, z: n("Mul", n("HardSigmoid", z), number(100)),
}


def double(path):
    """The model in double precision, as a function of the image."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    judge = ReferenceEvaluator(model)
    return lambda x: judge.run(None, {"x": x})[0]


def probabilities(kind, y):
    if kind == "log_probabilities":
        y = np.exp(y)
    elif kind == "logits":
        y = softmax(y) if y.size > 1 else 1 / (1 + np.exp(-y))
    return np.array([1 - y[0], y[0]]) if y.size == 1 else y


def differences(score, x, step=1e-6):
    """Of `score`, by every seventh number of `x`."""
    found = []
    for i in range(0, x.size, 7):
        change = np.zeros(x.size)
        change[i] = step
        up, down = (score(x.astype(np.float64) + sign * change.reshape(x.shape)) for sign in (1, -1))
        found.append((up - down) / (2 * step))
    return np.array(found)


@pytest.mark.parametrize("name", [*HEADS, *PERCENT])
@pytest.mark.parametrize("classes", [1, 5])
def test_the_slope_of_a_probability_is_that_of_the_head(tmp_path, name, classes):
    if classes == 1 and name in PERCENT:
        pytest.skip("a number of its own")
    model, _ = made(tmp_path / "m.onnx", {**HEADS, **PERCENT}[name], SHAPE, classes=classes)
    judge, scale = double(tmp_path / "m.onnx"), 100 if name in PERCENT else 1
    judged = 0
    for of, quantity in (("probability", lambda p: p), ("log-probability", np.log)):
        for c in range(max(2, classes)):
            with np.errstate(all="ignore"):
                expected = differences(
                    lambda x: quantity(probabilities(model.scores.kind, judge(x)[0] / scale)[c]), IMAGE)
            if not np.isfinite(expected).all():  # the logarithm of 0
                continue
            found = model.gradient(IMAGE[0], [c], wrt="x", of=of).ravel()[::7]
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max() + 1e-8, err_msg=f"{of} {c}")
            judged += 1
    assert judged >= 2


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("classes", [1, 5])
def test_images_that_were_changed_are_scored_by_the_models_own_probabilities(tmp_path, name, classes):
    model, judge = made(tmp_path / "m.onnx", HEADS[name], SHAPE, classes=classes)
    p = model.classify(IMAGE[0])
    expected = probabilities(model.scores.kind, judge(x=IMAGE)[0][0])
    np.testing.assert_allclose(p, expected, atol=2e-6)
    black = probabilities(model.scores.kind, judge(x=IMAGE * 0)[0][0])
    for c in range(len(p)):
        found = model.explain(IMAGE[0], "occlusion", classes=[c], of="probability", window_height=6, window_width=5,
                              stride_y=6, stride_x=5)[0]
        # One window, and the sum over three colours.
        np.testing.assert_allclose(found.grid, 3 * (expected[c] - black[c]), atol=6e-6)


def test_logits_that_are_broadcast_are_none(tmp_path):
    """1 / (1 + e^−z) with ones of five numbers, of one z: five scores of one logit."""
    def spread(n, z):
        return n("Div", np.ones((1, 5), np.float32), n("Add", n("Exp", n("Neg", z)), np.ones((1, 5), np.float32)))

    for head in (spread, lambda n, z: n("Mul", n("Sigmoid", z), np.ones((1, 5), np.float32)),
                 lambda n, z: n("Div", soft(n, z), np.ones((1, 5), np.float32))):
        model, judge = made(tmp_path / "m.onnx", head, SHAPE, classes=1, outputs=5)
        np.testing.assert_allclose(model.classify(IMAGE), judge(x=IMAGE)[0], atol=2e-6)
        for method in ("grad-cam", "saliency", "occlusion", "rise", "score-cam"):
            of = {"score": "probability"} if method == "rise" else {"of": "probability"}
            assert model.explain(IMAGE[0], method, classes=[4], **of)[0].map.shape == (6, 5)


def test_a_bound_of_minus_zero_has_an_inverse(tmp_path):
    model, judge = made(
        tmp_path / "m.onnx", lambda n, z: n("Reciprocal", n("Clip", n("Add", z, number(40)), number(-0.0))), SHAPE)
    assert model.scores.kind == "logits"
    np.testing.assert_allclose(model.classify(IMAGE), softmax(judge(x=IMAGE)[0]), atol=2e-6)


@pytest.mark.parametrize("factor", [100, 5])
def test_one_number_from_0_to_100_is_what_the_model_tells(tmp_path, factor):
    model, judge = made(
        tmp_path / "m.onnx", lambda n, z: n("Mul", n("Sigmoid", z), number(factor)), SHAPE, classes=1)
    assert model.scores.kind == "values"
    np.testing.assert_allclose(model.classify(IMAGE), judge(x=IMAGE)[0], rtol=1e-5)
    expected = differences(lambda x: double(tmp_path / "m.onnx")(x)[0, 0], IMAGE)
    found = model.gradient(IMAGE[0], [0], wrt="x").ravel()[::7]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_what_the_file_says_are_plain_values_are_not_followed_into_their_sigmoid(tmp_path):
    model, _ = made(tmp_path / "m.onnx", lambda n, z: n("Sigmoid", z, to="y"), SHAPE, classes=2,
                    metadata={"limpid.output.y": "values"})
    expected = differences(lambda x: double(tmp_path / "m.onnx")(x)[0, 1], IMAGE)
    found = model.gradient(IMAGE[0], [1], wrt="x").ravel()[::7]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


SPATIAL = {
    "logits": (lambda n, z: n("Identity", z, to="y"), lambda y: softmax(y.T).T),
    "softmax": (lambda n, z: n("Softmax", z, axis=1, to="y"), lambda y: y),
    "log-softmax": (lambda n, z: n("LogSoftmax", z, axis=1, to="y"), np.exp),
    "sigmoid": (lambda n, z: n("Sigmoid", z, to="y"), lambda y: y),
    "hard sigmoid": (lambda n, z: n("HardSigmoid", z, to="y"), lambda y: y),
}


@pytest.mark.parametrize("name", SPATIAL)
def test_probabilities_at_a_position_are_made_once(tmp_path, name):
    head, probability = SPATIAL[name]
    network = Network()
    head(network, network("Mul", network.features("x", 3, 4), number(0.3)))
    network.save(tmp_path / "m.onnx", {"x": ("float32", list(SHAPE))}, {"y": ("float32", ["N", 4, 6, 5])})
    model, judge = limpid.Model(tmp_path / "m.onnx"), double(tmp_path / "m.onnx")
    mask = np.zeros((6, 5), np.float32)
    mask[2, 3] = 1
    expected = differences(lambda x: probability(judge(x)[0, :, 2, 3])[1], IMAGE)
    found = model.gradient(IMAGE[0], [1], wrt="x", of="probability", output="y", draws={"mask": mask}).ravel()[::7]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())
