"""Backbones with torchvision's names, made narrow, against the scores that torchvision computes."""

import json

import numpy as np
import pytest
from checkpoints import stand_in
from conftest import ROOT, run_model
from test_backbones import Tensor, build

from limpid_convert import backbones
from limpid_convert.errors import ConversionError
from limpid_convert.families import tame_taps
from limpid_convert.graph import write_model
from limpid_convert.layers import Layers
from limpid_convert.state import State

CASES = {p.stem: json.loads(p.read_text()) for p in (ROOT / "Tests" / "Fixtures" / "backbones").glob("*.json")}
#: The module that builds each, and the architecture that may be named.
BUILT = {"alexnet": (backbones.alexnet, "alexnet"), "vgg16": (backbones.vgg, "vgg16"),
         "vgg-by-shape": (backbones.vgg, None), "densenet": (backbones.densenet, None),
         "mobilenet_v2": (backbones.mobilenet, "mobilenet_v2"),
         "vit": (backbones.vit, None),
         "efficientnet_lite0": (backbones.efficientnet_lite, "efficientnet_lite0"),
         "efficientnet_lite1": (backbones.efficientnet_lite, "efficientnet_lite1"),
         "timm-efficientnet_lite0": (backbones.efficientnet_lite, "efficientnet_lite0"),
         "timm-tf_efficientnet_lite0": (backbones.efficientnet_lite, "tf_efficientnet_lite0")}


def tensors(case):
    return {name: Tensor(stand_in(name, shape)) for name, shape in CASES[case]["tensors"]}


def test_there_are_cases():
    assert set(CASES) == set(BUILT)


#: Without a name timm's are refused: their tensors do not tell which of two they are.
NAMED = [(c, n) for c in BUILT for n in (False, True) if (BUILT[c][1] or not n) and (n or not c.startswith("timm-"))]


@pytest.mark.parametrize("case, named", NAMED)
def test_scores_are_torchvisions(tmp_path, case, named):
    side, (module, architecture) = CASES[case]["side"], BUILT[case]
    assert backbones.select(None, State(tensors(case)), tokens=True) is module
    builder, state, taps = build(tensors(case), architecture if named else None, side, side, None)
    scores = module.classify(Layers(builder, state), taps)
    state.finish(case)
    builder.output(scores, ["N", 5])
    for feature in taps.named.values():
        builder.output(feature.name, ["N", feature.channels, feature.height, feature.width])
    write_model(builder.model(), str(tmp_path / "m.onnx"))
    found = run_model(tmp_path / "m.onnx", stand_in("picture", (1, 3, side, side)) * 30)
    expected = np.array(CASES[case]["scores"])
    np.testing.assert_allclose(found[scores][0], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    shapes = {f.name: (1, f.channels, f.height, f.width) for f in taps.named.values()}
    assert {name: found[name].shape for name in shapes} == shapes


@pytest.mark.parametrize("case, last", [("vgg16", "features.16"), ("alexnet", "features.5"),
                                        ("densenet", "features.transition2"), ("mobilenet_v2", "features.13")])
def test_a_network_may_end_early(case, last):
    side = CASES[case]["side"]
    _, _, taps = build(tensors(case), None, side, side, last)
    assert list(taps.named)[-1] == last and taps.final is taps.named[last]


@pytest.mark.parametrize("case", [c for c in BUILT if c not in ("vgg-by-shape", "vit")])
def test_a_missing_tensor_is_named(case):
    name = next(n for n, s in reversed(CASES[case]["tensors"]) if len(s) == 4)
    found = tensors(case)
    del found[name]
    _, state, _ = build(found, BUILT[case][1], CASES[case]["side"], CASES[case]["side"], None)
    with pytest.raises(ConversionError, match=rf"missing +{name}"):
        state.finish(case)


@pytest.mark.parametrize("module, extracted, own", [
    # Pairs that torchvision 0.28 and timm compute the same numbers for: all 1300 names of twelve networks agreed.
    (backbones.resnet, "layer2.1.relu", "layer2.1.relu1"), (backbones.resnet, "layer2.1.relu_1", "layer2.1.relu2"),
    (backbones.resnet, "layer4.2.relu_2", "layer4.2.relu3"), (backbones.resnest, "layer1.0.act1", "layer1.0.relu1"),
    (backbones.resnest, "layer1.0.conv2.sum_1", "layer1.0.conv2.out"),
    (backbones.resnet, "layer1.0.iadd", "layer1.0.add"),
    (backbones.mobilenet, "features.6.add", "features.6.conv.add"),
    (backbones.convnext, "features.7.2.add", "features.7.2"),
    (backbones.convnext, "features.1.0.mul", "features.1.0.block.scaled"),
    (backbones.efficientnet, "features.3.1.add", "features.3.1"),
    (backbones.efficientnet, "features.3.1.stochastic_depth", "features.3.1.block"),
    (backbones.densenet, "features.denseblock2.cat", "features.denseblock2"),
    (backbones.densenet, "features.denseblock2.denselayer3.cat", "features.denseblock2.denselayer2.out"),
    (backbones.densenet, "features.denseblock2.denselayer1.cat", "features.transition1.pool"),
    (backbones.densenet, "features.denseblock1.denselayer1.cat", "features.pool0"),
])
def test_layers_may_be_called_as_torchvisions_feature_extraction_calls_them(module, extracted, own):
    outline = tame_taps.Outline(graph=None, known={"conv1": None})
    assert tame_taps.named(outline, extracted, module.EXTRACTED) == own
    assert tame_taps.named(outline, own, module.EXTRACTED) == own
    assert tame_taps.named(tame_taps.Outline(None, {extracted: None}), extracted, module.EXTRACTED) == extracted


@pytest.mark.parametrize("case, extracted, module_name", [
    ("densenet", "features.denseblock2.cat", "features.denseblock2"), ("mobilenet_v2", "features.6.add", "features.6"),
    ("mobilenet_v2", "features.18", "features.18"), ("vgg16", "features.16", "features.16"),
])
def test_both_names_are_the_same_layer(case, extracted, module_name):
    side, module = CASES[case]["side"], BUILT[case][0]
    builder, _, _ = build(tensors(case), None, side, side, None)
    outline = tame_taps.Outline.of(builder, side, side)
    found = [tame_taps.select(outline, [name], aliases=getattr(module, "EXTRACTED", ())) for name in (extracted,
        module_name)]
    assert found[0] == found[1]
