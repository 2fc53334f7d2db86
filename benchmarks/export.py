"""Exports the benchmark networks with random weights: export.py FOLDER [name …]   (needs torch, torchvision, timm)"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "conformance"))

NAMES = ("torchvision/resnet18", "torchvision/resnet50", "torchvision/vgg16", "timm/resnest26d", "timm/convnext_small",
         "timm/convnext_base")


def main(folder, names):
    from architectures import create
    from graphs import export_model

    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        path = folder / f"{name.split('/')[1]}.onnx"
        if not path.exists():
            model, side = create(name, side=224)
            export_model(model, side, "torchscript", path)
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
