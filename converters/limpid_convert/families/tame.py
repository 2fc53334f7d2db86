"""TAME: Ntrougkas et al., ISM 2022 (arXiv:2301.07407). Attention on feature maps of a frozen classifier.

T-TAME (IEEE Access 2024) has the same attention, on tokens of transformers too, and another checkpoint.
"""

from __future__ import annotations

import os

from onnx import version_converter

from limpid_convert import annotate, checkpoint, conversion, metadata, preprocessing, scores, values
from limpid_convert.backbones import timm_names
from limpid_convert.conversion import say
from limpid_convert.errors import ConversionError
from limpid_convert.families import tame_head, tame_names, tame_picture, tame_taps
from limpid_convert.graph import OPSET, Builder, read_model
from limpid_convert.judge import judge
from limpid_convert.layers import Layers
from limpid_convert.state import State

NAME = "tame"
TITLE = "a TAME checkpoint"
ABSENT = "no TAME attention mechanism, which has a tensor attn.fuser.weight"

#: The layers of the published models.
LAYERS = {"vgg16": ("features.16", "features.23", "features.30"), "resnet50": ("layer2", "layer3", "layer4"),
          "vit_b_16": tuple(f"encoder.layers.encoder_layer_{i}" for i in (9, 10, 11))}

_OLDEST_OPSET = 13


recognises = tame_names.recognises


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME, help="a TAME or T-TAME attention mechanism and the classifier it was trained on",
        description="The classifier is a torchvision checkpoint, any ONNX model, or in the same file (T-TAME). Layers "
                    "may be given in any order.",
    )
    parser.add_argument("attention", help="what training saved, epoch_N.pt or .ckpt")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--backbone", metavar="FILE", help="the classifier, .pth, .safetensors or .onnx")
    parser.add_argument("--architecture", metavar="NAME", help="of a classifier that is no .onnx: vgg16, resnet50, …")
    parser.add_argument("--layers", metavar="A,B", help="feature maps that it reads; the published ones by default")
    parser.add_argument("--version", choices=tuple(tame_head.VERSIONS), help="read from the file where possible")
    parser.add_argument("--no-in-place", action="store_true",
                        help="take layers literally where the original would find them changed by an activation")
    tame_picture.add_options(parser)
    conversion.add_checkpoint_options(parser, "backbone")
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the files, attaches the attention to the classifier, writes and checks the model."""
    source = checkpoint.read(options.attention, options.key, options.prefix)
    tensors, own = tame_names.parts(judge(source, NAME))
    _fill_in(options, source.hyper_parameters())
    if options.backbone is None and not own:
        raise ConversionError(f"{options.attention} holds the attention alone; give its classifier as --backbone FILE")
    if options.backbone and options.backbone.endswith(".onnx"):
        builder, classes, names, aliases, sources = _from_model(options)
    else:
        builder, classes, names, aliases, sources = _from_checkpoint(options, own)
    features = _features(builder, names, options, aliases)
    _attach(builder, State(tensors), features, classes, options)
    conversion.finish(builder, options, options.architecture, [source, *sources])


def _fill_in(options, known):
    """Options from what T-TAME's Lightning checkpoint says of its training."""
    name, layers, version = (known.get(key) for key in ("model_name", "layers", "attention_version"))
    if options.architecture is None and isinstance(name, str) and not (options.backbone or "").endswith(".onnx"):
        options.architecture = name
    if options.layers is None and layers:
        named = layers.split() if isinstance(layers, str) else layers
        if isinstance(named, (list, tuple)) and all(isinstance(layer, str) for layer in named):
            options.layers = ",".join(named)
    options.stored_version = version if isinstance(version, str) else None


def _from_checkpoint(options, own):
    """(builder, classes, layers, other names of layers, checkpoints) of a classifier with torchvision's tensor names.

    own: the classifier's tensors in the attention's file, which are taken unless --backbone names another.
    """
    sources = []
    if options.backbone and os.path.realpath(options.backbone) != os.path.realpath(options.attention):
        source = checkpoint.read(options.backbone, options.backbone_key, options.backbone_prefix)
        own, sources = tame_names.body(source.tensors()) or source.tensors(), [source]
    own, options.architecture = timm_names.unified(own, options.architecture)
    state = State(own)
    builder = Builder(NAME)
    layers = Layers(builder, state)
    _, module, taps = tame_picture.backbone(layers, options, tokens=True)
    logits = module.classify(layers, taps)
    state.finish(options.architecture or module.__name__.split(".")[-1])
    builder.node("Identity", "logits", [logits])
    classes = conversion.last_dimension(builder, "logits")
    builder.output("logits", ["N", classes])
    labels = metadata.read_labels(options.labels, classes) if options.labels else None
    metadata.describe(builder, NAME, tame_picture.steps(options), {"logits": "logits"}, labels, taps.layers)
    names = _named(options) or LAYERS.get(options.architecture)
    if not names:
        raise ConversionError(f"give --layers; the published ones are known for {' and '.join(LAYERS)} only")
    return builder, classes, names, getattr(module, "EXTRACTED", ()), sources


