"""What a hostile checkpoint may try. Each must end in a ConversionError, quickly, with nothing run."""

import struct
import zipfile

import pytest
from pickles import integer, tensor, text, write

from limpid_convert import checkpoint, unpickle
from limpid_convert.cli import main
from limpid_convert.errors import ConversionError


def refusal(path):
    with pytest.raises(ConversionError) as caught:
        for found in checkpoint.read(str(path)).tensors().values():
            found.numpy()
    message = str(caught.value)
    assert "not a state dict" not in message and "no state dict" not in message  # it was refused for another reason
    return message


@pytest.mark.parametrize("body, asked", [
    (lambda p: b"cos\nsystem\n(" + text(f"touch {p}") + b"tR", "os.system"),
    (lambda p: b"cposix\nsystem\n(" + text(f"touch {p}") + b"tR", "posix.system"),
    (lambda p: text("builtins") + text("eval") + b"\x93(" + text(f"open({str(p)!r}, 'w')") + b"tR", "builtins.eval"),
    (lambda p: b"ctorch.storage\n_load_from_bytes\n(C\x01.tR", "torch.storage._load_from_bytes"),
    (lambda p: b"cargparse\nNamespace.__init__\n", "argparse.Namespace.__init__"),
    (lambda p: b"climpid_convert.checkpoint\nread\n", "limpid_convert.checkpoint.read"),
    (lambda p: b"cnumpy.core.multiarray\nscalar.__globals__\n", "scalar.__globals__"),
    (lambda p: b"ccollections\nOrderedDict.fromkeys\n", "OrderedDict.fromkeys"),
])
def test_a_function_outside_the_list_is_refused_by_name_and_not_run(tmp_path, body, asked):
    proof = tmp_path / "ran"
    message = refusal(write(tmp_path / "a.pth", body(proof)))
    assert f"asks for `{asked}`" in message or (asked in message and "asks for" in message)
    assert "runs nothing" in message and not proof.exists()


@pytest.mark.parametrize("body", [
    b"(ios\nsystem\n",  # INST
    b"(cargparse\nNamespace\no",  # OBJ
    b"\x82\x01",  # EXT1
    b"P0\n",  # text persistent id
    b"I1\n",  # protocol 0 integer
    b"\x97",  # out-of-band buffer
    b"]cargparse\nNamespace\n)\x81}" + text("__class__") + b"K\x01sb0b",  # state for a list
    b"ctorch\nFloatStorage\n)\x81",  # an object of a storage type
    b"ctorch\nFloatStorage\n)R",  # a call of a storage type
    b"]R", b"R", b"0", b"t", b"e", b"u", b"}K\x01s", b"](K\x01u", b"h\x07", b"\x71\x00", b"b", b"Q", b"\x81", b"\x93",
    b"K\x01K\x02\x93", b"}(K\x01u", b"X\xff\xff\xff\xffab", b"\x8d" + b"\xff" * 8 + b"a", b"\x8b\xff\xff\xff\x7f1",
    b"\x8a\xff" + b"1" * 255, b"X\x01\0\0\0\xff", b"\x80\x00", b"\x80\x63", b"cos", b"c" + b"a" * 5000 + b"\nb\n",
])
def test_malformed_and_unneeded_opcodes_are_refused(tmp_path, body):
    refusal(write(tmp_path / "a.pth", body))


def test_state_of_a_namespace_is_data_even_under_special_names(tmp_path):
    body = b"}" + text("args") + b"cargparse\nNamespace\n)\x81}" + text("__class__") + text("x") + b"sbs"
    body += text("model") + b"}" + text("w") + tensor() + b"ss"
    read = checkpoint.read(str(write(tmp_path / "a.pth", body)))
    assert read.arguments() == {"__class__": "x"} and type(read.root["args"]).__name__ == "Namespace"


@pytest.mark.parametrize("change", [
    dict(shape=(5,)), dict(shape=(2,), strides=(4,)), dict(offset=1), dict(offset=2**62),
    dict(shape=(2**40, 2**40), strides=(0, 0)), dict(shape=(2**25,), strides=(0,)), dict(shape=(-1,)),
    dict(shape=(2, 2), strides=(1,)), dict(strides=(-1,)), dict(offset=-1), dict(shape=(1,) * 17, strides=(1,) * 17),
    dict(count=5), dict(count=2**61), dict(count=-1), dict(key="1"), dict(key="../../etc/passwd"),
    dict(storage="torch\nDoubleStorage\n"), dict(storage="torch\nSize\n"),
])
def test_a_tensor_larger_than_its_storage_is_refused(tmp_path, change):
    refusal(write(tmp_path / "a.pth", b"}" + text("w") + tensor(**change) + b"s"))


def test_one_storage_under_two_types_is_refused(tmp_path):
    other = tensor(storage="torch\nIntStorage\n")
    refusal(write(tmp_path / "a.pth", b"}" + text("a") + tensor() + b"s" + text("b") + other + b"s"))


def test_a_nested_tuple_is_no_dictionary_key(tmp_path):
    body = b"}" + b")" + b"\x85" * 200_000 + b"K\x01s"
    assert "key of type tuple" in refusal(write(tmp_path / "a.pth", body))


