"""What calls are given: tables of parameters, and limpid_run_options."""

import ctypes
from typing import NamedTuple, Optional

from . import _abi
from ._errors import InvalidArgument
from ._library import encoded, text
from ._tensors import Feeds


class Parameter(NamedTuple):
    """What a method or a metric can be given by its name: a number, or one of several words."""

    name: str
    summary: str
    default: "float | str"
    #: None for a choice, as is `maximum`.
    minimum: Optional[float]
    maximum: Optional[float]
    #: The words; none for a number.
    choices: "tuple[str, ...]"
    #: Whether it is a whole number.
    is_integer: bool


def parameter(info):
    """A limpid_parameter_info."""
    choices = tuple(text(info.choices[i]) for i in range(info.choice_count))
    if choices:
        return Parameter(text(info.name), text(info.summary), text(info.default_choice), None, None, choices, False)
    return Parameter(
        text(info.name), text(info.summary), info.default_value, info.minimum, info.maximum, (),
        bool(info.is_integer))


def used_parameters(function, handle):
    """{name: value} of what `function`, such as limpid_explanation_parameter, gives."""
    found, number, word = {}, ctypes.c_double(), ctypes.c_char_p()
    while (name := function(handle, len(found), ctypes.byref(number), ctypes.byref(word))) is not None:
        found[text(name)] = number.value if word.value is None else text(word.value)
    return found


def name_array(names):
    names = [names] if isinstance(names, str) else list(names)
    return (ctypes.c_char_p * len(names))(*(encoded(name) for name in names))


def run_options(
    interruption, parameters=None, layer=None, draws=None, seed=0, threads=0, batch_size=0, output=None, feeds=None,
):
    """The options of a call; what they point to lives as long as they do."""
    parameters = {
        name: ",".join(repr(float(number)) for number in value) if isinstance(value, (list, tuple)) else value
        for name, value in (parameters or {}).items()}
    words = {name: value for name, value in parameters.items() if isinstance(value, str)}
    numbers = {name: _number(name, value) for name, value in parameters.items() if name not in words}
    parameter_array = (_abi.Parameter * len(numbers))(
        *(_abi.Parameter(encoded(name), value) for name, value in numbers.items()))
    choice_array = (_abi.Choice * len(words))(
        *(_abi.Choice(encoded(name), encoded(value)) for name, value in words.items()))
    fed = Feeds(draws or {}, "draws")
    inputs = Feeds(feeds or {})
    layers = name_array([] if layer is None else layer)
    options = _abi.RunOptions(
        parameters=parameter_array, parameter_count=len(parameter_array), seed=seed, progress=interruption.callback,
        threads=threads, batch_size=batch_size, choices=choice_array, choice_count=len(choice_array),
        draws=fed.views, draw_count=len(fed), layers=layers, layer_count=len(layers),
        output=encoded(output), feeds=inputs.views, feed_count=len(inputs))
    options.keep = fed, inputs
    return options


def _number(name, value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"the parameter {name!r} must be a number or a word; not {value!r}") from None
