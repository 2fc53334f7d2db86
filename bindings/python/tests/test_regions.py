"""Occlusion computes again only what a window reaches: the same bits as runs of the whole images, whose
convolutions are summed directly."""

from typing import NamedTuple

import limpid
import numpy as np
import pytest
from networks import Network

SIDE = 40


class Changed(NamedTuple):
    """A value of a form, the same of the image, and the rows and columns where they may differ; None where everywhere."""

    form: str
    image: str
    rows: object = None
    columns: object = None


class Judge(Network):
    """Runs whole layers, of forms and of their image: where a window does not reach, a convolution's result is the
    image's."""

    def __call__(self, operator, *inputs, to=None, **attributes):
        inputs = [Changed("x", "image", "rows", "columns") if i == "x" else i for i in map(self.named, inputs)]
        changed = [i for i in inputs if isinstance(i, Changed)]
        if not changed:
            return self.add(operator, *inputs, to=to, **attributes)
        form = self.add(operator, *(getattr(i, "form", i) for i in inputs), to=to, **attributes)
        image = self.add(operator, *(getattr(i, "image", i) for i in inputs), **attributes)
        if operator == "GlobalAveragePool" or None in (i.rows for i in changed):
            return Changed(form, image)
        rows, columns = (self.add("Max", *axis) for axis in list(zip(*changed))[2:])
        if "kernel_shape" in attributes:
            rows, columns = self.reached(rows, 0, **attributes), self.reached(columns, 1, **attributes)
        if operator == "Conv":
            form = self.add("Where", self.add("Greater", self.add("Min", rows, columns), np.float32(0)), form, image)
        return Changed(form, image, rows, columns)

    def named(self, x):
        return self.weight(x) if isinstance(x, (np.ndarray, np.generic)) else x

    def add(self, operator, *inputs, **attributes):
        return super().__call__(operator, *inputs, **attributes)

    def reached(self, values, axis, kernel_shape, strides, pads=(0,) * 4, dilations=(1, 1), ceil_mode=0, **_):
        """Of one axis: 1 where a window has a 1."""
        def along(pair, other):
            return [pair[k] if k == axis else other for k in (0, 1)]

        begin, end = pads[axis], pads[axis + 2]
        padded = self.add("Pad", values, np.array([0, 0, *along([begin] * 2, 0), 0, 0, *along([end] * 2, 0)]))
        return self.add(
            "MaxPool", padded, kernel_shape=along(kernel_shape, 1), strides=along(strides, 1),
            dilations=along(dilations, 1), ceil_mode=ceil_mode)


