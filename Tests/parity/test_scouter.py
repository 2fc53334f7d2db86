"""SCOUTER through the runtime against the numbers of the original program (full-size cases) and of torch (narrow ones):
logits and attention by every door and every kernel variant, within 1e-4."""

import numpy as np
import pytest
from conftest import DOORS, FIXTURES, close
from PIL import Image

CASES = sorted(p.parent.name for p in (FIXTURES / "scouter").glob("*/case.json"))


@pytest.fixture(params=CASES)
def case(request, converted, tmp_path):
    """(model file, picture file, the original's numbers)"""
    expected = np.load(FIXTURES / "scouter" / request.param / "expected.npz")
    picture = tmp_path / "picture.png"
    Image.fromarray(np.squeeze(expected["image_u8"])).save(picture)
    return converted("scouter", request.param), picture, expected


@pytest.mark.parametrize("door", DOORS)
def test_logits_and_attention_are_the_originals(case, variant, door, doors):
    model, picture, expected = case
    close(doors[door].fetch(model, picture, ["logits"])[0], expected["logits"])
    if "attn_class" in expected:
        close(doors[door].fetch(model, picture, ["attention"])[0], expected["attn_class"])


@pytest.mark.parametrize("door", ["C", "Python"])
def test_explanations_are_the_originals_maps_in_their_common_range(case, door, doors):
    model, picture, expected = case
    if "attn_class" not in expected:
        pytest.skip("an FC baseline explains nothing")
    maps = expected["attn_class"][0]
    scores, ranges, grids = doors[door].explain(model, picture, "scouter", maps.shape)
    close(scores, expected["logits"][0])
    close(grids, maps)
    close(ranges, np.tile([maps.min(), maps.max()], (len(maps), 1)))
    # What the original writes as 8-bit pictures, truncated; a value on a boundary may fall one level lower.
    levels = np.trunc((grids - ranges[0, 0]) / (ranges[0, 1] - ranges[0, 0]) * 255)
    assert np.abs(levels - expected["map_u8"]).max() <= 1
