"""What the outputs of a foreign classifier are and what its input takes, in graphs as exporters write them."""

import numpy as np
import onnx
import pytest
from conftest import metadata_of
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOAT, UINT8, INT64, STRING = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64, TensorProto.STRING
node = helper.make_node
STEPS = "resize exact 8 8 bilinear; scale 1/255"
CONSTANTS = {"one": np.float32(1), "axis": np.array([1]), "flat": np.array([-1, 5]), "step": np.float32(1 / 256),
             "zero": np.uint8(0), "low": np.float32(0), "high": np.float32(1), "begin": np.array([1]),
             "end": np.array([3])}
SOFTMAX = [node("Softmax", ["z"], ["p"], axis=1)]


def network(path, tail, outputs=(("y", FLOAT, ["N", 5]),), inputs=(("x", FLOAT, ["N", 3, 8, 8]),), before=(),
    source="x",
            head="Gemm", classes=5, opset=17, metadata=()):
    """Convolution, activation `r`, average `g`, scores `z`, then `tail`."""
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((4, 3, 3, 3)), "d": 3 * random.standard_normal(
        (classes, 4, 1, 1) if head == "Conv" else (classes, 4)), **CONSTANTS}
    nodes = [*before, node("Conv", [source, "w"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]),
             node("GlobalAveragePool", ["r"], ["g"]), node("Flatten", ["g"], ["f"])]
    nodes.append(node("Conv", ["g", "d"], ["z"]) if head == "Conv" else node("Gemm", ["f", "d"], ["z"], transB=1))
    info = helper.make_tensor_value_info
    tensors = [numpy_helper.from_array(np.asarray(a, np.float32 if np.asarray(a).dtype == np.float64 else None), n)
               for n, a in weights.items()]
    graph = helper.make_graph([*nodes, *tail], "g", [info(*i) for i in inputs], [info(*o) for o in outputs], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
    return path


@pytest.fixture
def annotate(command, tmp_path):
    """annotate(tail, *options, preprocess, **network) -> (status, said, metadata or None)"""

    def run(tail, *options, preprocess=STEPS, **graph):
        source, output = network(tmp_path / "in.onnx", tail, **graph), tmp_path / "out.onnx"
        output.unlink(missing_ok=True)
        status, _, said = command("annotate", source, output, "--preprocess", preprocess, *options)
        return status, said, metadata_of(output) if status == 0 else None

    return run


TAILS = {
    "logits": ("logits", [node("Identity", ["z"], ["y"])]),
    "relu is no score of its own": ("logits", [node("Relu", ["z"], ["y"])]),
    "softmax": ("probabilities", [node("Softmax", ["z"], ["y"], axis=1)]),
    "default axis": ("probabilities", [node("Softmax", ["z"], ["y"])]),
    "softmax, identity": ("probabilities", SOFTMAX + [node("Identity", ["p"], ["y"])]),
    "softmax, cast": ("probabilities", SOFTMAX + [node("Cast", ["p"], ["h"], to=10), node("Cast", ["h"], ["y"], to=1)]),
    "softmax, reshape": ("probabilities", SOFTMAX + [node("Reshape", ["p", "flat"], ["y"])]),
    "softmax, dropout": ("probabilities", SOFTMAX + [node("Dropout", ["p"], ["y"])]),
    "softmax, clip": ("probabilities", SOFTMAX + [node("Clip", ["p", "low", "high"], ["y"])]),
    "softmax, squeeze": ("probabilities",
        SOFTMAX + [node("Unsqueeze", ["p", "axis"], ["u"]), node("Squeeze", ["u", "axis"], ["y"])]),
    "quantised": ("probabilities", SOFTMAX + [node("QuantizeLinear", ["p", "step", "zero"], ["q"]),
                                             node("DequantizeLinear", ["q", "step", "zero"], ["y"])]),
    "written out": ("probabilities",
        [node("Exp", ["z"], ["e"]), node("ReduceSum", ["e", "axis"], ["t"]), node("Div", ["e", "t"], ["y"])]),
    "written out, less the maximum": ("probabilities", [
        node("ReduceMax", ["z"], ["m"], axes=[1]), node("Sub", ["z", "m"], ["s"]), node("Exp", ["s"], ["e"]),
        node("ReduceSum", ["e", "axis"], ["t"]), node("Reciprocal", ["t"], ["i"]), node("Mul", ["e", "i"], ["y"])]),
    "exponential of log-softmax": ("probabilities", [node("LogSoftmax", ["z"], ["l"]), node("Exp", ["l"], ["y"])]),
    "log-softmax": ("log_probabilities", [node("LogSoftmax", ["z"], ["y"], axis=1)]),
    "log of softmax": ("log_probabilities", SOFTMAX + [node("Log", ["p"], ["y"])]),
    "less the log of the sum": ("log_probabilities",
        [node("ReduceLogSumExp", ["z"], ["t"], axes=[1]), node("Sub", ["z", "t"], ["y"])]),
    "less the log of the sum, written out": ("log_probabilities", [
        node("Exp", ["z"], ["e"]), node("ReduceSum", ["e", "axis"], ["t"]), node("Log", ["t"], ["l"]),
        node("Sub", ["z", "l"], ["y"])]),
    "sigmoid": ("independent_probabilities", [node("Sigmoid", ["z"], ["y"])]),
    "sigmoid, flatten": ("independent_probabilities", [node("Sigmoid", ["z"], ["p"]), node("Flatten", ["p"], ["y"])]),
    "sigmoid written out": ("independent_probabilities", [
        node("Neg", ["z"], ["n"]), node("Exp", ["n"], ["e"]), node("Add", ["e", "one"], ["t"]),
        node("Div", ["one", "t"], ["y"])]),
}


@pytest.mark.parametrize("kind, tail", TAILS.values(), ids=TAILS)
def test_the_kind_of_scores_is_what_the_graph_computes(annotate, tmp_path, kind, tail):
    status, said, found = annotate(tail)
    assert status == 0 and found["limpid.output.y"] == kind, said
    x = np.random.default_rng(1).random((2, 3, 8, 8), np.float32)
    opset = 19 if any(n.op_type == "QuantizeLinear" for n in tail) else 17  # the evaluator knows these from 19 on
    y = ReferenceEvaluator(str(network(tmp_path / "again.onnx", tail, opset=opset))).run(["y"], {"x": x})[0]
    totals = {"probabilities": y.sum(1), "log_probabilities": np.exp(y).sum(1)}.get(kind)
    if totals is not None:
        np.testing.assert_allclose(totals, 1, atol=0.02)
    else:
        assert np.abs(y.sum(1) - 1).min() > 0.05 and (kind == "logits" or ((y > 0) & (y < 1)).all())


@pytest.mark.parametrize("tail, outputs, kind", [
    ([node("Softmax", ["z"], ["p"], axis=1), node("Flatten", ["p"], ["y"])], [("y", FLOAT, ["N", 5])], "probabilities"),
    ([node("Softmax", ["z"], ["y"], axis=1)], [("y", FLOAT, ["N", 5, 1, 1])], "probabilities"),
    ([node("Identity", ["z"], ["y"])], [("y", FLOAT, ["N", 5, 1, 1])], "logits"),
])
def test_scores_of_a_convolution_are_classes_too(annotate, tmp_path, tail, outputs, kind):
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    status, said, found = annotate(tail, "--labels", tmp_path / "labels.txt", head="Conv", outputs=outputs)
    assert status == 0 and found["limpid.output.y"] == kind and found["limpid.labels"] == "a\nb\nc\nd\ne", said


OPEN = {
    "a softmax over the batch": [node("Softmax", ["z"], ["y"], axis=0)],
    "a mean of two softmaxes": SOFTMAX + [node("Neg", ["z"], ["m"]), node("Softmax", ["m"], ["q"]),
                                          node("Mean", ["p", "q"], ["y"])],
    "classes mixed behind a softmax": SOFTMAX + [node("MatMul", ["p", "square"], ["y"])],
    "in percent": SOFTMAX + [node("Mul", ["p", "hundred"], ["y"])],
}


@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_is_left_to_the_runtime(annotate, monkeypatch, name):
    monkeypatch.setitem(CONSTANTS, "square", np.eye(5, dtype=np.float32))
    monkeypatch.setitem(CONSTANTS, "hundred", np.float32(100))
    two = [("x", FLOAT, [2, 3, 8, 8])]
    status, said, found = annotate(OPEN[name], inputs=two)
    assert status == 0 and "limpid.output.y" not in found and "left to the runtime" in said, said
    _, said, found = annotate(OPEN[name], "--scores", "y=values", inputs=two)
    assert found["limpid.output.y"] == "values", said
    outputs = [("y", FLOAT, ["N", 5]), ("z", FLOAT, ["N", 5])]
    status, said, _ = annotate(OPEN[name], "--logits", "y", inputs=two, outputs=outputs)
    assert status and "--scores y=KIND" in said


@pytest.mark.parametrize("kind",
    ["logits", "log_probabilities", "probabilities", "independent_probabilities", "values"])
def test_the_user_may_state_the_kind_but_not_overwrite_it(annotate, kind):
    tail = [node("Identity", ["z"], ["y"])]
    assert annotate(tail, "--scores", f"y={kind}")[2]["limpid.output.y"] == kind
    status, said, found = annotate(tail, "--scores", "y=logits", metadata={"limpid.output.y": kind})
    assert status == 0 and found["limpid.output.y"] == kind and ("which stays" in said) == (kind != "logits")
    assert annotate(tail, metadata={"limpid.output.y": kind})[2]["limpid.output.y"] == kind


HEADS = [node("Identity", ["z"], ["age"]), node("Slice", ["z", "begin", "end", "begin"], ["sex"])]
BOTH = [("age", FLOAT, ["N", 5]), ("sex", FLOAT, ["N", 2])]
LABELLED = SOFTMAX + [node("ArgMax", ["p"], ["k"], axis=1), node("Identity", ["p"], ["y"])]


@pytest.mark.parametrize("tail, outputs, chosen", [
    (SOFTMAX, [("f", FLOAT, ["N", 4]), ("p", FLOAT, ["N", 5])], "p"),
    (LABELLED, [("k", INT64, ["N", 1]), ("y", FLOAT, ["N", 5])], "y"),
    ([node("Sigmoid", ["z"], ["y"])], [("r", FLOAT, ["N", 4, 8, 8]), ("z", FLOAT, ["N", 5]), ("y", FLOAT, ["N", 5])],
        "y"),
])
def test_of_several_outputs_the_one_that_ends_in_softmax_or_sigmoid_has_the_scores(annotate, tail, outputs, chosen):
    status, said, found = annotate(tail, outputs=outputs)
    assert status == 0 and [k for k in found if k.startswith("limpid.output.")] == [f"limpid.output.{chosen}"], said


@pytest.mark.parametrize("tail, options, graph, says", [
    (HEADS, (), {"outputs": BOTH}, "age [N, 5], sex [N, 2]"),
    (HEADS, ("--scores", "height=logits"), {"outputs": BOTH}, "no output 'height'; it has age [N, 5], sex [N, 2]"),
    (HEADS, ("--scores", "sex"), {"outputs": BOTH}, "must be NAME=KIND"),
    (HEADS, ("--scores", "sex=odds"), {"outputs": BOTH}, "one of logits, log_probabilities"),
    (HEADS, ("--scores", "sex=logits", "--logits", "age"), {"outputs": BOTH}, "--logits 'age'"),
    ([], (), {"outputs": [("r", FLOAT, ["N", 4, 8, 8])]},
        "'r' has no class scores, which are [N, classes]: it is [N, 4, 8, 8]"),
    ([], ("--logits", "r"), {"outputs": [("r", FLOAT, ["N", 4, 8, 8])]}, "extent in space"),
    ([], (), {"outputs": [("r", FLOAT, ["N", 4, 8, 8]), ("z", FLOAT, ["N", 5])]}, "r [N, 4, 8, 8], z [N, 5]"),
    (LABELLED, ("--scores", "k=logits"), {"outputs": [("k", INT64, ["N", 1]), ("y", FLOAT, ["N", 5])]},
        "floating-point"),
    ([node("Identity", ["z"], ["y"])], (), {"metadata": {"limpid.output.y": "attention"}},
        "no kind of class scores|which output"),
])
def test_what_cannot_be_decided_is_refused_with_the_outputs(annotate, tail, options, graph, says):
    status, said, _ = annotate(tail, *options, **graph)
    assert status == 1 and any(word in said for word in says.split("|")), said


def test_the_named_one_of_two_heads_is_taken(annotate):
    assert annotate(HEADS, "--scores", "sex=logits", outputs=BOTH)[2]["limpid.output.sex"] == "logits"
    assert annotate(HEADS, outputs=BOTH, metadata={"limpid.output.age": "values"})[2]["limpid.output.age"] == "values"


def test_one_unit_may_have_one_name_or_two(annotate, tmp_path):
    graph = {"outputs": [("y", FLOAT, ["N", 1])], "classes": 1}
    for count, status in ((1, 0), (2, 0), (3, 1)):
        (tmp_path / "labels.txt").write_text("no\nyes\nnever\n"[: 3 + 4 * (count > 1) + 6 * (count > 2)])
        assert annotate([node("Sigmoid", ["z"], ["y"])], "--labels", tmp_path / "labels.txt", **graph)[0] == status


LAST = {"before": [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])], "source": "t"}
BYTES = {"before": [node("Cast", ["x"], ["t"], to=1)], "source": "t"}
TWO = [node("Gemm", ["table", "d"], ["more"], transB=1), node("Add", ["z", "more"], ["y"])]
END = [node("Softmax", ["z"], ["y"], axis=1)]


