"""The one error that users see."""


class ConversionError(Exception):
    """Something outside this program (a file, an option) is not as it must be.

    The message is for the user: what is wrong, where, and what to do.
    """
