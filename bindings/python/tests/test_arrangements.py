"""Models whose input is not float32 [N, C, H, W]: images go in, and maps come out in their place."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from networks import Network, softmax

import limpid

#: How planes [C, H, W] become what a model of the arrangement reads, and by which nodes it makes planes again.
ARRANGEMENTS = {
    "nchw": (lambda p: p[None], lambda n, x: x),
    "nhwc": (lambda p: p.transpose(1, 2, 0)[None], lambda n, x: n("Transpose", x, perm=[0, 3, 1, 2])),
    "chw": (lambda p: p, lambda n, x: n("Unsqueeze", x, np.array([0]))),
    "hwc": (lambda p: p.transpose(1, 2, 0),
            lambda n, x: n("Unsqueeze", n("Transpose", x, perm=[2, 0, 1]), np.array([0]))),
    "nhw": (lambda p: p, lambda n, x: n("Unsqueeze", x, np.array([1]))),
}


def made(path, arrangement="nchw", kind="float32", channels=3, shape=None, metadata=(), squeezed=False):
    """A network [.., 12, 10] and its judge. Whole numbers are scaled inside."""
    network = Network()
    arrange, planes = ARRANGEMENTS[arrangement]
    declared = list(shape or arrange(np.empty((channels, 12, 10))).shape)
    if arrangement.startswith("n") and shape is None:
        declared[0] = "N"
    x = planes(network, "x")
    if kind != "float32":
        x = cast(network, x)
    if kind in ("uint8", "int8"):
        x = network("Div", x, np.float32([255]))
    y = network.logits(x, channels)
    if squeezed:
        y = network("Squeeze", y, np.array([0]))
    judge = network.save(path, {"x": (kind, declared)}, {y: ("float32", None)}, metadata)
    return limpid.Model(path), judge


def cast(network, x):
    network.nodes.append(helper.make_node("Cast", [x], [f"{x}.float"], to=TensorProto.FLOAT))
    return f"{x}.float"


def planes_of(channels, kind="float32"):
    random = np.random.default_rng(3)
    if kind in ("uint8", "int8"):
        return random.integers(0, 128, (channels, 12, 10)).astype(kind)
    return random.normal(size=(channels, 12, 10)).astype(kind)


def given(model, planes):
    """The planes as a tensor that the model takes as it is."""
    last = model._form.is_channels_last
    return np.float32(planes.transpose(1, 2, 0) if last else planes)


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "uint8", "int8"])
@pytest.mark.parametrize("arrangement, channels", [
    ("nchw", 1), ("nchw", 2), ("nchw", 3), ("nchw", 4), ("nhwc", 3), ("nhwc", 1), ("nhwc", 4), ("chw", 3), ("chw", 1),
    ("hwc", 3), ("nhw", 1),
])
def test_every_arrangement_and_type(tmp_path, arrangement, channels, kind):
    model, judge = made(tmp_path / "m.onnx", arrangement, kind, channels)
    assert model._image_layout == arrangement
    assert (model.info.input_channels, model.info.input_height, model.info.input_width) == (channels, 12, 10)
    planes = planes_of(channels, kind)
    expected = softmax(judge(x=ARRANGEMENTS[arrangement][0](planes))[0])[0]
    np.testing.assert_allclose(model.classify(given(model, planes)), expected, atol=2e-5)
    both = model.classify([given(model, planes), given(model, planes[:, ::-1])])
    np.testing.assert_allclose(both[0], expected, atol=2e-5)
    assert not np.allclose(both[1], both[0], rtol=1e-4, atol=0)
    # What the model itself is fed.
    fetched = model.fetch(given(model, planes), "x")["x"]
    np.testing.assert_allclose(fetched.reshape(-1), ARRANGEMENTS[arrangement][0](planes).reshape(-1), atol=1e-6)
    # By name, the model takes what the file declares.
    run = model.run({"x": ARRANGEMENTS[arrangement][0](planes)})
    np.testing.assert_allclose(softmax(list(run.values())[0])[0], expected, atol=2e-5)


@pytest.mark.parametrize("method", ["grad-cam", "saliency", "integrated-gradients"])
@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("arrangement", ["nhwc", "chw", "hwc"])
def test_maps_are_those_of_the_same_network_on_planes(tmp_path, arrangement, kind, method):
    plain, _ = made(tmp_path / "plain.onnx", kind=kind)
    model, _ = made(tmp_path / "m.onnx", arrangement, kind)
    planes = planes_of(3, kind)
    expected = np.array([e.map for e in plain.explain(given(plain, planes), method, classes=[0, 1, 2, 3, 4])])
    found = np.array([e.map for e in model.explain(given(model, planes), method, classes=[0, 1, 2, 3, 4])])
    assert found.shape == (5, 12, 10) and expected.std() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_pixels_of_a_channels_last_network_of_bytes(tmp_path):
    model, judge = made(
        tmp_path / "m.onnx", "nhwc", "uint8", metadata={"limpid.preprocess": "resize exact 10 12 nearest"})
    image = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)
    np.testing.assert_allclose(model.classify(image), softmax(judge(x=image[None])[0])[0], atol=2e-5)


def test_a_fixed_batch_is_filled_up(tmp_path):
    model, judge = made(tmp_path / "m.onnx", "nhwc", shape=[4, 12, 10, 3])
    images = np.random.default_rng(1).normal(size=(6, 12, 10, 3)).astype(np.float32)
    expected = softmax(np.concatenate([judge(x=images[:4])[0], judge(x=images[2:])[0][2:]]))
    np.testing.assert_allclose(model.classify(images), expected, atol=2e-5)


@pytest.mark.parametrize("shape, sizes", [
    (["N", 3, "h", "w"], (12, 10)), ([None, None, None, 3], (7, 9)), (["N", 3, None, 10], (9, 10)),
    ([3, "h", "w"], (5, 8)),
])
def test_open_sizes(tmp_path, shape, sizes):
    arrangement = "chw" if len(shape) == 3 else "nhwc" if shape[3] == 3 else "nchw"
    model, judge = made(tmp_path / "m.onnx", arrangement, shape=shape)
    planes = np.random.default_rng(1).normal(size=(3, *sizes)).astype(np.float32)
    expected = softmax(judge(x=ARRANGEMENTS[arrangement][0](planes))[0])[0]
    found = model.fetch(given(model, planes), model.outputs)[model.outputs[0]]
    np.testing.assert_allclose(softmax(found)[0], expected, atol=2e-5)
    assert model.explain(given(model, planes), "grad-cam")[0].map.shape == sizes


def test_scores_without_a_batch_axis(tmp_path):
    model, judge = made(tmp_path / "m.onnx", "hwc", squeezed=True)
    planes = planes_of(3)
    expected = softmax(judge(x=planes.transpose(1, 2, 0))[0])
    tensor = given(model, planes)
    np.testing.assert_allclose(model.classify(tensor), expected, atol=2e-5)
    assert model.classify([tensor, tensor]).shape == (2, 5)
    assert model.fetch([tensor, tensor], model.outputs)[model.outputs[0]].shape == (2, 5)
    explanation = model.explain(tensor, "grad-cam")[0]
    assert explanation.class_index == expected.argmax() and explanation.map.shape == (12, 10)


def test_whole_numbers_that_the_input_cannot_hold_are_refused(tmp_path):
    model, _ = made(tmp_path / "m.onnx", kind="uint8")
    for value in (0.5, -1, 256, np.nan):
        with pytest.raises(limpid.InvalidArgument, match="uint8, whole numbers from 0 to 255"):
            model.classify(np.full((3, 12, 10), value, np.float32))
    with pytest.raises(limpid.InvalidModel, match="limpid.preprocess makes numbers that the input, of uint8"):
        made(tmp_path / "m.onnx", kind="uint8", metadata={"limpid.preprocess": "resize exact 10 12 box\nscale 1/255"})


def test_a_tensor_of_the_other_arrangement_is_refused(tmp_path):
    model, _ = made(tmp_path / "m.onnx", "nhwc")
    with pytest.raises(limpid.InvalidArgument, match=r"\[height, width, channels\] .* transpose\(1, 2, 0\)"):
        model.classify(planes_of(3))


def with_table(path, shape=("N", 4), metadata=(), kind="float32"):
    network = Network()
    pooled = network("Flatten", network("GlobalAveragePool", network.features("x", 3)))
    table = "table" if kind == "float32" else cast(network, "table")
    both = network("Concat", pooled, table, axis=1)
    y = network("Gemm", both, network.normal(6 + shape[1], 5), network.normal(5))
    judge = network.save(
        path, {"table": (kind, list(shape)), "x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", 5])}, metadata)
    return limpid.Model(path), judge


class TestFurtherInputs:
    images = np.random.default_rng(5).normal(size=(3, 3, 12, 10)).astype(np.float32)
    rows = np.random.default_rng(6).normal(size=(3, 4)).astype(np.float32)

    def test_one_row_for_all_or_one_for_each(self, tmp_path):
        model, judge = with_table(tmp_path / "m.onnx")
        expected = softmax(judge(x=self.images, table=self.rows)[0])
        np.testing.assert_allclose(model.classify(self.images, feeds={"table": self.rows}), expected, atol=2e-5)
        one = softmax(judge(x=self.images, table=self.rows[[1, 1, 1]])[0])
        for size in (0, 1, 2):
            found = model.classify(self.images, feeds={"table": self.rows[1:2]}, batch_size=size)
            np.testing.assert_allclose(found, one, atol=2e-5)
            found = model.classify(self.images, feeds={"table": self.rows.astype(np.float64)}, batch_size=size)
            np.testing.assert_allclose(found, expected, atol=2e-5)

    def test_fetch(self, tmp_path):
        model, judge = with_table(tmp_path / "m.onnx")
        found = model.fetch(self.images, model.outputs, feeds={"table": self.rows})[model.outputs[0]]
        np.testing.assert_allclose(found, judge(x=self.images, table=self.rows)[0], atol=2e-5)

    def test_whole_numbers(self, tmp_path):
        model, judge = with_table(tmp_path / "m.onnx", kind="int64")
        rows = np.arange(12).reshape(3, 4)
        expected = softmax(judge(x=self.images, table=rows)[0])
        np.testing.assert_allclose(model.classify(self.images, feeds={"table": rows}), expected, atol=2e-5)

    @pytest.mark.parametrize("method", [
        "grad-cam", "saliency", "smooth-grad", "full-grad", "integrated-gradients", "occlusion", "score-cam", "ablation-cam",
        "recipro-cam", "lime", "layer-deep-lift",
    ])
    def test_explain_each_image_with_its_row(self, tmp_path, method):
        model, _ = with_table(tmp_path / "m.onnx")
        assert method in [m.name for m in model.methods]
        found = model.explain(self.images, method, feeds={"table": self.rows})
        for i, explanation in enumerate(found):
            alone = model.explain(self.images[i], method, feeds={"table": self.rows[i:i + 1]})[0]
            assert explanation.class_index == alone.class_index
            if method != "smooth-grad":  # its noise depends on the place of the image
                np.testing.assert_allclose(explanation.map, alone.map, atol=1e-5 * np.abs(alone.map).max())
        assert len({e.map.tobytes() for e in found}) == 3

    def test_a_difference_from_a_baseline_that_has_the_same_row(self, tmp_path):
        model, judge = with_table(tmp_path / "m.onnx")
        found = model.explain(self.images, "layer-deep-lift", 1, feeds={"table": self.rows})
        logits = [judge(x=images, table=self.rows)[0][:, 1] for images in (self.images, np.zeros_like(self.images))]
        sums = [explanation.details["attribution"].sum() for explanation in found]
        np.testing.assert_allclose(sums, logits[0] - logits[1], rtol=1e-4, atol=1e-5)

    def test_gradients_of_each_image_with_its_row(self, tmp_path):
        model, _ = with_table(tmp_path / "m.onnx")
        found = model.gradient(self.images, 1, of="probability", feeds={"table": self.rows})
        for i in range(3):
            alone = model.gradient(self.images[i], 1, of="probability", feeds={"table": self.rows[i:i + 1]})
            np.testing.assert_allclose(found[i:i + 1], alone, atol=1e-6 * np.abs(alone).max())

    def test_an_input_of_a_fixed_size_has_no_rows(self, tmp_path):
        network = Network()
        y = network("Add", network.logits("x", 3), "shift")
        judge = network.save(
            tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10]), "shift": ("float32", [5])}, {y: ("float32", ["N", 5])})
        model, shift = limpid.Model(tmp_path / "m.onnx"), np.arange(5, dtype=np.float32)
        expected = softmax(judge(x=self.images, shift=shift)[0])
        np.testing.assert_allclose(model.classify(self.images, feeds={"shift": shift}), expected, atol=2e-5)

    @pytest.mark.parametrize("feeds, kind, words", [
        ({}, limpid.InvalidArgument, '"table" is needed'),
        ({"tabel": rows}, limpid.NotFound, 'no input "tabel".*"table", "x"'),
        ({"x": images}, limpid.InvalidArgument, "is fed with the image"),
        ({"table": rows[:2]}, limpid.InvalidArgument, "one row, or one for each image"),
        ({"table": np.repeat(rows, 2, axis=0)}, limpid.InvalidArgument, "one row, or one for each image"),
        ({"table": rows[:, :3]}, limpid.InvalidArgument, "the model declares"),
        ({"table": rows.astype(np.int64)}, limpid.InvalidArgument, "declares float32"),
    ])
    def test_refusals(self, tmp_path, feeds, kind, words):
        model, _ = with_table(tmp_path / "m.onnx")
        for call in (model.classify, lambda x, **o: model.explain(x, "grad-cam", **o)):
            with pytest.raises(kind, match=words):
                call(self.images, feeds=feeds)


def two_images(path, metadata=()):
    network = Network()
    y = network.logits(network("Add", "left", "right"), 3)
    inputs = {name: ("float32", ["N", 3, 12, 10]) for name in ("left", "right")}
    network.save(path, inputs, {y: ("float32", ["N", 5])}, metadata)
    return limpid.Model(path)


def test_of_two_images_one_must_be_named(tmp_path):
    images = TestFurtherInputs.images
    with pytest.raises(limpid.Unsupported, match='limpid.input.*"left" float32.*"right" float32'):
        two_images(tmp_path / "m.onnx").classify(images)
    named = {name: two_images(tmp_path / f"{name}.onnx", {"limpid.input": name}) for name in ("left", "right")}
    a = named["left"].classify(images, feeds={"right": images[::-1].copy()})
    b = named["right"].classify(images[::-1].copy(), feeds={"left": images})
    np.testing.assert_array_equal(a, b)
    with pytest.raises(limpid.InvalidModel, match='limpid.input is "up"'):
        two_images(tmp_path / "m.onnx", {"limpid.input": "up"})


def test_inputs_that_nothing_reads_hinder_nobody(tmp_path):
    """Keras leaves constants of its normalisation behind as inputs."""
    network = Network()
    logits = network.logits(network("Transpose", "x", perm=[0, 3, 1, 2]), 3)
    judge = network.save(tmp_path / "m.onnx", {
        "x": ("float32", ["N", 12, 10, 3]), "Sub/y:0": ("float32", [1, 1, 1, 3]), "Sqrt/x:0": ("float32", [1, 1, 1, 3]),
    }, {logits: ("float32", ["N", 5])})
    model = limpid.Model(tmp_path / "m.onnx")
    assert model._image_layout == "nhwc"
    x = planes_of(3).transpose(1, 2, 0)
    constant = np.ones((1, 1, 1, 3), np.float32)
    expected = softmax(judge(**{"x": x[None], "Sub/y:0": constant, "Sqrt/x:0": constant})[0])[0]
    np.testing.assert_allclose(model.classify(x), expected, atol=2e-5)
    assert model.explain(x)[0].method == "grad-cam"


def test_quantised_values_may_be_moved_between_their_steps(tmp_path):
    """TensorFlow Lite's converter puts QuantizeLinear, Squeeze, DequantizeLinear behind the pooling."""
    maps = {}
    for quantised in (False, True):
        network = Network()
        pooled = network("GlobalAveragePool", network.features("x", 3))
        if quantised:
            step, zero = np.float32(0.01), np.uint8(0)
            pooled = network("Squeeze", network("QuantizeLinear", pooled, step, zero), np.array([2, 3]))
            pooled = network("DequantizeLinear", pooled, step, zero)
        else:
            pooled = network("Squeeze", pooled, np.array([2, 3]))
        logits = network("Gemm", pooled, network.normal(6, 5), network.normal(5))
        network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10])}, {logits: ("float32", ["N", 5])})
        model = limpid.Model(tmp_path / "m.onnx")
        why, = model.explain(0.1 * planes_of(3), classes=[2])
        assert why.method == "grad-cam"
        maps[quantised] = why.map
    np.testing.assert_allclose(maps[True], maps[False], atol=1e-2 * np.abs(maps[False]).max())


