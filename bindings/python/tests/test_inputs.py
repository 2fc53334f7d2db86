"""Everything that counts as an image."""

import io

import numpy as np
import pytest

pillow = pytest.importorskip("PIL.Image")


@pytest.fixture
def expected(model, red):
    return model.classify(red)


def test_a_path_and_its_bytes(model, red, expected, tmp_path):
    path = tmp_path / "röd.png"
    pillow.fromarray(red).save(path)
    for x in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        np.testing.assert_array_equal(model.classify(x), expected)


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
