"""Trains the classifier, then a TAME and an L-CAM head on it, and writes their checkpoints as the originals do.

    python train.py        a few minutes on one core
"""

import collections
import pathlib

import numpy as np
import torch
from torch.nn import functional as F

import canvas
import model

HERE = pathlib.Path(__file__).resolve().parent
PICTURES, CLASSIFIER_STEPS, HEAD_STEPS, BATCH, EMPTY = 6000, 1000, 400, 48, 8
RATE = 0.05
#: Of the TAME paper: cross-entropy of the masked picture, area of the mask, its roughness.
CROSS_ENTROPY, AREA, ROUGHNESS = 1.5, 2.0, 0.01


def train_classifier(data, grounds):
    """Pictures without a digit, and black ones, must say nothing: else masking everything would show some class."""
    network = model.Classifier().train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, CLASSIFIER_STEPS)
    for step in range(CLASSIFIER_STEPS):
        pictures, labels = some(data)
        empty = grounds[torch.randint(0, len(grounds), (EMPTY,))] * torch.rand(EMPTY, 1, 1, 1).round()
        logits = network(torch.cat([pictures, empty]))[0]
        nothing = torch.full((EMPTY, logits.shape[1]), 1 / logits.shape[1])
        loss = F.cross_entropy(logits[:BATCH], labels) + F.cross_entropy(logits[BATCH:], nothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"classifier {step + 1}: {loss.item():.3f}", flush=True)
    return network.eval().requires_grad_(False)


def roughness(mask):
    """Squared differences of neighbours, and less of the border, per picture."""
    inner = (mask[:, 1:] - mask[:, :-1]).square().sum() + (mask[:, :, 1:] - mask[:, :, :-1]).square().sum()
    border = sum(edge.square().sum() for edge in (mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1]))
    return (inner + 0.3 * border) / (2 * len(mask))


def train_head(network, head, tapped, data):
    """The classifier stays as it is; the head learns masks under which it still sees the class that it saw."""
    head.train()
    optimiser = torch.optim.SGD(head.parameters(), lr=RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, HEAD_STEPS)
    for step in range(HEAD_STEPS):
        pictures, _ = some(data)
        with torch.no_grad():
            logits, features = network(pictures, tapped)
        seen = logits.argmax(1)
        mask = torch.sigmoid(head(features))[torch.arange(len(seen)), seen]
        large = F.interpolate(mask[:, None], size=pictures.shape[2:], mode="bilinear", align_corners=False)
        kept = F.cross_entropy(network(pictures * large)[0], seen)
        loss = CROSS_ENTROPY * kept + AREA * (mask + 0.0005).pow(0.3).mean() + ROUGHNESS * roughness(mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"{type(head).__name__} {step + 1}: {loss.item():.3f}, of it cross-entropy {kept.item():.3f}, "
                  f"mean of the mask {mask.mean().item():.2f}", flush=True)
    return head.eval()


def some(data):
    """A batch of painted pictures and their labels."""
    chosen = torch.randint(0, len(data[0]), (BATCH,))
    return data[0][chosen], data[1][chosen]


def painted(digits, labels, count, seed):
    pictures, labels, _ = canvas.paint_all(digits, labels, count, np.random.default_rng(seed))
    return torch.from_numpy(pictures), torch.from_numpy(labels)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    (digits, labels), held_out = canvas.split()
    training = painted(digits, labels, PICTURES, 1)
    network = train_classifier(training, painted(np.zeros((1, 8, 8)), np.zeros(1, int), 500, 3)[0])
    pictures, labels = painted(*held_out, 1000, 2)
    print(f"right on held-out digits: {(network(pictures)[0].argmax(1) == labels).float().mean():.1%}", flush=True)
    widths = [model.STAGES[i][-1] for i in (1, 2, 3)]
    tame = train_head(network, model.TAME(widths), model.TAPS, training)
    lcam = train_head(network, model.LCAM(widths[-1]), (model.LAST,), training)
    classifier = network.state_dict()
    attention = {f"attn.{name}": tensor for name, tensor in tame.state_dict().items()}
    torch.save(classifier, HERE / "classifier.pth")
    torch.save({"epoch": 1, "global_counter": HEAD_STEPS, "state_dict": attention, "optimizer": {}}, HERE / "tame.pt")
    whole = collections.OrderedDict(classifier, **{f"attnM.{n}": t for n, t in lcam.state_dict().items()})
    torch.save({"epoch": 0, "arch": "vgg", "global_counter": HEAD_STEPS, "state_dict": whole, "optimizer": {}},
               HERE / "lcam.pth.tar")


if __name__ == "__main__":
    main()
