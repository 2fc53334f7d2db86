"""L-CAM models of the variants that no fixture covers; the others are judged in test_tame."""

import json

import numpy as np
import pytest
from checkpoints import stand_in, write_zip
from conftest import ROOT, metadata_of, run_model

from limpid_convert.preprocessing import IMAGENET_MEAN, IMAGENET_STD

VGG = json.loads((ROOT / "Tests" / "Fixtures" / "backbones" / "vgg16.json").read_text())
RESNET = json.loads((ROOT / "Tests" / "Fixtures" / "scouter" / "narrow-resnet18-s3-negative" / "case.json").read_text())
STEPS = ("--preprocess", "resize exact 64 64 bilinear; scale 1/255", "--input-size", "64", "64")


def vgg():
    return {**{n: stand_in(n, s) for n, s in VGG["tensors"]}, **head(8)}


def resnet():
    tensors = {n[len("backbone.") :]: s for n, s in RESNET["tensors"] if n.startswith("backbone.")}
    tensors.update({"fc.weight": [5, 32], "fc.bias": [5]})
    return {**{n: stand_in(n, s) for n, s in tensors.items()}, **head(32)}


def head(width):
    shapes = {"attnM.op.weight": (5, width, 1, 1), "attnM.op.bias": (5,)}
    return {name: stand_in(name, shape) for name, shape in shapes.items()}


@pytest.fixture
def lcam(command, tmp_path):
    """lcam(tensors, *options) -> (status, said, model path)"""

    def run(tensors, *options):
        write_zip(tmp_path / "c.pth.tar", {"epoch": 0, "arch": "resnet", "global_counter": 1, "state_dict": tensors})
        status, _, said = command("lcam", tmp_path / "c.pth.tar", tmp_path / "m.onnx", *STEPS, *options)
        return status, said, tmp_path / "m.onnx"

    return run


def picture(seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (2, 3, 64, 64)).astype(np.float32)


def test_vgg_reads_before_or_behind_the_last_pool(lcam):
    maps = {}
    for grid, value in ((14, "features.29"), (7, "features.30")):
        status, said, path = lcam(vgg(), "--architecture", "vgg16", "--variant", "img", "--grid", str(grid))
        assert status == 0 and said.startswith(f"vgg16, img: maps 5x") and value in said.splitlines()[0]
        maps[grid] = run_model(path, picture())["attention"]
    assert maps[14].shape == (2, 5, 4, 4) and maps[7].shape == (2, 5, 2, 2)
    # One 1x1 convolution without activation: the pooled maps' weights are those of the maps before pooling.
    assert np.abs(maps[7]).max() > 0


@pytest.mark.parametrize("variant", ["img", "fm", "fma", "imga"])
def test_variants_of_vgg_explain_alike(lcam, variant):
    _, _, path = lcam(vgg(), "--architecture", "vgg16", "--variant", "img")
    expected = run_model(path, picture())
    status, said, path = lcam(vgg(), "--architecture", "vgg16", "--variant", variant)
    assert status == 0, said
    found = run_model(path, picture())
    for name in ("logits", "attention"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert metadata_of(path)["limpid.explain.lcam.variant"] == variant


def test_imga_of_resnet_explains_the_picture_as_it_comes(lcam):
    """Its attention is that of the ordinary model for the picture that normalisation turns into this one."""
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    x = picture()
    _, _, path = lcam(resnet(), "--architecture", "resnet18", "--variant", "img")
    plain, turned = run_model(path, x), run_model(path, x * std + mean)
    status, said, path = lcam(resnet(), "--architecture", "resnet18", "--variant", "imga")
    assert status == 0, said
    found = run_model(path, x)
    np.testing.assert_array_equal(found["logits"], plain["logits"])
    spread = np.ptp(turned["attention"])
    np.testing.assert_allclose(found["attention"], turned["attention"], rtol=0, atol=1e-5 * spread)
    assert np.abs(found["attention"] - plain["attention"]).max() > 0.05 * spread
    assert path.stat().st_size < 1.2 * sum(t.nbytes for t in resnet().values()) + 100_000  # weights are there once


@pytest.mark.parametrize("tensors, options, message", [
    (resnet, ("resnet18", "--variant", "img", "--grid", "14"), "--grid 14 is for VGG"),
    (vgg, ("vgg16", "--variant", "fm", "--grid", "7"), "variant img only, not fm"),
    (vgg, ("resnet18", "--variant", "img"), "missing      conv1.weight"),
    (resnet, ("vgg16", "--variant", "img"), "missing      features.0.weight"),
    (vgg, ("transformer", "--variant", "img"), "does not know the network 'transformer'"),
])
def test_wrong_pairings_are_refused(lcam, tensors, options, message):
    status, said, path = lcam(tensors(), "--architecture", *options)
    assert status == 1 and message in said and not path.exists()


def test_a_head_of_another_width_is_refused(lcam):
    status, said, _ = lcam({**vgg(), **head(9)}, "--architecture", "vgg16", "--variant", "img")
    assert status == 1 and "attnM.op.weight  expected [5, 8, 1, 1], found [5, 9, 1, 1]" in said


def test_a_tame_file_is_told(lcam):
    status, said, _ = lcam({"attn.fuser.weight": np.zeros((5, 4, 1, 1), np.float32)}, "--architecture", "vgg16",
                           "--variant", "img")
    assert status == 1 and "limpid-convert tame" in said
