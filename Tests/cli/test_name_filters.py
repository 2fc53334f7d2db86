"""`limpid name-filters` and `limpid explain --method lavise`, judged by NumPy on a network of four filters."""

import collections
import json

import numpy as np
import onnx
import pytest
from conftest import SIDE, run
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

WORDS = ["stone", "été", "a b", "wood", "grass"]
FILES = [f"{i}.png" for i in range(6)]


class Filters:
    """A folder with filters.onnx, six pictures, and what each filter sees in them. The last filter sees nothing."""

    def __init__(self, folder):
        self.folder = folder
        random = np.random.default_rng(3)
        kernels = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
        kernels[3] = 0
        self.head = random.standard_normal((3, 4)).astype(np.float32)
        self.vectors = random.standard_normal((len(WORDS), 3)).astype(np.float32)
        text = np.frombuffer("\n".join(WORDS).encode(), np.uint8)
        weights = {"kernels": kernels, "head": self.head, "vocabulary": self.vectors, "vocabulary.words": text}
        graph = helper.make_graph(
            [helper.make_node("Conv", ["input", "kernels"], ["conv"], pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["conv"], ["features"]),
             helper.make_node("ReduceMean", ["features"], ["pooled"], axes=[2, 3], keepdims=0),
             helper.make_node("Gemm", ["pooled", "head"], ["embedding"], transB=1)],
            "filters", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4, SIDE, SIDE]),
             helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["M", 3])],
            [numpy_helper.from_array(w, n) for n, w in weights.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        named = {p: p for p in ("features", "pooled", "embedding", "vocabulary")}
        helper.set_model_props(model, {
            "limpid.format": "1", "limpid.family": "lavise", "limpid.preprocess": "scale 1/255",
            "limpid.output.features": "features", "limpid.explain.lavise.head": "gap",
            "limpid.explain.lavise.words": "vocabulary.words",
            **{f"limpid.explain.lavise.{p}": v for p, v in named.items()}})
        onnx.save(model, folder / "filters.onnx")
        pixels = random.integers(0, 256, (len(FILES), SIDE, SIDE, 3), np.uint8)
        for name, image in zip(FILES, pixels):
            Image.fromarray(image).save(folder / name)
        planes = (pixels.astype(np.float32) / 255).transpose(0, 3, 1, 2)
        self.maps = ReferenceEvaluator(model).run(["features"], {"input": planes})[0].reshape(len(FILES), 4, -1)

    def best(self, f, count):
        """The pictures that excite filter f most."""
        return np.argsort(-self.maps[:, f].max(axis=1), kind="stable")[:count]

    def words(self, image, f, count):
        seen = self.head @ (self.maps[image] @ self.maps[image, f] / np.linalg.norm(self.maps[image, f]))
        cosine = self.vectors @ seen / np.linalg.norm(self.vectors, axis=1) / np.linalg.norm(seen)
        return [WORDS[i] for i in np.argsort(-cosine, kind="stable")[:count]]

    def name(self, f, images, words, weight=lambda most: 1):
        counts = collections.Counter()
        for i in self.best(f, images):
            for word in self.words(i, f, words):
                counts[word] += weight(self.maps[i, f].max())
        found = [(w, n) for w, n in counts.items() if n > 0]
        return sorted(found, key=lambda item: (-item[1], WORDS.index(item[0])))

    def run(self, *words):
        return run(*words, folder=self.folder)


@pytest.fixture
def filters(tmp_path):
    return Filters(tmp_path)


@pytest.mark.parametrize("weighting, weight", [("once", lambda m: 1), ("floor", np.floor), ("ceiling", np.ceil)])
def test_filters_are_named_after_the_pictures_that_excite_them_most(filters, weighting, weight):
    result = filters.run("name-filters", "filters.onnx", *FILES, "--filters", "2,0-1", "--images-per-filter", 3,
                         "--words", 2, "--weighting", weighting, "--json")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    found = json.loads(result.stdout)["filters"]
    assert [f["filter"] for f in found] == [2, 0, 1]
    for f in found:
        assert [(w["word"], w["count"]) for w in f["words"]] == filters.name(f["filter"], 3, 2, weight)
        assert [i["file"] for i in f["images"]] == [FILES[i] for i in filters.best(f["filter"], 3)]
        assert not f["inactive"] and f["threshold"] is None


def test_the_table_says_which_filters_are_inactive(filters):
    lines = filters.run("name-filters", "filters.onnx", *FILES, "--output-words", 1, "--words", 1).stdout.splitlines()
    assert lines[0].split() == ["filter", "images", "words"] and len(lines) == 5
    word, count = filters.name(1, 25, 1)[0]
    assert lines[2].split(None, 2) == ["1", "6", f"{word} {count}"]
    assert lines[4].split() == ["3", "0", "-", "(inactive)"]


def test_regions_have_the_threshold_of_all_pictures(filters):
    result = filters.run("name-filters", "filters.onnx", *FILES, "--method", "activation", "--quantile", 0.9, "--json")
    (first, *_) = json.loads(result.stdout)["filters"]
    assert first["threshold"] == pytest.approx(np.quantile(filters.maps[:, 0].astype(np.float64), 0.9), rel=1e-5)


def test_words_that_are_not_wanted_are_left_out(filters):
    (filters.folder / "some.txt").write_text("été\na b\n", encoding="utf-8")
    result = filters.run("name-filters", "filters.onnx", *FILES, "--filters", 0, "--words", 4, "--only", "some.txt",
                         "--json")
    found = [w["word"] for w in json.loads(result.stdout)["filters"][0]["words"]]
    assert found == [w for w, _ in filters.name(0, 25, 4) if w in ("été", "a b")] and found


def test_a_picture_that_cannot_be_read_is_reported_once_and_left_out(filters):
    (filters.folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = filters.run("name-filters", "filters.onnx", "broken.png", *FILES, "--method", "activation", "--json")
    assert result.returncode == 1 and result.stderr.count("broken.png") == 1 and "1 of 7" in result.stderr
    files = [i["file"] for i in json.loads(result.stdout)["filters"][0]["images"]]
    assert "broken.png" not in files and files


def test_one_picture_is_explained_by_where_a_filter_is_active_and_its_words(filters):
    result = filters.run("explain", "filters.onnx", "2.png", "--parameter", "filter=1", "--parameter", "words=3",
                         "--map", "m.npy", "--json")
    assert result.returncode == 0, result.stderr
    (found,) = json.loads(result.stdout)["explanations"]
    assert found["filter"]["index"] == 1 and found["overlay"] == "2-lavise-filter-1.png"
    assert [w["word"] for w in found["filter"]["words"]] == filters.words(2, 1, 3)
    np.testing.assert_allclose(np.load(filters.folder / "m.npy").ravel(), filters.maps[2, 1], rtol=1e-5, atol=1e-6)
    assert "filter 3: inactive" in filters.run("explain", "filters.onnx", "2.png", "--parameter", "filter=3").stdout


@pytest.mark.parametrize("words, status, message", [
    (["--filters", "9"], 1, "filter 9 is out of range; the layer has 4 filters"),
    (["--filters", "3-1"], 2, "no range like 0-63"), (["--filters", "a"], 2, "is no number"),
    (["--filters", "1--2"], 2, "is no number"),
    (["--method", "magic"], 2, "one of projection, activation, image, original"),
    (["--words", "0"], 2, "--words is \"0\""), (["--quantile", "2"], 2, "--quantile"),
    (["--quantile", "0.9"], 2, 'with attention projection does not read the parameter "quantile"; leave it out'),
    (["--only", "none.txt"], 1, "none.txt"),
])
def test_wrong_use(filters, words, status, message):
    result = filters.run("name-filters", "filters.onnx", "0.png", *words)
    assert result.returncode == status and message in result.stderr
    assert result.stdout == ""


def test_other_models_say_what_is_missing(case):
    result = case.run("name-filters", "model.onnx", "wide.png")
    assert result.returncode == 1 and "limpid-convert lavise" in result.stderr
