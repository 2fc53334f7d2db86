"""MaxPool behind convolutions, against ONNX Runtime: windows of 2×2 that a convolution by Winograd's algorithm makes itself,
and those that it must not."""

import limpid
import numpy as np
import pytest
from test_fusion import Builder, check

TWO = dict(kernel_shape=[2, 2], strides=[2, 2])
SHAPES = {
    "4x4": [1, 32, 24, 20], "4x4, odd": [1, 33, 21, 27], "2x4": [2, 40, 14, 13], "2x2": [3, 32, 7, 9],
    "many": [9, 64, 28, 28], "5x5": [1, 32, 15, 16], "groups": [2, 64, 22, 21], "direct": [1, 8, 24, 24],
}
POOLS = {
    "2x2": TWO, "up": dict(TWO, ceil_mode=1), "3x3": dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "side by side in one axis": dict(kernel_shape=[2, 2], strides=[2, 1]), "stride 1": dict(kernel_shape=[2, 2]),
    "padded": dict(TWO, pads=[1, 1, 1, 1]), "same": dict(TWO, auto_pad="SAME_UPPER"),
    "dilated": dict(TWO, dilations=[2, 2]), "3x2": dict(kernel_shape=[3, 2], strides=[2, 2]),
}


def convolution(build, name, x="x"):
    channels, groups = SHAPES[name][1], 2 if name == "groups" else 1
    side = 5 if name == "5x5" else 3
    weights = build.weights(channels + 2 * groups, channels // groups, side, side)
    return build("Conv", x, weights, build.weights(channels + 2 * groups), pads=[side // 2] * 4, group=groups)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", SHAPES)
def test_pool_behind_a_convolution(name, pool):
    build = Builder()
    made = convolution(build, name)
    pooled = build("MaxPool", made, **POOLS[pool])
    model = build.model(["n"] + SHAPES[name][1:], pooled, made)
    check(model, SHAPES[name], [pooled, made], 1e-5, 1)
    x = np.random.default_rng(2).standard_normal(SHAPES[name]).astype(np.float32)
    for threads in (1, 3):
        network = limpid.Model(model, threads=threads)
        alone, kept = network.run({"x": x}, [pooled]), network.run({"x": x}, [pooled, made])
        np.testing.assert_array_equal(alone[pooled], kept[pooled])
        np.testing.assert_array_equal(network.run({"x": x[:1]}, [pooled])[pooled], alone[pooled][:1])


@pytest.mark.parametrize("before", ["Relu", "Sigmoid", "HardSwish", "Neg", None])
@pytest.mark.parametrize("after", ["Relu", "Sigmoid", "HardSwish", "Neg", "Add", "MaxPool", "Conv"])
def test_activations_before_and_after(before, after):
    build = Builder()
    shape = SHAPES["4x4"]
    made = convolution(build, "4x4")
    value = build(before, made) if before else made
    pooled = build("MaxPool", value, **TWO)
    if after == "Add":
        result = build("Add", pooled, build.weights(1, 34, 12, 10))
    elif after == "Conv":
        result = build("Conv", pooled, build.weights(33, 34, 3, 3))
    else:
        result = build(after, pooled, **(TWO if after == "MaxPool" else {}))
    check(build.model(shape, result), shape, [result], 1e-5, 1)


def test_a_sum_of_two_is_pooled_as_a_whole():
    build = Builder()
    first, second = convolution(build, "4x4"), convolution(build, "4x4")
    pooled = build("MaxPool", build("Relu", build("Add", first, second)), **TWO)
    check(build.model(SHAPES["4x4"], pooled), SHAPES["4x4"], [pooled], 1e-5, 1)


def test_places_of_maxima_need_all_outputs():
    build = Builder()
    made = convolution(build, "4x4")
    pooled = build("MaxPool", made, **TWO)
    build.nodes[-1].output.append("places")
    places = build("Cast", "places", to=1)
    check(build.model(SHAPES["4x4"], pooled, places), SHAPES["4x4"], [pooled, places], 1e-5, 1)


def test_a_result_with_two_readers_is_kept():
    build = Builder()
    made = convolution(build, "4x4")
    pooled, mean = build("MaxPool", made, **TWO), build("GlobalAveragePool", made)
    check(build.model(SHAPES["4x4"], pooled, mean), SHAPES["4x4"], [pooled, mean], 1e-5, 1)


def test_occlusion_is_that_of_whole_runs():
    """By regions nothing is pooled at once: they need every map."""
    build = Builder()
    value = build("Relu", build("Conv", "x", build.weights(32, 3, 3, 3), pads=[1] * 4))
    value = build("MaxPool", build("Relu", build("Conv", value, build.weights(32, 32, 3, 3), pads=[1] * 4)), **TWO)
    model = limpid.Model(build.model(["n", 3, 24, 24], build("Flatten", build("GlobalAveragePool", value))))
    x = np.random.default_rng(2).standard_normal((3, 24, 24)).astype(np.float32)
    window = dict(window_height=8, window_width=8, stride_y=8, stride_x=8)
    found = model.explain(x, "occlusion", [4], **window)[0].details["attribution"][0]
    forms = np.stack([x] * 10)
    for i in range(9):
        forms[1 + i, :, i // 3 * 8:i // 3 * 8 + 8, i % 3 * 8:i % 3 * 8 + 8] = 0
    name = list(model.outputs)[0]
    scores = model.run({"x": forms}, [name])[name][:, 4]
    expected = np.repeat(np.repeat((scores[0] - scores[1:]).reshape(3, 3), 8, 0), 8, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected) > 1e-3
