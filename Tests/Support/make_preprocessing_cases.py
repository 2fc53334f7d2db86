"""Writes Tests/Fixtures/preprocessing/grammar.json: what `limpid.preprocess` may say, and what it means.

    python Tests/Support/make_preprocessing_cases.py        # needs NumPy and Pillow, which are the judges

One case a line. "valid": `text`; `channels`; `size`, [width, height] of what the steps make, null where the image
decides; `bytes`, what the bytes 0 and 255 become in each channel. Some also have `images`: for an image `of` a size,
[width, height], the size that it `makes` and the part of it that this `covers`, [x, y, width, height] in its pixels;
and `image` with `tensor`: RGB rows, and the values [channels, height, width] that they become. "invalid": `text`, and a
part of what the message `says`.
"""

import json
import pathlib

import numpy as np
from PIL import Image

FILTERS = {"nearest": 0, "box": 4, "bilinear": 2, "bicubic": 3, "lanczos": 1}
MOVING = ("resize", "center_crop", "pad")
SMALL = [[[0, 100, 255], [9, 8, 7], [40, 50, 60], [1, 2, 3]],
         [[200, 150, 100], [250, 20, 130], [5, 25, 125], [77, 88, 99]]]

#: text, sizes of images, whether it is applied to SMALL.
VALID = [
    ("resize exact 16 8 bilinear", [(5, 5)], False),
    ("resize exact 3 2 nearest", [(4, 2)], True),
    ("resize exact 2 1 box", [(4, 2)], True),
    ("resize shorter 8 bicubic", [(32, 16), (16, 33), (8, 8)], False),
    ("resize longer 16 lanczos", [(32, 16), (10, 30), (31, 17), (7, 7), (600, 3)], False),
    ("resize longer 3 bilinear", [(4, 2)], True),
    ("center_crop 2 2", [(4, 2), (1, 7)], True),
    ("center_crop 5 3", [(4, 2)], True),
    ("pad 5 4", [(4, 2), (5, 4), (1, 1)], True),
    ("pad 7 3 114", [(4, 2)], True),
    ("pad 4 2 255", [(4, 2)], True),
    ("resize longer 16 bilinear\npad 16 16", [(32, 16), (16, 32), (16, 16), (100, 3)], False),
    ("resize longer 6 bilinear\npad 8 8 114\nbgr\nscale 1/255", [(12, 6)], True),
    ("pad 8 8 10\ncenter_crop 4 4", [(6, 2)], True),
    ("gray", [(4, 2)], True),
    ("gray\npad 4 3 200\nscale 1/255", [(4, 2)], True),
    ("bgr", [(4, 2)], True),
    ("bgr\nresize exact 2 2 bilinear", [(4, 2)], True),
    ("bgr\nnormalize mean 103.939 116.779 123.68 std 1 1 1", [(4, 2)], True),
    ("scale 1/255", [(4, 2)], True),
    ("scale 1/127.5\nnormalize mean 1 std 1", [(4, 2)], True),
    ("scale 1/1", [(4, 2)], True),
    ("scale 1/2.55e2", [(4, 2)], True),
    ("scale 1/.5", [(4, 2)], True),
    ("scale 1/255\nnormalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225", [(4, 2)], True),
    ("scale 1/255\nnormalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225 float64", [(4, 2)], True),
    ("scale 1/255\nnormalize mean 0.5 std 0.25", [(4, 2)], True),
    ("scale 1/255\nnormalize mean 0.1 std 0.3 float64", [(4, 2)], True),
    ("gray\nscale 1/255\nnormalize mean 0.1307 std 0.3081", [(4, 2)], True),
    ("normalize mean 127.5 std 127.5", [(4, 2)], True),
    ("normalize mean -1 +2 -3e1 std 1 2 3E+1", [(4, 2)], True),
    ("alpha", [(4, 2)], True),
    ("alpha\nscale 1/255\nnormalize mean 0.5 0.4 0.3 0 std 0.2 0.3 0.4 1", [(4, 2)], True),
    ("gray\nalpha\nresize exact 3 3 bilinear\nscale 1/255", [(4, 2)], True),
    ("bgr\nalpha\npad 5 4 7", [(4, 2)], True),
    ("depth 16", [(4, 2)], True),
    ("gray\ndepth 16\nresize exact 2 2 box\nscale 1/65535\nnormalize mean 0.2 std 0.5", [(4, 2)], True),
    ("  resize   exact 16\t8 bilinear  \n\n  scale 1/255", [(5, 5)], False),
    ("resize exact 16 8 bilinear\r\nscale 1/255\r\n", [(5, 5)], False),
    ("resize exact 008 8 bilinear", [(5, 5)], False),
    ("resize exact 65535 2048 bilinear", [], False),
    ("\n".join(["center_crop 8 8"] * 64), [(5, 5)], False),
]