class _Source:
    """A file that the model was made from."""

    def __init__(self, path):
        self.path = path


def _from_model(options):
    """The same of a classifier given as an ONNX file, whose own preprocessing stays."""
    model = _recent(read_model(options.backbone), options.backbone)
    width, height = tame_picture.size(options)
    if tame_taps.fix_size(model, height, width):
        say(f"note: the classifier takes images of any size, its attention of one: {width}x{height} from now on "
            "(--input-size W H)")
    builder = Builder.extending(model)
    present = {p.key: p.value for p in model.metadata_props}
    known = values.infer(model)
    output = scores.choose(model, known, annotate.scored(present))
    classes, role = scores.classes(output), f"limpid.output.{output.name}"
    builder.metadata("limpid.format", 1)
    builder.metadata("limpid.family", NAME)
    kind = present.get(role) or scores.sure_kind(model, known, output.name)
    if kind:
        builder.metadata(role, kind)
    if options.preprocess:
        builder.metadata("limpid.preprocess", preprocessing.parse(options.preprocess).text)
    elif "limpid.preprocess" not in present:
        say("note: nothing says how pictures become the input of this classifier; add it with --preprocess")
    if options.preprocess or "limpid.preprocess" in present:
        say("the input and its preprocessing are the classifier's own")
    if options.labels:
        builder.metadata("limpid.labels", "\n".join(metadata.read_labels(options.labels, classes)))
    tap = values.last_map(model, known)
    if tap and "limpid.layers" not in present:
        builder.metadata("limpid.layers", f"{tap} nchw")
    if not options.layers:
        raise ConversionError(f"give --layers: the values of {options.backbone} that the attention reads "
                              f"(limpid-convert inspect {options.backbone} lists them)")
    return builder, classes, _named(options), (), [_Source(options.backbone)]


def _recent(model, path):
    """The model in an opset that the attention's operators exist in."""
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version >= _OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # onnx raises several kinds
        raise ConversionError(f"{path}: of opset {version}, and not to be brought to {OPSET} ({str(error)[:200]}); "
                              f"export it with opset {_OLDEST_OPSET} or later") from None


def _named(options):
    return [name.strip() for name in (options.layers or "").replace(",", " ").split()]


def _features(builder, names, options, aliases):
    width, height = tame_picture.size(options)
    return tame_taps.select(tame_taps.Outline.of(builder, height, width), names, not options.no_in_place, aliases)


def _attach(builder, state, features, classes, options):
    """The attention as an output, and what the runtime must know of it."""
    head = Layers(builder, state).scope("attn.")
    version = _version(head.state, options)
    features = [tame_head.planes(head, x, version) for x in features]
    tame_head.check(head.state, features, version)
    if "attn.fuser.bias" in builder:
        raise ConversionError(f"{options.backbone}: has a TAME head already")
    output = "attention"
    while output in builder:
        output += "_"
    maps, weights = tame_head.build(head, features, version, output, classes)
    state.finish(f"{version} on {', '.join(f.name for f in features)}",
                 unused=tame_head.unused(version, len(features)))
    trained = head.state.shape("fuser.weight")[0]
    if classes and trained < classes:
        raise ConversionError(f"the attention has {trained} maps; the classifier has {classes} classes")
    if classes and trained > classes:
        say(f"note: the attention has {trained} maps; kept are those of the classifier's {classes} classes")
    builder.output(output, ["N", maps.channels, maps.height, maps.width])
    builder.metadata(f"limpid.output.{output}", "attention")
    for key, value in explanation(output, weights).items():
        builder.metadata(f"limpid.explain.{NAME}.{key}", value)
    builder.metadata(f"limpid.explain.{NAME}.version", version)
    builder.metadata(f"limpid.explain.{NAME}.layers", " ".join(f.name for f in features))
    say(f"{version}: maps {maps.channels}x{maps.height}x{maps.width} from " + ", ".join(
        f"{f.name} {f.channels}x{f.height}x{f.width}" for f in features))


def explanation(output, weights):
    """Where the maps are and how the original shows them; docs/families/tame.md.

    weights: those with a row for each map, so that single maps can be computed alone.
    """
    return {"output": output, "class_weights": " ".join(weights), "normalize": "minmax", "upsample": "bilinear",
            "quantize": "truncate"}


def _version(state, options):
    """The option, checked against the tensors; else what these say; else the directory's name, as training makes it."""
    possible = tame_head.versions_of(state)
    if options.version:
        if options.version not in possible:
            raise ConversionError(f"--version {options.version}: the tensors are those of {' or '.join(possible)}")
        return options.version
    directory = os.path.basename(os.path.dirname(os.path.abspath(options.attention)))
    version = next((v for v in possible if directory.endswith("_" + v) or v == options.stored_version), possible[0])
    if len(possible) > 1:
        say(f"note: {' and '.join(possible)} have the same tensors; taken for {version} (--version says otherwise)")
    return version
