import json
import os
import pty
import signal
import subprocess

import numpy as np
import pytest
from conftest import LABELS, PROGRAM, SIDE
from PIL import Image


def test_classes_come_with_label_and_probability_most_probable_first(case):
    (image,) = case.json("classify", "model.onnx", "wide.png", "--top", 5)["images"]
    order = np.argsort(-case.probabilities, kind="stable")
    assert [c["class"] for c in image["classes"]] == list(order)
    assert [c["label"] for c in image["classes"]] == [LABELS[c] for c in order]
    np.testing.assert_allclose([c["probability"] for c in image["classes"]], case.probabilities[order], rtol=1e-5)


def test_the_table_has_a_header_and_one_line_for_each_class(case):
    lines = case.run("classify", "model.onnx", "wide.png", "--top=2").stdout.splitlines()
    assert lines[0].split() == ["file", "rank", "class", "label", "probability"]
    assert len(lines) == 3
    best = int(np.argmax(case.probabilities))
    assert lines[1].split()[:3] == ["wide.png", "1", str(best)]
    assert lines[1].endswith(f"{case.probabilities[best]:.4f}")


def test_a_picture_that_cannot_be_read_is_reported_and_the_others_are_classified(case):
    (case.folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = case.run("classify", "model.onnx", "broken.png", "wide.png", "missing.png", "--top", 1)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2 and "wide.png" in result.stdout
    errors = result.stderr.splitlines()
    assert [line.startswith("limpid: ") for line in errors] == [True] * 3
    assert "broken.png" in errors[0] and "missing.png" in errors[1] and "2 of 3" in errors[2]


def test_the_map_is_the_models_own_and_the_overlay_leaves_what_the_model_did_not_see(case):
    report = case.json("explain", "model.onnx", "wide.png", "--class", "1", "--output", "new", "--map", "m.npy")
    (found,) = report["explanations"]
    np.testing.assert_allclose(np.load(case.folder / "m.npy"), case.attention[1], rtol=1e-5, atol=1e-6)
    assert found["score"] == pytest.approx(case.logits[1], rel=1e-5)
    assert found["overlay"] == "new/wide-scouter-cat_dog.png" and found["label"] == "cat/dog"
    assert found["region"] == {"x": 10, "y": 0, "width": 20, "height": 20}
    # 20 pixels grow 13 times to pass 256; the model saw the square in the middle.
    overlay = np.asarray(Image.open(case.folder / found["overlay"]))
    plain = np.asarray(case.picture.resize((520, 260), Image.NEAREST))
    assert overlay.shape == plain.shape
    assert (overlay[:, :130] == plain[:, :130]).all() and (overlay[:, 390:] == plain[:, 390:]).all()
    assert (overlay[:, 130:390] != plain[:, 130:390]).any(axis=2).mean() > 0.9


@pytest.mark.parametrize("options, size", [
    (["--scale", 1], (40, 20)), (["--scale", 3], (120, 60)), (["--size", "100x30"], (100, 30)),
    (["--size", "80x"], (80, 40)), (["--style", "scouter", "--scale", 1], (SIDE, SIDE)), (["--style=tame"], (256, 256)),
])
def test_the_size_of_the_overlay(case, options, size):
    result = case.run("explain", "model.onnx", "wide.png", "--output", "o.png", *options)
    assert result.returncode == 0, result.stderr
    assert Image.open(case.folder / "o.png").size == size


def test_a_file_that_is_replaced_is_named(case):
    words = ("explain", "model.onnx", "wide.png", "--output", "new/o.png")
    assert case.run(*words).stderr == ""
    again = case.run(*words)
    assert again.returncode == 0 and again.stderr == 'limpid: "new/o.png" was there and is replaced\n'


def test_colours_and_opacity_are_used(case):
    style = ("--style", "tame", "--colormap", "gray", "--opacity", 1)
    case.run("explain", "model.onnx", "wide.png", *style, "--output", "o.png")
    overlay = np.asarray(Image.open(case.folder / "o.png")).astype(int)
    assert (np.ptp(overlay, axis=2) == 0).all() and np.ptp(overlay) > 20


@pytest.mark.parametrize("options, expected", [
    ([], "predicted"), (["--class", "least"], "least"), (["--class", "all"], range(5)),
    (["--class", "tench, Tinca tinca"], [0]), (["--class", "cat/dog,3", "--class", "CAT/DOG"], [1, 3]),
])
def test_classes_can_be_chosen_in_many_ways(case, options, expected):
    if expected == "predicted":
        expected = [int(np.argmax(case.logits))]
    elif expected == "least":
        expected = [int(np.argmin(case.logits))]
    found = case.json("explain", "model.onnx", "wide.png", *options)["explanations"]
    assert [e["class"] for e in found] == list(expected)


def test_a_plain_export_is_explained_once_it_is_said_how_images_are_prepared(case):
    steps = f"resize shorter {SIDE} bilinear; center_crop {SIDE} {SIDE}; scale 1/255"
    named = case.json("classify", "model.onnx", "wide.png")["images"][0]["classes"]
    plain = case.json("explain", "bare.onnx", "wide.png", "--preprocess", steps, "--scores", "logits")
    assert plain["method"] == "grad-cam" and plain["explanations"][0]["class"] == named[0]["class"]
    refused = case.run("explain", "bare.onnx", "wide.png", "--preprocess", "stretch")
    assert refused.returncode == 2 and '--preprocess: ' in refused.stderr and '"imagenet-exact"' in refused.stderr


def test_no_two_explanations_share_a_file(case):
    (case.folder / "sub").mkdir()
    case.picture.save(case.folder / "sub/wide.png")
    found = case.json("explain", "model.onnx", "wide.png", "sub/wide.png", "--class", "2,3")["explanations"]
    names = [e["overlay"] for e in found]
    assert names[:2] == ["wide-scouter-crane-2.png", "wide-scouter-crane-3.png"]
    assert len(set(names)) == 4 and all((case.folder / name).exists() for name in names)


def test_a_constant_map_is_called_degenerate(case):
    assert "degenerate" in case.run("explain", "model.onnx", "wide.png", "--class", "4").stdout
    found = case.json("explain", "model.onnx", "wide.png", "--class", "4,1")["explanations"]
    assert [e["degenerate"] for e in found] == [True, False]


def test_any_value_can_be_fetched(case):
    found = case.json("fetch", "model.onnx", "wide.png", "--names", "block/relu,logits", "--names", "attention")
    assert [f["file"] for f in found] == ["block_relu.npy", "logits.npy", "attention.npy"]
    arrays = [np.load(case.folder / f["file"]) for f in found]
    assert [list(a.shape) for a in arrays] == [f["shape"] for f in found] == [[1, 4, 8, 8], [1, 5], [1, 5, 8, 8]]
    np.testing.assert_allclose(arrays[1][0], case.logits, rtol=1e-5)
    np.testing.assert_allclose(arrays[2][0], case.attention, rtol=1e-5, atol=1e-6)


def test_inspect_tells_what_is_in_the_file(case):
    found = case.json("inspect", "model.onnx", "--values")
    assert (found["family"], found["classes"], found["nodes"], found["labels"]) == ("scouter", 5, 5, LABELS)
    assert found["inputs"] == [{"name": "input", "type": "float32", "shape": ["N", 3, SIDE, SIDE]}]
    assert [(o["name"], o["role"]) for o in found["outputs"]] == [("logits", "logits"), ("attention", "attention")]
    assert found["preprocessing"] == ["resize shorter 16 bilinear", "center_crop 16 16", "scale 1/255"]
    assert [layer["value"] for layer in found["layers"]] == ["block/relu"] and found["operators"] == {"ai.onnx": 17}
    assert found["weight_bytes"] == 4 * (4 * 3 * 3 * 3 + 5 * 4) and found["run_bytes"] > 0
    assert found["metadata"]["note"] == 'a "quoted" line\nand another'
    assert found["methods"][0]["name"] == "scouter"
    assert {"name": "block/relu", "shape": [1, 4, 8, 8], "operation": "Relu"} in found["values"]
    text = case.run("inspect", "model.onnx").stdout
    assert "float32 [N×3×16×16]" in text and "tench, Tinca tinca" in text


def test_bench_measures_classifying_and_explaining(case):
    found = case.json("bench", "model.onnx", "--rounds", 3, "--batch", 2, "--explain", "scouter")
    for times in (found["classify_ms"], found["explain_ms"]):
        assert 0 < times["minimum"] <= times["median"]
    assert found["ratio"] == pytest.approx(found["explain_ms"]["median"] / found["classify_ms"]["median"])
    assert found["kernels"] in found["processor"] and found["load_ms"] > 0
    assert found["peak_memory_bytes"] > 1 << 20
    assert "wide.png, 40×20" in case.run("bench", "model.onnx", "wide.png", "--rounds=1").stdout


def test_a_precision_is_reported_and_unknown_ones_are_refused(case):
    plain = case.json("bench", "model.onnx", "--rounds", 1)
    assert (plain["precision"], plain["computed_precision"]) == ("float32", "float32")
    found = case.json("bench", "model.onnx", "--rounds", 1, "--precision", "bfloat16")
    assert found["precision"] == "bfloat16" and found["computed_precision"] in ("bfloat16", "float32")
    fast = case.json("bench", "model.onnx", "--rounds", 1, "--precision", "fast")["computed_precision"]
    text = case.run("bench", "model.onnx", "--rounds=1", "--precision=fast").stdout
    assert fast == "fast" or "fast is computed as float32: it needs a processor with AMX, and this one runs the kernels" in text
    exact, rounded = (case.json("classify", "model.onnx", "wide.png", *words) for words in ((), ("--precision", "fast")))
    assert exact == rounded
    for command in ("bench", "classify"):
        words = [command, "model.onnx"] + ["wide.png"] * (command == "classify") + ["--precision", "half"]
        refused = case.run(*words)
        assert refused.returncode == 2
        assert '--precision is "half"; it must be one of float32, fast, bfloat16' in refused.stderr


def test_bench_says_where_the_time_goes(case):
    found = case.json("bench", "model.onnx", "--rounds", 2, "--profile")["profile"]
    assert found["peak_gflops"] > 0.1
    assert sum(row["steps"] for row in found["operators"]) == len(found["steps"])
    assert sum(row["ms"] for row in found["operators"]) == pytest.approx(sum(row["ms"] for row in found["steps"]))
    conv = next(row for row in found["operators"] if row["name"] == "Conv")
    assert 0 < conv["gflops"] <= 1.2 * found["peak_gflops"]
    text = case.run("bench", "model.onnx", "--rounds=1", "--profile").stdout
    assert "slowest steps" in text and "of peak" in text


def test_lists_agree_with_inspect_and_the_renderer(case):
    methods = {m["name"]: m for m in case.json("methods")}
    assert methods["scouter"] in case.json("inspect", "model.onnx")["methods"]
    for name in case.json("colormaps"):
        assert case.run("explain", "model.onnx", "wide.png", "--colormap", name).returncode == 0
    assert case.run("version").stdout == case.run("--version").stdout
    assert case.run("version").stdout.startswith("limpid ")


@pytest.mark.parametrize("words, message", [
    ([], "usage: limpid COMMAND"), (["clasify"], 'no command "clasify"'), (["classify", "model.onnx"], "too few"),
    (["inspect", "a", "b"], "too many"), (["inspect", "--what"], 'no option "--what"'),
    (["classify", "m", "i", "--top"], "--top needs a value"), (["classify", "m", "i", "--top", "--json"], "needs a value"),
    (["classify", "m", "i", "--top", "0"], "--top"), (["classify", "m", "i", "--json=1"], "takes no value"),
    (["explain", "m", "i", "--colormap", "hot"], "viridis"), (["explain", "m", "i", "--style", "x"], "tame"),
    (["explain", "m", "i", "--opacity", "nan"], "--opacity"), (["explain", "m", "i", "--size", "20"], "640x480"),
    (["explain", "m", "i", "--parameter", "slot"], "samples=10"), (["explain", "m", "i", "--output", "x.jpg"], ".png"),
    (["explain", "m", "i", "--size", "2x2", "--scale", "2"], "exclude"), (["fetch", "m", "i"], "--names"),
])
def test_wrong_calls_exit_with_2_and_say_what_is_wrong(case, words, message):
    result = case.run(*words)
    assert result.returncode == 2 and result.stdout == ""
    assert message in result.stderr


@pytest.mark.parametrize("words, message", [
    (["classify", "missing.onnx", "wide.png"], 'cannot open "missing.onnx"'),
    (["inspect", "."], "directory"), (["inspect", "wide.png"], "not an ONNX model"),
    (["classify", "model.onnx", "missing.png"], 'cannot open "missing.png"'),
    (["classify", "model.onnx", "model.onnx"], "neither a PNG, JPEG nor WebP"),
    (["classify", "bare.onnx", "wide.png"], "limpid-convert annotate"),
    (["explain", "model.onnx", "wide.png", "--class", "5"], "0 to 4"),
    (["explain", "model.onnx", "wide.png", "--class", "dog"], "cat/dog"),
    (["explain", "bare.onnx", "wide.png", "--class", "dog"], "no labels"),
    (["explain", "model.onnx", "wide.png", "--method", "magic"], 'no method "magic"'),
    (["explain", "model.onnx", "wide.png", "--layer", "nope"], 'taps no layer, but "nope" was given'),
    (["explain", "model.onnx", "wide.png", "--parameter", "x=1"], 'no parameter "x"'),
    (["explain", "model.onnx", "wide.png", "--parameter", "slot=5"], "slot"),
    (["explain", "model.onnx", "wide.png", "--class", "all", "--output", "x.png"], "give a folder"),
    (["explain", "model.onnx", "wide.png", "--output", "wide.png/x.png"], 'cannot make the folder "wide.png": File exists'),
    (["explain", "model.onnx", "wide.png", "--output", "wide.png/deep/"], 'cannot make the folder "wide.png": File exists'),
    (["fetch", "model.onnx", "wide.png", "--names", "nope"], 'no value named "nope"'),
])
def test_failures_exit_with_1_and_say_what_failed(case, words, message):
    result = case.run(*words)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("limpid: ") and message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["classify", "explain", "inspect", "fetch", "bench", "methods", "colormaps", "version"])
