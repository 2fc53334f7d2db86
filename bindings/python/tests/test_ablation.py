"""Ablation-CAM behind whose layer a product with a known matrix comes: of each channel only what it changes is computed.
NumPy runs the tail for every channel."""

import limpid
import numpy as np
import pytest
from networks import Network

MAPS, SIDE, HIDDEN, CLASSES = 11, 5, 13, 4


def gemm(network, x, weights, bias, transposed, alpha=1.0):
    return network("Gemm", x, weights.T.copy() if transposed else weights, bias, transB=int(transposed), alpha=alpha)


class Tail:
    """Pooled or not, one layer or two, as Gemm or MatMul; `run` is the judge."""

    def __init__(self, path, pooled, layers, form):
        n = Network(seed=5)
        depth = MAPS if pooled else MAPS * SIDE * SIDE
        maps = n("Relu", n("Conv", "x", n.normal(MAPS, 3, 3, 3), n.normal(MAPS), pads=[1, 1, 1, 1]), to="maps")
        flat = n("Flatten", n("GlobalAveragePool", maps)) if pooled else n(
            "Reshape", maps, np.array([-1, depth], np.int64))
        self.pooled, self.steps, value = pooled, [], flat
        for i in range(layers):
            rows, columns = (depth if i == 0 else HIDDEN), (CLASSES if i == layers - 1 else HIDDEN)
            weights, bias, alpha = n.normal(rows, columns), n.normal(columns), 0.5 if form == "scaled" else 1.0
            if form == "matmul":
                value = n("Add", n("MatMul", value, weights), bias)
            else:
                value = gemm(n, value, weights, bias, form != "plain", alpha)
            if i < layers - 1:
                value = n("Relu", value)
            self.steps.append((weights.astype(np.float64) * alpha, bias.astype(np.float64)))
        n.save(path, {"x": ("float32", ["N", 3, SIDE, SIDE])}, {value: ("float32", ["N", CLASSES])})
        self.model = limpid.Model(path)

    def run(self, maps):
        value = maps.mean(axis=(2, 3)) if self.pooled else maps.reshape(len(maps), -1)
        for i, (weights, bias) in enumerate(self.steps):
            value = value @ weights + bias
            if i < len(self.steps) - 1:
                value = np.maximum(value, 0)
        return value


@pytest.mark.parametrize("form", ["plain", "transposed", "scaled", "matmul"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("pooled", [True, False])
def test_weights_are_those_of_whole_tails(pooled, layers, form, tmp_path):
    tail = Tail(tmp_path / "model.onnx", pooled, layers, form)
    x = np.random.default_rng(2).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    maps = tail.model.fetch(x, ["maps"])["maps"].astype(np.float64)
    forms = np.repeat(maps, MAPS, axis=0)
    forms[np.arange(MAPS), np.arange(MAPS)] = 0
    scores = np.concatenate([tail.run(maps), tail.run(forms)])
    for threads in (1, 2):
        model = limpid.Model(tmp_path / "model.onnx", threads=threads)
        for k, found in enumerate(model.explain(x[0], "ablation-cam", list(range(CLASSES)))):
            expected = (scores[0, k] - scores[1:, k]) / abs(scores[0, k])
            np.testing.assert_allclose(found.details["weights"], expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


class Classifier:
    """As VGG's: maps, flattened, and three fully connected layers, wider than a panel of weights; `run` is the judge."""

    WIDTHS = (SIDE * SIDE * MAPS, 150, 70, 21)

    def __init__(self, path, form, activation="Relu", dead=()):
        n = Network(seed=8)
        bias = n.normal(MAPS)
        bias[list(dead)] = -100
        maps = n("Relu", n("Conv", "x", n.normal(MAPS, 3, 3, 3), bias, pads=[1, 1, 1, 1]), to="maps")
        value, self.steps, self.activation = n("Flatten", maps), [], activation
        for i, (rows, columns) in enumerate(zip(self.WIDTHS, self.WIDTHS[1:])):
            weights, bias = n.normal(rows, columns) / np.float32(rows**0.5), n.normal(columns)
            if form == "matmul":
                value = n("Identity", n("Add", bias, n("MatMul", value, weights)))
            else:
                value = gemm(n, value, weights, bias, form == "transposed")
            if i < 2:
                value = n(activation, value)
            self.steps.append((weights.astype(np.float64), bias.astype(np.float64)))
        n.save(path, {"x": ("float32", ["N", 3, SIDE, SIDE])}, {value: ("float32", ["N", self.WIDTHS[-1]])})

    def run(self, maps):
        value = maps.reshape(len(maps), -1)
        for i, (weights, bias) in enumerate(self.steps):
            value = value @ weights + bias
            if i < 2:
                value = np.tanh(value) if self.activation == "Tanh" else np.maximum(value, 0)
        return value


@pytest.mark.parametrize("activation", ["Relu", "Tanh"])
@pytest.mark.parametrize("form", ["plain", "transposed", "matmul"])
def test_fully_connected_layers_up_to_the_scores(form, activation, tmp_path):
    """One class alone, all of them, and by probability; channels that are 0 everywhere weigh exactly nothing."""
    dead = (2, MAPS - 1)
    net = Classifier(tmp_path / "model.onnx", form, activation, dead)
    x = np.random.default_rng(4).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    maps = limpid.Model(tmp_path / "model.onnx").fetch(x, ["maps"])["maps"].astype(np.float64)
    forms = np.repeat(maps, MAPS, axis=0)
    forms[np.arange(MAPS), np.arange(MAPS)] = 0
    whole, parts = net.run(maps)[0], net.run(forms)

    def softmax(z):
        powers = np.exp(z - z.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    found = {}
    for threads in (1, 2, 3):
        for batch in (0, 1, 4):
            model = limpid.Model(tmp_path / "model.onnx", threads=threads)
            for of, scores in (("logit", lambda z: z), ("probability", softmax)):
                maps = model.explain(x[0], "ablation-cam", [20, 3, 20], of=of, batch_size=batch)
                weights = np.array([one.details["weights"] for one in maps])
                y, changed = scores(whole)[[20, 3, 20]], scores(parts)[:, [20, 3, 20]]
                expected = ((y - changed) / abs(y)).T
                np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=2e-5 * abs(expected).max())
                assert not weights[:, dead].any()
                assert (found.setdefault(of, weights) == weights).all()


def test_infinite_elements_run_through_whole_tails(tmp_path):
    """A difference of infinities is none; whole sums of the other channels are."""
    tail = Tail(tmp_path / "model.onnx", True, 1, "plain")
    x = np.full((1, 3, SIDE, SIDE), 3e38, np.float32)
    with np.errstate(all="ignore"):
        maps = tail.model.fetch(x, ["maps"])["maps"]
        assert np.isinf(maps).any()
        weights = tail.model.explain(x[0], "ablation-cam", [1])[0].details["weights"]
    assert weights.shape == (MAPS,)
