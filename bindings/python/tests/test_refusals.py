"""What would have no effect where it is given is refused, not ignored."""

import ctypes

import numpy as np
import pytest
from conftest import COLOURS
from networks import Network

import limpid
from limpid import _abi
from limpid._interruption import Interruption
from limpid._library import library
from limpid._options import run_options

MAP = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
BOXES = {"boxes": [[[0, 0, 4, 4]]]}


def masked(array):
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) % 7 == 0)


@pytest.mark.parametrize("call", [
    lambda m, x: m.classify(masked(x)), lambda m, x: m.classify([x, masked(x)]), lambda m, x: m.explain(masked(x)),
    lambda m, x: m.classify(masked(x[None])), lambda m, x: m.gradient(masked(x)),
    lambda m, x: m.run({"input": masked(x[None])}), lambda m, x: m.classify(x, feeds={"table": masked(x)}),
    lambda m, x: m.explain(x, "rise", masks=2, draws={"grid": masked(x)}),
    lambda m, x: m.measure(x, masked(MAP), "deletion"), lambda m, x: m.measure(x, [masked(MAP[0])], "deletion"),
    lambda m, x: limpid.measure(MAP, "pointing-game", draws={"mask": masked(MAP)}),
    lambda m, x: m.measure(x, MAP, "infidelity", draws={"perturbation": masked(x[None])}),
])
def test_masked_arrays(model, tensor, call):
    with pytest.raises(limpid.InvalidArgument, match="a masked array, and masks are not read"):
        call(model, tensor)


def test_masked_arrays_of_pixels_and_those_without_anything_masked(model, red):
    with pytest.raises(limpid.InvalidArgument, match="the image is a masked array"):
        model.classify(masked(red))
    np.testing.assert_array_equal(model.classify(np.ma.array(red)), model.classify(red))


@pytest.mark.parametrize("message, call", [
    ("not both", lambda m, x: m.measure(x, np.eye(3), "accuracy", [0])),
    ("both say where the object is", lambda m, x: limpid.measure(MAP, "pointing-game", draws={"mask": MAP, **BOXES})),
    ("from 20.0, 5.0 to 6.0, 9.0 ends before it begins", lambda m, x: limpid.measure(
        MAP, "pointing-game", draws={"boxes": [[[20, 5, 6, 9]]]})),
    ('compat i-gos does not read the parameter "order"',
     lambda m, x: m.measure(x, MAP, "insertion", compat="i-gos", order="stable-last")),
    ('compat none does not read the parameter "batch"', lambda m, x: m.measure(x, MAP, "average-drop", batch=4)),
    ('compat none does not read the parameter "class_count"',
     lambda m, x: limpid.measure(MAP, "pointing-game", draws=BOXES, class_count=7)),
    ("weight.* are read with compat lavise only", lambda m, x: limpid.measure(
        MAP, "recall", draws={"words": [[1]], "labels": [[0, 1]], "mask": MAP, "weight": [2.0]})),
    ('without the parameter "versus"', lambda m, x: m.gradient(
        x, of="similarity", versus=1, draws={"embedding": np.ones(3)})),
    ("of=similarity compares the whole output, without a class; leave it out", lambda m, x: m.explain(
        x, "grad-cam", 1, of="similarity", draws={"embedding": np.ones(3)})),
    ("without a class", lambda m, x: m.explain([x, x], "saliency", [[0], [1]], of="similarity")),
    ("without a class", lambda m, x: m.gradient(x, [1], of="similarity", draws={"embedding": np.ones(3)})),
    ("read with of=similarity only", lambda m, x: m.explain(x, "grad-cam", draws={"embedding": np.ones(3)})),
    ("does not read the parameter", lambda m, x: limpid.Evaluation(
        m, None, ["grad-cam"], [{"metric": "average-drop", "batch": 4}])),
    ("no methods, so that no class is explained", lambda m, x: limpid.Evaluation(m, None, explain="truth")),
    ("no methods, so that no class is explained", lambda m, x: limpid.Evaluation(m, None, explain=[0, 1, 2])),
    ("not among the 2 of `classes`", lambda m, x: limpid.evaluate(m, [(x, "blue")], classes=["red", "green"])),
])
def test_what_is_not_read(model, tensor, message, call):
    with pytest.raises(limpid.InvalidArgument, match=message):
        call(model, tensor)


