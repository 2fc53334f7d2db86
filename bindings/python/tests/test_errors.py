"""Mistakes get an exception of their own class, and a message that helps."""

import errno
import subprocess
import sys

import numpy as np
import pytest
from conftest import COLOURS, ROOT
from networks import Network

import limpid


@pytest.mark.parametrize("x, words", [
    (np.zeros((32, 32, 3), np.int64), "int64"),
    (np.zeros((32, 32, 3), np.float32), r"transpose\(2, 0, 1\)"),
    (np.zeros((3, 32, 32), np.uint8), r"transpose\(1, 2, 0\)"),
    (np.zeros((4, 32, 32), np.float32), "3 channels"),
    (np.zeros((32, 32), np.float32), "channels, height, width"),
    (np.zeros((2, 2, 2, 2, 2), np.uint8), "height, width"),
    (np.zeros((0, 32, 3), np.uint8), "without pixels"),
    (np.zeros((3, 32, 31), np.float32), "width must be 32"),
    (np.array(["a"]), "<U1"),
    (3.5, "float is no image"),
    (None, "NoneType is no image"),
    ([[np.zeros((3, 32, 32), np.float32)]], "holds a list"),
    ([], "image_count is 0"),
])
def test_what_is_no_image_is_refused(model, x, words):
    with pytest.raises(limpid.InvalidArgument, match=words):
        model.classify(x)


@pytest.mark.parametrize("kind, base, call", [
    (limpid.NotFound, LookupError, lambda m, t: limpid.Model("/no/such.onnx")),
    (limpid.NotFound, LookupError, lambda m, t: m.classify("/no/such.png")),
    (limpid.NotFound, LookupError, lambda m, t: m.explain(t, "scooter")),
    (limpid.NotFound, LookupError, lambda m, t: m.explain(t, slots=1)),
    (limpid.NotFound, LookupError, lambda m, t: m.explain(t, nonsense=1)),
    (limpid.NotFound, LookupError, lambda m, t: m.fetch(t, ["nothing"])),
    (limpid.NotFound, LookupError, lambda m, t: m.explain(t)[0].overlay(colormap="mauve")),
    (limpid.ReadWriteError, OSError, lambda m, t: limpid.Model("/")),
    (limpid.InvalidModel, ValueError, lambda m, t: limpid.Model(b"rubbish")),
    (limpid.InvalidImage, ValueError, lambda m, t: m.classify(b"rubbish")),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.explain(t, classes=3)),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.explain(t, classes="mauve")),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.explain(t, classes=2**40)),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.explain(t, slot=float("nan"))),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.run({"input": t})),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.run({})),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.run({"input": np.array("text")})),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.run({"input": t[None].astype("f8")})),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.classify(t, threads=-1)),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.classify(t, threads=2**32)),
    (limpid.InvalidArgument, ValueError, lambda m, t: limpid.Model(COLOURS, precision="exact")),
    (limpid.InvalidArgument, ValueError, lambda m, t: limpid.Model(COLOURS, memory_limit=-1)),
    (limpid.InvalidArgument, ValueError, lambda m, t: m.preprocess([t, t])),
    (limpid.Unsupported, NotImplementedError, lambda m, t: m.preprocess(t)),
])
def test_each_failure_has_its_class(model, tensor, kind, base, call):
    with pytest.raises(kind) as caught:
        call(model, tensor)
    assert isinstance(caught.value, base) and isinstance(caught.value, limpid.LimpidError)
    assert len(str(caught.value)) > 10


@pytest.mark.parametrize("limit, words", [
    (1, "1 byte"), (300, "300 bytes"), (1536, "1.5 KiB"), (5000, "4.8 KiB"), (9 << 10, "9 KiB"),
])
def test_a_memory_limit_is_said_in_the_unit_of_its_size(limit, words):
    with pytest.raises(limpid.Unsupported, match=rf"[1-9][\d.]* (bytes|KiB|MiB); the memory limit is {words}$"):
        limpid.Model(COLOURS, memory_limit=limit).classify(np.zeros((32, 32, 3), np.uint8))


