"""Handwritten digits (those that scikit-learn ships) somewhere on a canvas, among fragments of other digits."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SIDE = 64  # of the canvas
INPUT = 160  # of the network
FRAGMENTS = 6
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


def load():
    """Pictures [1797, 8, 8] of uint8, 0 paper to 255 ink, their labels, indices for training and indices held out."""
    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    parts = train_test_split(np.arange(len(pictures)), test_size=0.2, random_state=0, stratify=digits.target)
    return pictures, digits.target, *parts


def compose(picture, others, random):
    """(canvas [64, 64] uint8, box): the digit at a random place and size, and pieces of `others` around it.

    box: left, top, side of the digit.
    """
    side = int(random.integers(20, 29))
    left, top = (int(v) for v in random.integers(0, SIDE - side + 1, 2))
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for other in random.choice(others, FRAGMENTS):
        y, x = random.integers(0, 5, 2)
        _paste(canvas, other[y : y + 4, x : x + 4], 10, *random.integers(0, SIDE - 10 + 1, 2))
    canvas[top : top + side, left : left + side] = 0
    _paste(canvas, picture, side, left, top)
    return canvas, (left, top, side)


def _paste(canvas, piece, side, left, top):
    enlarged = np.asarray(Image.fromarray(piece).resize((side, side), Image.Resampling.BICUBIC))
    place = canvas[top : top + side, left : left + side]
    np.maximum(place, enlarged, out=place)


def prepare(canvas):
    """The network's input [3, 160, 160], as limpid prepares a picture for the converted model."""
    resized = Image.fromarray(canvas).resize((INPUT, INPUT), Image.Resampling.BILINEAR)
    x = np.asarray(resized, np.float32)[..., None] / np.float32(255)
    return ((x - MEAN) / STD).transpose(2, 0, 1)


def batch(pictures, indices, others, random):
    """Inputs [len(indices), 3, 160, 160] of newly composed canvases."""
    return np.stack([prepare(compose(pictures[i], others, random)[0]) for i in indices])
