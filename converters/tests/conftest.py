"""Shared by the converter tests. They need NumPy and onnx; ONNX Runtime is the judge where it is installed."""

import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).resolve().parent / "data"
FIXTURES = ROOT / "Tests" / "Fixtures"
SCOUTER = FIXTURES / "scouter"
sys.path[:0] = [str(ROOT / "Tests" / "Support"), str(ROOT / "converters")]

from limpid_convert.cli import main  # noqa: E402


def metadata_of(path):
    import onnx

    return {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}


def run_model(path, x):
    """Outputs by name; ONNX Runtime, or for narrow networks ONNX's own slow evaluator."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        weights = pathlib.Path(f"{path}.data")
        if weights.exists() and weights.stat().st_size > 1 << 24:
            pytest.skip("a full-size network needs onnxruntime")
        session = ReferenceEvaluator(str(path))
        return dict(zip(session.output_names, session.run(None, {"input": x})))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, {"input": x})))


def tensor_of(image, preprocess):
    """The network's input for a picture of the right size, following the metadata's `scale` and `normalize` steps."""
    words = preprocess.splitlines()[-1].split()
    assert words.pop() == "float64"
    std = words.index("std")
    mean, deviation = np.array(words[2:std], float), np.array(words[std + 1 :], float)
    return ((image / 255.0 - mean) / deviation).astype(np.float32).transpose(2, 0, 1)[None]


@pytest.fixture
def command(capsys):
    """Runs limpid-convert; gives (exit status, standard output, standard error)."""

    def run(*arguments):
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as stop:
            status = stop.code
        return (status, *capsys.readouterr())

    return run
