"""Models and files that go while others use them; what is written, and what messages say."""

import os
import resource
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS

import limpid


def test_a_model_may_be_closed_while_others_use_it():
    """The calls in flight end, later ones are refused; the last one gives the memory back."""
    image = np.zeros((30, 20, 3), np.uint8)
    refused = []

    def work(model, started):
        try:
            while True:
                model.classify(image)
                started.set()
                model.methods, model.labels, model.scores
        except limpid.InvalidArgument as error:
            refused.append(str(error))

    for _ in range(40):
        with limpid.Model(COLOURS, threads=1) as model:
            started = [threading.Event() for _ in range(3)]
            threads = [threading.Thread(target=work, args=(model, event)) for event in started]
            for thread in threads:
                thread.start()
            for event in started:
                event.wait(60)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert refused == ["the model is closed"] * 120


def test_what_the_model_says_of_itself_outlives_it():
    model = limpid.Model(COLOURS)
    before = model.info, model.scores
    model.close()
    assert (model.info, model.scores) == before
    with pytest.raises(limpid.InvalidArgument, match="closed"):
        model.methods


def test_a_copied_file_may_become_shorter(tmp_path):
    """Mapped, the file would end the process here."""
    path = tmp_path / "model.onnx"
    path.write_bytes(Path(COLOURS).read_bytes())
    image = np.zeros((30, 20, 3), np.uint8)
    with limpid.Model(path, copy=True) as model:
        path.write_bytes(b"")
        found = model.classify(image)
    with limpid.Model(COLOURS) as model:
        np.testing.assert_array_equal(found, model.classify(image))


def test_pictures_are_written_whole_or_not_at_all(tmp_path):
    """Also through links, and keeping permissions; what was there stays where the disk is full."""
    with limpid.Model(COLOURS) as model:
        why = model.explain(np.zeros((30, 20, 3), np.uint8))[0]
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    real.write_bytes(b"before")
    real.chmod(0o640)
    link.symlink_to(real)
    why.save(link)
    assert link.is_symlink() and real.read_bytes().startswith(b"\x89PNG") and real.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.png", "real.png"]
    if os.path.exists("/dev/full"):
        with pytest.raises(limpid.LimpidError, match="No space left"):
            why.save("/dev/full")
    written = real.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        for path in (real, tmp_path / "new.png"):
            with pytest.raises(limpid.LimpidError, match="File too large"):
                why.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert real.read_bytes() == written and sorted(os.listdir(tmp_path)) == ["link.png", "real.png"]


def test_messages_have_no_control_characters(tmp_path):
    with pytest.raises(limpid.LimpidError) as refusal:
        limpid.Model(tmp_path / "a\x1b[2J\n.onnx")
    assert "a\ufffd[2J\ufffd.onnx" in str(refusal.value) and "\x1b" not in str(refusal.value)
