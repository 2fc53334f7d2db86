"""Small data sets for docs/reproduce, in the formats of the publications' own: `python make_data.py FOLDER`.

Digits that training has not seen (those that scikit-learn ships, CC BY 4.0), on the grounds of the examples beside this one:

    digits/        CUB-200-2011's files: 8x8 digits enlarged to 216x216, the box around the ink of each
    grounds/       a list `path label` and VOC's XML files: a digit on a coloured ground, 64x64
    fragments/     a csv `path,label`, and the boxes as ILSVRC's LOC_val_solution.csv: a digit among fragments

Needs NumPy, Pillow and scikit-learn.
"""

import importlib.util
import pathlib
import sys

import numpy as np
from PIL import Image

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent
COUNT = 200


def module(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").replace("-", "_"), EXAMPLES / f"{path}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def box(ink):
    """x1, y1, x2, y2 of what is not 0, the latter two outside."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def save(folder, name, pixels):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name, optimize=True)


def digits(folder):
    data = module("digits/digits")
    pictures, labels = data.load()
    _, held_out = data.split(labels)
    tables = {name: [] for name in ("images", "image_class_labels", "bounding_boxes", "train_test_split")}
    for number, i in enumerate(held_out[:COUNT], 1):
        name = f"{labels[i] + 1:03}.{labels[i]}/{number:04}.png"
        large = Image.fromarray(pictures[i]).resize((216, 216), Image.Resampling.BILINEAR)
        save(folder / "images", name, np.asarray(large))
        x1, y1, x2, y2 = (27 * v for v in box(pictures[i] > 60))
        tables["images"].append(name)
        tables["image_class_labels"].append(labels[i] + 1)
        tables["bounding_boxes"].append(f"{x1}.0 {y1}.0 {x2 - x1}.0 {y2 - y1}.0")
        tables["train_test_split"].append(0)
    for name, rows in tables.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {row}\n" for i, row in enumerate(rows, 1)))


XML = """<annotation><filename>{name}</filename><object><name>{label}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>\
<xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object></annotation>
"""


def grounds(folder):
    canvas = module("tame-digits/canvas")
    _, (pictures, labels) = canvas.split()
    random = np.random.default_rng(1)
    lines = []
    (folder / "Annotations").mkdir(parents=True)
    for i in range(COUNT):
        pixels, ink = canvas.paint(pictures[i], random)
        name = f"{i:04}.png"
        save(folder / "JPEGImages", name, pixels)
        lines.append(f"{name} {labels[i]}\n")
        (folder / "Annotations" / f"{i:04}.xml").write_text(XML.format(*box(ink > 60), name=name, label=labels[i]))
    (folder / "Evaluation_200.txt").write_text("".join(lines))


def fragments(folder):
    canvas = module("digits-ca-stream/canvas")
    pictures, labels, training, held_out = canvas.load()
    random = np.random.default_rng(1)
    lines, boxes = [], ["ImageId,PredictionString\n"]
    for number, i in enumerate(held_out[:COUNT]):
        pixels, (left, top, side) = canvas.compose(pictures[i], pictures[training], random)
        name = f"{number:04}"
        save(folder / "val", name + ".png", pixels)
        lines.append(f"{name}.png,{labels[i]}\n")
        boxes.append(f"{name},n0000000{labels[i]} {left} {top} {left + side} {top + side}\n")
    (folder / "val.csv").write_text("".join(lines))
    (folder / "LOC_val_solution.csv").write_text("".join(boxes))
    (folder / "LOC_synset_mapping.txt").write_text("".join(f"n0000000{c} {c}\n" for c in range(10)))


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    sys.path.insert(0, str(EXAMPLES / "digits"))
    for make in (digits, grounds, fragments):
        make(target / make.__name__)
        print(f"{target / make.__name__}: {COUNT} images")
