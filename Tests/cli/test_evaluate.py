"""limpid evaluate: the same numbers as limpid measure, and means as NumPy takes them."""

import json

import numpy as np
import pytest
from PIL import Image

CLASSES = 5


def make_folders(case, per_class=2, classes=CLASSES):
    """A folder for each class, of random images of several sizes. Returns the paths, in the order of the data set."""
    random = np.random.default_rng(3)
    paths = []
    for c in range(classes):
        (case.folder / "set" / str(c)).mkdir(parents=True)
        for i in range(per_class):
            size = (18 + 2 * i, 20 + c, 3)
            path = f"set/{c}/{i}.png"
            Image.fromarray(random.integers(0, 256, size, np.uint8)).save(case.folder / path)
            paths.append(path)
    return paths


def evaluate(case, *words):
    result = case.run("evaluate", "bare.onnx", *PREPARED, *words, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


PREPARED = ("--preprocess", "resize exact 16 16 bilinear; scale 1/255")


def test_means_are_those_of_what_measure_gives_for_each_image(case):
    paths = make_folders(case)
    words = ("--metric", "insertion,deletion,average-drop", "--metric-parameter", "insertion.step=32")
    measured = case.run("measure", "bare.onnx", *paths, *PREPARED, "--method", "grad-cam", "--json", *words)
    assert measured.returncode == 0, measured.stderr
    expected = {m["metric"]: m for m in json.loads(measured.stdout)["metrics"]}
    found = evaluate(case, "--data", "set", "--method", "grad-cam,occlusion", *words)
    assert found["data"]["evaluated"] == len(paths) == 10
    for metric in ("insertion", "deletion", "average-drop"):
        (result,) = [r for r in found["results"] if (r["method"], r["metric"]) == ("grad-cam", metric)]
        values = np.array([row["value"] for row in expected[metric]["values"]])
        assert result["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert result["low"] < result["mean"] < result["high"] and result["images"] == 10
        if result["curve"]:
            curves = np.array([row["curve"] for row in expected[metric]["values"]])
            np.testing.assert_allclose(result["curve"], curves.mean(0), rtol=1e-12)
    assert len(found["comparisons"]) == 3


def test_a_damaged_image_is_listed_and_the_others_count(case):
    make_folders(case)
    (case.folder / "set/2/0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = evaluate(case, "--data", "set", "--method", "grad-cam", "--metric", "average-drop")
    (failed,) = found["data"]["failed"]
    assert failed["name"] == "2/0.png" and "2/0.png" in failed["reason"]
    assert found["data"]["evaluated"] == 9 and found["results"][0]["images"] == 9 and found["data"]["complete"]
