"""Writes Tests/Fixtures/backbones: scores that torchvision's own networks, made narrow, give. No test runs this.

EfficientNet-Lite is judged by the package efficientnet-lite-pytorch 0.1.0, and by timm.

    python Tests/Support/make_backbone_cases.py

Weights and picture are `stand_in`s, so a case is names, shapes and scores.
"""

import json
import pathlib

import torch
import torchvision
from torch import nn
from torchvision.models.densenet import DenseNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.vgg import VGG, make_layers

from checkpoints import stand_in

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "backbones"


def alexnet():
    network, widths = torchvision.models.AlexNet(num_classes=5), iter((6, 8, 10, 8, 8))
    channels = 3
    for index, module in enumerate(network.features):
        if isinstance(module, nn.Conv2d):
            width = next(widths)
            network.features[index] = nn.Conv2d(
                channels, width, module.kernel_size, module.stride, module.padding)
            channels = width
    network.classifier[1], network.classifier[4] = nn.Linear(channels * 36, 8), nn.Linear(8, 8)
    network.classifier[6] = nn.Linear(8, 5)
    return network


def vgg(stages, batch_norm):
    network = VGG(make_layers([w for stage in stages for w in (*stage, "M")], batch_norm), num_classes=5)
    width = stages[-1][-1]
    network.classifier[0], network.classifier[3] = nn.Linear(width * 49, 8), nn.Linear(8, 8)
    network.classifier[6] = nn.Linear(8, 5)
    return network


def vit():
    """Two heads of 64 channels, which is how many the width says."""
    return torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=128, mlp_dim=24, num_classes=5)


def efficientnet_lite(number, side):
    from efficientnet_lite_pytorch import EfficientNet

    narrow = {"width_coefficient": 0.25, "num_classes": 5, "image_size": side}
    return EfficientNet.from_name(f"efficientnet-lite{number}", **narrow)


def timm_lite(**style):
    from timm.models import efficientnet

    return efficientnet._gen_efficientnet_lite("efficientnet_lite0", 0.25, 1.0, num_classes=5, **style)


def timm_convnext():
    from timm.models.convnext import ConvNeXt

    return ConvNeXt(depths=(1, 2, 1, 1), dims=(4, 6, 8, 10), num_classes=5)


def timm_inverted(kind, **style):
    from timm.models import efficientnet

    make = efficientnet._gen_efficientnet if kind.startswith("efficientnet") else efficientnet._gen_mobilenet_v2
    return make(kind, 0.1, 1.0, num_classes=5, **style)


#: Side of the picture and network. 64 and 100 make VGG's and AlexNet's averages overlap or repeat cells.
CASES = {
    "alexnet": (100, alexnet),
    "vgg16": (64, lambda: vgg(((4, 4), (4, 4), (6, 6, 6), (6, 6, 6), (8, 8, 8)), False)),
    "vgg-by-shape": (72, lambda: vgg(((4,), (6, 6), (8,)), True)),
    "densenet": (64, lambda: DenseNet(4, (2, 3, 1, 2), 8, 2, num_classes=5)),
    "mobilenet_v2": (64, lambda: MobileNetV2(num_classes=5, width_mult=0.1)),
    "vit": (64, vit),
    "efficientnet_lite0": (75, lambda: efficientnet_lite(0, 75)),  # odd sizes, whose padding differs from axis to axis
    "efficientnet_lite1": (70, lambda: efficientnet_lite(1, 70)),
    "timm-efficientnet_lite0": (75, lambda: timm_lite()),
    "timm-tf_efficientnet_lite0": (75, lambda: timm_lite(pad_type="same", bn_eps=1e-3)),
}


#: Under timm's names, which are others than torchvision's.
TIMM = {
    "timm/convnext": (64, timm_convnext),
    "timm/mobilenetv2": (75, lambda: timm_inverted("mobilenetv2_100")),
    "timm/efficientnet_b0": (75, lambda: timm_inverted("efficientnet_b0")),
    "timm/tf_efficientnet_b0": (75, lambda: timm_inverted("efficientnet_b0", pad_type="same", bn_eps=1e-3)),
}


def main():
    (FIXTURES / "timm").mkdir(parents=True, exist_ok=True)
    for name, (side, make) in {**CASES, **TIMM}.items():
        network = make().eval()
        shapes = {n: list(t.shape) for n, t in network.state_dict().items()}
        network.load_state_dict({n: torch.from_numpy(stand_in(n, s)) for n, s in shapes.items()})
        with torch.no_grad():
            scores = network(torch.from_numpy(stand_in("picture", (1, 3, side, side)) * 30))
        tensors = ",\n  ".join(json.dumps([n, s]) for n, s in shapes.items())
        head = f'"side": {side}, "scores": {json.dumps(scores[0].tolist())}'
        (FIXTURES / f"{name}.json").write_text(f'{{\n {head},\n "tensors": [\n  {tensors}\n ]\n}}\n')


if __name__ == "__main__":
    main()
