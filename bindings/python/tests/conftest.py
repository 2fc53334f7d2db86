"""Run from anywhere with the package importable; a checkout and its release build need not be installed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings" / "python"))
os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))

import limpid  # noqa: E402

COLOURS = ROOT / "Tests" / "Fixtures" / "onnx" / "colours.onnx"


@pytest.fixture(scope="session")
def model():
    """3 classes, red, green and blue; pictures of 32x32, maps of 8x8."""
    return limpid.Model(COLOURS)


@pytest.fixture
def red():
    """uint8 [40, 48, 3], black but for its upper left quarter."""
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[:20, :24, 0] = 255
    return pixels


@pytest.fixture
def tensor():
    """float32 [3, 32, 32], zero but for the upper left quarter of the third channel."""
    values = np.zeros((3, 32, 32), np.float32)
    values[2, :16, :16] = 1
    return values
