"""Images that come one after the other; progress of every kind."""

import functools
import gc
import logging
import weakref

import numpy as np
import pytest
from conftest import COLOURS

import limpid


class Counted(np.ndarray):
    """An image whose life can be watched."""


def images(count, alive=None, most=None):
    for i in range(count):
        image = np.zeros((32, 32, 3), np.uint8).view(Counted)
        image[..., i % 3] = 255
        if alive is not None:
            gc.collect()
            most.append(sum(ref() is not None for ref in alive))
            alive.append(weakref.ref(image))
        yield image


@pytest.mark.parametrize("make", [iter, lambda x: map(np.asarray, x), lambda x: (i for i in x), lambda x: dict(enumerate(x)).values()])
def test_an_iterator_gives_what_a_list_gives(model, make):
    x = list(images(21))
    np.testing.assert_array_equal(model.classify(make(x)), model.classify(x))
    found = list(model.explain(make(x), classes=["red", 2]))
    expected = model.explain(x, classes=["red", 2])
    assert len(found) == 42
    for a, b in zip(found, expected):
        assert (a.image_index, a.class_index, a.score) == (b.image_index, b.class_index, b.score)
        np.testing.assert_array_equal(a.grid, b.grid)


def test_few_images_of_an_iterator_are_in_memory(model):
    alive, most = [], []
    assert model.classify(images(100, alive, most)).shape == (100, 3)
    assert max(most) <= 2 * 8
    alive, most = [], []
    for why in model.explain(images(40, alive, most), batch_size=3):
        assert why.map.shape == (32, 32)
    assert max(most) <= 2 * 3


def test_no_image_gives_no_row(model):
    assert model.classify(iter(())).shape == (0, 3)
    assert list(model.explain(iter(()))) == []


def test_an_explanation_comes_before_the_iterator_ends(model):
    def endless():
        while True:
            yield from images(3)

    stream = model.explain(endless(), batch_size=1)
    assert [next(stream).class_index for _ in range(5)] == [0, 1, 2, 0, 1]


def test_errors_of_a_stream(model):
    def broken():
        yield np.zeros((32, 32, 3), np.uint8)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        model.classify(broken())
    with pytest.raises(limpid.InvalidArgument, match="same for every one"):
        model.explain(images(2), classes=[[0], [1]])
    for call in (lambda x: model.fetch(x, "logits"), model.gradient, lambda x: model.measure(x, None, "accuracy")):
        with pytest.raises(limpid.InvalidArgument, match=r"list\(…\)"):
            call(images(2))


def test_estimate_takes_an_iterator(model):
    x = list(images(5))
    expected = model.estimate(x)
    for name, array in model.estimate(images(5)).items():
        np.testing.assert_array_equal(array, expected[name])


def test_gray_images_in_one_array(model):
    stack = np.random.default_rng(0).integers(0, 256, (7, 72, 72), dtype=np.uint8)
    rows = model.classify(stack)
    assert rows.shape == (7, 3)
    np.testing.assert_array_equal(rows, model.classify(stack[..., None]))
    np.testing.assert_array_equal(rows, model.classify(list(stack)))
    assert model.classify(stack[:1]).shape == (1, 3)
    assert len(model.explain(stack)) == 7
    assert model.classify(stack[:, :, :3]).shape == (3,)  # one image of three colours
    with pytest.raises(limpid.InvalidArgument, match=r"\[height, width, 1, 3 or 4\]"):
        model.classify(stack[:, :, :2])  # gray and alpha, perhaps
    for count in (3, 4):
        with pytest.raises(limpid.InvalidArgument, match=r"planes of colours.*gray images: \[\.\.\., None\]"):
            model.classify(stack[:count])


@pytest.mark.parametrize("classes, expected", [
    (range(3), [0, 1, 2]), ((c for c in ("red", 2)), [0, 2]), (np.arange(2), [0, 1]), ({"a": 1}.values(), [1]),
    ([np.int64(2)], [2]), ([range(2)], [0, 1]), (np.int8(1), [1]),
])
def test_classes_of_any_kind(model, tensor, classes, expected):
    assert [why.class_index for why in model.explain(tensor, classes=classes)] == expected


def test_rows_of_classes_of_any_kind(model, tensor):
    rows = (range(2), np.array([2, 1]))
    assert [w.class_index for w in model.explain([tensor, tensor], classes=rows)] == [0, 1, 2, 1]
    with pytest.raises(limpid.InvalidArgument, match="classes are indices"):
        model.explain(tensor, classes=3.5)


def test_progress_of_an_iterator_counts_images(model):
    seen = []
    model.classify(images(20), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (20, 20)
    with pytest.raises(limpid.Cancelled):
        model.classify(images(20), progress=lambda done, total: done < 9)


class Bar:
    """As much of tqdm as is used."""

    made = []

    def __init__(self, total=None, desc=None):
        self.n, self.total, self.desc, self.closed = 0, total, desc, False
        Bar.made.append(self)

    def update(self, n=1):
        self.n += n

    def close(self):
        self.closed = True


def bars():
    yield Bar
    try:
        from tqdm import tqdm
    except ImportError:
        return
    yield tqdm


@pytest.mark.parametrize("bar", list(bars()))
def test_progress_takes_a_bar(model, bar, tensor, capsys):
    x = [tensor] * 30
    for call in (model.classify, model.explain, lambda x, progress: model.fetch(x, "logits", progress=progress),
                 lambda x, progress: model.classify(iter(x), progress=progress)):
        mine = bar(total=1)
        call(x, progress=mine)
        assert mine.n == mine.total > 1 and not getattr(mine, "closed", False)
        mine.close()
        Bar.made.clear()
        call(x, progress=bar)
        call(x, progress=functools.partial(bar, desc="mine"))
        if bar is Bar:
            assert all(made.closed and made.n == made.total > 0 for made in Bar.made)
            assert [made.desc for made in Bar.made] == [None, "mine"]
        else:
            assert "mine: 100%" in capsys.readouterr().err


def test_messages_go_to_logging_as_it_is_configured(caplog):
    limpid.set_log_handler(logging.getLogger("limpid").log, logging.DEBUG)  # the start, which other tests leave
    with caplog.at_level(logging.INFO, "limpid"):
        limpid.Model(COLOURS)
    assert [(r.name, r.levelno) for r in caplog.records] == [("limpid", logging.INFO)]
    assert "colours" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "limpid"):
        limpid.Model(COLOURS)
    assert not caplog.records


def test_a_program_without_logging_is_left_in_peace():
    import subprocess
    import sys
    code = f"import limpid; limpid.Model({str(COLOURS)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
