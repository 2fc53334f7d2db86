"""Run from anywhere; a checkout and its release build need not be installed."""

import os
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))
os.environ.setdefault("LIMPID_LIBRARY", str(ROOT / ".build" / "release" / "liblimpid.so"))


def pytest_terminal_summary(terminalreporter):
    """Every reason for which cases are excluded, with how many they are."""
    counts = Counter(report.wasxfail.split(" (")[0] for report in terminalreporter.getreports("xfailed"))
    for reason, count in counts.most_common():
        terminalreporter.write_line(f"excluded {count:4}: {reason}")
