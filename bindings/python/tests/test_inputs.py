"""Everything that counts as an image."""

import base64
import io
import logging
import mmap

import numpy as np
import pytest
from conftest import COLOURS

import limpid

pillow = pytest.importorskip("PIL.Image")


@pytest.fixture
def expected(model, red):
    return model.classify(red)


def test_a_path_and_its_bytes(model, red, expected, tmp_path):
    path = tmp_path / "röd.png"
    pillow.fromarray(red).save(path)
    data = path.read_bytes()
    for x in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)):
        np.testing.assert_array_equal(model.classify(x), expected)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        np.testing.assert_array_equal(model.classify(file), expected)
        np.testing.assert_array_equal(model.classify(mapped), expected)
        assert model.classify([mapped, path]).shape == (2, 3)
    with pytest.raises(limpid.InvalidArgument, match="gives text"):
        model.classify(io.StringIO("x"))


@pytest.mark.parametrize("kind", [np.float16, np.float64, ">f2", ">f4", ">f8"])
def test_tensors_of_other_floating_point_types(model, tensor, kind):
    np.testing.assert_array_equal(model.classify(tensor.astype(kind)), model.classify(tensor))


def test_models_from_open_files(tensor, model):
    data = COLOURS.read_bytes()
    with open(COLOURS, "rb") as file:
        for source in (file, io.BytesIO(data), memoryview(data), bytearray(data)):
            np.testing.assert_array_equal(limpid.Model(source).classify(tensor), model.classify(tensor))


def test_names_with_a_nul_are_refused_not_cut_short(model, red, tmp_path):
    pillow.fromarray(red).save(tmp_path / "a.png")
    for call in (
        lambda: limpid.Model(f"{COLOURS}\0.txt"), lambda: model.classify(str(tmp_path / "a.png") + "\0.txt"),
        lambda: model.fetch(red, f"{model.outputs[0]}\0x"), lambda: model.explain(red, "saliency\0"),
        lambda: model.metadata("limpid.labels\0"), lambda: model.explain(red)[0].save(tmp_path / "b\0.png"),
    ):
        with pytest.raises(ValueError, match="NUL"):
            call()
    assert not list(tmp_path.glob("b*"))


def test_save_writes_the_kind_that_the_name_says(model, red, tmp_path):
    why = model.explain(red)[0]
    for name, kind in (("why.PNG", "PNG"), ("why", "PNG"), ("why.jpg", "JPEG"), ("why.JPEG", "JPEG")):
        why.save(tmp_path / name)
        assert pillow.open(tmp_path / name).format == kind
    drawn = np.asarray(why.overlay()).astype(int)
    assert np.abs(np.asarray(pillow.open(tmp_path / "why.jpg")).astype(int) - drawn).mean() < 8
    why.save(tmp_path / "best.jpg", quality=100)
    assert (tmp_path / "best.jpg").stat().st_size > (tmp_path / "why.jpg").stat().st_size
    with pytest.raises(limpid.InvalidArgument, match="writes PNG and JPEG files, not .gif"):
        why.save(tmp_path / "why.gif")
    with pytest.raises(limpid.InvalidArgument, match="quality of 101"):
        why.save(tmp_path / "why.jpg", quality=101)
    with pytest.raises(limpid.InvalidArgument, match="quality is of JPEG"):
        why.save(tmp_path / "why.png", quality=50)


def test_notebooks_show_explanations(model, red, tensor):
    (why,) = model.explain(red)
    shown = np.asarray(pillow.open(io.BytesIO(why._repr_png_())))
    np.testing.assert_array_equal(shown, np.asarray(why.overlay()))
    page = why._repr_html_()
    assert "<b>red</b>" in page and "score 2" in page and base64.b64encode(why._repr_png_()).decode() in page
    large = model.explain(np.zeros((700, 2000, 3), np.uint8))[0]
    assert pillow.open(io.BytesIO(large._repr_png_())).size == (640, 224) and "says nothing" in large._repr_html_()
    assert pillow.open(io.BytesIO(model.explain(tensor)[0]._repr_png_())).size == (32, 32)


def test_a_model_of_the_package_onnx(model, tensor):
    onnx = pytest.importorskip("onnx")
    np.testing.assert_array_equal(limpid.Model(onnx.load(COLOURS)).classify(tensor), model.classify(tensor))
    with pytest.raises(limpid.InvalidArgument, match="int is no model"):
        limpid.Model(7)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_pillow_image_of_any_mode(model, red, expected, mode):
    image = pillow.fromarray(red).convert(mode)
    np.testing.assert_array_equal(model.classify(image), expected)


def test_arrays_with_alpha_and_of_other_strides(model, red, expected):
    alpha = np.dstack([red, np.full(red.shape[:2], 128, np.uint8)])
    flipped = red[::-1, ::-1].copy()[::-1, ::-1]
    for x in (alpha, flipped, memoryview(red)):
        np.testing.assert_array_equal(model.classify(x), expected)


