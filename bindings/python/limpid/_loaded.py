"""A loaded model, and what it is."""

from __future__ import annotations

import ctypes
import functools
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Type, TypeVar, Union

from . import _abi
from ._classes import class_index, class_indices
from ._errors import InvalidArgument
from ._images import Batch, ImageForm
from ._interruption import Interruption, Progress
from ._library import Handle, encoded, library, names, naming_file, optional_text, text
from ._model_facts import Info, Method, Scores, Value, method_of, value_of
from ._model_source import Source_, contents
from ._options import name_array

if TYPE_CHECKING:
    from ._classes import Class, Classes

Self_ = TypeVar("Self_", bound="LoadedModel")


class LoadedModel:
    """What `Model` is made upon."""

    def __init__(
        self, source: Source_, *, threads: int = 0, precision: str = "float32", memory_limit: int = 0,
        preprocess: Optional[str] = None, copy: bool = False, progress: Optional[Progress] = None,
        refuse_links: bool = False,
    ) -> None:
        if precision not in _abi.PRECISIONS:
            raise InvalidArgument(f"no precision {precision!r}; there are {', '.join(_abi.PRECISIONS)}")
        interruption = Interruption(progress)
        options = _abi.ModelOptions(
            threads=threads, precision=_abi.PRECISIONS[precision], memory_limit=memory_limit,
            preprocess=encoded(preprocess), copy=bool(copy), progress=interruption.callback,
            refuse_links=bool(refuse_links))
        out = ctypes.c_void_p()
        made_of: Union[str, bytes]
        if isinstance(source, (str, os.PathLike)):
            with naming_file(source) as path, interruption:
                library.limpid_model_load_file(path, ctypes.byref(options), ctypes.byref(out))
            # Another process may have another working folder.
            made_of = os.path.abspath(os.fsdecode(source))
        else:
            made_of = contents(source)
            with interruption:
                library.limpid_model_load_memory(made_of, len(made_of), ctypes.byref(options), ctypes.byref(out))
        # What makes it again in another process.
        self._recipe = made_of, dict(
            threads=threads, precision=precision, memory_limit=memory_limit, preprocess=preprocess, copy=copy,
            refuse_links=refuse_links)
        self._open_handle: Optional[Handle] = Handle(out.value, library.limpid_model_free)
        self._class_counts: Dict[Optional[str], int] = {}
        info = _abi.ModelInfo()
        library.limpid_model_get_info(self._open_handle, ctypes.byref(info))
        self._image_layout = optional_text(info.image_layout)
        self._form = ImageForm(
            info.input_channels, self._image_layout in ("nhwc", "hwc"), bool(info.image_alpha), info.image_bits)
        self.info = Info(
            text(info.name), text(info.family), info.class_count, info.input_width, info.input_height,
            info.input_channels)
        self._scores = None if info.score_kind is None else Scores(text(info.score_kind), text(info.score_output))
        self._counts = info.input_count, info.output_count, info.method_count
        names = {number: name for name, number in _abi.PRECISIONS.items()}
        #: As the model was loaded, and what that comes to on this processor: "float32" or "bfloat16".
        self.precision: str = names[info.precision]
        self.computed_precision: str = names[info.computed_precision]

    def close(self) -> None:
        """Gives the memory back; the model cannot be used after it. Calls in flight end first, and are not waited for."""
        self._open_handle = None

    def __enter__(self: Self_) -> Self_:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<limpid.Model {self.info.name!r}, {self.info.family}, {self.info.class_count} classes>"

    @property
    def _handle(self) -> Handle:
        handle = self._open_handle
        if handle is None:
            raise InvalidArgument("the model is closed")
        return handle

    @property
    def labels(self) -> List[str]:
        """The classes' names, by index; empty where the file has none."""
        return names(library.limpid_model_class_name, self._handle)

    @property
    def scores(self) -> Optional[Scores]:
        """The scores that `classify` reads; None where no output holds such, or several could (`output` chooses)."""
        return self._scores

    @property
    def layers(self) -> List[str]:
        """Values that CAM methods may tap, best first."""
        return names(library.limpid_model_layer_name, self._handle)

    @property
    def inputs(self) -> List[Value]:
        """What the model is fed with: names, each with `.shape` and `.dtype`."""
        handle = self._handle
        return [value_of(handle, library.limpid_model_get_input, i) for i in range(self._counts[0])]

    @property
    def outputs(self) -> List[Value]:
        """What the model gives, in the same form."""
        handle = self._handle
        return [value_of(handle, library.limpid_model_get_output, i) for i in range(self._counts[1])]

    @functools.cached_property
    def _all_outputs(self) -> ctypes.Array[ctypes.c_char_p]:
        return name_array(self.outputs)

    @property
    def methods(self) -> List[Method]:
        """The methods that can explain this model, best first."""
        handle = self._handle
        return [method_of(handle, i) for i in range(self._counts[2])]

    def metadata(self, key: str) -> Optional[str]:
        """A metadata value of the file; None where it has no such key."""
        return optional_text(library.limpid_model_metadata(self._handle, encoded(key)))

    # -- For those who call it

    def _batch(self, x: Any, interruption: Interruption) -> Batch:
        return Batch(x, self._form, interruption)

    def _class_count(self, output: Optional[str]) -> int:
        if output in self._class_counts:
            return self._class_counts[output]
        count = ctypes.c_size_t()
        library.limpid_model_class_count(self._handle, encoded(output), ctypes.byref(count))
        self._class_counts[output] = count.value
        return count.value

    def _class_indices(
        self, classes: Optional[Classes], image_count: int,
    ) -> Tuple[Optional[ctypes.Array[ctypes.c_int32]], int]:
        return class_indices(lambda: self.labels, classes, image_count)

    def _class_index(self, value: Class) -> int:
        return class_index(lambda: self.labels, value)
