"""Draws why.png: held-out pictures, and below each what four methods make of the transformer's answer; prints how much of
the maps lies on the digit. Needs the Python package `limpid`, and scikit-learn for the digits."""

import pathlib
import sys

import limpid
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tame-digits"))
import canvas  # noqa: E402

METHODS = ["attention-rollout", "le-grad", "grad-cam", "recipro-cam"]
COLUMNS, MEASURED = 10, 400


def main():
    pictures, labels, ink = canvas.paint_all(*canvas.split()[1], MEASURED, np.random.default_rng(4))
    pictures = np.round(pictures.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    boxes = np.stack([canvas.box(on) for on in ink])
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
    canvas.sheet(rows).save(HERE / "why.png", optimize=True)


if __name__ == "__main__":
    main()
