"""Images of 16 bits and with alpha, on the way to models: Pillow and NumPy are the judges."""

import io
import pickle
import re
import struct
import zlib

import numpy as np
import pytest
from networks import Network

import limpid

pillow = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(16)


def prepared(path, text, channels=1, **options):
    """A model that gives what it is fed."""
    network = Network()
    y = network("Identity", "x")
    network.save(path, {"x": ("float32", ["N", channels, "h", "w"])}, {y: ("float32", ["N", channels, "h", "w"])},
                 {"limpid.preprocess": text})
    model = limpid.Model(path, **options)
    return lambda image: model.fetch(image, "x")["x"][0]


def words(*shape):
    return RNG.integers(0, 65536, shape, np.uint16)


def saved(path, array):
    """A PNG file. Pillow writes gray of 16 bits; RGB of 16 bits is written by hand."""
    if array.ndim == 2 or array.dtype == np.uint8:
        pillow.fromarray(array).save(path)
        return path

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, bands = array.shape
    color = {2: 4, 3: 2, 4: 6}[bands]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def test_read_image_keeps_all_bits(tmp_path):
    gray, color = words(5, 7), words(5, 7, 3)
    np.testing.assert_array_equal(limpid.read_image(saved(tmp_path / "g.png", gray), bits=16), gray)
    np.testing.assert_array_equal(limpid.read_image(saved(tmp_path / "c.png", color), bits=16), color)
    np.testing.assert_array_equal(limpid.read_image(tmp_path / "c.png"), color >> 8)
    np.testing.assert_array_equal(limpid.read_image((tmp_path / "g.png").read_bytes(), bits=16), gray)
    for bands in (2, 4):  # alpha is dropped
        array = words(4, 3, bands)
        found = limpid.read_image(saved(tmp_path / "a.png", array), bits=16)
        np.testing.assert_array_equal(found, array[..., 0] if bands == 2 else array[..., :3])
    bytes_only = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(limpid.read_image(saved(tmp_path / "b.png", bytes_only), bits=16), bytes_only)


def test_pillow_images_of_16_bits_are_as_their_files(tmp_path, caplog):
    gray = words(5, 7)
    path = saved(tmp_path / "g.png", gray)
    deep = prepared(tmp_path / "deep.onnx", "gray\ndepth 16\nscale 1/255")
    expected = deep(path)
    np.testing.assert_array_equal(deep(pillow.fromarray(gray)), expected)
    np.testing.assert_array_equal(deep(pillow.fromarray(gray.astype(np.int32))), expected)
    np.testing.assert_allclose(expected[0], gray / 255, rtol=1e-6)
    plain = prepared(tmp_path / "plain.onnx", "gray\nscale 1/255")
    assert not caplog.records
    for image in (pillow.fromarray(gray), pillow.fromarray(gray.astype(np.float32))):
        cut = plain(image)
        np.testing.assert_allclose(cut[0], np.minimum(gray, 255) / 255, atol=1e-6)
        assert "is cut off at 0 and 255" in caplog.records[-1].message
    caplog.clear()
    np.testing.assert_array_equal(plain(pillow.fromarray((gray >> 8).astype(np.float32))), plain((gray >> 8).astype(np.uint8)))
    assert not caplog.records
    with pytest.raises(limpid.InvalidArgument, match="values up to 1 would be black"):
        plain(pillow.fromarray((gray / 65535).astype(np.float32)))


def test_what_cannot_be_chosen(tmp_path):
    path = saved(tmp_path / "g.png", words(5, 7))
    with pytest.raises(limpid.InvalidArgument, match="images of 12 bits; 8 or 16"):
        limpid.read_image(path, bits=12)
    with pytest.raises(limpid.InvalidArgument, match="exclude each other"):
        limpid.read_image(path, bits=16, high_byte=True)
    with pytest.raises(limpid.Unsupported, match="both its 16 bits and its alpha"):
        limpid.read_image(path, bits=16, alpha=True)


@pytest.mark.parametrize("filter", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(31, 17), (20, 47), (9, 100)])
def test_numbers_are_those_of_pillows_floats(tmp_path, size, filter):
    gray = words(*size)
    kind = getattr(pillow.Resampling, filter.upper())
    resized = np.clip(np.asarray(pillow.fromarray(gray.astype(np.float32)).resize((24, 16), kind)), 0, 65535)
    made = prepared(tmp_path / "m.onnx", f"gray\ndepth 16\nresize exact 24 16 {filter}")(gray)
    np.testing.assert_array_equal(made[0], resized)
    made = prepared(tmp_path / "m.onnx", f"gray\nresize exact 24 16 {filter}\nscale 1/255\nnormalize mean 0.5 std 0.25")(gray)
    np.testing.assert_allclose(made[0], (resized / 65535 - 0.5) / 0.25, rtol=0, atol=2e-6)


