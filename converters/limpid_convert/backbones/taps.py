"""What building a backbone gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Taps:
    """The features of a backbone.

    final: what a head reads. named: values of interest by module path, in graph order ("maxpool", "layer1", …).
    layers: names of values that CAM methods may tap, best first.
    """

    final: object
    named: dict = field(default_factory=dict)
    layers: list = field(default_factory=list)


def count_blocks(state, stage):
    """How many blocks `stage.0.…`, `stage.1.…` a state dict has."""
    found = {int(m[1]) for m in (re.match(re.escape(stage) + r"\.(\d{1,4})\.", n) for n in state.names()) if m}
    return max(found) + 1 if found else 0


def count_from_one(state, pattern):
    """How many tensors `pattern` names when 1, 2, … are put into it."""
    count = 0
    while pattern.format(count + 1) in state:
        count += 1
    return count
