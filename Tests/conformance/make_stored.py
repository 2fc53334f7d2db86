"""Writes stored/*.onnx.gz: narrow networks of real architectures by both exporters of PyTorch, for test_graphs.py.

    make_stored.py [name …]   needs torch, torchvision, timm, onnx, onnxscript
"""

import gzip
import math
import sys
import tempfile
import warnings
from pathlib import Path

import architectures
import onnx
import torch
from graphs import EXPORTERS, export_model

SIDE = 32
FOLDER = Path(__file__).parent / "stored"


def networks():
    from timm.models.convnext import ConvNeXt
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.vision_transformer import VisionTransformer
    from torchvision.models import ShuffleNetV2, mobilenet_v3_small

    yield "vit", VisionTransformer(
        img_size=SIDE, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=10)
    yield "swin", SwinTransformer(
        img_size=SIDE, patch_size=2, window_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 4), num_classes=10)
    yield "convnext", ConvNeXt(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=10)
    yield "mobilenet_v3", mobilenet_v3_small(width_mult=0.05, num_classes=10)
    yield "shufflenet_v2", ShuffleNetV2([2, 2, 2], [8, 16, 32, 64, 32], num_classes=10)


def coarsen(model):
    """Rounds the weights to about six bits, so that the files compress."""
    with torch.no_grad():
        for weight in model.parameters():
            most = weight.abs().max().item()
            if most > 0:
                step = 2.0 ** math.floor(math.log2(most / 16))
                weight.copy_((weight / step).round() * step)


def main():
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    torch.manual_seed(0)
    for name, model in networks():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        architectures.enliven(model)
        coarsen(model)
        architectures.calibrate(model, SIDE)
        for exporter in EXPORTERS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                export_model(model.eval(), SIDE, exporter, path)
                proto = onnx.load(path)
            del proto.graph.value_info[:], proto.metadata_props[:], proto.functions[:]
            for node in proto.graph.node:
                del node.metadata_props[:]
                node.doc_string = ""
            target = FOLDER / f"{name}-{exporter}.onnx.gz"
            target.write_bytes(gzip.compress(proto.SerializeToString(), 9, mtime=0))
            print(target.name, target.stat().st_size, "bytes,", len(proto.graph.node), "nodes")


if __name__ == "__main__":
    main()
