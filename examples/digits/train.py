"""Trains the demo models on one processor core: `python train.py positive`, `python train.py negative`.

Writes scouter-positive.pth and scouter-negative.pth as the published program saves its checkpoints, ready for
`limpid-convert scouter`. Same seed, same machine: same weights.
"""

import argparse
import math
import pathlib
import time

import numpy as np
import torch
from torch.nn import functional as F

import digits
from model import Scouter

HERE = pathlib.Path(__file__).parent
WIDTHS = (24, 48)  # of the two stages
BATCH = 64
SEED = 1

# Named as the published program names its options; a checkpoint carries them as `args`.
COMMON = dict(model="resnet18", dataset="MNIST", num_classes=10, channel=WIDTHS[-1], use_slot=True,
              slots_per_class=1, hidden_dim=32, to_k_layer=1, img_size=72, lr=1e-3, epochs=30)
RUNS = {
    "positive": argparse.Namespace(**COMMON, loss_status=1, power=1, lambda_value=1.0),
    "negative": argparse.Namespace(**COMMON, loss_status=-1, power=2, lambda_value=1.0),
}


def network(args):
    """An untrained model for the options `args`; its map has one cell per 8x8 pixels."""
    return Scouter(WIDTHS, args.img_size // 8, args.num_classes, args.slots_per_class, args.hidden_dim,
                   args.to_k_layer, args.loss_status)


def augment(x, generator):
    """Turns (0.17 rad), scales and moves (10 %) each picture a little; paper, 0, comes in at the sides."""

    def noise(spread):
        return (torch.rand(len(x), generator=generator) * 2 - 1) * spread

    turn, zoom = noise(0.17), 1 + noise(0.1)
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    matrices = torch.stack([cos, -sin, noise(0.2), sin, cos, noise(0.2)], 1).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(matrices, x.shape, align_corners=False), align_corners=False)


def area_weight(args, epoch):
    """The loss asks for small maps mildly at first: pressed too early, a class can lose its map for good."""
    return args.lambda_value * (0.2 if epoch < args.epochs / 2 else 1.0)


def train(args, x, y):
    """A model for pictures x [N, 1, S, S] of values in 0…1 and labels y [N]."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = network(args).train()
    optimizer = torch.optim.AdamW(model.parameters(), args.lr)
    steps = args.epochs * math.ceil(len(x) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, steps)
    for epoch in range(args.epochs):
        start, sums = time.monotonic(), np.zeros(2)
        for chosen in torch.randperm(len(x), generator=generator).split(BATCH):
            logits, attention = model(digits.normalize(augment(x[chosen], generator)))
            error, area = F.cross_entropy(logits, y[chosen]), attention.mean()
            optimizer.zero_grad()
            (error + area_weight(args, epoch) * area**args.power).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            sums += len(chosen) * np.array([error.item(), area.item()])
        error, area = sums / len(x)
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1:2}  error {error:.4f}  area {area:.4f}  {seconds:.1f} s", flush=True)
    return model.eval()


@torch.no_grad()
def accuracy(model, x, y):
    return (model(digits.normalize(x))[0].argmax(1) == y).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sign", choices=RUNS, help="maps that say why, or why not")
    sign = parser.parse_args().sign
    torch.set_num_threads(1)
    args = RUNS[sign]
    pictures, labels = digits.load()
    enlarged = np.stack([digits.enlarge(picture, args.img_size) for picture in pictures])
    x = torch.from_numpy(enlarged[:, None]).float()
    y = torch.from_numpy(labels)
    training, held_out = digits.split(labels)
    model = train(args, x[training], y[training])
    share = accuracy(model, x[held_out], y[held_out])
    print(f"{sign}: held-out accuracy {share:.4f} on {len(held_out)} pictures")
    # As the original's file, but without the state of the optimiser: nobody goes on training from here.
    torch.save({"model": model.state_dict(), "optimizer": {}, "lr_scheduler": {}, "epoch": args.epochs - 1,
                "args": args}, HERE / f"scouter-{sign}.pth")


if __name__ == "__main__":
    main()
