"""What the metadata says of preprocessing is what images become: the shared table, and Pillow."""

import json

import numpy as np
import pytest
from conftest import ROOT
from networks import Network

import limpid

pillow = pytest.importorskip("PIL.Image")
TABLE = json.loads((ROOT / "Tests/Fixtures/preprocessing/grammar.json").read_text(encoding="utf-8"))


def prepared(path, text, channels=3):
    """A model that gives what it is fed."""
    network = Network()
    y = network("Identity", "x")
    network.save(path, {"x": ("float32", ["N", channels, "h", "w"])}, {y: ("float32", ["N", channels, "h", "w"])},
                 {"limpid.preprocess": text})
    model = limpid.Model(path)
    return lambda image: model.fetch(image, "x")["x"][0]


def test_every_valid_line_of_the_table(tmp_path):
    count = 0
    for case in TABLE["valid"]:
        run = prepared(tmp_path / "m.onnx", case["text"], case["channels"])
        for size in case.get("images", ()):
            width, height = size["of"]
            made = run(np.zeros((height, width, 3), np.uint8))
            assert made.shape == (case["channels"], *size["makes"][::-1]), case["text"]
            count += 1
        if "image" in case:
            np.testing.assert_allclose(run(np.uint8(case["image"])), case["tensor"], rtol=1e-6, atol=1e-6)
    assert count > 40


def test_every_invalid_line_of_the_table(tmp_path):
    for case in TABLE["invalid"]:
        with pytest.raises(limpid.InvalidModel) as caught:
            prepared(tmp_path / "m.onnx", case["text"])
        assert case["says"] in str(caught.value), case["text"]
    assert len(TABLE["invalid"]) == 86


def test_steps_may_have_semicolons_between_them(tmp_path):
    image = noise(20, 24)
    lines = "resize exact 9 7 bilinear\nscale 1/255\nnormalize mean 0.5 std 0.25"
    expected = prepared(tmp_path / "m.onnx", lines)(image)
    for text in (lines.replace("\n", "; "), lines.replace("\n", " ;\n;"), f";{lines.replace(chr(10), ';')};"):
        np.testing.assert_array_equal(prepared(tmp_path / "m.onnx", text)(image), expected)
    with pytest.raises(limpid.InvalidModel, match='step 2 of the preprocessing, " gray"'):
        prepared(tmp_path / "m.onnx", "scale 1/255; gray")


def noise(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("filter", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(31, 17), (20, 47), (100, 9), (24, 24), (16, 33)])
def test_a_window_is_cut_from_what_pillow_would_make(tmp_path, size, filter):
    image = noise(*size)
    kind = getattr(pillow.Resampling, filter.upper())
    for text, resized in [
        (f"resize shorter 24 {filter}\ncenter_crop 20 16", None),
        (f"resize exact 40 13 {filter}\ncenter_crop 16 13", (40, 13)),
        (f"resize exact 11 50 {filter}\ncenter_crop 21 21", (11, 50)),
    ]:
        made = prepared(tmp_path / "m.onnx", text)(image)
        height, width = size
        short, long = min(size), max(size)
        new = resized or ((24, int(24 * long / short)) if width <= height else (int(24 * long / short), 24))
        whole = np.asarray(pillow.fromarray(image).resize(new, kind))
        plain = prepared(tmp_path / "m.onnx", text.split("\n")[1])(whole)
        np.testing.assert_array_equal(made, plain)


def test_letterbox_is_pillows(tmp_path):
    image = noise(33, 70)
    made = prepared(tmp_path / "m.onnx", "resize longer 40 bicubic\npad 40 41 114\nbgr")(image)
    inner = np.asarray(pillow.fromarray(image).resize((40, 18), pillow.Resampling.BICUBIC))
    expected = np.full((41, 40, 3), 114, np.uint8)
    expected[11:29] = inner
    np.testing.assert_array_equal(made, expected[:, :, ::-1].transpose(2, 0, 1))


def test_extreme_shapes_cost_what_their_window_does(tmp_path):
    image = np.repeat(np.arange(60_000)[None, :, None] % 251, 3, axis=2).astype(np.uint8)
    made = prepared(tmp_path / "m.onnx", "resize shorter 224 bilinear\ncenter_crop 224 224")(image)
    # The middle of 60,000 columns, each of which becomes 224.
    assert set(np.unique(made)) <= {float(v) for v in range(29999 % 251, 29999 % 251 + 2)}
    with pytest.raises(limpid.Unsupported, match="too many"):
        prepared(tmp_path / "m.onnx", "resize shorter 300 bilinear\ncenter_crop 224 224")(image)


def test_a_pad_that_would_cut_is_refused(tmp_path):
    with pytest.raises(limpid.InvalidArgument, match="30x20 there, and pad never cuts"):
        prepared(tmp_path / "m.onnx", "pad 24 24")(noise(20, 30))


def test_maps_of_a_letterbox_lie_in_their_place(tmp_path):
    network = Network()
    y = network.logits("x", 3)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 16, 16])}, {y: ("float32", ["N", 5])},
                 {"limpid.preprocess": "resize longer 16 bilinear\npad 16 16\nscale 1/255"})
    why = limpid.Model(tmp_path / "m.onnx").explain(noise(16, 32), "saliency")[0]
    assert why.field == (0, -8, 32, 32) and why.map.shape == (16, 32) and why.grid.shape == (16, 16)


def test_long_descriptions_end_soon(tmp_path):
    million = 1_000_000
    for text in ("gray\n" * million, "normalize mean " + "1 " * million, "scale 1/" + "1" * million, "\n" * million):
        with pytest.raises(limpid.InvalidModel):
            prepared(tmp_path / "m.onnx", text)