@pytest.mark.parametrize("shape, graph, preprocess", [
    (["N", 8, 8, 3], LAST, STEPS), (["N", None, None, 3], LAST, STEPS), ([1, 8, 8, 3], LAST, STEPS),
    (["N", 3, None, None], {}, STEPS), ([-1, 3, 8, 8], {}, STEPS), ([-1, 3, -1, -1], {}, STEPS),
    ([2, 3, 8, 8], {}, STEPS),
])
def test_images_channels_last_and_open_extents_are_taken(annotate, shape, graph, preprocess):
    status, said, _ = annotate(END, preprocess=preprocess, inputs=[("x", FLOAT, shape)], **graph)
    assert status == 0, said


@pytest.mark.parametrize("shape, perm", [([3, 8, 8], [0, 1, 2, 3]), ([8, 8, 3], [0, 3, 1, 2])])
@pytest.mark.parametrize("flat", [False, True])
def test_images_without_a_batch_axis_are_taken(annotate, shape, perm, flat):
    before = [node("Unsqueeze", ["x", "first"], ["u"]), node("Transpose", ["u"], ["t"], perm=perm)]
    tail = [node("Softmax", ["z"], ["p"], axis=1), node("Squeeze" if flat else "Identity", ["p"], ["y"])]
    CONSTANTS["first"] = np.array([0])
    try:
        outputs = [("y", FLOAT, [5] if flat else [1, 5])]
        status, said, found = annotate(tail, inputs=[("x", FLOAT, shape)], outputs=outputs, before=before, source="t")
    finally:
        del CONSTANTS["first"]
    assert status == 0 and found["limpid.output.y"] == "probabilities", said


