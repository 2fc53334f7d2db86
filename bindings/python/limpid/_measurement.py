"""How good explanations are."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType, NotFound
from ._explanation import Explanation
from ._interruption import Interruption, Progress
from ._library import Handle, encoded, library, text
from ._options import Parameter, parameter, run_options, used_parameters
from ._tensors import Feeds, refuse_mask, view_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._classes import Classes
    from ._images import Images
    from ._loaded import LoadedModel

    #: Explanations, or arrays of maps.
    Maps = Union[Explanation, Sequence[Explanation], ArrayLike]


class Metric(NamedTuple):
    """A measure of explanations, or of a classifier."""

    name: str
    #: What the number means, and whether more is better.
    summary: str
    parameters: Tuple[Parameter, ...]
    #: {name: summary} of the draws, labels and other arrays that it reads.
    draws: Dict[str, str]
    #: What of explanations it reads: "grid", "map", "attribution", "scores" or "none".
    maps: str
    needs_model: bool
    #: Whether it explains changed images itself (`explain=`).
    needs_method: bool
    #: Whether it draws random numbers, for which `seed` may be given.
    draws_numbers: bool
    #: Which values are the good ones: "more", "less", or "neither", where that depends on its parameters or on what is measured.
    better: str


def metrics() -> List[Metric]:
    """Every metric."""
    found: List[Metric] = []
    while True:
        info = _abi.MetricInfo()
        try:
            library.limpid_get_metric(len(found), ctypes.byref(info))
        except NotFound:
            return found
        parameters = tuple(_parameter(info.name, i) for i in range(info.parameter_count))
        draws = {text(info.draws[i]): text(info.draw_summaries[i]) for i in range(info.draw_count)}
        found.append(Metric(
            text(info.name), text(info.summary), parameters, draws, text(info.maps), bool(info.needs_model),
            bool(info.needs_method), bool(info.draws_numbers), text(info.better)))


def _parameter(metric: bytes, index: int) -> Parameter:
    info = _abi.ParameterInfo()
    library.limpid_metric_get_parameter(metric, index, ctypes.byref(info))
    return parameter(info)


class Measurement:
    """What a metric found."""

    def __init__(self, found: Any, metric: str) -> None:
        handle = Handle(found, library.limpid_measurement_free)
        #: The metric's name.
        self.metric = metric
        #: float64 [maps]: one number for each map, or image; NaN where it is undefined.
        self.value: NDArray[np.float64] = view_array(library.limpid_measurement_values(handle))
        #: Over all maps, as the metric averages.
        self.mean: float = library.limpid_measurement_mean(handle)
        curve = library.limpid_measurement_curve(handle)
        #: float64 [maps, points]; None where the metric draws no curve.
        self.curve: Optional[NDArray[np.float64]] = view_array(curve) if curve.data else None
        #: {name: array} of what the metric gives beside its values.
        self.details: Dict[str, NDArray[Any]] = {}
        while (view := library.limpid_measurement_detail(handle, len(self.details))).data:
            self.details[text(view.name)] = view_array(view)
        #: Every parameter of the metric with the value that was used.
        self.parameters = used_parameters(library.limpid_measurement_parameter, handle)
        #: Of the random numbers; 0 where the metric draws none.
        self.seed: int = library.limpid_measurement_seed(handle)

    def __repr__(self) -> str:
        return f"<limpid.Measurement {self.metric!r} of {len(self.value)}, mean {self.mean:g}>"


def measure_maps(
    maps: Maps, metric: str, classes: Optional[Classes] = None, *, draws: Optional[Mapping[str, Any]] = None,
    seed: int = 0, progress: Optional[Progress] = None, **parameters: Any,
) -> Measurement:
    """Measures maps by a metric that needs no model: as `Model.measure`."""
    return measure(None, None, maps, metric, classes, None, progress, parameters, draws=draws, seed=seed)


def measure(
    model: Optional[LoadedModel], x: Optional[Images], maps: Optional[Maps], metric: str, classes: Optional[Classes],
    explain: Union[str, Mapping[str, Any], None], progress: Optional[Progress], parameters: Mapping[str, Any],
    draws: Optional[Mapping[str, Any]], **options: Any,
) -> Measurement:
    """options: those of `run_options`."""
    known = next((each for each in metrics() if each.name == metric), None)
    if known is not None and known.needs_method and explain is None:
        raise InvalidArgument(
            f"the metric {metric!r} explains changed images itself; say how: explain={{'method': name}}")
    draws = {name: _draw(name, array) for name, array in _given(draws).items()}
    given = _explanations(maps)
    if given is not None:
        if known is not None and "range" in known.draws:
            draws.setdefault("range", np.array([e.range for e in given], np.float32))
        if classes is None and all(e.class_index >= 0 for e in given):
            classes = [[e.class_index] for e in given]
        maps = _stacked(given, known.maps if known else "grid")
    refuse_mask(maps, "maps")
    array = None if maps is None else np.asarray(maps)
    fed = Feeds({} if array is None else {"maps": array}, "argument")
    measuring = _abi.MeasureOptions()
    out = ctypes.c_void_p()
    with Interruption(progress) as interruption:
        batch = None if model is None else model._batch(x, interruption)
        images = 0 if batch is None else len(batch)
        indices = _class_indices(model, classes, images, _count(array, known))
        run = run_options(interruption, parameters, draws=draws, **options)
        measuring.run = ctypes.pointer(run)
        if explain is not None:
            own = dict({"method": explain} if isinstance(explain, str) else explain)
            method = own.pop("method", None)
            settings = {name: own.pop(name) for name in ("layer", "draws", "seed") if name in own}
            method_options = run_options(interruption, own, **settings)
            measuring.method = encoded(method)
            measuring.method_options = ctypes.pointer(method_options)
        library.limpid_measure(
            model and model._handle, encoded(metric), batch and batch.views, images,
            fed.views if len(fed) else None, indices, len(indices or ()) // max(1, images), ctypes.byref(measuring),
            ctypes.byref(out))
    return Measurement(out.value, metric)


def _given(draws: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    if not isinstance(draws, (Mapping, type(None))):
        raise InvalidType(f"draws are given as {{name: array}}; not as {draws!r}")
    return draws or {}


def _explanations(maps: Optional[Maps]) -> Optional[List[Explanation]]:
    """The explanations that were given; None for arrays."""
    if isinstance(maps, Explanation):
        return [maps]
    if not isinstance(maps, (list, tuple)) or not maps:
        return None
    found = [each for each in maps if isinstance(each, Explanation)]
    return found if len(found) == len(maps) else None


def _stacked(explanations: Sequence[Explanation], source: str) -> NDArray[np.float32]:
    def array(explanation: Explanation) -> NDArray[np.float32]:
        if source == "attribution":
            return explanation.details.get("attribution", explanation.grid)
        return explanation.map if source == "map" else explanation.grid

    arrays = [array(e) for e in explanations]
    if len({a.shape for a in arrays}) > 1:
        raise InvalidArgument("the explanations have maps of different sizes; measure them one by one")
    return np.stack(arrays)


def _draw(name: str, value: Any) -> Any:
    """Boxes may be a list of lists of different lengths: then each becomes [map, x1, y1, x2, y2]."""
    refuse_mask(value, f"draws {name!r}")
    if name == "boxes" and isinstance(value, (list, tuple)) and len({np.shape(row) for row in value}) > 1:
        return np.array([[i, *box] for i, row in enumerate(value) for box in row], np.float64).reshape(-1, 5)
    return value


def _count(maps: Optional[NDArray[Any]], metric: Optional[Metric]) -> int:
    if maps is None:
        return 0
    return 1 if maps.ndim == 2 and (metric is None or metric.maps != "scores") else maps.shape[0] if maps.ndim else 0


def _class_indices(
    model: Optional[LoadedModel], classes: Optional[Classes], images: int, count: int,
) -> Optional[ctypes.Array[ctypes.c_int32]]:
    """The C array with a class for each map; None for the predicted ones."""
    if classes is None:
        return None
    rows: Any = classes.tolist() if isinstance(classes, np.ndarray) else classes
    if isinstance(rows, (str, int, np.integer)):
        rows = [rows] * max(1, images, count)
    rows = list(rows)
    if any(isinstance(row, (list, tuple)) for row in rows):
        rows = [value for row in rows for value in (row if isinstance(row, (list, tuple)) else [row])]
    elif images and len(rows) != max(images, count) and (not count or count == images * len(rows)):
        rows = rows * images
    indices = [model._class_index(value) if model is not None else int(value) for value in rows]
    if images and (not indices or len(indices) % images):
        raise InvalidArgument(f"there are {len(indices)} classes for {images} images; give as many for each")
    return (ctypes.c_int32 * len(indices))(*indices)
