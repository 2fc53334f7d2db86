"""Maps of gradient methods (Score-CAM: test_posthoc.py) against what pytorch-grad-cam, captum and SCOUTER's torchcam made of the same networks."""

import json
import pathlib

import limpid
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures"
CAM = {case["id"]: case for case in json.loads((FIXTURES / "cam/cases.json").read_text())}
#: Of a network with one logit; words in place of class numbers.
CLASSES = {"for": 1, "against": 0}
#: (array of the fixture, method, parameters); the programs tap the layers "tap" and "tap_new".
FAMILY = [
    ("scouter_cam", "cam", {"compat": "scouter"}),
    ("scouter_gradcam", "grad-cam", {"compat": "scouter"}),
    ("scouter_gradcampp", "grad-cam++", {"compat": "scouter"}),
    ("scouter_smoothgradcampp", "smooth-grad-cam++", {"compat": "scouter", "samples": 3, "std": 0.3}),
    ("pytorch_grad_cam_gradcam", "grad-cam", {"compat": "grad-cam"}),
    ("pytorch_grad_cam_gradcampp", "grad-cam++", {"compat": "grad-cam"}),
    ("pytorch_grad_cam_xgradcam", "xgrad-cam", {"compat": "grad-cam"}),
    ("pytorch_grad_cam_hirescam", "hires-cam", {"compat": "grad-cam"}),
    ("pytorch_grad_cam_layercam", "layer-cam", {"compat": "grad-cam"}),
    ("captum_saliency", "saliency", {"compat": "captum"}),
    ("captum_input_x_gradient", "input-x-gradient", {"compat": "captum"}),
    ("captum_integrated_gradients", "integrated-gradients", {"compat": "captum", "steps": 20}),
]
SMOOTH = [("smoothgrad", "smoothgrad"), ("smoothgrad_sq", "smoothgrad_sq"), ("vargrad", "vargrad")]


def spread(values):
    extent = values.max() - values.min()
    return (values - values.min()) / (extent if extent > 0 else 1)


def explain(name, **options):
    case = CAM[name]
    model = limpid.Model(FIXTURES / "cam" / case["model"])
    classes = [[CLASSES.get(c, c)] for c in case["classes"]]
    if case["layer"]:
        options["layer"] = case["layer"]
    return model.explain(np.load(FIXTURES / "cam" / case["input"]), case["method"], classes, **options)


@pytest.mark.parametrize("name", [name for name, case in CAM.items() if case["map"] and case["method"] != "score-cam"])
def test_maps_are_those_of_pytorch_grad_cam(name):
    expected = np.load(FIXTURES / "cam" / CAM[name]["map"])
    found = explain(name)
    assert len(found) == len(expected) == 2
    for explanation, map_ in zip(found, expected):
        assert np.abs(spread(explanation.map) - spread(map_)).max() < 1e-3
        assert explanation.degenerate == (map_.max() == map_.min())


@pytest.mark.parametrize("name", [name for name, case in CAM.items() if not case["map"]])
def test_a_transformer_has_a_default_layer(name):
    for explanation in explain(name):
        assert list(explanation.grid.shape) == CAM[name]["grid"]
        assert np.isfinite(explanation.grid).all() and explanation.grid.std() > 0


def test_evidence_against_a_single_logit_is_that_of_the_other_class():
    model = limpid.Model(FIXTURES / "cam/one-logit.onnx")
    x = np.load(FIXTURES / "cam/x.npy")[:1]
    against, negated = model.explain(x, "grad-cam", [0])[0], model.explain(x, "grad-cam", [1], sign=-1)[0]
    np.testing.assert_array_equal(against.grid, negated.grid)
    assert model.classify(x)[0].sum() == pytest.approx(1)


