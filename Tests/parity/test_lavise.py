"""LaViSE through the runtime against the numbers of the original program, by every door: features, scores, and the words
of a filter in each picture. What its parameters do is in the tests of the Python binding."""

import numpy as np
import pytest
from checkpoints import lavise_vocabulary, write_lavise
from conftest import DOORS, close
from lavise_cases import FOLDER, SMALL, check_ranking, load, ranking
from PIL import Image

STEPS = "resize exact 224 224 bilinear; scale 1/255; normalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225"


@pytest.fixture(scope="module", params=SMALL)
def case(request, tmp_path_factory):
    """(model file, picture files, case, the original's numbers)"""
    from limpid_convert.cli import main

    folder = tmp_path_factory.mktemp(request.param)
    files = write_lavise(FOLDER / request.param, folder)
    about, expected = load(request.param)
    scores = ["--classifier", str(files["classifier"])] if "classifier" in files else []
    assert main(["lavise", str(files["explainer"]), str(folder / "m.onnx"), "--vocabulary", str(files["vocabulary"]),
                 "--preprocess", STEPS, *scores]) == 0
    pixels = expected["images_tiles_u8"].repeat(8, axis=2).repeat(8, axis=3).transpose(0, 2, 3, 1)
    pictures = [folder / f"{i}.png" for i in range(len(pixels))]
    for picture, path in zip(pixels, pictures):
        Image.fromarray(picture).save(path)
    return folder / "m.onnx", pictures, about, expected


@pytest.mark.parametrize("door", DOORS)
def test_features_and_scores_are_the_originals(case, door, doors):
    model, pictures, _, expected = case
    logits, features = doors[door].fetch(model, pictures[0], ["logits", "features"])
    close(logits, expected["logits"])
    maps = np.reshape(features, (len(expected["features_max"]), -1))
    close(maps.max(1), expected["features_max"])
    close(maps.mean(1), expected["features_gap"], np.abs(expected["features_max"]).max())


@pytest.mark.parametrize("door", DOORS)
def test_the_words_of_a_filter_are_those_nearest_to_the_originals_vectors(case, door, doors):
    model, pictures, about, expected = case
    found = doors[door].words(model, pictures, about["filter"])
    assert sorted(found) == list(range(len(pictures)))
    vectors = lavise_vocabulary(about)[1]
    for i, (activation, words) in found.items():
        assert activation == pytest.approx(expected["max_acts"][0][i], rel=1e-4)
        wanted, similarities = ranking(expected["embs_all_projection"][i], vectors, 5)
        check_ranking([int(w[1:]) for w, _ in words], wanted, similarities)
        np.testing.assert_allclose([s for _, s in words], similarities, atol=2e-5)
