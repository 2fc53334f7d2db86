"""Which of a checkpoint's values is the state dict, and what its tensors are called without their wrappers."""

from __future__ import annotations

import math
import re

import numpy as np

from limpid_convert.errors import ConversionError
from limpid_convert.notes import say
from limpid_convert.stored import StoredTensor

#: Where training programs put the state dict in what they save, the first ones first.
_KEYS = ("model", "state_dict", "model_sdict", "model_state_dict", "net", "network", "module", "weights", "params")
#: Averages of the weights, which are taken where there is nothing else.
_AVERAGES = re.compile(r"(^|[._])(ema|swa|avg|averaged?|shadow|teacher)($|[._])|ema_|_ema")
_OPTIMISERS = re.compile(r"optim|scheduler|scaler", re.IGNORECASE)
_DEEPEST, _MOST_SHOWN, _MOST_WRAPPERS = 4, 6, 8
_MOST_PREFIXES, _MOST_ITEMS = 64, 64

#: What wrappers put before every name, and what they put between the parts of names.
_PREFIXES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_forward_module.", "model.", "net.", "network.",
             "ema_model.", "model_ema.", "averaged_model.", "swa_model.", "ema.")
_INFIXES = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
#: What Lightning modules keep beside their network is at most this part of all names.
_MOST_BESIDE = 0.1
_BESIDE = re.compile(r"n_averaged|step|num_updates|decay|initted")


def find(root, key=None):
    """The state dict in a saved value: {name: tensor}. key: its place, parts with dots between; else it is looked for,
    and where there are several the choice is said."""
    if not isinstance(root, (dict, list, tuple)):
        raise ConversionError(f"holds a {type(root).__name__}, not a state dict")
    if key:
        return _at(root, key)
    found = list(_candidates(root))
    if not found:
        raise ConversionError("no state dict in it: no dictionary from names to tensors; its keys are "
                              + (_listed(key for key, _ in _inside(root)) or "none"))
    largest = max(len(tensors) for _, tensors in found)
    path, tensors = min(found, key=lambda candidate: _rank(*candidate, largest))
    others = [p for p, t in found if p != path and len(t) >= len(tensors) / 2 and _has_weights(t)]
    if others:
        say(f"note: took the state dict {_place(path)}; there is also one {' and one '.join(map(_place, others[:4]))} "
            "(--key KEY takes another)")
    return tensors


def _place(path):
    return f"under {path!r}" if path else "at the top level"


def _at(root, key):
    """The state dict under `key`: a key as it stands, or the way to it."""
    value, rest = root, key
    while rest:
        inner = dict(_inside(value))
        part = next((p for p in _heads(rest) if p in inner), None)
        if part is None:
            known = [p or "the top level" for p, _ in _candidates(root)]
            raise ConversionError(f"there is nothing under --key {key}; there are state dicts under "
                                  + (_listed(known) or "no key"))
        value, rest = inner[part], rest[len(part) + 1 :]
    tensors = _tensors_of(value)
    if not tensors:
        raise ConversionError(f"what is under --key {key} is no state dict")
    return tensors


def _inside(value):
    """(key, value) of what a dictionary holds under text, or a list or tuple under numbers."""
    if isinstance(value, dict):
        return [(k, v) for k, v in value.items() if isinstance(k, str)]
    if isinstance(value, (list, tuple)):
        return [(str(i), v) for i, v in enumerate(value[:_MOST_ITEMS])]
    return []


def _heads(path):
    """`a.b.c`, `a.b`, `a`"""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _tensors_of(value):
    if not isinstance(value, dict):
        return {}
    return {k: t for k, t in value.items() if isinstance(k, str) and isinstance(t, StoredTensor)}