def test_the_message_of_a_missing_name_lists_what_there_is(model, tensor):
    with pytest.raises(limpid.NotFound, match='"scouter"'):
        model.explain(tensor, "scooter")


def test_threads_keep_their_errors_apart(tensor):
    from concurrent.futures import ThreadPoolExecutor

    def fail(i):
        with pytest.raises(limpid.NotFound) as caught:
            limpid.Model(f"/no/model-{i}.onnx")
        return f"model-{i}.onnx" in str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fail, range(200)))


def test_a_missing_file_is_what_python_calls_one(model, tensor, tmp_path):
    why = model.explain(tensor)[0]
    (tmp_path / "file").write_bytes(b"x")
    for call, path, kind, number in (
        (limpid.Model, tmp_path / "nowhere.onnx", FileNotFoundError, errno.ENOENT),
        (limpid.Model, "nowhere é.onnx", FileNotFoundError, errno.ENOENT),
        (model.classify, str(tmp_path / "nowhere.png"), FileNotFoundError, errno.ENOENT),
        (why.save, tmp_path / "no" / "why.png", FileNotFoundError, errno.ENOENT),
        (why.save, tmp_path / "no" / "why.jpg", FileNotFoundError, errno.ENOENT),
        (limpid.Model, tmp_path, IsADirectoryError, errno.EISDIR),
        (model.classify, tmp_path, IsADirectoryError, errno.EISDIR),
        (why.save, tmp_path, IsADirectoryError, errno.EISDIR),
        (limpid.Model, tmp_path / "file" / "x.onnx", NotADirectoryError, errno.ENOTDIR),
        (limpid.Model, tmp_path / ("x" * 300), OSError, errno.ENAMETOOLONG),
    ):
        with pytest.raises(kind) as caught:
            call(path)
        error = caught.value
        assert isinstance(error, limpid.LimpidError) and isinstance(error, OSError)
        assert (error.errno, error.filename) == (number, str(path))
        assert isinstance(error, LookupError) == (number == errno.ENOENT)
        assert str(error).startswith("cannot ") and str(path) in str(error)


def test_what_is_not_permitted_is_a_permission_error(tmp_path):
    code = f"""
import os, limpid
if os.getuid() == 0:
    os.setuid(65534)
try:
    limpid.Model(sys.argv[1])
except PermissionError as error:
    assert isinstance(error, limpid.LimpidError) and (error.errno, error.filename) == (13, sys.argv[1]), error
    print("not permitted")
"""
    path = tmp_path / "model.onnx"
    path.write_bytes(COLOURS.read_bytes())
    path.chmod(0)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[2])" + code, path, ROOT / "bindings" / "python"],
        capture_output=True, text=True)
    assert done.stdout == "not permitted\n", done.stderr


def test_a_full_disk_is_an_os_error(model, tensor):
    with pytest.raises(limpid.ReadWriteError) as caught:
        model.explain(tensor)[0].save("/dev/full")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")


def save_with_weights_beside(folder, location="weights.bin"):
    """m.onnx, whose weights lie in another file."""
    onnx = pytest.importorskip("onnx")
    import onnx.external_data_helper
    weights = onnx.numpy_helper.from_array(np.ones((2000,), np.float32), "w")
    value = [onnx.helper.make_tensor_value_info(name, 1, [2000]) for name in "xy"]
    made = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", value[:1], value[1:], [weights]),
        opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / "m.onnx", save_as_external_data=True, location=location, size_threshold=0)


