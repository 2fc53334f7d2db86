"""Builds ONNX graphs, and writes ONNX files whose bytes depend on nothing but the model."""

from __future__ import annotations

import os

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from limpid_convert import __version__, file_kinds
from limpid_convert.errors import ConversionError

OPSET = 17
IR_VERSION = 8

#: Weights up to this many bytes stay inside the .onnx file, more go to `<name>.onnx.data`.
LARGEST_INLINE = 4 << 20
#: Tensors below this many bytes are always inside: shapes and axes, which other tools need to infer shapes.
_SMALLEST_EXTERNAL = 1 << 10
_ALIGNMENT = 64
_LARGEST_MESSAGE = (2 << 30) - (1 << 20)


class Builder:
    """A graph under construction. Values are called as the node that makes them: the module path of the network.

    Every name is used once; a name clash is a fault of the converter, hence a ValueError.
    """

    def __init__(self, name):
        self.name = name
        self._nodes, self._inputs, self._outputs = [], [], []
        self._constants, self._values, self._metadata = {}, set(), {}
        self._base = None

    @classmethod
    def extending(cls, model):
        """A Builder that adds to a finished model, which stays as it is; it must be of opset 13 or later."""
        builder = cls(model.graph.name)
        builder._base = model
        graph = model.graph
        for info in (*graph.input, *graph.initializer):
            builder._values.add(info.name)
        for node in graph.node:
            builder._values.update(node.output)
        return builder

    def __contains__(self, value):
        return value in self._values

    def input(self, name, shape):
        """Declares a float32 input; text in `shape` is a symbolic dimension ("N")."""
        self._claim(name)
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def optional_input(self, name, array, shape):
        """Declares an input that has a value for those who do not feed it; its type is the array's."""
        self.constant(name, array)
        kind = helper.np_dtype_to_tensor_dtype(self._constants[name].dtype)
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, name, array):
        """A weight or constant in the array's own type."""
        self._claim(name)
        self._constants[name] = np.array(array, order="C")
        return name

    def node(self, operator, name, inputs, outputs=1, **attributes):
        """Adds a node; returns the name of its value, or for several outputs the list `name.0`, `name.1`, …"""
        values = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        for value in values:
            self._claim(value)
        given = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(operator, inputs, values, name=name, **given))
        return name if outputs == 1 else values

    def output(self, name, shape):
        """Makes the value `name` an output of the model."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def metadata(self, key, value):
        """Sets one entry of the model's metadata."""
        self._metadata[key] = str(value)

    def _claim(self, name):
        if name in self._values:
            raise ValueError(f"two values are called {name!r}")
        self._values.add(name)

    def model(self):
        """The model, its weights inside."""
        return self._assembled([_tensor(name, array) for name, array in self._constants.items()])

    def outline(self):
        """The model without its weights, which are inputs instead: small, and enough to infer shapes from."""
        small = [_tensor(name, a) for name, a in self._constants.items() if a.nbytes < _SMALLEST_EXTERNAL]
        model = self._assembled(small, with_weights=False)
        for name, array in self._constants.items():
            if array.nbytes >= _SMALLEST_EXTERNAL:
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                model.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
        return model

    def _assembled(self, weights, with_weights=True):
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="limpid-convert", producer_version=__version__,
        )
        if self._base is not None:
            model = _joined(self._base, model, with_weights)
        set_metadata(model, self._metadata)
        return model


def _tensor(name, array):
    tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return tensor


def _joined(base, added, with_weights):
    """A copy of `base` with the graph of `added` behind its own."""
    if with_weights:
        model = ModelProto()
        model.CopyFrom(base)
    else:
        model = _outlined(base)
    model.ir_version = max(model.ir_version, IR_VERSION)  # before 4, every weight had to be an input too
    for field in ("node", "initializer", "input", "output"):
        getattr(model.graph, field).extend(getattr(added.graph, field))
    return model


def _outlined(base):
    """A copy of `base` with its larger weights turned into inputs."""
    model = ModelProto(ir_version=base.ir_version, opset_import=base.opset_import, functions=base.functions)
    graph, known = model.graph, {i.name for i in base.graph.input}
    graph.name = base.graph.name
    for field in ("node", "input", "output", "value_info"):
        getattr(graph, field).extend(getattr(base.graph, field))
    for tensor in base.graph.initializer:
        if len(tensor.raw_data) < _SMALLEST_EXTERNAL and tensor.data_location != TensorProto.EXTERNAL:
            graph.initializer.append(tensor)
        elif tensor.name not in known:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def set_metadata(model, entries):
    """Sets metadata entries of a model, keeping all others; an empty value takes an entry away."""
    kept = {p.key: p.value for p in model.metadata_props}
    kept.update(entries)
    del model.metadata_props[:]
    for key, value in kept.items():
        if value or key not in entries:
            model.metadata_props.add(key=key, value=value)


def read_model(path, weights=True):
    """The model in an .onnx file; weights=False leaves external ones out."""
    try:
        model = onnx.load(path, load_external_data=weights)
        if model.graph.node:
            return model
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # protobuf and onnx raise many kinds for a bad file
        raise ConversionError(f"{path}: not a readable ONNX model{_what_it_is(path, str(error)[:200])}") from None
    raise ConversionError(f"{path}: not an ONNX model, there is no graph in it{_what_it_is(path, '')}")


def _what_it_is(path, error):
    """What the message says of a file that is no model: its kind where that is known, else onnx's own words."""
    with open(path, "rb") as file:
        kind = file_kinds.known(file.read(file_kinds.HEAD))
    words = kind or error
    return f" ({words})" if words else ""


def write_model(model, path, inline=False):
    """Writes a model whose weights are in memory; changes `model`. Returns the paths written.

    Weights of more than LARGEST_INLINE bytes go to `<path>.data`, each aligned to 64 bytes, unless `inline`.
    """
    tensors = [t for t in model.graph.initializer if len(t.raw_data) >= _SMALLEST_EXTERNAL]
    total = sum(len(t.raw_data) for t in tensors)
    if total > _LARGEST_MESSAGE and inline:
        raise ConversionError(f"{total >> 20} MiB of weights do not fit into one .onnx file; leave out --inline")
    paths = [path]
    try:
        if total > LARGEST_INLINE and not inline:
            paths.append(path + ".data")
            _write_whole(paths[1], _externalised(tensors, os.path.basename(paths[1])))
        _write_whole(path, [model.SerializeToString(deterministic=True)])
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None
    return paths


def _externalised(tensors, location):
    """The data file in pieces; each tensor then refers to its place in it."""
    position = 0
    for tensor in tensors:
        padding = -position % _ALIGNMENT
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", position + padding), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        position += padding + len(raw)
        yield b"\0" * padding
        yield raw


def _write_whole(path, pieces):
    """Writes a file so that `path` is never half of one."""
    part = path + ".part"
    try:
        with open(part, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
