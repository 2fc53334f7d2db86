"""`annotate` and `inspect` on models of other programs."""

import numpy as np
import onnx
import pytest
from conftest import metadata_of, run_model
from onnx import TensorProto, helper, numpy_helper

STEPS = "resize exact 8 8 bilinear; scale 1/255; normalize mean 0.5 0.5 0.5 std 0.25 0.25 0.25"


def classifier(path, final="Softmax", batch="N", opset=13):
    """A foreign model: float_data weights, nodes without names, a squeezing block before the last convolution."""
    random = np.random.default_rng(0)
    weights = {"w1": (4, 3, 3, 3), "se": (4, 4, 1, 1), "w2": (6, 4, 1, 1), "fc": (6, 5)}
    initializers = [helper.make_tensor(name, TensorProto.FLOAT, shape, random.standard_normal(int(np.prod(shape))))
                    for name, shape in weights.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4), helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("GlobalAveragePool", ["r1"], ["sq"]), helper.make_node("Conv", ["sq", "se"], ["ex"]),
        helper.make_node("Sigmoid", ["ex"], ["gate"]), helper.make_node("Mul", ["r1", "gate"], ["m"]),
        helper.make_node("Conv", ["m", "w2"], ["c2"]), helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["pool"]), helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc"], ["scores"]), helper.make_node(final, ["scores"], ["out"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
                              [info("out", TensorProto.FLOAT, [batch, 5])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model.metadata_props.add(key="author", value="someone")
    onnx.save(model, path)
    return path


@pytest.fixture
def annotated(command, tmp_path):
    source, output = classifier(tmp_path / "in.onnx"), tmp_path / "out.onnx"

    def run(*options):
        status, _, said = command("annotate", source, output, *options)
        return status, said, metadata_of(output) if status == 0 else None

    return run


def test_metadata_is_added_and_the_graph_stays_as_it_was(annotated, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc d\ne\nf\n")
    status, said, found = annotated("--labels", labels, "--preprocess", STEPS, "--licence", "CC0")
    assert status == 0, said
    assert found["author"] == "someone" and found["limpid.family"] == "classifier"
    assert found["limpid.labels"] == "a\nb\nc d\ne\nf" and found["limpid.preprocess"] == STEPS.replace("; ", "\n")
    assert found["limpid.output.out"] == "probabilities"
    assert "limpid.layers" not in found and "limpid.layers: left to the runtime" in said
    assert found["limpid.source"].endswith("licence CC0")
    before, after = (onnx.load(tmp_path / name) for name in ("in.onnx", "out.onnx"))
    assert before.graph == after.graph


def test_labels_may_end_in_crlf_and_have_no_control_characters(annotated, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_bytes("a\r\nb\u2028b\r\nc d\r\ne\te\r\nf\r\n".encode())
    assert annotated("--labels", labels, "--preprocess", STEPS)[2]["limpid.labels"] == "a\nb\u2028b\nc d\ne\te\nf"
    labels.write_bytes(b"a\nb\0b\nc\nd\ne\n")
    status, said, _ = annotated("--labels", labels, "--preprocess", STEPS)
    assert status == 1 and "control character" in said and "'b\\x00b'" in said


@pytest.mark.parametrize("final, role", [("Softmax", "probabilities"), ("LogSoftmax", "log_probabilities"),
                                         ("Relu", "logits")])
def test_the_role_of_the_output_follows_its_last_operator(command, tmp_path, final, role):
    source = classifier(tmp_path / "in.onnx", final)
    assert command("annotate", source, tmp_path / "out.onnx", "--preprocess", STEPS)[0] == 0
    assert metadata_of(tmp_path / "out.onnx")["limpid.output.out"] == role


def test_a_model_of_a_fixed_batch_is_annotated_too(command, tmp_path):
    source = classifier(tmp_path / "in.onnx", batch=1)
    assert command("annotate", source, tmp_path / "out.onnx", "--preprocess", STEPS)[0] == 0


def test_external_weights_travel_along(command, tmp_path, monkeypatch):
    from limpid_convert import graph

    monkeypatch.setattr(graph, "LARGEST_INLINE", 0)
    monkeypatch.setattr(graph, "_SMALLEST_EXTERNAL", 16)
    source = classifier(tmp_path / "in.onnx")
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, source, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    output = tmp_path / "elsewhere" / "out.onnx"
    assert command("annotate", source, output, "--preprocess", STEPS)[0] == 0
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (tmp_path / "w.bin").unlink()
    assert sorted(p.name for p in output.parent.iterdir()) == ["out.onnx", "out.onnx.data"]
    onnxruntime = pytest.importorskip("onnxruntime")
    whole = onnxruntime.InferenceSession(str(output)).run(None, {"x": x})[0]
    plain = onnxruntime.InferenceSession(str(classifier(tmp_path / "again.onnx"))).run(None, {"x": x})[0]
    np.testing.assert_array_equal(whole, plain)


@pytest.mark.parametrize("options, says", [
    (("--preprocess", "imagenet"), "height 224; the model reads 8"),
    (("--preprocess", "gray; resize exact 8 8 bilinear"), "channels 1; the model reads 3"),
    (("--preprocess", "resize 8"), "no preprocessing step"),
    (("--preprocess", "normalize mean 1 2 3 std 1 2"), "as many mean and std"),
    (("--preprocess", "normalize mean 1 1 1 std 1 1 0"), "must be positive"),
    (("--preprocess", "normalize mean 1 1 1 std 1 1 1e-60"), "must be positive"),
    (("--preprocess", "scale 1/1e-60"), "must be positive"),
    (("--preprocess", "scale 1/255; resize exact 8 8 bilinear"), "out of place"),
    (("--preprocess", "scale 1/255; scale 1/255"), "out of place"),
    (("--preprocess", "scale 255"), "no preprocessing step"),
    (("--preprocess", STEPS, "--layers", "flat"), "'flat' is no"),
    (("--preprocess", STEPS, "--layers", "nothing"), "'nothing' is no"),
    (("--preprocess", STEPS, "--logits", "scores"), "no output 'scores'"),
    (("--preprocess", STEPS, "--labels", "absent.txt"), "absent.txt"),
])
def test_what_does_not_fit_the_model_is_refused(annotated, options, says):
    status, said, _ = annotated(*options)
    assert status == 1 and says in said and said.count("\n") == 1


def test_steps_in_double_precision_and_presets_are_understood(annotated):
    steps = "center_crop 8 8\nscale 1/255\nnormalize mean 0.5 -0.5 1e-3 std 1 1 0.25 float64"
    assert annotated("--preprocess", steps)[2]["limpid.preprocess"] == steps


def test_inspect_lists_what_can_be_tapped(command, tmp_path):
    status, said, _ = command("inspect", classifier(tmp_path / "in.onnx"))
    lines = [line.split() for line in said.splitlines()]
    assert status == 0 and ["r2", "[N,", "6,", "8,", "8]", "Relu"] in lines
    assert not any(line[0] == "pool" for line in lines)
    assert ["output", "out", "[N,", "5]"] in lines and "author: someone" in said


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x0a\xff\xff\xff\xff\xff\xff"])
def test_inspect_refuses_what_is_no_model(command, tmp_path, content):
    path = tmp_path / "in.onnx"
    path.write_bytes(content)
    status, said, error = command("inspect", path)
    assert status == 1 and error.startswith("limpid-convert: ") and not said


def test_usage_errors_exit_with_2_and_debug_shows_where(command, tmp_path):
    assert command()[0] == 2 and command("annotate", "a")[0] == 2 and command("nonsense")[0] == 2
    from limpid_convert.errors import ConversionError

    with pytest.raises(ConversionError):
        command("--debug", "inspect", tmp_path / "absent.pth")
    assert command("inspect", tmp_path / "absent.pth")[0] == 1


def test_a_fault_of_the_program_itself_is_said_in_one_line(command, monkeypatch):
    from limpid_convert import inspect

    def fail(options):
        raise IndexError("\x1bno")

    monkeypatch.setattr(inspect, "run", fail)
    status, _, said = command("inspect", "x.pth")
    assert status == 1 and said.startswith("limpid-convert: a fault of its own (IndexError") and "\x1b" not in said
    with pytest.raises(IndexError):
        command("--debug", "inspect", "x.pth")


def transformer(path):
    """Patches to tokens, a normalisation written out, attention with four axes, and the tokens' mean."""
    random = np.random.default_rng(0)
    shapes = {"w": (4, 3, 4, 4), "q": (4, 4), "k": (4, 4), "v": (4, 4), "fc": (4, 5)}
    tensors = [numpy_helper.from_array(random.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    tensors += [numpy_helper.from_array(np.array(v), n) for n, v in (
        ("tokens", [0, 4, -1]), ("heads", [0, 1, 4, 4]), ("e", np.float32(1e-5)))]
    nodes = [helper.make_node(o, i, [n], **a) for n, o, i, a in (
        ("p", "Conv", ["x", "w"], {"strides": [4, 4]}), ("t", "Reshape", ["p", "tokens"], {}),
        ("u", "Transpose", ["t"], {"perm": [0, 2, 1]}),
        ("h", "Reshape", ["u", "heads"], {}), ("m", "ReduceMean", ["h"], {"axes": [-1]}), ("d", "Sub", ["h", "m"], {}),
        ("qs", "MatMul", ["d", "q"], {}), ("ks", "MatMul", ["d", "k"], {}), ("vs", "MatMul", ["d", "v"], {}),
        ("kt", "Transpose", ["ks"], {"perm": [0, 1, 3, 2]}), ("s", "MatMul", ["qs", "kt"], {}),
        ("b", "Add", ["s", "e"], {}),
        ("a", "Softmax", ["b"], {"axis": -1}), ("o", "MatMul", ["a", "vs"], {}), ("r", "Add", ["o", "h"], {}),
        ("g", "ReduceMean", ["r"], {"axes": [1, 2], "keepdims": 0}), ("out", "MatMul", ["g", "fc"], {}))]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [info("out", TensorProto.FLOAT, ["N", 5])], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_attention_scores_are_no_maps(command, tmp_path):
    source, output = transformer(tmp_path / "in.onnx"), tmp_path / "out.onnx"
    status, _, said = command("annotate", source, output, "--preprocess", STEPS)
    assert status == 0 and "limpid.layers" not in metadata_of(output) and "left to the runtime" in said


def test_layers_that_are_named_are_written(annotated):
    status, said, found = annotated("--preprocess", STEPS, "--layers", "r2")
    assert status == 0 and found["limpid.layers"] == "r2", said


@pytest.mark.parametrize("layers, source, kept", [
    ("b nchw", None, True), ("b nchw", "architecture vit\nconverter limpid-convert 0.1.0", True),
    ("b nchw", "converter limpid-convert 0.1.0", False), ("b", "converter limpid-convert 0.1.0", True)])
def test_layers_that_an_earlier_version_chose_are_taken_out_and_others_stay(command, tmp_path, layers, source, kept):
    model = onnx.load(transformer(tmp_path / "in.onnx"))
    helper.set_model_props(model, {"limpid.layers": layers, **({"limpid.source": source} if source else {})})
    onnx.save(model, tmp_path / "in.onnx")
    assert command("annotate", tmp_path / "in.onnx", tmp_path / "out.onnx", "--preprocess", STEPS)[0] == 0
    assert ("limpid.layers" in metadata_of(tmp_path / "out.onnx")) == kept


@pytest.mark.parametrize("axes, found", [([2, 3], True), ([-2, -1], True), ([1, 2], False), ([-1], False)])
def test_a_mean_pools_where_it_goes_over_the_last_two_axes(axes, found):
    from limpid_convert import values

    node = helper.make_node("ReduceMean", ["c"], ["m"], axes=axes)
    conv = helper.make_node("Conv", ["x", "w"], ["c"])
    info = helper.make_tensor_value_info
    graph = helper.make_graph([conv, node], "g", [info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
                              [info("m", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    known = values.infer(model)
    assert values._pools(model, node) == found and values.last_map(model, known) == "c"
