"""LaViSE: Yang, Kim & Joo, CVPR 2022 (arXiv:2204.04601). Names the filters of a frozen classifier with words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from limpid_convert import backbones, checkpoint, conversion, metadata, preprocessing
from limpid_convert.backbones.taps import count_blocks
from limpid_convert.errors import ConversionError
from limpid_convert.families import lavise_head, lavise_vocabulary
from limpid_convert.graph import Builder
from limpid_convert.judge import judge
from limpid_convert.layers import Feature, Layers
from limpid_convert.state import State

NAME = "lavise"
TITLE = "a LaViSE checkpoint"
ABSENT = "no LaViSE explainer, whose tensors begin like fc.0.running_mean or classifier.0.running_mean"

_MOST_SHOWN = 5


def recognises(tensors):
    return lavise_head.classifier_of(tensors) is not None


def add_command(subparsers):
    parser = subparsers.add_parser(
        NAME, help="a LaViSE explainer, its network and its vocabulary",
        description="Network, target layer and sizes are read from the checkpoint; options that name them are checked.",
    )
    parser.add_argument("explainer", help="what training saved, ckpt_….pth.tar")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--vocabulary", metavar="FILE",
                        help="words and vectors: GloVe's .txt, torchtext's .pth, or .npz with words and vectors")
    parser.add_argument("--limit-words", type=int, metavar="N", help="keep the first N words; changes the results")
    parser.add_argument("--classifier", metavar="FILE",
                        help="the network's own checkpoint: the explainer's has no class scores")
    parser.add_argument("--architecture", metavar="NAME", help="resnet18, resnet50, alexnet, vgg16, …")
    parser.add_argument("--layer", metavar="NAME", help="target layer: layer4, features, …")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    parser.add_argument("--preprocess", metavar="STEPS", default="imagenet",
                        help="how a picture becomes the input; steps separated by ';' (default imagenet)")
    conversion.add_checkpoint_options(parser, "classifier")
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads the files, builds network and explainer, writes and checks the model."""
    if options.limit_words is not None and options.limit_words < 1:
        raise ConversionError(f"--limit-words {options.limit_words}: at least one word is needed")
    explainer = checkpoint.read(options.explainer, options.key, options.prefix)
    judge(explainer, NAME)
    if not options.vocabulary:
        raise ConversionError("the words are not in the checkpoint; give --vocabulary FILE")
    classifier = None
    if options.classifier:
        classifier = checkpoint.read(options.classifier, options.classifier_key, options.classifier_prefix)
    vocabulary = lavise_vocabulary.read(options.vocabulary, options.limit_words)
    builder = build(explainer, classifier, vocabulary, options)
    sources = [explainer, classifier, vocabulary] if classifier else [explainer, vocabulary]
    conversion.finish(builder, options, options.architecture, sources)


def build(explainer, classifier, vocabulary, options):
    """The model. Raises one ConversionError for all tensors that do not fit."""
    tensors = explainer.tensors()
    replaced = lavise_head.classifier_of(tensors)
    state = State(tensors)
    layer = _layer(state, replaced, options)
    steps, channels, height, width = _picture(options)
    builder = Builder(NAME)
    builder.input("input", ["N", channels, height, width])
    image = Feature("input", channels, height, width)
    if classifier:
        aside = Builder(NAME)
        aside.input("input", ["N", channels, height, width])
        features, taps = _network(Layers(aside, state), image, options, layer)
        features, taps = _classified(builder, classifier, image, tensors, replaced, layer, options)
    else:
        features, taps = _network(Layers(builder, state), image, options, layer)
    form = _explain(builder, state, replaced, features, vocabulary, options)
    architecture = options.architecture or "this network"
    state.finish(f"LaViSE on {layer} of {architecture}")
    _describe(builder, steps, taps, layer, form, classifier, options)
    conversion.say(f"{architecture}, {layer} {features.channels}x{features.height}x{features.width}, {form} head, "
                   f"{len(vocabulary.words)} words of {vocabulary.vectors.shape[1]} numbers")
    return builder


def _layer(state, replaced, options):
    """The target layer: the last stage that the checkpoint has; the child before `classifier` elsewhere."""
    found = "features"
    if replaced == "fc":
        found = next((f"layer{i}" for i in (4, 3, 2, 1) if count_blocks(state, f"layer{i}")), "layer4")
    if options.layer not in (None, found):
        raise ConversionError(f"--layer {options.layer}: the checkpoint ends at {found}, so that is what was explained")
    return found


