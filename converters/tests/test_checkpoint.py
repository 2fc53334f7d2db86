"""Files that torch wrote, in every container; data/*.pth come from torch 2.13."""

import numpy as np
import pytest
from checkpoints import Namespace, write_zip
from conftest import DATA

from limpid_convert import checkpoint
from limpid_convert.errors import ConversionError

FILES = ["torch-zip.pth", "torch-zip-protocol4.pth", "torch-legacy.pth"]
GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
EXPECTED = {
    "plain": GRID,
    "transposed": GRID.T,
    "slice": np.arange(10, 40, dtype=np.float64).reshape(5, 6)[:, 1:5:2],
    "shared": np.arange(3, 7, dtype=np.float64),
    "half": np.array([0.5, -1.25, 3], np.float16),
    "bfloat": np.array([0.5, -1.25, 3], np.float32),
    "scalar": np.array(7),
    "empty": np.zeros((0, 3), np.float32),
    "int32": np.array([-1, 2], np.int32),
    "int16": np.array([-1, 2], np.int16),
    "int8": np.array([-1, 2], np.int8),
    "uint8": np.array([255, 2], np.uint8),
    "bool": np.array([True, False]),
    "parameter": np.array([1.5, 2.5], np.float32),
}


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_of_a_torch_file_is_read(name):
    tensors = checkpoint.read(str(DATA / name)).tensors()
    assert list(tensors) == list(EXPECTED)
    for key, expected in EXPECTED.items():
        found = tensors[key].numpy()
        assert found.dtype == expected.dtype and found.shape == expected.shape, key
        np.testing.assert_array_equal(found, expected, err_msg=key)


@pytest.mark.parametrize("name", FILES)
def test_everything_else_becomes_plain_values(name):
    read = checkpoint.read(str(DATA / name))
    assert read.arguments() == {"model": "resnet18", "num_classes": 10, "lr": 1e-4, "use_slot": True, "big": 2**70,
                                "none": None, "text": "naïve", "tup": (1, 2, 3, 4), "neg": -5}
    assert read.root["epoch"] == 9 and read.root["best"] == 0.75 and read.root["milestones"] == {3: 2, 5: 1}
    assert read.root["size"] == (2, 3) and read.root["device"] == "cpu" and repr(read.root["dtype"]) == "float16"
    np.testing.assert_array_equal(read.root["history"].numpy(), np.arange(6, dtype=np.float32).reshape(2, 3))
    assert read.root["optimizer"]["param_groups"][0]["lr"] == 1e-4


def test_the_tests_own_writer_is_read_back(tmp_path):
    path = tmp_path / "a.pth"
    weights = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    write_zip(path, {"model": weights, "args": Namespace({"model": "x", "f": -0.5, "t": (1, True, None)})})
    read = checkpoint.read(str(path))
    np.testing.assert_array_equal(read.tensors()["a.weight"].numpy(), weights["a.weight"])
    assert read.tensors()["n"].shape == () and read.arguments() == {"model": "x", "f": -0.5, "t": (1, True, None)}


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model_sdict": s}])
def test_a_state_dict_is_found_wherever_training_programs_put_it(tmp_path, wrap):
    path = tmp_path / "a.pth"
    write_zip(path, wrap({"module.w": np.ones(2, np.float32), "module.b": np.ones(1, np.float32)}))
    assert list(checkpoint.read(str(path)).tensors()) == ["w", "b"]


def test_a_module_prefix_stays_where_only_some_names_have_it(tmp_path):
    path = tmp_path / "a.pth"
    write_zip(path, {"module.w": np.ones(2, np.float32), "b": np.ones(1, np.float32)})
    assert list(checkpoint.read(str(path)).tensors()) == ["module.w", "b"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80", b"PK\x03\x04", b"\x80\x02}.", b"\x7fELF"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ConversionError):
        checkpoint.read(str(path))


@pytest.mark.parametrize("name", FILES)
def test_a_cut_or_altered_file_is_read_or_refused_but_nothing_else(tmp_path, name):
    original = (DATA / name).read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "a.pth"
    variants = [original[:n] for n in range(0, len(original), 97)]
    for position in random.integers(0, len(original), 400):
        variant = bytearray(original)
        variant[position] = random.integers(256)
        variants.append(bytes(variant))
    refused = 0
    for variant in variants:
        path.write_bytes(variant)
        try:
            for tensor in checkpoint.read(str(path)).tensors().values():
                tensor.numpy()
        except ConversionError:
            refused += 1
    assert refused > len(range(0, len(original), 97)) / 2
