"""Checkpoint files for tests, written without torch.

A fixture case keeps only the names and shapes of a checkpoint's tensors; `stand_in` makes the tensors themselves, bit
for bit on any machine, and `write_zip` puts them into the container that `torch.save` writes.

    python Tests/Support/checkpoints.py CASE_DIRECTORY OUT.pth
"""

import json
import pathlib
import struct
import sys
import zipfile
import zlib

import numpy as np

_STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}


def stand_in(name, shape, seed=0):
    """The tensor called `name`: random numbers that depend on name, shape and seed only, of sane size."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    random = np.random.Generator(np.random.Philox(key=[zlib.crc32(name.encode()), seed]))
    if len(shape) == 0:
        return np.full((), 0.5, np.float32)
    if name.endswith("running_var"):
        values = random.uniform(0.6, 1.4, shape)
    elif name.endswith("running_mean"):
        values = 0.1 * random.standard_normal(shape)
    elif len(shape) == 1 and name.endswith("weight"):
        values = random.uniform(0.4, 0.9, shape)
    elif len(shape) == 1:
        values = 0.05 * random.standard_normal(shape)
    else:
        values = np.sqrt(2.0 / int(np.prod(shape[1:]))) * random.standard_normal(shape)
    return values.astype(np.float32)


def read_case(directory):
    """(case, tensors by name in stored order) of a fixture directory."""
    case = json.loads((pathlib.Path(directory) / "case.json").read_text())
    tensors = {name: stand_in(name, shape, case["seed"]) for name, shape in case["tensors"]}
    for name, factor in case.get("scale", {}).items():  # keeps attention away from the uniform one
        tensors[name] = np.float32(factor) * tensors[name]
    for name, rule in case.get("adjust", {}).items():
        tensors[name] = tensors[name] * np.float32(rule["mul"]) + np.float32(rule["add"])
    return case, tensors


def write_case(directory, path):
    """The case's checkpoint as the original program saves it."""
    case, tensors = read_case(directory)
    write_zip(path, _CONTAINERS[case["family"]](case, tensors))


def _scouter_container(case, tensors):
    saved = {"model": tensors, "optimizer": {}, "lr_scheduler": {}, "epoch": 9}
    if "args" in case:
        saved["args"] = Namespace(case["args"])
    return saved


def _ca_stream_container(case, tensors):
    """`checkpoint.pth`; the original also saves the flat state dict, with the prefix and without."""
    prefixed = {"module." + name: tensor for name, tensor in tensors.items()}
    return {"mode": "epoch", "model_sdict": prefixed, "optim_sdict": {}, "epoch": 9, "batch": None, "loss": None}


_CONTAINERS = {"scouter": _scouter_container, "ca-stream": _ca_stream_container}


def write_lavise(directory, folder):
    """A LaViSE case's files in `folder`, {role: path}: explainer, classifier where the case has scores, vocabulary."""
    case, tensors = read_case(directory)
    paths = {role: pathlib.Path(folder) / f"{role}.pth" for role in ("explainer", "classifier")}
    write_zip(paths["explainer"], {"epoch": 9, "state_dict": tensors, "optimizer": {}})
    stock = case["info"].get("classifier_tensors")
    if stock:
        write_zip(paths["classifier"], {name: stand_in(name, shape, case["seed"]) for name, shape in stock})
    else:
        del paths["classifier"]
    paths["vocabulary"] = pathlib.Path(folder) / "vocabulary.npz"
    words, vectors = lavise_vocabulary(case)
    np.savez(paths["vocabulary"], words=np.array(words), vectors=vectors)
    return paths


def lavise_vocabulary(case):
    """(words, vectors [N, E]) of a LaViSE case."""
    vectors = stand_in("vocab", (case["vocab_size"], case["word_embedding_dim"]), case["seed"])
    return [f"w{i:04d}" for i in range(len(vectors))], vectors


class Namespace:
    """Written as argparse.Namespace."""

    def __init__(self, values):
        self.values = values


def write_zip(path, value):
    """`torch.save(value, path)` for plain values, dicts, NumPy arrays (as tensors) and a Namespace."""
    storages = []
    pickled = b"\x80\x02" + _pickled(value, storages) + b"."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        members = [("data.pkl", pickled), ("byteorder", b"little")]
        members += [(f"data/{key}", array.tobytes()) for key, array in enumerate(storages)]
        for name, content in members + [("version", b"3\n")]:
            archive.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), content)


def _pickled(value, storages):
    """Pickle opcodes, protocol 2, that push `value`."""
    if isinstance(value, np.ndarray):
        return _pickled_tensor(value, storages)
    if isinstance(value, Namespace):
        return b"cargparse\nNamespace\n)\x81" + _pickled(value.values, storages) + b"b"
    if isinstance(value, dict):
        items = b"".join(_pickled(k, storages) + _pickled(v, storages) for k, v in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, (list, tuple)):
        items = b"".join(_pickled(v, storages) for v in value)
        return b"](" + items + b"e" if isinstance(value, list) else b"(" + items + b"t"
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    text = value.encode()
    return b"X" + struct.pack("<I", len(text)) + text


def _pickled_tensor(array, storages):
    """_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())"""
    key = str(len(storages))
    storages.append(np.array(array, order="C"))
    strides = [s // array.itemsize for s in storages[-1].strides]
    storage = b"(" + _pickled("storage", []) + b"ctorch\n" + _STORAGES[str(array.dtype)].encode() + b"\n"
    storage += _pickled(key, []) + _pickled("cpu", []) + _pickled(int(array.size), []) + b"tQ"
    view = _pickled(0, []) + _pickled(tuple(array.shape), []) + _pickled(tuple(strides), [])
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"\x89ccollections\nOrderedDict\n)RtR"


if __name__ == "__main__":
    write_case(sys.argv[1], sys.argv[2])
