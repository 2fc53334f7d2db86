"""Exports the benchmark networks with random weights, and what they give in float64: export.py FOLDER [name …]

NAME.npz holds a batch of noise and its logits. Needs torch, torchvision, timm."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "conformance"))

NAMES = ("torchvision/resnet18", "torchvision/resnet50", "torchvision/vgg16", "torchvision/alexnet", "timm/resnest26d",
         "timm/resnest50d", "torchvision/densenet121", "timm/convnext_small", "timm/convnext_base",
         "timm/efficientnet_lite0")
BATCH = 8


def main(folder, names):
    import numpy as np
    import torch
    from architectures import create
    from graphs import export_model

    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(0).standard_normal((BATCH, 3, 224, 224), np.float32)
    for name in names or NAMES:
        path = folder / f"{name.split('/')[1]}.onnx"
        if not path.with_suffix(".npz").exists():
            model, side = create(name, side=224)
            export_model(model, side, "torchscript", path)
            with torch.no_grad():
                y = model.double()(torch.from_numpy(x).double()).numpy()
            np.savez(path.with_suffix(".npz"), x=x, y=y)
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
