"""Every format of data sets that limpid evaluate reads, by a miniature of it."""

import csv
import json
import struct

import numpy as np
import pytest
from PIL import Image
from test_evaluate import PREPARED

random = np.random.default_rng(11)


def picture(path, width=24, height=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(path)


def evaluate(case, *words, code=0):
    """Results, and images.csv by name (a list of rows)."""
    report = case.folder / "out"
    result = case.run("evaluate", "bare.onnx", *PREPARED, "--report", report, *words)
    assert result.returncode == code, result.stderr
    if code:
        return result.stderr
    rows = {}
    for row in csv.DictReader((report / "images.csv").open()):
        rows.setdefault(row["name"], []).append(row)
    document = json.loads((report / "results.json").read_text())
    assert document["data"]["failed"] == []
    return document, rows, result.stderr


def truths(rows):
    return {name: [int(row["truth"]) for row in each] if each[0]["truth"] else None for name, each in rows.items()}


def measured(case, image, metric, draw, array, *words):
    """What limpid measure says of one image."""
    np.save(case.folder / "draw.npy", np.asarray(array))
    found = case.run(
        "measure", "bare.onnx", image, *PREPARED, "--method", "grad-cam", "--metric", metric, "--metric-draw",
        f"{draw}=draw.npy", "--json", *words)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)["metrics"][0]["values"][0]["value"]


@pytest.mark.parametrize("lines, expected", [
    (["a.png 1", "b c.png 3 ", "d 0"], {"a.png": [1], "b c.png": [3], "d.jpg": [0]}),
    (["a.png,1", '"b c.png",3', "", "d,0"], {"a.png": [1], "b c.png": [3], "d.jpg": [0]}),
    (["path,label", "a.png,1", "b c.png,3"], {"a.png": [1], "b c.png": [3]}),
    (["a.png;1", "b c.png;3"], {"a.png": [1], "b c.png": [3]}),
    (["a.png\t1", "b c.png\t3"], {"a.png": [1], "b c.png": [3]}),
    (["a.png 2", "a.png 2", "a.png 4"], {"a.png": [2, 2, 4]}),
    (["b c.png"], {"b c.png": None}),
])
def test_lists(case, lines, expected):
    for name in ("a.png", "b c.png"):
        picture(case.folder / "images" / name)
    Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8)).save(case.folder / "images/d.jpg")
    (case.folder / "list.txt").write_text("\r\n".join(lines) + "\r\n")
    document, rows, _ = evaluate(case, "--data", "list.txt", "--images", "images")
    assert truths(rows) == expected and document["data"]["format"] == "list"


