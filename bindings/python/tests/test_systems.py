"""From a checkpoint through the converter and the library, against what the systems' own programs computed."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT

import limpid

pytest.importorskip("onnx", reason="the converters need it")
sys.path[:0] = [str(ROOT / "Tests" / "Support"), str(ROOT / "converters")]
FIXTURES = ROOT / "Tests" / "Fixtures"
CASES = sorted(
    f"{system}/{path.parent.name}" for system in ("castream", "scouter")
    for path in (FIXTURES / system).glob("*/case.json"))


@pytest.fixture(scope="module", params=CASES)
def system(request, tmp_path_factory):
    """(model, what is known of the case, the numbers of the original program)"""
    from checkpoints import write_case
    from limpid_convert.cli import main

    directory = FIXTURES / request.param
    about, expected = json.loads((directory / "case.json").read_text()), np.load(directory / "expected.npz")
    folder = tmp_path_factory.mktemp("model")
    write_case(directory, folder / "c.pth")
    arguments = [about["family"], str(folder / "c.pth"), str(folder / "m.onnx")]
    if about["family"] == "ca-stream":
        height, width = expected["image_u8"].shape[:2]
        arguments += ["--input-size", str(width), str(height)]
        arguments += ["--heads", str(about["heads"])] if about["heads"] > 1 else []
    assert main(arguments) == 0
    with limpid.Model(folder / "m.onnx") as model:
        yield model, about, expected


def close(found, expected, share):
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * np.abs(expected).max())


def test_pixels_in_logits_out(system):
    model, about, expected = system
    image = expected["image_u8"]
    close(model.fetch(image, "logits")["logits"], expected["logits"], about["tolerance"]["logits"])
    powers = np.exp(expected["logits"][0].astype(np.float64) - expected["logits"].max())
    np.testing.assert_allclose(model.classify(image), powers / powers.sum(), atol=1e-3)


def test_scouter_maps_are_the_attention_of_the_slots(system):
    model, about, expected = system
    if "attn_class" not in expected:
        pytest.skip("no slots")
    maps = expected["attn_class"][0]
    found = model.explain(expected["image_u8"], "scouter", classes=list(range(len(maps))))
    for why, reference, levels, score in zip(found, maps, expected["map_u8"], expected["logits"][0]):
        close(why.grid, reference, about["tolerance"]["attn_class"])
        assert abs(why.score - score) <= 1e-4 * np.abs(expected["logits"]).max()
        low, high = why.range
        drawn = ((why.grid - low) / (high - low) * 255).astype(np.uint8).astype(int)
        assert np.abs(drawn - levels).max() <= about["tolerance"]["map_u8_levels"]


def test_ca_stream_maps_are_the_raw_attention(system):
    model, about, expected = system
    if "raw_attention" not in expected:
        pytest.skip("no stream")
    (why,) = model.explain(expected["image_u8"], "ca-stream")
    reference = expected["raw_attention"]
    assert why.grid.shape == reference.shape
    # The original spreads it from 0 to 1.
    close((why.grid - why.grid.min()) / np.ptp(why.grid), (reference - reference.min()) / np.ptp(reference), 1e-3)