INVALID = [
    ("", "empty"), (" \n ", "empty"), ("nothing", "nothing"),
    ("resize 8", "resize 8"), ("resize exact 8 bilinear", "resize exact 8"), ("resize exact 8 8", "resize exact 8 8"),
    ("resize longer 8", "resize longer 8"), ("resize longer 8 8 bilinear", "resize longer 8 8"),
    ("resize longest 8 bilinear", "longest"), ("resize exact 8 8 cubic", "cubic"),
    ("Resize exact 8 8 bilinear", "Resize"),
    ("resize exact 8.0 8 bilinear", "8.0"), ("resize exact -8 8 bilinear", "-8"),
    ("resize exact +8 8 bilinear", "+8"),
    ("resize exact 0 8 bilinear", "0 8"), ("resize shorter 0 bilinear", "shorter 0"),
    ("resize longer 0 box", "longer 0"),
    ("resize exact 99999 8 bilinear", "99999"), ("resize shorter 65536 bilinear", "65536"),
    ("resize longer 65536 bilinear", "65536"), ("resize exact 65535 65535 bilinear", "65535 65535"),
    ("resize exact 99999999999999999999 8 bilinear", "99999999999999999999"),
    ("resize exact \u0668 8 bilinear", "resize exact"),
    ("center_crop 8", "center_crop 8"), ("center_crop 0 8", "center_crop 0"), ("center_crop 65535 65535", "65535"),
    ("pad 8", "pad 8"), ("pad 8 8 256", "256"), ("pad 8 8 -1", "-1"), ("pad 8 8 0.5", "0.5"),
    ("pad 8 8 0 0", "pad 8 8 0 0"),
    ("pad 0 8", "pad 0"), ("pad 65535 65535", "65535"), ("pad 8 8 reflect", "reflect"),
    ("resize exact 9 8 bilinear\npad 8 8", "pad 8 8"), ("pad 4 9\npad 9 8", "pad 9 8"),
    ("alpha 1", "alpha 1"), ("alpha\nalpha", "alpha"), ("scale 1/255\nalpha", "alpha"), ("depth", "depth"), ("depth 8", "depth 8"),
    ("depth 16\ndepth 16", "depth 16"), ("alpha\ndepth 16", "depth 16"), ("depth 16\nalpha", "alpha"),
    ("alpha\nnormalize mean 1 2 3 std 1 2 3", "1 2 3"), ("gray\nnormalize mean 1 1 std 1 1\nalpha", "mean 1 1"),
    ("gray 1", "gray 1"), ("rgb", "rgb"), ("bgr\nbgr", "bgr"), ("gray\nbgr", "bgr"), ("bgr\ngray", "gray"),
    ("scale", "scale"), ("scale 255", "scale 255"), ("scale 2/255", "2/255"), ("scale 1/0", "1/0"),
    ("scale 1/-3", "1/-3"),
    ("scale 1/0.0", "1/0.0"), ("scale 1/nan", "nan"), ("scale 1/inf", "inf"), ("scale 1/0x10", "0x10"),
    ("scale 1/1e39", "1e39"), ("scale 1/1e-50", "1e-50"), ("scale 1/1e-37", "finite"), ("scale 1/1_0", "1_0"),
    ("scale 1/255\nscale 1/255", "scale"), ("normalize mean 1 std 1\nscale 1/255", "scale"),
    ("scale 1/255\nresize exact 8 8 bilinear", "resize"), ("scale 1/255\nbgr", "bgr"),
    ("scale 1/255\npad 8 8", "pad"),
    ("normalize mean 1 std 1\ncenter_crop 8 8", "center_crop"),
    ("normalize mean 1 std 1\nnormalize mean 1 std 1", "normalize"),
    ("normalize", "normalize"), ("normalize mean 1 2 3 std 1 2", "std 1 2"),
    ("normalize mean 1 std 1 2 3", "mean 1 std"),
    ("normalize mean 1 2 std 1 2", "mean 1 2"), ("normalize mean 1 2 3 4 std 1 2 3 4", "2 3 4"),
    ("gray\nnormalize mean 1 2 3 std 1 2 3", "1 2 3"), ("normalize std 1 mean 1", "std 1 mean"),
    ("normalize mean 1 1 1 std 1 1 0", "1 1 0"), ("normalize mean 1 std -1", "-1"),
    ("normalize mean 1 std 1e-50", "1e-50"),
    ("normalize mean inf std 1", "inf"), ("normalize mean 1e39 std 1", "1e39"),
    ("normalize mean 1 std 1 float32", "float32"),
    ("normalize mean 1 std 1e-37", "finite"),
    ("\n".join(["center_crop 8 8"] * 65), "64"),
]


