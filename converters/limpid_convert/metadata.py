"""The `limpid.*` metadata of a model file: what ONNX itself cannot say. The format is in docs/model-format.md."""

from __future__ import annotations

import os
import unicodedata

from limpid_convert import __version__
from limpid_convert.errors import ConversionError

UNKNOWN_LICENCE = "unknown: ask its authors"


def read_labels(path, count=None):
    """Class names from a text file, one a line, in index order; `imagenet` names the list that comes with this."""
    if path == "imagenet" and not os.path.exists(path):
        path = os.path.join(os.path.dirname(__file__), "imagenet-labels.txt")
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file.read().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path}: {error}") from None
    while labels and not labels[-1]:
        labels.pop()
    if not labels or not all(labels):
        raise ConversionError(f"{path}: one class name a line is needed, none of them empty")
    garbled = [label for label in labels if any(unicodedata.category(c) == "Cc" and c != "\t" for c in label)]
    if garbled:
        raise ConversionError(f"{path}: a name has a control character: {garbled[0]!r}")
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

