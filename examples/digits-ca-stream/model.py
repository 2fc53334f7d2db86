"""A narrow resnet18 with a class token that attends to the features after each stage (arXiv:2404.14996)."""

import torch
from torch import nn

DEPTH = 2  # blocks of a stage


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        identity = self.downsample(x) if hasattr(self, "downsample") else x
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + identity)


class Attention(nn.Module):
    """Pools a feature map by a token's attention and projects the result to the next token."""

    def __init__(self, channels, out):
        super().__init__()
        self.to_out = nn.Sequential(nn.Flatten(), nn.Linear(channels, out), nn.Dropout(0.0))

    def forward(self, x, token):
        x = x.flatten(2)
        scores = token.flatten(1)[:, None] @ x * x.shape[1] ** -0.5
        return self.to_out((torch.softmax(scores, 2) * x).sum(2))


class Network(nn.Module):
    """Tensors are named as the published program names them. `pooled` averages instead: the baseline."""

    def __init__(self, width, classes):
        super().__init__()
        sizes = [width * factor for factor in (1, 1, 2, 4, 8)]
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage in range(1, 5):
            blocks = [Block(sizes[stage - 1], sizes[stage], 2 if stage > 1 else 1)]
            blocks += [Block(sizes[stage], sizes[stage], 1) for _ in range(DEPTH - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        for name, channels, out in zip(("base", "l1", "l2", "l3", "l4"), sizes, sizes[1:] + sizes[-1:]):
            self.add_module(name, Attention(channels, out))
        self.fc = nn.Linear(sizes[-1], classes)

    def stream(self):
        """What attention adds to the network: all that the second half of the training changes."""
        modules = (self.base, self.l1, self.l2, self.l3, self.l4)
        return [self.cls_token, *(p for module in modules for p in module.parameters())]

    def features(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        found = [x]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x, pooled=False):
        found = self.features(x)
        if pooled:
            return self.fc(found[-1].mean((2, 3)))
        token = self.cls_token.expand(len(x), -1, -1)
        for features, attention in zip(found, (self.base, self.l1, self.l2, self.l3, self.l4)):
            token = attention(features, token)
        return self.fc(token)
