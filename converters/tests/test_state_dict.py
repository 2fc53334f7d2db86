"""State dicts under any key, names under any wrapper, weight norms; and messages that say what a file is."""

import json
import zipfile

import numpy as np
import pickles
import pytest
from checkpoints import write_zip
from conftest import DATA

from limpid_convert import checkpoint
from limpid_convert.errors import ConversionError

VALUES = ["values-zip.pth", "values-protocol5.pth", "values-legacy.pth"]
FLAT = np.arange(6, dtype=np.float32)
EIGHTHS = np.arange(-4, 4, dtype=np.float32) / 8
STATE = {"conv1.weight": FLAT.reshape(3, 2), "bn1.bias": FLAT[:3]}


def read(path, value, **options):
    write_zip(path, value)
    return checkpoint.read(str(path), **options).tensors()


@pytest.mark.parametrize("name", VALUES)
def test_bits_views_attributes_and_newer_types_are_read(name):
    """data/values-*.pth: Tests/Support/make_checkpoint_values.py, torch 2.13."""
    tensors = checkpoint.read(str(DATA / name)).tensors()
    expected = {
        "negative": -FLAT.reshape(2, 3), "imaginary": FLAT, "conjugate": FLAT + 1j * FLAT,
        "expanded": np.full((4, 3), 1.5), "row": [[1, 2, 3], [1, 2, 3]], "parameter": [1.5, 2.5], "tensor": [3.5],
        **{f"uint{bits}": np.array([0, 1, 250], f"u{bits // 8}") for bits in (16, 32, 64)},
        **{f"float8_{kind}": EIGHTHS for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")},
        "part": np.array([2, 5], np.uint16),
    }
    assert list(tensors) == list(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(tensors[key].numpy(), values, err_msg=key)
    assert tensors["float8_e5m2"].element_type == "float8_e5m2" and tensors["uint64"].numpy().dtype == np.uint64


@pytest.mark.parametrize("name", VALUES)
def test_containers_paths_dates_and_arrays_beside_it_are_data(name):
    beside = checkpoint.read(str(DATA / name)).root["beside"]
    assert beside["set"] == [1, 2] and beside["set"].kind == "set" and beside["frozen"] == ["a"]
    assert beside["deque"] == [0.5, 0.25] and beside["defaultdict"] == {"loss": [0.5]}
    assert beside["tuple_keys"][(1, ("a", 2))] == 3 and beside["counter"] == {"a": 2, "b": 1}
    assert beside["path"] == "/data/run" and beside["relative"] == "a/b"
    assert beside["when"] == "2020-01-02T03:04:05" and beside["day"] == "2020-01-02"
    assert beside["names"].shape == (2,) and not beside["names"].is_numeric and beside["objects"].shape == (2,)
    np.testing.assert_array_equal(beside["fortran"].numpy(), np.arange(6.0).reshape(2, 3))
    assert beside["text"] == "x" and beside["number"] == 0.5 and beside["complex"] == 1 + 2j
    assert beside["options"].values == {"lr": 0.1} and beside["buffer"] == b"ab"
    with pytest.raises(ConversionError, match="where numbers are needed"):
        beside["names"].numpy()


@pytest.mark.parametrize("prefix", [
    "module.", "_orig_mod.", "model.", "net.", "network.", "_fsdp_wrapped_module.", "module._orig_mod.",
    "_orig_mod.module.", "model._orig_mod.", "module.model.", "model.net.", "_forward_module.model.",
    "ema_model.module.",
])
def test_the_prefixes_of_wrappers_are_taken_off(tmp_path, prefix):
    found = read(tmp_path / "a.pth", {"state_dict": {prefix + n: t for n, t in STATE.items()}})
    assert list(found) == list(STATE)


@pytest.mark.parametrize("names", [
    {"n_averaged": 0, "module.conv1.weight": 1}, {"n_averaged": 0, "module._orig_mod.conv1.weight": 1},
    {"_fsdp_wrapped_module.conv1._fsdp_wrapped_module.weight": 1}, {"conv1._orig_mod.weight": 1},
    {"conv1._checkpoint_wrapped_module.weight": 1}, {"conv1.module.weight": 1}, {"conv1.weight": 1, "n_averaged": 0},
])
def test_averaged_models_and_wrapped_modules_inside(tmp_path, names):
    state = {n: FLAT if kind else np.array(3) for n, kind in names.items()}
    assert list(read(tmp_path / "a.pth", {"model": state})) == ["conv1.weight"]


def test_what_lightning_keeps_beside_the_network_is_left_out_and_said(tmp_path, capsys):
    network = {f"model.layer{i}.weight": FLAT for i in range(20)}
    found = read(tmp_path / "a.pth", {"state_dict": {**network, "criterion.weight": FLAT, "ema_model.a": FLAT}})
    assert list(found) == [f"layer{i}.weight" for i in range(20)]
    assert "left out: criterion.weight, ema_model.a" in capsys.readouterr().err
    half = {**{f"model.{i}": FLAT for i in range(4)}, **{f"head.{i}": FLAT for i in range(4)}}
    assert list(read(tmp_path / "a.pth", half)) == list(half)


@pytest.mark.parametrize("place, taken", [
    ({"model": 1, "model_ema": 2}, 1), ({"model_ema": 2, "state_dict": 1}, 1), ({"ema": 1}, 1), ({"network": 1}, 1),
    ({"whatever": 1}, 1), ({"deep": {"er": {"still": 1}}}, 1), ({"ema": {"module": 1, "decay": 0.5}}, 1),
    ({"whatever": 1, "ema_state": 2}, 1), ({"optimizer": {"model": 2}, "mine": 1}, 1),
    ({"model": {"state_dict": 1}}, 1),
])
def test_a_state_dict_is_found_under_any_key(tmp_path, capsys, place, taken):
    def filled(value):
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        return {n: t * np.float32(value) for n, t in STATE.items()} if isinstance(value, int) else value

    found = read(tmp_path / "a.pth", {**filled(place), "loss": np.float32([1])})
    np.testing.assert_array_equal(found["conv1.weight"].numpy(), STATE["conv1.weight"] * taken)
    said = capsys.readouterr().err
    assert ("took the state dict under" in said) == (sum(isinstance(v, int) for v in place.values()) == 2)


def test_a_state_dict_in_a_tuple_or_list_is_found(tmp_path):
    for saved, key in (((STATE, {"lr": 0.1}), "0"), ([3, {"net": STATE}], "1.net"), ({"all": [STATE]}, "all.0")):
        assert list(read(tmp_path / "a.pth", saved)) == list(STATE)
        assert list(read(tmp_path / "a.pth", saved, key=key)) == list(STATE)


def test_flattened_parameters_are_refused(tmp_path):
    with pytest.raises(ConversionError, match="full state dict"):
        read(tmp_path / "a.pth", {"model": {"_fsdp_wrapped_module._flat_param": FLAT, "b": FLAT}})


def test_the_key_and_the_prefix_may_be_named(tmp_path):
    ema = {f"student.{n}": 2 * t for n, t in STATE.items()}
    saved = {"model": STATE, "a.b": {"ema": ema}}
    for key in ("a.b.ema",):
        found = read(tmp_path / "a.pth", saved, key=key, prefix="student")
        np.testing.assert_array_equal(found["bn1.bias"].numpy(), 2 * STATE["bn1.bias"])
    with pytest.raises(ConversionError, match="nothing under --key emma; there are state dicts under model, a.b.ema"):
        read(tmp_path / "a.pth", saved, key="emma")
    with pytest.raises(ConversionError, match="no tensor's name begins with 'teacher.'"):
        read(tmp_path / "a.pth", saved, prefix="teacher")


@pytest.mark.parametrize("names", [("conv1.weight_g", "conv1.weight_v"), (
    "conv1.parametrizations.weight.original0", "conv1.parametrizations.weight.original1")])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_weight_norms_are_folded(tmp_path, names, axis):
    direction = np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32)
    shape = (1,) * 0 if axis is None else tuple(n if i == axis else 1 for i, n in enumerate(direction.shape))
    length = np.asarray(2 + np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape))
    axes = tuple(i for i in range(4) if i != axis)
    found = read(tmp_path / "a.pth", {"state_dict": dict(zip(names, (length, direction)))})
    assert list(found) == ["conv1.weight"] and found["conv1.weight"].shape == direction.shape
    whole = length * direction / np.sqrt(np.square(direction.astype(np.float64)).sum(axes, keepdims=True))
    np.testing.assert_allclose(found["conv1.weight"].numpy(), whole, rtol=1e-6)


