"""Plain classifiers: `limpid-convert classifier` on the networks that torchvision and others judged."""

import json

import numpy as np
import pytest
from checkpoints import stand_in, write_zip
from conftest import ROOT, metadata_of, run_model

BACKBONES = ROOT / "Tests" / "Fixtures" / "backbones"
LITE = ("resize shorter 256 bicubic\ncenter_crop 224 224\nscale 1/255\n"
        f"normalize mean {' '.join([repr(127 / 255)] * 3)} std {' '.join([repr(128 / 255)] * 3)}")


@pytest.fixture
def convert(command, tmp_path):
    """convert(case, *options, prefix) -> (status, said, model, the case)"""

    def run(name, *options, prefix="", change=lambda state: state):
        case = json.loads((BACKBONES / f"{name}.json").read_text())
        state = change({n: stand_in(n, shape) for n, shape in case["tensors"]})
        write_zip(tmp_path / "a.pth", {"state_dict": {prefix + n: t for n, t in state.items()}})
        status, _, said = command("classifier", tmp_path / "a.pth", tmp_path / "m.onnx", *options)
        return status, said, tmp_path / "m.onnx", case

    return run


@pytest.mark.parametrize("name, options", [
    ("efficientnet_lite0", ()), ("efficientnet_lite1", ()), ("densenet", ()), ("mobilenet_v2", ()), ("vgg16", ()),
    ("alexnet", ("--architecture", "alexnet")),
    ("timm-tf_efficientnet_lite0", ("--architecture", "tf_efficientnet_lite0")),
    ("timm-efficientnet_lite0", ("--architecture", "efficientnet_lite0")),
    ("timm/convnext", ()), ("timm/mobilenetv2", ()), ("timm/mobilenetv2", ("--architecture", "mobilenet_v2")),
    ("timm/efficientnet_b0", ("--architecture", "efficientnet_b0")),
    ("timm/tf_efficientnet_b0", ("--architecture", "tf_efficientnet_b0")),
])
def test_the_scores_are_those_of_the_network(convert, name, options):
    side = json.loads((BACKBONES / f"{name}.json").read_text())["side"]
    status, said, path, case = convert(name, "--input-size", side, side, *options, prefix="module.")
    assert status == 0, said
    found = run_model(path, stand_in("picture", (1, 3, side, side)) * 30)["logits"][0]
    np.testing.assert_allclose(found, case["scores"], rtol=0, atol=1e-5 * np.abs(case["scores"]).max())
    described = metadata_of(path)
    assert described["limpid.family"] == "classifier" and described["limpid.output.logits"] == "logits"
    assert described["limpid.preprocess"].startswith(f"resize exact {side} {side} bi")
    assert not any("explain" in key for key in described)


def test_preprocessing_is_that_of_the_published_weights(convert, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    status, said, path, _ = convert("efficientnet_lite0", "--labels", tmp_path / "names.txt", "--licence", "Apache-2.0")
    assert status == 0, said
    described = metadata_of(path)
    assert described["limpid.preprocess"] == LITE and described["limpid.labels"] == "a\nb\nc\nd\ne"
    assert described["limpid.layers"].splitlines()[0] == "_bn1.relu6 nchw"
    assert described["limpid.source"].endswith("licence Apache-2.0")
    status, said, path, _ = convert("mobilenet_v2")
    assert metadata_of(path)["limpid.preprocess"].splitlines()[:2] == ["resize shorter 256 bilinear",
        "center_crop 224 224"]
    status, said, path, _ = convert("mobilenet_v2", "--preprocess",
        "bgr; resize exact 64 96 box; normalize mean 1 std 2")
    assert metadata_of(path)["limpid.preprocess"] == "bgr\nresize exact 64 96 box\nnormalize mean 1 std 2"


def test_imagenets_class_names_come_along():
    from limpid_convert import metadata

    names = metadata.read_labels("imagenet", 1000)
    assert len(names) == 1000 and names[0] == "tench" and names[281] == "tabby" and names[999] == "toilet tissue"


@pytest.mark.parametrize("name, options, change, says", [
    ("mobilenet_v2", ("--labels", "imagenet"), None, "1000 names for a model of 5 classes"),
    ("mobilenet_v2", ("--preprocess", "resize shorter 8 box"), None, "give --input-size"),
    ("mobilenet_v2", ("--input-size", "0", "9"), None, "a side must be from 1"),
    ("vgg16", ("--input-size", "8", "8"), None, "too small for this network"),
    ("timm-efficientnet_lite0", (), None, "give --architecture, for example tf_efficientnet_lite0"),
    ("timm/efficientnet_b0", (), None, "give --architecture, for example efficientnet_b0 or tf_efficientnet_b0"),
    ("timm/efficientnet_b0", ("--architecture", "resnet50"), None, "give --architecture, for example efficientnet_b0"),
    ("timm/mobilenetv2", (), lambda s: {n: t for n, t in s.items() if "blocks.6." not in n},
        "timm's EfficientNet or Mob"),
    ("timm/convnext", (), lambda s: {n: t for n, t in s.items() if n != "head.norm.bias"},
        "missing      classifier.0.bias"),
    ("efficientnet_lite0", (), lambda s: s | {"_blocks.0._se_reduce.weight": stand_in("a", (2,))},
        "export the network"),
    ("efficientnet_lite0", (), lambda s: {f"encoder.{n}": t for n, t in s.items()}, "give --prefix encoder."),
    ("efficientnet_lite0", (), lambda s: {n: t for n, t in s.items() if n != "_fc.bias"}, "missing      _fc.bias"),
    ("efficientnet_lite0", (), lambda s: {n: t for n, t in s.items() if "_blocks.15" not in n},
        "EfficientNet-Lite has 16"),
    ("efficientnet_lite0", ("--architecture", "resnet18"), None, "missing      conv1.weight"),
    ("mobilenet_v2", (),
        lambda s: {"patch_embed.proj.weight": s["features.0.0.weight"], "cls_token": s["classifier.1.bias"]},
     "timm's vision transformer"),
    ("mobilenet_v2", (), lambda s: {"attnM.op.weight": s["classifier.1.weight"]}, "limpid-convert lcam"),
    ("mobilenet_v2", (), lambda s: {"something.weight": s["classifier.1.weight"]}, "of no known network"),
])
def test_what_does_not_fit_is_refused(convert, name, options, change, says):
    status, said, path, _ = convert(name, *options, change=change or (lambda state: state))
    assert status == 1 and says in said and not path.exists(), said