def test_as_many_classes_as_a_text_encoder_gives(tmp_path):
    """Zero-shot classifiers: the names' embeddings are fed, and there are as many classes as names."""
    network = Network()
    pooled = network("Flatten", network("GlobalAveragePool", network.features("x", 3)))
    scores = network("MatMul", pooled, network("Transpose", "names", perm=[1, 0]))
    judge = network.save(
        tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10]), "names": ("float32", ["K", 6])},
        {scores: ("float32", ["N", "K"])})
    model = limpid.Model(tmp_path / "m.onnx")
    planes = np.stack([planes_of(3), planes_of(3)[:, ::-1]])
    for count in (4, 7, 2):
        names = network.normal(count, 6)
        expected = softmax(judge(x=planes, names=names)[0])
        np.testing.assert_allclose(model.classify(planes, feeds={"names": names}), expected, atol=2e-5)
        np.testing.assert_allclose(model.classify(planes[0], feeds={"names": names}), expected[0], atol=2e-5)
        assert model.classify(iter(planes), feeds={"names": names}).shape == (2, count)
    one = model.classify(planes, feeds={"names": network.normal(1, 6)})
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-6)
    why, = model.explain(planes[0], "grad-cam", classes=[3], feeds={"names": network.normal(4, 6)})
    assert why.map.shape == (12, 10) and not why.degenerate
    with pytest.raises(limpid.LimpidError, match="names"):
        model.classify(planes)


