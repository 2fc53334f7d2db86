"""Measures model.onnx on held-out scenes, and draws names.png and the scenes in images/.

Recall (the seed-004 reproduction's definition): of the digits that lie where a filter is active, the share that is
among the k words nearest to what the filter sees there.
"""

import pathlib

import numpy as np
from PIL import Image, ImageDraw

import limpid
import scenes
import words

HERE = pathlib.Path(__file__).parent
PER_FILTER = 10
SHOWN = 6


def region(activations, threshold):
    """Where the enlarged map is above the threshold, [96, 96]."""
    large = Image.fromarray(activations).resize((scenes.SIDE, scenes.SIDE), Image.Resampling.BILINEAR)
    return np.asarray(large) > threshold


def truth(where, labels, boxes, least=0.04):
    """Words of the digits whose box overlaps the region."""
    found = set()
    for label, (x, y, w, h) in zip(labels, boxes):
        box = np.zeros_like(where)
        box[y : y + h, x : x + w] = True
        if (where & box).sum() > least * (where | box).sum():
            found.add(words.DIGITS[label])
    return found


def recall(names, maps, thresholds, labels, boxes, k):
    shares = []
    for name in names:
        for image in name.images:
            there = truth(region(maps[image.index, name.filter], thresholds[name.filter]), labels[image.index],
                          boxes[image.index])
            if there:
                shares.append(len(there & {w for w, _ in image.words[:k]}) / len(there))
    return np.mean(shares)


def draw(model, names, pictures):
    """Rows of the scenes that excite a filter most, where it is active in them, and its name."""
    cell = scenes.SIDE + 4
    sheet = Image.new("RGB", (SHOWN * cell + 180, len(names) * cell), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        for column, image in enumerate(name.images[:SHOWN]):
            (why,) = model.explain(pictures[image.index], "lavise", filter=name.filter)
            sheet.paste(why.overlay(size=(scenes.SIDE, scenes.SIDE)), (column * cell, row * cell))
        pen.text((SHOWN * cell + 8, row * cell + 20), f"filter {name.filter}", fill="black")
        for line, (word, count) in enumerate(name.words[:4]):
            pen.text((SHOWN * cell + 8, row * cell + 34 + 12 * line), f"{word}  {count:.0f}", fill="black")
    sheet.save(HERE / "names.png", optimize=True)


def main():
    model = limpid.Model(HERE / "model.onnx")
    _, (pictures, labels, boxes) = scenes.split(1, 300)
    pictures = list(pictures)
    (HERE / "images").mkdir(exist_ok=True)
    for i, picture in enumerate(pictures[:60]):
        Image.fromarray(picture).save(HERE / "images" / f"{i:02d}.png", optimize=True)
    maps = model.fetch(pictures, "features")["features"]
    thresholds = np.quantile(maps, 0.995, axis=(0, 2, 3))
    print("| seen by | recall@1 | recall@2 | recall@4 |\n|---|---|---|---|")
    for attention in ("original", "image", "activation", "projection"):
        names = model.name_filters(pictures, images_per_filter=PER_FILTER, words=4, attention=attention)
        shares = [recall(names, maps, thresholds, labels, boxes, k) for k in (1, 2, 4)]
        print(f"| {attention} | " + " | ".join(f"{s:.2f}" for s in shares) + " |")
    names = model.name_filters(pictures, images_per_filter=PER_FILTER, words=3)
    active = [n for n in names if not n.inactive]
    print(f"{len(active)} of {len(names)} filters are active")
    clear = sorted(active, key=lambda n: -n.words[0][1])
    distinct = {n.words[0][0]: n for n in reversed(clear)}
    draw(model, sorted(distinct.values(), key=lambda n: -n.words[0][1])[:6], pictures)
    for name in sorted(distinct.values(), key=lambda n: n.filter):
        print(name.filter, ", ".join(f"{w} {c:.0f}" for w, c in name.words[:5]))


if __name__ == "__main__":
    main()
