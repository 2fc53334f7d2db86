"""limpid evaluate: the same numbers as limpid measure, and means as NumPy takes them."""

import csv
import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import sqlite3
import subprocess

import numpy as np
import onnx
import pytest
from conftest import PROGRAM
from PIL import Image

CLASSES = 5


def make_folders(case, per_class=2, classes=CLASSES):
    """A folder for each class, of random images of several sizes. Returns the paths, in the order of the data set."""
    random = np.random.default_rng(3)
    paths = []
    for c in range(classes):
        (case.folder / "set" / str(c)).mkdir(parents=True)
        for i in range(per_class):
            size = (18 + 2 * i, 20 + c, 3)
            path = f"set/{c}/{i}.png"
            Image.fromarray(random.integers(0, 256, size, np.uint8)).save(case.folder / path)
            paths.append(path)
    return paths


def evaluate(case, *words):
    result = case.run("evaluate", "bare.onnx", *PREPARED, *words, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


PREPARED = ("--preprocess", "resize exact 16 16 bilinear; scale 1/255")


def test_means_are_those_of_what_measure_gives_for_each_image(case):
    paths = make_folders(case)
    words = ("--metric", "insertion,deletion,average-drop", "--metric-parameter", "insertion.step=32")
    measured = case.run("measure", "bare.onnx", *paths, *PREPARED, "--method", "grad-cam", "--json", *words)
    assert measured.returncode == 0, measured.stderr
    expected = {m["metric"]: m for m in json.loads(measured.stdout)["metrics"]}
    found = evaluate(case, "--data", "set", "--method", "grad-cam,occlusion", *words)
    assert found["data"]["evaluated"] == len(paths) == 10
    for metric in ("insertion", "deletion", "average-drop"):
        (result,) = [r for r in found["results"] if (r["method"], r["metric"]) == ("grad-cam", metric)]
        values = np.array([row["value"] for row in expected[metric]["values"]])
        assert result["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert result["low"] < result["mean"] < result["high"] and result["images"] == 10
        if result["curve"]:
            curves = np.array([row["curve"] for row in expected[metric]["values"]])
            np.testing.assert_allclose(result["curve"], curves.mean(0), rtol=1e-12)
    assert len(found["comparisons"]) == 3


def test_a_damaged_image_is_listed_and_the_others_count(case):
    make_folders(case)
    (case.folder / "set/2/0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = evaluate(case, "--data", "set", "--method", "grad-cam", "--metric", "average-drop")
    (failed,) = found["data"]["failed"]
    assert failed["name"] == "2/0.png" and "2/0.png" in failed["reason"]
    assert found["data"]["evaluated"] == 9 and found["results"][0]["images"] == 9 and found["data"]["complete"]


RUN = ("evaluate", "bare.onnx", "--data", "set", *PREPARED, "--method", "grad-cam,rise", "--parameter", "masks=600",
       "--metric", "insertion,sensitivity,confusion", "--metric-parameter", "sensitivity.samples=4", "--seed", "3")


def results(folder):
    return [(folder / name).read_bytes() for name in ("results.json", "results.csv", "images.csv", "curves.csv")]


@pytest.fixture(scope="session")
def stops(tmp_path_factory):
    """What makes a program stop after each page that it writes into its store."""
    library = tmp_path_factory.mktemp("stops") / "stops.so"
    source = pathlib.Path(__file__).with_name("stops.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


def go_on(process):
    """Lets the program run until it stops again; whether it did, rather than end."""
    process.send_signal(signal.SIGCONT)
    found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if found.si_code == os.CLD_STOPPED:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    return found.si_code == os.CLD_STOPPED


def begin(case, stops, store, count, *words):
    """Starts the program, and returns when it has stopped (SIGSTOP) and keeps the records of `count` images or more."""
    process = subprocess.Popen(
        [PROGRAM, *words], cwd=case.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "LD_PRELOAD": str(stops)})
    while go_on(process):
        if done(store) >= count:
            return process
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(case, stops, workers):
    make_folders(case, per_class=6)
    whole = case.run(*RUN, "--report", "whole")
    assert whole.returncode == 0, whole.stderr
    store = case.folder / "killed/store.sqlite"
    process = begin(case, stops, store, 5, *RUN, "--report", "killed", "--threads", "1", "--workers", workers)
    process.kill()
    process.communicate()
    before = done(store)
    assert 5 <= before < 30 and not (case.folder / "killed/results.json").exists()
    again = case.run(*RUN, "--report", "killed", "--workers", workers)
    assert again.returncode == 0 and f"{before} of them are done already" in again.stderr
    assert results(case.folder / "killed") == results(case.folder / "whole")


def done(store):
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM records").fetchone()[0]
    except sqlite3.Error:
        return 0


def test_results_do_not_depend_on_threads_batches_or_the_order_of_records(case):
    make_folders(case)
    assert case.run(*RUN, "--report", "a", "--threads", "1").returncode == 0
    # The second half first, then all.
    lines = [f"{c}/{i}.png {c}" for c in range(5) for i in range(2)]
    (case.folder / "set/all.txt").write_text("\n".join(lines))
    (case.folder / "set/half.txt").write_text("\n".join(lines[5:]))
    words = [word if word != "set" else "set/half.txt" for word in RUN]
    assert case.run(*words, "--report", "b", "--threads", "3").returncode == 0
    words = [word if word != "set" else "set/all.txt" for word in RUN]
    assert "5 of them are done" in case.run(*words, "--report", "b", "--threads", "2").stderr
    one, two = (json.loads((case.folder / folder / "results.json").read_text()) for folder in "ab")
    assert one["data"].pop("format") == "folders" and two["data"].pop("format") == "list"
    for document in (one, two):
        document["data"].pop("path"), document["data"].pop("classes")
    assert one == two and results(case.folder / "a")[2] == results(case.folder / "b")[2]


def test_an_image_that_changed_is_evaluated_again_and_a_failed_one_too(case):
    paths = make_folders(case)
    good = (case.folder / paths[0]).read_bytes()
    (case.folder / paths[0]).write_bytes(b"nothing")
    assert case.run(*RUN, "--report", "a").returncode == 0
    first = json.loads((case.folder / "a/results.json").read_text())
    assert first["data"]["evaluated"] == 9
    (case.folder / paths[0]).write_bytes(good)
    (case.folder / paths[3]).write_bytes(good)
    said = case.run(*RUN, "--report", "a").stderr
    assert "8 of them are done already" in said
    assert case.run(*RUN, "--report", "b").returncode == 0
    assert results(case.folder / "a") == results(case.folder / "b")


def test_a_store_of_other_settings_is_refused_and_says_what_differs(case):
    make_folders(case, per_class=1)
    words = ("evaluate", "bare.onnx", "--data", "set", *PREPARED, "--metric", "increase", "--report", "a")
    assert case.run(*words, "--method", "rise", "--parameter", "masks=20").returncode == 0
    for change, message in [
        (("--method", "rise", "--parameter", "masks=30"), "methods rise.parameters.masks was 20.0, and is 30.0"),
        (("--method", "rise,grad-cam", "--parameter", "masks=20"), "methods was rise, and is rise, grad-cam"),
        (("--method", "rise", "--parameter", "masks=20", "--class", "truth"), 'class was "predicted", and is "truth"'),
        (("--method", "rise", "--parameter", "masks=20", "--seed", "1"), "methods rise.seed was 0, and is 1"),
        (("--method", "rise", "--parameter", "masks=20", "--preprocess", "resize exact 16 16 nearest; scale 1/255"),
         "model.preprocessing"),
        (("--method", "rise", "--parameter", "masks=20", "--high-byte"), "not set"),
    ]:
        result = case.run(*words, *change)
        assert result.returncode == 1 and message in result.stderr
    (case.folder / "b.sqlite").write_text("no database, by any means")
    assert "not a database" in case.run(*words, "--method", "rise", "--store", "b.sqlite").stderr


def test_methods_and_metrics_may_be_used_more_than_once(case):
    make_folders(case, per_class=1)
    found = evaluate(
        case, "--data", "set", "--method", "rise,rise@many", "--parameter", "masks=10", "--parameter", "rise@many.masks=50",
        "--metric", "average-drop,average-drop@half", "--metric-parameter", "average-drop@half.keep=0.5")
    assert [m["parameters"]["masks"] for m in found["methods"]] == [10, 50]
    assert [m["parameters"]["keep"] for m in found["metrics"]] == [1, 0.5]
    assert len({r["mean"] for r in found["results"]}) == 4


@pytest.mark.parametrize("words, message", [
    (["--method", "grad-cam,grad-cam"], '"grad-cam@2"'), (["--metric", "insertion"], "no methods"),
    (["--method", "grad-camera"], "no method"), (["--method", "grad-cam", "--metric", "precision"], "no boxes"),
    (["--method", "grad-cam", "--parameter", "masks=3"], 'none of grad-cam has "masks"'),
    (["--method", "grad-cam", "--parameter", "grad-cam.masks=3"], "no parameter"),
    (["--method", "grad-cam", "--metric", "recall"], "does not find"),
    (["--method", "grad-cam", "--class", "lion"], "predicted, truth, least"),
])
def test_what_cannot_be_evaluated_is_refused_before_it_starts(case, words, message):
    make_folders(case, per_class=1)
    result = case.run("evaluate", "bare.onnx", "--data", "set", *PREPARED, "--report", "a", *words)
    assert result.returncode == 1 and message in result.stderr and not (case.folder / "a").exists()


def test_intervals_and_comparisons_are_those_of_the_bootstrap(case):
    make_folders(case)
    found = evaluate(
        case, "--data", "set", "--method", "grad-cam,occlusion", "--metric", "deletion", "--resamples", "200", "--confidence",
        "0.9", "--seed", "7", "--report", "a")
    rows = list(csv.DictReader((case.folder / "a/images.csv").open()))
    one, two = (np.array([float(row[f"{m} deletion"]) for row in rows]) for m in ("grad-cam", "occlusion"))
    places = resamples(10, 200, seed=7)
    (comparison,) = found["comparisons"]
    for values, result in ((one, found["results"][0]), (two, found["results"][1])):
        assert result["mean"] == pytest.approx(values.mean(), rel=1e-12)
        np.testing.assert_allclose(
            [result["low"], result["high"]], np.quantile(values[places].mean(1), [0.05, 0.95]), rtol=1e-12)
    assert comparison["difference"] == pytest.approx((one - two).mean(), rel=1e-9)
    np.testing.assert_allclose(
        [comparison["low"], comparison["high"]], np.quantile((one - two)[places].mean(1), [0.05, 0.95]), rtol=1e-9)
    assert comparison["wins"] == np.where(one < two, 1, np.where(one == two, 0.5, 0)).mean()
    best = min((one.mean(), "grad-cam"), (two.mean(), "occlusion"))[1]
    assert [r["method"] for r in found["results"] if r["best"]] == [best]


def resamples(count, number, seed):
    """As docs/random.md says: stream 2**33 + 1 + i, words times the count, their upper half."""
    def block(index, stream):
        x = [index & 0xFFFFFFFF, index >> 32, stream & 0xFFFFFFFF, stream >> 32]
        key = [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            a, b = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
            x = [(b >> 32) ^ x[1] ^ key[0], b & 0xFFFFFFFF, (a >> 32) ^ x[3] ^ key[1], a & 0xFFFFFFFF]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        return x

    def row(i):
        words = [word for k in range((count + 3) // 4) for word in block(k, 2**33 + 1 + i)]
        return [word * count >> 32 for word in words[:count]]

    return np.array([row(i) for i in range(number)])


def test_ctrl_c_keeps_what_is_done(case, stops):
    make_folders(case, per_class=6)
    process = begin(case, stops, case.folder / "a/store.sqlite", 3, *RUN, "--report", "a", "--threads", "1")
    process.send_signal(signal.SIGINT)
    while go_on(process):
        pass
    out, _ = process.communicate()
    assert process.returncode == 130 and b"of 30 images are done" in out
    document = json.loads((case.folder / "a/results.json").read_text())
    assert 3 <= document["data"]["evaluated"] < 30 and not document["data"]["complete"]
    assert case.run(*RUN, "--report", "a").returncode == 0 and case.run(*RUN, "--report", "b").returncode == 0
    assert results(case.folder / "a") == results(case.folder / "b")


def test_arrays_that_are_fed_are_named_by_their_contents(case):
    make_folders(case, per_class=1)
    grid = np.random.default_rng(0).integers(0, 2, (6, 4, 4), np.uint8)
    np.save(case.folder / "grid.npy", grid)
    found = evaluate(
        case, "--data", "set", "--method", "rise", "--parameter", "masks=6", "--parameter", "cells=4", "--draw",
        "rise.grid=grid.npy", "--metric", "increase")
    assert found["methods"][0]["draws"]["grid"].endswith(" sha256 " + hashlib.sha256(grid.tobytes()).hexdigest())


def test_without_sqlite_the_message_says_what_to_install_and_none_is_needed_without_a_store(case):
    make_folders(case, per_class=1)
    (case.folder / "lib").mkdir()
    for name in ("libsqlite3.so.0", "libsqlite3.so"):
        (case.folder / "lib" / name).write_text("no library")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(case.folder / "lib")}
    words = [PROGRAM, "evaluate", "bare.onnx", "--data", "set", *PREPARED, "--report", "a"]
    result = subprocess.run(words, cwd=case.folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "apt install libsqlite3-0" in result.stderr
    result = subprocess.run([*words, "--store", "none"], cwd=case.folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and (case.folder / "a/results.json").exists()


def test_where_no_image_can_be_evaluated_the_command_fails(case):
    for path in make_folders(case, per_class=1):
        (case.folder / path).write_bytes(b"nothing")
    result = case.run("evaluate", "bare.onnx", "--data", "set", *PREPARED, "--report", "a")
    assert result.returncode == 1 and "no image could be evaluated" in result.stderr
    assert len(json.loads((case.folder / "a/results.json").read_text())["data"]["failed"]) == 5


def test_a_terminal_shows_how_far_it_is_and_how_long_it_will_take(case):
    make_folders(case)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *RUN, "--store", "none", "--threads", "1"], cwd=case.folder, stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:
            break
        shown += part
    assert process.wait() == 0
    assert re.search(rb"\d+ % \d+ of 10 images, \d+ s left", shown)


def test_controls_are_there_to_be_beaten(case):
    make_folders(case)
    found = evaluate(
        case, "--data", "set", "--method", "grad-cam,occlusion,random-map@noise,center-gaussian", "--metric", "insertion,deletion",
        "--resamples", "0")
    assert {r["method"] for r in found["results"] if r["best"]} <= {"grad-cam", "occlusion"}
    assert {r["metric"] for r in found["results"] if r["best"]} == {"insertion", "deletion"}
    alone = evaluate(case, "--data", "set", "--method", "grad-cam,random-map,center-gaussian", "--metric", "insertion")
    assert not any(r["best"] for r in alone["results"])


def test_an_image_whose_scores_are_nan_is_named_as_failed(case):
    """Of a black image the brightest value is divided by itself."""
    model = onnx.load(case.folder / "bare.onnx")
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
    graph.node.extend([
        onnx.helper.make_node("ReduceMax", ["input"], ["most"], axes=[1, 2, 3], keepdims=0),
        onnx.helper.make_node("Div", ["most", "most"], ["one"]), onnx.helper.make_node("Reshape", ["one", "column"], ["ones"]),
        onnx.helper.make_node("Mul", ["before", "ones"], [output])])
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 1]), "column"))
    onnx.save(model, case.folder / "nan.onnx")
    Image.new("RGB", (16, 16)).save(case.folder / "black.png")
    Image.new("RGB", (16, 16), (9, 90, 200)).save(case.folder / "blue.png")
    (case.folder / "list.txt").write_text("black.png 0\nblue.png 0\n")
    found = case.run("evaluate", "nan.onnx", *PREPARED, "--data", "list.txt", "--json")
    assert 'limpid: "black.png": the model\'s scores of this image are NaN, so that it predicts no class' in found.stderr
    document = json.loads(found.stdout)
    assert document["data"]["evaluated"] == 1 and document["accuracy"]["top1"]["images"] == 1
    lines = case.run("classify", "nan.onnx", *PREPARED, "black.png").stdout.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["nan"] * 5
