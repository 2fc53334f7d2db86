"""Measures the converted model on held-out digits and writes images/ and attention.png: `python pictures.py`.

Needs the Python package limpid with its library, besides what canvas.py needs.
"""

import pathlib

import limpid
import numpy as np
from PIL import Image

import canvas

HERE = pathlib.Path(__file__).parent
SIZE, GAP = 96, 4
#: What the rows of attention.png show, and the measurements.
SHOWN = {"last stage": -1, "stage 3": 3, "mean of all": -2}


def compose(pictures, indices, training):
    """Held-out canvases and boxes; the same ones as train.py measures on."""
    random = np.random.default_rng(1)
    return [canvas.compose(pictures[i], pictures[training], random) for i in indices]


def share_inside(why, box):
    """Which part of a map's sum lies in the digit's box."""
    left, top, side = box
    return why.map[top : top + side, left : left + side].sum() / why.map.sum()


def points_inside(why, box):
    """Whether the largest value lies in the digit's box."""
    left, top, side = box
    y, x = np.unravel_index(why.map.argmax(), why.map.shape)
    return left <= x < left + side and top <= y < top + side


def measure(model, canvases, boxes, labels):
    right = model.classify(canvases).argmax(1) == labels
    area = np.mean([side**2 for _, _, side in boxes]) / canvas.SIDE**2
    print(f"right: {right.sum()} of {len(right)}; the digit's box covers {area:.1%} of a picture")
    for name, stage in SHOWN.items():
        maps = model.explain(canvases, stage=stage)
        share = np.mean([share_inside(why, box) for why, box in zip(maps, boxes)])
        hits = np.mean([points_inside(why, box) for why, box in zip(maps, boxes)])
        print(f"{name}: {share:.1%} of the attention in the box, its largest value there in {hits:.1%}")


def sheet(rows):
    """Pictures of one size in rows, on white."""
    width, height = (n * (SIZE + GAP) - GAP for n in (len(rows[0]), len(rows)))
    page = Image.new("RGB", (width, height), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            page.paste(image, (x * (SIZE + GAP), y * (SIZE + GAP)))
    return page


def main():
    model = limpid.Model(HERE / "resnet18-stream.onnx")
    pictures, labels, training, held_out = canvas.load()
    canvases, boxes = zip(*compose(pictures, held_out, training))
    canvases = [np.repeat(c[:, :, None], 3, 2) for c in canvases]
    measure(model, canvases, boxes, labels[held_out])

    chosen = [canvases[int(np.argmax(labels[held_out] == digit))] for digit in range(10)]
    (HERE / "images").mkdir(exist_ok=True)
    for digit, picture in enumerate(chosen):
        Image.fromarray(picture[:, :, 0]).save(HERE / "images" / f"{digit}.png", optimize=True)
    rows = [[Image.fromarray(p).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for p in chosen]]
    for stage in SHOWN.values():
        rows.append([why.overlay(size=(SIZE, SIZE)) for why in model.explain(chosen, stage=stage)])
    sheet(rows).save(HERE / "attention.png", optimize=True)


if __name__ == "__main__":
    main()