def safetensors(path, tensors, header=None, tail=b""):
    entries, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in tensors.items():
        kind = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int64": "I64"}[str(array.dtype)]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        parts.append(array.tobytes())
    text = json.dumps(entries).encode() if header is None else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts) + tail)
    return str(path)


def test_safetensors_are_read(tmp_path):
    state = {**STATE, "half": FLAT.astype(np.float16), "number": np.array(7), "none": np.zeros((0, 2), np.float32)}
    path = safetensors(tmp_path / "any-name", {**state, "short": (FLAT.view(np.uint32) >> 16).astype(np.uint16)})
    read_again = checkpoint.read(path)
    found = read_again.tensors()
    assert read_again.container == "safetensors" and found["short"].element_type == "bfloat16"
    for name, array in {**state, "short": FLAT}.items():
        np.testing.assert_array_equal(found[name].numpy(), array)


@pytest.mark.parametrize("header, says", [
    (b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 1]}}', "is of the type 'F4', which limpid-convert does not read"),
    (b"{", "damaged"), (b"{" + b"[" * 10000, "damaged"), (b"{}x", "damaged"), (b'{"a": 1}', "does not read"),
    (b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', "4 bytes for 2 numbers"),
    (b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', "malformed"),
    (b'{"a": {"dtype": "F32", "shape": [9999999999], "data_offsets": [0, 39999999996]}}', "cut short"),
    (b'{"a": {"dtype": "F99", "shape": [], "data_offsets": [0, 4]}}', "does not read"),
    (b'{"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}', "does not read"),
    (b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}', "malformed"),
])
def test_bad_safetensors_are_refused(tmp_path, header, says):
    path = safetensors(tmp_path / "a.safetensors", {}, header, bytes(4))
    with pytest.raises(ConversionError, match=says):
        checkpoint.read(path)


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return path.read_bytes()


