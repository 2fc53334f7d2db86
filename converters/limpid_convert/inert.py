"""What a checkpoint may contain besides plain values: tensors, torch and NumPy types, a run's arguments, containers.

`lookup` is the whole allow-list. Each entry makes data that is described, not run; anything else is refused by name.
"""

from __future__ import annotations

import datetime

from limpid_convert import element_types, numpy_values
from limpid_convert.element_types import ElementType
from limpid_convert.errors import ConversionError
from limpid_convert.numpy_values import Encoded, NumpyType, StoredArray
from limpid_convert.stored import Storage, StoredTensor
from limpid_convert.unpickle import Collection, Constructor, Inert, plain_key

_LONGEST_PATH = 4096


class Namespace(Inert):
    """`argparse.Namespace` as data: `values` by name."""

    __slots__ = ("values",)

    def __init__(self):
        self.values = {}

    def set_state(self, state):
        if type(state) is not dict or any(type(k) is not str for k in state):
            raise ConversionError("the checkpoint's arguments (argparse.Namespace) are malformed")
        self.values = state


class _Described(Inert):
    """An object of which nothing but its type is known."""

    __slots__ = ("kind",)

    def __init__(self, kind):
        self.kind = kind

    def __repr__(self):
        return self.kind

    def set_state(self, state):
        pass


def _arguments(name, args, *kinds):
    """The first arguments of a call, checked against their types; further ones have no meaning for a reader."""
    if len(args) < len(kinds) or any(not isinstance(a, k) for a, k in zip(args, kinds)):
        raise ConversionError(f"the checkpoint calls {name} with arguments of the wrong kind")
    return args[: len(kinds)]


def _ordered_dict(args, spend):
    if not args:
        return {}
    (pairs,) = _arguments("collections.OrderedDict", args, (list, tuple))
    spend(len(pairs))
    if any(type(p) not in (list, tuple) or len(p) != 2 for p in pairs):
        raise ConversionError("the checkpoint has a malformed dictionary")
    return {plain_key(k): v for k, v in pairs}


def _dictionary(args, spend):
    """A dict or one of its kinds: empty, or a copy."""
    if not args or type(args[0]) is not dict:
        return {}
    spend(len(args[0]))
    return dict(args[0])


def _collection(kind):
    def build(args, spend):
        if not args:
            return Collection(kind)
        (values,) = _arguments(kind, args, (list, tuple))
        spend(len(values))
        return Collection(kind, values)

    return build


def _tensor(args, spend):
    """(storage, offset, shape, strides, requires_grad, hooks[, bits])"""
    storage, offset, shape, strides = _arguments("torch._utils._rebuild_tensor_v2", args, Storage, int, tuple, tuple)
    return _view(storage, offset, shape, strides, spend, args[6:7])


def _untyped_tensor(args, spend):
    """(storage of bytes, offset, shape, strides, requires_grad, hooks, element type[, bits])"""
    storage, offset, shape, strides, _, _, kind = _arguments(
        "torch._utils._rebuild_tensor_v3", args, Storage, int, tuple, tuple, object, object, ElementType)
    return _view(storage, offset, shape, strides, spend, args[7:8], kind)


def _view(storage, offset, shape, strides, spend, bits, kind=None):
    spend(len(shape) + len(strides))
    bits = bits[0] if bits and type(bits[0]) is dict else {}
    if set(bits) - {"neg", "conj"}:
        raise ConversionError("the checkpoint has a tensor with a property that limpid-convert does not know")
    if kind is None and storage.element_type is element_types.UNTYPED:
        raise ConversionError("the checkpoint has a tensor without an element type")
    return StoredTensor(storage, offset, shape, strides, spend, kind, bits.get("neg") is True, bits.get("conj") is True)


def _parameter(args, spend):
    return _arguments("torch._utils._rebuild_parameter", args, StoredTensor)[0]


