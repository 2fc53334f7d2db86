"""Which values a finished ONNX graph has, and of what shape."""

from __future__ import annotations

import re
from dataclasses import dataclass

import onnx

from limpid_convert import shape_arithmetic
from limpid_convert.errors import ConversionError

_POOLS = ("GlobalAveragePool", "GlobalMaxPool")
_PASSING = ("Cast", "Dropout", "Identity", "Reshape")
_MAKERS = ("Conv", "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip", "HardSwish", "Add", "Sum", "Concat",
           "MaxPool", "AveragePool")


@dataclass(frozen=True)
class Value:
    """dimensions: numbers, symbolic names, or None where unknown (older files of Paddle say -1). operator: of the node
    that makes it. modules: the paths of the modules that it was computed in, outermost first, where the file tells."""

    name: str
    dimensions: tuple
    operator: str
    modules: tuple = ()


def infer(model):
    """Values by name in graph order, those of known rank. Shapes are ONNX's own inference."""
    try:
        graph = onnx.shape_inference.infer_shapes(shape_arithmetic.folded(model)).graph
    except Exception as error:  # onnx raises several kinds
        raise ConversionError(f"the shapes of the model are contradictory ({str(error)[:200]})") from None
    weights = {w.name for w in (*model.graph.initializer, *graph.initializer)}
    shapes = {i.name: _dimensions(i) for i in [*graph.input, *graph.value_info, *graph.output] if i.name not in weights}
    makers = {output: (node.op_type, _modules(node)) for node in graph.node for output in node.output}
    order = [i.name for i in model.graph.input] + list(makers)
    return {n: Value(n, shapes[n], *makers.get(n, ("", ()))) for n in order if shapes.get(n) is not None}


def _modules(node):
    """PyTorch's newer exporter numbers its values and keeps the module paths beside them, as a printed list that ends
    with the name of the operation."""
    for entry in getattr(node, "metadata_props", ()):  # onnx before 1.16 has none
        if entry.key == "pkg.torch.onnx.name_scopes":
            return tuple(path for path in re.findall(r"'([^']*)'", entry.value)[:-1] if path)
    return ()


def written(dimensions):
    """A shape for messages."""
    return "[" + ", ".join("?" if d is None else str(d) for d in dimensions) + "]"


def _dimensions(info):
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple((d.dim_value if d.dim_value >= 0 else None) if d.HasField("dim_value") else d.dim_param or None
                 for d in kind.shape.dim)


def is_map(value):
    """Whether CAM methods may tap it: [N, C, H, W] that a node made, with more than one position."""
    return bool(value.operator) and len(value.dimensions) == 4 and value.dimensions[2:] != (1, 1)


def last_map(model, values):
    """The value [N, C, H, W] that CAM methods should tap unless told otherwise, or None.

    It is what the network's last global pooling reads, if no convolution follows (as it does inside of squeezing
    blocks); otherwise the last map that a convolutional network's own operators made. None for networks with attention
    that pool no maps: the runtime follows the axes of their tokens itself.
    """
    for node in reversed(model.graph.node):
        if node.op_type == "Conv":
            break
        if node.input and node.input[0] in values and is_map(values[node.input[0]]) and _pools(model, node):
            return node.input[0]
    if _attends(model):
        return None
    maps = [v.name for v in values.values() if is_map(v) and v.operator in _MAKERS]
    return maps[-1] if maps else None


def _pools(model, node):
    """Whether a node averages over the last two of four axes: means over one axis are those of a normalisation."""
    if node.op_type != "ReduceMean":
        return node.op_type in _POOLS
    axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
    if axes is None and len(node.input) > 1:
        axes = constant(model, node.input[1])
    return axes is not None and {int(a) % 4 for a in axes} == {2, 3}


def _attends(model):
    """Whether products of two computed values follow a softmax, or an operator for attention is there."""
    weights = set()
    for node in model.graph.node:
        if node.op_type == "Softmax" or (node.op_type in _PASSING and weights.intersection(node.input[:1])):
            weights.update(node.output)
        if "Attention" in node.op_type or (node.op_type in ("MatMul", "Einsum") and weights.intersection(node.input)):
            return True
    return False


def constant(model, name):
    """The numbers of a constant in the file itself, flat, or None."""
    tensor = next((w for w in model.graph.initializer if w.name == name), None)
    if tensor is None:
        maker = next((n for n in model.graph.node if name in n.output and n.op_type == "Constant"), None)
        tensor = next((a.t for a in maker.attribute if a.name == "value"), None) if maker else None
    if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return onnx.numpy_helper.to_array(tensor).ravel().tolist()
    except (TypeError, ValueError):  # of a damaged file; ONNX's checker says so later
        return None