@pytest.mark.parametrize("network", ["resrelu", "resgn", "pooled"])
@pytest.mark.parametrize("array, method, parameters", FAMILY, ids=[row[0] for row in FAMILY])
def test_the_gradient_family(network, array, method, parameters):
    folder = FIXTURES / f"posthoc/gradient-family-{network}"
    case, expected = json.loads((folder / "case.json").read_text()), np.load(folder / "expected.npz")
    if array not in expected:
        assert (network, array) == ("pooled", "scouter_cam")
        return
    model = limpid.Model(FIXTURES / "posthoc" / case["model"])
    options = dict(parameters)
    classes = [int(c) for c in expected["classes"]]
    if "captum" in array:
        classes = classes[:1]
    else:
        options["layer"] = case["tap" if array.startswith("scouter") else "tap_new"]["value"]
    if "smooth" in array:
        options["draws"] = {"noise": expected["smooth_noise"]}
    found = model.explain(expected["input"], method, classes, **options)
    if "captum" in array:
        values = found[0].details["attribution"]
    else:
        values = np.stack([e.grid if array.startswith("scouter") else e.map for e in found])
    assert values.shape == expected[array].shape
    assert np.abs(values - expected[array]).max() <= case["tolerances"][array]


@pytest.mark.parametrize("network", ["resrelu", "resgn"])
@pytest.mark.parametrize("array, statistic", SMOOTH)
@pytest.mark.parametrize("form", ["abs", "signed"])
def test_smooth_grad(network, array, statistic, form):
    folder = FIXTURES / f"posthoc/smooth-grad-{network}"
    case, expected = json.loads((folder / "case.json").read_text()), np.load(folder / "expected.npz")
    model = limpid.Model(FIXTURES / "posthoc" / case["model"])
    found = model.explain(
        expected["input"], "smooth-grad", [int(expected["target"])], compat="captum", statistic=statistic,
        samples=case["parameters"]["nt_samples"], absolute="yes" if form == "abs" else "no",
        draws={"noise": expected["noise"]})[0]
    name = f"{array}_{form}"
    assert np.abs(found.details["attribution"] - expected[name]).max() <= case["tolerances"][name]


def test_le_grad_asks_each_layer_for_what_the_head_makes_of_its_tokens():
    model = limpid.Model(FIXTURES / "posthoc/networks/vitpub.onnx")
    x = np.random.default_rng(4).normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
    target, end = 2, "/b/b.1/Add_1_output_0"
    found = model.explain(x, "le-grad", [target])
    of_model = model.explain(x, "le-grad", [target], score="model")
    for image, own in enumerate(found):
        fed = {model.inputs[0].name: x[image:image + 1]}
        seed = np.eye(model.info.class_count, dtype=np.float32)[target:target + 1]
        layers = []
        for block in (0, 1):
            tokens, attention = f"/b/b.{block}/Add_1_output_0", f"/b/b.{block}/Softmax_output_0"
            value = model.run(fed, [tokens])[tokens]
            # The tail is run with this block's tokens in the place of the last one's.
            by_tokens = model.run_gradient({end: value}, "logits", [end], weights=seed)[end]
            layers.append(model.run_gradient(fed, tokens, [attention], weights=by_tokens)[attention])
        expected = sum(np.maximum(layer, 0).mean((0, 1, 2)) for layer in layers)
        seen = expected[len(expected) - own.grid.size:].reshape(own.grid.shape)
        np.testing.assert_allclose(own.grid, seen, rtol=1e-4, atol=1e-6 * seen.max())
        assert np.abs(own.grid - of_model[image].grid).max() > 0.05 * seen.max()
    with pytest.raises(limpid.InvalidArgument, match="score=model"):
        model.explain(x, "le-grad", [target], of="probability")
    model.explain(x, "le-grad", [target], of="probability", score="model")


def test_draws_of_our_own_are_the_same_for_any_batch_and_threads():
    model = limpid.Model(FIXTURES / "posthoc/networks/resrelu.onnx")
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    maps = [
        np.stack([e.grid for e in model.explain(x, "smooth-grad", [3], seed=5, samples=6, batch_size=b, threads=t)])
        for b, t in ((1, 1), (4, 2), (6, 1))]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
    other = model.explain(x[:1], "smooth-grad", [3], seed=6, samples=6)[0]
    assert other.seed == 6 and np.abs(other.grid - maps[0][0]).max() > 0


def test_gradients_of_images_are_those_of_named_values():
    model = limpid.Model(FIXTURES / "posthoc/networks/resrelu.onnx")
    x = np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)
    found = model.gradient(x, [3, 5], wrt=["input", "layer2"])
    weights = np.zeros((2, 10), np.float32)
    weights[:, 5] = 1
    name = model.inputs[0]
    same = model.run_gradient({name: x}, model.outputs[0], name, weights=weights)[name]
    np.testing.assert_allclose(found["input"][1::2], same, rtol=1e-5, atol=1e-7)
    assert found["layer2"].shape[:2] == (4, 24)
    with pytest.raises(limpid.NotFound, match='no value or module named "layer9"'):
        model.gradient(x, [3], wrt="layer9")


