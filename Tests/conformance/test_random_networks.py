"""Networks drawn at random, of what image classifiers are made of, against ONNX Runtime: what is fused, joined or run by
bands and regions must not show. The same bits by any number of threads, and for an image in any batch."""

import limpid
import numpy as np
import onnxruntime
import pytest
from test_fusion import Builder

SEEDS = range(40)


class Network(Builder):
    """Grows from "x", [1, 3, height, width]; `past` has every map and its shape [channels, height, width]."""

    def __init__(self, seed, sides):
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.sides = [int(side) for side in self.random.integers(*sides, 2)]
        self.value, self.shape, self.past = "x", [3, *self.sides], []
        self.convolve(int(self.random.choice([4, 8, 16, 24, 32])), 3, int(self.random.integers(1, 3)))
        for _ in range(self.random.integers(3, 9)):
            self.grow()

    def convolve(self, channels, side, stride, groups=1, pads=None, dilation=1):
        pads = pads or [side // 2] * 4
        extents = [
            (extent + pads[i] + pads[i + 2] - dilation * (side - 1) - 1) // stride + 1
            for i, extent in enumerate(self.shape[1:])]
        if min(extents) < 1:
            return
        weights = [self.weights(channels, self.shape[0] // groups, side, side)]
        bias = [self.weights(channels)] if self.random.random() < 0.7 else []
        made = self("Conv", self.value, *weights, *bias, strides=[stride] * 2, pads=pads, group=groups,
                    dilations=[dilation] * 2)
        self.keep(made, [channels, *extents])

    def keep(self, value, shape):
        self.value, self.shape = self.activated(value), shape
        self.past.append((self.value, shape))

    def activated(self, value):
        kind = self.random.choice(["Relu", "Clip", "HardSwish", "SiLU", "LeakyRelu", "none"])
        if kind == "SiLU":
            return self("Mul", value, self("Sigmoid", value))
        bounds = [self.constant(0), self.constant(6)] if kind == "Clip" else []
        return value if kind == "none" else self(kind, value, *bounds)

    def grow(self):
        channels, height, width = self.shape
        kinds = {"1x1": 0.3, "depthwise": 0.35, "3x3": 0.1, "normalize": 0.05, "pool": 0.05, "add": 0.15}
        kind = self.random.choice(list(kinds), p=list(kinds.values()))
        stride = int(self.random.choice([1, 1, 1, 2]))
        if kind == "1x1":
            self.convolve(int(self.random.choice([8, 13, 16, 32, 48, 96])), 1, stride)
        elif kind == "depthwise":
            side = int(self.random.choice([3, 3, 5, 7]))
            uneven = [int(pad) for pad in self.random.integers(0, side // 2 + 1, 4)]
            self.convolve(
                channels, side, stride, groups=channels, pads=uneven if self.random.random() < 0.3 else None,
                dilation=int(self.random.choice([1, 1, 1, 2])))
        elif kind == "3x3":
            self.convolve(channels, 3, 1)
        elif kind == "normalize":
            scales = [self.constant(self.random.uniform(0.5, 1.5, channels)) for _ in range(4)]
            self.keep(self("BatchNormalization", self.value, *scales), self.shape)
        elif kind == "pool" and min(height, width) > 4:
            pool = str(self.random.choice(["MaxPool", "AveragePool"]))
            made = self(pool, self.value, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
            self.keep(made, [channels, (height - 1) // 2 + 1, (width - 1) // 2 + 1])
        elif kind == "add":
            others = [value for value, shape in self.past[:-1] if shape == self.shape and value != self.value]
            if others:
                terms = self.random.permutation([self.value, str(self.random.choice(others))])
                self.keep(self("Add", *map(str, terms)), self.shape)


def close(found, expected, tolerance):
    return np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


# Maps that fit into a core's cache, and those that do not.
@pytest.mark.parametrize("sides", [(24, 90), (110, 260)])
@pytest.mark.parametrize("seed", SEEDS)
def test_values(seed, sides):
    network = Network(seed, sides)
    # The last map, and some in between that must be kept for it.
    names = sorted({network.value, *(value for value, _ in network.past if network.random.random() < 0.1)})
    x = np.random.default_rng(1).standard_normal((3, 3, *network.sides)).astype(np.float32)
    model = network.model(["n", 3, "h", "w"], *names)
    judge = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = dict(zip(names, judge.run(list(names), {"x": x})))
    found = [limpid.Model(model, threads=threads).run({"x": x}, list(names)) for threads in (1, 2, 3)]
    single = limpid.Model(model).run({"x": x[1:2]}, list(names))
    for name in names:
        assert close(found[0][name], expected[name], 1e-5)
        for other in found[1:]:
            np.testing.assert_array_equal(found[0][name], other[name])
        np.testing.assert_array_equal(found[0][name][1:2], single[name])


@pytest.mark.parametrize("seed", SEEDS)
def test_occlusion(seed):
    network = Network(seed, (24, 90))
    pooled = network("Flatten", network("GlobalAveragePool", network.value))
    scores = network("Gemm", pooled, network.weights(network.shape[0], 5), network.weights(5))
    model = network.model(["n", 3, *network.sides], scores)
    x = np.random.default_rng(1).standard_normal((1, 3, *network.sides)).astype(np.float32)
    window = [int(network.random.integers(3, side // 2)) for side in network.sides]
    stride = [int(network.random.integers(max(1, side // 3), side + 1)) for side in window]
    # A window begins while the one before has not reached the border.
    rows, columns = (
        range(0, max(1, side - extent + step), step) for side, extent, step in zip(network.sides, window, stride))
    places = [(slice(i, i + window[0]), slice(j, j + window[1])) for i in rows for j in columns]
    covered = np.repeat(x, len(places), 0)
    for image, (down, across) in zip(covered, places):
        image[:, down, across] = 0.5
    found = limpid.Model(model)
    whole = found.run({"x": x})[scores][0, 2]
    lost = whole - found.run({"x": covered})[scores][:, 2].astype(np.float64)
    total, count = np.zeros(network.sides), np.zeros(network.sides)
    for change, place in zip(lost, places):
        total[place] += change
        count[place] += 1
    explanation, = found.explain(
        x, "occlusion", [2], window_height=window[0], window_width=window[1], stride_y=stride[0], stride_x=stride[1],
        value=0.5, of="logit")
    # Both differ from whole runs by rounding, of scores that may be small beside what they are the sum of.
    scale = max(abs(whole), np.abs(lost).max(), 0.01)
    assert np.abs(explanation.details["attribution"][0] - total / count).max() < 1e-5 * scale
