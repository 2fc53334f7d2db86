"""How TAME's and T-TAME's checkpoints call what they hold: the attention alone, or both parts in one file.

TAME saves `attn.*`; its model in memory has `attn_mech.attn.*` beside the classifier's `body.*`. T-TAME (IEEE Access
2024) saves both with Lightning, as `generic.attn_mech.*` and `generic.body.*`; on transformers its attention is the second
of two modules, `generic.attn_mech.1.*`, the first of which makes maps of tokens and has no tensors. Its attentions of other
kinds (`mhas.*`, `cnn_fuser.*`) were experiments.
"""

from __future__ import annotations

import re

_ATTENTION = re.compile(r"(?:generic\.)?(?:attn_mech\.)?(?:attn\.|1\.)?((?:convs|bns)\.\d{1,4}\..+|fuser\..+)")
_BODY = re.compile(r"(?:generic\.)?body\.(.+)")


def attention(tensors):
    """The attention's tensors under TAME's names."""
    found = ((_ATTENTION.fullmatch(name), tensor) for name, tensor in tensors.items())
    return {f"attn.{match[1]}": tensor for match, tensor in found if match}


def body(tensors):
    """The classifier's tensors of a file with both parts, under the names of its own checkpoint; {} in other files."""
    found = ((_BODY.fullmatch(name), tensor) for name, tensor in tensors.items())
    return {match[1]: tensor for match, tensor in found if match}


def recognises(tensors):
    return "attn.fuser.weight" in attention(tensors)


def parts(tensors):
    """(attention, classifier) of what a file holds. Tensors that are neither stay with the attention, as unexpected."""
    first, second = attention(tensors), body(tensors)
    if second:
        return first, second
    rest = {name: t for name, t in tensors.items() if not _ATTENTION.fullmatch(name)}
    return {**first, **rest}, {}
