"""The handwritten digits that scikit-learn ships, their split, and the preprocessing the models ask for."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

MEAN, STD = 0.1307, 0.3081  # of MNIST, as SCOUTER normalises it
HELD_OUT = 0.2
SPLIT_SEED = 0


def load():
    """Pictures [1797, 8, 8] of uint8, 0 paper to 255 ink (in the source 0 to 16), and labels [1797]."""
    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target


def split(labels):
    """Indices of the training and of the held-out pictures, every class in proportion."""
    indices = np.arange(len(labels))
    return train_test_split(indices, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=labels)


def enlarge(picture, side):
    """A grey 8-bit picture after the steps `resize exact` and `scale 1/255`: [side, side], 0…1."""
    resized = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float64) / 255


def normalize(x):
    return (x - MEAN) / STD
