"""Writes images/ (held-out digits as files) and the two figures of README.md: `python pictures.py`."""

import numpy as np
from PIL import Image

import digits
from evaluate import HERE, LARGE, Model, png

CELL, GAP = 64, 3

# Control points of matplotlib's "jet", in which SCOUTER's maps are published.
JET = (([0, 0.35, 0.66, 0.89, 1], [0, 0, 1, 1, 0.5]),
       ([0, 0.125, 0.375, 0.64, 0.91, 1], [0, 0, 1, 1, 0, 0]),
       ([0, 0.11, 0.34, 0.65, 1], [0.5, 1, 1, 0, 0]))
OPACITY = 0.4


def choose(labels, predicted, held_out):
    """{file name: index}: the first held-out picture of each class, and the first two of wrong prediction."""
    chosen = {str(digit): next(i for i in held_out if labels[i] == digit) for digit in range(10)}
    wrong = [i for i, p in zip(held_out, predicted) if p != labels[i]]
    return chosen | {f"mistaken-{labels[i]}": i for i in wrong[:2]}


def overlay(picture, maps, digit):
    """The map of one class over the picture; `maps` [10, 9, 9] share one scale, as in the publication."""
    scaled = ((maps[digit] - maps.min()) / (maps.max() - maps.min()) * 255).astype(np.uint8)
    level = np.asarray(Image.fromarray(scaled).resize((CELL, CELL), Image.Resampling.BILINEAR)) / 255
    colour = np.stack([np.interp(level, *points) for points in JET], -1)
    return Image.blend(plain(picture), Image.fromarray((colour * 255).astype(np.uint8)), OPACITY)


def plain(picture):
    """The picture, as large as a map."""
    return Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.BILINEAR).convert("RGB")


def sheet(rows):
    """Pictures of one size in rows, on white."""
    width, height = (n * (CELL + GAP) - GAP for n in (len(rows[0]), len(rows)))
    canvas = Image.new("RGB", (width, height), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            canvas.paste(image, (x * (CELL + GAP), y * (CELL + GAP)))
    return canvas


def main():
    pictures, labels = digits.load()
    _, held_out = digits.split(labels)
    positive, negative = Model("positive"), Model("negative")
    predicted = positive.run([png(pictures[i]) for i in held_out])[0].argmax(1)
    chosen = choose(labels, predicted, held_out)
    (HERE / "images" / "large").mkdir(parents=True, exist_ok=True)
    for name, index in chosen.items():
        (HERE / "images" / f"{name}.png").write_bytes(png(pictures[index]))
        (HERE / "images" / "large" / f"{name}.png").write_bytes(png(pictures[index], LARGE))

    shown = [pictures[i] for i in chosen.values()]
    logits, maps = positive.run([png(picture) for picture in shown])
    why = [overlay(picture, m, scores.argmax()) for picture, m, scores in zip(shown, maps, logits)]
    sheet([[plain(picture) for picture in shown], why]).save(HERE / "why.png", optimize=True)

    shown = shown[:10]
    _, maps = negative.run([png(picture) for picture in shown])
    rows = [[plain(picture)] + [overlay(picture, m, digit) for digit in range(10)]
            for picture, m in zip(shown, maps)]
    sheet(rows).save(HERE / "why-not.png", optimize=True)


if __name__ == "__main__":
    main()
