"""Vision transformer: Dosovitskiy et al. 2021 (arXiv:2010.11929), torchvision's names.

Its features are tokens [N, 1 + rows · columns, channels], the class token first; so it is built only where these are
understood. Widths, depth and the size of a patch come from the tensors; the number of heads from the name, else from
the width: 64 channels each, 80 where there are 1280. Files that torchvision published call the linear layers of a
block's perceptron `linear_1` and `linear_2`, those that it saves now `0` and `3`.
"""

from __future__ import annotations

import re

import numpy as np

from limpid_convert.backbones.convnext import gelu
from limpid_convert.backbones.taps import Taps
from limpid_convert.layers import Feature

#: Heads of each block.
ARCHITECTURES = {"vit_b_16": 12, "vit_b_32": 12, "vit_l_16": 16, "vit_l_32": 16, "vit_h_14": 16}

#: torchvision's feature extraction counts the calls of a kind of layer: its `ln` is the first norm of a block.
EXTRACTED = ((r"(encoder\.layers\.encoder_layer_\d+)\.add_1", r"\1"),
             (r"(encoder\.layers\.encoder_layer_\d+)\.ln", r"\1.ln_1"))

_EPSILON = 1e-6


def matches(state):
    return "conv_proj.weight" in state and "encoder.pos_embedding" in state


def build(layers, x, architecture=None, last=None):
    """All but the head. Taps: none by name, for none is a map; the value of block i is `encoder.layers.encoder_layer_i`."""
    side = layers.state.size("conv_proj.weight", 2, 4) or 1
    x = layers.conv(x, "conv_proj", stride=side, padding=0, bias=True)
    channels, count = x.channels, x.height * x.width
    value = _tokens(layers, x)
    position = layers.weight("encoder.pos_embedding", 1, 1 + count, channels)
    value = layers.node("Add", "encoder.embedded", [value, position])
    found = [re.fullmatch(r"encoder\.layers\.encoder_layer_(\d{1,3})\.ln_1\.weight", n) for n in layers.state.names()]
    depth = max((int(m[1]) + 1 for m in found if m), default=0)
    if depth == 0:
        layers.state.problem("missing      encoder.layers.*  all blocks")
    heads = ARCHITECTURES.get(architecture) or max(1, (channels or 64) // (80 if channels == 1280 else 64))
    for i in range(depth):
        value = _block(layers.scope(f"encoder.layers.encoder_layer_{i}."), value, channels, heads, 1 + count)
    value = layers.layer_norm(value, "encoder.ln", channels, _EPSILON)
    return Taps(final=Feature(value, channels, x.height, x.width))


def classify(layers, taps):
    """Class scores [N, classes] of the class token."""
    first = layers.node("Gather", "class_token.last", [taps.final.name, layers.constant("class_token.index", np.int64(0))],
                        axis=1)
    return layers.linear(first, "heads.head", taps.final.channels)


def _tokens(layers, x):
    """[N, C, h, w] to [N, 1 + h · w, C], the class token in front of each image's."""
    rows = layers.constant("tokens.shape", np.array([0, x.channels or 1, -1], np.int64))
    value = layers.node("Transpose", "tokens", [layers.node("Reshape", "tokens.rows", [x.name, rows])], perm=[0, 2, 1])
    token = layers.weight("class_token", 1, 1, x.channels)
    ends = [layers.constant(f"class_token.{end}", np.array([i], np.int64)) for i, end in enumerate(("begin", "end"))]
    count = layers.node("Slice", "class_token.count", [layers.node("Shape", "tokens.extents", [value]), *ends])
    ones = layers.constant("class_token.ones", np.array([1, 1], np.int64))
    shape = layers.node("Concat", "class_token.shape", [count, ones], axis=0)
    return layers.node("Concat", "tokens.all", [layers.node("Expand", "class_token.each", [token, shape]), value], axis=1)


def _block(block, value, channels, heads, tokens):
    """A norm and attention, a norm and two linear layers, each added to what they read."""
    normed = block.layer_norm(value, "ln_1", channels, _EPSILON)
    value = block.node("Add", "add", [value, _attention(block.scope("self_attention."), normed, channels, heads, tokens)])
    normed = block.layer_norm(value, "ln_2", channels, _EPSILON)
    first, second = ("mlp.0", "mlp.3") if "mlp.0.weight" in block.state else ("mlp.linear_1", "mlp.linear_2")
    wide = block.state.size(first + ".weight", 0, 2)
    inner = gelu(block, block.token_linear(normed, first, channels, wide), "mlp.1")
    inner = block.token_linear(inner, second, wide, channels)
    return block.builder.node("Add", block.path[:-1], [value, inner])


def _attention(layers, value, channels, heads, tokens):
    """Softmax(q k^T / sqrt(channels of a head)) v over all tokens, and a linear layer."""
    weight = layers.state.take("in_proj_weight", channels and 3 * channels, channels)
    bias = layers.state.take("in_proj_bias", channels and 3 * channels)
    width = (channels or heads) // heads
    apart = layers.constant("apart", np.array([0, tokens, heads, width], np.int64))
    parts = {}
    for i, (name, order) in enumerate((("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))):
        rows = slice(i * heads * width, (i + 1) * heads * width)
        # Queries are made smaller in their weights.
        scale = np.float32(width**-0.5) if name == "q" else np.float32(1)
        matrix = layers.constant(f"{name}.weight", np.ascontiguousarray(weight[rows].T) * scale)
        part = layers.node("MatMul", f"{name}.product", [value, matrix])
        part = layers.node("Add", name, [part, layers.constant(f"{name}.bias", bias[rows] * scale)])
        part = layers.node("Reshape", f"{name}.apart", [part, apart])
        parts[name] = layers.node("Transpose", f"{name}.heads", [part], perm=order)
    scores = layers.node("Softmax", "attention", [layers.node("MatMul", "scores", [parts["q"], parts["k"]])], axis=-1)
    mixed = layers.node("Transpose", "mixed.tokens", [layers.node("MatMul", "mixed", [scores, parts["v"]])], perm=[0, 2, 1, 3])
    joined = layers.constant("joined.shape", np.array([0, tokens, heads * width], np.int64))
    return layers.token_linear(layers.node("Reshape", "joined", [mixed, joined]), "out_proj", channels, channels)
