"""Chains of nodes that a plan computes in one step, alone and behind what takes them over, against ONNX Runtime: what
exporters write for activations, and the bias, addition and activation that follow a product."""

import limpid
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT_HALF, SCALE = 0.5**0.5, (2 / np.pi) ** 0.5
ACTIVATIONS = {
    "silu": [("Sigmoid", "x"), ("Mul", "x", 0)],
    "silu the other way": [("Sigmoid", "x"), ("Mul", 0, "x")],
    "quick gelu": [("Mul", "x", 1.702), ("Sigmoid", 0), ("Mul", "x", 1)],
    "gelu": [("Div", "x", 2**0.5), ("Erf", 0), ("Add", 1, 1.0), ("Mul", "x", 2), ("Mul", 3, 0.5)],
    "gelu, half first": [("Mul", "x", ROOT_HALF), ("Erf", 0), ("Add", 1.0, 1), ("Mul", 0.5, "x"), ("Mul", 3, 2)],
    "not gelu: another scale": [
        ("Div", "x", 1.5), ("Erf", 0), ("Add", 1, 1.0), ("Mul", "x", 2), ("Mul", 3, 0.5)],
    "gelu by tanh": [
        ("Pow", "x", 3.0), ("Mul", 0, 0.044715), ("Add", "x", 1), ("Mul", 2, SCALE), ("Tanh", 3), ("Add", 4, 1.0),
        ("Mul", "x", 0.5), ("Mul", 6, 5)],
    "gelu by tanh, factored": [
        ("Mul", "x", 0.044715), ("Mul", 0, "x"), ("Add", 1.0, 1), ("Mul", "x", SCALE), ("Mul", 3, 2), ("Tanh", 4),
        ("Add", 1.0, 5), ("Mul", "x", 6), ("Mul", 7, 0.5)],
    "hard swish": [("Add", "x", 3.0), ("Clip", 0, 0.0, 6.0), ("Mul", "x", 1), ("Div", 2, 6.0)],
    "hard swish by hard sigmoid": [("HardSigmoid", "x"), ("Mul", "x", 0)],
    "mish": [("Softplus", "x"), ("Tanh", 0), ("Mul", "x", 1)],
    "not mish: halved": [("Softplus", "x"), ("Tanh", 0), ("Mul", "x", 1), ("Mul", 2, 0.5)],
    "number first": [("Sub", 1.0, "x"), ("Abs", 0), ("Add", 0.5, 1), ("Div", 2.0, 2), ("Sqrt", 3), ("Neg", 4)],
    "powers": [("Pow", "x", 2.0), ("Pow", 0, 0.5), ("Pow", 1, 3.0), ("Pow", 2, 1.25)],
    "bounds": [("Min", "x", 1.0), ("Max", 0, -1.0), ("Relu", 1), ("Sub", 2, "x")],
}
SOURCES = {
    "fed": ([2, 5, 6, 7], []),
    "convolution": ([2, 8, 9, 9], [("Conv", "w", (37, 8, 3, 3))]),
    "winograd": ([1, 32, 24, 24], [("Conv", "w", (40, 32, 3, 3))]),
    "depthwise": ([1, 19, 9, 9], [("Conv", "w", (19, 1, 3, 3))]),
    "product": ([2, 13, 24], [("MatMul", "w", (24, 37)), ("Add", "b", (37,))]),
    "wide product": ([500, 16], [("MatMul", "w", (16, 900)), ("Add", "b", (900,))]),
    "product, no bias": ([13, 24], [("MatMul", "w", (24, 70))]),
    "fully connected": ([3, 24], [("Gemm", "w", (24, 37))]),
}


