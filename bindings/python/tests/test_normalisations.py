"""Instance and group normalisation behind and before convolutions, where channels lie last; onnx's evaluator is the judge."""

import limpid
import numpy as np
import pytest
from networks import Network


@pytest.mark.parametrize("spatial", [(9, 7), (11,)])
@pytest.mark.parametrize("groups", [None, 1, 3, 12])
@pytest.mark.parametrize("channels", [12, 36])
def test_between_convolutions(channels, groups, spatial, tmp_path):
    n = Network(seed=7)
    kernel = (3,) * len(spatial)
    value = n("Conv", "x", n.normal(channels, 3, *kernel), n.normal(channels) * np.float32(5), pads=[1] * 2 * len(spatial))
    scale, shift = n.normal(channels), n.normal(channels)
    if groups is None:
        value = n("InstanceNormalization", value, scale, shift, epsilon=1e-3)
    else:
        # As opset 21 has it: a scale for each channel. onnx's evaluator takes it apart.
        parts = n("Reshape", value, np.array([0, groups, -1], np.int64))
        value = n("Reshape", n("InstanceNormalization", parts, np.ones(groups, np.float32), np.zeros(groups, np.float32)),
                  n("Shape", value))
        broad = (channels,) + (1,) * len(spatial)
        value = n("Add", n("Mul", value, scale.reshape(broad)), shift.reshape(broad))
    value = n("Conv", n("Relu", value), n.normal(4, channels, *kernel), to="y")
    judge = n.save(tmp_path / "model.onnx", {"x": ("float32", ["N", 3, *spatial])},
                   {value: ("float32", ["N", 4, *[s - 2 for s in spatial]])})
    x = np.random.default_rng(1).normal(size=(3, 3, *spatial)).astype(np.float32)
    expected = judge(x=x)[0]
    found = [limpid.Model(tmp_path / "model.onnx", threads=threads).run({"x": x})["y"] for threads in (1, 2)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("groups", [1, 4, 20])
def test_group_normalisation_has_the_bits_of_any_batch(groups, tmp_path):
    import onnx
    from onnx import helper

    n = Network(seed=8)
    value = n("Conv", "x", n.normal(20, 3, 3, 3), pads=[1] * 4)
    scale, shift = n.normal(20), n.normal(20)
    n("GroupNormalization", value, scale, shift, to="y", num_groups=groups, epsilon=1e-4)
    path = tmp_path / "model.onnx"
    n.save(path, {"x": ("float32", ["N", 3, 6, 5])}, {"y": ("float32", ["N", 20, 6, 5])})
    model = onnx.load(path)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 21))
    onnx.save(model, path)
    model = limpid.Model(path)
    x = np.random.default_rng(2).normal(size=(3, 3, 6, 5)).astype(np.float32)
    maps = model.fetch(x, [value])[value].astype(np.float64).reshape(3, groups, -1)
    centred = maps - maps.mean(2, keepdims=True)
    normal = (centred / np.sqrt((centred**2).mean(2, keepdims=True) + 1e-4)).reshape(3, 20, 6, 5)
    expected = normal * scale.reshape(20, 1, 1) + shift.reshape(20, 1, 1)
    whole = model.run({"x": x})["y"]
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([model.run({"x": part})["y"] for part in (x[:1], x[1:])]), whole)
