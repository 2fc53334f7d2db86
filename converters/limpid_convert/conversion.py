"""What every family's command shares: options, and the end of each conversion."""

from __future__ import annotations

import os
import sys

from limpid_convert import metadata, verify
from limpid_convert.checkpoint import digest
from limpid_convert.errors import ConversionError
from limpid_convert.graph import write_model


def add_output_options(parser):
    """Options of every command that writes a model."""
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights, kept in the model")
    parser.add_argument("--inline", action="store_true", help="weights inside the .onnx file, whatever their size")


def say(text):
    """Progress and notes for the user."""
    print(text, file=sys.stderr)


def finish(builder, options, architecture, checkpoints):
    """Writes the model to `options.output`, checks it, and says what was done.

    checkpoints: the Checkpoints that the weights came from.
    """
    digests = [digest(checkpoint.path) for checkpoint in checkpoints]
    builder.metadata("limpid.source", metadata.source(architecture, digests, options.licence))
    if not options.licence:
        say("note: the licence of the weights is not known; record it with --licence")
    write_and_check(builder.model(), options)


def write_and_check(model, options):
    """Writes a finished model to `options.output` and checks what was written."""
    if not options.output.endswith(".onnx"):
        raise ConversionError(f"{options.output}: the name of the model must end in .onnx")
    for path in write_model(model, options.output, options.inline):
        say(f"wrote {path} ({os.path.getsize(path) / 1e6:.1f} MB)")
    for line in verify.verify(options.output):
        say(line)
