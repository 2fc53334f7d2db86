import io
import json
import os
import re
import shlex
import subprocess

import limpid
import numpy as np
import onnx
import pages
import pytest
from conftest import LABELS, PROGRAM, SIDE, build_model
from PIL import Image

HOSTILE = ['</script><img src=x onerror=alert(1)>', '"><svg onload=alert(1)>', "a & b < c", "\u202egnitset", "x" * 300]
needs_browser = pytest.mark.skipif(pages.CHROMIUM is None, reason="chromium is not installed")


def explain(case, *words):
    result = case.run("explain", "model.onnx", *words, "--report", "r.html")
    assert result.returncode == 0, result.stderr
    return result, pages.read(case.folder / "r.html")


def make_hostile(case):
    properties = {p.key: p.value for p in onnx.load(case.folder / "model.onnx").metadata_props}
    onnx.save(build_model({**properties, "limpid.labels": "\n".join(HOSTILE)}), case.folder / "hostile.onnx")


def named(index):
    """As pages call a class: those of one label by their numbers too."""
    label = " ".join(LABELS[index].split())
    return f"{label} ({index})" if LABELS.count(LABELS[index]) > 1 else label


def decoded(source):
    import base64
    return Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1])))


def test_the_page_has_image_maps_probabilities_settings_and_the_command(case):
    result, page = explain(case, "wide.png", "--method", "scouter,recipro-cam", "--class", "predicted,3")
    assert not [name for name in os.listdir(case.folder) if name.endswith(".png") and name != "wide.png"]
    classes = list(dict.fromkeys([int(np.argmax(case.logits)), 3]))
    alternatives = [image["alt"] for image in page.named("img")]
    # Of the image itself, then class by class, and of each the methods.
    assert alternatives == ["the image wide.png"] + [
        f"{method} map of wide.png for {named(c)}" for c in classes for method in ("scouter", "recipro-cam")]
    for c in np.argsort(-case.probabilities)[:5]:
        assert f"{100 * case.probabilities[c]:.1f} %" in page.text
    assert "limpid explain model.onnx wide.png --method scouter,recipro-cam --class predicted,3 --report r.html" in page.text
    assert "resize shorter 16 bilinear" in page.text and limpid.__version__ in page.text
    assert result.stdout.split()[:5] == ["image", "method", "class", "label", "score"]


def test_maps_in_the_page_are_the_overlays(case):
    _, page = explain(case, "wide.png", "--class", "1", "--output", "o.png")
    image, overlay = [decoded(i["src"]) for i in page.named("img")]
    assert np.asarray(image).shape == np.asarray(overlay).shape == (240, 480, 3)
    expected = Image.open(case.folder / "o.png").resize((480, 240), Image.LANCZOS)
    # The page draws at its own size, and photographs become JPEG.
    assert np.abs(np.asarray(overlay, int) - np.asarray(expected, int)).mean() < 6


def test_large_images_are_made_small_and_the_same_call_gives_the_same_page(case):
    noise = np.random.default_rng(2).integers(0, 256, (1500, 1000, 3), np.uint8)
    Image.fromarray(noise).resize((2000, 3000), Image.BICUBIC).save(case.folder / "large.png")
    _, page = explain(case, "large.png")
    assert [decoded(i["src"]).size for i in page.named("img")] == [(320, 480)] * 2
    first = (case.folder / "r.html").read_bytes()
    assert len(first) < 400_000
    explain(case, "large.png")
    assert (case.folder / "r.html").read_bytes() == first


