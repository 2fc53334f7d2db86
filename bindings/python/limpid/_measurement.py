"""How good explanations are."""

import ctypes
import weakref
from typing import Any, NamedTuple, Optional

import numpy as np

from . import _abi
from ._errors import InvalidArgument, NotFound
from ._explanation import Explanation
from ._interruption import Interruption
from ._library import encoded, library, text
from ._options import Parameter, parameter, run_options, used_parameters
from ._tensors import Feeds, view_array


class Metric(NamedTuple):
    """A measure of explanations, or of a classifier."""

    name: str
    #: What the number means, and whether more is better.
    summary: str
    parameters: "tuple[Parameter, ...]"
    #: {name: summary} of the draws, labels and other arrays that it reads.
    draws: "dict[str, str]"
    #: What of explanations it reads: "grid", "map", "attribution", "scores" or "none".
    maps: str
    needs_model: bool
    #: Whether it explains changed images itself (`explain=`).
    needs_method: bool
    #: Whether it draws random numbers, for which `seed` may be given.
    draws_numbers: bool


def metrics() -> "list[Metric]":
    """Every metric."""
    found = []
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
            bool(info.needs_method), bool(info.draws_numbers)))


def _parameter(metric, index):
    info = _abi.ParameterInfo()
    library.limpid_metric_get_parameter(metric, index, ctypes.byref(info))
    return parameter(info)


class Measurement:
    """What a metric found."""

    def __init__(self, handle, metric):
        weakref.finalize(self, library.limpid_measurement_free, handle)
        #: The metric's name.
        self.metric = metric
        #: float64 [maps]: one number for each map, or image; NaN where it is undefined.
        self.value = view_array(library.limpid_measurement_values(handle))
        #: Over all maps, as the metric averages.
        self.mean: float = library.limpid_measurement_mean(handle)
        curve = library.limpid_measurement_curve(handle)
        #: float64 [maps, points]; None where the metric draws no curve.
        self.curve: Optional[np.ndarray] = view_array(curve) if curve.data else None
        #: {name: array} of what the metric gives beside its values.
        self.details = {}
        while (view := library.limpid_measurement_detail(handle, len(self.details))).data:
            self.details[text(view.name)] = view_array(view)
        #: Every parameter of the metric with the value that was used.
        self.parameters = used_parameters(library.limpid_measurement_parameter, handle)
        #: Of the random numbers; 0 where the metric draws none.
        self.seed: int = library.limpid_measurement_seed(handle)

    def __repr__(self):
        return f"<limpid.Measurement {self.metric!r} of {len(self.value)}, mean {self.mean:g}>"


def measure_maps(
    maps, metric: str, classes: Any = None, *, draws: Any = None, seed=0, progress=None, **parameters: Any
) -> Measurement:
    """Measures maps by a metric that needs no model: as `Model.measure`."""
    return measure(None, None, maps, metric, classes, None, progress, parameters, draws=draws, seed=seed)


def measure(model, batch, maps, metric, classes, explain, progress, parameters, draws, **options):
    """options: those of `run_options`."""
    known = next((each for each in metrics() if each.name == metric), None)
    if known is not None and known.needs_method and explain is None:
        raise InvalidArgument(
            f"the metric {metric!r} explains changed images itself; say how: explain={{'method': name}}")
    draws = {name: _draw(name, array) for name, array in (draws or {}).items()}
    if _are_explanations(maps):
        given = [maps] if isinstance(maps, Explanation) else list(maps)
        if known is not None and "range" in known.draws:
            draws.setdefault("range", np.array([e.range for e in given], np.float32))
        if classes is None and all(e.class_index >= 0 for e in given):
            classes = [[e.class_index] for e in given]
        maps = _stacked(given, known.maps if known else "grid")
    if maps is not None:
        maps = np.asarray(maps)
    images = 0 if batch is None else len(batch)
    indices = _class_indices(model, classes, images, _count(maps, known))
    fed = Feeds({} if maps is None else {"maps": maps}, "argument")
    measuring = _abi.MeasureOptions()
    out = ctypes.c_void_p()
    with Interruption(progress) as interruption:
        run = run_options(interruption, parameters, draws=draws, **options)
        measuring.run = ctypes.pointer(run)
        if explain is not None:
            own = dict({"method": explain} if isinstance(explain, str) else explain)
            method = own.pop("method", None)
            given = {name: own.pop(name) for name in ("layer", "draws", "seed") if name in own}
            method_options = run_options(interruption, own, **given)
            measuring.method = encoded(method)
            measuring.method_options = ctypes.pointer(method_options)
        library.limpid_measure(
            model and model._handle, encoded(metric), batch and batch.views, images,
            fed.views if len(fed) else None, indices, len(indices or ()) // max(1, images), ctypes.byref(measuring),
            ctypes.byref(out))
    return Measurement(out.value, metric)


def _are_explanations(maps):
    return isinstance(maps, Explanation) or (
        isinstance(maps, (list, tuple)) and len(maps) > 0 and all(isinstance(e, Explanation) for e in maps))


def _stacked(explanations, source):
    def array(explanation):
        if source == "attribution":
            return explanation.details.get("attribution", explanation.grid)
        return explanation.map if source == "map" else explanation.grid

    arrays = [array(e) for e in explanations]
    if len({a.shape for a in arrays}) > 1:
        raise InvalidArgument("the explanations have maps of different sizes; measure them one by one")
    return np.stack(arrays)


def _draw(name, value):
    """Boxes may be a list of lists of different lengths: then each becomes [map, x1, y1, x2, y2]."""
    if name == "boxes" and isinstance(value, (list, tuple)) and len({np.shape(row) for row in value}) > 1:
        return np.array([[i, *box] for i, row in enumerate(value) for box in row], np.float64).reshape(-1, 5)
    return value


def _count(maps, metric):
    if maps is None:
        return 0
    return 1 if maps.ndim == 2 and (metric is None or metric.maps != "scores") else maps.shape[0] if maps.ndim else 0


def _class_indices(model, classes, images, count):
    """The C array with a class for each map; None for the predicted ones."""
    if classes is None:
        return None
    rows = classes.tolist() if isinstance(classes, np.ndarray) else classes
    if isinstance(rows, (str, int, np.integer)):
        rows = [rows] * max(1, images, count)
    rows = list(rows)
    if any(isinstance(row, (list, tuple)) for row in rows):
        rows = [value for row in rows for value in (row if isinstance(row, (list, tuple)) else [row])]
    elif images and len(rows) != max(images, count) and (not count or count == images * len(rows)):
        rows = rows * images
    indices = [model._class_index(value) if model else int(value) for value in rows]
    if images and (not indices or len(indices) % images):
        raise InvalidArgument(f"there are {len(indices)} classes for {images} images; give as many for each")
    return (ctypes.c_int32 * len(indices))(*indices)
