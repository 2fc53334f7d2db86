"""TAME and L-CAM through the runtime against the numbers of the original program: logits and attention by every door,
and the maps as the original spreads and enlarges them. Every kernel variant on the smallest case."""

import json

import numpy as np
import pytest
from conftest import DOORS, FIXTURES, close
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


def check_values(door, case):
    _, model, picture, expected = case
    logits, attention = door.fetch(model, picture, ["logits", "attention"])
    close(logits, expected["logits"])
    maps = np.reshape(attention, (1000, *expected["attention"].shape[1:]))[expected["labels"]]
    close(maps, expected["attention"], np.ptp(expected["attention"]))


@pytest.mark.parametrize("door", DOORS)
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
        raw = loaded.explain([picture, picture], method=method, classes=[chosen, chosen[::-1]], normalize="none")
    close(np.stack([e.grid for e in raw[:3]]), expected["attention"], np.ptp(expected["attention"]))
    np.testing.assert_array_equal([e.grid for e in raw[:3]], [e.grid for e in raw[:2:-1]])
    assert raw[0].range == (raw[0].grid.min(), raw[0].grid.max())


@pytest.mark.parametrize("door", DOORS)
def test_every_kernel_variant_gives_the_originals_numbers(door, doors, variant, models, tmp_path):
    name = "lcam-fm-resnet50"
    expected = np.load(FIXTURES / "tame" / name / "expected.npz")
    Image.fromarray(expected["image_u8"]).save(tmp_path / "picture.png")
    check_values(doors[door], ("lcam", models(name), tmp_path / "picture.png", expected))


DIGITS = FIXTURES.parents[1] / "examples" / "tame-digits"


@pytest.mark.parametrize("method", ["tame", "lcam"])
def test_a_class_alone_has_the_map_that_it_has_among_all(method):
    import limpid

    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (3, 70, 90, 3), dtype=np.uint8)
    with limpid.Model(DIGITS / f"{method}.onnx") as model:
        whole = model.fetch(list(pictures), ["attention"])["attention"]
        found = model.explain(list(pictures), method=method, classes=[[7, 1], [4, 4], [-1, 0]], normalize="none")
        assert [(e.image_index, e.class_index) for e in found[:4]] == [(0, 7), (0, 1), (1, 4), (1, 4)]
        assert (found[4].image_index, found[5].class_index) == (2, 0)
        for e in found:
            close(e.grid, whole[e.image_index, e.class_index], np.ptp(whole))
        with pytest.raises(limpid.LimpidError, match="class 10 is out of range"):
            model.explain(pictures[0], method=method, classes=10)


@pytest.mark.parametrize("method", ["tame", "lcam"])
def test_every_step_of_both_passes_can_be_stopped_and_counts(method):
    import limpid

    pictures = [np.full((64, 64, 3), level, np.uint8) for level in (0, 90, 200)]
    with limpid.Model(DIGITS / f"{method}.onnx") as model:
        shares, classifying = [], []
        model.explain(pictures, method=method, progress=lambda done, total: shares.append(done / total))
        model.classify(pictures, progress=lambda done, total: classifying.append(done / total))
        assert shares == sorted(shares) and shares[-1] == 1
        # The part behind the features reports its own steps, and comes before the end.
        assert len(shares) > len(classifying) and sum(share > 0.92 for share in shares) >= 3
        for last in range(len(shares)):
            asked = iter(range(last))
            with pytest.raises(limpid.Cancelled):
                model.explain(pictures, method=method, progress=lambda done, total: next(asked, None) is not None)


def test_a_constant_map_is_zero_and_marked(tmp_path):
    """The original divides zero by zero there."""
    import limpid
    import onnx
    from onnx import numpy_helper

    model = onnx.load(DIGITS / "tame.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.startswith("attn.fuser.weight.") or tensor.name == "attn.fuser.bias":
            values = numpy_helper.to_array(tensor).copy()
            values[3] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "m.onnx")
    with limpid.Model(tmp_path / "m.onnx") as loaded:
        constant, other = loaded.explain(np.zeros((64, 64, 3), np.uint8), method="tame", classes=[3, 4])
    assert constant.degenerate and not constant.grid.any() and constant.range == (0, 1)
    assert not other.degenerate and other.grid.max() == 1


@pytest.mark.parametrize("names, message", [
    ("attn.fuser.weight.0 nothing", 'no value named "nothing"'),
    ("attn.fuser.weight.0 branch", "no value named"),
    ("attn.fuser.weight.0 logits", '"logits" are no weights'),
    ("attn.fuser.weight.0 classifier.3.bias", "are for different classes"),
    ("attn.fuser.bias", r"the bias is float32 of shape \[1\]"),
])
def test_metadata_that_lies_is_an_error(tmp_path, names, message):
    import limpid
    import onnx

    model = onnx.load(DIGITS / "tame.onnx")
    for entry in model.metadata_props:
        if entry.key == "limpid.explain.tame.class_weights":
            entry.value = names
    onnx.save(model, tmp_path / "m.onnx")
    with limpid.Model(tmp_path / "m.onnx") as loaded, pytest.raises(limpid.LimpidError, match=message):
        loaded.explain(np.zeros((64, 64, 3), np.uint8), method="tame", classes=[3])
