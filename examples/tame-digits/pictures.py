"""Draws why.png: held-out pictures, and below each the TAME and the L-CAM map of the predicted class; prints how much
of the maps lies on the ink. Needs the converted models and the Python package `limpid`."""

import pathlib

import limpid
import numpy as np

import canvas

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS, MEASURED = 10, 400


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
            box = np.mean([why.map[canvas.box(on)].sum() / why.map.sum() for why, on in zip(found, ink)])
            hit = np.mean([canvas.box(on)[np.unravel_index(why.map.argmax(), on.shape)] for why, on in zip(found, ink)])
        rows.append(drawn)
        print(f"{name}: {right:.1%} right; of the map's sum {shares:.0%} on ink, {box:.0%} in the digit's box; "
              f"peak in the box {hit:.0%}")
    print(f"ink covers {np.mean(ink > 128):.0%} of a picture, the box {np.mean([canvas.box(on).mean() for on in ink]):.0%}")
    canvas.sheet(rows).save(HERE / "why.png", optimize=True)


if __name__ == "__main__":
    main()
