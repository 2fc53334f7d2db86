"""What a model is: its methods, scores, inputs and outputs."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

import numpy as np

from . import _abi
from ._library import Handle, library, optional_text, text
from ._options import Parameter, parameter
from ._tensors import dtype_of


class Method(NamedTuple):
    """A way to explain a model's decision."""

    name: str
    summary: str
    parameters: Tuple[Parameter, ...]
    #: {name: summary} of the random draws and other arrays that it reads.
    draws: Dict[str, str]
    #: Whether it looks at inner values, which `layer` may name.
    taps_layers: bool
    #: Whether it draws random numbers, for which `seed` may be given.
    draws_numbers: bool


class Info(NamedTuple):
    """What a model is. A size of 0 stands for any; a class count of 0 for "it depends on what is fed"."""

    name: str
    family: str
    class_count: int
    input_width: int
    input_height: int
    input_channels: int


class Scores(NamedTuple):
    """What a model says of classes."""

    #: "logits", "log_probabilities", "probabilities" (of classes that exclude each other), "independent_probabilities"
    #: (multi-label, or one unit) or "values" (a regression).
    kind: str
    #: The output that holds them.
    output: str


class Value(str):
    """An input or output: its name, with what the file declares of it."""

    #: The extents: a number, a name ("batch") or None for one that is open; None where the file declares no shape.
    shape: Optional[Tuple[Union[int, str, None], ...]]
    #: Of the arrays that it is fed with, or gives. NumPy has no bfloat16: outputs of it are float32, inputs are fed as
    #: `ml_dtypes.bfloat16`. Types of fewer bits are those of ml_dtypes both ways.
    dtype: np.dtype[Any]

    def __new__(
        cls, name: str, shape: Optional[Tuple[Union[int, str, None], ...]], dtype: np.dtype[Any],
    ) -> Value:
        value = super().__new__(cls, name)
        value.shape, value.dtype = shape, dtype
        return value

    @property
    def name(self) -> str:
        """The same as a plain string."""
        return str.__str__(self)

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return self.name, self.shape, self.dtype


# What `info` points to is the model's, so whoever reads it has the handle.

def value_of(handle: Handle, describe: Any, index: int) -> Value:
    info = _abi.ValueInfo()
    describe(handle, index, ctypes.byref(info))
    extents = ((info.shape[i], info.extent_names[i]) for i in range(info.rank))
    shape = tuple(extent if extent >= 0 else optional_text(name) for extent, name in extents)
    return Value(text(info.name), shape if info.has_shape else None, dtype_of(info.type))


def method_of(handle: Handle, index: int) -> Method:
    info = _abi.MethodInfo()
    library.limpid_model_get_method(handle, index, ctypes.byref(info))
    parameters = (_parameter_of(handle, info.name, i) for i in range(info.parameter_count))
    draws = {text(info.draws[i]): text(info.draw_summaries[i]) for i in range(info.draw_count)}
    return Method(
        text(info.name), text(info.summary), tuple(parameters), draws, bool(info.taps_layers),
        bool(info.draws_numbers))


def _parameter_of(handle: Handle, method: bytes, index: int) -> Parameter:
    info = _abi.ParameterInfo()
    library.limpid_model_get_parameter(handle, method, index, ctypes.byref(info))
    return parameter(info)
