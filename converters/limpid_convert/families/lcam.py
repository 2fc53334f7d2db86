"""L-CAM: Gkartzonika et al., ECCVW 2022 (arXiv:2209.11189). One 1x1 convolution on a frozen classifier's features."""

from __future__ import annotations

from limpid_convert import backbones, checkpoint, conversion, metadata
from limpid_convert.errors import ConversionError
from limpid_convert.families import tame_picture
from limpid_convert.families.tame import explanation
from limpid_convert.graph import Builder
from limpid_convert.judge import judge
from limpid_convert.layers import Layers
from limpid_convert.state import State

NAME = "lcam"
TITLE = "an L-CAM checkpoint"
ABSENT = "no L-CAM model, which has a tensor attnM.op.weight"
VARIANTS = ("img", "imga", "fm", "fma")


def recognises(tensors):
    return "attnM.op.weight" in tensors


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME, help="an L-CAM checkpoint (classifier and attention in one file)",
        description="The variants differ in training; only imga of ResNet differs in how a picture is explained.",
    )
    parser.add_argument("checkpoint", help="what training saved, .pth.tar")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--architecture", metavar="NAME", help="vgg16, resnet50, …; else what the tensors look like")
    parser.add_argument("--variant", choices=VARIANTS, help="which of the original's models it is")
    parser.add_argument("--grid", type=int, choices=(7, 14), help="VGG: attention behind (7) or before the last pool")
    tame_picture.add_options(parser)
    conversion.add_checkpoint_options(parser)
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the checkpoint, builds classifier and attention, writes and checks the model."""
    source = checkpoint.read(options.checkpoint, options.key, options.prefix)
    tensors = judge(source, NAME)
    if options.variant is None:
        raise ConversionError(f"{options.checkpoint} does not say which of the original's models it is; give "
                              f"--variant, one of {', '.join(VARIANTS)}")
    builder = build(State(tensors), options)
    conversion.finish(builder, options, options.architecture, [source])


def build(state, options):
    """The model for a state dict. Raises one ConversionError for all tensors that do not fit."""
    builder = Builder(NAME)
    layers = Layers(builder, state)
    image, module, taps = tame_picture.backbone(layers, options)
    features = _features(taps, module, options)
    if options.variant == "imga" and module is backbones.resnet:
        features = module.build(_Again(builder, state), image, options.architecture).final
    classes = state.size("attnM.op.weight", 0, 4)
    maps = layers.conv(features, "attnM.op", kernel=1, bias=True)
    builder.node("Identity", "attention", [maps.name])
    logits = builder.node("Identity", "logits", [module.classify(layers, taps)])
    network = options.architecture or "a network by its tensors"
    state.finish(f"L-CAM on {network}")
    builder.output(logits, ["N", classes])
    builder.output("attention", ["N", classes, maps.height, maps.width])
    labels = metadata.read_labels(options.labels, classes) if options.labels else None
    shown = {**explanation("attention", ["attnM.op.weight", "attnM.op.bias"]), "variant": options.variant}
    metadata.describe(builder, NAME, tame_picture.steps(options), {"logits": "logits", "attention": "attention"},
                      labels, taps.layers, {NAME: shown})
    conversion.say(f"{network}, {options.variant}: maps {classes}x{maps.height}x{maps.width} "
                   f"from {features.name}")
    return builder


def _features(taps, module, options):
    """What the attention reads: ResNet's last stage; of VGG the last activation, or behind the last pool."""
    if module is not backbones.vgg:
        if options.grid == 14:
            raise ConversionError("--grid 14 is for VGG; on other networks the attention reads the last stage")
        return taps.final
    if options.grid != 7:
        return taps.named[taps.layers[0]]
    if options.variant != "img":
        raise ConversionError(f"--grid 7: the original has the variant img only, not {options.variant}")
    return taps.final


class _Again(Layers):
    """A second pass through layers that exist: other nodes, the same weights.

    ResNet's imga models compute the attention on the picture as it comes, not normalised.
    """

    def scope(self, module):
        return _Again(self.builder, self.state.scope(module), self.path + module)

    def weight(self, name, *shape):
        return self.path + name

    def node(self, operator, name, inputs, outputs=1, **attributes):
        return self.builder.node(operator, f"as_it_comes.{self.path}{name}", inputs, outputs, **attributes)