def test_networks_of_half_precision_are_explained(tmp_path):
    """Inputs, weights and scores of float16, as ONNX Runtime's converter writes them."""
    maps = []
    for kind in ("float32", "float16"):
        network = Network()
        logits = network.logits("x", 3)
        network.weights = [numpy_helper.from_array(numpy_helper.to_array(w).astype(kind), w.name) for w in network.weights]
        network.save(tmp_path / "m.onnx", {"x": (kind, ["N", 3, 12, 10])}, {logits: (kind, ["N", 5])})
        model = limpid.Model(tmp_path / "m.onnx")
        why, = model.explain(planes_of(3).astype(np.float16).astype(np.float32), classes=[2])
        assert why.method == "grad-cam"
        maps.append(why.map)
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-2 * maps[0].max())


def test_layers_behind_quantised_projections(tmp_path):
    """Attention whose every value passes QuantizeLinear and DequantizeLinear: the layer is what it reads, as without."""
    names = {}
    for quantised in (False, True):
        network = Network(1)

        def passed(value):
            if not quantised:
                return value
            step, zero = np.float32(0.05), np.int8(0)
            return network("DequantizeLinear", network("QuantizeLinear", value, step, zero), step, zero)

        patches = network("Conv", "x", network.normal(8, 3, 2, 2), strides=[2, 2])
        tokens = network("Transpose", network("Reshape", patches, np.array([0, 8, -1])), perm=[0, 2, 1])
        tokens = network("Concat", network.weight(network.normal(1, 1, 8)), tokens, axis=1)
        normed = passed(network("LayerNormalization", tokens, network.normal(8), network.normal(8)))
        q, k, v = (passed(network("MatMul", normed, network.normal(8, 8))) for _ in range(3))
        mixed = network("MatMul", network("Softmax", network("MatMul", q, network("Transpose", k, perm=[0, 2, 1])), axis=-1), v)
        first = network("Gather", passed(mixed), np.array(0), axis=1)
        logits = network("MatMul", first, network.normal(8, 5))
        network.save(tmp_path / "m.onnx", {"x": ("float32", [1, 3, 12, 10])}, {logits: ("float32", [1, 5])})
        names[quantised] = limpid.Model(tmp_path / "m.onnx").layers[0], normed
    assert all(layer == normed for layer, normed in names.values()), names
