"""CA-Stream's attention as ONNX nodes (paper, section 3.2; the arithmetic is that of the published program).

A class token attends to the positions of a feature map F [C, positions]: with s = 1/√C, whatever the number of heads,

    a = softmax(s · qᵀF),   m = F a,   next token = W m + b

Each head owns C/heads channels of q and F. There are no projections of queries, keys or values but in ConvNeXt's
`final`.
"""

from __future__ import annotations

import numpy as np

from limpid_convert.errors import ConversionError

_KEY_VALUE_EPSILON = 1e-5
_MOST_HEADS = 1024


def output(index):
    """The attention of a stage, from 0: a value [N, heads, h, w] that is 1 in sum over the positions of a head."""
    return f"attention.{index}"


def build(layers, stages, plan, heads):
    """The token [N, C] that the classifier reads, and the attention of each stage.

    stages: (module of the attention, Feature that it pools), in order.
    """
    _check_heads(stages, plan, heads)
    first = stages[0][1].channels
    token = layers.state.take("cls_token", 1, 1, first).reshape(1, -1, 1)
    query = layers.constant("cls_token", token)
    for index, (name, feature) in enumerate(stages):
        block = layers.scope(name + ".")
        if index > 0:
            query = block.node("Reshape", "token", [token, block.constant("token.shape", _ints(0, -1, 1))])
        wanted = stages[index + 1][1].channels if index + 1 < len(stages) else feature.channels
        if "to_k.1.weight" in block.state:
            token = _key_value(block, feature, query, index)
        else:
            token = _attend(block, feature, query, heads, index)
            if len(stages) > 1 or "to_out.1.weight" in block.state or not plan.several_heads:
                token = block.linear(token, "to_out.1", feature.channels, wanted)
    return token


def _check_heads(stages, plan, heads):
    if heads != 1 and not plan.several_heads:
        raise ConversionError(f"--heads {heads}: this network has one head; leave out --heads")
    if not 1 <= heads <= _MOST_HEADS:
        raise ConversionError(f"--heads {heads}: must be between 1 and {_MOST_HEADS}")
    for name, feature in stages:
        if feature.channels and feature.channels % heads:
            raise ConversionError(f"--heads {heads}: the {feature.channels} channels that {name} reads cannot be "
                                  f"divided by {heads}")


def _attend(block, feature, query, heads, index):
    """Pools a feature map; [N, C]. query: the token, [N or 1, C, 1].

    Features stay channels-last, [N, positions, C]: there, both products read them as they lie. Heads are told apart by
    a query per head that is 0 in the channels of the others.
    """
    channels, positions = feature.channels or 1, feature.height * feature.width
    features = block.node("Transpose", "features", [feature.name], perm=[0, 2, 3, 1])
    shape = block.constant("tokens.shape", _ints(0, positions, channels))
    features = block.node("Reshape", "tokens", [features, shape])
    owners = np.kron(np.eye(heads), np.ones((channels // heads, 1))).astype(np.float32)  # [C, heads]
    scale = block.constant("scale", owners * np.float32(channels ** -0.5))
    dots = block.node("MatMul", "dots", [features, block.node("Mul", "query", [query, scale])])
    dots = block.node("Transpose", "dots.rows", [dots], perm=[0, 2, 1])
    attention = block.node("Softmax", "attention", [dots], axis=2)  # [N, heads, positions]
    shape = block.constant("attention.shape", _ints(0, heads, feature.height, feature.width))
    block.builder.node("Reshape", output(index), [attention, shape])
    pooled = block.node("MatMul", "pooled", [attention, features])  # [N, heads, C]
    if heads > 1:
        owned = block.constant("owners", np.ascontiguousarray(owners.T))
        pooled = block.node("Mul", "pooled.owned", [pooled, owned])
        pooled = block.node("ReduceSum", "pooled.heads", [pooled, block.constant("heads.axis", _ints(1))], keepdims=1)
    return block.node("Reshape", "pooled.row", [pooled, block.constant("row.shape", _ints(0, channels))])


def _key_value(block, feature, query, index):
    """ConvNeXt's `final`: keys and values are projections of the features, and the pooled one is normalised.

    q·(W F + b) is (Wᵀq)·F and a term that is the same for all positions, which the softmax cancels: so `to_k.1.bias`
    has no part in it. A mean of projections is the projection of the mean. So neither is computed for each position.
    """
    channels = feature.channels
    weight = block.weight("to_k.1.weight", channels, channels)
    block.state.take("to_k.1.bias", channels)
    turned = block.node("Transpose", "to_k.1.turned", [weight], perm=[1, 0])
    key = block.node("MatMul", "to_k.1", [turned, query])
    pooled = _attend(block, feature, key, 1, index)
    value = block.linear(pooled, "to_v.1", channels, channels)
    return block.layer_norm(value, "to_out", channels, _KEY_VALUE_EPSILON)


def _ints(*values):
    return np.array(values, np.int64)
