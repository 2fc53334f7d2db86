"""CA-Stream: Torres et al., XAI4CV at CVPR 2024 (arXiv:2404.14996). Attention in place of average pooling."""

from __future__ import annotations

from limpid_convert import backbones, checkpoint, conversion, metadata, preprocessing
from limpid_convert.errors import ConversionError
from limpid_convert.families import ca_stream_head, ca_stream_names
from limpid_convert.families.ca_stream_names import PLANS, VARIANTS
from limpid_convert.graph import Builder
from limpid_convert.judge import judge
from limpid_convert.layers import Feature, Layers
from limpid_convert.state import State

NAME = "ca-stream"
TITLE = "a CA-Stream checkpoint"
ABSENT = "no CA-Stream model, which is a ResNet, ConvNeXt or EfficientNet with torchvision's names"
SIDE = 224

recognises = ca_stream_names.recognises


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME, help="a CA-Stream checkpoint (attention-based pooling), or its average-pooling baseline",
        description="Network and variant are told by the tensors; options say what these do not, or check it.",
    )
    parser.add_argument("checkpoint", help="what training saved, .pth")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--architecture", metavar="NAME", help="resnet18, convnext_base, efficientnet_b0, …, or the "
                        "original's name of a model (resnet18_stream)")
    parser.add_argument("--variant", choices=VARIANTS, help="attention after each stage, after the last, or none")
    parser.add_argument("--heads", type=int, default=1, metavar="H", help="heads of the attention, which leave no "
                        "trace in a checkpoint; 1 by default")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    parser.add_argument("--input-size", type=int, nargs=2, default=(SIDE, SIDE), metavar=("W", "H"),
                        help=f"picture size, {SIDE} {SIDE} by default")
    conversion.add_checkpoint_options(parser)
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the checkpoint, builds the network, writes and checks the model."""
    architecture, variant = ca_stream_names.model(options.architecture, options.variant)
    source = checkpoint.read(options.checkpoint, options.key, options.prefix)
    tensors = ca_stream_names.unified(source.tensors())
    if not any(network.matches(State(tensors)) for network in PLANS):
        judge(source, NAME)
    network = _network(architecture, State(tensors))
    tensors, foreign = PLANS[network].sort(tensors)
    if foreign:
        conversion.say(f"note: ignored, as the original does: {_listed(foreign)}")
    found = PLANS[network].variant(State(tensors))
    variant = variant or found
    if variant == "plain" != found:
        conversion.say(f"note: the checkpoint is of variant {found}; what its attention learnt is left out")
    builder = build(State(tensors), network, architecture, variant, found, options)
    conversion.finish(builder, options, architecture, [source])


def build(state, network, architecture, variant, found, options):
    """The model for a state dict. Raises one ConversionError for all tensors that do not fit.

    network: its module in `backbones`. found: the variant that the tensors look like.
    """
    width, height = options.input_size
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise ConversionError(f"pictures of {width}x{height} make no sense; give --input-size W H")
    plan, builder = PLANS[network], Builder(NAME)
    layers = Layers(builder, state)
    image = Feature(builder.input("input", ["N", 3, height, width]), 3, height, width)
    taps = network.build(layers, image, architecture)
    if min(taps.final.height, taps.final.width) < 1:
        raise ConversionError(f"pictures of {width}x{height} are too small for this network")
    stages = [(block, taps.named[tap]) for block, tap in plan.blocks.get(variant, ())]
    if stages:
        token = ca_stream_head.build(layers, stages, plan, options.heads)
        value = network.score(layers, token, taps.final.channels)
    else:
        value = network.classify(layers, taps)
    builder.node("Identity", "logits", [value])
    what = f"{architecture or network.__name__.rpartition('.')[2]}, variant {variant}"
    state.finish(what + (f" (it looks like {found})" if found != variant else ""),
                 unused=() if stages else plan.attention_names)
    classes = state.size(plan.classifier + ".weight", 0, 2)
    _declare(builder, options, stages, classes, taps)
    conversion.say(f"{what}: {classes} classes, pictures {width}x{height}, attention maps "
                   + (", ".join(f"{f.height}x{f.width}" for _, f in stages) or "none"))
    return builder


def _declare(builder, options, stages, classes, taps):
    """Outputs and metadata."""
    builder.output("logits", ["N", classes])
    outputs = [ca_stream_head.output(i) for i in range(len(stages))]
    for name, (_, feature) in zip(outputs, stages):
        builder.output(name, ["N", options.heads, feature.height, feature.width])
    steps = preprocessing.steps(("exact", *options.input_size), preprocessing.IMAGENET_MEAN,
                                preprocessing.IMAGENET_STD)
    labels = metadata.read_labels(options.labels, classes) if options.labels else None
    roles = {"logits": "logits", **dict.fromkeys(outputs, "token_attention")}
    explanation = {
        "outputs": " ".join(outputs),
        "blocks": " ".join(block for block, _ in stages),
        "heads": options.heads,
        "reduction": "mean",
        "normalize": "minmax",
        "upsample": "bilinear",
    }
    metadata.describe(builder, NAME if stages else "classifier", steps, roles, labels, taps.layers,
                      {NAME: explanation} if stages else None)


def _network(architecture, state):
    """The backbone of a name, or of the tensors; an error where these contradict each other."""
    matching = next((n for n in PLANS if n.matches(state)), None)
    named = backbones.select(architecture, state) if architecture or not matching else matching
    if named not in PLANS:
        known = ", ".join(n.__name__.rpartition(".")[2] for n in PLANS)
        raise ConversionError(f"there is no CA-Stream for {architecture or named.__name__}; there is for {known}")
    if matching not in (None, named):
        found = matching.__name__.rpartition(".")[2]
        raise ConversionError(f"the tensors are those of {found}, not of {architecture}: {PLANS[named].typical} is "
                              f"missing, {PLANS[matching].typical} is there")
    return named


def _listed(names):
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