@pytest.mark.parametrize("nest", [b"]" * 100_000 + b"a" * 99_999, b")" + b"\x85" * 100_000])
def test_deep_nesting_is_read_and_shown_in_bounded_depth(tmp_path, nest, capsys):
    path = write(tmp_path / "a.pth", b"}" + text("w") + tensor() + b"s" + text("deep") + nest + b"s")
    assert main(["inspect", str(path)]) == 0
    assert "deep: [[[" in capsys.readouterr().out


def test_a_value_that_contains_itself_is_shown(tmp_path, capsys):
    path = write(tmp_path / "a.pth", b"}" + text("w") + tensor() + b"s" + text("loop") + b"]q\x00h\x00as")
    assert main(["inspect", str(path)]) == 0
    assert "loop: [[[list of 1]]]" in capsys.readouterr().out


def test_names_cannot_reach_the_terminal_as_control_codes(tmp_path, capsys):
    path = write(tmp_path / "a.pth", b"}" + text("slot.\x1b[2Jw") + tensor() + b"s")
    assert main(["inspect", str(path)]) == 0
    options = ["--dataset", "imagenet", "--architecture", "resnet18"]
    assert main(["scouter", str(path), str(tmp_path / "m.onnx"), *options]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err and "[2Jw" in shown.out and "[2Jw" in shown.err


def test_numpy_values_of_a_wrong_size_or_kind_are_refused(tmp_path):
    kind = b"cnumpy\ndtype\n(" + text("f8") + b"\x89\x88tR"
    scalar = b"cnumpy.core.multiarray\nscalar\n(" + kind
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR("
    for body in (scalar + b"C\x04abcdtR", scalar + b"K\x01tR", scalar.replace(b"f8", b"O8") + b"C\x0812345678tR",
                 array + b"K\x01K\x02\x85" + kind + b"\x89C\x0812345678tb",
                 array + b"K\x01K\x01\x85" + kind + b"\x89K\x01tb", array + b"tb", array + b"K\x01K\x01tb"):
        assert "NumPy" in refusal(write(tmp_path / "a.pth", body)) or "numpy" in refusal(tmp_path / "a.pth")


def test_work_is_bounded_by_a_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickle.Machine.__init__, "__defaults__", (0, 1000))
    pairs = b"](" + (b"]" + text("k") + b"aK\x01a") * 50 + b"eq\x01"
    calls = (b"ccollections\nOrderedDict\n(h\x01tR0") * 20
    assert "unreasonably large" in refusal(write(tmp_path / "a.pth", pairs + calls + b"}"))


def test_a_compressed_member_is_refused(tmp_path):
    bomb = b"}" + text("w") + tensor(count=2**24, shape=(2**24,)) + b"s"
    path = write(tmp_path / "a.pth", bomb, storages=(bytes(2**26),), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20 and "compressed" in refusal(path)


def test_a_member_that_claims_to_be_larger_than_the_file_is_refused(tmp_path):
    path = write(tmp_path / "a.pth", b"}" + text("w") + tensor(count=2**28, shape=(2**28,)) + b"s")
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)  # the storage's entry in the directory
    raw[entry + 20 : entry + 28] = struct.pack("<II", 2**30, 2**30)
    path.write_bytes(raw)
    assert "claims" in refusal(path)


@pytest.mark.parametrize("members, says", [
    ({"constants.pkl": b""}, "TorchScript"), ({"byteorder": b"big"}, "big-endian"),
])
def test_other_archives_are_named(tmp_path, members, says):
    assert says in refusal(write(tmp_path / "a.pth", b"}", **members))


def legacy(body, keys=b"]", tail=b""):
    head = b"\x80\x02" + integer(0x1950A86A20F9469CFC6C) + b"." + b"\x80\x02" + integer(1001) + b"." + b"\x80\x02}."
    return head + b"\x80\x02" + body + b"." + b"\x80\x02" + keys + b"." + tail


WEIGHT = b"}" + text("w") + tensor() + b"s"
ONE_KEY = b"]" + text("0") + b"a"


def test_a_hand_made_legacy_file_is_read(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(legacy(WEIGHT, ONE_KEY, struct.pack("<q4f", 4, 1, 2, 3, 4)))
    assert checkpoint.read(str(path)).tensors()["w"].numpy().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [
    legacy(b"cos\nsystem\n("),
    legacy(WEIGHT, b"]"),
    legacy(WEIGHT, ONE_KEY),
    legacy(WEIGHT, ONE_KEY, struct.pack("<q", 4) + bytes(15)),
    legacy(WEIGHT, ONE_KEY, struct.pack("<q", 2**60) + bytes(16)),
    legacy(WEIGHT, b"]" + text("1") + b"a", struct.pack("<q", 4) + bytes(16)),
    legacy(WEIGHT, b"]K\x01a", struct.pack("<q", 4) + bytes(16)),
    legacy(WEIGHT, b"}", b""),
])
def test_hostile_legacy_files_are_refused(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    refusal(path)