class Builder:
    def __init__(self, opset=17):
        self.nodes, self.constants, self.opset = [], [], opset
        self.random = np.random.default_rng(3)

    def constant(self, value, kind=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def weights(self, *shape):
        return self.constant(self.random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:]))))

    def __call__(self, operation, *inputs, **attributes):
        output = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def model(self, shape, *outputs):
        graph = helper.make_graph(
            self.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

    def source(self, chain):
        value = "x"
        for operation, _, shape in chain:
            if operation == "Conv":
                pads, group = [1, 1, 1, 1], 1 if shape[1] > 1 else shape[0]
                value = self("Conv", value, self.weights(*shape), self.weights(shape[0]), pads=pads, group=group)
            elif operation == "Gemm":
                value = self("Gemm", value, self.weights(*shape), self.weights(shape[1]))
            else:
                value = self(operation, value, self.weights(*shape))
        return value

    def activation(self, chain, x):
        made = []
        for operation, *operands in chain:
            names = [
                x if o == "x" else self.constant(o) if isinstance(o, float) else made[o] for o in operands]
            made.append(self(operation, *names))
        return made


def check(model, shape, outputs, tolerance=2e-6, spread=3):
    x = (spread * np.random.default_rng(1).standard_normal(shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = dict(zip(outputs, session.run(list(outputs), {"x": x})))
    with limpid.Model(model) as network:
        found = network.run({"x": x}, list(outputs))
        alone = [network.run({"x": x}, [name])[name] for name in outputs]
    for name, lonely in zip(outputs, alone):
        assert found[name].shape == expected[name].shape
        scale = np.nanmax(np.abs(expected[name])) + 1e-3
        for values in (found[name], lonely):
            assert np.array_equal(np.isnan(values), np.isnan(expected[name]))
            assert np.nanmax(np.abs(values - expected[name])) < tolerance * scale, name


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_as_exporters_write_it(name, source):
    shape, chain = SOURCES[source]
    build = Builder()
    value = build.source(chain)
    made = build.activation(ACTIVATIONS[name], value)
    # Fetched alone, a value is the end of the chain; fetched with what is made of it, it must be kept.
    check(build.model(shape, made[-1], made[0]), shape, [made[-1], made[0]], 1e-5, 1 if chain else 3)


def test_a_value_that_others_read_is_kept():
    build = Builder()
    sigmoid = build("Sigmoid", "x")
    product = build("Mul", "x", sigmoid)
    total = build("Add", product, build("Relu", sigmoid))
    check(build.model([2, 3, 4, 5], total), [2, 3, 4, 5], [total])


def test_two_operands_are_not_taken_for_one():
    build = Builder()
    left, right = build("Relu", "x"), build("Transpose", "x", perm=[0, 1, 3, 2])
    gate = build("Mul", left, build("Sigmoid", right))
    check(build.model([2, 3, 4, 4], gate), [2, 3, 4, 4], [gate])


def test_numbers_that_raise_the_rank():
    build = Builder()
    value = build("Mul", build("Add", "x", build.constant([[[1.0]]])), build.constant([2.0]))
    check(build.model([5], value), [5], [value])


def test_shapes_are_computed_in_integers():
    build = Builder()
    length = build("Gather", build("Shape", "x"), build.constant(1, np.int64))
    half = build("Div", build("Add", length, build.constant(1, np.int64)), build.constant(2, np.int64))
    half = build("Unsqueeze", half, build.constant([0], np.int64))
    shape = build("Concat", build.constant([-1], np.int64), half, axis=0)
    value = build("Reshape", "x", shape)
    check(build.model([4, 7], value), [4, 7], [value])


def test_bias_residual_and_activation_through_a_transpose():
    build = Builder()
    tokens = build("Transpose", "x", perm=[0, 2, 3, 1])
    product = build("Add", build.weights(1, 1, 1, 24), build("MatMul", tokens, build.weights(24, 24)))
    pixels = build("Transpose", product, perm=[0, 3, 1, 2])
    total = build("Add", pixels, "x")
    value = build.activation(ACTIVATIONS["gelu"], total)[-1]
    check(build.model([2, 24, 6, 5], value), [2, 24, 6, 5], [value], 1e-5, 1)


def test_a_row_for_each_head_is_not_a_bias():
    build = Builder()
    product = build("MatMul", "x", build.weights(24, 32))
    heads = build("Reshape", product, build.constant([2, 6, 4, 8], np.int64))
    value = build("Add", heads, build.weights(8))
    check(build.model([2, 6, 24], value), [2, 6, 24], [value], 1e-5, 1)


@pytest.mark.parametrize("shape", [(6, 1), (1,), (2, 6, 32), (1, 6, 32), (32,)])
def test_what_is_added_to_a_product(shape):
    build = Builder()
    value = build("Add", build("MatMul", "x", build.weights(24, 32)), build.weights(*shape))
    value = build("Tanh", build("Add", value, build.weights(32)))
    check(build.model([2, 6, 24], value), [2, 6, 24], [value], 1e-5, 1)


@pytest.mark.parametrize("c", [(32,), (1, 32), (6, 32), (6, 1), ()])
def test_what_follows_a_fully_connected_layer(c):
    build = Builder()
    product = build("Gemm", "x", build.weights(32, 24), build.weights(*c), alpha=0.5, beta=2.0, transB=1)
    value = build("Relu", build("Add", product, build("Gemm", "x", build.weights(24, 32))))
    check(build.model([6, 24], value), [6, 24], [value], 1e-5, 1)


def normalization(build, x, axis, form, epsilon=1e-5):
    def mean(value):
        return build("ReduceMean", value, axes=[axis])

    difference = build("Sub", x, mean(x))
    again = build("Sub", x, mean(x)) if form == "twice" else difference
    square = build("Mul", again, again) if form == "product" else build("Pow", again, build.constant(2.0))
    variance = build("Add", mean(square), build.constant(epsilon))
    if form == "reciprocal":
        return build("Mul", difference, build("Reciprocal", build("Sqrt", variance)))
    root = build("Pow", variance, build.constant(0.5)) if form == "power" else build("Sqrt", variance)
    return build("Div", difference, root)


@pytest.mark.parametrize("form", ["power", "product", "twice", "reciprocal"])
@pytest.mark.parametrize("behind", ["nothing", "scale", "scale and shift", "number", "row of another axis"])
@pytest.mark.parametrize(
    ("shape", "axis", "row"),
    [((2, 9, 20), -1, (20,)), ((2, 20, 5, 6), 1, (20, 1, 1)), ((2, 20, 5, 6), 1, (1, 20, 1, 1)),
     ((2, 20, 7), 1, (20, 1)), ((3, 20), 1, (20,)), ((2, 20, 20), 2, (20,))])
def test_layer_normalization_in_single_nodes(shape, axis, row, behind, form):
    build = Builder()
    value = normalization(build, "x", axis, form)
    if behind != "nothing":
        value = build("Mul", value, build.constant(1.5) if behind == "number" else build.weights(*row))
    if behind == "scale and shift":
        value = build("Add", build.weights(*row), value)
    if behind == "row of another axis":
        value = build("Add", value, build.weights(shape[-1]))
    check(build.model(list(shape), value), list(shape), [value], 1e-5)


def test_a_mean_that_others_read_is_kept():
    build = Builder()
    value = normalization(build, "x", -1, "power")
    total = build("Add", value, "value0")
    check(build.model([4, 20], total, "value0"), [4, 20], [total, "value0"], 1e-5)


def test_what_only_looks_like_a_normalization():
    build = Builder()
    mean = build("ReduceMean", "x", axes=[-1])
    difference = build("Sub", mean, "x")
    variance = build("ReduceMean", build("Pow", difference, build.constant(2.0)), axes=[-1])
    other = build("ReduceMean", build("Pow", build("Sub", "x", mean), build.constant(2.0)), axes=[0])
    root = build("Sqrt", build("Add", variance, build.constant(1e-3)))
    value = build("Mul", build("Div", difference, root), build("Add", other, build.constant(1.0)))
    check(build.model([4, 20], value), [4, 20], [value], 1e-5)


def test_a_batch_split_changes_no_bit():
    build = Builder()
    product = build("Add", build("MatMul", "x", build.weights(48, 70)), build.weights(70))
    value = build.activation(ACTIVATIONS["gelu"], product)[-1]
    model = build.model(["n", 7, 48], value)
    x = np.random.default_rng(2).standard_normal((9, 7, 48)).astype(np.float32)
    with limpid.Model(model, threads=2) as network, limpid.Model(model, threads=1) as other:
        whole = network.run({"x": x})[value]
        parts = [other.run({"x": x[i : i + 1]})[value] for i in range(9)]
    assert np.array_equal(whole, np.concatenate(parts))


OWN = dict(activation="Relu", activation_parameters=[1.0], pooled=1)


@pytest.mark.parametrize("operation", ["Conv", "Gemm", "MatMul", "BatchNormalization"])
def test_attributes_of_joined_nodes_are_not_a_files(operation):
    """What a plan joins with a node, it writes into attributes of its own; a file that has such changes nothing."""
    build = Builder()
    if operation == "Conv":
        shape, operands = [1, 32, 24, 24], [build.weights(40, 32, 3, 3)]
    elif operation == "BatchNormalization":
        shape, operands = [2, 8, 5, 6], [build.constant(np.linspace(0.5, 2, 8)) for _ in range(4)]
    else:
        shape, operands = [3, 24], [build.weights(24, 37)]
    plain = build(operation, "x", *operands)
    clean = build.model(shape, plain)
    for attribute in (*({name: value} for name, value in OWN.items()), OWN):
        build.nodes = [helper.make_node(operation, ["x", *operands], [plain], **attribute)]
        x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
        expected, found = (limpid.Model(m).run({"x": x}, [plain])[plain] for m in (clean, build.model(shape, plain)))
        np.testing.assert_array_equal(found, expected)
