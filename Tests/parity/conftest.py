"""Fixture models of every family, and the three doors to the runtime: Swift (the command), C, and Python.

A door offers fetch(model, image, names) -> arrays and explain(model, image, method, shape) -> (scores, ranges, grids),
where `image` is a PNG file; words(model, images, filter) -> {image index: (activation, [(word, similarity)])}.
LIMPID_KERNELS in the environment chooses the kernels of all three.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Support"))
FIXTURES = ROOT / "Tests/Fixtures"
LIBRARY = pathlib.Path(os.environ.get("LIMPID_LIBRARY") or ROOT / ".build/release/liblimpid.so")
PROGRAM = ROOT / ".build/release/limpid-cli"
#: Families whose fixtures have another name than their converter.
COMMANDS = {"castream": "ca-stream"}
VARIANTS = ["portable", "openblas", "avx2", "avx512"]
DOORS = ["Swift", "C", "Python"]


def close(found, expected, largest=None):
    """Within 1e-4 of `largest`, or of the largest magnitude that is expected."""
    largest = np.abs(expected).max() if largest is None else largest
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, rtol=0, atol=1e-4 * largest)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """converted(family, case, *options) -> model file, converted from the case's checkpoint once."""
    from checkpoints import write_case
    from limpid_convert.cli import main

    made = {}

    def convert(family, case, *options):
        if (family, case) not in made:
            folder = tmp_path_factory.mktemp(case)
            write_case(FIXTURES / family / case, folder / "checkpoint.pth")
            words = [COMMANDS.get(family, family), folder / "checkpoint.pth", folder / "model.onnx", *options]
            assert main([str(word) for word in words]) == 0
            made[family, case] = folder / "model.onnx"
        return made[family, case]

    return convert


class Swift:
    def __init__(self, folder):
        self.folder = folder

    def fetch(self, model, image, names):
        folder = self.folder / "fetched"
        subprocess.run([PROGRAM, "fetch", model, image, "--names", ",".join(names), "--output", folder], check=True,
                       stdout=subprocess.DEVNULL)
        return [np.load(next(folder.glob(f"*{name}.npy"))) for name in names]

    def words(self, model, images, filter):
        done = subprocess.run(
            [PROGRAM, "explain", model, *images, "--method", "lavise", "--parameter", f"filter={filter}",
             "--parameter", "words=5", "--output", self.folder, "--json"], check=True, stdout=subprocess.PIPE)
        found = [e["filter"] for e in json.loads(done.stdout)["explanations"]]
        return {i: (f["activation"], [(w["word"], w["similarity"]) for w in f["words"]]) for i, f in enumerate(found)}


class C:
    def __init__(self, folder):
        self.program = folder / "doors"
        library = folder / "liblimpid.so.0"
        library.symlink_to(LIBRARY)
        subprocess.run(["cc", "-O1", "-Wall", "-Werror", f"-I{ROOT}/include", "-o", self.program,
                        pathlib.Path(__file__).parent / "doors.c", library, f"-Wl,-rpath,{folder}"], check=True)

    def _run(self, *words):
        done = subprocess.run([self.program, *map(str, words)], check=True, stdout=subprocess.PIPE)
        return np.frombuffer(done.stdout, np.float32)

    def fetch(self, model, image, names):
        return [self._run("fetch", model, image, name) for name in names]

    def explain(self, model, image, method, shape):
        """`shape` is [classes, height, width]."""
        rows = self._run("explain", model, image, method, shape[0]).reshape(shape[0], -1)
        return rows[:, 0], rows[:, 1:3], rows[:, 4:].reshape(shape)

    def words(self, model, images, filter):
        words = map(str, ["words", model, *images, filter])
        text = subprocess.run([self.program, *words], check=True, stdout=subprocess.PIPE, text=True).stdout
        found = {}
        for index, activation, *pairs in map(str.split, text.splitlines()):
            found[int(index)] = float(activation), list(zip(pairs[::2], map(float, pairs[1::2])))
        return found


class Python:
    def fetch(self, model, image, names):
        import limpid

        with limpid.Model(model) as loaded:
            found = loaded.fetch(image, names)
            return [found[name] for name in names]

    def explain(self, model, image, method, shape):
        import limpid

        with limpid.Model(model) as loaded:
            found = loaded.explain(image, method=method, classes=list(range(shape[0])))
            ranges = np.array([e.range for e in found])
            return np.array([e.score for e in found]), ranges, np.stack([e.grid for e in found])

    def words(self, model, images, filter):
        import limpid

        with limpid.Model(model) as loaded:
            (found,) = loaded.name_filters(images, [filter])
            return {i.index: (i.activation, list(i.words)) for i in found.images}


@pytest.fixture(scope="session")
def doors(tmp_path_factory):
    return dict(zip(DOORS, [Swift(tmp_path_factory.mktemp("swift")), C(tmp_path_factory.mktemp("c")), Python()]))


@pytest.fixture(params=VARIANTS)
def variant(request, monkeypatch):
    """Each kernel variant that this processor can run, chosen for all doors."""
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    needed = {"avx2": "avx2", "avx512": "avx512bw"}.get(request.param)
    if needed and needed not in flags:
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setenv("LIMPID_KERNELS", request.param)
    return request.param
