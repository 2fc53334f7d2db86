"""Trains a small vision transformer on digits on coloured grounds, and writes model.onnx.

    python train.py        some three minutes on two cores; needs PyTorch, scikit-learn and limpid-convert
"""

import pathlib
import subprocess
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tame-digits"))
import canvas  # noqa: E402

PICTURES, STEPS, BATCH = 12000, 3000, 64
PATCH, WIDTH, DEPTH, HEADS = 8, 64, 4, 4


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        x = x + self.proj((attention @ v).transpose(1, 2).reshape(n, tokens, WIDTH))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Dosovitskiy et al., 2021: patches, a class token, blocks that normalise first."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(0.02 * torch.randn(1, (canvas.SIDE // PATCH) ** 2 + 1, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        patches = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.position
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def main():
    torch.manual_seed(0)
    pictures, labels, _ = canvas.paint_all(*canvas.split()[0], PICTURES, np.random.default_rng(0))
    pictures, labels = torch.from_numpy(pictures), torch.from_numpy(labels)
    network = Transformer()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, STEPS)
    for step in range(STEPS):
        chosen = torch.randint(0, PICTURES, (BATCH,))
        loss = F.cross_entropy(network(2 * pictures[chosen] - 1), labels[chosen], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            print(f"{step + 1}: {loss.item():.3f}", flush=True)
    bare = HERE / "bare.onnx"
    torch.onnx.export(
        network.eval(), (torch.zeros(1, 3, canvas.SIDE, canvas.SIDE),), bare, dynamo=False, opset_version=17,
        input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    labels = HERE / "labels.txt"
    labels.write_text("\n".join("zero one two three four five six seven eight nine".split()) + "\n")
    subprocess.run(
        [sys.executable, "-m", "limpid_convert", "annotate", bare, HERE / "model.onnx", "--labels", labels,
         "--preprocess", "scale 1/255\nnormalize mean 0.5 std 0.5"], check=True)
    bare.unlink()
    labels.unlink()


if __name__ == "__main__":
    main()
