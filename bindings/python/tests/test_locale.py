"""A host that sets its locale: in German, numbers have a comma."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import COLOURS, ROOT

PROGRAM = f"""
import locale, sys
sys.path.insert(0, {str(ROOT / "bindings" / "python")!r})
import numpy as np, limpid
locale.setlocale(locale.LC_ALL, sys.argv[1])
print(locale.localeconv()["decimal_point"])
model = limpid.Model({str(COLOURS)!r}, preprocess="resize exact 32 32 bilinear\\nscale 1/255.5")
image = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)
model.report(model.explain(image, "rise", masks=50, keep=0.25), sys.argv[2])
print(model.measure(image, model.explain(image, "grad-cam"), "infidelity", std=0.125).value)
try:
    model.explain(image, "rise", keep=1.5)
except limpid.LimpidError as error:
    print(error)
"""


@pytest.fixture
def german(tmp_path):
    """The folder of a German locale, made for the test."""
    if shutil.which("localedef"):
        subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")], capture_output=True)
    if not (tmp_path / "de_DE.UTF-8").is_dir():
        pytest.skip("no German locale can be made here (localedef, and the sources of glibc's locales)")
    return tmp_path


def test_numbers_do_not_depend_on_the_locale(german):
    found = {}
    for name in ("C", "de_DE.UTF-8"):
        page = german / f"{name}.html"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, name, str(page)], capture_output=True, text=True,
            env={**os.environ, "LOCPATH": str(german)})
        assert done.returncode == 0, done.stderr
        point, rest = done.stdout.split("\n", 1)
        found[point] = rest, page.read_bytes()
    assert set(found) == {".", ","} and found["."] == found[","]