def _picture(options):
    """(steps, channels, height, width) of the network's input."""
    steps = preprocessing.parse(options.preprocess)
    if steps.height is None:
        raise ConversionError("--preprocess must end at one size: resize exact W H …, or center_crop W H")
    return steps.text, steps.channels, steps.height, steps.width


def _module(state, options):
    """The backbone; a VGG without its classifier is known by its first convolution."""
    if options.architecture is None and state.size("features.0.weight", 2, 4) == 3:
        return backbones.vgg
    return backbones.select(options.architecture, state)


def _network(layers, image, options, layer):
    """(features of the target layer, taps) of a network that ends there."""
    module = _module(layers.state, options)
    last = layer if module not in (backbones.vgg, backbones.alexnet) else None
    taps = module.build(layers, image, options.architecture, last=last)
    if min(taps.final.height, taps.final.width) < 1:
        raise ConversionError(f"pictures of {image.width}x{image.height} are too small for this network")
    return taps.final, taps


def _classified(builder, classifier, image, tensors, replaced, layer, options):
    """The same of the whole classifier, with its scores as the output `logits`."""
    stock = classifier.tensors()
    _check_same(tensors, stock, replaced, options)
    state = State(stock)
    layers = Layers(builder, state)
    module = _module(state, options)
    taps = module.build(layers, image, options.architecture)
    logits = module.classify(layers, taps)
    state.finish(options.architecture or "the classifier")
    builder.node("Identity", "logits", [logits])
    classes = next(t.shape[0] for n, t in reversed(stock.items()) if n.endswith(".weight") and len(t.shape) == 2)
    builder.output("logits", ["N", classes])
    if options.labels:
        builder.metadata("limpid.labels", "\n".join(metadata.read_labels(options.labels, classes)))
    return taps.named.get(layer, taps.final), taps


def _check_same(tensors, stock, replaced, options):
    """The explainer's network must be the classifier, number for number: it was trained on those very features."""
    problems = []
    for name, tensor in tensors.items():
        if name.startswith(replaced + ".") or name.endswith("num_batches_tracked"):
            continue
        other = stock.get(name)
        if other is None:
            problems.append(f"missing      {name}  expected {list(tensor.shape)}")
        elif other.shape != tensor.shape:
            problems.append(f"wrong shape  {name}  expected {list(tensor.shape)}, found {list(other.shape)}")
        elif not np.array_equal(other.numpy(), tensor.numpy()):
            largest = float(np.abs(other.numpy().astype(np.float64) - tensor.numpy()).max())
            problems.append(f"differs      {name}  by up to {largest:.3g}")
    if problems:
        more = [f"and {len(problems) - _MOST_SHOWN} more"] if len(problems) > _MOST_SHOWN else []
        raise ConversionError("\n  ".join([
            f"{options.classifier} is not the network that {options.explainer} was trained on:",
            *problems[:_MOST_SHOWN], *more]))


def _explain(builder, state, replaced, features, vocabulary, options):
    """Explainer and vocabulary. Returns what kind of head it is."""
    head = state.scope(replaced + ".")
    form = lavise_head.kind(head, features)
    if form is None:
        flat = features.channels * features.height * features.width
        raise ConversionError(
            f"{options.explainer}: {replaced}.0.weight has {head.shape('0.weight')} numbers; expected "
            f"{features.channels} (averaged maps) or {flat} (flattened {features.channels}x{features.height}x{features.width})")
    maps = replace(features, name=builder.node("Identity", "features", [features.name]))
    builder.output(maps.name, ["N", maps.channels, maps.height, maps.width])
    values = lavise_head.build(builder, head, maps, form)
    size, found = head.size("6.weight", 0, 2), vocabulary.vectors.shape[1]
    if size and size != found:
        raise ConversionError(f"{vocabulary.path}: vectors of {found} numbers; the explainer makes {size}")
    builder.constant("vocabulary", vocabulary.vectors)
    builder.constant("vocabulary.words", vocabulary.text())
    for key, value in values.items():
        builder.metadata(f"limpid.explain.{NAME}.{key}", value)
    return form


def _describe(builder, steps, taps, layer, form, classifier, options):
    outputs = {"features": "features", "embeddings": "embeddings"}
    if classifier:
        outputs = {"logits": "logits", **outputs}
    elif options.labels:
        raise ConversionError("--labels are those of the class scores, which need --classifier")
    explanation = {"features": "features", "head": form, "layer": layer, "vocabulary": "vocabulary",
                   "words": "vocabulary.words"}
    metadata.describe(builder, NAME, steps, outputs, None, taps.layers, {NAME: explanation})
