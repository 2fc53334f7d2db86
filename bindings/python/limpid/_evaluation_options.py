"""What an evaluation is given: methods, metrics, classes, the settings of its runs."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

import numpy as np

from . import _abi
from ._errors import InvalidType, written
from ._interruption import Interruption
from ._library import encoded
from ._options import run_options

if TYPE_CHECKING:
    from ._model import Model

#: "rise", or {"method": "rise", "masks": 500}; by name with the settings of each.
Uses = Union[str, Mapping[str, Optional[Mapping[str, Any]]], Iterable[Union[str, Mapping[str, Any]]]]
#: Their names and settings.
NamedUses = List[Tuple[str, Dict[str, Any]]]
# What a use of a method or metric takes beside its parameters.
_SETTINGS = ("layer", "draws", "seed")


def uses_of(given: Uses, what: str) -> NamedUses:
    """[(name, settings)] of names and dicts."""
    if isinstance(given, str):
        given = given.split(",")
    uses: NamedUses = []
    if isinstance(given, Mapping):
        for name, own in given.items():
            if not isinstance(name, str) or own is not None and not isinstance(own, Mapping):
                raise InvalidType(f"{what}s by name are names with a dict of settings, or None, each; not {name!r}: {own!r}")
            uses.append((name, dict(own or {})))
        return uses
    for use in given:
        settings: Dict[str, Any] = {what: use} if isinstance(use, str) else dict(use) if isinstance(use, Mapping) else {}
        name = settings.pop(what, None)
        if not isinstance(name, str):
            raise InvalidType(f"{what}s are names, or dicts with {what!r} and settings; not {use!r}")
        uses.append((name, settings))
    return uses


def fill(
    options: _abi.EvaluationOptions, recipe: Mapping[str, Any], methods: NamedUses, metrics: NamedUses,
    interruption: Interruption,
) -> List[Any]:
    """Sets methods, metrics and the settings of runs; returns what they point to."""
    keep: List[Any] = []

    def uses(given: NamedUses) -> Tuple[Any, int]:
        made = []
        for _, settings in given:
            own = dict(settings)
            made.append(run_options(interruption, own, **{key: own.pop(key) for key in _SETTINGS if key in own}))
        array = (_abi.Use * len(made))(
            *(_abi.Use(encoded(name), ctypes.pointer(run)) for (name, _), run in zip(given, made)))
        keep.extend([made, array])
        return array, len(made)

    options.methods, options.method_count = uses(methods)
    options.metrics, options.metric_count = uses(metrics)
    run = run_options(interruption, **{name: recipe[name] for name in ("output", "feeds", "threads", "batch_size")})
    keep.append(run)
    options.run = ctypes.pointer(run)
    return keep


def fill_explained(options: _abi.EvaluationOptions, explain: Any, model: Model, keep: List[Any]) -> None:
    """Sets which class is explained; what that points to goes into `keep`."""
    if isinstance(explain, (list, tuple, np.ndarray)):
        table = [model._class_index(value) for value in explain]
        keep.append((ctypes.c_int32 * len(table))(*table))
        options.class_table, options.class_table_count = keep[-1], len(table)
    elif explain is not None:
        options.explained = encoded(str(explain))


def class_names(classes: Any) -> List[str]:
    """The names that `class_file` has."""
    if not isinstance(classes, (str, os.PathLike)):
        return [str(name) for name in classes]
    try:
        with open(classes, encoding="utf-8", errors="replace") as file:
            return [line.split("\t")[0].strip() for line in file]
    except OSError as error:
        raise written(error, classes, "open") from None


def class_file(classes: Any, folder: str) -> Any:
    if isinstance(classes, (str, os.PathLike)):
        return classes
    path = os.path.join(folder, "classes.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in classes)
    return path