def test_every_command_has_help(case, command):
    result = case.run(command, "--help")
    assert result.returncode == 0 and f"usage: limpid {command}" in result.stdout
    assert command in case.run("--help").stdout


def test_output_that_cannot_be_written_is_a_failure(case):
    with open("/dev/full", "w") as full:
        result = subprocess.run([PROGRAM, "colormaps"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "standard output" in result.stderr


def test_control_c_stops_a_long_call_and_progress_goes_to_the_terminal(case):
    terminal, end = pty.openpty()
    words = [PROGRAM, "bench", "model.onnx", "--rounds", "1000000"]
    process = subprocess.Popen(words, cwd=case.folder, stdout=subprocess.PIPE, stderr=end)
    os.close(end)
    try:
        shown = b""
        while b"measuring" not in shown:
            shown += os.read(terminal, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
        assert process.stdout.read() == b""
    finally:
        process.kill()
        process.stdout.close()
        os.close(terminal)


def test_explanations_are_measured(case):
    report = case.json(
        "measure", "model.onnx", "wide.png", "--metric", "deletion,average-drop", "--metric", "sensitivity",
        "--metric-parameter", "step=16", "--metric-parameter", "samples=2")
    assert [m["metric"] for m in report["metrics"]] == ["deletion", "average-drop", "sensitivity"]
    deletion, drop, _ = report["metrics"]
    assert deletion["parameters"]["step"] == 16 and deletion["parameters"]["order"] == "stable-last"
    (row,) = deletion["values"]
    assert row["class"] == int(np.argmax(case.probabilities))
    np.testing.assert_allclose(row["curve"][0], case.probabilities.max(), rtol=1e-5)
    curve = np.array(row["curve"])
    np.testing.assert_allclose(row["value"], (curve.sum() - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1), rtol=1e-5)
    assert deletion["mean"] == row["value"] and drop["values"][0]["curve"] is None
    listed = [m["name"] for m in case.json("metrics")]
    assert len(listed) == 15 and "pointing-game" in listed
    failed = case.run("measure", "model.onnx", "wide.png", "--metric-parameter", "stpe=3")
    assert failed.returncode == 1 and "stpe" in failed.stderr


def test_means_of_several_images_are_the_metrics(case):
    """TorchRay's mean is that of the accuracies of the classes, not of the images."""
    paths = []
    for i in range(6):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)).save(case.folder / f"{i}.png")
        paths.append(f"{i}.png")
    np.save(case.folder / "boxes.npy", np.float32([[[0, 0, 9, 9]]] * 6))
    report = case.json(
        "measure", "model.onnx", *paths, "--metric", "pointing-game", "--metric-parameter", "compat=torchray",
        "--metric-parameter", "tolerance=1", "--metric-draw", "boxes=boxes.npy", "--class", "3")
    hits = [row["value"] > 0 for row in report["metrics"][0]["values"]]
    assert 0 < sum(hits) < 6 and report["metrics"][0]["mean"] == pytest.approx(np.mean(hits) / 4, rel=1e-12)


def test_arrays_of_metrics_are_divided_among_the_images(case):
    """Equally many rows for each, by its place among the files that are named, of which one cannot be read."""
    for i in range(2):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)).save(case.folder / f"{i}.png")
    (case.folder / "bad.png").write_bytes(b"no image")
    noise = np.random.default_rng(5).normal(0, 0.2, (9, 3, 16, 16)).astype(np.float32)
    np.save(case.folder / "noise.npy", noise)
    words = ("--metric", "infidelity", "--json", "--class", "1")
    found = case.run("measure", "model.onnx", "0.png", "bad.png", "1.png", *words, "--metric-draw", "perturbation=noise.npy")
    assert found.returncode == 1
    together = [row["value"] for row in json.loads(found.stdout)["metrics"][0]["values"]]
    for i, place in enumerate((0, 2)):
        np.save(case.folder / "own.npy", noise[3 * place:3 * place + 3])
        alone = json.loads(case.run(
            "measure", "model.onnx", f"{i}.png", *words, "--metric-draw", "perturbation=own.npy").stdout)["metrics"][0]
        assert alone["parameters"]["samples"] == 3 and alone["values"][0]["value"] == together[i]
    np.save(case.folder / "noise.npy", noise[:8])
    failed = case.run("measure", "model.onnx", "0.png", "1.png", "0.png", *words, "--metric-draw", "perturbation=noise.npy")
    assert "not equally many for each of the 3 images" in failed.stderr