def test_external_data_that_is_missing_is_not_taken_for_the_model(tmp_path):
    save_with_weights_beside(tmp_path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(FileNotFoundError, match="weights.bin") as caught:
        limpid.Model(tmp_path / "m.onnx")
    assert caught.value.errno == errno.ENOENT and caught.value.filename != str(tmp_path / "m.onnx")


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_links_to_external_data_are_refused_where_that_is_asked(tmp_path, linked):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    save_with_weights_beside(tmp_path / "model", "sub/weights.bin")
    path = tmp_path / "model" / "m.onnx"
    x = np.zeros(2000, np.float32)
    assert limpid.Model(path, refuse_links=True).run({"x": x})
    place = tmp_path / "model" / "sub" if linked == "folder" else tmp_path / "model" / "sub" / "weights.bin"
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert limpid.Model(path).run({"x": x})
    with pytest.raises(limpid.InvalidModel, match=f'behind a symbolic link, "{place.name}", and links are refused'):
        limpid.Model(path, refuse_links=True)
    # The model file itself is the caller's to name.
    (tmp_path / "m.onnx").symlink_to(path)
    place.unlink()
    (tmp_path / "elsewhere").rename(place)
    with pytest.raises(FileNotFoundError):
        limpid.Model(place.parent / "missing.onnx", refuse_links=True)


def test_every_exception_class_is_exported_and_a_limpid_error():
    from limpid import _errors
    own = [kind for kind in vars(_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(own) == 15
    for kind in own:
        assert getattr(limpid, kind.__name__) is kind and issubclass(kind, limpid.LimpidError)


@pytest.mark.parametrize("call", [
    lambda m, x: limpid.Model(3.5), lambda m, x: limpid.Model(None), lambda m, x: limpid.Model([]),
    lambda m, x: limpid.Model(COLOURS, threads="2"), lambda m, x: limpid.Model(COLOURS, memory_limit=1.5),
    lambda m, x: limpid.Model(COLOURS, preprocess=7), lambda m, x: limpid.Model("\ud800"),
    lambda m, x: limpid.Model(COLOURS, precision=7),
    lambda m, x: m.classify(x, output=7), lambda m, x: m.classify(x, output="\ud800"),
    lambda m, x: m.classify(x, threads=1.5), lambda m, x: m.classify(x, feeds=7), lambda m, x: m.classify(x, feeds=[x]),
    lambda m, x: m.classify(iter([x]), batch_size=-1), lambda m, x: m.classify(iter([x, 7])),
    lambda m, x: m.classify(x, feeds={7: x}), lambda m, x: m.classify(x, progress=7),
    lambda m, x: m.explain(x, 7), lambda m, x: m.explain(x, layer=7), lambda m, x: m.explain(x, draws=7),
    lambda m, x: m.explain(x, classes=1.5), lambda m, x: m.explain(x, classes=[None]),
    lambda m, x: m.explain(x, classes=[[0.5]]), lambda m, x: m.explain(x, classes=object()),
    lambda m, x: m.explain(x, classes=np.array([0.5])), lambda m, x: m.explain(x, slot=object()),
    lambda m, x: m.explain(x, seed="a"), lambda m, x: m.explain(x, "rise", masks=10**400), lambda m, x: m.explain(x, sign=0),
    lambda m, x: limpid.evaluate(m, [(x, 0, 1)], [], ["accuracy"]), lambda m, x: limpid.evaluate(m, [x], {"rise": 1}),
    lambda m, x: limpid.evaluate(m, [x], [("rise", {"masks": 4})]), lambda m, x: limpid.evaluate(m, [x], [7]),
    lambda m, x: m.explain(x, draws={"noise": [[1], [1, 2]]}),
    lambda m, x: m.run(7), lambda m, x: m.run({"input": [[1], [1, 2]]}), lambda m, x: m.run({"input": object()}),
    lambda m, x: m.run({"input": x[None]}, 7), lambda m, x: m.fetch(x, None), lambda m, x: m.gradient(x, wrt=7),
    lambda m, x: m.gradient(x, of=object()), lambda m, x: m.name_filters([x], ["a"]), lambda m, x: m.name_filters([x], 7),
    lambda m, x: m.measure(x, None, 7), lambda m, x: m.metadata(7), lambda m, x: m.preprocess(None),
    lambda m, x: m.explain(x)[0].overlay(size=7), lambda m, x: m.explain(x)[0].overlay(size=(1, 2, 3)),
    lambda m, x: m.explain(x)[0].overlay(size=("a", 2)), lambda m, x: m.explain(x)[0].overlay(colormap=7),
    lambda m, x: m.explain(x)[0].overlay(opacity="a"), lambda m, x: m.explain(x)[0].save(7),
    lambda m, x: m.explain(x)[0].save("x.jpg", quality="a"), lambda m, x: m.explain(x)[0].save("\ud800.png"),
])
def test_what_is_of_a_wrong_kind_is_refused_by_an_exception_of_ours(model, tensor, call):
    with pytest.raises(limpid.LimpidError) as caught:
        result = call(model, tensor)
        list(result)
    assert isinstance(caught.value, (ValueError, LookupError, NotImplementedError)) and len(str(caught.value)) > 10


def test_which_setting_is_of_a_wrong_kind_is_said(model, tensor):
    with pytest.raises(limpid.InvalidType, match="seed is of a wrong type, 1.5"):
        model.explain(tensor, "rise", seed=1.5)
    with pytest.raises(limpid.InvalidType, match="batch_size is of a wrong type, 'a'"):
        model.classify(tensor, batch_size="a")


def test_a_label_of_several_classes_is_refused(tmp_path):
    network = Network()
    y = network.logits("x", 3, 4)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 8, 8])}, {y: ("float32", ["N", 4])},
                 {"limpid.labels": "crane\nEgyptian cat\ncrane\ndog"})
    model, x = limpid.Model(tmp_path / "m.onnx"), np.zeros((3, 8, 8), np.float32)
    with pytest.raises(limpid.InvalidArgument, match="several classes are labelled 'crane': 0, 2"):
        model.explain(x, classes="crane")
    with pytest.raises(limpid.InvalidArgument, match="several classes are labelled \"crane\": 0, 2"):
        limpid.evaluate(model, [x], ["saliency"], [], explain="crane")
    with pytest.raises(limpid.InvalidArgument, match="no class labelled 'egyptian cat'; did you mean 'Egyptian cat'"):
        model.explain(x, classes="egyptian cat")
    assert model.explain(x, classes="dog")[0].class_index == 3


