"""AISE against its formula, and against maps by SciPy's optimizer, which OpenVINO XAI uses (Tests/Fixtures/posthoc/aise.npz)."""

import limpid
import numpy as np
import pytest
from conftest import FIXTURES

FIXTURE = np.load(FIXTURES / "posthoc/aise.npz")
X = FIXTURE["input"]
WIDTHS = (0.1, 0.175, 0.25)


@pytest.fixture(scope="module")
def model():
    return limpid.Model(FIXTURES / "posthoc/networks/resrelu.onnx")


def window(x, y, width, height=32, columns=32):
    places = np.mgrid[0:height, 0:columns] / np.array([height - 1, columns - 1]).reshape(2, 1, 1)
    found = np.exp(-((places[0] - y) ** 2 + (places[1] - x) ** 2) / (2 * width**2))
    return found / found.max()


@pytest.mark.parametrize("objective", ["both", "keep", "remove"])
def test_places_that_every_search_begins_with_are_weighed_by_what_they_gain(model, objective):
    third = 1 / 3
    places = [(0.5, 0.5), (0.5 + third, 0.5), (0.5 - third, 0.5), (0.5, 0.5 + third), (0.5, 0.5 - third)]
    expected = np.zeros((32, 32))
    for width in WIDTHS:
        masks = np.array([window(x, y, width) for x, y in places], np.float32)[:, None]
        kept, rest = model.classify(X * masks)[:, 8], model.classify(X * (1 - masks))[:, 8]
        gains = {"both": kept - rest, "keep": kept, "remove": -rest}[objective].astype(np.float64)
        total = (gains[:, None, None] * masks[:, 0]).sum(0)
        expected += total / total.max() if total.max() > 0 else total
    found = model.explain(X, "aise", [8], places=5, objective=objective)[0]
    np.testing.assert_allclose(found.grid, expected, rtol=1e-4, atol=1e-5)
    assert found.parameters["widths"] == "0.1,0.175,0.25" and found.parameters["places"] == 5


def test_maps_are_like_those_of_scipys_optimizer(model):
    found = model.explain(X, "aise", list(FIXTURE["classes"]))
    assert len(found) == len(FIXTURE["maps"]) == 3
    for explanation, expected in zip(found, FIXTURE["maps"]):
        assert np.corrcoef(explanation.grid.ravel(), expected.ravel())[0, 1] > 0.97
    again = model.explain(X, "aise", [int(FIXTURE["classes"][1])], batch_size=1, threads=1)[0]
    np.testing.assert_array_equal(again.grid, found[1].grid)


@pytest.mark.parametrize("widths", ["0.2,,0.3", "0.2;0.3", "0"])
def test_widths_that_are_none_are_refused(model, widths):
    with pytest.raises(limpid.InvalidArgument, match='the parameter "widths" is'):
        model.explain(X, "aise", [8], widths=widths)
