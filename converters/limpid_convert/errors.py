"""The one error that users see, and text that is safe to show them."""


class ConversionError(Exception):
    """Something outside this program (a file, an option) is not as it must be.

    The message is for the user: what is wrong, where, and what to do.
    """


def printable(text):
    """Text from outside, without anything that a terminal would act on; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
