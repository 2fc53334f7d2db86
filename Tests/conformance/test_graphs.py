"""Narrow networks of real architectures, as both exporters of PyTorch write them, against ONNX Runtime.

The graphs come from make_stored.py; `make conformance` compares the networks at their full size.
"""

import gzip
from pathlib import Path

import limpid
import numpy as np
import onnxruntime
import pytest

GRAPHS = sorted((Path(__file__).parent / "stored").glob("*.onnx.gz"))


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.name.split(".")[0])
def test_graph_equals_onnxruntime(path):
    data = gzip.decompress(path.read_bytes())
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).standard_normal((3, 3, 32, 32), np.float32)
    expected = np.concatenate([session.run(["y"], {"x": x[None]})[0] for x in pictures])
    assert np.linalg.norm(expected) > 1e-3

    with limpid.Model(data) as model:
        one, three = model.run({"x": pictures[:1]})["y"], model.run({"x": pictures})["y"]
    assert relative_error(one, expected[:1]) < 1e-4
    assert relative_error(three, expected) < 1e-4


def test_both_exporters_are_there():
    assert len(GRAPHS) == 10


def relative_error(found, expected):
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
