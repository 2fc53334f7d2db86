"""The same evaluation by Ray and by Dask, on clusters of this machine: the same bytes, also where a worker is killed."""

import os
import signal

import pytest
from conftest import COLOURS, ROOT
from test_evaluation import METRICS, folder, local  # noqa: F401

import limpid

# What workers import is this package too, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "bindings" / "python"), *filter(None, [os.environ.get("PYTHONPATH")])])
METHODS = ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}]


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray
    ray.shutdown()


def same(found, local):
    return all(found.document(name) == local.document(name) for name in ("results.json", "images.csv", "curves.csv"))


@pytest.mark.parametrize("model", ["path", "model", "bytes"])
def test_ray_gives_the_same_bytes(ray, folder, local, model):  # noqa: F811
    model = {"path": COLOURS, "model": limpid.Model(COLOURS), "bytes": COLOURS.read_bytes()}[model]
    assert same(limpid.evaluate(model, folder, METHODS, METRICS, engine="ray", workers=2), local)


def test_a_worker_of_ray_that_is_killed_loses_nothing(ray, folder, local, tmp_path):  # noqa: F811
    # Long enough to be killed at work.
    methods = [{"method": "rise", "masks": 20000, "seed": 2}]
    killed = []

    def kill_one(done, total):
        if not killed:
            killed.extend([workers()[0], done, total])
            os.kill(killed[0], signal.SIGKILL)

    found = limpid.evaluate(
        COLOURS, folder, methods, METRICS, engine="ray", workers=2, progress=kill_one, store=tmp_path / "s.sqlite")
    assert killed[1:] == [1, 12] and found.pending == []
    assert same(found, limpid.evaluate(COLOURS, folder, methods, METRICS))


def workers():
    """The processes below this one that hold a worker."""
    parents, found = {}, []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as command:
                parents[int(name)] = int(stat.read().rsplit(")", 1)[1].split()[1])
                if "RayWorker" in command.read():
                    found.append(int(name))
        except OSError:
            continue

    def is_ours(process):
        while process > 1:
            process = parents.get(process, 0)
            if process == os.getpid():
                return True
        return False

    return [process for process in found if is_ours(process)]


def test_dask_gives_the_same_bytes(folder, local):  # noqa: F811
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        assert same(limpid.evaluate(COLOURS, folder, METHODS, METRICS, engine="dask"), local)


def test_images_in_memory_by_workers(ray, folder, local):  # noqa: F811
    data = [(path.read_bytes(), path.parent.name) for path in sorted(folder.glob("*/*.png"))]
    assert limpid.evaluate(COLOURS, data, METHODS, METRICS, engine="ray").table() == local.table()
