"""SCOUTER (Li et al., ICCV 2021, arXiv:2009.06138) on a narrow ResNet, trained in minutes on one core.

Tensor names are those of the published checkpoints: `limpid-convert scouter` reads what train.py saves.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

ROUNDS = 3  # of attention: the queries are refined twice, the third round's attention is the explanation


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, figure 5 left)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity()
        if stride > 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class Backbone(nn.Module):
    """The first stages of resnet18, two blocks each, behind a stem for grey pictures.

    [B, 1, S, S] to [B, widths[-1], S/8, S/8] with two stages; one cell of the map per 8x8 pixels.
    """

    def __init__(self, widths):
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = len(widths)
        for i, width in enumerate(widths):
            first = BasicBlock(widths[max(i - 1, 0)], width, stride=2 if i else 1)
            self.add_module(f"layer{i + 1}", nn.Sequential(first, BasicBlock(width, width, 1)))

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return x


def position_code(channels, side):
    """Sine code [channels, side, side]: the first half of the channels tells the row, the second the column."""
    half = channels // 2
    channel = torch.arange(half, dtype=torch.float64)[:, None]
    angle = (torch.arange(side, dtype=torch.float64) + 1) / (side + 1e-6) * 2 * math.pi
    phase = angle / 10000 ** (2 * (channel // 2) / half)
    code = torch.where(channel % 2 == 0, phase.sin(), phase.cos())  # [half, side]
    rows, columns = code[:, :, None].expand(-1, -1, side), code[:, None, :].expand(-1, side, -1)
    return torch.cat([rows, columns]).float()


class SlotAttention(nn.Module):
    """One learnt query ("slot") or more per class; each looks for evidence among the positions of the map."""

    def __init__(self, slots, hidden, to_k_layers):
        super().__init__()
        self.initial_slots = nn.Parameter(torch.randn(1, slots, hidden))
        self.to_q = nn.Sequential(nn.Linear(hidden, hidden))  # published checkpoints have it; nothing uses it
        layers = [nn.Linear(hidden, hidden)]
        for _ in range(to_k_layers - 1):
            layers += [nn.ReLU(), nn.Linear(hidden, hidden)]
        self.to_k = nn.Sequential(*layers)
        self.gru = nn.GRU(hidden, hidden)

    def forward(self, placed, values):
        """placed, values [B, positions, hidden], with and without position code.

        Returns the last round's attention [B, slots, positions] and what it gathered [B, slots, hidden].
        """
        batch, _, hidden = values.shape
        keys = self.to_k(placed).transpose(1, 2)
        queries = self.initial_slots.expand(batch, -1, -1)
        for step in range(ROUNDS):
            dots = queries @ keys * hidden**-0.5
            rows = dots.sum(2, keepdim=True)
            attention = torch.sigmoid(dots / rows * rows.sum(1, keepdim=True))
            updates = attention @ values / hidden
            if step < ROUNDS - 1:
                flat = updates.reshape(1, -1, hidden), queries.reshape(1, -1, hidden)
                queries = self.gru(*flat)[0].reshape(batch, -1, hidden)
        return attention, updates


class Scouter(nn.Module):
    """The attention is the classifier: a class scores the sum of what its slots gathered, times `sign`.

    With sign +1 a map says why a picture belongs to a class, with -1 why it does not.
    """

    def __init__(self, widths, side, classes, slots_per_class, hidden, to_k_layers, sign):
        super().__init__()
        self.classes, self.sign = classes, sign
        self.backbone = Backbone(widths)
        self.conv1x1 = nn.Conv2d(widths[-1], hidden, 1)
        self.slot = SlotAttention(classes * slots_per_class, hidden, to_k_layers)
        self.register_buffer("code", position_code(hidden, side), persistent=False)

    def forward(self, x):
        """[B, 1, S, S] to logits [B, classes] and attention [B, slots, side²]."""
        values = F.relu(self.conv1x1(self.backbone(x)))
        placed = values + self.code
        attention, updates = self.slot(placed.flatten(2).transpose(1, 2), values.flatten(2).transpose(1, 2))
        logits = self.sign * updates.sum(2).unflatten(1, (self.classes, -1)).sum(2)
        return logits, attention
