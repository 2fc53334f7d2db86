"""Draws why.png: held-out pictures, and below each what four methods make of the transformer's answer; prints how much of
the maps lies on the digit. Needs the Python package `limpid`, and scikit-learn for the digits."""

import pathlib
import sys

import limpid
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tame-digits"))
import canvas  # noqa: E402

METHODS = ["attention-rollout", "le-grad", "grad-cam", "recipro-cam"]
COLUMNS, SCALE, GAP, MEASURED = 10, 2, 4, 400


def box(ink):
    """bool [height, width]: the smallest rectangle around the ink."""
    rows, columns = np.flatnonzero(ink.max(1) > 128), np.flatnonzero(ink.max(0) > 128)
    inside = np.zeros(ink.shape, bool)
    inside[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1] = True
    return inside


def main():
    pictures, labels, ink = canvas.paint_all(*canvas.split()[1], MEASURED, np.random.default_rng(4))
    pictures = np.round(pictures.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    boxes = np.stack([box(on) for on in ink])
    rows = [pictures[:COLUMNS]]
    with limpid.Model(HERE / "model.onnx") as model:
        right = np.mean(model.classify(list(pictures)).argmax(1) == labels)
        print(f"{right:.1%} right; the box around the digit covers {boxes.mean():.0%} of a picture")
        for method in METHODS:
            found = model.explain(list(pictures), method)
            maps = np.stack([np.maximum(why.map, 0) for why in found])
            share = np.mean((maps * boxes).sum((1, 2)) / np.maximum(maps.sum((1, 2)), 1e-30))
            peaks = maps.reshape(MEASURED, -1).argmax(1)
            hit = np.mean(boxes.reshape(MEASURED, -1)[np.arange(MEASURED), peaks])
            print(f"{method}: {share:.0%} of the map's sum in the box, its largest value there {hit:.0%}")
            rows.append([np.asarray(why.overlay(colormap="turbo", opacity=0.5)) for why in found[:COLUMNS]])
    side = canvas.SIDE * SCALE
    sheet = Image.new("RGB", (COLUMNS * (side + GAP) - GAP, len(rows) * (side + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(large, (x * (side + GAP), y * (side + GAP)))
    sheet.quantize(256).save(HERE / "why.png", optimize=True)


if __name__ == "__main__":
    main()
