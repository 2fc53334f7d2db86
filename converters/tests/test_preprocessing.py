"""The grammar of preprocessing, by cases for the runtime too (made by Tests/Support/make_preprocessing_cases.py)."""

import json

import numpy as np
import pytest
from conftest import FIXTURES

from limpid_convert import preprocessing
from limpid_convert.errors import ConversionError

CASES = json.loads((FIXTURES / "preprocessing" / "grammar.json").read_text())


def test_there_are_cases():
    assert len(CASES["valid"]) >= 30 and len(CASES["invalid"]) >= 70


@pytest.mark.parametrize("case", CASES["valid"], ids=lambda c: c["text"][:60])
def test_what_is_valid_means_what_the_table_says(case):
    found = preprocessing.parse(case["text"])
    assert found.channels == case["channels"]
    assert ([found.width, found.height] if found.width else None) == case["size"]
    for image in case.get("images", ()):
        assert case["size"] in (None, image["makes"])
    levels = [[found.level(byte, channel) for byte in (0, 255)] for channel in range(found.channels)]
    np.testing.assert_array_equal(np.array(levels, np.float32), np.array(case["bytes"], np.float32))
    if "tensor" in case and "resize" not in case["text"] and "center" not in case["text"] and "pad" not in case["text"]:
        pixels = np.array(case["image"])[..., :: -1 if found.bgr else 1]
        if found.channels == 3:
            tensor = [[[found.level(int(b), c) for b in row] for row in pixels[..., c]] for c in range(3)]
            np.testing.assert_array_equal(np.array(tensor, np.float32), np.array(case["tensor"], np.float32))
    assert preprocessing.parse(found.text) == found


@pytest.mark.parametrize("case", CASES["invalid"], ids=lambda c: c["text"][:60])
def test_what_is_invalid_is_refused_with_the_step_named(case):
    with pytest.raises(ConversionError) as refusal:
        preprocessing.parse(case["text"])
    assert case["says"] in str(refusal.value) and len(str(refusal.value)) < 600


def test_presets_and_semicolons_are_the_users_shorthand():
    lines = preprocessing.parse("imagenet").text.splitlines()
    assert lines[:2] == ["resize shorter 256 bilinear", "center_crop 224 224"]
    assert preprocessing.parse("imagenet-exact").width == 224
    assert preprocessing.parse("gray; scale 1/255").text == "gray\nscale 1/255"


def test_a_description_of_any_length_ends_soon():
    with pytest.raises(ConversionError, match="at most 64"):
        preprocessing.parse("gray;" * 100_000)
    with pytest.raises(ConversionError, match="finite"):
        preprocessing.parse("scale 1/" + "9" * 100_000)
