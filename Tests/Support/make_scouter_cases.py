"""Writes the small SCOUTER cases of Tests/Fixtures/scouter, computed by PyTorch and timm. No test runs this.

    python Tests/Support/make_scouter_cases.py

The backbone is timm's, the head is written from the equations with torch's own modules (nn.GRU, einsum, log_softmax).
These cases cover what the full-size ones do not: several slots per class, narrow networks, other picture sizes.
"""

import io
import json
import math
import pathlib
import zipfile

import numpy as np
import timm
import torch
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from checkpoints import stand_in

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "scouter"
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

CASES = {
    "narrow-resnet18-s3-negative": dict(
        model="resnet18", dataset="CUB200", num_classes=5, slots_per_class=3, loss_status=-1, to_k_layer=2,
        hidden_dim=16, img_size=128, use_slot=True, power=2, lambda_value=10.0),
    "narrow-resnest14d-s2-positive": dict(
        model="resnest14d", dataset="ConText", num_classes=4, slots_per_class=2, loss_status=1, to_k_layer=3,
        hidden_dim=12, img_size=100, use_slot=True, power=2, lambda_value=0.2),
}


class SlotClassifier(nn.Module):
    """Slot attention on a CNN; keeps what its forward pass computed."""

    def __init__(self, args):
        super().__init__()
        self.args = args
        hidden, slots = args["hidden_dim"], args["num_classes"] * args["slots_per_class"]
        self.backbone = narrow_backbone(args["model"])
        self.conv1x1 = nn.Conv2d(self.backbone.num_features, hidden, 1)
        self.slot = nn.Module()
        self.slot.initial_slots = nn.Parameter(torch.zeros(1, slots, hidden))
        self.slot.to_q = nn.Sequential(nn.Linear(hidden, hidden))
        layers = [nn.Linear(hidden, hidden)]
        for _ in range(args["to_k_layer"] - 1):
            layers += [nn.ReLU(), nn.Linear(hidden, hidden)]
        self.slot.to_k = nn.Sequential(*layers)
        self.slot.gru = nn.GRU(hidden, hidden)

    def forward(self, x):
        z = torch.relu(self.conv1x1(self.backbone.forward_features(x)))
        batch, hidden, height, width = z.shape
        values = z.flatten(2).transpose(1, 2)
        keys = self.slot.to_k((z + sine_code(z)).flatten(2).transpose(1, 2))
        queries = self.slot.initial_slots.expand(batch, -1, -1)
        for _ in range(3):
            dots = torch.einsum("bid,bjd->bij", queries, keys) * hidden ** -0.5
            rows = dots.sum(2)
            dots = dots / rows[:, :, None] * rows.sum(1)[:, None, None]
            attention = torch.sigmoid(dots)
            updates = torch.einsum("bjd,bij->bid", values, attention) / hidden
            step, state = updates.reshape(1, -1, hidden), queries.reshape(1, -1, hidden).contiguous()
            queries = self.slot.gru(step, state)[0].reshape(batch, -1, hidden)
        per_class = (batch, self.args["num_classes"], self.args["slots_per_class"])
        logits = self.args["loss_status"] * updates.reshape(*per_class, hidden).sum((2, 3))
        maps = attention.reshape(*per_class, height, width).sum(2)
        return logits, maps, attention.reshape(batch, -1, height, width)


def narrow_backbone(name):
    widths = (8, 16, 24, 32)
    if name.startswith("resnest"):
        return ResNet(ResNestBottleneck, (1, 1, 1, 1), num_classes=0, stem_type="deep", stem_width=8, avg_down=True,
                      channels=widths, block_args=dict(radix=2, avd=True, avd_first=False))
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes=0, channels=widths)


def sine_code(z):
    half = z.shape[1] // 2
    code = torch.zeros(z.shape[1:], dtype=torch.float64)
    for j in range(half):
        wave = 10000 ** (2 * (j // 2) / half)
        function = math.cos if j % 2 else math.sin
        for y in range(z.shape[2]):
            code[j, y, :] = function((y + 1) / (z.shape[2] + 1e-6) * 2 * math.pi / wave)
        for x in range(z.shape[3]):
            code[half + j, :, x] = function((x + 1) / (z.shape[3] + 1e-6) * 2 * math.pi / wave)
    return code.to(z.dtype)


def picture(side, seed):
    """Smooth coloured noise with some edges."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [sum(random.normal() * np.cos(random.uniform(1, 14) * x + random.uniform(1, 14) * y + 6 * random.random())
                  for _ in range(6)) for _ in range(3)]
    planes = np.stack(planes, -1) + 1.5 * ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.05)[..., None]
    return np.clip(128 + 50 * planes, 0, 255).astype(np.uint8)


def compute(args, seed):
    """Tensor list, arrays, and the largest difference between single and double precision, relative to the range."""
    model = SlotClassifier(args).eval()
    listing = [[name, list(t.shape)] for name, t in model.state_dict().items()]
    model.load_state_dict({name: torch.from_numpy(stand_in(name, shape, seed)) for name, shape in listing})
    image = picture(args["img_size"], seed)
    x = torch.from_numpy(((image / 255.0 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None])
    with torch.no_grad():
        logits, maps, slots = model(x)
        exact = model.double()(x.double())
    gaps = [float((a - b).abs().max() / (b.max() - b.min())) for a, b in zip((logits, maps, slots), exact)]
    log_probabilities = torch.log_softmax(logits, 1)
    a = maps.numpy()[0]
    arrays = {"image_u8": image, "logits": logits.numpy(), "log_probs": log_probabilities.numpy(),
              "attn_class": maps.numpy(), "attn_slots": slots.numpy(),
              "map_u8": ((a - a.min()) / (a.max() - a.min()) * 255).astype(np.uint8)}
    return listing, arrays, max(gaps)


def write(name, args):
    """The first seed for which single precision is good to 2e-6: row sums near zero would magnify rounding."""
    seed = next(s for s in range(100) if compute(args, s)[2] < 2e-6)
    listing, arrays, gap = compute(args, seed)
    print(name, "seed", seed, "gap", gap, "logits", arrays["logits"], "attention std", arrays["attn_class"].std())
    case = {"case": name, "family": "scouter", "seed": seed,
            "produced_by": f"make_scouter_cases.py, torch {torch.__version__}, timm {timm.__version__}",
            "tolerance": {"logits": 1e-4, "attn_class": 1e-4, "map_u8_levels": 1}, "args": args}
    rows = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in listing)
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "case.json").write_text(json.dumps(case, indent=1)[:-2] + ',\n "tensors": [\n' + rows + "\n ]\n}\n")
    with zipfile.ZipFile(directory / "expected.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(zipfile.ZipInfo(key + ".npy", (1980, 1, 1, 0, 0, 0)), content.getvalue(),
                             zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    for case_name, case_args in CASES.items():
        write(case_name, case_args)