def _candidates(value, path="", depth=0, seen=None):
    """(path, tensors) of every dictionary from names to tensors in dictionaries, lists and tuples, the outer ones
    first, each of them once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    tensors = _tensors_of(value)
    if tensors:
        yield path, tensors
    if depth < _DEEPEST:
        for key, inner in _inside(value):
            if isinstance(inner, (dict, list, tuple)) and not _OPTIMISERS.search(key):
                yield from _candidates(inner, f"{path}.{key}" if path else key, depth + 1, seen)


def _rank(path, tensors, largest):
    """Smaller is better: a usual key, then the top level, then any other, then averages; a dictionary of few tensors
    under no usual key (a loss, a counter) is none of them."""
    parts = path.split(".") if path else []
    usual = min((_KEYS.index(p) for p in parts if p in _KEYS), default=len(_KEYS))
    few = usual == len(_KEYS) and (len(tensors) < largest / 2 or not _has_weights(tensors))
    return (few, bool(_AVERAGES.search(path)), usual, len(parts), -len(tensors))


def _has_weights(tensors):
    return any(len(t.shape) > 1 for t in tensors.values())


def unwrapped(tensors, prefix=None):
    """The tensors without what wrappers (DataParallel, torch.compile, FSDP, Lightning, averaged models) put before and
    into their names. prefix: take only the names that begin so, and take it off first."""
    if prefix:
        prefix = prefix if prefix.endswith(".") else prefix + "."
        tensors = _under(tensors, prefix)
        if not tensors:
            raise ConversionError(f"no tensor's name begins with {prefix!r}")
    if any(name.endswith("_flat_param") for name in tensors):
        raise ConversionError("FSDP saved its parameters flattened into one; save the full state dict "
                              "(StateDictType.FULL_STATE_DICT), which has them by name")
    tensors = _renamed(tensors, lambda name: _INFIXES.sub("", name))
    for _ in range(_MOST_WRAPPERS):
        found = _wrapper(tensors)
        if found is None:
            break
        left = [name for name in tensors if not name.startswith(found) and not _BESIDE.fullmatch(name)]
        if left:
            say(f"note: took the tensors under {found!r}; left out: {_listed(left)}")
        tensors = _under(tensors, found)
    tensors = {n: t for n, t in tensors.items() if not (_BESIDE.fullmatch(n) and math.prod(t.shape) == 1)} or tensors
    return _renamed(tensors, lambda name: name.replace(".module.", "."))


def _under(tensors, prefix):
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _renamed(tensors, rename):
    """The tensors under other names, unless two would have the same."""
    renamed = {rename(name): t for name, t in tensors.items()}
    return renamed if len(renamed) == len(tensors) else tensors


def _wrapper(tensors):
    """The prefix of a wrapper that all tensors have, or all that are the network's."""
    for prefix in _PREFIXES:
        rest = [n for n in tensors if not n.startswith(prefix) and not _BESIDE.fullmatch(n)]
        if len(rest) == len([n for n in tensors if not _BESIDE.fullmatch(n)]):
            continue
        averages = [n for n in rest if _AVERAGES.search(n.split(".")[0])]
        others = len(rest) - len(averages)
        if not rest or (prefix != "module." and others <= _MOST_BESIDE * len(tensors)):
            return prefix
    return None


def prefixes(names):
    """What names begin with: one to four of their parts, the most frequent first, at most 64."""
    counts = {}
    for name in names:
        parts = name.split(".", _DEEPEST)
        for length in range(1, len(parts)):
            prefix = ".".join(parts[:length]) + "."
            counts[prefix] = counts.get(prefix, 0) + 1
    return sorted(counts, key=counts.get, reverse=True)[:_MOST_PREFIXES]


class _Folded:
    """A weight that was stored as a direction and a length for each row (Salimans & Kingma 2016, arXiv:1602.07868)."""

    element_type = "float32"

    def __init__(self, length, direction):
        self._length, self._direction, self.shape = length, direction, direction.shape

    def numpy(self):
        length, direction = (t.numpy().astype(np.float64) for t in (self._length, self._direction))
        axes = tuple(i for i, n in enumerate(length.shape) if n == 1) if length.ndim == direction.ndim else None
        norm = np.sqrt(np.square(direction).sum(axis=axes, keepdims=axes is not None))
        return (length * direction / norm).astype(np.float32)


_WEIGHT_NORMS = ((re.compile(r"(.*)_g"), "_v"), (re.compile(r"(.*)parametrizations\.([^.]+)\.original0"), None))


def folded(tensors):
    """The tensors with weight norms folded: `weight_g` and `weight_v`, or parametrizations.weight.original0 and 1."""
    found, used = {}, set()
    for name, length in tensors.items():
        pair = _weight_norm(name, tensors)
        if pair:
            found[pair[0]] = _Folded(length, tensors[pair[1]])
            used |= {name, pair[1]}
    if not found:
        return tensors
    whole = {name: t for name, t in tensors.items() if name not in used}
    return {**whole, **found}


def _weight_norm(name, tensors):
    """(name of the whole weight, name of its direction) if `name` is the length of one."""
    for form, ending in _WEIGHT_NORMS:
        match = form.fullmatch(name)
        if match:
            whole = match[1] if ending else match[1] + match[2]
            direction = match[1] + ending if ending else name[:-1] + "1"
            if direction in tensors and whole not in tensors and _is_length(tensors[name], tensors[direction]):
                return whole, direction
    return None


def _is_length(length, direction):
    """One number for all of it, or for each index of one axis."""
    one, whole = length.shape, direction.shape
    if math.prod(one) == 1:
        return True
    return len(one) == len(whole) and sum(n != 1 for n in one) == 1 and all(a in (1, b) for a, b in zip(one, whole))


def _listed(names):
    names = [name[:80] for name in names]
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