def test_a_step_is_the_257th_of_one_of_8_bits(tmp_path):
    """What an image of bytes gives, the same image of 16 bits gives too, and what lies between lies between."""
    small = RNG.integers(0, 256, (6, 5, 3), np.uint8)
    for text, channels in [("scale 1/255", 3), ("gray\nscale 1/255", 1), ("bgr\npad 8 9 114\nscale 1/255", 3),
                           ("center_crop 3 8\nnormalize mean 1 2 3 std 4 5 6", 3), ("depth 16\nscale 1/65535", 3)]:
        run = prepared(tmp_path / "m.onnx", text, channels)
        np.testing.assert_allclose(run(small.astype(np.uint16) * 257), run(small), rtol=0, atol=0.5 / 255 if "gray" in text else 1e-6)
    run = prepared(tmp_path / "m.onnx", "scale 1/255", 3)
    np.testing.assert_allclose(run(small.astype(np.uint16) * 257 + 100), run(small) + 100 / 65535 * (small.transpose(2, 0, 1) < 255)
                               + (small.transpose(2, 0, 1) == 255) * (100 - 65536) / 65535, atol=1e-6)


def test_gray_and_color_and_crops(tmp_path):
    color = words(9, 12, 3)
    run = prepared(tmp_path / "m.onnx", "depth 16\nresize shorter 6 bilinear\ncenter_crop 4 4", 3)
    whole = [np.asarray(pillow.fromarray(color[..., c].astype(np.float32)).resize((8, 6), 2)) for c in range(3)]
    np.testing.assert_array_equal(run(color), [plane[1:5, 2:6] for plane in whole])
    luma = color.astype(np.float64) @ [19595, 38470, 7471] / 65536
    np.testing.assert_allclose(prepared(tmp_path / "m.onnx", "gray\ndepth 16")(color)[0], luma, rtol=1e-6)
    gray = words(4, 5)
    np.testing.assert_array_equal(prepared(tmp_path / "m.onnx", "depth 16", 3)(gray), np.broadcast_to(gray, (3, 4, 5)))


def test_models_say_how_files_are_read(tmp_path, caplog):
    gray = words(4, 5)
    path = saved(tmp_path / "g.png", gray)
    np.testing.assert_array_equal(prepared(tmp_path / "m.onnx", "gray\ndepth 16")(path)[0], gray)
    assert not [r for r in caplog.records if "16 bits" in r.message]
    np.testing.assert_array_equal(prepared(tmp_path / "m.onnx", "gray")(path)[0], np.minimum(gray, 255))
    assert [r for r in caplog.records if "16 bits" in r.message]
    np.testing.assert_array_equal(prepared(tmp_path / "m.onnx", "gray", preprocess="gray; depth 16")(path)[0], gray)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "1", "trns"])
def test_alpha_is_pillows(tmp_path, mode):
    array = RNG.integers(0, 256, (11, 13, 4), np.uint8)
    image = pillow.fromarray(array)
    path = tmp_path / "a.png"
    if mode == "P":
        image.convert("RGB").quantize(16).save(path, transparency=bytes(range(0, 256, 16)))
    elif mode == "trns":
        colors = pillow.fromarray(array[..., :3])
        colors.save(path, transparency=tuple(int(v) for v in array[2, 3, :3]))
    else:
        image.convert(mode).save(path)
    expected = np.asarray(pillow.open(path).convert("RGBA"))
    np.testing.assert_array_equal(limpid.read_image(path, alpha=True), expected)
    run = prepared(tmp_path / "m.onnx", "alpha\nresize exact 7 6 bilinear", 4)
    resized = np.asarray(pillow.fromarray(expected).resize((7, 6), 2)).transpose(2, 0, 1)
    for given in (path, path.read_bytes(), pillow.open(path), expected):
        np.testing.assert_array_equal(run(given), resized)
    run = prepared(tmp_path / "m.onnx", "gray\nalpha", 2)
    np.testing.assert_array_equal(run(path), np.asarray(pillow.fromarray(expected).convert("LA")).transpose(2, 0, 1))


def test_alpha_of_webp(tmp_path):
    buffer = io.BytesIO()
    image = pillow.fromarray(RNG.integers(0, 256, (9, 8, 4), np.uint8))
    try:
        image.save(buffer, "WEBP", lossless=True)
    except (KeyError, OSError):
        pytest.skip("Pillow without WebP")
    try:
        found = limpid.read_image(buffer.getvalue(), alpha=True)
    except limpid.Unsupported as error:
        pytest.skip(str(error))
    np.testing.assert_array_equal(found, np.asarray(pillow.open(buffer).convert("RGBA")))