def test_similarity_has_no_class_wherever_it_is_explained_again(model, red, tmp_path):
    """By the class that an explanation says, by metrics and reports."""
    settings = {"of": "similarity", "draws": {"embedding": [1, -2, 0.5]}}
    alone = model.measure(red, None, "sensitivity", explain={"method": "grad-cam", **settings}, samples=2)
    assert np.isfinite(alone.value).all()
    found = limpid.evaluate(
        model, [(red, 1)], [{"method": "grad-cam", **settings}], [{"metric": "sensitivity", "samples": 2}],
        report=tmp_path)
    np.testing.assert_array_equal([row["grad-cam sensitivity"] for row in found.images], alone.value)
    page = (tmp_path / "report.html").read_text()
    assert "grad-cam" in page and "no maps" not in page
    found = limpid.evaluate(model, [(red, 1)], [{"method": "grad-cam", **settings}], explain="truth")
    assert "without a class" in found.images[0]["failed"]


BASELINE = {"baseline": np.ones((3, 32, 32), np.float32)}
SEGMENTS = {"segments": np.arange(32 * 32).reshape(32, 32) // 256}
GRID = {"grid": np.ones((4, 3, 2), np.uint8)}


@pytest.mark.parametrize("method, other, name, parameters", [
    ("occlusion", "baseline mean", "value", {"value": 2, "baseline": "mean"}),
    ("sliding-window-similarity", "baseline blur", "value", {"value": 2, "baseline": "blur"}),
    ("occlusion", 'the draws "baseline"', "value", {"value": 2, "draws": BASELINE}),
    ("occlusion", 'the draws "baseline"', "baseline", {"baseline": "mean", "draws": BASELINE}),
    ("sliding-window-similarity", 'the draws "baseline"', "baseline", {"baseline": "noise", "draws": BASELINE}),
    ("integrated-gradients", 'the draws "baseline"', "value", {"value": 2, "draws": BASELINE}),
    ("layer-deep-lift", 'the draws "baseline"', "value", {"value": 2, "draws": BASELINE}),
    ("lime", 'the draws "segments"', "segments", {"segments": 9, "draws": SEGMENTS}),
    ("kernel-shap", 'the draws "segments"', "compactness", {"compactness": 1, "draws": SEGMENTS}),
    ("ablation-cam", "compat none", "batch", {"batch": 4}),
    ("rise", "compat torchray", "normalize", {"compat": "torchray", "normalize": "none"}),
])
def test_parameters_without_an_effect_beside_others(model, tensor, method, other, name, parameters):
    words = f'the method "{method}" with {other} does not read the parameter "{name}"; leave it out'
    with pytest.raises(limpid.InvalidArgument, match=words):
        model.explain(tensor, method, **parameters)


@pytest.mark.parametrize("method, parameters", [
    ("occlusion", {"value": 2, "baseline": "zero"}), ("occlusion", {"value": 0, "baseline": "mean"}),
    ("integrated-gradients", {"value": 2, "steps": 2}), ("ablation-cam", {"batch": 4, "compat": "grad-cam"}),
    ("rise", {"compat": "tame", "normalize": "none", "masks": 2}), ("lime", {"segments": 9, "samples": 5}),
    ("rise", {"masks": 4, "draws": GRID}),
])
def test_parameters_with_an_effect_are_read_and_those_found_may_be_given_again(model, tensor, method, parameters):
    found, = model.explain(tensor, method, **parameters)
    again, = model.explain(tensor, method, **{"draws": parameters.get("draws"), **found.parameters})
    np.testing.assert_array_equal(found.grid, again.grid)


@pytest.mark.parametrize("method, name, given, fed, draws", [
    ("rise", "masks", 5, 4, GRID), ("rise", "cells", 3, 2, GRID), ("rise", "cells", 2, 3, GRID),
    ("kernel-shap", "samples", 3, 2, {**SEGMENTS, "samples": np.ones((2, 4), np.uint8)}),
])
def test_counts_that_are_not_those_of_the_draws(model, tensor, method, name, given, fed, draws):
    with pytest.raises(limpid.InvalidArgument, match=f'"{name}" is {given}, but the draws have {fed} of them'):
        model.explain(tensor, method, draws=draws, **{name: given})


@pytest.mark.parametrize("method", ["finer-cam", "eigen-cam", "activation-map"])
def test_methods_without_a_target_have_no_parameters_of_one(model, tensor, method):
    plain, said = (model.explain(tensor, method, **given)[0].map for given in ({}, {"of": "logit"}))
    np.testing.assert_array_equal(said, plain)
    with pytest.raises(limpid.InvalidArgument, match='"of" is "?probability"?; .*logit'):
        model.explain(tensor, method, of="probability")
    for parameters in ({"sign": -1}, {"versus": 1}, {"draws": {"embedding": [1, 2, 3]}}):
        with pytest.raises(limpid.NotFound, match=f'the method "{method}" (has no parameter|reads no draws) "'):
            model.explain(tensor, method, **parameters)


def test_a_mask_where_the_whole_output_is_compared(tmp_path):
    network = Network()
    y = network("Conv", network.features("x", 3), network.normal(4, 6, 1, 1))
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", 4, 12, 10])})
    model, x = limpid.Model(tmp_path / "m.onnx"), np.ones((1, 3, 12, 10), np.float32)
    embedding = {"embedding": np.ones(480)}
    assert np.isfinite(model.gradient(x, wrt="x", of="similarity", output=y, draws=embedding)).all()
    with pytest.raises(limpid.InvalidArgument, match='without the draws "mask"'):
        model.gradient(x, wrt="x", of="similarity", output=y, draws={"mask": np.ones((12, 10)), **embedding})


@pytest.mark.parametrize("given", [[], 0, np.zeros(3), "x"])
def test_feeds_and_draws_that_are_no_dict(model, tensor, given):
    for call in (lambda: model.classify(tensor, feeds=given), lambda: model.explain(tensor, "rise", draws=given, masks=2),
                 lambda: model.measure(tensor, MAP, "deletion", draws=given)):
        with pytest.raises(limpid.InvalidType, match="are given as {name: array}"):
            call()


def test_classes_of_samples_in_memory_by_a_file(tmp_path, red):
    (tmp_path / "names.txt").write_text("green\nred\tof some kind\nblue\n")
    found = limpid.evaluate(COLOURS, [(red, "red")], classes=tmp_path / "names.txt")
    assert found.images[0]["truth"] == 1
    with pytest.raises(limpid.MissingFile, match="cannot open .*none.txt"):
        limpid.evaluate(COLOURS, [(red, "red")], classes=tmp_path / "none.txt")


def create(model, **fields):
    options = _abi.EvaluationOptions(**fields)
    out = ctypes.c_void_p()
    library.limpid_evaluation_create(model._handle, ctypes.byref(options), ctypes.byref(out))


def test_fields_of_c(model, tensor):
    run = run_options(Interruption(None), output="logits")
    use = (_abi.Use * 1)(_abi.Use(b"grad-cam", ctypes.pointer(run)))
    with pytest.raises(limpid.InvalidArgument, match="those of all runs: limpid_evaluation_options.run"):
        create(model, methods=use, method_count=1)
    for name, value in [("format", b"list"), ("images", b"x"), ("class_file", b"x"), ("split", b"all"),
                        ("first_classes", 1), ("limit", 1), ("sample", 1)]:
        with pytest.raises(limpid.InvalidArgument, match=f"{name} is of a data set, but there is none"):
            create(model, **{name: value})
    measuring = _abi.MeasureOptions(method=b"saliency", method_options=ctypes.pointer(
        run_options(Interruption(None), batch_size=2)))
    batch = model._batch(tensor, Interruption(None))
    with pytest.raises(limpid.InvalidArgument, match="limpid_measure_options.run, not method_options"):
        library.limpid_measure(
            model._handle, b"sensitivity", batch.views, 1, None, None, 0, ctypes.byref(measuring),
            ctypes.byref(ctypes.c_void_p()))


def test_one_image_is_named_by_as_one():
    """An array or a Pillow image is one image, not a list of its rows."""
    pillow = pytest.importorskip("PIL.Image")
    words = limpid.Model(COLOURS.parents[3] / "examples" / "lavise-digits" / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (28, 30, 3), dtype=np.uint8)
    expected = words.name_filters([pixels], [0, 1])
    assert expected[0].images[0].index == 0 and len(expected[0].images) == 1
    for image in (pixels, pillow.fromarray(pixels), pixels[None], (pixels,), iter([pixels])):
        assert words.name_filters(image, [0, 1]) == expected
    gray = pixels[:, :, 0]
    assert words.name_filters(gray, [0]) == words.name_filters([gray], [0])