@pytest.mark.parametrize("browser", [False, pytest.param(True, marks=needs_browser)], ids=["markup", "browser"])
def test_names_from_outside_stay_text(case, browser):
    make_hostile(case)
    names = ["<b>&amp;\"'.png", "a\x01b\nc.png", "'; rm -rf $HOME.png"]
    for name in names:
        case.picture.save(case.folder / name)
    raw = os.fsencode(case.folder) + b"/\xff\xfe.png"
    os.link(case.folder / "wide.png", raw)
    command = [os.fsencode(PROGRAM), b"explain", b"hostile.onnx", *map(os.fsencode, names), b"\xff\xfe.png",
               b"--class", b"all", b"--report", b"r.html"]
    assert subprocess.run(command, cwd=case.folder, capture_output=True).returncode == 0
    page = pages.read(case.folder / "r.html")
    for label in HOSTILE:
        assert label in page.text
    assert names[0] in page.text and names[2] in page.text and "a\ufffdb c.png" in page.text
    if browser:
        pages.check_in_browser(case.folder / "r.html")


def test_the_command_on_the_page_is_one_that_a_shell_runs(case):
    names = ["it's $HOME `x`.png", "tab\there.png", "ünï.png"]
    for name in names:
        case.picture.save(case.folder / name)
    _, page = explain(case, *names)
    text = (case.folder / "r.html").read_text("utf-8")
    command = re.search(r"<code>(.*?)</code>", text, re.S)[1]
    import html
    shell = html.unescape(command).replace("limpid ", shlex.quote(str(PROGRAM)) + " ", 1)
    (case.folder / "r.html").unlink()
    assert subprocess.run(["bash", "-c", shell], cwd=case.folder, capture_output=True).returncode == 0
    assert (case.folder / "r.html").read_text("utf-8") == text


