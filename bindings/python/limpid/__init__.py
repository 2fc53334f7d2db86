"""Says what an image shows, and why.

    model = limpid.Model("model.onnx")
    probabilities = model.classify("bird.jpg")
    why = model.explain("bird.jpg")[0]
    why.save("why.png")
"""

from __future__ import annotations

from typing import List

from ._errors import (
    BufferTooSmall, Cancelled, InternalError, InvalidArgument, InvalidImage, InvalidModel, InvalidType, IsAFolder,
    LimpidError, MissingFile, NotAFolder, NotFound, NotPermitted, ReadWriteError, Unsupported,
)
from ._evaluation import Evaluation, evaluate
from ._explanation import Explanation
from ._filters import FilterImage, FilterName
from ._images import read_image
from ._log import set_log_handler
from ._library import library as _library, names as _names
from ._measurement import Measurement, Metric, measure_maps as measure, metrics
from ._model import Model
from ._model_facts import Info, Method, Scores, Value
from ._options import Parameter
from ._version import __version__

__all__ = [
    "BufferTooSmall", "Cancelled", "Evaluation", "Explanation", "FilterImage", "FilterName", "Info", "InternalError",
    "InvalidArgument", "InvalidImage", "InvalidModel", "InvalidType", "IsAFolder", "LimpidError", "Measurement",
    "Method", "Metric", "MissingFile", "Model", "NotAFolder", "NotFound", "NotPermitted", "Parameter",
    "ReadWriteError", "Scores", "Unsupported", "Value", "build_info", "colormaps", "evaluate", "measure", "metrics",
    "read_image", "set_log_handler", "version",
]


def version() -> str:
    """The version of the native library."""
    return str(_library.limpid_version().decode())


def build_info() -> str:
    """Version, kernels chosen for this processor, and what the library was built with."""
    return str(_library.limpid_build_info().decode())


def colormaps() -> List[str]:
    """The names of the colour maps."""
    return _names(_library.limpid_colormap_name)
