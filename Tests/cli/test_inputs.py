"""Further inputs, outputs to choose from, folders, standard input, and names in any bytes."""

import json
import os
import subprocess

import numpy as np
import onnx
import pytest
from conftest import PROGRAM, SIDE
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from onnx.reference import ReferenceEvaluator


@pytest.fixture
def tasks(case):
    """tasks.onnx: an image [N, H, W, 3] and a table [N, 2] make the logits of two tasks; the judge of it."""
    random = np.random.default_rng(3)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["colours"], axes=[1, 2], keepdims=0),
        helper.make_node("Concat", ["colours", "table"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "w1"], ["age"]), helper.make_node("MatMul", ["both", "w2"], ["sex"]),
    ]
    weights = [numpy_helper.from_array(random.normal(size=(5, k)).astype(np.float32), name)
               for name, k in (("w1", 4), ("w2", 2))]
    graph = helper.make_graph(
        nodes, "tasks",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", SIDE, SIDE, 3]),
         helper.make_tensor_value_info("table", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", 4]),
         helper.make_tensor_value_info("sex", TensorProto.FLOAT, ["N", 2])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {
        "limpid.preprocess": f"resize shorter {SIDE} bilinear\ncenter_crop {SIDE} {SIDE}\nscale 1/255"})
    onnx.save(model, case.folder / "tasks.onnx")
    case.picture.save(case.folder / "b.jpg", quality=100, subsampling=0)
    table = np.float32([[0.5, -1], [-2, 3]])
    np.save(case.folder / "table.npy", table)
    np.save(case.folder / "row.npy", table[1:])
    seen = case.picture.resize((2 * SIDE, SIDE), 2).crop((SIDE // 2, 0, SIDE // 2 + SIDE, SIDE))
    planes = np.asarray(seen, np.float32)[None] / 255

    def judge(row):
        outputs = ReferenceEvaluator(model).run(None, {"image": planes, "table": table[row][None]})
        return [np.exp(z[0]) / np.exp(z[0]).sum() for z in outputs]

    return judge


def probabilities(image):
    by_class = sorted((c["class"], c["probability"]) for c in image["classes"])
    return [p for _, p in by_class]


def test_one_row_for_all_images_and_the_scores_of_a_task(case, tasks):
    report = case.json("classify", "tasks.onnx", "wide.png", "--feed", "table=row.npy", "--scores", "sex")
    assert report["scores"] == {"output": "sex", "kind": "logits"}
    np.testing.assert_allclose(probabilities(report["images"][0]), tasks(1)[1], atol=1e-5)


def test_a_row_for_each_image(case, tasks):
    report = case.json(
        "classify", "tasks.onnx", "wide.png", "wide.png", "--feed", "table=table.npy", "--scores", "age")
    for row, image in enumerate(report["images"]):
        np.testing.assert_allclose(probabilities(image), tasks(row)[0], atol=1e-5)


def test_explain_and_fetch_take_them_too(case, tasks):
    report = case.json(
        "explain", "tasks.onnx", "wide.png", "--feed", "table=row.npy", "--scores", "age", "--method", "saliency",
        "--class", "3")
    assert report["explanations"][0]["class"] == 3
    case.json("fetch", "tasks.onnx", "wide.png", "--names", "age", "--feed", "table=row.npy", "--output", "age.npy")
    age = np.exp(np.load(case.folder / "age.npy")[0])
    np.testing.assert_allclose(age / age.sum(), tasks(1)[0], atol=1e-5)


@pytest.mark.parametrize("words, message", [
    (["--feed", "table=row.npy"], 'several outputs could hold the scores'),
    (["--scores", "age"], 'the input "table" is needed'),
    (["--scores", "size", "--feed", "table=row.npy"], 'no output "size"'),
    (["--scores", "age", "--feed", "tabel=row.npy"], 'no input "tabel"'),
    (["--scores", "age", "--feed", "table=none.npy"], 'cannot open "none.npy"'),
])
def test_refusals(case, tasks, words, message):
    result = case.run("classify", "tasks.onnx", "wide.png", *words)
    assert result.returncode == 1 and message in result.stderr


def test_inspect_tells_scores_and_where_an_image_goes(case, tasks):
    report = case.json("inspect", "tasks.onnx")
    assert report["scores"] is None and report["image_input"] == {"name": "image", "layout": "nhwc"}
    assert [i["shape"] for i in report["inputs"]] == [["N", SIDE, SIDE, 3], ["N", 2]]
    assert "several outputs" in case.run("inspect", "tasks.onnx").stdout
    assert case.json("inspect", "model.onnx")["scores"] == {"output": "logits", "kind": "logits"}


def test_folders_and_standard_input(case, tasks):
    folder = case.folder / "images"
    folder.mkdir()
    for name in ("b.PNG", "a.png", "notes.txt", ".hidden.png"):
        (folder / name).write_bytes((case.folder / "wide.png").read_bytes())
    report = case.json("classify", "model.onnx", "images", "wide.png", "--top", 5)
    assert [i["file"] for i in report["images"]] == ["images/a.png", "images/b.PNG", "wide.png"]
    (case.folder / "empty").mkdir()
    assert "has no PNG, JPEG or WebP files" in case.run("classify", "model.onnx", "empty").stderr
    with open(case.folder / "wide.png", "rb") as image:
        result = subprocess.run(
            [PROGRAM, "classify", "model.onnx", "-", "--json", "--top", "5"], cwd=case.folder, stdin=image,
            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0
    assert json.loads(result.stdout)["images"][0]["classes"] == report["images"][0]["classes"]
    assert "once only" in case.run("classify", "model.onnx", "-", "-").stderr


def test_names_in_any_bytes(case):
    name = b"bird\xe9 \xff\xc3\xb6.png"
    os.rename(case.folder / "wide.png", os.path.join(os.fsencode(case.folder), name))
    os.rename(case.folder / "model.onnx", os.path.join(os.fsencode(case.folder), b"\xe9.onnx"))
    result = subprocess.run(
        [PROGRAM, "explain", b"\xe9.onnx", name, "--json", "--output", b"out\xe9/"], cwd=case.folder,
        capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.decode("utf-8"))
    assert report["explanations"][0]["file"] == "bird\ufffd \ufffd\u00f6.png"
    (written,) = os.listdir(os.path.join(os.fsencode(case.folder), b"out\xe9"))
    assert written.startswith(b"bird\xe9 \xff\xc3\xb6-scouter-")
    missing = subprocess.run([PROGRAM, "classify", b"\xe9.onnx", b"no\xe9.png"], cwd=case.folder, capture_output=True)
    assert missing.returncode == 1 and 'cannot open "no\ufffd.png"' in missing.stderr.decode("utf-8")


@pytest.mark.parametrize("start, kind", [
    (b"GIF89a", "a GIF image"), (b"BM\0\0", "a BMP image"),
    (b"II*\0\x08\0\0\0", "a TIFF image"), (b"\0\0\0\x20ftypavif", "an AVIF image"),
    (b"\0\0\0\x18ftypheic", "an HEIC image"), (b"\n<!DOCTYPE html><html>", "an HTML page"),
    (b"<svg xmlns=", "an SVG drawing"),
])
def test_messages_say_what_a_file_is(case, start, kind):
    (case.folder / "x.jpg").write_bytes(start + bytes(64))
    result = case.run("classify", "model.onnx", "x.jpg")
    assert result.returncode == 1 and f"this is {kind}, neither a PNG, JPEG nor WebP file" in result.stderr


def test_all_bits_and_alpha(case):
    """What models are told by steps, and files by options."""
    levels = np.random.default_rng(4).integers(0, 65536, (SIDE, SIDE), np.uint16)
    Image.fromarray(levels).save(case.folder / "deep.png")
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 4), np.uint8)).save(case.folder / "alpha.png")

    def fed(image, *options):
        result = case.run("fetch", "model.onnx", image, "--names", "input", "--output", "values.npy", *options)
        assert result.returncode == 0, result.stderr
        return np.load(case.folder / "values.npy")[0], result.stderr

    plain = "scale 1/255"
    whole, messages = fed("deep.png", "--preprocess", plain, "--bits", "16")
    np.testing.assert_allclose(whole, np.broadcast_to(levels / 65535, (3, SIDE, SIDE)), rtol=0, atol=1e-6)
    assert "warning" not in messages
    said, _ = fed("deep.png", "--preprocess", "depth 16; scale 1/65535")
    np.testing.assert_allclose(said, whole, rtol=0, atol=1e-6)
    cut, messages = fed("deep.png", "--preprocess", "depth 16; scale 1/65535", "--bits", "8")
    assert "cut off at 255" in messages and cut.max() == 1
    both = case.run("fetch", "model.onnx", "deep.png", "--names", "input", "--bits", "16", "--high-byte")
    assert both.returncode != 0 and "exclude each other" in both.stderr
    four = case.run("fetch", "model.onnx", "alpha.png", "--names", "input", "--preprocess", "alpha; scale 1/255")
    assert four.returncode != 0 and "channels" in four.stderr


def test_webp_and_the_high_byte_of_16_bits(case):
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    image.save(case.folder / "x.webp", lossless=True)
    image.save(case.folder / "x.png")
    of_webp, of_png = (case.json("classify", "model.onnx", name)["images"][0]["classes"] for name in ("x.webp", "x.png"))
    assert of_webp == of_png
    high = np.random.default_rng(3).integers(1, 256, (SIDE, SIDE), np.uint16)
    Image.fromarray(high * 256 + 7).save(case.folder / "deep.png")
    Image.fromarray(high.astype(np.uint8)).save(case.folder / "high.png")
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(case.folder / "cut.png")
    cut, kept = (case.run("classify", "model.onnx", "deep.png", "--json", *more) for more in ((), ("--high-byte",)))
    assert "warning: \"deep.png\"" in cut.stderr and "16 bits" in cut.stderr and "warning" not in kept.stderr
    for result, same in ((cut, "cut.png"), (kept, "high.png")):
        found = json.loads(result.stdout)["images"][0]["classes"]
        assert found == case.json("classify", "model.onnx", same)["images"][0]["classes"]
