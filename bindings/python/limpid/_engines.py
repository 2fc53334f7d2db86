"""The same evaluation by many processes: workers make records, this process takes them down."""

from __future__ import annotations

import importlib
import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ._errors import Cancelled, InvalidArgument, Unsupported
from ._images import is_stream


class Worker:
    """An evaluation in another process, made once."""

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        from ._evaluation import Evaluation
        self._evaluation = Evaluation(**recipe)

    def record(self, index: int) -> bytes:
        return self._evaluation.record(index)

    def __call__(self, batch: Mapping[str, Any]) -> Dict[str, List[bytes]]:
        return {"record": [self.record(int(index)) for index in batch["index"]]}


def run_on(
    evaluation: Any, engine: str, workers: Optional[int], progress: Optional[Callable[[int, int], Optional[bool]]],
) -> None:
    """Evaluates what is pending by the workers of `engine`; what comes back is kept at once."""
    engines = {"ray": _ray, "dask": _dask}
    if engine not in engines:
        raise InvalidArgument(f"there is no engine {engine!r}; there are {', '.join(engines)}")
    pending = evaluation.pending
    recipe = portable(evaluation)
    records: Iterable[bytes] = engines[engine](recipe, pending, workers) if pending else ()
    for done, record in enumerate(records):
        evaluation.add(record)
        if progress is not None and progress(done + 1, len(pending)) is False:
            raise Cancelled("the progress function asked to stop")


def portable(evaluation: Any) -> Dict[str, Any]:
    """What makes the evaluation in another process: a model by its source, paths from the root."""
    from ._model import Model
    recipe = dict(evaluation.recipe)
    model = recipe["model"]
    if isinstance(model, Model):
        recipe["model"] = model
    elif isinstance(model, (str, os.PathLike)) and "://" not in str(model):
        recipe["model"] = os.path.abspath(model)
    for name in ("data", "images", "classes"):
        place = recipe[name]
        if isinstance(place, os.PathLike) or isinstance(place, str) and "://" not in place and "::" not in place:
            recipe[name] = os.path.abspath(place)
    if is_stream(recipe["data"]):
        raise InvalidArgument("images of an iterator are evaluated here; give the workers a list of them")
    if recipe["data"] is None:
        raise InvalidArgument("samples that were added one by one are evaluated here; give the workers a data set")
    return recipe


def _ray(recipe: Dict[str, Any], pending: List[int], workers: Optional[int]) -> Iterator[bytes]:
    """Ray Data: a pool of actors that load the model once. Ray makes an actor that dies again, and gives its images to
    another."""
    try:
        ray: Any = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError:
        raise Unsupported('the engine "ray" needs Ray: pip install "ray[data]"') from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    if not recipe["threads"]:
        recipe["threads"] = 1
    shared = ray.put(recipe)

    class RayWorker(Worker):
        def __init__(self) -> None:
            super().__init__(ray.get(shared))

    data = ray.data.from_items([{"index": index} for index in pending], override_num_blocks=len(pending))
    records = data.map_batches(RayWorker, batch_size=1, concurrency=min(workers, len(pending)), num_cpus=1)
    for row in records.iter_rows():
        yield row["record"]


def _dask(recipe: Dict[str, Any], pending: List[int], workers: Optional[int]) -> Iterator[bytes]:
    """Dask: an actor on each worker of the client that there is, else of a cluster of this machine."""
    try:
        distributed: Any = importlib.import_module("dask.distributed")
    except ImportError:
        raise Unsupported('the engine "dask" needs dask.distributed: pip install "dask[distributed]"') from None
    try:
        client, own = distributed.get_client(), None
    except ValueError:
        client = own = distributed.Client(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
    if not recipe["threads"]:
        recipe["threads"] = 1
    try:
        shared = client.scatter(recipe, broadcast=True)
        tasks = client.map(_record, pending, recipe=shared, pure=False, retries=10)
        for _, record in distributed.as_completed(tasks, with_results=True):
            yield record
    finally:
        if own is not None:
            own.close()


_workers: Dict[int, Tuple[Worker, Any]] = {}


def _record(index: int, recipe: Mapping[str, Any]) -> bytes:
    """A record, by the evaluation that this process made when it first was asked."""
    key = id(recipe)
    if key not in _workers:
        _workers.clear()
        _workers[key] = Worker(recipe), recipe
    return _workers[key][0].record(index)