def _subclassed(args, spend):
    """(function, class, its arguments, attributes): a tensor that Python gave attributes."""
    function, _, inner = _arguments("torch._tensor._rebuild_from_type_v2", args, Constructor, object, tuple)
    if function.build not in (_tensor, _untyped_tensor, _parameter, _parameter_with_state):
        raise ConversionError("the checkpoint rebuilds a tensor in a way that limpid-convert does not know")
    return function.build(inner, spend)


def _parameter_with_state(args, spend):
    return _parameter(args, spend)


def _first(*kinds):
    """A call that stands for its first argument."""
    def build(args, spend):
        return _arguments("a torch type", args, kinds)[0]

    return build


def _described(kind):
    """A call whose result is only named."""
    return lambda args, spend: _Described(kind)


def _fraction(args, spend):
    """Of text, or of numerator and denominator."""
    if len(args) == 2 and all(type(a) is int for a in args):
        return f"{args[0]}/{args[1]}"
    return _arguments("fractions.Fraction", args, str)[0]


def _encode(args, spend):
    text, codec = _arguments("_codecs.encode", args, str, str)
    if codec not in ("latin1", "latin-1"):
        raise ConversionError("the checkpoint encodes text in a way that NumPy does not")
    return Encoded(text)


def _numpy_type(args, spend):
    return NumpyType(args[0] if args else None)


def _numpy_scalar(args, spend):
    return numpy_values.scalar(*_arguments("numpy scalar", args, NumpyType, (bytes, Encoded)))


def _numpy_array(args, spend):
    return StoredArray()


def _numpy_from_buffer(args, spend):
    data, kind, shape, order = _arguments("numpy array", args, (bytes, Encoded), NumpyType, tuple, str)
    array = StoredArray()
    array.fill(shape, kind, order, data)
    return array


def _path(args, spend):
    """Paths become text."""
    if any(type(part) is not str for part in args) or sum(map(len, args)) > _LONGEST_PATH:
        raise ConversionError("the checkpoint has a malformed path")
    return "/".join(args).replace("//", "/", 1)


def _moment(kind, size):
    """Dates and times become text in ISO form."""
    def build(args, spend):
        (data,) = _arguments(f"datetime.{kind.__name__}", args, (bytes, Encoded))
        if len(data) != size:
            raise ConversionError("the checkpoint has a malformed date")
        try:
            zone = [str(a) for a in args[1:2]]
            return "".join([kind(numpy_values.raw(data)).isoformat(), *zone])
        except (TypeError, ValueError):
            raise ConversionError("the checkpoint has a malformed date") from None

    return build


def _duration(args, spend):
    numbers = _arguments("datetime.timedelta", args, int, int, int)
    try:
        return str(datetime.timedelta(*numbers))
    except OverflowError:
        raise ConversionError("the checkpoint has a malformed time span") from None


def _zone(args, spend):
    return f" UTC+{args[0]}" if args and type(args[0]) is str else " UTC"


def _complex(args, spend):
    return complex(*_arguments("complex", args, (int, float), (int, float)))


def _bytes(args, spend):
    if not args:
        return b""
    return numpy_values.raw(_arguments("bytes", args, (bytes, Encoded))[0])


def _as_tuple(args, spend):
    return args


_CALLS = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _dictionary,
    "collections.defaultdict": _dictionary,
    "collections.deque": lambda args, spend: Collection("deque", _collection("deque")(args[:1], spend)),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _untyped_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": _subclassed,
    "torch.Size": _first(tuple, list),
    "torch.device": _first(str),
    "torch.serialization._get_layout": _first(str),
    "_codecs.encode": _encode,
    "numpy.dtype": _numpy_type,
    "uuid.UUID": lambda args, spend: _Described("uuid.UUID"),
    "decimal.Decimal": _first(str),
    "fractions.Fraction": _fraction,
    "torch._utils._rebuild_sparse_tensor": _described("a sparse tensor"),
    "torch._utils._rebuild_qtensor": _described("a quantised tensor"),
    "torch._utils._rebuild_meta_tensor_no_storage": _described("a tensor without values"),
    "datetime.datetime": _moment(datetime.datetime, 10),
    "datetime.date": _moment(datetime.date, 4),
    "datetime.time": _moment(datetime.time, 6),
    "datetime.timedelta": _duration,
    "datetime.timezone": _zone,
    "types.SimpleNamespace": lambda args, spend: Namespace(),
}