@pytest.mark.parametrize("words, message", [
    (["measure", "model.onnx", "wide.png", "--metric", "deletion", "--seed", "3"], "neither the method nor a metric draws"),
    (["explain", "model.onnx", "wide.png", "--report", "why.html", "--size", "64x48"], "--size is of overlays"),
    (["explain", "model.onnx", "wide.png", "--report", "why.html", "--scale", "2"], "--scale is of overlays"),
    (["evaluate", "model.onnx", "--data", ".", "--class", "1"], "no methods, so that no class is explained"),
    (["evaluate", "model.onnx", "--data", ".", "--format", "images", "--resamples", "0", "--confidence", "0.9"],
     "--resamples 0 gives no intervals"),
    (["evaluate", "model.onnx", "--data", ".", "--format", "images", "--classes", "names.txt"], "has no names of classes"),
    (["evaluate", "model.onnx", "--data", ".", "--format", "images", "--images", "."], "says itself where images lie"),
    (["evaluate", "model.onnx", "--data", ".", "--format", "images", "--first-classes", "2"], "says of no image what is true"),
    (["explain", "model.onnx", "wide.png", "--method", "grad-cam", "--parameter", "of=similarity", "--class", "1"],
     "of=similarity compares the whole output, without a class; leave it out"),
])
def test_options_without_effect_are_refused(case, words, message):
    failed = case.run(*words)
    assert failed.returncode in (1, 2) and message in failed.stderr


