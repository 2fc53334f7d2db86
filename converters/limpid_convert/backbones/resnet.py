"""ResNet: He et al. 2015 (arXiv:1512.03385), and its 'D' form, He et al. 2018 (arXiv:1812.01187).

Widths, kernel sizes and groups come from the tensors, depths too where the architecture is not named: narrow, wide
and grouped (ResNeXt) variants need no table. Strides are torchvision's: 2 in the stem, in the pooling behind it,
and in the 3x3 convolution of the first block of stages 2 to 4.
"""

from __future__ import annotations

from limpid_convert.backbones.taps import Taps, count_blocks

_DEPTHS = {18: (2, 2, 2, 2), 26: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
           152: (3, 8, 36, 3)}

ARCHITECTURES = {f"resnet{n}{d}": depths for n, depths in _DEPTHS.items() for d in ("", "d")}
ARCHITECTURES.update({"wide_resnet50_2": _DEPTHS[50], "wide_resnet101_2": _DEPTHS[101],
                      "resnext50_32x4d": _DEPTHS[50], "resnext101_32x8d": _DEPTHS[101]})


EXTRACTED = (
    (r"(layer\d+\.\d+)\.relu", r"\1.relu1"), (r"(layer\d+\.\d+)\.relu_1", r"\1.relu2"),
    (r"(layer\d+\.\d+)\.relu_2", r"\1.relu3"), (r"(layer\d+\.\d+)\.act(\d)", r"\1.relu\2"),
    (r"(layer\d+\.\d+)\.iadd", r"\1.add"), ("act1", "relu"), ("avgpool", "global_pool"),  # timm's
)


def matches(state):
    return "layer1.0.conv2.weight" in state and "layer1.0.bn2.weight" in state


def build(layers, x, architecture=None, last="layer4"):
    """Everything up to the stage `last`. Taps: the stem's pooling, each stage, and every block as a layer."""
    return build_stages(layers, x, ARCHITECTURES.get(architecture), last, _block)


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "global_pool"), "flatten")
    return score(layers, pooled, taps.final.channels)


def score(layers, value, channels):
    """Class scores [N, classes] of pooled features [N, channels]."""
    return layers.linear(value, "fc", channels)


def build_stages(layers, x, depths, last, block):
    """Stem and stages of any network of ResNet's plan.

    depths: blocks per stage, None to count them. block(layers, x, stride) builds one.
    """
    taps = Taps(final=_stem(layers, x))
    taps.named["maxpool"] = taps.final
    for stage in range(int(last[-1])):
        name = f"layer{stage + 1}"
        depth = depths[stage] if depths else count_blocks(layers.state, name)
        if depth == 0:
            layers.state.problem(f"missing      {name}.*  a whole stage")
        for index in range(depth):
            stride = 2 if stage > 0 and index == 0 else 1
            taps.final = block(layers.scope(f"{name}.{index}."), taps.final, stride)
            taps.layers.insert(0, taps.final.name)
        taps.named[name] = taps.final
    return taps


def _stem(layers, x):
    """7x7 (MNIST form: 3x3) stride 2, or three 3x3 with the first at stride 2 ('D'); then pooling 3x3 stride 2."""
    if "conv1.0.weight" in layers.state:
        deep = layers.scope("conv1.")
        x = deep.conv(x, "0", kernel=3, stride=2)
        x = deep.relu(deep.batch_norm(x, "1"), "2")
        x = deep.conv(x, "3", kernel=3)
        x = deep.relu(deep.batch_norm(x, "4"), "5")
        x = deep.conv(x, "6", kernel=3)
    else:
        x = layers.conv(x, "conv1", stride=2)
    x = layers.relu(layers.batch_norm(x, "bn1"), "relu")
    return layers.max_pool(x, "maxpool", kernel=3, stride=2, padding=1)


def _block(layers, x, stride):
    """Basic block (two 3x3) or bottleneck (1x1, 3x3, 1x1)."""
    identity = shortcut(layers, x, stride)
    if "conv3.weight" in layers.state:
        x = layers.conv(x, "conv1", kernel=1)
        x = layers.relu(layers.batch_norm(x, "bn1"), "relu1")
        x = layers.conv(x, "conv2", kernel=3, stride=stride, groups=None)
        x = layers.relu(layers.batch_norm(x, "bn2"), "relu2")
        x = layers.batch_norm(layers.conv(x, "conv3", kernel=1, out=identity.channels), "bn3")
        return layers.relu(layers.add(x, identity, "add"), "relu3")
    x = layers.conv(x, "conv1", kernel=3, stride=stride)
    x = layers.relu(layers.batch_norm(x, "bn1"), "relu1")
    x = layers.batch_norm(layers.conv(x, "conv2", kernel=3, out=identity.channels), "bn2")
    return layers.relu(layers.add(x, identity, "add"), "relu2")


def shortcut(layers, x, stride):
    """The input itself; 1x1 convolution where the checkpoint has one; 'D' form: average first, then 1x1 at stride 1."""
    down = layers.scope("downsample.")
    if "0.weight" in down.state:
        return down.batch_norm(down.conv(x, "0", kernel=1, stride=stride), "1")
    if "1.weight" not in down.state:
        if stride > 1:
            layers.state.problem(f"missing      {layers.path}downsample.0.weight  a block of stride 2 has one")
        return x
    if stride > 1:
        x = down.average_pool(x, "0", kernel=2, stride=2, ceil=True, count_padding=False)
    return down.batch_norm(down.conv(x, "1", kernel=1), "2")
