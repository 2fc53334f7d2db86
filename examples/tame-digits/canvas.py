"""Pictures of one handwritten digit somewhere on a coloured ground, from scikit-learn's 8x8 digits."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SIDE = 64
SMALLEST, LARGEST = 22, 34


def split():
    """(training, held out), each (pictures [n, 8, 8] in 0…1, labels)."""
    data = load_digits()
    a, b, la, lb = train_test_split(data.images / 16, data.target, test_size=0.2, random_state=0, stratify=data.target)
    return (a, la), (b, lb)


def paint(digit, random):
    """(uint8 [SIDE, SIDE, 3], where: uint8 [SIDE, SIDE], the ink in 0…255)."""
    side = int(random.integers(SMALLEST, LARGEST + 1))
    x, y = random.integers(0, SIDE - side + 1, 2)
    ink = np.zeros((SIDE, SIDE), np.float32)
    small = Image.fromarray((255 * digit).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    ink[y : y + side, x : x + side] = np.asarray(small, np.float32) / 255
    ground = _ground(random)
    # Light on dark: a mask darkens what it hides, so it could draw a dark stroke by hiding it.
    colour = random.uniform(180, 255, 3)
    picture = ground * (1 - ink[..., None]) + colour * ink[..., None]
    return picture.clip(0, 255).astype(np.uint8), (255 * ink).astype(np.uint8)


def _ground(random):
    """Soft patches of colour and specks: something to look away from."""
    base = random.uniform(20, 110, 3)
    patches = (base + random.normal(0, 22, (6, 6, 3))).clip(0, 255).astype(np.uint8)
    ground = np.asarray(Image.fromarray(patches).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    for _ in range(random.integers(4, 12)):
        w, h = random.integers(2, 7, 2)
        x, y = random.integers(0, SIDE - w), random.integers(0, SIDE - h)
        ground = ground.copy()
        ground[y : y + h, x : x + w] += random.uniform(-60, 110, 3)
    return (ground + random.normal(0, 5, ground.shape)).clip(0, 255)


def paint_all(digits, labels, count, random):
    """(float32 [count, 3, SIDE, SIDE] in 0…1, int64 labels, uint8 [count, SIDE, SIDE] where the ink is)."""
    chosen = random.integers(0, len(digits), count)
    painted = [paint(digits[i], random) for i in chosen]
    pictures = np.stack([picture for picture, _ in painted]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    return pictures, labels[chosen], np.stack([ink for _, ink in painted])


def box(ink):
    """bool [height, width]: the smallest rectangle around the ink."""
    rows, columns = np.flatnonzero(ink.max(1) > 128), np.flatnonzero(ink.max(0) > 128)
    inside = np.zeros(ink.shape, bool)
    inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return inside


def sheet(rows, scale=2, gap=4):
    """Rows of uint8 [SIDE, SIDE, 3] on one image, `scale` times as large, of 256 colours."""
    side = SIDE * scale
    large = Image.new("RGB", (max(map(len, rows)) * (side + gap) - gap, len(rows) * (side + gap) - gap), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            image = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
            large.paste(image, (x * (side + gap), y * (side + gap)))
    return large.quantize(256)