def test_accuracy_is_not_measured_by_what_the_model_predicts(case):
    predicted = int(np.argmax(case.probabilities))
    for words in ([], ["--class", "predicted"], ["--class", f"{predicted},least"]):
        failed = case.run("measure", "model.onnx", "wide.png", "--metric", "accuracy", *words)
        assert failed.returncode == 1 and "compares the model with what is true" in failed.stderr
    for truth in (predicted, (predicted + 1) % 5):
        np.save(case.folder / "labels.npy", np.array([truth, predicted]))
        for words in (["wide.png", "--class", str(truth)], ["wide.png", "wide.png", "--metric-draw", "labels=labels.npy"]):
            found = case.json("measure", "model.onnx", "--metric", "accuracy,confusion", *words)["metrics"]
            for metric in found:
                assert [row["value"] for row in metric["values"]] == [truth == predicted, 1][:len(words) - 1 if len(words) > 3 else 1]


def test_estimate_keeps_what_iba_reads(case):
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(case.folder / f"{i}.png")
    refused = case.run("explain", "model.onnx", "0.png", "--method", "iba")
    assert refused.returncode == 1 and "limpid estimate" in refused.stderr
    result = case.json("estimate", "model.onnx", "0.png", "1.png", "2.png")
    assert result == {"layer": "block/relu", "shape": [4, 8, 8], "images": 3, "file": "model.onnx.statistics.safetensors"}
    assert case.run("explain", "model.onnx", "0.png", "--method", "iba").returncode == 0
    # Another layer is added; what cannot be read is left out, and said.
    result = case.run("estimate", "model.onnx", ".", "none.png", "--layer", "conv")
    assert result.returncode == 1 and "1 of 6 images could not be read" in result.stderr, result.stderr
    for layer in ("conv", "block/relu"):
        assert case.run("explain", "model.onnx", "0.png", "--method", "iba", "--layer", layer).returncode == 0
    one = case.run("estimate", "model.onnx", "0.png")
    assert one.returncode == 1 and "at least two images" in one.stderr
