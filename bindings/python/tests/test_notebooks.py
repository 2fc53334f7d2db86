"""The notebooks of examples/notebooks run from the first cell to the last, and show what they are to show."""

import os

import pytest
from conftest import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
FOLDER = ROOT / "examples" / "notebooks"


@pytest.mark.parametrize("name, images", [("explain", 3), ("compare", 2), ("measure", 1)])
def test_notebook(name, images, monkeypatch):
    path = [str(ROOT / "bindings" / "python"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "stored without outputs"
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == images
    assert not [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