@pytest.mark.parametrize("text", ["a.png 2\rb c.png 1\r", "a.png 2\nb c.png 1\n", "a.png,2\r\nb c.png,1"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_lists_of_other_systems(case, text, encoding):
    for name in ("a.png", "b c.png"):
        picture(case.folder / "images" / name)
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (case.folder / "list.txt").write_bytes(mark + text.encode(encoding))
    _, rows, _ = evaluate(case, "--data", "list.txt", "--images", "images")
    assert truths(rows) == {"a.png": [2], "b c.png": [1]}


def test_lists_that_are_none_are_refused(case):
    (case.folder / "list.txt").write_bytes(b"a.png 1\n\0b.png 1\n")
    assert "line 2" in evaluate(case, "--data", "list.txt", "--format", "list", code=1)
    (case.folder / "list.txt").write_text("a.png 1\nb.png\n")
    assert "line 2" in evaluate(case, "--data", "list.txt", "--format", "list", code=1)
    (case.folder / "list.txt").write_text("a.png,7\n")
    assert "is of class 7, but the model has 5 classes" in evaluate(case, "--data", "list.txt", code=1)
    (case.folder / "list.txt").write_text("a.png,lion\n")
    assert "labels" in evaluate(case, "--data", "list.txt", code=1)


def test_folders_without_labels_of_the_model_go_by_order_where_they_are_as_many(case):
    for name in ("e", "d", "c", "b", "a"):
        picture(case.folder / "set" / name / "deep" / "1.png")
    document, rows, said = evaluate(case, "--data", "set")
    assert truths(rows) == {f"{name}/deep/1.png": [i] for i, name in enumerate("abcde")}
    assert "order" in document["data"]["classes"] and "format folders" in said
    (case.folder / "names.txt").write_text("\n".join("edcba") + "\n")
    _, rows, _ = evaluate(case, "--data", "set", "--classes", "names.txt")
    assert truths(rows) == {f"{name}/deep/1.png": [i] for i, name in enumerate("edcba")}


def test_folders_whose_classes_cannot_be_told_are_refused(case):
    for name in ("1", "2", "10"):
        picture(case.folder / "numbers" / name / "1.png")
        picture(case.folder / "few" / ("x" + name) / "1.png")
    assert "numbers" in evaluate(case, "--data", "numbers", code=1)
    assert "there are 3 folders, but the model has 5 classes" in evaluate(case, "--data", "few", code=1)
    _, rows, _ = evaluate(case, "--data", "few", "--first-classes", 2)
    assert truths(rows) == {"x1/1.png": [0], "x10/1.png": [1]}


def test_images_without_classes(case):
    picture(case.folder / "plain/a.png")
    document, rows, _ = evaluate(case, "--data", "plain", "--method", "grad-cam", "--metric", "average-drop")
    assert truths(rows) == {"a.png": None} and document["accuracy"] is None
    assert "says of no image what is true" in evaluate(
        case, "--data", "plain", "--method", "grad-cam", "--metric", "increase", "--class", "truth", code=1)


def test_mnist(case):
    pixels = random.integers(0, 256, (3, 20, 24), np.uint8)
    (case.folder / "m").mkdir()
    for part in ("t10k", "train"):
        header = struct.pack(">IIII", 0x803, *pixels.shape)
        (case.folder / f"m/{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = bytes([4, 0, 2] if part == "t10k" else [1, 1, 1])
        (case.folder / f"m/{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 3) + labels)
    _, rows, _ = evaluate(case, "--data", "m")
    assert truths(rows) == {f"t10k-images-idx3-ubyte/{i}": [c] for i, c in enumerate((4, 0, 2))}
    Image.fromarray(pixels[1]).save(case.folder / "one.png")
    (one,) = case.json("classify", "bare.onnx", "one.png", *PREPARED)["images"]
    found = rows["t10k-images-idx3-ubyte/1"][0]
    assert float(found["probability"]) == pytest.approx(one["classes"][0]["probability"], rel=1e-6)
    _, rows, _ = evaluate(case, "--data", "m", "--split", "train")
    assert set(truths(rows).values().__iter__().__next__()) == {1}
    (case.folder / "m/t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(20))
    assert "damaged" in evaluate(case, "--data", "m", code=1)


def test_cub_with_its_boxes_and_its_split(case):
    root = case.folder / "cub"
    names = ["001.A/x.png", "002.B/y.png", "002.B/z.png"]
    for name in names:
        picture(root / "images" / name)
    (root / "images.txt").write_text("".join(f"{i + 1} {name}\n" for i, name in enumerate(names)))
    (root / "image_class_labels.txt").write_text("1 1\n2 2\n3 2\n")
    (root / "bounding_boxes.txt").write_text("1 2.0 3.0 10.0 12.0\n2 1.0 1.0 20.0 15.0\n3 0.0 0.0 4.0 4.0\n")
    (root / "train_test_split.txt").write_text("1 0\n2 1\n3 0\n")
    words = ("--data", "cub", "--method", "grad-cam", "--metric", "precision,pointing-game")
    _, rows, _ = evaluate(case, *words)
    assert truths(rows) == {"001.A/x.png": [0], "002.B/z.png": [1]}
    for name, box in (("001.A/x.png", [2, 3, 12, 15]), ("002.B/z.png", [0, 0, 4, 4])):
        for metric in ("precision", "pointing-game"):
            expected = measured(case, f"cub/images/{name}", metric, "boxes", [[box]])
            assert float(rows[name][0][f"grad-cam {metric}"]) == pytest.approx(expected, rel=1e-12)
    _, rows, _ = evaluate(case, *words, "--split", "all", "--store", "none")
    assert len(rows) == 3


def test_ilsvrc_with_the_boxes_of_the_solution(case):
    root = case.folder / "ilsvrc"
    picture(root / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.png")
    picture(root / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.png")
    (root / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_00000002,n00000003 1 2 9 8 n00000003 10 10 20 15 \n"
        "ILSVRC2012_val_00000001,n00000001 0 0 24 20\n")
    (root / "LOC_synset_mapping.txt").write_text("".join(f"n0000000{i} word, another {i}\n" for i in range(1, 6)))
    _, rows, _ = evaluate(case, "--data", "ilsvrc", "--method", "grad-cam", "--metric", "precision")
    first, second = "ILSVRC2012_val_00000001.png", "ILSVRC2012_val_00000002.png"
    assert truths(rows) == {second: [2], first: [0]} and list(rows)[0] == second
    expected = measured(
        case, f"ilsvrc/ILSVRC/Data/CLS-LOC/val/{second}", "precision", "boxes", [[[1, 2, 9, 8], [10, 10, 20, 15]]])
    assert float(rows[second][0]["grad-cam precision"]) == pytest.approx(expected, rel=1e-12)


VOC = """<?xml version="1.0"?><!-- c --><annotation><folder>f</folder><filename>{name}</filename>
<object><name>{first}</name><part><name>head</name><bndbox><xmin>0</xmin></bndbox></part>
<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>
<object><name>b</name><difficult/><bndbox><xmax>20</xmax><xmin>12</xmin><ymin>1</ymin><ymax>15</ymax></bndbox></object>
</annotation>"""


def test_what_is_plainly_of_a_format_is_not_a_folder_of_images(case):
    picture(case.folder / "ilsvrc/a.png")
    (case.folder / "ilsvrc/LOC_val_solution.csv").write_text("ImageId,PredictionString\na,n00000002 0 0 4 4\n")
    (case.folder / "names.txt").write_text("n00000001\nn00000002\n")
    document, rows, _ = evaluate(case, "--data", "ilsvrc", "--classes", "names.txt")
    assert document["data"]["format"] == "ilsvrc" and truths(rows) == {"a.png": [1]}


def test_voc_has_a_sample_for_each_class_of_an_image(case):
    for name, first in (("one", "a"), ("two", "b")):
        picture(case.folder / f"voc/JPEGImages/{name}.png")
        (case.folder / "voc/Annotations").mkdir(exist_ok=True)
        (case.folder / f"voc/Annotations/{name}.xml").write_text(VOC.format(name=name + ".jpg", first=first))
    (case.folder / "names.txt").write_text("x\na\nb\n")
    document, rows, _ = evaluate(
        case, "--data", "voc/Annotations", "--classes", "names.txt", "--method", "grad-cam", "--metric", "precision")
    assert truths(rows) == {"one.png": [1, 2], "two.png": [2]} and document["class"] == "truth"
    assert [row["grad-cam class"] for row in rows["one.png"]] == ["1", "2"]
    expected = measured(case, "voc/JPEGImages/one.png", "precision", "boxes", [[[2, 3, 9, 8]]], "--class", 1)
    assert float(rows["one.png"][0]["grad-cam precision"]) == pytest.approx(expected, rel=1e-12)


def test_coco_instances_give_masks_by_category(case):
    picture(case.folder / "coco/a.png")
    picture(case.folder / "coco/b.png")
    square = [4, 5, 12, 5, 12, 15, 4, 15]
    runs = [3 * 20 + 2, 6, 14, 6, 20 * 24 - 3 * 20 - 2 - 26]
    document = {
        "annotations": [
            {"image_id": 7, "category_id": 3, "segmentation": [square], "bbox": [4, 5, 8, 10], "iscrowd": 0, "id": 1},
            {"image_id": 7, "category_id": 1, "segmentation": {"counts": runs, "size": [20, 24]}, "bbox": [3, 2, 2, 6],
             "iscrowd": 1, "id": 2},
            {"image_id": 9, "category_id": 2, "segmentation": [square], "bbox": [4, 5, 8, 10], "id": 3},
        ],
        "images": [{"id": 9, "file_name": "b.png", "width": 24, "height": 20},
                   {"id": 7, "file_name": "a.png", "width": 24, "height": 20}],
        "categories": [{"id": i, "name": name} for i, name in ((1, "cat"), (2, "dog"), (3, "cow"))],
    }
    (case.folder / "instances_val.json").write_text(json.dumps(document))
    (case.folder / "names.txt").write_text("dog\ncat\ncow\n")
    # Nothing within reach, so that the masks decide.
    words = ("--metric", "pointing-game", "--metric-parameter", "tolerance=0")
    _, rows, _ = evaluate(
        case, "--data", "instances_val.json", "--images", "coco", "--classes", "names.txt", "--method", "grad-cam", *words)
    assert truths(rows) == {"b.png": [0], "a.png": [1, 2]} and list(rows) == ["b.png", "a.png"]
    polygon, run = np.zeros((1, 20, 24), np.uint8), np.zeros((1, 20, 24), np.uint8)
    polygon[0, 5:15, 4:12] = 1
    run[0, 2:8, 3:5] = 1
    for name, mask, truth, row in (("a.png", run, 1, 0), ("a.png", polygon, 2, 1), ("b.png", polygon, 0, 0)):
        expected = measured(case, f"coco/{name}", "pointing-game", "mask", mask, "--class", truth, *words[2:])
        assert float(rows[name][row]["grad-cam pointing-game"]) == expected


def test_context_and_acrima_with_the_published_splits(case):
    for c in "vwxyz":
        for i in range(5):
            picture(case.folder / f"context/{c}_{i}.png")
    _, rows, _ = evaluate(case, "--data", "context", "--format", "context")
    assert truths(rows) == {f"{c}_{i}.png": [k] for k, c in enumerate("vwxyz") for i in range(5)}
    _, rows, _ = evaluate(case, "--data", "context", "--format", "context", "--split", "test")
    order = np.random.RandomState(1).permutation(25)
    names = sorted(f"{c}_{i}.png" for c in "vwxyz" for i in range(5))
    assert list(rows) == [names[i] for i in sorted(order[:5])]
    for name in ("Im001_ACRIMA.png", "Im400_g_ACRIMA.png"):
        picture(case.folder / "acrima" / name)
    document, rows, _ = evaluate(case, "--data", "acrima")
    assert document["data"]["format"] == "acrima"
    assert truths(rows) == {"Im001_ACRIMA.png": [0], "Im400_g_ACRIMA.png": [1]}


def test_parts_of_a_data_set(case):
    for i in range(40):
        picture(case.folder / f"plain/{i:02}.png")
    names = [f"{i:02}.png" for i in range(40)]
    assert list(evaluate(case, "--data", "plain", "--limit", 3)[1]) == names[:3]
    drawn = list(evaluate(case, "--data", "plain", "--sample", 9, "--seed", 5)[1])
    assert len(drawn) == 9 and drawn == sorted(drawn) and drawn != names[:9]
    assert list(evaluate(case, "--data", "plain", "--sample", 9, "--seed", 6, "--store", "none")[1]) != drawn


def test_what_is_no_data_set_is_refused_by_words(case):
    assert 'no file or folder "nothing"' in evaluate(case, "--data", "nothing", code=1)
    (case.folder / "x.bin").write_bytes(b"123")
    said = evaluate(case, "--data", "x.bin", code=1)
    assert "no format that is known by its look" in said and "cub" in said
    (case.folder / "nothing").mkdir()
    (case.folder / "nothing.txt").write_bytes(b"")
    for name in ("nothing", "nothing.txt"):
        failed = case.run("evaluate", "bare.onnx", *PREPARED, "--data", name)
        assert failed.returncode == 1 and f'the data set "{name}" is empty' in failed.stderr
    assert "no data format" in evaluate(case, "--data", "x.bin", "--format", "lists", code=1)
    assert "has no splits" in evaluate(case, "--data", ".", "--format", "folders", "--split", "test", code=1)
