"""Numbers that exporters leave to be computed in the graph: pads above all, from shapes and constants."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

_LARGEST = 1 << 10
_ROUNDS = 256


def folded(model):
    """`model` without its large weights, and with the pads that its shapes decide as constants; the model itself where
    none are computed, or they cannot be.

    Images count as a batch of one meanwhile, for pads do not depend on it.
    """
    open_pads = [n.input[1] for n in model.graph.node if n.op_type == "Pad" and len(n.input) > 1]
    known = {w.name for w in model.graph.initializer} | {
        o for n in model.graph.node if n.op_type == "Constant" for o in n.output}
    wanted = [name for name in dict.fromkeys(open_pads) if name and name not in known]
    if not wanted:
        return model
    light = _light(model)
    try:
        pads = _values(light, wanted)
    except Exception:  # the evaluator raises what it likes; then the shapes stay open, and messages say so
        return model
    _replace(light, pads)
    return light


def _light(model):
    """A copy whose large weights are inputs of their shapes."""
    graph, light = model.graph, onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = graph.name or "graph"
    light.graph.node.extend(graph.node)
    light.graph.output.extend(graph.output)
    light.graph.value_info.extend(graph.value_info)
    small = [w for w in graph.initializer if _count(w.dims) <= _LARGEST and not w.external_data]
    light.graph.initializer.extend(small)
    names = {w.name for w in graph.initializer}
    light.graph.input.extend(i for i in graph.input if i.name not in names)
    kept = {w.name for w in small}
    light.graph.input.extend(
        helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in graph.initializer if w.name not in kept)
    return light


def _count(extents):
    count = 1
    for extent in extents:
        count *= max(extent, 0)
    return count


def _values(light, wanted):
    """{name: array} of those of `wanted` that follow from the shapes, pad by pad: each settles what is behind it."""
    single, found = onnx.ModelProto(), {}
    single.CopyFrom(light)
    weights = {w.name for w in single.graph.initializer}
    for info in single.graph.input:
        extents = info.type.tensor_type.shape.dim
        if info.name not in weights and len(extents) == 4 and not extents[0].HasField("dim_value"):
            extents[0].dim_value = 1
    for info in single.graph.output:
        info.type.tensor_type.ClearField("shape")
    del single.graph.value_info[:]
    for _ in range(_ROUNDS):
        new = {n: v for n, v in _computable(single).items() if n in wanted and n not in found}
        if not new:
            return found
        found.update(new)
        _replace(single, new)
    return found


def _computable(model):
    """The values that the operands of pads, constants and known shapes decide."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {}
    for info in [*graph.input, *graph.value_info]:
        kind = info.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            shapes[info.name] = [d.dim_value for d in kind.shape.dim]
    constants = {w.name: w for w in graph.initializer}
    ready, nodes, ends = set(constants), [], []
    for node in graph.node:
        if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
            extents = numpy_helper.from_array(np.array(shapes[node.input[0]], np.int64), node.output[0])
            nodes.append(helper.make_node("Constant", [], list(node.output), value=extents))
            ready.update(node.output)
        elif node.op_type == "Pad" and len(node.input) > 1 and node.input[1] in ready:
            ends.append(node.input[1])
        elif _is_small(node, ready, shapes):
            nodes.append(node)
            ready.update(node.output)
    ends = [name for name in dict.fromkeys(ends) if name not in constants]
    if not ends:
        return {}
    outputs = [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in ends]
    part = helper.make_graph(nodes, "arithmetic", [], outputs, list(constants.values()))
    evaluator = ReferenceEvaluator(helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version))
    return dict(zip(ends, evaluator.run(None, {})))


def _is_small(node, ready, shapes):
    return (node.domain in ("", "ai.onnx") and all(i in ready for i in node.input if i)
            and not any(a.HasField("g") for a in node.attribute)
            and all(_count(shapes.get(o, [])) <= _LARGEST for o in node.output) and node.op_type != "Pad")


def _replace(model, arrays):
    """Reads `arrays` as constants in place of what computes them."""
    for node in model.graph.node:
        if node.op_type == "Pad" and len(node.input) > 1 and node.input[1] in arrays:
            name = node.input[1] + ".known"
            if all(w.name != name for w in model.graph.initializer):
                model.graph.initializer.append(numpy_helper.from_array(arrays[node.input[1]], name))
            node.input[1] = name
