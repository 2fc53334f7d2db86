"""Writes converters/tests/data/values-*.pth with torch 2.13: tensors and values that training programs also save.

    python Tests/Support/make_checkpoint_values.py
"""

import collections
import datetime
import decimal
import pathlib
import types
import uuid

import numpy as np
import torch

EIGHTHS = torch.arange(-4, 4) / 8


def noted(value):
    value.note = {"origin": "here"}
    return value


def values():
    flat = torch.arange(6, dtype=torch.float32)
    complex_numbers = torch.complex(flat, -flat)
    return {
        "negative": torch._neg_view(flat.reshape(2, 3)),
        "imaginary": complex_numbers.conj().imag,
        "conjugate": complex_numbers.clone().conj(),
        "expanded": torch.tensor([1.5]).expand(4, 3),
        "row": torch.tensor([1.0, 2.0, 3.0]).expand(2, 3),
        "parameter": noted(torch.nn.Parameter(torch.tensor([1.5, 2.5]))),
        "tensor": noted(torch.tensor([3.5])),
        **{str(kind).split(".")[1]: torch.tensor([0, 1, 250], dtype=kind)
           for kind in (torch.uint16, torch.uint32, torch.uint64)},
        **{str(kind).split(".")[1]: EIGHTHS.to(kind) for kind in (
            torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)},
        "part": torch.arange(8).to(torch.uint16)[2::3],
    }


def beside():
    return {
        "set": {1, 2}, "frozen": frozenset(["a"]), "deque": collections.deque([0.5, 0.25], 5),
        "defaultdict": collections.defaultdict(list, loss=[0.5]), "counter": collections.Counter("aab"),
        "tuple_keys": {(1, ("a", 2)): 3, torch.float32: 4}, "path": pathlib.PurePosixPath("/data/run"),
        "relative": pathlib.PurePosixPath("a/b"), "when": datetime.datetime(2020, 1, 2, 3, 4, 5),
        "zoned": datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc), "day": datetime.date(2020, 1, 2),
        "span": datetime.timedelta(days=1), "names": np.array(["cat", "Vögel"]), "bytes_names": np.array([b"cat"]),
        "objects": np.array(["a", None], object), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "text": np.str_("x"), "number": np.float32(0.5), "moment": np.datetime64("2020-01-01"), "complex": 1 + 2j,
        "buffer": bytearray(b"ab"), "slice": slice(1, 2), "range": range(3), "layout": torch.strided,
        "options": types.SimpleNamespace(lr=0.1), "decimal": decimal.Decimal("1.5"), "id": uuid.UUID(int=5),
        "random": np.random.RandomState(0).get_state()[0],
    }


def main():
    folder = pathlib.Path(__file__).resolve().parents[2] / "converters" / "tests" / "data"
    for name, options in (("zip", {}), ("protocol5", {"pickle_protocol": 5}),
                          ("legacy", {"_use_new_zipfile_serialization": False})):
        torch.save({"state_dict": values(), "beside": beside()}, folder / f"values-{name}.pth", **options)


if __name__ == "__main__":
    main()