def test_bytes_are_taken_without_scaling(annotate):
    inputs = [("x", UINT8, ["N", 3, 8, 8])]
    assert annotate(END, preprocess="resize exact 8 8 bilinear", inputs=inputs, **BYTES)[0] == 0
    assert "takes bytes (uint8)" in annotate(END, inputs=inputs, **BYTES)[1]


def test_float16_is_taken(annotate):
    inputs = [("x", TensorProto.FLOAT16, ["N", 3, 8, 8])]
    assert annotate(END, inputs=inputs, **BYTES)[0] == 0


def test_of_several_inputs_the_one_for_images_is_found_or_named(annotate):
    inputs = [("table", FLOAT, ["N", 4]), ("x", FLOAT, ["N", 3, 8, 8])]
    status, said, _ = annotate(TWO, inputs=inputs)
    assert status == 0, said
    two = [("x", FLOAT, ["N", 3, 8, 8]), ("right", FLOAT, ["N", 3, 8, 8])]
    tail = [node("ReduceSum", ["right", "axis"], ["s"], keepdims=0), node("GlobalAveragePool", ["right"], ["h"]),
            node("ReduceMean", ["h"], ["i"], axes=[1, 2, 3], keepdims=0), node("Unsqueeze", ["i", "axis"], ["j"]),
            node("Add", ["z", "j"], ["y"])]
    status, said, _ = annotate(tail, inputs=two)
    assert status == 1 and "x float [N, 3, 8, 8], right float [N, 3, 8, 8]; name it with --input" in said
    assert annotate(tail, "--input", "right", inputs=two)[0] == 0
    assert "no input 'left'" in annotate(tail, "--input", "left", inputs=two)[1]


