"""A plain classifier of a kind that `backbones` builds, with nothing but its own scores."""

from __future__ import annotations

import re

from limpid_convert import backbones, checkpoint, conversion, metadata, preprocessing
from limpid_convert.backbones import efficientnet_lite, timm_names
from limpid_convert.errors import ConversionError
from limpid_convert.graph import Builder
from limpid_convert.judge import judge
from limpid_convert.layers import Feature, Layers
from limpid_convert.state import State

NAME = "classifier"
TITLE = "a plain classifier"
ABSENT = "no classifier that limpid-convert builds, by the names of torchvision or timm"

_SIDE, _SHORTER = 224, 256

#: Shorter side, side of the window in it, and filter, as torchvision's weights IMAGENET1K_V1 were trained for; others
#: have 256, 224 and bilinear.
_IMAGES = {
    **{f"efficientnet_b{i}": (*sides, "bicubic") for i, sides in enumerate((
        (256, 224), (256, 240), (288, 288), (320, 300), (384, 380), (456, 456), (528, 528), (600, 600)))},
    **{f"convnext_{size}": (shorter, 224, "bilinear") for size, shorter in (
        ("tiny", 236), ("small", 230), ("base", 232), ("large", 232))},
}


def recognises(tensors):
    return backbones.matching(State(tensors)) is not None


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME,
        help="a plain classifier: ResNet, VGG, DenseNet, MobileNet v2, ViT, ConvNeXt, EfficientNet, EfficientNet-Lite, …",
        description="The network is told by the tensors; a name fixes what these do not tell.",
    )
    parser.add_argument("checkpoint", help="its state dict, .pth or .safetensors")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--architecture", metavar="NAME", help="resnet50, efficientnet_lite0, …")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line; `imagenet`: those of ImageNet-1K")
    parser.add_argument("--preprocess", metavar="STEPS",
                        help="how an image becomes the input; by default as the network's published weights need it")
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("W", "H"),
        help="of the input, without --preprocess")
    conversion.add_checkpoint_options(parser)
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the checkpoint, builds the network, writes and checks the model."""
    source = checkpoint.read(options.checkpoint, options.key, options.prefix)
    tensors, options.architecture = timm_names.unified(source.tensors(), options.architecture)
    state = State(tensors)
    judge(source, NAME, otherwise=lambda: backbones.select(options.architecture, state, tokens=True))
    builder = build(state, options)
    conversion.finish(builder, options, options.architecture, [source])


def build(state, options):
    """The model for a state dict. Raises one ConversionError for all tensors that do not fit."""
    module = backbones.select(options.architecture, state, tokens=True)
    steps = _steps(module, state, options)
    width, height = (steps.width, steps.height) if steps.width else options.input_size or (None, None)
    if width is None:
        raise ConversionError("--preprocess leaves the size of the input open; give --input-size W H too")
    builder = Builder(NAME)
    layers = Layers(builder, state)
    image = Feature(builder.input("input", ["N", steps.channels, height, width]), steps.channels, height, width)
    taps = module.build(layers, image, options.architecture)
    if min(taps.final.height, taps.final.width) < 1:
        raise ConversionError(f"images of {width}x{height} are too small for this network")
    logits = builder.node("Identity", "logits", [module.classify(layers, taps)])
    what = options.architecture or module.__name__.rpartition(".")[2]
    state.finish(what)
    classes = conversion.last_dimension(builder, logits)
    builder.output(logits, ["N", classes])
    labels = metadata.read_labels(options.labels, classes) if options.labels else None
    metadata.describe(builder, NAME, steps.text, {"logits": "logits"}, labels, taps.layers)
    conversion.say(f"{what}: {classes} classes, images {width}x{height}, features {taps.final.channels}x"
                   f"{taps.final.height}x{taps.final.width}")
    return builder


def _steps(module, state, options):
    """The option, else what the published weights of the network were trained with, at the size of --input-size."""
    if options.preprocess:
        return preprocessing.parse(options.preprocess)
    statistics = (preprocessing.IMAGENET_MEAN, preprocessing.IMAGENET_STD)
    name = re.sub("^(timm|tf)_", "", options.architecture or "")
    shorter, side, kind = _IMAGES.get(name, (_SHORTER, _SIDE, "bilinear"))
    if module is efficientnet_lite:
        shorter, side, kind, *statistics = efficientnet_lite.images(options.architecture, state)
    if options.input_size:
        text = preprocessing.steps(("exact", *options.input_size, kind), *statistics)
    else:
        text = preprocessing.steps(("shorter", shorter, kind), *statistics, crop=(side, side))
    return preprocessing.parse(text)
