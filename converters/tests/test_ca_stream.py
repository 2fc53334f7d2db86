"""CA-Stream models against what the original program (full-size cases) and torch (narrow ones) computed."""

import json

import numpy as np
import pytest
from checkpoints import read_case, write_case, write_zip
from conftest import FIXTURES, metadata_of, run_model

CA_STREAM = FIXTURES / "castream"
CASES = sorted(p.parent.name for p in CA_STREAM.glob("*/case.json"))


def options_of(case):
    """The options that a case needs beyond its checkpoint."""
    height, width = np.load(CA_STREAM / case / "expected.npz")["image_u8"].shape[:2]
    heads = json.loads((CA_STREAM / case / "case.json").read_text())["heads"]
    return ["--input-size", width, height] + (["--heads", heads] if heads > 1 else [])


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """{case: model path}, converted on demand, once."""
    from limpid_convert.cli import main

    made = {}

    def convert(case):
        if case not in made:
            directory = tmp_path_factory.mktemp(case)
            write_case(CA_STREAM / case, directory / "c.pth")
            arguments = ["ca-stream", directory / "c.pth", directory / "m.onnx", *options_of(case)]
            assert main([str(a) for a in arguments]) == 0
            made[case] = directory / "m.onnx"
        return made[case]

    return convert


def tensor_of(image):
    """The network's input for a picture of the right size, as torchvision's ToTensor and Normalize make it."""
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((image.astype(np.float32) / np.float32(255) - mean) / std).transpose(2, 0, 1)[None]


def test_there_are_cases():
    assert len(CASES) == 11


@pytest.mark.parametrize("case", CASES)
def test_the_model_computes_what_the_original_computed(converted, case):
    path, expected = converted(case), np.load(CA_STREAM / case / "expected.npz")
    about = json.loads((CA_STREAM / case / "case.json").read_text())
    found = run_model(path, tensor_of(expected["image_u8"]))
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=about["tolerance"]["logits"] * largest)
    assert list(found) == ["logits"] + [f"attention.{i}" for i in range(len(about["blocks"]))]
    for i in range(len(about["blocks"])):
        attention = expected[f"attn_{i}"]
        assert attention.shape[1] == about["heads"]
        for head, wanted in enumerate(attention[0]):
            assert wanted.std() > 0.01 * wanted.mean()  # the case would tell attention from a mere average
            np.testing.assert_allclose(found[f"attention.{i}"][0, head], wanted, rtol=0,
                                       atol=about["tolerance"]["maps"] * np.ptp(wanted))
