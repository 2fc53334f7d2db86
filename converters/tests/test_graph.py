"""The files that are written."""

import numpy as np
import onnx
import pytest
from conftest import run_model

from limpid_convert import graph
from limpid_convert.errors import ConversionError
from limpid_convert.graph import Builder, write_model


def model(size=64):
    builder = Builder("test")
    builder.input("input", ["N", size])
    weights = [builder.constant(f"w{i}", np.full((size, size), i + 1, np.float32)) for i in range(3)]
    value = "input"
    for index, weight in enumerate(weights):
        value = builder.node("MatMul", f"product{index}", [value, weight])
    shape = builder.constant("shape", np.array([0, size // 2, 2], np.int64))
    builder.output(builder.node("Reshape", "out", [value, shape]), ["N", size // 2, 2])
    builder.metadata("limpid.format", 1)
    return builder.model()


def test_small_models_keep_their_weights_inside(tmp_path):
    assert write_model(model(), str(tmp_path / "m.onnx")) == [str(tmp_path / "m.onnx")]
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(graph, "LARGEST_INLINE", 3 * 61 * 64 * 4)
    return model(61 + 3)


def test_large_models_keep_weights_aligned_in_a_second_file(tmp_path, large):
    path = tmp_path / "m.onnx"
    write_model(large, str(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    stored = onnx.load(path, load_external_data=False)
    for tensor in stored.graph.initializer:
        entries = {e.key: e.value for e in tensor.external_data}
        if tensor.name == "shape":
            assert tensor.raw_data and not entries  # other tools need shapes at hand
        else:
            assert entries["location"] == "m.onnx.data" and int(entries["offset"]) % 64 == 0
    onnx.checker.check_model(str(path), full_check=True)
    found = run_model(path, np.ones((2, 64), np.float32))["out"]
    assert (found == 64.0**3 * 6).all()


def test_inline_keeps_everything_in_one_file(tmp_path, large):
    write_model(large, str(tmp_path / "m.onnx"), inline=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert (run_model(tmp_path / "m.onnx", np.ones((1, 64), np.float32))["out"] == 64.0**3 * 6).all()


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(ConversionError):
        write_model(model(), str(tmp_path / "absent" / "m.onnx"))
    assert not list(tmp_path.iterdir())


def test_a_name_is_used_once():
    builder = Builder("test")
    builder.input("input", ["N", 1])
    builder.node("Relu", "a", ["input"])
    with pytest.raises(ValueError, match="'a'"):
        builder.node("Relu", "a", ["input"])


def test_nodes_carry_the_names_of_their_values():
    for node in model().graph.node:
        assert node.name == node.output[0]
