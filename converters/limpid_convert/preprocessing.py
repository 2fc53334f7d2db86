"""The grammar of `limpid.preprocess`: the way from an image to a network's input, one step a line.

What each step means is in docs/model-format.md. The runtime has a parser of its own
(Sources/Images/PreprocessingStep.swift); Tests/Fixtures/preprocessing/grammar.json is what both must agree on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

import numpy as np

from limpid_convert.errors import ConversionError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: Limits of the runtime: of a side, of an image, and of a description.
LARGEST_SIDE = 65_535
MOST_PIXELS = 1 << 27
MOST_STEPS = 64

_SIDE = r"[0-9]{1,20}"
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_FILTER = "(?:nearest|box|bilinear|bicubic|lanczos)"

#: Steps on pixels by their first words; group 1 has the whole numbers.
_PIXEL_FORMS = {name: re.compile(rf"{name}{rest}", re.ASCII) for name, rest in {
    "gray": "()", "bgr": "()", "alpha": "()", "depth 16": "()", "resize exact": rf"((?: {_SIDE}){{2}}) {_FILTER}",
    "resize shorter": rf"( {_SIDE}) {_FILTER}", "resize longer": rf"( {_SIDE}) {_FILTER}",
    "center_crop": rf"((?: {_SIDE}){{2}})", "pad": rf"((?: {_SIDE}){{2,3}})"}.items()}
_SCALE = re.compile(rf"scale 1/({_NUMBER})")
_NORMALIZE = re.compile(rf"normalize mean((?: {_NUMBER})+) std((?: {_NUMBER})+)( float64)?")
_FORMS = ('"gray", "bgr", "alpha", "depth 16", "resize exact W H FILTER", "resize shorter S FILTER", "resize longer S FILTER", '
          '"center_crop W H", "pad W H [V]", "scale 1/NUMBER", "normalize mean NUMBER… std NUMBER…"')


@dataclass
class Preprocessing:
    """Parsed steps. text: one a line. channels: 1 or 3, with alpha one more. width, height: of what they make; None where the image decides.

    bgr: whether channel 0 is blue. depth_16: whether numbers are 0…65535. divisor, mean, std: as `scale` and `normalize` say them. float64: rounded once.
    """

    text: str = ""
    channels: int = 3
    width: Optional[int] = None
    height: Optional[int] = None
    bgr: bool = False
    depth_16: bool = False
    divisor: Optional[float] = None
    mean: Optional[list] = None
    std: Optional[list] = None
    float64: bool = False

    @property
    def makes_bytes(self):
        """Whether the values stay the bytes of the pixels."""
        return self.divisor is None and self.mean is None and not self.depth_16

    def level(self, byte, channel):
        """What a byte becomes in a channel, float32, with the runtime's rounding."""
        byte = byte * 257 if self.depth_16 else byte
        kind = np.float64 if self.float64 else np.float32
        with np.errstate(all="ignore"):  # parse() refuses what overflows
            value = kind(byte) / kind(1 if self.divisor is None else self.divisor)
            if self.mean is not None:
                at = channel if len(self.mean) > 1 else 0
                value = (value - kind(self.mean[at])) / kind(self.std[at])
            return np.float32(value)


def parse(text):
    """The Preprocessing that a user wrote: a preset's name, or steps separated by `;` or line ends.

    Steps on pixels come first, then at most one `scale`, then at most one `normalize`.
    """
    text = PRESETS.get(text, text)
    lines = [" ".join(step.split()) for step in re.split(r"[;\r\n]", text) if step.strip()]
    if not lines:
        raise ConversionError("the preprocessing is empty: no step was given")
    if len(lines) > MOST_STEPS:
        raise ConversionError(f"{len(lines)} preprocessing steps; at most {MOST_STEPS} are handled")
    found = Preprocessing(text="\n".join(lines))
    seen = set()
    for line in lines:
        _add(found, seen, line)
    for channel in range(found.channels):
        if not all(np.isfinite(found.level(byte, channel)) for byte in (0, 255)):
            raise ConversionError("the preprocessing makes values that are not finite in float32")
    return found


