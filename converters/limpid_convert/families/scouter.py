"""SCOUTER: Li et al., ICCV 2021 (arXiv:2009.06138). Slot attention whose attention sums are the class scores."""

from __future__ import annotations

from limpid_convert import backbones, checkpoint, conversion, metadata
from limpid_convert.backbones.taps import count_blocks
from limpid_convert.errors import ConversionError
from limpid_convert.families import scouter_head
from limpid_convert.families.scouter_config import DATASETS, configure
from limpid_convert.graph import Builder
from limpid_convert.judge import judge
from limpid_convert.layers import Feature, Layers
from limpid_convert.state import State

NAME = "scouter"
TITLE = "a SCOUTER checkpoint"
ABSENT = "no SCOUTER checkpoint, whose tensors begin with backbone. and slot."


def recognises(tensors):
    """Whether a state dict is SCOUTER's; its FC baseline is told by the prefix of its backbone."""
    return "backbone.fc.weight" in tensors or any(name.startswith("slot.") for name in tensors)


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME, help="a SCOUTER checkpoint (slot attention, positive or negative, or its FC baseline)",
        description="Everything is taken from the checkpoint where it says so; options fill in the rest.",
    )
    parser.add_argument("checkpoint", help="what training saved, .pth")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--architecture", metavar="NAME", help="backbone: resnet18, resnest26d, resnest50d, …")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    parser.add_argument("--slots", type=int, metavar="S", help="slots per class")
    parser.add_argument("--sign", choices=("positive", "negative"), help="maps say why, or why not")
    parser.add_argument("--dataset", choices=sorted(DATASETS), help="what it was trained on: sets the preprocessing")
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("W", "H"), help="picture size, 260 260 by default")
    parser.add_argument("--mean", type=float, nargs="+", metavar="M", help="per channel, of values in 0…1")
    parser.add_argument("--std", type=float, nargs="+", metavar="S", help="per channel")
    conversion.add_checkpoint_options(parser)
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the checkpoint, builds the network, writes and checks the model."""
    source = checkpoint.read(options.checkpoint, options.key, options.prefix)
    state = State(judge(source, NAME))
    config = configure(options, source.arguments(), state)
    builder = build(state, config)
    conversion.say(f"{config.architecture or 'backbone by shapes'}: {config.summary()}")
    conversion.finish(builder, options, config.architecture, [source])


def build(state, config):
    """The model for a state dict. Raises one ConversionError for all tensors that do not fit."""
    width, height = config.input_size
    builder = Builder(NAME)
    image = Feature(builder.input("input", ["N", config.channels, height, width]), config.channels, height, width)
    inner = Layers(builder, state).scope("backbone.")
    backbone = backbones.select(config.architecture, inner.state)
    taps = backbone.build(inner, image, config.architecture, _last_stage(inner.state) if config.slots else "layer4")
    if min(taps.final.height, taps.final.width) < 1:
        raise ConversionError(f"pictures of {width}x{height} are too small for this network")
    if config.slots:
        outputs = scouter_head.build(builder, state, taps.final, config)
    else:
        outputs = {builder.node("Identity", "logits", [backbone.classify(inner, taps)]): "logits"}
        builder.output("logits", ["N", config.classes])
    state.finish(f"SCOUTER with {config.architecture or 'this backbone'}", unused=("slot.to_q.*",))
    metadata.describe(builder, NAME if config.slots else "classifier", config.preprocess(), outputs,
                      config.labels, taps.layers, {NAME: _explanation(config)} if config.slots else None)
    return builder


def _last_stage(state):
    """Networks for small pictures end early. Where a stage was lost instead, conv1x1 expects other channels."""
    return next((name for name in ("layer4", "layer3", "layer2", "layer1") if count_blocks(state, name)), "layer4")


def _explanation(config):
    """Parameters of the explanation and of its rendering as the original does it; docs/families/scouter.md."""
    parameters = {
        "output": "attention",
        "slots_per_class": config.slots,
        "sign": "positive" if config.sign > 0 else "negative",
        "normalize": "minmax_all_classes",
        "quantize": "truncate",
        "upsample": "bilinear_u8",
    }
    if config.slots > 1:
        parameters["slot_output"] = "slot_attention"
    for name, value in (("power", config.power), ("lambda", config.area_weight)):
        if value is not None:
            parameters[name] = value
    return parameters
