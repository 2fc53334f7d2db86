"""Which output of a finished ONNX graph has the class scores, and of what kind they are: by what the graph computes."""

from __future__ import annotations

from onnx import TensorProto, helper

from limpid_convert.errors import ConversionError, printable
from limpid_convert.values import constant, written

#: What `limpid.output.<value>` may say of scores; docs/model-format.md.
KINDS = ("logits", "log_probabilities", "probabilities", "independent_probabilities", "values")

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)

#: Operators that leave the numbers what they are: first input to first output.
_HARMLESS = {"Identity", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout",
    "Clip",
             "QuantizeLinear", "DequantizeLinear"}
_SOFTMAX, _SIGMOID = {"Softmax", "QLinearSoftmax"}, {"Sigmoid", "HardSigmoid", "QLinearSigmoid"}
_PRODUCTS = {"Gemm", "MatMul", "Conv", "FusedConv", "FusedMatMul", "FusedGemm", "QLinearConv", "QLinearMatMul", "QGemm",
             "MatMulInteger", "ConvInteger", "MatMulNBits", "Einsum"}
_PLAIN = {"Add", "Sub", "Mul", "Div", "Sum", "Mean", "Relu", "LeakyRelu", "Neg", "Concat", "ReduceMean", "ReduceSum",
          "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool", "BatchNormalization", "QLinearAdd"}
_MOST_STEPS = 64


def choose(model, known, name=None):
    """The output with one number per class, [N, K] or [N, K, 1, 1], as a Value.

    Without a name it is the only output, or the only one that ends in a softmax or sigmoid.
    """
    outputs = [o.name for o in model.graph.output]
    if name is not None:
        if name not in outputs:
            raise ConversionError(f"the model has no output {name!r}; it has {_listed(model, known)}")
        return _checked(model, known, name)
    if len(outputs) == 1:
        return _checked(model, known, outputs[0])
    ends = [n for n in outputs if _problem(model, known, n) is None and kind(model, known, n) != "logits"]
    if len(ends) == 1:
        return known[ends[0]]
    raise ConversionError("which output has the class scores? Name it with --scores NAME=KIND; the model has "
                          + _listed(model, known))


def _checked(model, known, name):
    problem = _problem(model, known, name)
    if problem:
        raise ConversionError(f"the output {name!r} has no class scores, which are [N, classes]: {problem}")
    return known[name]


def _problem(model, known, name):
    """Why an output cannot be class scores, or None."""
    info = next(o for o in model.graph.output if o.name == name)
    if info.type.tensor_type.elem_type not in _FLOATS:
        return "it is not of floating-point numbers"
    if name not in known:
        return "its shape is not known"
    shape = known[name].dimensions
    if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)) or (len(shape) == 1 and not _has_batch(model)):
        return None
    spatial = ", a map with an extent in space" if len(shape) == 4 else ""
    return f"it is {written(shape)}, of rank {len(shape)}{spatial}"


def _has_batch(model):
    """Whether no input is an image without a batch axis."""
    return all(len(i.type.tensor_type.shape.dim) != 3 for i in model.graph.input)


def classes(scores):
    """How many classes an output has; None where it is not known."""
    count = scores.dimensions[1 if len(scores.dimensions) > 1 else 0]
    return count if isinstance(count, int) else None


def _listed(model, known):
    shapes = ((o.name, written(known[o.name].dimensions) if o.name in known else "of unknown shape")
              for o in model.graph.output)
    return ", ".join(printable(f"{name} {shape}") for name, shape in shapes)


def kind(model, known, name):
    """`probabilities`, `independent_probabilities`, `log_probabilities` or, where nothing normalises, `logits`."""
    return _Graph(model, known).kind(name)


def sure_kind(model, known, name):
    """The kind; None where nothing normalises by a form that is known here, and the numbers may yet be probabilities:
    the runtime, which follows what numbers can be, then judges."""
    graph = _Graph(model, known)
    found = graph.kind(name)
    return found if found != "logits" or graph.is_plain(name) else None