#: Classes that are dictionaries.
_DICTIONARIES = (
    "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "easydict.EasyDict",
    "addict.addict.Dict",
    "yacs.config.CfgNode", "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict", "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict", "lightning_utilities.core.rank_zero.AttributeDict",
)

#: Names that stand for themselves: they are only ever arguments.
_MARKS = ("numpy.ndarray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
          "torch.per_tensor_affine", "torch.contiguous_format", "torch.channels_last", "torch.preserve_format",
          "torch.strided", "builtins.Ellipsis", "__builtin__.Ellipsis", "builtins.NotImplemented",
          "__builtin__.NotImplemented")


def _allowed():
    calls = dict(_CALLS)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        calls[module + ".scalar"] = _numpy_scalar
        calls[module + "._reconstruct"] = _numpy_array
    for module in ("numpy.core.numeric", "numpy._core.numeric"):
        calls[module + "._frombuffer"] = _numpy_from_buffer
    for module in ("pathlib", "pathlib._local"):
        for name in ("Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"):
            calls[f"{module}.{name}"] = _path
    for module in ("builtins", "__builtin__"):
        calls.update({f"{module}.{name}": _collection(name) for name in ("set", "frozenset", "list")})
        calls.update({f"{module}.{name}": build for name, build in (
            ("dict", _dictionary), ("complex", _complex), ("bytearray", _bytes), ("bytes", _bytes),
            ("slice", _as_tuple), ("range", _as_tuple), ("xrange", _as_tuple))})
        for name in ("int", "float", "str", "tuple", "bool", "object"):
            calls[f"{module}.{name}"] = _no_call(name)
    table = {name: Constructor(name, build) for name, build in calls.items()}
    for name in _DICTIONARIES:
        table[name] = Constructor(name, calls.get(name, _dictionary), dict)
    table["argparse.Namespace"] = Constructor("argparse.Namespace", lambda args, spend: Namespace(), Namespace)
    table["torch.torch_version.TorchVersion"] = Constructor(
        "torch.torch_version.TorchVersion", _first(str), takes_arguments=True)
    table["uuid.UUID"].new = lambda: _Described("uuid.UUID")
    table.update({name: name for name in _MARKS})
    table.update({f"torch.{name}": kind for name, kind in element_types.BY_NAME.items()})
    table.update({f"torch.{prefix}Storage": kind for prefix, kind in element_types.BY_STORAGE.items()})
    table["torch.storage.UntypedStorage"] = table["torch.UntypedStorage"] = element_types.UNTYPED
    return table


def _no_call(name):
    """A type that a defaultdict may make its values with; here it only has a name."""
    def build(args, spend):
        raise ConversionError(f"the checkpoint calls {name}, which no torch checkpoint needs")

    return build


_ALLOWED = _allowed()


def lookup(module, name):
    """What stands for the global `module.name` of a pickle."""
    try:
        return _ALLOWED[f"{module}.{name}"]
    except KeyError:
        asked = f"{module}.{name}"[:100]
        whole = ("it was saved as a whole object: " if ".nn." in asked or ".models." in asked else "")
        raise ConversionError(
            f"the checkpoint asks for `{asked}`; {whole}limpid-convert reads tensors and plain values only and runs "
            "nothing. Save it again with only its state dict in it (torch.save(model.state_dict(), FILE)), if you "
            "trust where it comes from"
        ) from None