@pytest.mark.parametrize("shape, kind, says", [
    (["N", 3, 9, 8], FLOAT, "height 8; the model reads 9"), (["N", 8, 9, 3], FLOAT, "width 8; the model reads 9"),
    (["N", 1, 8, 8], FLOAT, "channels 3; the model reads 1"), (["N", 8, 8, 1], FLOAT, "channels 3; the model reads 1"),
    (["N", 192], FLOAT, "x float [N, 192]"), (["N", 3, 8, 8], INT64, "x int64 [N, 3, 8, 8]"),
])
def test_inputs_that_no_such_image_fits_are_refused(annotate, shape, kind, says):
    before = {"before": [node("Cast", ["x"], ["c0"], to=1), node("Reshape", ["c0", "any"], ["t"])], "source": "t"}
    CONSTANTS["any"] = np.array([-1, 3, 8, 8])
    try:
        status, said, _ = annotate(END, inputs=[("x", kind, shape)], **before)
    finally:
        del CONSTANTS["any"]
    assert status == 1 and says in said, said


@pytest.mark.parametrize("last", ["Div", "Mul", "Exp", "Sub", "Log", "Reciprocal", "Concat", "Softmax", "Cast", "Add"])
@pytest.mark.parametrize("inputs", [[], ["z"], ["", "z"], ["y", "y"]])
def test_malformed_nodes_are_refused_or_read_but_nothing_else(annotate, last, inputs):
    status, said, _ = annotate([node(last, inputs, ["y"])])
    assert status in (0, 1) and "fault of its own" not in said


def test_a_file_that_is_no_model_is_said_to_be_what_it_is(command, tmp_path):
    for content, says in ((b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<html></html>", "HTML page"),
                          (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"", "empty file")):
        (tmp_path / "m.onnx").write_bytes(content)
        for arguments in (("inspect", tmp_path / "m.onnx"),
            ("annotate", tmp_path / "m.onnx", "n.onnx", "--preprocess", STEPS)):
            status, _, said = command(*arguments)
            assert status == 1 and says in said and said.count("\n") == 1