@pytest.mark.parametrize("method", ["guided-backprop", "deconvolution", "saliency"])
@pytest.mark.parametrize("upper, lower, version", [(6, 0, 17), (6, 0, 10), (np.inf, 0, 17), (6, -1, 17)])
def test_relus_that_are_bounded_above_are_relus(method, upper, lower, version):
    """A network of 1×1 convolutions, whose modified gradients NumPy computes in a few lines."""
    draw = np.random.default_rng(7)
    first, second = draw.normal(size=(8, 3)).astype(np.float32), draw.normal(size=(6, 8)).astype(np.float32)
    last = draw.normal(size=(4, 6)).astype(np.float32)
    nodes, constants = [], {"w1": first[..., None, None], "w2": second[..., None, None], "w3": last}
    for i, source in ((1, "x"), (2, "y1")):
        nodes.append(helper.make_node("Conv", [source, f"w{i}"], [f"z{i}"]))
        if np.isinf(upper):
            nodes.append(helper.make_node("Relu", [f"z{i}"], [f"y{i}"]))
        elif version < 11:
            nodes.append(helper.make_node("Clip", [f"z{i}"], [f"y{i}"], min=float(lower), max=float(upper)))
        else:
            constants |= {"low": np.float32(lower), "high": np.float32(upper)}
            nodes.append(helper.make_node("Clip", [f"z{i}", "low", "high"], [f"y{i}"]))
    nodes += [helper.make_node("GlobalAveragePool", ["y2"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
              helper.make_node("Gemm", ["f", "w3"], ["logits"], transB=1)]
    graph = helper.make_graph(
        nodes, "bounded", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 5, 5])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()])
    model = limpid.Model(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8).SerializeToString())

    x = draw.normal(size=(3, 5, 5)).astype(np.float32) * 2
    z1 = np.tensordot(first, x, 1)
    z2 = np.tensordot(second, np.clip(z1, lower, upper), 1)
    gradient = np.broadcast_to((last[2] / 25)[:, None, None], z2.shape)
    for z, weights in ((z2, second), (z1, first)):
        inside = (z > lower) & (z < upper)
        if method == "saliency" or lower != 0:
            gradient = gradient * inside
        else:
            gradient = np.maximum(gradient, 0) * (inside if method == "guided-backprop" else 1)
        gradient = np.tensordot(weights.T, gradient, 1)
    (found,) = model.explain(x, method, [2], absolute="no")
    np.testing.assert_allclose(found.details["attribution"], gradient, rtol=1e-4, atol=1e-6)
    assert np.abs(gradient).max() > 0.01


def test_the_colours_of_attributions_span_what_most_pixels_stay_within():
    model = limpid.Model(FIXTURES / "posthoc/networks/resrelu.onnx")
    x = np.random.default_rng(3).normal(size=(3, 32, 32)).astype(np.float32)
    for method, is_signed in (("saliency", False), ("input-x-gradient", True), ("integrated-gradients", True)):
        (found,) = model.explain(x, method, [3])
        sizes = np.sort(np.abs(found.grid).ravel())
        low, high = found.range
        assert high == sizes[(len(sizes) - 1) * 99 // 100] < sizes[-1]
        assert low == (-high if is_signed else 0)


@pytest.fixture
def spatial():
    """relu(x * w1) is r; y = r * w2 at each position, e the mean of r."""
    import onnx
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    first = random.normal(size=(6, 3, 3, 3)).astype(np.float32) * np.float32(0.3)
    second = random.normal(size=(4, 6, 1, 1)).astype(np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["a"], ["r"]),
         helper.make_node("Conv", ["r", "w2"], ["y"]),
         helper.make_node("ReduceMean", ["r"], ["e"], axes=[2, 3], keepdims=0)],
        "g", [value("x", 1, ["N", 3, 8, 8])], [value("y", 1, ["N", 4, 8, 8]), value("e", 1, ["N", 6])],
        [numpy_helper.from_array(first, "w1"), numpy_helper.from_array(second, "w2")])
    proto = onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = random.normal(size=(1, 3, 8, 8)).astype(np.float32)
    model = limpid.Model(proto.SerializeToString())
    return model, x, model.run({"x": x}, ["r"])["r"][0], second[:, :, 0, 0]


