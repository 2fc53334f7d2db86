"""What is said to the user besides the result."""

from __future__ import annotations

import sys

from limpid_convert.errors import printable


def say(text):
    """Progress and notes for the user."""
    print(printable(text), file=sys.stderr)
