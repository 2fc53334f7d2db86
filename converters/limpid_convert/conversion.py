"""What every family's command shares: options, and the end of each conversion."""

from __future__ import annotations

import os

from limpid_convert import metadata, values, verify
from limpid_convert.checkpoint import digest
from limpid_convert.errors import ConversionError
from limpid_convert.graph import write_model
from limpid_convert.notes import say


def add_output_options(parser):
    """Options of every command that writes a model."""
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights, kept in the model")
    parser.add_argument("--inline", action="store_true", help="weights inside the .onnx file, whatever their size")


def add_checkpoint_options(parser, second=None):
    """Options of every command that reads a checkpoint. second: what the command's second checkpoint is of."""
    for which in ("", f"{second}-") if second else ("",):
        of = f" of the {which[:-1]}" if which else ""
        parser.add_argument(f"--{which}key", metavar="KEY", help=f"where the state dict{of} is in its file, parts with "
                            "dots between; else it is looked for")
        parser.add_argument(f"--{which}prefix", metavar="NAME", help=f"take the tensors{of} whose names begin so, "
                            "without it")


def last_dimension(builder, name):
    """The extent of the last axis of a value under construction."""
    return values.infer(builder.outline())[name].dimensions[-1]


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
