"""TAME and L-CAM through the runtime against the numbers of the original program: logits and attention by every door,
and the maps as the original spreads and enlarges them. Every kernel variant on the smallest case."""

import json

import numpy as np
import pytest
from conftest import FIXTURES
from PIL import Image
from tame_cases import convert

CASES = sorted(p.parent.name for p in (FIXTURES / "tame").glob("*/case.json"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{case: model file}; one at a time, for they have half a gigabyte."""
    from limpid_convert.cli import main

    made = {}

    def get(name):
        if name not in made:
            for path in made.values():
                path.with_name(path.name + ".data").unlink()
            made.clear()
            made[name] = convert(main, FIXTURES / "tame" / name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture(scope="module", params=CASES)
def case(request, models, tmp_path_factory):
    """(method, model file, picture file, the original's numbers)"""
    expected = np.load(FIXTURES / "tame" / request.param / "expected.npz")
    picture = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(expected["image_u8"]).save(picture)
    method = json.loads((FIXTURES / "tame" / request.param / "case.json").read_text())["family"]
    return method, models(request.param), picture, expected


def close(found, expected, largest=None):
    largest = np.abs(expected).max() if largest is None else largest
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, rtol=0, atol=1e-4 * largest)


def check_values(door, case):
    _, model, picture, expected = case
    logits, attention = door.fetch(model, picture, ["logits", "attention"])
    close(logits, expected["logits"])
    maps = np.reshape(attention, (1000, *expected["attention"].shape[1:]))[expected["labels"]]
    close(maps, expected["attention"], np.ptp(expected["attention"]))


@pytest.mark.parametrize("door", ["Swift", "C", "Python"])
def test_logits_and_attention_are_the_originals(case, door, doors):
    check_values(doors[door], case)


def test_all_classes_explained_at_once_are_the_originals_maps_spread_over_0_to_1(case, doors):
    method, model, picture, expected = case
    labels = expected["labels"]
    scores, ranges, grids = doors["C"].explain(model, picture, method, (1000, *expected["attention"].shape[1:]))
    close(scores[labels], expected["logits"][0, labels])
    close(grids[labels], expected["normalized"])
    assert (ranges == [0, 1]).all()


def test_some_classes_alone_have_the_same_map_raw_and_enlarged(case):
    import limpid

    method, model, picture, expected = case
    with limpid.Model(model) as loaded:
        (why,) = loaded.explain(picture, method=method)
        assert why.class_index == expected["labels"][0]
        close(why.grid, expected["normalized"][0])
        close(why.map[::4, ::4], expected["enlarged"], 1)
        chosen = [int(label) for label in expected["labels"]]
        raw = loaded.explain([picture, picture], method=method, classes=[chosen, chosen[::-1]], normalize=0)
    close(np.stack([e.grid for e in raw[:3]]), expected["attention"], np.ptp(expected["attention"]))
    np.testing.assert_array_equal([e.grid for e in raw[:3]], [e.grid for e in raw[:2:-1]])
    assert raw[0].range == (raw[0].grid.min(), raw[0].grid.max())


@pytest.mark.parametrize("door", ["Swift", "C", "Python"])
def test_every_kernel_variant_gives_the_originals_numbers(door, doors, variant, models, tmp_path):
    name = "lcam-fm-resnet50"
    expected = np.load(FIXTURES / "tame" / name / "expected.npz")
    Image.fromarray(expected["image_u8"]).save(tmp_path / "picture.png")
    check_values(doors[door], ("lcam", models(name), tmp_path / "picture.png", expected))
