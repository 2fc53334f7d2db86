"""Occlusion computes again only what a window reaches: the same bits as runs of the whole images, whose
convolutions are summed directly."""

import limpid
import numpy as np
import pytest
from networks import Network

SIDE = 40


def convolution(network, x, inputs, outputs, size=3, stride=1, pads=None, group=1, dilation=1):
    """A kernel of `size`; with `network.wide` the same with one more row, of zeros: never Winograd's, in the same order."""
    weights = network.normal(outputs, inputs // group, size, size) / np.float32(size * np.sqrt(inputs / group))
    pads = pads or [size // 2 * dilation] * 4
    rows = size
    if network.wide and size == 3:
        weights, rows = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 0))), 4
        pads = [*pads[:2], pads[2] + dilation, pads[3]]
    return network(
        "Conv", x, weights.astype(np.float32), network.normal(outputs), kernel_shape=[rows, size], strides=[stride] * 2,
        pads=pads, group=group, dilations=[dilation] * 2)


def stem(network, maps=32):
    return network("Relu", convolution(network, "x", 3, maps, 3, 2))


def residuals(n):
    x = stem(n)
    for _ in range(2):
        y = n("Relu", convolution(n, x, 32, 32))
        x = n("Relu", n("Add", convolution(n, y, 32, 32), x))
    narrow = convolution(n, x, 32, 48, 1, 2, [0] * 4)
    return n("Relu", n("Add", narrow, convolution(n, x, 32, 48, 3, 2))), 48


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


BODIES = [residuals, pools, dilated, depthwise, grouped, gated, normalised, excited, read_twice]
WINDOWS = [(5, 5, 5, 5), (7, 3, 4, 3), (1, 11, 1, 9), (13, 4, 11, 2)]


def made(body, path, wide):
    network = Network(seed=3)
    network.wide = wide
    maps, channels = body(network)
    pooled = network("Flatten", network("GlobalAveragePool", maps))
    network("Gemm", pooled, network.normal(channels, 6), network.normal(6), to="y")
    network.save(path, {"x": ("float32", ["n", 3, SIDE, SIDE])}, {"y": ("float32", ["n", 6])})
    return limpid.Model(path)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(5).normal(size=(3, SIDE, SIDE)).astype(np.float32)


def by_whole_runs(model, image, height, width, stride_y, stride_x, index, value):
    rows, columns = (-(-(SIDE - size) // stride) + 1 for size, stride in ((height, stride_y), (width, stride_x)))
    places = [(slice(i * stride_y, i * stride_y + height), slice(k * stride_x, k * stride_x + width))
              for i in range(rows) for k in range(columns)]
    forms = np.stack([image] * (1 + len(places)))
    for form, place in zip(forms[1:], places):
        form[(slice(None), *place)] = value
    scores = model.fetch(forms, ["y"], batch_size=8)["y"][:, index].astype(np.float64)
    sums, counts = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for place, score in zip(places, scores[1:]):
        sums[place] += scores[0] - score
        counts[place] += 1
    return (sums / counts).astype(np.float32)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_bits_are_those_of_whole_runs(body, window, image, tmp_path):
    model, judge = made(body, tmp_path / "model.onnx", False), made(body, tmp_path / "judge.onnx", True)
    settings = dict(zip(("window_height", "window_width", "stride_y", "stride_x"), window))
    found = model.explain(image, "occlusion", [2], value=0.5, batch_size=5, threads=1, **settings)[0]
    expected = by_whole_runs(judge, image, *window, 2, 0.5)
    np.testing.assert_array_equal(found.details["attribution"], np.stack([expected] * 3))
    again = model.explain(image, "occlusion", [2], value=0.5, batch_size=3, threads=2, **settings)[0]
    np.testing.assert_array_equal(found.grid, again.grid)


def test_one_colour_at_a_time(image, tmp_path):
    model = made(residuals, tmp_path / "model.onnx", False)
    found = model.explain(image, "occlusion", [1], window_height=8, window_width=8, window_channels=1)[0]
    judge = made(residuals, tmp_path / "judge.onnx", True)
    covered = image.copy()
    covered[1, :8, :8] = 0
    scores = judge.fetch(np.stack([image, covered]), ["y"])["y"][:, 1].astype(np.float64)
    # Its first four pixels each way are under no other window.
    assert found.details["attribution"][1, 0, 0] == np.float32(scores[0] - scores[1])


def test_it_can_be_stopped_at_every_step(image, tmp_path):
    model = made(residuals, tmp_path / "model.onnx", False)
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
    network.wide = False
    maps, channels = residuals(network)
    flat = network("Reshape", network("GlobalAveragePool", maps), np.array([1, channels]))
    network("Gemm", flat, network.normal(channels, 6), network.normal(6), to="y")
    network.save(tmp_path / "one.onnx", {"x": ("float32", ["n", 3, SIDE, SIDE])}, {"y": ("float32", ["n", 6])})
    found = limpid.Model(tmp_path / "one.onnx").explain(image, "occlusion", [2])[0]
    expected = made(residuals, tmp_path / "model.onnx", False).explain(image, "occlusion", [2])[0]
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
    network.wide = False
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
