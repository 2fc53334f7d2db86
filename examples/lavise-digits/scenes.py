"""Scenes of four handwritten digits, and what is annotated in them: a word for each digit, and where it is."""

import pathlib
import sys

import numpy as np
from PIL import Image

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "digits"))
import digits  # noqa: E402

SIDE = 96
CELL = SIDE // 2


def make(pictures, labels, count, seed):
    """(scenes [count, 96, 96] uint8, words [count, 4], boxes [count, 4, 4] as x, y, width, height).

    One digit in each quarter, 34 to 46 pixels large, somewhere in it.
    """
    random = np.random.default_rng(seed)
    scenes = np.zeros((count, SIDE, SIDE), np.uint8)
    chosen = random.integers(len(labels), size=(count, 4))
    boxes = np.zeros((count, 4, 4), int)
    for i in range(count):
        for q in range(4):
            size = int(random.integers(34, 47))
            x, y = (random.integers(0, CELL - size + 1, 2) + (q % 2 * CELL, q // 2 * CELL)).tolist()
            digit = Image.fromarray(pictures[chosen[i, q]]).resize((size, size), Image.Resampling.BICUBIC)
            scenes[i, y : y + size, x : x + size] = np.asarray(digit)
            boxes[i, q] = x, y, size, size
    return scenes, labels[chosen], boxes


def split(train, test):
    """Training and held-out scenes; of digits that the other part does not have."""
    pictures, labels = digits.load()
    inside, outside = digits.split(labels)
    return make(pictures[inside], labels[inside], train, 1), make(pictures[outside], labels[outside], test, 2)


def masks(boxes, cells):
    """float32 [instances, cells, cells]: the share of each cell that lies in the box."""
    edges = np.linspace(0, SIDE, cells + 1)

    def inside(start, length):
        low = np.maximum(edges[:-1], start[:, None])
        return np.clip(np.minimum(edges[1:], (start + length)[:, None]) - low, 0, None) * cells / SIDE

    return (inside(boxes[:, 1], boxes[:, 3])[:, :, None] * inside(boxes[:, 0], boxes[:, 2])[:, None]).astype(np.float32)