@pytest.mark.parametrize("content, says", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    (b"<!DOCTYPE html>\n<html></html>", "HTML page"), (b"\n  <HTML><body>", "HTML page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"), (b"\x1f\x8b\x08\0\0", "gzip"),
    (b"\x89HDF\r\n\x1a\n\0", "HDF5"), (b"BZh91AY", "bzip2"), (b"\xfd7zXZ\x00", "xz archive"),
    (b"\x08\x07\x12\x07pytorch", "ONNX model"), (b"\x08\x08\x3a\x10", "ONNX model"), (b"", "empty file"),
    (b"404: Not Found", "text file; it begins with '404: Not Found'|text file.*404: Not Found"),
    (b"\x7fELF\0", "program"),
    (b"{\"weight_map\": {}}", "JSON"), (b"\x93NUMPY\1\0", "NumPy array"), (b"\0" * 257 + b"ustar\0", "tar archive"),
    (b"\x80\x02}.", "not a torch checkpoint"), (b"(dp0\n", "text file"), (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff" * 40, "unknown kind"), (b"\0\0\0\0TFL3", "TensorFlow Lite"),
    (lambda p: archive(p, "a/constants.pkl", "a/data.pkl"), "TorchScript"),
    (lambda p: archive(p, "w.npy"), "NumPy archive"),
    (lambda p: archive(p, "model.weights.h5", "config.json"), "Keras"),
    (lambda p: archive(p, "x/a.pth"), "around 'x/a.pth'"),
    (lambda p: archive(p, "hello"), "no data.pkl"),
])
def test_a_file_that_is_no_checkpoint_is_said_to_be_what_it_is(tmp_path, command, content, says):
    path = tmp_path / "a.pth"
    path.write_bytes(content(path) if callable(content) else content)
    with pytest.raises(ConversionError, match=says):
        checkpoint.read(str(path))
    status, _, said = command("scouter", path, tmp_path / "m.onnx")
    assert status == 1 and said.count("\n") == 1 and "a fault of its own" not in said


def test_the_family_is_judged_before_options_are_asked_for(tmp_path, command):
    def said(state, *arguments):
        write_zip(tmp_path / "a.pth", {"state_dict": state})
        name, *rest = arguments
        status, _, text = command(name, tmp_path / "a.pth", tmp_path / "m.onnx", *rest)
        assert status == 1
        return text

    lcam = {"attnM.op.weight": FLAT.reshape(6, 1, 1, 1), "features.0.weight": FLAT}
    assert "it looks like an L-CAM checkpoint (limpid-convert lcam)" in said(lcam, "scouter")
    assert "it looks like an L-CAM checkpoint (limpid-convert lcam)" in said(lcam, "tame")
    assert "it looks like an L-CAM checkpoint (limpid-convert lcam)" in said(lcam, "lavise")
    assert "give --variant" in said(lcam, "lcam")
    inside = {f"student.{n}": t for n, t in lcam.items()}
    assert "under names that begin with 'student.': give --prefix student." in said(inside, "lcam")
    assert "give --variant" in said(inside, "lcam", "--prefix", "student.")
    assert "it has conv1.weight, bn1.bias" in said(STATE, "scouter")


def test_versions_fractions_and_tensors_of_other_kinds_beside_it_are_data(tmp_path):
    beside = {
        "version": b"ctorch.torch_version\nTorchVersion\n" + pickles.text("2.9.0") + b"\x85\x81",
        "fraction": b"cfractions\nFraction\nK\x01K\x03\x86R",
        "text": b"cfractions\nFraction\n" + pickles.text("1/3") + b"\x85R",
        "dots": b"c__builtin__\nEllipsis\n", "none": b"cbuiltins\nNotImplemented\n",
        "sparse": b"ctorch._utils\n_rebuild_sparse_tensor\n)R", "steps": b"ctorch._utils\n_rebuild_qtensor\n)R",
        "empty": b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R",
    }
    body = b"}(" + b"".join(pickles.text(name) + value for name, value in beside.items()) + b"u"
    found = checkpoint.read(str(pickles.write(tmp_path / "a.pth", body))).root
    assert found["version"] == "2.9.0" and found["fraction"] == found["text"] == "1/3"
    assert [repr(found[name]) for name in ("sparse", "steps", "empty")] == [
        "a sparse tensor", "a quantised tensor", "a tensor without values"]
    broken = b"}" + pickles.text("v") + b"ctorch.torch_version\nTorchVersion\nK\x01\x85\x81s"
    with pytest.raises(ConversionError, match="arguments of the wrong kind"):
        checkpoint.read(str(pickles.write(tmp_path / "b.pth", broken)))