class _Graph:
    """The nodes of a model by what they make."""

    def __init__(self, model, known):
        self.model, self.known = model, known
        self.makers = {output: node for node in model.graph.node for output in node.output if output}
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)

    def kind(self, name):
        node = self.maker(name)
        if node is None:
            return "logits"
        if self.is_softmax(node):
            return "probabilities"
        if self.is_sigmoid(node):
            return "independent_probabilities"
        if self.is_log_softmax(node):
            return "log_probabilities"
        return "logits"

    def is_plain(self, name, depth=0):
        """Whether products with weights make the numbers, and nothing behind these bounds them."""
        node = self.maker(name)
        if node is None or depth > _MOST_STEPS:
            return node is None
        if node.op_type in _PRODUCTS:
            return self.kind(self.operand(node, 0)) != "probabilities"
        inputs = [i for i in node.input if i and constant(self.model, i) is None]
        return node.op_type in _PLAIN and all(self.is_plain(i, depth + 1) for i in inputs)

    def maker(self, name):
        """The node that makes a value, behind those that leave its numbers what they are."""
        for _ in range(_MOST_STEPS):
            node = self.makers.get(name)
            if node is None or node.op_type not in _HARMLESS or not node.input:
                return node
            name = node.input[0]
        return None

    @staticmethod
    def operand(node, index):
        """The name of an input; empty where a malformed node has none."""
        return node.input[index] if index < len(node.input) else ""

    def is_softmax(self, node):
        """Softmax over the classes; written out as e / Σe or exp(log-softmax); or [1 − p, p] of a sigmoid."""
        if node.op_type in _SOFTMAX:
            return self.over_classes(node)
        if node.op_type == "Exp":
            inner = self.maker(self.operand(node, 0))
            return inner is not None and self.is_log_softmax(inner)
        if node.op_type == "Div":
            exponential, total = self.maker(self.operand(node, 0)), self.maker(self.operand(node, 1))
            return (exponential is not None and exponential.op_type == "Exp" and self.is_sum_of(total, exponential))
        if node.op_type == "Mul":  # e · (1 / Σe)
            parts = [self.maker(self.operand(node, i)) for i in (0, 1)]
            return any(a is not None and a.op_type == "Exp" and b is not None and b.op_type == "Reciprocal"
                       and self.is_sum_of(self.maker(self.operand(b, 0)), a) for a, b in (parts, parts[::-1]))
        return node.op_type == "Concat" and self.is_pair(node)

    def is_sum_of(self, node, exponential):
        return (node is not None and node.op_type == "ReduceSum"
                and self.maker(self.operand(node, 0)) is exponential and self.over_classes(node))

    def is_pair(self, node):
        """Concat of 1 − p and p"""
        if len(node.input) != 2:
            return False
        rest, chosen = self.maker(self.operand(node, 0)), self.maker(self.operand(node, 1))
        return (rest is not None and chosen is not None and self.is_sigmoid(chosen) and rest.op_type == "Sub"
                and self.number(self.operand(rest, 0)) == 1 and self.maker(self.operand(rest, 1)) is chosen)

    def is_sigmoid(self, node):
        """Sigmoid, or 1 / (1 + exp(−x))"""
        if node.op_type in _SIGMOID:
            return True
        if node.op_type == "Div" and self.number(self.operand(node, 0)) == 1:
            return self.is_one_and_exponential(self.maker(self.operand(node, 1)))
        return node.op_type == "Reciprocal" and self.is_one_and_exponential(self.maker(self.operand(node, 0)))

    def is_one_and_exponential(self, node):
        if node is None or node.op_type != "Add":
            return False
        parts = [self.maker(i) for i in node.input]
        return (1 in [self.number(i) for i in node.input]
                and any(p is not None and p.op_type == "Exp" for p in parts))

    def is_log_softmax(self, node):
        """LogSoftmax, the logarithm of a softmax, or x − log Σ exp x"""
        if node.op_type == "LogSoftmax":
            return self.over_classes(node)
        if node.op_type == "Log":
            inner = self.maker(self.operand(node, 0))
            return inner is not None and inner.op_type != "Exp" and self.is_softmax(inner)
        if node.op_type == "Sub":
            total = self.maker(self.operand(node, 1))
            if total is not None and total.op_type == "Log":
                summed = self.maker(self.operand(total, 0))
                is_sum = summed is not None and summed.op_type == "ReduceSum"
                exponential = self.maker(self.operand(summed, 0)) if is_sum else None
                return (exponential is not None and exponential.op_type == "Exp"
                        and self.operand(exponential, 0) == self.operand(node, 0) and self.over_classes(summed))
            return (total is not None and total.op_type == "ReduceLogSumExp" and self.over_classes(total)
                    and self.operand(total, 0) == self.operand(node, 0))
        return False

    def over_classes(self, node):
        """Whether a softmax or sum goes over all that one image has, and not over the batch."""
        source = self.operand(node, 0)
        shape = self.known[source].dimensions if source in self.known else None
        if node.op_type.startswith("Reduce"):
            axes = self.axes(node)
        else:
            before_13 = self.opset < 13 and node.domain in ("", "ai.onnx")
            axis = _attribute(node, "axis", 1 if before_13 else -1)
            axes = [axis]
            if before_13 and shape is not None:  # then all axes from this one on count as one
                axes = list(range(axis % len(shape), len(shape)))
        if axes is None or shape is None:
            return True
        axes = {a % len(shape) for a in axes} if shape else set()
        extents = {i for i, extent in enumerate(shape) if i and extent != 1}
        return extents <= axes and (0 not in axes or len(shape) == 1)

    def axes(self, node):
        """Of a reduction; None where they are not constant."""
        found = _attribute(node, "axes", None)
        if found is None and len(node.input) > 1:
            found = constant(self.model, node.input[1])
        return list(found) if found else None

    def number(self, name):
        """The number that a constant holds, or None."""
        found = constant(self.model, name)
        return found[0] if found is not None and len(found) == 1 else None


def _attribute(node, name, otherwise):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), otherwise)
