"""The graphs that the package `onnx` brings: what early versions of PyTorch exported, with their results."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from limpid import onnx_backend

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
CASES = sorted(
    path.parent for kind in ("pytorch-converted", "pytorch-operator") for path in (DATA / kind).glob("*/model.onnx"))
# Numbers of float64 beyond the range of float32, in which Limpid computes.
BEYOND_FLOAT32 = {
    "test_operator_add_broadcast", "test_operator_add_size1_right_broadcast",
    "test_operator_add_size1_singleton_broadcast", "test_operator_addconstant"}


def tensors(folder, kind):
    paths = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    return [onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes())) for path in paths]


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_exported(folder):
    model = onnx_backend.prepare(onnx.load(folder / "model.onnx"))
    for data in folder.glob("test_data_set_*"):
        results = model.run(tensors(data, "input"))
        for result, expected in zip(results, tensors(data, "output"), strict=True):
            if folder.name in BEYOND_FLOAT32:
                assert np.abs(expected).max() > np.finfo(np.float32).max or np.abs(expected).min() < 1e-40
            else:
                np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-5)


def test_all_are_there():
    assert len(CASES) == 117
