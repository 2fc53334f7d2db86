"""The `limpid.*` metadata of a model file: what ONNX itself cannot say. The format is in docs/model-format.md."""

from __future__ import annotations

import math
import re

from limpid_convert import __version__
from limpid_convert.errors import ConversionError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
UNKNOWN_LICENCE = "unknown: ask its authors"


def _numbers(values):
    if not all(math.isfinite(v) for v in values):
        raise ConversionError("mean and std must be finite numbers")
    return " ".join(repr(float(v)) for v in values)


def preprocess(resize, mean, std, crop=None, gray=False, float64=False):
    """Preprocessing steps. resize: ("exact", W, H) or ("shorter", N); crop: (W, H) around the centre.

    float64: the original scales and normalises in double precision and rounds once.
    """
    steps = ["gray"] if gray else []
    steps.append("resize " + " ".join(str(r) for r in resize) + " bilinear")
    if crop:
        steps.append(f"center_crop {crop[0]} {crop[1]}")
    steps += ["scale 1/255", f"normalize mean {_numbers(mean)} std {_numbers(std)}" + (" float64" if float64 else "")]
    return "\n".join(steps)


PRESETS = {
    "imagenet": preprocess(("shorter", 256), IMAGENET_MEAN, IMAGENET_STD, crop=(224, 224)),
    "imagenet-exact": preprocess(("exact", 224, 224), IMAGENET_MEAN, IMAGENET_STD),
}

_NUMBER = r"-?\d+(\.\d+)?([eE]-?\d+)?"
_FILTER = "(nearest|box|bilinear|bicubic|lanczos)"
_PIXEL_STEPS = re.compile(rf"gray|resize shorter [1-9]\d* {_FILTER}|resize exact [1-9]\d* [1-9]\d* {_FILTER}|"
                          r"center_crop [1-9]\d* [1-9]\d*")
_SCALE = re.compile(rf"scale 1/{_NUMBER}")
_NORMALIZE = re.compile(rf"normalize mean(?P<mean>( {_NUMBER})+) std(?P<std>( {_NUMBER})+)( float64)?")


def parse_preprocess(text):
    """The preprocessing that a user wrote: a preset's name, or steps separated by `;` or line ends.

    Steps on pixels come first, then at most one `scale`, then at most one `normalize`.
    """
    if text in PRESETS:
        return PRESETS[text]
    steps = [" ".join(step.split()) for step in re.split(r"[;\n]", text) if step.strip()]
    rank = 0
    for step in steps:
        forms = (_PIXEL_STEPS, _SCALE, _NORMALIZE)
        found = next((i for i, form in enumerate(forms) if form.fullmatch(step)), None)
        if found is None:
            raise ConversionError(f"{step!r} is no preprocessing step; docs/model-format.md lists them "
                                  f"(or name one of {', '.join(PRESETS)})")
        if found < rank or (found == rank and found > 0):
            raise ConversionError(
                f"{step!r} is out of place: first steps on pixels, then one scale, then one normalize"
            )
        rank = found
        if found == 2:
            _check_normalize(step, 1 if "gray" in steps else 3)
    if not steps:
        raise ConversionError("no preprocessing step given")
    return "\n".join(steps)


def _check_normalize(step, channels):
    match = _NORMALIZE.fullmatch(step)
    mean, std = match["mean"].split(), match["std"].split()
    if not len(mean) == len(std) == channels:
        raise ConversionError(f"{step!r}: pictures of {channels} channels need as many mean and std values")
    if any(float(s) <= 0 for s in std):
        raise ConversionError(f"{step!r}: std must be positive")


def picture(steps):
    """(channels, height, width) of what preprocessing makes; None where the picture decides."""
    channels, height, width = 3, None, None
    for words in (line.split() for line in steps.splitlines()):
        if words[0] == "gray":
            channels = 1
        elif words[0] == "center_crop":
            width, height = int(words[1]), int(words[2])
        elif words[0] == "resize":
            width, height = (int(words[2]), int(words[3])) if words[1] == "exact" else (None, None)
    return channels, height, width


def read_labels(path, count=None):
    """Class names from a text file, one a line, in index order."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file.read().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path}: {error}") from None
    while labels and not labels[-1]:
        labels.pop()
    if not labels or not all(labels):
        raise ConversionError(f"{path}: one class name a line is needed, none of them empty")
    if count is not None and len(labels) != count:
        raise ConversionError(f"{path}: {len(labels)} names for a model of {count} classes")
    return labels


def describe(builder, family, steps, outputs, labels=None, layers=(), explain=None):
    """Writes everything but the source into a Builder.

    outputs: {value: role}. layers: names of [N, C, H, W] values, best first. explain: {method: {parameter: value}}.
    """
    builder.metadata("limpid.format", 1)
    builder.metadata("limpid.family", family)
    builder.metadata("limpid.preprocess", steps)
    if labels:
        builder.metadata("limpid.labels", "\n".join(labels))
    for value, role in outputs.items():
        builder.metadata(f"limpid.output.{value}", role)
    for method, parameters in (explain or {}).items():
        for name, value in parameters.items():
            builder.metadata(f"limpid.explain.{method}.{name}", value)
    if layers:
        builder.metadata("limpid.layers", "\n".join(f"{name} nchw" for name in layers))


def source(architecture, digests, licence):
    """Value of `limpid.source`. digests: SHA-256 of each checkpoint that the model was made from."""
    lines = [f"architecture {architecture}"] if architecture else []
    lines += [f"checkpoint sha256 {digest}" for digest in digests]
    lines += [f"converter limpid-convert {__version__}", f"licence {' '.join((licence or UNKNOWN_LICENCE).split())}"]
    return "\n".join(lines)

