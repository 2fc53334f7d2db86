"""Models and explanations go to other processes and come back."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from conftest import COLOURS

import limpid

FACTS = ("class_index", "score", "degenerate", "method", "parameters", "seed", "field", "filter", "words", "range",
         "label", "image_index")


def assert_equal(found, expected):
    for name in FACTS:
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.map, expected.map)
    np.testing.assert_array_equal(found.grid, expected.grid)
    assert found.details.keys() == expected.details.keys()
    for name, array in expected.details.items():
        np.testing.assert_array_equal(found.details[name], array)
    assert repr(found) == repr(expected)


DRAWINGS = [{}, {"style": "scouter"}, {"style": "tame", "colormap": "magma"}, {"size": (30, 20), "opacity": 0.9},
            {"scale": 3}, {"style": "scouter", "scale": 2, "size": (64, 64)}]


@pytest.mark.parametrize("method", ["scouter", "grad-cam", "integrated-gradients"])
@pytest.mark.parametrize("form", ["rgb", "gray", "alpha", "png", "tensor"])
def test_an_explanation_comes_back_and_draws_the_same(method, form, red, tensor, tmp_path):
    # Only a centre crop is seen, so that drawing has to know where the map belongs.
    model = limpid.Model(COLOURS, preprocess="resize shorter 40 bilinear; center_crop 32 32; scale 1/255")
    if form == "png":
        pillow = pytest.importorskip("PIL.Image")
        pillow.fromarray(red).save(tmp_path / "red.png")
    x = {"rgb": red, "gray": red[..., 0], "alpha": np.dstack([red, red[..., :1]]), "png": tmp_path / "red.png",
         "tensor": tensor}[form]
    for why in model.explain(x, method, classes=[0, 1]):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            back = pickle.loads(pickle.dumps(why, protocol))
        again = pickle.loads(pickle.dumps(back))
        for found in (back, again, copy.copy(why), copy.deepcopy(why)):
            assert_equal(found, why)
            for options in DRAWINGS:
                np.testing.assert_array_equal(
                    np.asarray(found.overlay(**options)), np.asarray(why.overlay(**options)), str(options))
        back.save(tmp_path / "back.png")
        why.save(tmp_path / "why.png")
        assert (tmp_path / "back.png").read_bytes() == (tmp_path / "why.png").read_bytes()
        assert back._repr_png_() == why._repr_png_()


def test_explanations_of_one_image_share_it_in_a_pickle():
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    whys = limpid.Model(COLOURS).explain(image, classes=[0, 1, 2])
    one, three = len(pickle.dumps(whys[:1])), len(pickle.dumps(whys))
    maps = 300 * 300 * 4
    assert three - one < 2 * maps + 2 * 32 * 32 * 3 + 4000


def test_a_changed_copy_leaves_a_stored_explanation_alone(model, red):
    why = pickle.loads(pickle.dumps(model.explain(red, "integrated-gradients")[0]))
    before = why.map
    why.map[:] = 7
    why.grid[:] = 7
    why.details["attribution"][:] = 7
    np.testing.assert_array_equal(why.map, before)
    assert why.details["attribution"].max() < 7


def test_stored_explanations_are_measured_as_fresh_ones(model, red):
    whys = model.explain([red, red[::-1]], "grad-cam")
    stored = pickle.loads(pickle.dumps(whys))
    options = dict(metric="deletion", step=64)
    np.testing.assert_array_equal(
        model.measure([red, red[::-1]], stored, **options).value, model.measure([red, red[::-1]], whys, **options).value)


def test_a_model_comes_back_with_its_options(tensor, tmp_path, monkeypatch):
    steps = "resize exact 32 32 nearest; scale 1/255; normalize mean 0.5 0.5 0.5 std 2 2 2"
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "here.onnx").write_bytes(COLOURS.read_bytes())
    monkeypatch.chdir(tmp_path)
    for source in ("here.onnx", COLOURS.read_bytes()):
        model = limpid.Model(source, preprocess=steps, threads=1, memory_limit=1 << 30)
        data = pickle.dumps(model)
        monkeypatch.chdir("/")
        back = pickle.loads(data)
        monkeypatch.chdir(tmp_path)
        np.testing.assert_array_equal(back.classify(image), model.classify(image))
        assert back.info == model.info


def test_exceptions_come_back(tmp_path):
    for call in (lambda: limpid.Model(tmp_path / "no.onnx"), lambda: limpid.Model(b"rubbish")):
        with pytest.raises(limpid.LimpidError) as caught:
            call()
        back = pickle.loads(pickle.dumps(caught.value))
        assert (type(back), str(back)) == (type(caught.value), str(caught.value))
        assert getattr(back, "filename", None) == getattr(caught.value, "filename", None)


def test_what_was_pickled_before_is_found(model):
    """The modules that earlier pickles name."""
    for kind in (limpid.Model, limpid.Info, limpid.Method, limpid.Scores, limpid.Value):
        assert kind.__module__ == "limpid._model"
    old = b"climpid._model\nInfo\n(Vm\nVscouter\nI3\nI32\nI32\nI3\ntR."
    assert pickle.loads(old) == limpid.Info("m", "scouter", 3, 32, 32, 3)
    assert model.__reduce__()[0].__module__ == "limpid._model" and limpid.Evaluation.__module__ == "limpid._evaluation"


def test_values_come_back(model):
    (value,) = pickle.loads(pickle.dumps(model.inputs))
    assert (value, value.shape, value.dtype) == ("input", model.inputs[0].shape, np.float32)


MODEL = None


def start(model):
    global MODEL
    MODEL = model


def explain(seed):
    image = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return MODEL.explain(image)[0]


def explain_with(arguments):
    model, image = arguments
    return model.explain(image)[0]


def fail(path):
    return limpid.Model(path)


@pytest.fixture(scope="module")
def pool():
    with multiprocessing.get_context("spawn").Pool(2, start, (limpid.Model(COLOURS, threads=1),)) as pool:
        yield pool


def test_a_pool_of_spawned_processes_explains(pool):
    start(limpid.Model(COLOURS, threads=1))
    for found, seed in zip(pool.map(explain, range(4)), range(4)):
        assert_equal(found, explain(seed))
    with pytest.raises(FileNotFoundError) as caught:
        pool.map(fail, ["/no/such.onnx"])
    assert caught.value.filename == "/no/such.onnx"


def test_a_model_goes_with_its_arguments(pool, red):
    data = COLOURS.read_bytes()
    model = limpid.Model(data)
    (found,) = pool.map(explain_with, [(model, red)])
    assert_equal(found, model.explain(red)[0])


def test_joblib_keeps_and_distributes(tmp_path, red):
    joblib = pytest.importorskip("joblib")
    model = limpid.Model(COLOURS, threads=1)
    (expected,) = model.explain(red)
    joblib.dump(expected, tmp_path / "why.joblib")
    assert_equal(joblib.load(tmp_path / "why.joblib"), expected)
    for found in joblib.Parallel(2, backend="loky")(joblib.delayed(explain_with)((model, red)) for _ in range(2)):
        assert_equal(found, expected)


def test_words_of_a_filter_come_back(tmp_path):
    from conftest import ROOT
    path = ROOT / "examples" / "lavise-digits" / "model.onnx"
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    why = limpid.Model(path).explain(image, "lavise", filter=3)[0]
    back = pickle.loads(pickle.dumps(why))
    assert_equal(back, why)
    assert back.filter == 3
