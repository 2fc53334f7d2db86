"""Written by scripts/version, from the header."""

__version__ = "0.2.0"