def test_a_class_is_explained_over_positions_or_under_a_mask(spatial):
    model, x, features, weights = spatial
    found = model.explain(x, "hires-cam", [2], output="y", layer="r")[0]
    everywhere = np.maximum(np.einsum("chw,c->hw", features, weights[2]), 0)
    np.testing.assert_allclose(found.grid, everywhere, atol=1e-6)
    mask = np.zeros((8, 8), np.float32)
    mask[3, 4] = 2
    found = model.explain(x, "hires-cam", [2], output="y", layer="r", draws={"mask": mask})[0]
    np.testing.assert_allclose(found.grid, everywhere * mask, atol=1e-6)
    for refused in (lambda: model.classify(x, output="y"), lambda: model.explain(x, "rise", [1], output="y"),
                    lambda: model.explain(x, "finer-cam", [1], output="y", layer="r")):
        with pytest.raises(limpid.InvalidArgument, match='"y" has an extent in space: its 64 positions'):
            refused()
    with pytest.raises(limpid.InvalidArgument, match="the mask is of shape"):
        model.explain(x, "grad-cam", [0], output="e", layer="r", draws={"mask": mask})


def test_similarity_to_an_embedding_is_explained(spatial):
    model, x, features, _ = spatial
    e = np.random.default_rng(1).normal(size=6).astype(np.float32)
    y = features.mean((1, 2))
    cosine = y @ e / np.linalg.norm(y) / np.linalg.norm(e)
    slope = (e / np.linalg.norm(e) - cosine * y / np.linalg.norm(y)) / np.linalg.norm(y)
    found = model.explain(
        x, "hires-cam", output="e", layer="r", of="similarity", draws={"embedding": e}, rectify=False)[0]
    np.testing.assert_allclose(found.grid, np.einsum("chw,c->hw", features, slope) / 64, atol=1e-6)
    with pytest.raises(limpid.InvalidArgument, match='needs the draw "embedding" with the 6 numbers'):
        model.explain(x, "grad-cam", output="e", layer="r", of="similarity")


def test_the_table_has_every_fixture():
    assert len(CAM) == 13 and len(FAMILY) == 12


@pytest.mark.parametrize("side", [7, 16, 31])
def test_colours_of_an_attribution_span_what_99_of_100_pixels_do_not_exceed(side):
    x = np.random.default_rng(side).standard_normal((1, 3, side, side), np.float32)
    model = limpid.Model(linear(side))
    grid = model.explain(x, "input-x-gradient")[0]
    sizes = np.sort(np.abs(grid.grid).ravel())
    top = sizes[(len(sizes) - 1) * 99 // 100]
    assert grid.range == pytest.approx((-top, top), rel=1e-6)


def linear(side):
    """A classifier whose logits are sums over the image by fixed weights."""
    w = np.random.default_rng(0).standard_normal((3 * side * side, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])], "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString()


@pytest.mark.parametrize("scopes", ["['', 'block', 'block.conv', 'conv2d']", '["", "block"', "[]", "'''", ""])
def test_modules_that_the_newer_exporter_notes_are_layers(scopes):
    w = numpy_helper.from_array(np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32), "w")
    conv = helper.make_node("Conv", ["x", "w"], ["a"], "node_conv2d", pads=[1, 1, 1, 1])
    for key, text in (("pkg.torch.onnx.stack_trace", "'block'"), ("pkg.torch.onnx.name_scopes", scopes)):
        conv.metadata_props.add(key=key, value=text)
    graph = helper.make_graph(
        [conv, helper.make_node("GlobalAveragePool", ["a"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], [w])
    model = limpid.Model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8), np.float32)
    if "conv" in scopes:
        for layer in ("block", "block.conv"):
            np.testing.assert_array_equal(
                model.explain(x, "grad-cam", layer=layer)[0].grid, model.explain(x, "grad-cam", layer="a")[0].grid)
    else:
        with pytest.raises(limpid.NotFound, match='no value or module named "block"'):
            model.explain(x, "grad-cam", layer="block")
