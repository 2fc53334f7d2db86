"""Adds `limpid.*` metadata to any ONNX classifier. The graph itself stays as it is."""

from __future__ import annotations

from limpid_convert import conversion, metadata, image_input, preprocessing, scores, values
from limpid_convert.checkpoint import digest
from limpid_convert.errors import ConversionError
from limpid_convert.graph import read_model, set_metadata

_ROLE = "limpid.output."


def add_command(subparsers):
    parser = subparsers.add_parser("annotate", help="add class names, preprocessing and layers to an ONNX classifier")
    parser.add_argument("model", help="model to read, .onnx")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line; `imagenet`: those of ImageNet-1K")
    parser.add_argument("--preprocess", metavar="STEPS", required=True,
                        help=f"{', '.join(preprocessing.PRESETS)}, or steps separated by ';'")
    parser.add_argument("--scores", metavar="NAME=KIND",
                        help=f"output with the class scores, and what they are: {', '.join(scores.KINDS)}")
    parser.add_argument("--logits", metavar="NAME",
        help="output with the class scores, of the kind that the graph computes")
    parser.add_argument("--input", metavar="NAME", help="input that the image goes to, where there are several")
    parser.add_argument("--layers", metavar="A,B", help="values that CAM methods may tap, best first (default: left to the runtime)")
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads, annotates, writes and checks."""
    steps = preprocessing.parse(options.preprocess)
    named, stated = _stated(options)
    model = read_model(options.model)
    known = values.infer(model)
    image_input.check(image_input.find(model, known, steps.channels, options.input), steps)
    present = {p.key: p.value for p in model.metadata_props}
    output = scores.choose(model, known, named or scored(present))
    entries = {
        "limpid.format": "1",
        "limpid.preprocess": steps.text,
    }
    role = _role(model, known, output, stated, present)
    if role:
        entries[_ROLE + output.name] = role
    elif len(model.graph.output) == 1:
        conversion.say(f"what {output.name} holds is left to the runtime; --scores {output.name}=KIND says it")
    else:
        raise ConversionError(f"what does {output.name} hold? Say it: --scores {output.name}=KIND, one of "
                              + ", ".join(scores.KINDS))
    if "limpid.layers" not in present or options.layers or _chosen_by_annotate(present):
        entries["limpid.layers"] = "\n".join(_layers(known, options.layers))
    if options.labels:
        entries["limpid.labels"] = "\n".join(_labels(options.labels, scores.classes(output)))
    if "limpid.family" not in present:
        entries["limpid.family"] = "classifier"
    if "limpid.source" not in present or options.licence:
        entries["limpid.source"] = metadata.source(None, [digest(options.model)], options.licence)
    set_metadata(model, entries)
    for key, value in entries.items():
        conversion.say(f"{key}: {value.splitlines()[0] if value else 'left to the runtime; name some with --layers'}")
    conversion.write_and_check(model, options)


def _chosen_by_annotate(present):
    """Whether the layers in the file are a choice of an earlier version of this command, which wrote a layout behind them.
    The runtime chooses better; what a user named stays."""
    source = present.get("limpid.source", "")
    return ("converter limpid-convert" in source and "architecture " not in source
            and " " in present.get("limpid.layers", ""))


def _stated(options):
    """(output, kind) of --scores or --logits; None for what they leave open."""
    if options.scores is None:
        return options.logits, None
    name, equals, kind = options.scores.rpartition("=")
    kind = kind.replace(" ", "_")
    if not equals or not name or kind not in scores.KINDS:
        raise ConversionError(f"--scores {options.scores}: it must be NAME=KIND, and KIND one of "
                              + ", ".join(scores.KINDS))
    if options.logits not in (None, name):
        raise ConversionError(f"--scores names the output {name!r} and --logits {options.logits!r}")
    return name, kind


def scored(present):
    """The output that the metadata of a model already calls scores, or None."""
    return next((key[len(_ROLE):] for key, kind in present.items() if key.startswith(_ROLE) and kind in scores.KINDS),
        None)


def _role(model, known, output, stated, present):
    """An entry that exists; else what the user states; else what the graph computes, None where that is open."""
    entry = present.get(_ROLE + output.name)
    if entry is not None and entry not in scores.KINDS:
        raise ConversionError(f"the model says {_ROLE}{output.name} = {entry[:40]}, which is no kind of class scores: "
                              f"{', '.join(scores.KINDS)}")
    if entry is not None:
        if stated not in (None, entry):
            conversion.say(f"note: the model says already that {output.name} has {entry}, which stays")
        return entry
    return stated or scores.sure_kind(model, known, output.name)


def _labels(path, count):
    """One name a class; of a single unit, whose value is for class 1 of two, one or both."""
    if count != 1:
        return metadata.read_labels(path, count)
    labels = metadata.read_labels(path)
    if len(labels) > 2:
        raise ConversionError(f"{path}: {len(labels)} names for a model of one unit, which takes one or two")
    return labels


def _layers(known, text):
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in known or not values.is_map(known[name]):
            raise ConversionError(f"{name!r} is no [N, C, H, W] value of the model; see `limpid-convert inspect`")
    return names
