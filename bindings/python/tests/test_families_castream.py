"""CA-Stream from the checkpoint to the map, against what the original program and torch computed."""

import json
import sys

import limpid
import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("onnx", reason="the converters need it")
sys.path[:0] = [str(ROOT / "converters"), str(ROOT / "Tests" / "Support")]

from checkpoints import write_case  # noqa: E402
from limpid_convert.cli import main  # noqa: E402

FIXTURES = ROOT / "Tests" / "Fixtures" / "castream"
CASES = sorted(p.parent.name for p in FIXTURES.glob("*/case.json"))
HEADS = "narrow-resnet-stream-h4"


def expected(case):
    return np.load(FIXTURES / case / "expected.npz")


def about(case):
    return json.loads((FIXTURES / case / "case.json").read_text())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Loads a case's model, converted once."""
    made = {}

    def load(case):
        if case not in made:
            directory = tmp_path_factory.mktemp(case)
            write_case(FIXTURES / case, directory / "c.pth")
            height, width = expected(case)["image_u8"].shape[:2]
            options = ["--input-size", width, height, "--heads", about(case)["heads"]]
            arguments = ["ca-stream", directory / "c.pth", directory / "m.onnx", *options]
            assert main([str(a) for a in arguments]) == 0
            made[case] = limpid.Model(directory / "m.onnx", threads=1)
        return made[case]

    return load


def close(found, wanted):
    """Within 1e-4 of the range of what is wanted, which must have one."""
    spread = np.ptp(wanted)
    assert spread > 0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * spread)


def stretched(grid):
    return (grid - grid.min()) / np.ptp(grid)


def test_there_are_cases():
    assert len(CASES) == 11


@pytest.mark.parametrize("case", CASES)
def test_scores_and_attention_are_the_originals(models, case):
    model, wanted = models(case), expected(case)
    stages = range(len(about(case)["blocks"]))
    found = model.fetch(wanted["image_u8"], ["logits", *(f"attention.{i}" for i in stages)])
    largest = np.abs(wanted["logits"]).max()
    np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=0, atol=1e-4 * largest)
    for i in stages:
        for head, attention in enumerate(wanted[f"attn_{i}"][0]):
            close(found[f"attention.{i}"][0, head], attention)


@pytest.mark.parametrize("case", [c for c in CASES if "plain" not in c])
def test_one_call_explains_with_the_attention_of_the_last_stage(models, case):
    model, wanted = models(case), expected(case)
    why = model.explain(wanted["image_u8"])[0]
    assert model.methods[0].name == "ca-stream" and why.class_index == wanted["logits"][0].argmax()
    assert why.score == pytest.approx(wanted["logits"].max(), rel=1e-4)
    close(stretched(why.grid), wanted["raw_attention"])
    assert why.map.shape == wanted["image_u8"].shape[:2]


def test_any_stage_and_head_can_be_shown(models):
    model, wanted = models(HEADS), expected(HEADS)
    for stage in range(5):
        maps = wanted[f"attn_{stage}"][0]
        close(model.explain(wanted["image_u8"], "ca-stream", stage=stage)[0].grid, maps.mean(0))
        for head in range(4):
            close(model.explain(wanted["image_u8"], "ca-stream", stage=stage, head=head)[0].grid, maps[head])


def test_the_mean_of_all_stages_weighs_them_alike(models):
    model, wanted = models(HEADS), expected(HEADS)
    image = pytest.importorskip("PIL.Image")
    stages = [wanted[f"attn_{i}"][0].mean(0) for i in range(5)]
    height, width = stages[0].shape
    enlarged = [np.asarray(image.fromarray(a * np.float32(a.size)).resize((width, height), image.Resampling.BILINEAR))
                for a in stages]
    close(model.explain(wanted["image_u8"], stage=-2)[0].grid, np.mean(enlarged, 0))


def test_every_class_has_the_same_map(models):
    first, second = models(HEADS).explain(expected(HEADS)["image_u8"], classes=[[0, 3]])
    assert (first.class_index, second.class_index) == (0, 3) and first.score != second.score
    assert (first.grid == second.grid).all()


def test_a_picture_alone_and_among_others_is_explained_alike(models):
    picture = expected(HEADS)["image_u8"]
    others = [picture[::-1].copy(), picture, picture[:, ::-1].copy()]
    among = models(HEADS).explain(others)
    assert [e.image_index for e in among] == [0, 1, 2]
    assert (among[1].grid == models(HEADS).explain(picture)[0].grid).all()
    assert (among[0].grid != among[1].grid).any()


@pytest.mark.parametrize("parameters, says", [
    ({"stage": 5}, "stage 5 is out of range; the model has 5"), ({"head": 4}, "head 4 is out of range"),
    ({"stage": -3}, '"stage" is -3'), ({"stage": float("nan")}, '"stage" is nan'),
])
def test_a_stage_or_head_that_is_not_there_is_refused(models, parameters, says):
    with pytest.raises(limpid.InvalidArgument) as caught:
        models(HEADS).explain(expected(HEADS)["image_u8"], **parameters)
    assert says in str(caught.value)


def test_the_baseline_has_no_attention_to_show(models):
    with pytest.raises(limpid.Unsupported, match="ca-stream"):
        models("resnet18-plain").explain(expected("resnet18-plain")["image_u8"], "ca-stream")
