"""Whether a checkpoint is of the family that a command converts, before anything is asked of the user."""

from __future__ import annotations

from limpid_convert import state_dict
from limpid_convert.errors import ConversionError

_MOST_SHOWN, _LONGEST = 4, 60


def judge(source, name, otherwise=None):
    """The tensors of a Checkpoint if the family `name` recognises them, else an error that says what they are.

    otherwise(): asked where no family does; it may raise a better error, or not, and then they are taken.
    """
    from limpid_convert.families import FAMILIES  # which import this module

    family = next(f for f in FAMILIES if f.NAME == name)
    tensors = source.tensors()
    found = next((f for f in FAMILIES if f.recognises(tensors)), None)
    if found is family or (otherwise and found is None and otherwise()):
        return tensors
    start = f"{source.path}: {family.ABSENT}"
    prefix = prefix_of(tensors, family.recognises) if found is None else None
    if prefix:
        raise ConversionError(f"{start}; there is one under names that begin with {prefix!r}: give --prefix {prefix}")
    if found:
        raise ConversionError(f"{start}; it looks like {found.TITLE} (limpid-convert {found.NAME})")
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
