"""What a model says of itself and of images."""

import numpy as np
import pytest
from conftest import COLOURS
from networks import Network
from onnx import TensorProto, helper, numpy_helper

import limpid


def softmax(logits):
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum()


def test_model_describes_itself(model):
    assert model.info == limpid.Info("colours", "scouter", 3, 32, 32, 3)
    assert model.labels == ["red", "green", "blue"]
    assert model.layers == ["features"]
    assert (model.inputs, model.outputs) == (["input"], ["logits", "attention"])
    assert model.metadata("limpid.format") == "1"
    assert model.metadata("no such key") is None
    assert "colours" in repr(model)


def test_inputs_and_outputs_have_shapes_and_types():
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 3, None, 8]),
              helper.make_tensor_value_info("scale", TensorProto.FLOAT16, []),
              helper.make_tensor_value_info("y", TensorProto.FLOAT16, None)]
    made = helper.make_model(
        helper.make_graph([helper.make_node("Mul", ["x", "scale"], ["y"])], "m", values[:2], values[2:]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = limpid.Model(made)
    x, scale = model.inputs
    assert (x, x.name, x.shape, x.dtype) == ("x", "x", ("batch", 3, None, 8), np.float16)
    assert (scale.shape, scale.dtype) == ((), np.float16)
    (y,) = model.outputs
    assert (y, y.shape, y.dtype) == ("y", None, np.float16)
    assert model.run({x: np.ones((1, 3, 1, 8), np.float16), scale: np.float16(2)})[y].max() == 2


def test_methods_list_their_parameters(model):
    scouter = model.methods[0]
    assert scouter.name == "scouter" and scouter.summary
    assert [p.name for p in scouter.parameters] == ["slot"]
    assert scouter.parameters[0].default == -1
    assert all(p.default in p.choices if p.choices else p.minimum <= p.default <= p.maximum
               for m in model.methods for p in m.parameters)


def test_classify_gives_the_softmax_of_the_logits(model, tensor):
    np.testing.assert_allclose(model.classify(tensor), softmax([-1, -1, 2]), rtol=1e-5)


def test_a_batch_has_one_row_for_each_image(model, tensor):
    rows = model.classify(np.stack([tensor, np.roll(tensor, 1, axis=0)]))
    assert rows.shape == (2, 3) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows[0], model.classify(tensor))
    assert rows.argmax(axis=1).tolist() == [2, 0]


def test_model_from_bytes_is_the_same(model, tensor):
    with limpid.Model(COLOURS.read_bytes(), threads=1, precision="fast", memory_limit=1 << 30) as copy:
        np.testing.assert_array_equal(copy.classify(tensor), model.classify(tensor))


def test_closed_model_says_so(tensor):
    model = limpid.Model(COLOURS)
    model.close()
    model.close()
    with pytest.raises(limpid.InvalidArgument, match="closed"):
        model.classify(tensor)


def test_explanation_is_of_the_predicted_class(model, red):
    (why,) = model.explain(red)
    assert (why.class_index, why.label, why.image_index) == (0, "red", 0)
    assert why.score == pytest.approx(2, abs=0.1)
    assert not why.degenerate
    assert why.map.shape == (40, 48) and why.map.dtype == np.float32
    assert why.grid.shape == (8, 8)
    assert why.map[0, 0] > 0.99 and why.map[-1, -1] == 0.5
    assert why.range[0] < 0.02 and why.range[1] > 0.99
    assert "red" in repr(why)


def test_explanations_come_image_by_image_and_class_by_class(model, red, tensor):
    found = model.explain([red, tensor], "scouter", classes=[[2, -1], ["green", 0]], slot=0)
    assert [(w.image_index, w.class_index) for w in found] == [(0, 2), (0, 0), (1, 1), (1, 0)]


@pytest.mark.parametrize("classes, expected", [
    (1, [1, 1]), ("blue", [2, 2]), ([0, 1], [0, 1, 0, 1]), (np.array([[0], [2]]), [0, 2]), (None, [2, 2]),
])
def test_classes_may_be_given_in_every_sensible_way(model, tensor, classes, expected):
    assert [w.class_index for w in model.explain([tensor, tensor], classes=classes)] == expected


@pytest.mark.parametrize("classes", [[], [[0]], [[0], [1, 2]], [[0], 1], [[], []]])
def test_classes_that_do_not_fit_the_images_are_refused(model, tensor, classes):
    with pytest.raises(limpid.InvalidArgument, match="classes"):
        model.explain([tensor, tensor], classes=classes)


def test_map_is_a_copy(model, red):
    (why,) = model.explain(red)
    why.map[:] = 7
    assert why.map.max() <= 1


def test_explanation_outlives_its_model(red):
    model = limpid.Model(COLOURS)
    (why,) = model.explain(red)
    model.close()
    del model
    assert why.map[0, 0] > 0.99 and why.class_index == 0


def test_constant_map_is_degenerate(model):
    black = np.zeros((32, 32, 3), np.uint8)
    (why,) = model.explain(black)
    assert why.degenerate and np.isfinite(why.map).all()


def test_a_map_that_is_constant_but_for_rounding_is_degenerate(tmp_path):
    """Wide convolutions round the same value otherwise at every pixel."""
    network = Network()
    value, channels = "input", 3
    for maps in (32, 40, 36):
        weights = network.normal(maps, channels, 3, 3) / np.float32(3 * channels) ** np.float32(0.5)
        value = network("Conv", value, weights, network.normal(maps))
        channels = maps
    features = network("Relu", value, to="features")
    pooled = network("Flatten", network("GlobalAveragePool", features))
    network("Gemm", pooled, network.normal(channels, 4), network.normal(4), to="logits")
    network.save(tmp_path / "m.onnx", {"input": ("float32", [1, 3, 40, 40])}, {"logits": ("float32", [1, 4])})
    grey = np.full((1, 3, 40, 40), 0.7, np.float32)
    spot = grey.copy()
    spot[0, 1, 20, 20] += 0.01
    with limpid.Model(tmp_path / "m.onnx") as wide:
        for method in ("activation-map", "grad-cam", "hires-cam", "layer-cam"):
            (constant,) = wide.explain(grey, method=method, layer="features")
            (other,) = wide.explain(spot, method=method, layer="features")
            assert constant.degenerate and not other.degenerate, method


def test_overlay_and_save(model, red, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (why,) = model.explain(red)
    overlay = why.overlay(colormap="gray", opacity=1.0, style="default", size=(96, 80))
    assert overlay.size == (96, 80) and overlay.mode == "RGB"
    assert np.asarray(overlay)[0, 0].min() > 250
    why.save(tmp_path / "why.png", style="scouter")
    saved = np.asarray(image.open(tmp_path / "why.png"))
    np.testing.assert_array_equal(saved, np.asarray(why.overlay(style="scouter")))


def test_overlay_of_a_tensor_is_the_map_alone(model, tensor):
    (why,) = model.explain(tensor)
    assert np.asarray(why.overlay()).shape == (32, 32, 3)


def test_fetch_gives_inner_values_and_run_goes_on_from_them(model, red):
    values = model.fetch(red, ["features", "logits"])
    assert list(values) == ["features", "logits"]
    assert values["features"].shape == (1, 3, 8, 8)
    tail = model.run({"features": values["features"]}, "logits")
    np.testing.assert_array_equal(tail["logits"], values["logits"])


def test_run_gives_all_outputs_by_default(model, tensor):
    values = model.run({"input": tensor[None]})
    assert list(values) == ["logits", "attention"]
    np.testing.assert_allclose(values["logits"], [[-1, -1, 2]], atol=1e-6)
    assert values["attention"].shape == (1, 3, 8, 8)


def test_run_takes_strided_and_foreign_byte_order_arrays(model, tensor):
    expected = model.run({"input": tensor[None]}, "logits")["logits"]
    strided = np.ascontiguousarray(tensor.transpose(1, 2, 0)).transpose(2, 0, 1)[None]
    swapped = tensor[None].astype(">f4")
    for array in (strided, swapped):
        np.testing.assert_array_equal(model.run({"input": array}, "logits")["logits"], expected)


def test_picture_is_what_the_model_sees(model, red):
    seen = np.asarray(model.preprocess(red))
    assert seen.shape == (32, 32, 3) and seen[0, 0].tolist() == [255, 0, 0]


def test_images_are_prepared_as_the_caller_says_where_he_does(model, red):
    steps = "resize exact 32 32 nearest; scale 1/255; normalize mean 0.5 0.5 0.5 std 2 2 2"
    otherwise = limpid.Model(COLOURS, preprocess=steps)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    planes = (image.transpose(2, 0, 1).astype(np.float32) / 255 - np.float32(0.5)) / 2
    np.testing.assert_allclose(otherwise.classify(image), model.classify(planes), rtol=1e-4)
    assert np.abs(otherwise.classify(image) - model.classify(image)).max() > 1e-3
    assert otherwise.explain(image, "grad-cam")[0].field == (0, 0, 32, 32)
    wanted = 'limpid_model_options.preprocess: .*"stretch".*"imagenet", "imagenet-exact"'
    with pytest.raises(limpid.InvalidArgument, match=wanted):
        limpid.Model(COLOURS, preprocess="stretch")


@pytest.mark.parametrize("line, source, is_used", [
    ("early", "", True), ("early nchw", "", True), ("early nchw", "architecture x\nconverter limpid-convert 0.1.0", True),
    ("early", "converter limpid-convert 0.1.0", True), ("early nchw", "converter limpid-convert 0.1.0", False)])
def test_layers_that_annotate_once_chose_by_itself_are_left_to_the_graph(line, source, is_used):
    first, second = (np.random.default_rng(i).normal(size=(4, n, 1, 1)).astype(np.float32) for i, n in ((0, 3), (1, 4)))
    nodes = [helper.make_node("Conv", ["x", "w1"], ["early"]),
             helper.make_node("Conv", ["early", "w2"], ["late"], strides=[2, 2]),
             helper.make_node("GlobalAveragePool", ["late"], ["p"]), helper.make_node("Flatten", ["p"], ["logits"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", ["N", 3, 8, 8]), ("logits", ["N", 4]))]
    made = helper.make_model(helper.make_graph(
        nodes, "two", values[:1], values[1:],
        [numpy_helper.from_array(w, n) for w, n in ((first, "w1"), (second, "w2"))]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"limpid.layers": line, "limpid.source": source})
    found = limpid.Model(made.SerializeToString()).explain(np.ones((3, 8, 8), np.float32), "grad-cam")[0]
    assert found.grid.shape == ((8, 8) if is_used else (4, 4))


@pytest.mark.parametrize("between, method", [(None, "grad-cam"), ("Round", "recipro-cam")])
def test_without_a_method_the_first_that_can_explain_is_taken(between, method):
    draw = np.random.default_rng(0)
    weights = {"w1": draw.normal(size=(8, 3, 3, 3)), "w2": draw.normal(size=(4, 8))}
    nodes = [helper.make_node("Conv", ["x", "w1"], ["maps"]), helper.make_node("GlobalAveragePool", ["maps"], ["p"]),
             helper.make_node("Flatten", ["p"], ["f"]), helper.make_node(between or "Identity", ["f"], ["r"]),
             helper.make_node("Gemm", ["r", "w2"], ["logits"], transB=1)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", ["N", 3, 8, 8]), ("logits", ["N", 4]))]
    made = helper.make_model(helper.make_graph(
        nodes, "auto", values[:1], values[1:],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = draw.normal(size=(3, 8, 8)).astype(np.float32) * 9
    (why,) = limpid.Model(made.SerializeToString()).explain(x, classes=[2])
    assert why.method == method and why.grid.shape == (6, 6)


def test_log_handler_gets_messages_at_logging_levels():
    messages = []
    limpid.set_log_handler(lambda level, message: messages.append((level, message)), 20)
    try:
        limpid.Model(COLOURS).close()
    finally:
        limpid.set_log_handler(None)
    limpid.Model(COLOURS).close()
    assert len(messages) == 1 and messages[0][0] == 20 and "colours" in messages[0][1]


def test_library_describes_itself():
    assert limpid.version() == limpid.__version__
    assert limpid.version() in limpid.build_info()
    assert {"viridis", "jet", "gray"} <= set(limpid.colormaps())
