"""SCOUTER's slot attention as ONNX nodes (paper, section 3; the arithmetic is that of the published program)."""

from __future__ import annotations

import math
import re

import numpy as np

from limpid_convert.layers import Layers

ROUNDS = 3


def position_code(channels, height, width):
    """Sine code [channels, height, width]: the first half of the channels tells the row, the second the column.

    Angle of row y: (y + 1) / (height + 1e-6) · 2π; frequencies as in Vaswani et al. 2017, section 3.5.
    """
    half = channels // 2
    wavelength = 10000.0 ** (2 * (np.arange(half) // 2) / half)

    def code(size):
        angle = (np.arange(size) + 1) / (size + 1e-6) * 2 * math.pi
        phase = angle[None, :] / wavelength[:, None]
        return np.where(np.arange(half)[:, None] % 2 == 0, np.sin(phase), np.cos(phase))

    rows = np.broadcast_to(code(height)[:, :, None], (half, height, width))
    columns = np.broadcast_to(code(width)[:, None, :], (half, height, width))
    return np.concatenate([rows, columns]).astype(np.float32)


def build(builder, state, features, config):
    """Logits and maps from the backbone's features; returns {output: role}."""
    head = Layers(builder, state)
    hidden = state.size("conv1x1.weight", 0, 4) or 2
    if hidden % 2:
        state.problem(f"wrong shape  conv1x1.weight  {hidden} channels; the position code needs an even number")
        hidden += 1
    positions = features.height * features.width
    z = head.relu(head.conv(features, "conv1x1", kernel=1, bias=True), "conv1x1.relu").name
    flat = head.constant("tokens.shape", _ints(0, hidden, positions))
    values = head.node("Reshape", "values.flat", [z, flat])
    values = head.node("Transpose", "values", [values], perm=[0, 2, 1])  # [N, positions, hidden]
    code = position_code(hidden, features.height, features.width).reshape(1, hidden, positions).transpose(0, 2, 1)
    placed = head.node("Add", "placed", [values, head.constant("position_code", code)])

    slot = head.scope("slot.")
    keys = _keys(slot, placed, hidden)
    attention, updates = _attend(slot, keys, values, hidden, config)
    return _outputs(head, attention, updates, features, config)


def _keys(slot, tokens, hidden):
    """to_k: linear layers with ReLU between, as many as the checkpoint has. Transposed for the product that follows."""
    found = (re.match(r"to_k\.(\d{1,3})\.", name) for name in slot.state.names())
    for index in sorted({int(match[1]) for match in found if match}) or [0]:
        if index > 0:
            tokens = slot.node("Relu", f"to_k.{index - 1}", [tokens])
        tokens = slot.token_linear(tokens, f"to_k.{index}", hidden, hidden)
    return slot.node("Transpose", "keys", [tokens], perm=[0, 2, 1])  # [N, hidden, positions]


def _attend(slot, keys, values, hidden, config):
    """Three rounds of attention. Returns the last one's attention [N, K, positions] and updates [N, K, hidden]."""
    queries = slot.weight("initial_slots", 1, config.classes * config.slots, hidden)
    scale = slot.constant("scale", np.float32(hidden ** -0.5))
    divisor = slot.constant("hidden", np.float32(hidden))
    over_positions, over_slots = slot.constant("positions.axis", _ints(-1)), slot.constant("slots.axis", _ints(1))
    cell = _Cell(slot, hidden)
    for index in range(ROUNDS):
        name = f"round{index}"
        dots = slot.node("MatMul", f"{name}.product", [queries, keys])
        dots = slot.node("Mul", f"{name}.dots", [dots, scale])
        rows = slot.node("ReduceSum", f"{name}.rows", [dots, over_positions], keepdims=1)
        total = slot.node("ReduceSum", f"{name}.total", [rows, over_slots], keepdims=1)
        dots = slot.node("Div", f"{name}.ratio", [dots, rows])  # no epsilon: the original has none
        dots = slot.node("Mul", f"{name}.normalised", [dots, total])
        attention = slot.node("Sigmoid", f"{name}.attention", [dots])
        updates = slot.node("MatMul", f"{name}.sum", [attention, values])
        updates = slot.node("Div", f"{name}.updates", [updates, divisor])  # by the width, not the positions
        if index < ROUNDS - 1:  # the original computes a third step and uses nothing of it
            queries = cell.step(f"gru.{index}", updates, queries)
    return attention, updates


class _Cell:
    """A gated recurrent unit in torch's form: gates reset, update, new; the reset gate acts behind its matrix."""

    def __init__(self, slot, hidden):
        self.slot = slot
        self.one = slot.constant("gru.one", np.float32(1))
        self.parts = []
        for kind in ("ih", "hh"):
            matrix = slot.state.take(f"gru.weight_{kind}_l0", 3 * hidden, hidden)
            weight = slot.constant(f"gru.weight_{kind}_l0", np.ascontiguousarray(matrix.T))
            self.parts.append((weight, slot.weight(f"gru.bias_{kind}_l0", 3 * hidden)))

    def step(self, name, updates, queries):
        """New queries [N, K, hidden]."""
        slot = self.slot
        gates = []
        for part, value, (weight, bias) in zip(("input", "hidden"), (updates, queries), self.parts):
            product = slot.node("MatMul", f"{name}.{part}.product", [value, weight])
            sums = slot.node("Add", f"{name}.{part}", [product, bias])
            gates.append(slot.node("Split", f"{name}.{part}.gate", [sums], outputs=3, axis=2))
        inputs, hiddens = gates
        reset, update = (
            slot.node("Sigmoid", f"{name}.{gate}", [slot.node("Add", f"{name}.{gate}.sum", [inputs[i], hiddens[i]])])
            for i, gate in enumerate(("reset", "update"))
        )
        gated = slot.node("Mul", f"{name}.gated", [reset, hiddens[2]])
        new = slot.node("Tanh", f"{name}.new", [slot.node("Add", f"{name}.new.sum", [inputs[2], gated])])
        complement = slot.node("Sub", f"{name}.complement", [self.one, update])
        fresh = slot.node("Mul", f"{name}.fresh", [complement, new])
        kept = slot.node("Mul", f"{name}.kept", [update, queries])
        return slot.node("Add", name, [fresh, kept])


def _outputs(head, attention, updates, features, config):
    """logits [N, C], attention [N, C, h, w] and, where a class has several slots, slot_attention [N, C·S, h, w]."""
    classes, slots, height, width = config.classes, config.slots, features.height, features.width
    axis = head.constant("slots_of_class.axis", _ints(2))
    scores = head.node("ReduceSum", "slot_scores", [updates, head.constant("hidden.axis", _ints(2))], keepdims=0)
    shape = head.constant("slot_scores.shape", _ints(0, classes, slots))
    scores = head.node("Reshape", "slot_scores.by_class", [scores, shape])
    scores = head.node("ReduceSum", "class_scores", [scores, axis], keepdims=0)
    head.node("Mul", "logits", [scores, head.constant("sign", np.float32(config.sign))])

    shape = head.constant("slot_maps.shape", _ints(0, classes, slots, height * width))
    maps = head.node("Reshape", "slot_maps.by_class", [attention, shape])
    maps = head.node("ReduceSum", "class_maps", [maps, axis], keepdims=0)
    head.node("Reshape", "attention", [maps, head.constant("class_maps.shape", _ints(0, classes, height, width))])

    head.builder.output("logits", ["N", classes])
    head.builder.output("attention", ["N", classes, height, width])
    if slots == 1:
        return {"logits": "logits", "attention": "attention"}
    shape = head.constant("slot_attention.shape", _ints(0, classes * slots, height, width))
    head.node("Reshape", "slot_attention", [attention, shape])
    head.builder.output("slot_attention", ["N", classes * slots, height, width])
    return {"logits": "logits", "attention": "attention", "slot_attention": "slot_attention"}


def _ints(*values):
    return np.array(values, np.int64)
