"""Backbones by names and shapes; their numbers are judged in test_scouter."""

import numpy as np
import pytest
from checkpoints import read_case, stand_in
from conftest import SCOUTER, run_model

from limpid_convert import backbones
from limpid_convert.backbones import resnest, resnet
from limpid_convert.errors import ConversionError
from limpid_convert.graph import Builder, write_model
from limpid_convert.layers import Feature, Layers
from limpid_convert.state import State

NORM = ("weight", "bias", "running_mean", "running_var")


class Tensor:
    """A stored tensor, already read."""

    def __init__(self, array):
        self.array, self.shape, self.element_type = array, array.shape, str(array.dtype)

    def numpy(self):
        return self.array


def narrow(case="narrow-resnet18-s3-negative"):
    _, tensors = read_case(SCOUTER / case)
    return {n[len("backbone.") :]: Tensor(a) for n, a in tensors.items() if n.startswith("backbone.")}


def build(tensors, architecture=None, height=64, width=64, last="layer4"):
    builder, state = Builder("test"), State(tensors)
    x = Feature(builder.input("input", ["N", 3, height, width]), 3, height, width)
    module = backbones.select(architecture, state, tokens=True)
    return builder, state, module.build(Layers(builder, state), x, architecture, last)


@pytest.mark.parametrize("case, module", [("narrow-resnet18-s3-negative", resnet),
                                          ("narrow-resnest14d-s2-positive", resnest)])
def test_the_network_is_recognised_by_its_tensors(case, module):
    assert backbones.select(None, State(narrow(case))) is module


def test_unknown_tensors_and_names_are_refused():
    with pytest.raises(ConversionError, match="--architecture"):
        backbones.select(None, State({}))
    with pytest.raises(ConversionError, match="resnet18"):
        backbones.select("nothing", State({}))


@pytest.mark.parametrize("height, width", [(64, 64), (100, 75), (33, 257)])
def test_sizes_kept_along_are_those_of_the_running_model(tmp_path, height, width):
    builder, _, taps = build(narrow("narrow-resnest14d-s2-positive"), height=height, width=width)
    features = list(taps.named.values())
    for feature in features:
        builder.output(feature.name, ["N", feature.channels, feature.height, feature.width])
    write_model(builder.model(), str(tmp_path / "m.onnx"))
    x = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
    found = run_model(tmp_path / "m.onnx", x)
    assert [found[f.name].shape for f in features] == [(2, f.channels, f.height, f.width) for f in features]


def test_taps_are_named_after_modules_and_layers_are_best_first():
    _, _, taps = build(narrow())
    assert list(taps.named) == ["maxpool", "layer1", "layer2", "layer3", "layer4"]
    assert taps.named["layer2"].name == "layer2.1.relu2" and taps.final is taps.named["layer4"]
    assert taps.layers[:3] == ["layer4.1.relu2", "layer4.0.relu2", "layer3.1.relu2"] and len(taps.layers) == 8


def test_a_network_cut_after_a_stage_needs_no_later_tensors():
    tensors = {n: t for n, t in narrow().items() if not n.startswith("layer4")}
    _, state, taps = build(tensors, last="layer3")
    state.finish("a cut network")
    assert taps.final.name == "layer3.1.relu2"


def test_a_missing_stage_is_reported():
    _, state, _ = build({n: t for n, t in narrow().items() if not n.startswith("layer4")})
    with pytest.raises(ConversionError, match=r"missing +layer4\.\*"):
        state.finish("resnet")


def test_grouped_and_bottleneck_blocks_come_from_shapes(tmp_path):
    """A ResNeXt-like bottleneck: 8 groups, 'D' shortcut; its shapes are consistent and ONNX agrees."""
    tensors = {"conv1.weight": (8, 3, 7, 7)}
    tensors.update({f"bn1.{p}": (8,) for p in NORM})
    width = 8
    for stage in range(1, 5):
        block, out = f"layer{stage}.0.", 32 * stage
        for name, shape in (("conv1", (16, width, 1, 1)), ("conv2", (16, 2, 3, 3)), ("conv3", (out, 16, 1, 1)),
                            ("downsample.1", (out, width, 1, 1))):
            tensors[block + name + ".weight"] = shape
        for name, channels in (("bn1", 16), ("bn2", 16), ("bn3", out), ("downsample.2", out)):
            tensors.update({f"{block}{name}.{p}": (channels,) for p in NORM})
        width = out
    builder, state, taps = build({n: Tensor(stand_in(n, s)) for n, s in tensors.items()})
    state.finish("resnext")
    builder.output(taps.final.name, ["N", 128, 2, 2])
    write_model(builder.model(), str(tmp_path / "m.onnx"))
    out = run_model(tmp_path / "m.onnx", np.ones((1, 3, 64, 64), np.float32))[taps.final.name]
    assert out.shape == (1, 128, 2, 2) and np.isfinite(out).all()