@pytest.mark.parametrize("channels, text", [(4, "alpha"), (2, "gray\nalpha")])
def test_models_of_two_and_four_channels_are_explained(tmp_path, channels, text):
    network = Network()
    y = network.logits("x", channels)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", channels, 16, 16])}, {y: ("float32", ["N", 5])},
                 {"limpid.preprocess": f"{text}\nresize exact 16 16 bilinear\nscale 1/255"})
    model = limpid.Model(tmp_path / "m.onnx")
    array = RNG.integers(0, 256, (20, 30, 4), np.uint8)
    path = saved(tmp_path / "a.png", array)
    why = model.explain(path, "grad-cam")[0]
    assert why.map.shape == (20, 30)
    why.save(tmp_path / "why.png")
    changed = array.copy()
    changed[..., 3] = 255
    assert not np.allclose(model.classify(path), model.classify(changed))
    assert np.asarray(model.preprocess(path)).shape == (16, 16, 3)
    for method in ("saliency", "rise", "occlusion"):
        assert model.explain(path, method)[0].map.shape == (20, 30)


def test_explanations_of_16_bits_are_drawn(tmp_path):
    network = Network()
    y = network.logits("x", 1)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 1, 16, 16])}, {y: ("float32", ["N", 5])},
                 {"limpid.preprocess": "gray\nresize exact 16 16 bilinear\ndepth 16\nscale 1/65535"})
    model = limpid.Model(tmp_path / "m.onnx")
    gray = words(20, 30)
    why = model.explain(gray, "grad-cam")[0]
    why.save(tmp_path / "why.png")
    same = model.explain(saved(tmp_path / "g.png", gray), "grad-cam")[0]
    np.testing.assert_array_equal(why.map, same.map)
    why.save(tmp_path / "plain.png", opacity=1e-6)
    drawn = np.asarray(pillow.open(tmp_path / "plain.png").convert("RGB"))
    np.testing.assert_array_equal(drawn[..., 0], np.rint(gray / 257))
    # White is white, and what the model is fed as a number of 8 bits is drawn as that.
    for level in (0, 1, 128, 254, 255):
        flat = np.full((20, 30), 257 * level, np.uint16)
        model.explain(flat, "grad-cam")[0].save(tmp_path / "flat.png", opacity=1e-6)
        assert np.asarray(pillow.open(tmp_path / "flat.png").convert("L")).tolist() == [[level] * 30] * 20
    again = pickle.loads(pickle.dumps(why))
    again.save(tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "why.png").read_bytes()


def test_evaluations_read_as_they_are_told(tmp_path, caplog):
    network = Network()
    y = network.logits("x", 1)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 1, 16, 16])}, {y: ("float32", ["N", 5])},
                 {"limpid.preprocess": "gray\nresize exact 16 16 bilinear\nscale 1/255"})
    for name in "ab":
        saved(tmp_path / f"{name}.png", words(16, 16))
    scores = {}
    for options in ({}, {"high_byte": True}, {"bits": 16}):
        caplog.clear()
        data = [(str(tmp_path / "a.png"), 0), (str(tmp_path / "b.png"), 1)]
        found = limpid.evaluate(str(tmp_path / "m.onnx"), data, [], ["accuracy"], **options)
        scores[str(options)] = found.document("images.csv")
        told = [r.message for r in caplog.records if "cut off" in r.message]
        assert len(told) == (0 if options else 1), told
    assert len(set(scores.values())) > 1


def test_a_report_explains_all_bits_of_arrays(tmp_path):
    network = Network()
    y = network.logits("x", 1)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 1, 16, 16])}, {y: ("float32", ["N", 5])},
                 {"limpid.preprocess": "depth 16\ngray\nresize exact 16 16 bilinear\nscale 1/300"})
    # Their high bytes are all 0 or 1.
    arrays = [np.random.default_rng(i).integers(0, 300, (16, 16)).astype(np.uint16) for i in range(2)]
    for i, array in enumerate(arrays):
        pillow.fromarray(array).save(tmp_path / f"{i}.png")
    pages = []
    files = [str(tmp_path / f"{i}.png") for i in range(2)]
    for name, data in (("files", files), ("arrays", arrays), ("stream", iter(arrays))):
        limpid.evaluate(str(tmp_path / "m.onnx"), data, ["saliency"], ["deletion"], report=tmp_path / name,
                        store=False, bits=16)
        text = (tmp_path / name / "report.html").read_text()
        pages.append(sorted(re.findall(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+", text)))
    assert len(pages[0]) > 2 and pages[1] == pages[0] and pages[2] == pages[0]