def _add(found, seen, line):
    """Adds one step. seen: first words of the steps before it."""
    shown = repr(line[:120])
    scale, normalize = _SCALE.fullmatch(line), _NORMALIZE.fullmatch(line)
    matches = {name: form.fullmatch(line) for name, form in _PIXEL_FORMS.items()}
    name = next((n for n, m in matches.items() if m), "scale" if scale else "normalize" if normalize else None)
    if name is None:
        raise ConversionError(f"{shown} is no preprocessing step; they are {_FORMS} (or name one of "
                              f"{', '.join(PRESETS)})")
    if seen & {"normalize"} or (seen & {"scale"} and name != "normalize"):
        raise ConversionError(f"{shown} is out of place: first steps on pixels, then one scale, then one normalize")
    if name == "bgr" and seen & {"bgr", "gray"} or name == "gray" and "bgr" in seen:
        raise ConversionError(f"{shown} is out of place: one \"bgr\", or \"gray\", not both")
    if name in ("alpha", "depth 16") and seen & {"alpha", "depth 16"}:
        raise ConversionError(f"{shown} is out of place: one \"alpha\", or one \"depth 16\", not both")
    seen.add(name)
    if matches.get(name):
        _add_pixel_step(found, name, [int(n) for n in matches[name][1].split()], shown)
    elif scale:
        (found.divisor,) = _numbers(scale[1], shown)
        if not _divides(found.divisor):
            raise ConversionError(f"{shown}: the divisor must be positive, and 255 divided by it finite in float32")
    else:
        found.mean, found.std = _numbers(normalize[1], shown), _numbers(normalize[2], shown)
        found.float64 = bool(normalize[3])
        if not len(found.mean) == len(found.std) or len(found.mean) not in (1, found.channels):
            raise ConversionError(f"{shown}: images of {found.channels} channels need as many mean and std values, or "
                                  "one of each")
        if not all(_divides(s) for s in found.std):
            raise ConversionError(f"{shown}: std must be positive, and 255 divided by it finite in float32")


def _add_pixel_step(found, name, numbers, shown):
    sides, fill = (numbers[:2], numbers[2:]) if name == "pad" else (numbers, [])
    if any(not 1 <= s <= LARGEST_SIDE for s in sides):
        raise ConversionError(f"{shown}: a side must be from 1 to {LARGEST_SIDE}")
    if len(sides) == 2 and sides[0] * sides[1] > MOST_PIXELS:
        raise ConversionError(f"{shown}: at most {MOST_PIXELS} pixels are handled")
    if fill and fill[0] > 255:
        raise ConversionError(f"{shown}: the value of a byte is from 0 to 255")
    if name == "pad" and found.width and (found.width > sides[0] or found.height > sides[1]):
        raise ConversionError(f"{shown}: the image is {found.width}x{found.height} there, and pad never cuts")
    if name == "gray":
        found.channels = 1 + (found.channels in (2, 4))  # with alpha
    elif name == "alpha":
        found.channels += 1
    elif name == "depth 16":
        found.depth_16 = True
    elif name == "bgr":
        found.bgr = True
    else:
        found.width, found.height = sides if len(sides) == 2 else (None, None)


def _divides(value):
    with np.errstate(divide="ignore", over="ignore"):
        return value > 0 and bool(np.isfinite(np.float32(255) / np.float32(value)))


def _numbers(words, shown):
    """Decimal numbers, finite in float32 too."""
    values = [float(word) for word in words.split()]
    with np.errstate(over="ignore"):
        if not all(np.isfinite(np.float32(v)) for v in values):
            raise ConversionError(f"{shown}: numbers must be finite in float32")
    return values


def steps(resize, mean, std, crop=None, gray=False, float64=False):
    """The text of a description. resize: ("exact", W, H) or ("shorter", N[, FILTER]); crop: (W, H) around the centre.

    float64: the original scales and normalises in double precision and rounds once.
    """
    if not np.isfinite([*mean, *std]).all():
        raise ConversionError("mean and std must be finite numbers")
    numbers = [" ".join(repr(float(v)) for v in values) for values in (mean, std)]
    words = [str(r) for r in resize]
    lines = ["gray"] if gray else []
    lines.append("resize " + " ".join(words if words[-1].isalpha() else [*words, "bilinear"]))
    if crop:
        lines.append(f"center_crop {crop[0]} {crop[1]}")
    lines += ["scale 1/255", f"normalize mean {numbers[0]} std {numbers[1]}" + (" float64" if float64 else "")]
    return parse("\n".join(lines)).text


#: Names that may be given in place of steps.
PRESETS = {
    "imagenet": "resize shorter 256 bilinear\ncenter_crop 224 224\nscale 1/255\n"
                "normalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225",
    "imagenet-exact": "resize exact 224 224 bilinear\nscale 1/255\n"
                      "normalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225",
}
