"""Whether a checkpoint is of the family that a command converts, before anything is asked of the user."""

from __future__ import annotations

from limpid_convert import state_dict
from limpid_convert.errors import ConversionError

_MOST_SHOWN, _LONGEST = 4, 60


def judge(source, name):
    """The tensors of a Checkpoint if the family `name` recognises them, else an error that says what they are."""
    from limpid_convert.families import FAMILIES  # which import this module

    family = next(f for f in FAMILIES if f.NAME == name)
    tensors = source.tensors()
    if family.recognises(tensors):
        return tensors
    start = f"{source.path}: {family.ABSENT}"
    prefix = prefix_of(tensors, family.recognises)
    if prefix:
        raise ConversionError(f"{start}; there is one under names that begin with {prefix!r}: give --prefix {prefix}")
    other = next((f for f in FAMILIES if f.recognises(tensors)), None)
    if other:
        raise ConversionError(f"{start}; it looks like {other.TITLE} (limpid-convert {other.NAME})")
    raise ConversionError(f"{start}; it has {names_of(tensors)}")


def prefix_of(tensors, recognises):
    """What must be taken off names for `recognises`, or None."""
    for prefix in state_dict.prefixes(tensors):
        if recognises({n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}):
            return prefix
    return None


def names_of(tensors):
    """The first names, short."""
    shown = ", ".join(name[:_LONGEST] for name in list(tensors)[:_MOST_SHOWN])
    return shown + (", …" if len(tensors) > _MOST_SHOWN else "")
