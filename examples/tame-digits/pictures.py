"""Draws why.png: held-out pictures, and below each the TAME and the L-CAM map of the predicted class; prints how much
of the maps lies on the ink. Needs the converted models and the Python package `limpid`."""

import pathlib

import limpid
import numpy as np
from PIL import Image

import canvas

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS, SCALE, GAP, MEASURED = 10, 2, 4, 400


def main():
    pictures, labels, ink = canvas.paint_all(*canvas.split()[1], MEASURED, np.random.default_rng(4))
    pictures = np.round(pictures.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    rows = [pictures[:COLUMNS]]
    for name in ("tame", "lcam"):
        with limpid.Model(HERE / f"{name}.onnx") as model:
            found = model.explain(list(pictures), method=name)
            drawn = [np.asarray(why.overlay(style="tame")) for why in found[:COLUMNS]]
            right = np.mean([why.class_index == label for why, label in zip(found, labels)])
            shares = np.mean([why.map[on > 128].sum() / why.map.sum() for why, on in zip(found, ink)])
            box = np.mean([why.map[_box(on)].sum() / why.map.sum() for why, on in zip(found, ink)])
            hit = np.mean([_box(on)[np.unravel_index(why.map.argmax(), on.shape)] for why, on in zip(found, ink)])
        rows.append(drawn)
        print(f"{name}: {right:.1%} right; of the map's sum {shares:.0%} on ink, {box:.0%} in the digit's box; "
              f"peak in the box {hit:.0%}")
    print(f"ink covers {np.mean(ink > 128):.0%} of a picture, the box {np.mean([_box(on).mean() for on in ink]):.0%}")
    side = canvas.SIDE * SCALE
    sheet = Image.new("RGB", (COLUMNS * (side + GAP) - GAP, len(rows) * (side + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(large, (x * (side + GAP), y * (side + GAP)))
    sheet.quantize(256).save(HERE / "why.png", optimize=True)


def _box(ink):
    """bool [height, width]: the smallest rectangle around the ink."""
    rows, columns = np.flatnonzero(ink.max(1) > 128), np.flatnonzero(ink.max(0) > 128)
    inside = np.zeros(ink.shape, bool)
    inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return inside


if __name__ == "__main__":
    main()