def convolution(network, x, inputs, outputs, size=3, stride=1, pads=None, group=1, dilation=1):
    weights = network.normal(outputs, inputs // group, size, size) / np.float32(size * np.sqrt(inputs / group))
    return network(
        "Conv", x, weights, network.normal(outputs), kernel_shape=[size] * 2, strides=[stride] * 2,
        pads=pads or [size // 2 * dilation] * 4, group=group, dilations=[dilation] * 2)


def stem(network, maps=32, stride=2):
    return network("Relu", convolution(network, "x", 3, maps, 3, stride))


def residuals(n):
    x = stem(n)
    for _ in range(2):
        y = n("Relu", convolution(n, x, 32, 32))
        x = n("Relu", n("Add", convolution(n, y, 32, 32), x))
    narrow = convolution(n, x, 32, 48, 1, 2, [0] * 4)
    return n("Relu", n("Add", narrow, convolution(n, x, 32, 48, 3, 2))), 48


def small(n):
    """Windows at the border of maps of 5×5 leave out what lies in the padding."""
    x = n("Relu", convolution(n, stem(n, 32, 4), 32, 64, 3, 2))
    y = n("Relu", convolution(n, x, 64, 64))
    return n("Relu", n("Add", convolution(n, y, 64, 64), x)), 64


def low(n):
    """Patches of two rows."""
    x = stem(n, stride=3)
    x = n("Relu", n("Add", convolution(n, convolution(n, x, 32, 48), 48, 32), x))
    return n("Relu", convolution(n, convolution(n, x, 32, 33, pads=[1, 0, 0, 1]), 33, 40)), 40


def wide(n):
    """Rows of a kernel over few channels are taps, of whole maps and of regions, several to a run."""
    x = n("Relu", convolution(n, "x", 3, 40, 7, 2))
    return n("Relu", convolution(n, n("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2]), 40, 24, 1, pads=[0] * 4)), 24


def cut(n):
    """Patches that the border cuts, and sides of different lengths."""
    x = n("Relu", convolution(n, "x", 3, 32, 5, 1, [2, 0, 1, 3]))
    x = n("HardSwish", convolution(n, x, 32, 40, pads=[0, 2, 2, 0]))
    x = n("Relu", convolution(n, x, 40, 32, pads=[0] * 4))
    return convolution(n, n("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 32, 34, pads=[1, 1, 0, 0]), 34


def pools(n):
    x = n("MaxPool", stem(n), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = n("AveragePool", x, kernel_shape=[3, 2], strides=[1, 1], pads=[1, 0, 1, 1], count_include_pad=1)
    z = n("AveragePool", x, kernel_shape=[2, 3], strides=[1, 1], pads=[0, 1, 1, 1], ceil_mode=1)
    return n("Concat", y, z, x, axis=1), 96


def dilated(n):
    x = convolution(n, stem(n), 32, 32, dilation=2)
    return n("LeakyRelu", convolution(n, x, 32, 24, 3, 2, [0, 2, 1, 3], dilation=3), alpha=0.1), 24


def depthwise(n):
    x = n("Clip", convolution(n, stem(n), 32, 32, 5, 2, group=32), np.float32(0), np.float32(6))
    x = convolution(n, x, 32, 64, 1, pads=[0] * 4)
    return n("HardSwish", convolution(n, x, 64, 64, group=64)), 64


def grouped(n):
    x = n("PRelu", convolution(n, stem(n), 32, 64, group=2), n.normal(64, 1, 1))
    return convolution(n, x, 64, 64, group=4), 64


def gated(n):
    x = stem(n)
    y = convolution(n, x, 32, 32)
    return n("Mul", n("Sub", y, x), n("Sigmoid", convolution(n, x, 32, 32, 1, pads=[0] * 4))), 32


def normalised(n):
    x = n("Concat", stem(n), n("Relu", convolution(n, "x", 3, 32, 5, 2)), axis=1)
    scale, variance = (np.abs(n.normal(64)) + np.float32(0.5) for _ in range(2))
    x = n("Relu", n("BatchNormalization", x, scale, n.normal(64), n.normal(64), variance))
    return convolution(n, x, 64, 40), 40


def excited(n):
    """Squeeze and excitation: what comes after it changes everywhere."""
    x = stem(n)
    for _ in range(3):
        x = n("Relu", convolution(n, x, 32, 32))
    factor = n("Sigmoid", convolution(n, n("GlobalAveragePool", x), 32, 32, 1, pads=[0] * 4))
    return convolution(n, n("Mul", x, factor), 32, 16, 1, 2, [0] * 4), 16


def read_twice(n):
    """The rest reads an inner value too, and the image."""
    x = stem(n)
    y = convolution(n, n("Relu", convolution(n, x, 32, 32)), 32, 32, 3, 2)
    parts = [n("GlobalAveragePool", part) for part in (x, y, "x")]
    return n("Concat", *parts, axis=1), 67


BODIES = [residuals, small, low, wide, cut, pools, dilated, depthwise, grouped, gated, normalised, excited, read_twice]
WINDOWS = [(5, 5, 5, 5), (7, 3, 4, 3), (1, 11, 1, 9), (13, 4, 11, 2)]


def made(body, path, kind=Network):
    network = kind(seed=3)
    maps, channels = body(network)
    pooled = network("Flatten", network("GlobalAveragePool", maps))
    network("Gemm", pooled, network.normal(channels, 6), network.normal(6), to="y")
    inputs = {"x": ("float32", ["n", 3, SIDE, SIDE])}
    if kind is Judge:
        inputs |= {"image": inputs["x"], "rows": ("float32", ["n", 1, SIDE, 1]),
                   "columns": ("float32", ["n", 1, 1, SIDE])}
    network.save(path, inputs, {"y": ("float32", ["n", 6])})
    return limpid.Model(path)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(5).normal(size=(3, SIDE, SIDE)).astype(np.float32)


def places(height, width, stride_y, stride_x):
    rows, columns = (-(-(SIDE - size) // stride) + 1 for size, stride in ((height, stride_y), (width, stride_x)))
    return [(slice(i * stride_y, i * stride_y + height), slice(k * stride_x, k * stride_x + width))
            for i in range(rows) for k in range(columns)]


def forms(image, windows, value):
    result = np.stack([image] * len(windows))
    for form, window in zip(result, windows):
        form[(slice(None), *window)] = value
    return result


def judged(judge, image, given, windows):
    """The scores of forms by whole layers."""
    masks = forms(np.zeros((1, SIDE, SIDE), np.float32), windows, 1)
    feeds = {"x": given, "image": np.stack([image] * len(windows)), "rows": masks.max(3, keepdims=True),
             "columns": masks.max(2, keepdims=True)}
    return np.concatenate([judge.run({n: v[i:i + 8] for n, v in feeds.items()}, ["y"])["y"]
                           for i in range(0, len(windows), 8)])


def attribution(whole, scores, windows):
    sums, counts = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for window, score in zip(windows, scores.astype(np.float64)):
        sums[window] += np.float64(whole) - score
        counts[window] += 1
    return (sums / counts).astype(np.float32)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_bits_are_those_of_whole_layers(body, window, image, tmp_path):
    model, judge = made(body, tmp_path / "model.onnx"), made(body, tmp_path / "judge.onnx", Judge)
    settings = dict(zip(("window_height", "window_width", "stride_y", "stride_x"), window))
    found = model.explain(image, "occlusion", [2], value=0.5, batch_size=5, threads=1, **settings)[0]
    windows = places(*window)
    given = forms(image, windows, 0.5)
    whole = model.fetch(image[None], ["y"])["y"][0]
    expected = attribution(whole[2], judged(judge, image, given, windows)[:, 2], windows)
    np.testing.assert_array_equal(found.details["attribution"], np.stack([expected] * 3))
    # Whole runs differ by rounding.
    close = attribution(whole[2], model.fetch(given, ["y"], batch_size=8)["y"][:, 2], windows)
    np.testing.assert_allclose(found.details["attribution"][0], close, rtol=0, atol=3e-6 * np.abs(whole).max())
    again = model.explain(image, "occlusion", [2], value=0.5, batch_size=3, threads=2, **settings)[0]
    np.testing.assert_array_equal(found.grid, again.grid)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_covering_with_what_is_there_changes_nothing(body, image, tmp_path):
    model = made(body, tmp_path / "model.onnx")
    found = model.explain(
        image, "occlusion", [1], draws={"baseline": image}, window_height=5, window_width=7, stride_y=5, stride_x=4)
    np.testing.assert_array_equal(found[0].details["attribution"], np.zeros((3, SIDE, SIDE)))


def test_one_colour_at_a_time(image, tmp_path):
    model = made(residuals, tmp_path / "model.onnx")
    found = model.explain(image, "occlusion", [1], window_height=8, window_width=8, window_channels=1)[0]
    covered = image.copy()
    covered[1, :8, :8] = 0
    scores = judged(
        made(residuals, tmp_path / "judge.onnx", Judge), image, covered[None], [(slice(8), slice(8))])[:, 1]
    whole = model.fetch(image[None], ["y"])["y"][0, 1]
    # Its first four pixels each way are under no other window.
    assert found.details["attribution"][1, 0, 0] == np.float32(np.float64(whole) - np.float64(scores[0]))


def test_it_can_be_stopped_at_every_step(image, tmp_path):
    model = made(residuals, tmp_path / "model.onnx")
    calls = []
    model.explain(image, "occlusion", [0], progress=lambda done, total: calls.append(done / total) or True)
    assert calls == sorted(calls) and calls[-1] == 1 and len(calls) > 100
    for stop in (1, len(calls) // 3, len(calls) - 2):
        count = 0

        def until(done, total):
            nonlocal count
            count += 1
            return count < stop

        with pytest.raises(limpid.Cancelled):
            model.explain(image, "occlusion", [0], progress=until)
        assert count == stop


def test_a_batch_of_one_in_the_graph(image, tmp_path):
    network = Network(seed=3)
    maps, channels = residuals(network)
    flat = network("Reshape", network("GlobalAveragePool", maps), np.array([1, channels]))
    network("Gemm", flat, network.normal(channels, 6), network.normal(6), to="y")
    network.save(tmp_path / "one.onnx", {"x": ("float32", ["n", 3, SIDE, SIDE])}, {"y": ("float32", ["n", 6])})
    found = limpid.Model(tmp_path / "one.onnx").explain(image, "occlusion", [2])[0]
    expected = made(residuals, tmp_path / "model.onnx").explain(image, "occlusion", [2])[0]
    np.testing.assert_array_equal(found.grid, expected.grid)


def channel_bodies():
    def last(network, kind):
        x = stem(network)
        x = network("Relu", convolution(network, x, 32, 16, 3, 2))
        if kind == "pool":
            return network("Flatten", network("GlobalAveragePool", network("LeakyRelu", x, alpha=0.2)))
        if kind == "mean":
            pooled = network("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
            return network("ReduceMean", pooled, axes=[2, 3], keepdims=0)
        small = network("AveragePool", x, kernel_shape=[5, 5], strides=[5, 5])
        return network("Flatten", small)

    return {"pool": (last, 16), "mean": (last, 16), "cells": (last, 64)}


@pytest.mark.parametrize("kind", ["pool", "mean", "cells"])
def test_channels_that_are_ablated_are_run_by_themselves(kind, image, tmp_path):
    """Ablation-CAM beside runs of the whole tail: each channel of the layer set to 0 by a factor that is fed."""
    network = Network(seed=4)
    make, width = channel_bodies()[kind]
    network("Gemm", make(network, kind), network.normal(width, 5), network.normal(5), to="y")
    layer = next(node.output[0] for node in network.nodes[2:] if node.op_type == "Relu")
    network.save(tmp_path / "model.onnx", {"x": ("float32", ["n", 3, SIDE, SIDE])}, {"y": ("float32", ["n", 5])})
    model = limpid.Model(tmp_path / "model.onnx")
    found = model.explain(image, "ablation-cam", [3], layer=layer)[0]
    value = model.fetch(image[None], [layer])[layer]
    rows = np.repeat(value, 17, 0)
    rows[np.arange(16), np.arange(16)] = 0
    scores = model.run({layer: rows}, ["y"])["y"]
    expected = (scores[16, 3] - scores[:16, 3]) / np.abs(scores[16, 3])
    # The fully connected layer adds up what a channel changes, not all anew.
    np.testing.assert_allclose(found.details["weights"], expected, atol=1e-6 * np.abs(expected).max() + 3e-7)
    for batch in (1, 3):
        again = model.explain(image, "ablation-cam", [3], layer=layer, batch_size=batch)[0]
        np.testing.assert_array_equal(found.grid, again.grid)


def with_layers(path, hidden, rows=None):
    """Fully connected layers behind few maps: they run for more forms at once than regions do."""
    network = Network(seed=6)
    x = network("Relu", convolution(network, stem(network), 32, 16, 3, 2))
    x = network("AveragePool", x, kernel_shape=[5, 5], strides=[5, 5])
    x = network("Flatten", x) if rows is None else network("Reshape", x, np.array([rows, 64]))
    x = network("Relu", network("Gemm", x, network.normal(hidden, 64), transB=1))
    network("Gemm", x, network.normal(6, hidden), network.normal(6), transB=1, to="y")
    network.save(path, {"x": ("float32", ["n", 3, SIDE, SIDE])}, {"y": ("float32", ["n", 6])})
    return path


def test_layers_behind_run_for_more_forms(image, tmp_path):
    model = limpid.Model(with_layers(tmp_path / "model.onnx", 32))
    found = model.explain(image, "occlusion", [2])[0]
    assert np.abs(found.grid).max() > 0
    for batch in (1, 3, 8, 100):
        again = model.explain(image, "occlusion", [2], batch_size=batch)[0]
        np.testing.assert_array_equal(found.grid, again.grid)
    one = limpid.Model(with_layers(tmp_path / "one.onnx", 32, rows=1)).explain(image, "occlusion", [2])[0]
    np.testing.assert_array_equal(found.grid, one.grid)


def test_layers_behind_run_for_fewer_forms_where_memory_is_short(image, tmp_path):
    path = with_layers(tmp_path / "model.onnx", 20000)

    def explain(limit, **settings):
        return limpid.Model(path, memory_limit=limit).explain(image, "occlusion", [2], **settings)[0].grid

    expected = explain(1 << 30)
    low, high = 1 << 18, 1 << 30
    while high - low > 1 << 14:
        middle = (low + high) // 2
        try:
            explain(middle, batch_size=8)
            high = middle
        except limpid.Unsupported:
            low = middle
    np.testing.assert_array_equal(explain(high), expected)
