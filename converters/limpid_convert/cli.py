"""The `limpid-convert` command."""

from __future__ import annotations

import argparse
import sys

from limpid_convert import __version__, annotate, inspect
from limpid_convert.errors import ConversionError, printable
from limpid_convert.families import FAMILIES

#: Modules with add_command(subparsers), which sets `run` on the parsed options.
_COMMANDS = (*FAMILIES, annotate, inspect)


def main(arguments=None):
    """Runs the command; returns the exit status: 0, or 1 for a failure (argparse exits with 2 for wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="limpid-convert",
        description="Turns checkpoints of explainable image classifiers into ONNX models, without torch.",
    )
    parser.add_argument("--version", action="version", version=f"limpid-convert {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error came from")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_command(subparsers)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except ConversionError as error:
        if options.debug:
            raise
        print(f"limpid-convert: {printable(str(error))}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1
    except Exception as error:
        if options.debug:
            raise
        what = printable(f"{type(error).__name__}: {error}"[:300])
        print(f"limpid-convert: a fault of its own ({what}); run it with --debug and report that", file=sys.stderr)
        return 1
    return 0
