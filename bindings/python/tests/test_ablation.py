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


def test_infinite_elements_run_through_whole_tails(tmp_path):
    """A difference of infinities is none; whole sums of the other channels are."""
    tail = Tail(tmp_path / "model.onnx", True, 1, "plain")
    x = np.full((1, 3, SIDE, SIDE), 3e38, np.float32)
    with np.errstate(all="ignore"):
        maps = tail.model.fetch(x, ["maps"])["maps"]
        assert np.isinf(maps).any()
        weights = tail.model.explain(x[0], "ablation-cam", [1])[0].details["weights"]
    assert weights.shape == (MAPS,)
