"""An explanation is drawn alike by the command, by C and by Python, whatever part of the image the model saw."""

import subprocess

import numpy as np
import onnx
import pytest
from conftest import FIXTURES, PROGRAM
from PIL import Image

import limpid

PREPROCESSING = {
    "whole": "resize exact 32 32 bilinear\nscale 1/255",
    "crop": "resize shorter 40 bilinear\ncenter_crop 32 32\nscale 1/255",
}


@pytest.fixture(params=PREPROCESSING)
def files(request, tmp_path):
    model = onnx.load(FIXTURES / "onnx/colours.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata["limpid.preprocess"] = PREPROCESSING[request.param]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / "model.onnx")
    pixels = np.random.default_rng(3).integers(0, 256, (130, 200, 3), np.uint8)
    pixels[:60, :90, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return request.param, tmp_path, pixels


def drawn(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("style", ["default", "scouter", "tame"])
def test_the_same_bits_from_every_door(files, doors, style):
    kind, folder, pixels = files
    subprocess.run([PROGRAM, "explain", folder / "model.onnx", folder / "image.png", "--style", style, "--scale", "1",
                    "--output", folder / "swift.png"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([doors["C"].program, "draw", folder / "model.onnx", folder / "image.png", folder / "c.png", style],
                   check=True)
    with limpid.Model(folder / "model.onnx") as model:
        (why,) = model.explain(folder / "image.png")
        why.save(folder / "python.png", style=style)
        x, y, width, height = why.field
        seen = np.asarray(model.preprocess(folder / "image.png"))
    swift = drawn(folder / "swift.png")
    np.testing.assert_array_equal(swift, drawn(folder / "c.png"))
    np.testing.assert_array_equal(swift, drawn(folder / "python.png"))
    if style != "default":
        assert swift.shape == seen.shape
        return
    assert swift.shape == pixels.shape
    # 200x130 becomes 61x40, of which the columns 14 to 46 and the rows 4 to 36 are seen.
    step = 200 / 61
    wanted = (0, 0, 200, 130) if kind == "whole" else (14 * step, 13, 32 * step, 104)
    assert (x, y, width, height) == pytest.approx(wanted)
    assert (swift != pixels).any(axis=2).mean() > 0.3
    if kind == "crop":
        outside = np.ones(pixels.shape[:2], bool)
        outside[round(y):round(y + height), round(x):round(x + width)] = False
        assert outside.any() and (swift[outside] == pixels[outside]).all()


def test_what_is_drawn_by_scale(files):
    _, folder, pixels = files
    subprocess.run([PROGRAM, "explain", folder / "model.onnx", folder / "image.png", "--scale", "3", "--output",
                    folder / "swift.png"], check=True, stdout=subprocess.DEVNULL)
    with limpid.Model(folder / "model.onnx") as model:
        found = np.asarray(model.explain(folder / "image.png")[0].overlay(scale=3))
    assert found.shape == (390, 600, 3)
    np.testing.assert_array_equal(drawn(folder / "swift.png"), found)
