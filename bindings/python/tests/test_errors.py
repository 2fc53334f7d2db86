"""Mistakes get an exception of their own class, and a message that helps."""

import numpy as np
import pytest
from conftest import COLOURS

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
