"""Trains the demonstration on one processor core: a small ResNet that says which digits a scene has, then the explainer
that turns what its filters see into word vectors. Writes explainer.pth and words.txt for

    limpid-convert lavise explainer.pth model.onnx --vocabulary words.txt --preprocess "gray; …"   (README.md)
"""

import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import scenes
import words

HERE = pathlib.Path(__file__).parent
WIDTHS = (16, 32, 64)
MEAN, STD = 0.1307, 0.3081
BATCH = 64


class Block(nn.Module):
    """ResNet's basic block, under torchvision's names."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Network(nn.Module):
    """Three stages: maps of 6x6 for scenes of 96x96."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        for i, (inputs, outputs) in enumerate(zip((WIDTHS[0], *WIDTHS), WIDTHS)):
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(inputs, outputs, 1 if i == 0 else 2)))
        self.fc = nn.Linear(WIDTHS[-1], len(words.DIGITS))

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def explainer(width, size):
    """LaViSE's perceptron in place of the classifier."""
    return nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(0.1), nn.Linear(width, width), nn.ReLU(),
                         nn.BatchNorm1d(width), nn.Dropout(0.1), nn.Linear(width, size))


def batches(count, random):
    order = random.permutation(count)
    return (order[i : i + BATCH] for i in range(0, count - BATCH + 1, BATCH))


def tensor(pictures):
    return ((torch.from_numpy(pictures).float() / 255 - MEAN) / STD)[:, None]


def train_network(net, data, epochs=6):
    pictures, labels, _ = data
    present = torch.zeros(len(labels), len(words.DIGITS)).scatter_(1, torch.from_numpy(labels), 1.0)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, epochs * (len(labels) // BATCH))
    random = np.random.default_rng(0)
    for epoch in range(epochs):
        for chosen in batches(len(labels), random):
            loss = F.binary_cross_entropy_with_logits(net(tensor(pictures[chosen])), present[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"network, epoch {epoch}: loss {loss.item():.3f}", flush=True)


def regions(net, data):
    """(the mean features of each digit's box, its label): what the explainer learns from; the network stays as it is."""
    pictures, labels, boxes = data
    pooled = []
    with torch.no_grad():
        for first in range(0, len(labels), BATCH):
            part = slice(first, first + BATCH)
            maps = net.features(tensor(pictures[part])).repeat_interleave(4, 0)
            inside = torch.from_numpy(scenes.masks(boxes[part].reshape(-1, 4), maps.shape[-1]))
            pooled.append((maps * inside[:, None]).mean((2, 3)))
    return torch.cat(pooled), torch.from_numpy(labels.reshape(-1))


def train_explainer(head, pooled, labels, epochs=30):
    """The paper's loss: a region's vector is to be nearer to its own word than to any other, by a margin of 1."""
    targets = F.normalize(torch.from_numpy(words.vectors()[: len(words.DIGITS)]), dim=1)
    optimizer = torch.optim.Adam(head.parameters(), 2e-3)
    random = np.random.default_rng(0)
    head.train()
    for module in head.modules():  # the published heads' normalisation never collects statistics
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
    for epoch in range(epochs):
        for chosen in batches(len(labels), random):
            cosine = F.normalize(head(pooled[chosen]), dim=1) @ targets.T
            own = F.one_hot(labels[chosen], len(words.DIGITS)).bool()
            wrong = F.relu(1 - cosine[own][:, None] + cosine).masked_fill(own, 0)
            loss = wrong.sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    share = (cosine.argmax(1) == own.int().argmax(1)).float().mean()
    print(f"explainer: loss {loss.item():.3f}, right word {share:.2f}", flush=True)
    head.eval()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train, _ = scenes.split(3000, 1)
    net = Network()
    train_network(net, train)
    net.eval().requires_grad_(False)
    head = explainer(WIDTHS[-1], words.vectors().shape[1])
    train_explainer(head, *regions(net, train))
    net.fc = head
    torch.save({"epoch": 0, "state_dict": net.state_dict(), "optimizer": {}}, HERE / "explainer.pth")
    words.save(HERE / "words.txt")


if __name__ == "__main__":
    main()
