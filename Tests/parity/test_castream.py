"""CA-Stream through the runtime against the numbers of the original program, by every door, and with every kernel
variant on a small case. What its parameters do is in the tests of the Python binding."""

import json

import limpid
import numpy as np
import pytest
from conftest import DOORS, FIXTURES, close
from PIL import Image

FOLDER = FIXTURES / "castream"
CASES = sorted(p.parent.name for p in FOLDER.glob("*/case.json"))
#: With the maps that the authors' program makes of a class by gradients.
CLASS_SPECIFIC = ["resnet18-stream", "resnet50-stream", "convnext_tiny-stream", "resnet18-final", "resnet18-plain"]


@pytest.fixture
def prepare(converted, tmp_path):
    """prepare(case) -> (model file, picture file, the original's numbers, stages)"""

    def run(case):
        about = json.loads((FOLDER / case / "case.json").read_text())
        expected = np.load(FOLDER / case / "expected.npz")
        height, width = expected["image_u8"].shape[:2]
        model = converted("castream", case, "--input-size", width, height, "--heads", about["heads"])
        Image.fromarray(expected["image_u8"]).save(tmp_path / "picture.png")
        return model, tmp_path / "picture.png", expected, len(about["blocks"])

    return run


def check_values(door, model, picture, expected, stages):
    names = ["logits", *(f"attention.{i}" for i in range(stages))]
    logits, *attention = door.fetch(model, picture, names)
    close(logits, expected["logits"])
    for i, found in enumerate(attention):
        wanted = expected[f"attn_{i}"]
        found = np.reshape(found, (-1, *wanted.shape[2:]))
        for head in range(wanted.shape[1]):
            close(found[head], wanted[0, head], np.ptp(wanted[0, head]))


def test_there_are_cases():
    assert len(CASES) == 11


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CASES)
def test_logits_and_attention_are_the_originals(case, door, doors, prepare):
    check_values(doors[door], *prepare(case))


@pytest.mark.parametrize("door", ["C", "Python"])
@pytest.mark.parametrize("case", [c for c in CASES if "plain" not in c])
def test_one_call_gives_the_originals_map_for_any_class(case, door, doors, prepare):
    model, picture, expected, _ = prepare(case)
    wanted = expected["raw_attention"]
    scores, _, grids = doors[door].explain(model, picture, "ca-stream", (2, *wanted.shape))
    close(scores, expected["logits"][0, :2], np.abs(expected["logits"]).max())
    for grid in grids:
        close((grid - grid.min()) / np.ptp(grid), wanted, np.ptp(wanted))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", ["narrow-resnet-stream-h4", "narrow-convnext-stream", "narrow-efficientnet-stream"])
def test_every_kernel_variant_gives_the_originals_numbers(case, door, doors, variant, prepare):
    check_values(doors[door], *prepare(case))


def test_score_cam_of_its_own_program(prepare):
    model, picture, _, _ = prepare("resnet18-stream")
    expected = np.load(FOLDER / "resnet18-stream/score-cam.npz")
    found = limpid.Model(model).explain(
        picture, "score-cam", [[int(label) for label in expected["labels"]]], layer="layer4.1.relu2", compat="ca-stream")
    for explanation, wanted in zip(found, expected["maps"]):
        close(explanation.grid, wanted)


@pytest.mark.parametrize("array, method", [("gradcam", "grad-cam"), ("gradcampp", "grad-cam++")])
@pytest.mark.parametrize("case", CLASS_SPECIFIC)
def test_class_specific_maps_at_the_familys_own_layer(case, array, method, prepare):
    model, picture, expected, _ = prepare(case)
    classes = [[int(label) for label in expected["labels"]]]
    found = limpid.Model(model).explain(picture, method, classes, compat="ca-stream")
    assert len(found) == len(expected[array]) == 3
    for explanation, wanted in zip(found, expected[array]):
        # ConvNeXt's activations have signs, which makes the divisor of Grad-CAM++ small: the original's own float32 is 2e-4 off.
        np.testing.assert_allclose(explanation.grid, wanted, rtol=0, atol=2e-4)
