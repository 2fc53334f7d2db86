"""Prints what is in a checkpoint or in a model."""

from __future__ import annotations

from limpid_convert import checkpoint, conversion, values
from limpid_convert.errors import printable
from limpid_convert.families import FAMILIES
from limpid_convert.graph import read_model
from limpid_convert.inert import Namespace
from limpid_convert.numpy_values import StoredArray
from limpid_convert.stored import StoredTensor

_DEEPEST, _MOST_ITEMS, _LONGEST = 3, 40, 80


def add_command(subparsers):
    parser = subparsers.add_parser("inspect",
        help="what is in a checkpoint (.pth, .pt, .ckpt, .safetensors) or a model (.onnx)")
    parser.add_argument("file")
    conversion.add_checkpoint_options(parser)
    parser.set_defaults(run=run)


def run(options):
    """The table, on standard output."""
    lines = _model(options.file) if options.file.endswith(".onnx") else _checkpoint(options)
    for line in lines:
        print(line)


def _checkpoint(options):
    path = options.file
    read = checkpoint.read(path, options.key, options.prefix)
    tensors = read.tensors()
    args = read.arguments()
    guess = next((f.NAME for f in FAMILIES if f.recognises(tensors)), "unknown")
    container = "safetensors" if read.container == "safetensors" else f"torch checkpoint ({read.container} container)"
    yield f"{path}: {container}, {len(tensors)} tensors, family {guess}"
    width = min(max(map(len, tensors)), _LONGEST)
    for name, tensor in tensors.items():
        yield f"  {_plain(name):{width}}  {values.written(tensor.shape)}  {tensor.element_type}"
    if isinstance(read.root, dict):
        for key, value in read.root.items():
            if value is not args and not isinstance(value, (StoredTensor, Namespace)):
                yield f"{_plain(str(key))}: {_brief(value)}"
    for key, value in args.items():
        yield f"args.{_plain(str(key))}: {_brief(value)}"


def _brief(value, depth=0):
    """A value on one line, of bounded length and depth: a checkpoint may hold anything, itself included."""
    if isinstance(value, (StoredTensor, StoredArray)):
        return f"tensor {values.written(value.shape)}"
    if isinstance(value, (dict, list, tuple)):
        if depth == _DEEPEST or len(value) > _MOST_ITEMS or any(isinstance(v, StoredTensor) for v in _items(value)):
            return f"{type(value).__name__} of {len(value)}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{_plain(str(k))}: {_brief(v, depth + 1)}" for k, v in value.items()) + "}"
        return "[" + ", ".join(_brief(v, depth + 1) for v in value) + "]"
    if isinstance(value, Namespace):
        return f"arguments ({len(value.values)})"
    return _plain(str(value))


def _items(value):
    return value.values() if isinstance(value, dict) else value


def _model(path):
    model = read_model(path, weights=False)
    known = values.infer(model)
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    made = f"{len(model.graph.node)} nodes, by {_plain(model.producer_name or 'an unnamed program')}"
    yield f"{path}: ONNX IR {model.ir_version}, opset {opsets}, {made}"
    weights = {w.name for w in model.graph.initializer}
    for title, infos in (("input", model.graph.input), ("output", model.graph.output)):
        for info in infos:
            if info.name not in weights:
                sizes = values.written(known[info.name].dimensions) if info.name in known else "of unknown shape"
                yield f"{title}  {_plain(info.name)}  {sizes}"
    for entry in model.metadata_props:
        lines = entry.value.splitlines() or [""]
        yield f"{_plain(entry.key)}: {_plain(lines[0])}" + (f"  (and {len(lines) - 1} lines)" if lines[1:] else "")
    maps = [v for v in known.values() if values.is_map(v)]
    yield f"{len(maps)} values that CAM methods could tap:"
    width = min(max((len(v.name) for v in maps), default=0), _LONGEST)
    for value in maps:
        module = f"  in {_plain(value.modules[-1])}" if value.modules else ""
        yield f"  {_plain(value.name):{width}}  {values.written(value.dimensions)}  {value.operator}{module}"


def _plain(text):
    """Text from a file, short and without anything that a terminal would act on."""
    clean = printable(text[: _LONGEST + 1]).replace("\n", " ")
    return clean if len(text) <= _LONGEST else clean[: _LONGEST - 1] + "…"
