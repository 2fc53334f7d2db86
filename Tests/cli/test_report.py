import io
import os
import re
import shlex
import subprocess

import numpy as np
import onnx
import pages
import pytest
from conftest import LABELS, PROGRAM, build_model
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
        f"{method} map of wide.png for {LABELS[c]}" for c in classes for method in ("scouter", "recipro-cam")]
    for c in np.argsort(-case.probabilities)[:5]:
        assert f"{100 * case.probabilities[c]:.1f} %" in page.text
    assert "limpid explain model.onnx wide.png --method scouter,recipro-cam --class predicted,3 --report r.html" in page.text
    assert "resize shorter 16 bilinear" in page.text and "0.1.0" in page.text
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
    assert len(page.named("img")) == 2 and "broken.png" in page.text and "1 image is not in the results" in page.text


def test_thousands_of_maps_are_counted_not_shown(case):
    for i in range(60):
        case.picture.save(case.folder / f"{i}.png")
    _, page = explain(case, *[f"{i}.png" for i in range(60)], "--class", "all")
    assert len(page.named("img")) == 240 + 48 and "the first 240 of 300 maps" in page.text


@pytest.mark.parametrize("words, status, message", [
    (["--report", "r.txt"], 2, "ends in .html"), (["--report", "nowhere/r.html"], 1, 'cannot write "nowhere/r.html"'),
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
