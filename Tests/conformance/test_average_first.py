"""Averages behind convolutions of 1×1, which are taken before them, against ONNX Runtime, and those that must not be."""

import numpy as np
import pytest
from test_fusion import Builder, check

TWO = dict(kernel_shape=[2, 2], strides=[2, 2])
POOLS = {
    "2x2": TWO, "counting padding": dict(TWO, count_include_pad=1), "up": dict(TWO, ceil_mode=1),
    "padded": dict(TWO, pads=[1, 1, 1, 1]), "padded, counting": dict(TWO, pads=[1, 1, 1, 1], count_include_pad=1),
    "up, counting": dict(TWO, ceil_mode=1, count_include_pad=1), "same": dict(TWO, auto_pad="SAME_UPPER"),
    "same, counting": dict(TWO, auto_pad="SAME_LOWER", count_include_pad=1), "valid": dict(TWO, auto_pad="VALID"),
    "one axis": dict(kernel_shape=[1, 3], strides=[1, 2]), "stride 1": dict(kernel_shape=[2, 2]), "global": None,
}


def pool(build, kind, x):
    return build("GlobalAveragePool", x) if POOLS[kind] is None else build("AveragePool", x, **POOLS[kind])


def close(build, shape, outputs):
    check(build.model(["n"] + shape[1:], *outputs), shape, outputs, 3e-6, 1)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("bias", [False, True])
def test_average_behind_a_pointwise_convolution(kind, bias):
    build, shape = Builder(), [2, 24, 9, 11]
    made = build("Conv", "x", build.weights(37, 24, 1, 1), *([build.weights(37)] if bias else []))
    close(build, shape, [build("Relu", pool(build, kind, made)), made])


@pytest.mark.parametrize(
    "attributes", [dict(strides=[2, 2]), dict(pads=[1, 1, 1, 1]), dict(group=2), dict(strides=[1, 1], pads=[0] * 4)])
def test_other_convolutions_of_one_pixel(attributes):
    build, shape = Builder(), [1, 24, 12, 10]
    made = build("Conv", "x", build.weights(38, 24 // attributes.get("group", 1), 1, 1), build.weights(38), **attributes)
    close(build, shape, [pool(build, "2x2", made), made])


@pytest.mark.parametrize("between", ["BatchNormalization", "Relu", "Sigmoid", "Mul"])
def test_what_stands_between(between):
    """A normalisation is a part of the convolution; of anything else the average is not that of its sums."""
    build, shape = Builder(), [2, 24, 9, 11]
    value = made = build("Conv", "x", build.weights(37, 24, 1, 1), build.weights(37))
    if between == "BatchNormalization":
        scale = [build.constant(np.linspace(0.5, 2, 37)) for _ in range(4)]
        value = build(between, made, *scale)
    else:
        value = build(between, *([made, made] if between == "Mul" else [made]))
    close(build, shape, [pool(build, "2x2", value), made])


def test_layers_of_three_by_three_stay():
    build, shape = Builder(), [1, 24, 12, 10]
    made = build("Conv", "x", build.weights(33, 24, 3, 3), build.weights(33), pads=[1] * 4)
    close(build, shape, [pool(build, "2x2", made), made])


def test_one_axis_and_several_readers():
    build, shape = Builder(), [2, 24, 30]
    made = build("Conv", "x", build.weights(37, 24, 1), build.weights(37))
    first = build("AveragePool", made, kernel_shape=[3], strides=[3])
    second = build("GlobalAveragePool", build("Conv", "x", build.weights(35, 24, 1), build.weights(35)))
    third = build("GlobalMaxPool", made)
    close(build, shape, [first, second, third])


def test_weights_that_are_fed():
    build, shape = Builder(), [1, 24, 12, 10]
    weights = build("Mul", build.weights(37, 24, 1, 1), build("ReduceMean", "x", keepdims=1))
    made = build("Conv", "x", weights)
    close(build, shape, [pool(build, "2x2", made)])
