"""Explanations on one page."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Union

from . import _abi
from ._errors import InvalidArgument, InvalidType, written
from ._interruption import Interruption, Progress
from ._library import PathLike, encoded, library, path_bytes, taken

if TYPE_CHECKING:
    from ._explanation import Explanation

#: A name for all, or one for each explanation.
PageNames = Union[PathLike, Sequence[Optional[PathLike]], None]


def write_report(
    model: Any, explanations: List[Explanation], path: PathLike, names: PageNames, colormap: Optional[str],
    opacity: float, style: Optional[str], progress: Optional[Progress],
) -> None:
    if names is None or isinstance(names, (str, bytes, os.PathLike)):
        names = [names] * len(explanations)
    if len(names) != len(explanations):
        raise InvalidArgument(f"{len(names)} names for {len(explanations)} explanations; give one for each")
    for why in explanations:
        if not hasattr(why, "_report_item"):
            raise InvalidType(f"a report shows explanations, as explain gives them; not {type(why).__name__}")
    for name in names:
        if not (name is None or isinstance(name, (str, bytes, os.PathLike))):
            raise InvalidType(f"names are texts, or None; not {name!r}")
    items = (_abi.ReportItem * len(explanations))(*(
        why._report_item(None if name is None else os.fsdecode(name)) for why, name in zip(explanations, names)))
    out = ctypes.c_void_p()
    with Interruption(progress) as interruption:
        options = _abi.RenderOptions(
            colormap=encoded(colormap), style=encoded(style), opacity=opacity, progress=interruption.callback)
        library.limpid_report(model, items, len(items), ctypes.byref(options), ctypes.byref(out))
    page = taken(out.value)
    try:
        with open(path_bytes(path), "wb") as file:
            file.write(page)
    except OSError as error:
        raise written(error, path) from None
