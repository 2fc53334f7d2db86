"""Trains the demo on one processor core, in some minutes: `python train.py`; writes resnet18-stream.pth.

As in the paper: first a network with average pooling, then, all of that frozen, the attention alone.
"""

import math
import pathlib
import time

import numpy as np
import torch
from torch.nn import functional as F

import canvas
from model import Network

HERE = pathlib.Path(__file__).parent
WIDTH, BATCH, SEED = 8, 64, 0
EPOCHS = {"pooling": 14, "attention": 6}
RATES = {"pooling": 5e-3, "attention": 5e-3}


def train(network, phase, parameters, pictures, labels, indices, random):
    """One of the two halves. Every epoch sees new canvases."""
    optimizer = torch.optim.AdamW(parameters, RATES[phase])
    steps = EPOCHS[phase] * math.ceil(len(indices) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATES[phase], steps)
    for epoch in range(EPOCHS[phase]):
        start, total = time.monotonic(), 0.0
        for chosen in np.array_split(random.permutation(indices), math.ceil(len(indices) / BATCH)):
            x = torch.from_numpy(canvas.batch(pictures, chosen, pictures[indices], random))
            error = F.cross_entropy(network(x, pooled=phase == "pooling"), torch.from_numpy(labels[chosen]))
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
            total += error.item() * len(chosen)
        print(f"{phase} {epoch + 1:2}  error {total / len(indices):.4f}  {time.monotonic() - start:.1f} s", flush=True)


@torch.no_grad()
def accuracy(network, pooled, pictures, labels, indices, others):
    x = torch.from_numpy(canvas.batch(pictures, indices, pictures[others], np.random.default_rng(1)))
    predicted = torch.cat([network(part, pooled).argmax(1) for part in x.split(BATCH)])
    return (predicted == torch.from_numpy(labels[indices])).float().mean().item()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    pictures, labels, training, held_out = canvas.load()
    network = Network(WIDTH, 10)
    stream = {id(p) for p in network.stream()}
    rest = [p for p in network.parameters() if id(p) not in stream]
    train(network.train(), "pooling", rest, pictures, labels, training, random)
    for p in rest:
        p.requires_grad_(False)
    train(network.eval(), "attention", network.stream(), pictures, labels, training, random)
    for name, pooled in (("average pooling", True), ("attention", False)):
        print(f"held out, {name}: {accuracy(network, pooled, pictures, labels, held_out, training):.4f}")
    torch.save(network.state_dict(), HERE / "resnet18-stream.pth")


if __name__ == "__main__":
    main()
