"""Run from anywhere; a checkout and its release build need not be installed."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))
os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))
