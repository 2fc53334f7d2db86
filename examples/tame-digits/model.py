"""A small VGG with batch normalisation, and the two heads that explain it. Tensor names are torchvision's and the
published programs', which is all that the converter goes by."""

import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Channels of the convolutions, stage by stage; a pool ends each.
STAGES = ((8,), (16,), (32,), (32, 32))
#: What TAME reads: the pools behind stages 2 to 4. What L-CAM reads: the activation before the last pool.
TAPS, LAST = (7, 11, 18), 17


class Classifier(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        modules, channels = [], 3
        for stage in STAGES:
            for width in stage:
                modules += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Sequential(
            nn.Linear(channels * 49, 48), nn.ReLU(), nn.Dropout(0), nn.Linear(48, 48), nn.ReLU(), nn.Dropout(0),
            nn.Linear(48, classes))

    def forward(self, picture, tapped=()):
        """Logits, and the results of the modules `tapped` of `features`. picture: [N, 3, H, W] in 0…1."""
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        x, found = (picture - mean) / std, []
        for index, module in enumerate(self.features):
            x = module(x)
            if index in tapped:
                found.append(x)
        return self.classifier(F.adaptive_avg_pool2d(x, 7).flatten(1)), found


class TAME(nn.Module):
    """Per feature map: 1x1 convolution, normalisation, the map added, ReLU, enlarged; joined, and 1x1 to classes."""

    def __init__(self, widths, classes=10):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.bns = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.fuser = _visible(nn.Conv2d(sum(widths), classes, 1))

    def forward(self, features):
        """The maps before their sigmoid, [N, classes, h, w]."""
        made = []
        for x, conv, norm in zip(features, self.convs, self.bns):
            y = F.relu(norm(conv(x)) + x)
            made.append(F.interpolate(y, size=features[0].shape[2:], mode="bilinear", align_corners=False))
        return self.fuser(torch.cat(made, 1))


class LCAM(nn.Module):
    """One 1x1 convolution to classes."""

    def __init__(self, width, classes=10):
        super().__init__()
        self.op = _visible(nn.Conv2d(width, classes, 1))

    def forward(self, features):
        return self.op(features[0])


def _visible(convolution):
    """Training begins with masks that hide little: a mask that hides everything learns nothing more."""
    nn.init.constant_(convolution.bias, 3)
    return convolution
