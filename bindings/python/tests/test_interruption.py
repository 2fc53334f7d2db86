"""Long calls: progress, cancelling, Ctrl-C and other signals, threads."""

import ctypes
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import COLOURS, ROOT
from PIL import Image

import limpid
from limpid import _abi
from limpid._library import library

# A call of some minutes, were it left alone.
LONG_CALL = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(ROOT / "bindings" / "python")!r})
import numpy as np, limpid
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored
model = limpid.Model({str(COLOURS)!r})
images = np.zeros((64, 3, 32, 32), np.float32)
def long_call():
    for _ in range(1000000):
        model.classify(images, batch_size=1)
"""


# A thread that stops the call, and what the process has computed by then, all its threads together: of what a stalling
# machine takes, that knows little. `stopped_soon` is asked where the call has ended.
STOPPING = """
at = []
def stop(number):
    at.append(time.process_time())
    os.kill(os.getpid(), number)
def stopped_soon():
    return time.process_time() - at[0] < 10
"""


def run_long_call(body):
    # Left alone, it would take hours; the limit is for calls that cannot be stopped at all.
    return subprocess.run(
        [sys.executable, "-c", LONG_CALL + STOPPING + body], capture_output=True, text=True, timeout=600, env=os.environ)


@pytest.fixture
def many(tensor):
    return np.broadcast_to(tensor, (200, *tensor.shape))


def test_progress_rises_to_its_total(model, many):
    seen = []
    model.classify(many, progress=lambda done, total: seen.append((done, total)), batch_size=10)
    shares = [done / total for done, total in seen]
    assert len(seen) >= 20 and shares == sorted(shares) and shares[-1] == 1


def test_progress_that_returns_false_cancels(model, many):
    calls = []
    with pytest.raises(limpid.Cancelled):
        model.explain(many, progress=lambda done, total: calls.append(done) or len(calls) < 3)
    assert len(calls) == 3


def test_an_exception_in_progress_reaches_the_caller(model, many):
    def fail(done, total):
        raise KeyError("mine")

    for call in (model.classify, model.explain, lambda x, progress: model.fetch(x, "logits", progress=progress)):
        with pytest.raises(KeyError, match="mine"):
            call(many, progress=fail)


def test_progress_must_be_a_function(model, tensor):
    with pytest.raises(TypeError, match="progress"):
        model.classify(tensor, progress=3)


def test_signal_handlers_are_as_before_after_each_call(model, tensor):
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    model.classify(tensor)
    with pytest.raises(limpid.NotFound):
        model.explain(tensor, "scooter")
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


def test_a_handler_runs_during_the_call_and_its_exception_ends_it(model):
    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    images = np.zeros((20000, 3, 32, 32), np.float32)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(Alarm):
            try:
                # Again and again, because Python drops an exception that is raised in a finalizer.
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.5)
                while True:
                    model.classify(images, batch_size=1)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_ctrl_c_ends_a_long_call():
    done = run_long_call("""
try:
    threading.Timer(0.3, stop, [signal.SIGINT]).start()
    long_call()
except KeyboardInterrupt:
    print("stopped", stopped_soon())
""")
    assert (done.stdout, done.stderr, done.returncode) == ("stopped True\n", "", 0)


def test_ctrl_c_ends_a_single_call_inside_of_it():
    done = run_long_call("""
images = np.broadcast_to(np.zeros((3, 32, 32), np.float32), (200000, 3, 32, 32))
try:
    threading.Timer(1.0, stop, [signal.SIGINT]).start()
    while True:
        model.classify(list(images[:2000]) * 100, batch_size=1)
except KeyboardInterrupt:
    print("stopped", stopped_soon())
""")
    assert (done.stdout, done.stderr, done.returncode) == ("stopped True\n", "", 0)


def test_sys_exit_in_a_handler_ends_the_program():
    done = run_long_call("""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7 if stopped_soon() else 8))
threading.Timer(0.3, stop, [signal.SIGTERM]).start()
long_call()
""")
    assert (done.stderr, done.returncode) == ("", 7)


def test_one_model_serves_many_threads_with_the_same_bits(model, tensor):
    images = np.stack([np.roll(tensor, i, axis=0) for i in range(6)])
    expected = model.classify(images)
    expected_map = model.explain(images[0])[0].map

    def work(i):
        rows = model.classify(images, threads=1 + i % 3, batch_size=1 + i % 6)
        (why,) = model.explain(images[0], progress=lambda done, total: None)
        return np.array_equal(rows, expected) and np.array_equal(why.map, expected_map)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(80)))


def test_other_threads_run_during_a_call(model):
    """Were the interpreter's lock held, there would be a turn before the call and one behind it. Of one call another thread may
    miss much, where the machine stalls; not of a hundred."""
    images = np.zeros((3000, 3, 32, 32), np.float32)
    turns, most, over = 0, 0, threading.Event()

    def work():
        nonlocal most
        for _ in range(100):
            before = turns
            model.classify(images, batch_size=1)
            most = max(most, turns - before)
            if most > 3:
                break
        over.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not over.is_set():
        turns += 1
        time.sleep(0.0005)
    worker.join()
    assert most > 3


def large_png():
    """A file of some 30 million pixels, which takes tenths of a second to read."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((6000, 5000, 3), np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def test_progress_is_asked_while_images_are_read(model):
    file, seen = large_png(), []

    def stop(done, total):
        seen.append(done)
        return len(seen) < 3

    calls = [
        model.classify, model.explain, model.preprocess, lambda x, progress: model.fetch(x, "logits", progress=progress),
        lambda x, progress: model.gradient(x, [0], progress=progress),
        lambda x, progress: model.measure(x, np.zeros((1, 8, 8), np.float32), "deletion", progress=progress)]
    for call in calls:
        seen.clear()
        with pytest.raises(limpid.Cancelled):
            call(file, progress=stop)
        # Of the call itself nothing is done by then.
        assert seen == [0, 0, 0]


def test_preparing_an_image_reports_and_stops(model):
    pixels, seen = np.zeros((6000, 5000, 3), np.uint8), []
    model.preprocess(pixels, progress=lambda done, total: seen.append(done / total))
    assert seen and seen == sorted(seen)
    with pytest.raises(limpid.Cancelled):
        model.preprocess(pixels, progress=lambda done, total: False)


def test_a_report_reports_and_stops(model, red, tmp_path):
    explanations = model.explain([red] * 3, "grad-cam", classes=[0, 1])
    seen = []
    model.report(explanations, tmp_path / "page.html", progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) >= 3
    with pytest.raises(limpid.Cancelled):
        model.report(explanations, tmp_path / "other.html", progress=lambda done, total: False)
    assert not (tmp_path / "other.html").exists()


def test_a_map_reports_and_stops(model):
    why = model.explain(np.zeros((3000, 3000, 3), np.uint8), "grad-cam")[0]
    handle, index = why._facts.at
    view, seen = _abi.MapView(), []

    def ask(answer):
        callback = _abi.ProgressCallback(lambda user, done, total: seen.append(done) or answer)
        options = _abi.RunOptions(progress=callback)
        library.limpid_explanation_map_with(handle, index, ctypes.byref(options), ctypes.byref(view))

    with pytest.raises(limpid.Cancelled):
        ask(1)
    ask(0)
    assert (view.width, view.height) == (3000, 3000) and len(seen) >= 3
    with pytest.raises(limpid.NotFound, match="there is no explanation 1; there are 1"):
        library.limpid_explanation_map_with(handle, 1, None, ctypes.byref(view))