def test_images_by_name_have_their_classes(tmp_path):
    network = Network()
    y = network.logits("x", 3, 4)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 8, 8])}, {y: ("float32", ["N", 4])},
                 {"limpid.preprocess": "resize exact 8 8 bilinear; scale 1/255"})
    pillow = pytest.importorskip("PIL.Image")
    for name in "ab":
        pillow.fromarray(np.full((8, 8, 3), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
    named = {str(tmp_path / "a.png"): 3, str(tmp_path / "b.png"): 1}
    pages = [limpid.evaluate(limpid.Model(tmp_path / "m.onnx"), data, [], ["accuracy"]).document("images.csv")
             for data in (named, list(named.items()))]
    assert pages[0] == pages[1] and b",3," in pages[0]


@pytest.mark.parametrize("shape", [[2, 0, 4], [0, 3, 8, 8], [1, 3, 0, 8], [1, 3, 8, 0], [0, 0, 0, 0]])
@pytest.mark.parametrize("operator", ["ReduceSum", "Transpose", "Relu", "ReduceMax"])
def test_inputs_without_elements_are_no_end_of_the_process(operator, shape):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator
    made = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x"], ["y"])], "empty",
        [onnx.helper.make_tensor_value_info("x", 1, shape)], [onnx.helper.make_tensor_value_info("y", 1, None)]),
        opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    x = np.zeros(shape, np.float32)
    expected = ReferenceEvaluator(made).run(None, {"x": x})[0] if operator != "ReduceMax" else None
    found = limpid.Model(made).run({"x": x})["y"]
    if expected is not None:
        assert found.shape == expected.shape and np.array_equal(found, expected)
