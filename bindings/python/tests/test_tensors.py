"""Arrays on their way into the library and back."""

import numpy as np
import pytest
from onnx import helper

import limpid

READ_ONLY = np.broadcast_to(np.float32(3), (2, 2))


def identity(array, kind):
    """A model that gives what it is fed."""
    value, result = (helper.make_tensor_value_info(name, kind, array.shape) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [value], [result])
    return limpid.Model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


@pytest.mark.parametrize("array", [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(6, dtype=np.int64)[::2], np.float32(2.5), np.zeros((0, 3), np.float32),
    np.array([True, False]), np.arange(4, dtype=">i4"), READ_ONLY, np.frombuffer(b"\x01\x02", np.uint8),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)), np.arange(3, dtype=np.float16)])
def test_any_array_comes_back_as_one_of_the_callers_own(array):
    array = np.asarray(array)
    model = identity(array, helper.np_dtype_to_tensor_dtype(array.dtype.newbyteorder("=")))
    found = model.run({"x": array}, "y")["y"]
    assert (found.shape, found.dtype) == (array.shape, array.dtype.newbyteorder("="))
    np.testing.assert_array_equal(found, array)
    assert found.flags.owndata and found.flags.writeable
    del model
    found[...] = 0


def test_bfloat16_is_fed_as_such_and_given_as_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -2, 3e38], ml_dtypes.bfloat16)
    found = identity(array, 16).run({"x": array})["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array.astype(np.float32))
