"""What calls are given: tables of parameters, and limpid_run_options."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

from . import _abi
from ._errors import InvalidArgument, InvalidType
from ._interruption import Interruption
from ._library import encoded, text
from ._tensors import Feeds

if TYPE_CHECKING:
    from ._tensors import Arrays

    #: Names of values: one, or several.
    Names = Union[str, Iterable[str]]


class Parameter(NamedTuple):
    """What a method or a metric can be given by its name: a number, or one of several words."""

    name: str
    summary: str
    default: Union[float, str]
    #: None for a choice, as is `maximum`.
    minimum: Optional[float]
    maximum: Optional[float]
    #: The words; none for a number.
    choices: Tuple[str, ...]
    #: Whether it is a whole number.
    is_integer: bool


def parameter(info: _abi.ParameterInfo) -> Parameter:
    """A limpid_parameter_info."""
    choices = tuple(text(info.choices[i]) for i in range(info.choice_count))
    if choices:
        return Parameter(text(info.name), text(info.summary), text(info.default_choice), None, None, choices, False)
    return Parameter(
        text(info.name), text(info.summary), info.default_value, info.minimum, info.maximum, (),
        bool(info.is_integer))


def used_parameters(function: Callable[..., Optional[bytes]], handle: Any) -> Dict[str, Union[float, str]]:
    """{name: value} of what `function`, such as limpid_explanation_parameter, gives."""
    found: Dict[str, Union[float, str]] = {}
    number, word = ctypes.c_double(), ctypes.c_char_p()
    while (name := function(handle, len(found), ctypes.byref(number), ctypes.byref(word))) is not None:
        found[text(name)] = number.value if word.value is None else text(word.value)
    return found


def name_array(names: Names) -> ctypes.Array[ctypes.c_char_p]:
    try:
        names = [names] if isinstance(names, str) else list(names)
    except TypeError:
        raise InvalidType(f"a name, or a list of names, is needed; not {names!r}") from None
    return (ctypes.c_char_p * len(names))(*(encoded(name) for name in names))


def run_options(
    interruption: Interruption, parameters: Optional[Mapping[str, Any]] = None, layer: Optional[Names] = None,
    draws: Optional[Arrays] = None, seed: int = 0, threads: int = 0, batch_size: int = 0,
    output: Optional[str] = None, feeds: Optional[Arrays] = None,
) -> _abi.RunOptions:
    """The options of a call; what they point to lives as long as they do."""
    # Only what is given is set: each field costs, and most calls give none.
    fields: Dict[str, Any] = {"progress": interruption.callback}
    if seed != 0:
        fields["seed"] = seed
    if threads != 0:
        fields["threads"] = threads
    if batch_size != 0:
        fields["batch_size"] = batch_size
    keep = []
    if parameters:
        fields.update(_parameters(parameters))
    if layer is not None:
        layers = name_array(layer)
        fields.update(layers=layers, layer_count=len(layers))
    if output is not None:
        fields["output"] = encoded(output)
    for name, arrays in (("draw", draws), ("feed", feeds)):
        if arrays is not None:
            fed = Feeds(arrays, "draws" if name == "draw" else name)
            fields.update({f"{name}s": fed.views, f"{name}_count": len(fed)})
            keep.append(fed)
    options = _abi.RunOptions(**fields)
    options.keep = keep
    return options


def _parameters(given: Mapping[str, Any]) -> Dict[str, Any]:
    """The fields that hold a method's numbers and words."""
    flat = {
        name: ",".join(repr(float(number)) for number in value) if isinstance(value, (list, tuple)) else value
        for name, value in given.items()}
    words = [_abi.Choice(encoded(name), encoded(value)) for name, value in flat.items() if isinstance(value, str)]
    numbers = [_abi.Parameter(encoded(name), _number(name, value)) for name, value in flat.items()
               if not isinstance(value, str)]
    return dict(
        parameters=(_abi.Parameter * len(numbers))(*numbers), parameter_count=len(numbers),
        choices=(_abi.Choice * len(words))(*words), choice_count=len(words))


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"the parameter {name!r} must be a number or a word; not {value!r}") from None
    except OverflowError:
        raise InvalidArgument(f"the parameter {name!r} is out of range") from None