def test_grey_arrays_are_pictures_of_equal_channels(model):
    grey = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32).astype(np.uint8)
    for x in (grey, grey[:, :, None]):
        np.testing.assert_array_equal(model.classify(x), model.classify(np.dstack([grey] * 3)))


def test_a_jpeg_is_what_pillow_reads(model, red):
    file = io.BytesIO()
    pillow.fromarray(red).save(file, "JPEG")
    with pillow.open(file) as image:
        np.testing.assert_array_equal(model.classify(file.getvalue()), model.classify(image))


def test_lists_mix_all_of_them(model, red, tensor, tmp_path):
    pillow.fromarray(red).save(tmp_path / "red.png")
    rows = model.classify([tmp_path / "red.png", red, pillow.fromarray(red), tensor, np.stack([tensor, tensor])])
    assert rows.argmax(axis=1).tolist() == [0, 0, 0, 2, 2, 2]


def test_a_list_of_one_is_a_batch_of_one(model, tensor):
    assert model.classify([tensor]).shape == (1, 3)
    assert model.classify(tensor[None]).shape == (1, 3)
    assert model.classify(tensor).shape == (3,)


def webp(size=(33, 20), **options):
    y, x = np.mgrid[:size[1], :size[0]]
    pixels = np.stack([x * 5 % 256, y * 9 % 256, (x + y) * 3 % 256, 255 - x], -1).astype(np.uint8)
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, "WEBP", **options)
    return file.getvalue()


@pytest.mark.parametrize("options", [
    dict(quality=5), dict(quality=80), dict(quality=100, method=6), dict(lossless=True),
    dict(lossless=True, exact=True), dict(quality=70, alpha_quality=20), dict(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
])
def test_webp_is_what_pillow_reads(options):
    for size in ((1, 1), (16, 16), (33, 20), (2, 300)):
        data = webp(size, **options)
        expected = np.asarray(pillow.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(limpid.read_image(data), expected)
        np.testing.assert_array_equal(limpid.read_image(io.BytesIO(data)), expected)


def test_webp_that_cannot_be_read_is_refused_by_words():
    data = webp()
    frames = [pillow.fromarray(np.full((8, 8, 3), i, np.uint8)) for i in (0, 255)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(limpid.Unsupported, match="animated"):
        limpid.read_image(file.getvalue())
    for end in (12, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(limpid.InvalidImage, match="ends early"):
            limpid.read_image(data[:end])
    with pytest.raises(limpid.InvalidImage, match="WebP image cannot be read: its data is damaged"):
        limpid.read_image(data[:24] + bytes(len(data) - 24))
    file = io.BytesIO()
    pillow.new("L", (16383, 8193)).save(file, "WEBP", lossless=True)
    with pytest.raises(limpid.Unsupported, match="16383x8193 pixels are too many"):
        limpid.read_image(file.getvalue())


def test_gray_of_16_bits_is_cut_off_with_a_warning_or_keeps_its_high_byte(tmp_path, caplog):
    values = (np.arange(40 * 30, dtype=np.uint16) * 54).reshape(30, 40)
    path = tmp_path / "x-ray.png"
    pillow.fromarray(values).save(path)
    with caplog.at_level(logging.WARNING, "limpid"):
        cut = limpid.read_image(path)
        high = limpid.read_image(path.read_bytes(), high_byte=True)
    np.testing.assert_array_equal(cut, np.asarray(pillow.open(path).convert("RGB")))
    np.testing.assert_array_equal(high, np.repeat((values // 256)[..., None], 3, 2))
    messages = [record.message for record in caplog.records]
    assert len(messages) == 1 and "x-ray.png" in messages[0] and f"its largest is {values.max()}" in messages[0]
    caplog.clear()
    pillow.fromarray(values % 256).save(path)
    limpid.read_image(path)
    assert not caplog.records
    with pytest.raises(TypeError, match="not int"):
        limpid.read_image(3)


def test_restart_markers_out_of_order_are_read_as_by_pillow_with_a_warning(caplog):
    y, x = np.mgrid[:64, :96]
    file = io.BytesIO()
    pillow.fromarray(np.stack([x * 2, y * 3, x + y], -1).astype(np.uint8)).save(file, "JPEG", restart_marker_blocks=3)
    data = bytearray(file.getvalue())
    scan = data.index(b"\xff\xda")
    marks = [i + 1 for i in range(scan, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    assert len(marks) > 5
    for shift in (1, 2, 4, 7):
        for i in marks[2:]:
            data[i] = 0xD0 + (data[i] + shift) % 8
        caplog.clear()
        with caplog.at_level(logging.WARNING, "limpid"):
            found = limpid.read_image(data)
        np.testing.assert_array_equal(found, np.asarray(pillow.open(io.BytesIO(bytes(data))).convert("RGB")))
        assert "restart markers" in caplog.text