def words_of(text):
    return [line.split() for line in text.splitlines() if line.split()]


def offset(extent, size):
    """Where a window begins: torchvision's CenterCrop, in its padding and in its cutting."""
    return -((size - extent) // 2) if extent < size else int(round((extent - size) / 2))


def applied(text, image):
    """([channels, height, width], what of `image` it covers): one step after the other, by Pillow and NumPy."""
    pixels, (x, y) = Image.fromarray(image), (0.0, 0.0)
    steps = [words[0] for words in words_of(text)]
    if "alpha" in steps:
        pixels = pixels.convert("RGBA")
    width, height = (float(v) for v in pixels.size)
    values, kind, divisor = None, np.float32, None
    for words in words_of(text):
        w, h = pixels.size
        if words[0] == "resize":
            short, long = min(w, h), max(w, h)
            size = int(words[2])
            if words[1] == "exact":
                w, h = size, int(words[3])
            else:
                base, other = (short, long) if words[1] == "shorter" else (long, short)
                rest = max(1, size * other // base)
                w, h = (size, rest) if w == base else (rest, size)
            pixels = pixels.resize((w, h), FILTERS[words[-1]])
        elif words[0] in ("center_crop", "pad"):
            new, fill = (int(words[1]), int(words[2])), int(words[3]) if len(words) > 3 else 0
            left, top = offset(w, new[0]), offset(h, new[1])
            window = Image.new(pixels.mode, new, fill if pixels.mode == "L" else (fill,) * len(pixels.getbands()))
            window.paste(pixels, (-left, -top))
            x, y, width, height = x + left * width / w, y + top * height / h, new[0] * width / w, new[1] * height / h
            pixels = window
        elif words[0] == "gray":
            pixels = pixels.convert("LA" if "alpha" in steps else "L")
        elif words[0] == "bgr":
            pixels = Image.merge(pixels.mode, [pixels.getchannel(c) for c in "BGR" + pixels.mode[3:]])
        elif words[0] in ("alpha", "depth"):
            pass
        elif words[0] == "scale":
            divisor = float(words[1][2:])
        else:
            kind = np.float64 if words[-1] == "float64" else np.float32
            numbers = words[:-1] if words[-1] == "float64" else words
            std = numbers.index("std")
            values = [np.array([float(n) for n in part], kind).reshape(-1, 1, 1)
                      for part in (numbers[2:std], numbers[std + 1:])]
    array = np.asarray(pixels)
    array = (array[None] if array.ndim == 2 else array.transpose(2, 0, 1)).astype(kind)
    if "depth" in steps:
        array = array * kind(257)
    if divisor is not None:
        array = array / kind(divisor)
    if values:
        array = (array - values[0]) / values[1]
    return array.astype(np.float32), [x, y, width, height]


def numbers(array):
    return np.asarray(array, np.float32).astype(float).tolist()


def plain(text):
    """The steps that leave every pixel where it is."""
    return "\n".join(" ".join(w) for w in words_of(text) if w[0] not in MOVING)


def valid(text, sizes, small):
    bands = 4 if "alpha" in text else 3
    ends = applied(plain(text), np.array([[[0] * bands, [255] * bands]], np.uint8))[0]
    images = []
    for width, height in sizes:
        tensor, covers = applied(text, np.zeros((height, width, 3), np.uint8))
        images.append({"of": [width, height], "makes": [tensor.shape[2], tensor.shape[1]], "covers": covers})
    last = [w for w in words_of(text) if w[0] in MOVING][-1:]
    known = last and last[0][1] not in ("shorter", "longer")
    size = [int(n) for n in (last[0][2:4] if last[0][1] == "exact" else last[0][1:3])] if known else None
    case = {"text": text, "channels": ends.shape[0], "size": size, "bytes": [numbers(c[0]) for c in ends]}
    if images:
        case["images"] = images
    if small:
        case["image"], case["tensor"] = SMALL, numbers(applied(text, np.array(SMALL, np.uint8))[0])
    return case


def main():
    lines = {"valid": [valid(*case) for case in VALID], "invalid": [{"text": t, "says": s} for t, s in INVALID]}
    parts = [f'"{key}": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]" for key, cases in lines.items()]
    target = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "preprocessing" / "grammar.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
