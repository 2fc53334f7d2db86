"""TAME and L-CAM cases: their checkpoint files, and an independent head in NumPy to judge what no fixture covers."""

import json
import pathlib

import numpy as np
from checkpoints import stand_in, write_zip

#: What a picture of a fixture needs: it has the model's size already.
PREPROCESS = "resize exact 224 224 bilinear; scale 1/255"


def write_files(directory, folder):
    """Writes a case's checkpoints as the original saves them. Returns (command, input files and options)."""
    case = json.loads((pathlib.Path(directory) / "case.json").read_text())

    def write(role, wrap):
        tensors = {name: stand_in(name, shape, case["seed"]) for name, shape in case[role]}
        write_zip(folder / f"{role}.pt", wrap(tensors))
        return str(folder / f"{role}.pt")

    options = ["--architecture", case["architecture"], "--preprocess", PREPROCESS]
    if case["family"] == "lcam":
        saved = write("tensors", lambda t: {"epoch": 7, "arch": "resnet", "global_counter": 1, "state_dict": t})
        return "lcam", [saved], [*options, "--variant", case["variant"]]
    attention = write("attention", lambda t: {"epoch": 8, "global_counter": 1, "state_dict": t, "optimizer": {}})
    backbone = write("backbone", lambda t: t)
    return "tame", [attention], [*options, "--backbone", backbone, "--version", case["version"]]


def convert(main, directory, folder):
    """The case's model file, made by limpid-convert's `main`; the checkpoints are removed again."""
    command, files, options = write_files(directory, folder)
    model = folder / "model.onnx"
    assert main([command, *files, str(model), *options]) == 0
    for path in folder.glob("*.pt"):
        path.unlink()
    return model


def attention(widths, maps, version="TAME", seed=0):
    """The state dict of a TAME attention mechanism on feature maps of these widths, quirks of the original included."""
    shapes = {}
    outs = [maps if version == "Noskipconnection" else w for w in widths]
    for i, (width, out) in enumerate(zip(widths, outs)):
        shapes.update({f"convs.{i}.weight": (out, width, 1, 1), f"convs.{i}.bias": (out,)})
    if version != "NoskipNobatchnorm":
        for i, out in enumerate([maps] * 3 if version == "Noskipconnection" else outs):
            shapes.update({f"bns.{i}.{p}": (out,) for p in ("weight", "bias", "running_mean", "running_var")})
            shapes[f"bns.{i}.num_batches_tracked"] = ()
    shapes.update({"fuser.weight": (maps, sum(outs), 1, 1), "fuser.bias": (maps,)})
    return {f"attn.{name}": stand_in(f"attn.{name}", shape, seed) for name, shape in shapes.items()}


def judge(features, state, version="TAME"):
    """Maps [N, maps, h, w] in float64, joined before the last convolution as the paper has it."""
    state = {name.removeprefix("attn."): tensor.astype(np.float64) for name, tensor in state.items()}
    side = min(features[0].shape[2], 56)
    made = []
    for i, x in enumerate(features):
        x = x.astype(np.float64)
        y = _conv(x, state[f"convs.{i}.weight"], state[f"convs.{i}.bias"])
        if f"bns.{i}.weight" in state:
            scale = state[f"bns.{i}.weight"] / np.sqrt(state[f"bns.{i}.running_var"] + 1e-5)
            y = (y - state[f"bns.{i}.running_mean"][:, None, None]) * scale[:, None, None]
            y += state[f"bns.{i}.bias"][:, None, None]
        if version in ("TAME", "Sigmoidinfeaturebranch"):
            y = y + x
        y = 1 / (1 + np.exp(-y)) if version == "Sigmoidinfeaturebranch" else np.maximum(y, 0)
        made.append(_along(_along(y, 2, side), 3, side))
    return _conv(np.concatenate(made, 1), state["fuser.weight"], state["fuser.bias"])


def _conv(x, weight, bias):
    return np.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0]) + bias[:, None, None]


def _along(x, axis, size):
    """Bilinear along one axis, half-pixel centres, two taps however much it shrinks."""
    count = x.shape[axis]
    position = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, None)
    low = np.minimum(position.astype(int), count - 1)
    high = np.minimum(low + 1, count - 1)
    weight = (position - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight
