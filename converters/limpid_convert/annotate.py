"""Adds `limpid.*` metadata to any ONNX classifier. The graph itself stays as it is."""

from __future__ import annotations

from onnx import TensorProto

from limpid_convert import conversion, metadata, preprocessing, values
from limpid_convert.checkpoint import digest
from limpid_convert.errors import ConversionError
from limpid_convert.graph import read_model, set_metadata

ROLES = {"Softmax": "probabilities", "LogSoftmax": "log_probabilities"}


def add_command(subparsers):
    parser = subparsers.add_parser("annotate", help="add class names, preprocessing and layers to an ONNX classifier")
    parser.add_argument("model", help="model to read, .onnx")
    parser.add_argument("output", help="model to write, .onnx")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    parser.add_argument("--preprocess", metavar="STEPS", required=True,
                        help=f"{', '.join(preprocessing.PRESETS)}, or steps separated by ';'")
    parser.add_argument("--logits", metavar="NAME", help="output with the class scores")
    parser.add_argument("--layers", metavar="A,B", help="values that CAM methods may tap, best first")
    conversion.add_output_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """Reads, annotates, writes and checks."""
    steps = preprocessing.parse(options.preprocess)
    model = read_model(options.model)
    known = values.infer(model)
    _check_input(model, known, steps)
    scores = class_scores(model, known, options.logits)
    classes = scores.dimensions[-1]
    entries = {
        "limpid.format": "1",
        "limpid.preprocess": steps.text,
        f"limpid.output.{scores.name}": ROLES.get(scores.operator, "logits"),
    }
    present = {p.key for p in model.metadata_props}
    if "limpid.layers" not in present or options.layers:
        entries["limpid.layers"] = "\n".join(f"{name} nchw" for name in _layers(model, known, options.layers))
    if options.labels:
        labels = metadata.read_labels(options.labels, classes if isinstance(classes, int) else None)
        entries["limpid.labels"] = "\n".join(labels)
    if "limpid.family" not in present:
        entries["limpid.family"] = "classifier"
    if "limpid.source" not in present or options.licence:
        entries["limpid.source"] = metadata.source(None, [digest(options.model)], options.licence)
    set_metadata(model, {key: value for key, value in entries.items() if value})
    for key, value in entries.items():
        conversion.say(f"{key}: {value.splitlines()[0] if value else 'none found; name some with --layers'}")
    conversion.write_and_check(model, options)


def _check_input(model, known, steps):
    """One float32 picture [N, C, H, W] whose size and channels are those that the preprocessing makes."""
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ConversionError("the model must have one input, a float32 picture; it has "
                              + (", ".join(i.name for i in inputs) or "none"))
    dimensions = known[inputs[0].name].dimensions if inputs[0].name in known else ()
    if len(dimensions) != 4:
        raise ConversionError(f"input {inputs[0].name!r} is not of the form [N, C, H, W]")
    _, channels, height, width = dimensions
    made = (steps.channels, steps.height, steps.width)
    for wanted, given, what in zip((channels, height, width), made, ("channels", "height", "width")):
        if isinstance(wanted, int) and given is not None and wanted != given:
            raise ConversionError(f"the preprocessing makes pictures of {what} {given}; the model reads {wanted}")


def class_scores(model, known, name):
    """The output with one number per class."""
    outputs = [o.name for o in model.graph.output]
    if name is None:
        flat = [o for o in outputs if o in known and len(known[o].dimensions) == 2]
        if len(flat) != 1:
            raise ConversionError(f"which output has the class scores? Give --logits, one of {', '.join(outputs)}")
        name = flat[0]
    if name not in outputs or name not in known:
        raise ConversionError(f"the model has no output {name!r} of known shape; its outputs are {', '.join(outputs)}")
    return known[name]


def _layers(model, known, text):
    if text is None:
        found = values.last_map(model, known)
        return [found] if found else []
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known or not values.is_map(known[name]):
            raise ConversionError(f"{name!r} is no [N, C, H, W] value of the model; see `limpid-convert inspect`")
    return names