def test_images_that_cannot_be_read_are_listed(case):
    (case.folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = case.run("explain", "model.onnx", "broken.png", "wide.png", "--report", "r.html")
    assert result.returncode == 1
    page = pages.read(case.folder / "r.html")
    assert len(page.named("img")) == 2 and "broken.png" in page.text and "1 image is missing above" in page.text


def test_thousands_of_maps_are_counted_not_shown(case):
    for i in range(60):
        case.picture.save(case.folder / f"{i}.png")
    _, page = explain(case, *[f"{i}.png" for i in range(60)], "--class", "all")
    assert len(page.named("img")) == 240 + 48 and "the first 240 of 300 maps" in page.text


@pytest.mark.parametrize("words, status, message", [
    (["--report", "r.txt"], 2, "ends in .html"), (["--report", "wide.png/r.html"], 1, 'cannot make the folder "wide.png"'),
    (["--method", "scouter,grad-camera"], 1, "grad-camera"),
    (["--method", "scouter,recipro-cam", "--parameter", "masks=3"], 1, 'none of scouter, recipro-cam has "masks"'),
    (["--method", "scouter,recipro-cam", "--seed", "3"], 1, "leave it out"),
    (["--method", "scouter,recipro-cam", "--output", "one.png"], 1, "give a folder"),
])
def test_wrong_calls_are_refused_before_anything_is_written(case, words, status, message):
    before = sorted(os.listdir(case.folder))
    result = case.run("explain", "model.onnx", "wide.png", *words)
    assert result.returncode == status and message in result.stderr
    assert sorted(os.listdir(case.folder)) == before


def test_each_of_several_methods_takes_the_parameters_that_it_has(case):
    report = case.json(
        "explain", "model.onnx", "wide.png", "--method", "rise,occlusion,recipro-cam", "--parameter", "rise.masks=8",
        "--parameter", "window_height=4", "--seed", 3, "--output", "o/")
    methods = {m["method"]: m for m in report["methods"]}
    assert methods["rise"]["parameters"]["masks"] == 8 and methods["rise"]["seed"] == 3
    assert methods["occlusion"]["parameters"]["window_height"] == 4 and methods["recipro-cam"]["seed"] is None
    assert [e["method"] for e in report["explanations"]] == ["rise", "occlusion", "recipro-cam"]
    assert len(os.listdir(case.folder / "o")) == 3


@needs_browser
def test_a_browser_shows_it_on_phones_and_desktops_light_and_dark(case):
    explain(case, "wide.png", "wide.png", "--method", "scouter,recipro-cam", "--class", "all")
    pages.check_in_browser(case.folder / "r.html")


LABELLED = "\n".join(f"{i}.png,{i % 5}" for i in range(8)) + "\nbroken.png,1\n"


def evaluate(case, *words, model="model.onnx"):
    """A page of an evaluation of eight images of noise and one that is broken."""
    random = np.random.default_rng(3)
    for i in range(8):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(case.folder / f"{i}.png")
    (case.folder / "broken.png").write_bytes(b"no image")
    (case.folder / "list.csv").write_text(LABELLED)
    result = case.run("evaluate", model, "--data", "list.csv", "--images", ".", "--report", "out", *words)
    assert (case.folder / "out/report.html").exists(), result.stderr
    return json.loads((case.folder / "out/results.json").read_text()), pages.read(case.folder / "out/report.html")


METHODS = ["scouter", "recipro-cam", "random-map", "center-gaussian"]


def test_the_page_of_an_evaluation_has_the_numbers_of_its_results(case):
    results, page = evaluate(
        case, "--method", ",".join(METHODS), "--metric", "insertion,deletion", "--metric-parameter", "step=16")
    for result in results["results"]:
        assert result["images"] == 8
        assert f"{short(result['mean'])} " in page.text
        assert f"[{short(result['low'])}, {short(result['high'])}]" in page.text
    for pair in results["comparisons"]:
        if not {pair["method"], pair["other"]} & {"random-map", "center-gaussian"}:
            assert f"{pair['method']} − {pair['other']} {short(pair['difference'])}" in page.text
    # What is best among methods that are no controls, with the direction in words.
    for metric, better in [("insertion", max), ("deletion", min)]:
        means = {r["method"]: r["mean"] for r in results["results"] if r["metric"] == metric}
        best = better(METHODS[:2], key=means.get)
        words = "higher" if better is max else "lower"
        assert f"By {metric} ({words} is better), {best} is best with {short(means[best])}" in page.text
    assert "1 image is missing above" in page.text and "broken.png" in page.text
    assert "limpid evaluate model.onnx --data list.csv --images . --report out" in page.text
    assert results["model"]["sha256"] in page.text
    charts = [a for a in page.named("svg") if "viewbox" in a]
    assert [c["aria-label"].split(":")[0] for c in charts] == ["Mean curves of insertion", "Mean curves of deletion"]
    assert f"{100 * results['accuracy']['top1']['mean']:.1f} %".replace(".0 %", " %") in page.text


def test_which_method_does_not_beat_a_control_is_said_in_words(case):
    results, page = evaluate(
        case, "--method", ",".join(METHODS), "--metric", "insertion,deletion", "--metric-parameter", "step=16")
    names = {"random-map": "a random map", "center-gaussian": "a centred Gaussian"}
    start = page.text.index("A map that knows nothing of the model is the least")
    text = page.text[start:page.text.index("Both methods see the same images")]
    parts = {"insertion": text.split(" deletion ")[0], "deletion": text.split(" deletion ")[1]}
    for pair in results["comparisons"]:
        if pair["other"] not in names or pair["method"] in names:
            continue
        sign = 1 if pair["metric"] == "insertion" else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        verb = "beat" if low > 0 else "worse than" if high < 0 else "not beat"
        sentences = re.split(r"(?<=[.])\s", parts[pair["metric"]])
        told = [s for s in sentences if names[pair["other"]] in s and (pair["method"] in s or "Every method" in s)]
        assert len(told) == 1 and verb in told[0] and (verb == "not beat") == ("not beat" in told[0]), (pair, told)


def test_best_and_worst_images_are_shown_with_all_maps_and_their_values(case):
    results, page = evaluate(case, "--method", ",".join(METHODS), "--metric", "deletion", "--metric-parameter", "step=16")
    import csv
    rows = [row for row in csv.DictReader((case.folder / "out/images.csv").open()) if row["failed"] == ""]
    images = [image["alt"] for image in page.named("img")]
    for method in METHODS[:2]:
        values = {row["name"]: float(row[f"{method} deletion"]) for row in rows}
        for chosen in (min(values, key=values.get), max(values, key=values.get)):
            assert f"the image {chosen}" in images
            for other in METHODS:
                assert any(alt.startswith(f"{other} map of {chosen} for ") for alt in images)
            assert f"deletion {short(values[chosen])}" in page.text
    assert page.text.count("best deletion of scouter") == page.text.count("worst deletion of recipro-cam") == 1


def test_without_controls_the_page_says_so_and_without_methods_it_shows_mistakes(case):
    _, page = evaluate(case, "--method", "scouter", "--metric", "deletion", "--metric-parameter", "step=64")
    assert "no control was evaluated" in page.text and "random-map and center-gaussian" in page.text
    (case.folder / "out/store.sqlite").unlink()
    results, page = evaluate(case, "--metric", "accuracy")
    wrong = sum(count for truth, predicted, count in results["confusion"] if truth != predicted)
    assert len(page.named("img")) == wrong > 0 and "surest" in page.text
    matrix = page.text[page.text.index("What is taken for what"):]
    for truth, predicted, count in results["confusion"]:
        assert all(named(c) in matrix for c in (truth, predicted)) and f" {count}" in matrix


@needs_browser
def test_a_browser_shows_evaluations_with_names_from_outside(case):
    make_hostile(case)
    _, page = evaluate(
        case, "--method", ",".join(METHODS + ["rise@few", "rise@some", "occlusion"]), "--metric",
        "insertion,deletion,area-size,sensitivity,average-drop,increase,average-gain,infidelity,pixel-flipping,perturbation",
        "--metric-parameter", "step=16", "--parameter", "rise@few.masks=3",
        "--parameter", "rise@some.masks=5", "--metric-parameter", "samples=2", model="hostile.onnx")
    assert HOSTILE[0] in page.text and "area-size" in page.text
    pages.check_in_browser(case.folder / "out/report.html")


def short(value):
    size = abs(value)
    digits = 4 if 1e-3 <= size < 0.1 else 3 if 0.1 <= size < 10 else 1 if 10 <= size < 1000 else None
    return "0" if size == 0 else f"{value:.2e}" if digits is None else f"{value:.{digits}f}"


def test_controls_are_found_by_name_only(case):
    methods = [m["name"] for m in case.json("inspect", "model.onnx")["methods"]]
    assert not set(methods) & {"random-map", "center-gaussian"}
    case.picture.resize((SIDE, SIDE)).save(case.folder / "a.png")
    case.picture.transpose(Image.FLIP_LEFT_RIGHT).resize((SIDE, SIDE)).save(case.folder / "b.png")

    def maps(*words):
        case.json("explain", "model.onnx", "a.png", "b.png", "--method", *words, "--map", "m/", "--output", "o/")
        found = [np.load(case.folder / "m" / name) for name in sorted(os.listdir(case.folder / "m"))]
        for name in os.listdir(case.folder / "m"):
            (case.folder / "m" / name).unlink()
        return found

    a, b = maps("random-map", "--seed", 1)
    assert a.shape == (7, 7) and (0 <= a).all() and (a < 1).all() and len(np.unique(a)) > 40 and (a != b).any()
    again, _ = maps("random-map", "--seed", 1)
    other, _ = maps("random-map", "--seed", 2)
    assert (a == again).all() and (a != other).any()
    middle, same = maps("center-gaussian", "--parameter", "width=0.5")
    place = ((np.arange(SIDE) + 0.5) / SIDE - 0.5) / 0.5
    expected = np.exp(-place[:, None] ** 2 / 2) * np.exp(-place[None] ** 2 / 2)
    np.testing.assert_allclose(middle, expected, rtol=1e-6)
    assert (middle == same).all()
