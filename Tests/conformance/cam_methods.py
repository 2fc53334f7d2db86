"""Every CAM method that pytorch-grad-cam has too, on six networks, against its maps in 0…1; gradient methods against captum.

    scripts/conformance methods     writes docs/cam-methods.md

Limpid's default layer and pytorch-grad-cam's module give the same value (see explained.py); `compat=grad-cam` and `captum`.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from explained import same_module
from graphs import ROOT, export

TABLE = ROOT / "docs" / "cam-methods.md"
NETWORKS = ["torchvision/resnet18", "torchvision/densenet121", "torchvision/efficientnet_b0", "torchvision/convnext_tiny",
            "timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224"]
CLASS = 7
BOUND = 1e-4


def cam_methods():
    import pytorch_grad_cam as cam

    return {"grad-cam": cam.GradCAM, "grad-cam++": cam.GradCAMPlusPlus, "xgrad-cam": cam.XGradCAM,
            "hires-cam": cam.HiResCAM, "layer-cam": cam.LayerCAM, "grad-cam-elementwise": cam.GradCAMElementWise,
            "eigen-cam": cam.EigenCAM, "eigen-grad-cam": cam.EigenGradCAM}


def differences(name):
    """{method: largest difference of the maps, or of the attributions relative to the largest}"""
    import limpid
    from architectures import create
    from captum.attr import InputXGradient, IntegratedGradients, Saliency
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        x = export(name, "torchscript", path)
        ours = limpid.Model(path)
    model, _ = create(name)
    grid = ours.explain(x, "grad-cam", [CLASS])[0].grid.shape
    module, arrange = same_module(model, torch.from_numpy(x), ours.fetch(x, ours.layers[0])[ours.layers[0]][0], grid)
    found = {}
    for method, make in cam_methods().items():
        if module is None:
            continue
        with make(model=model, target_layers=[module], reshape_transform=arrange) as cam:
            expected = cam(torch.from_numpy(x), targets=[ClassifierOutputTarget(CLASS)])[0]
        found[method] = float(np.abs(ours.explain(x, method, [CLASS], compat="grad-cam")[0].map - expected).max())
    for method, make, options in (("saliency", Saliency, {}), ("input-x-gradient", InputXGradient, {}),
                                  ("integrated-gradients", IntegratedGradients, {"n_steps": 8})):
        single = make(model.float()).attribute(torch.from_numpy(x).requires_grad_(), target=CLASS, **options)[0]
        double = make(model.double()).attribute(torch.from_numpy(x).double().requires_grad_(), target=CLASS, **options)[0]
        single, double = single.detach().numpy(), double.detach().numpy()
        values = ours.explain(x, method, [CLASS], compat="captum", **({"steps": 8} if options else {}))[0]
        largest = np.abs(double).max()
        found[method] = (float(np.abs(values.details["attribution"] - single).max() / largest),
                         float(np.abs(single - double).max() / largest))
    return found


def cell(value):
    return f"{value[0]:.1e} ({value[1]:.1e})" if isinstance(value, tuple) else f"{value:.1e}"


def main():
    warnings.filterwarnings("ignore")
    columns = {name: differences(name) for name in NETWORKS}
    methods = list(dict.fromkeys(method for column in columns.values() for method in column))
    lines = [
        "# Methods beside pytorch-grad-cam and captum", "",
        "The largest difference of the maps in 0…1 from pytorch-grad-cam at the same value, and of attributions relative to",
        "the largest from captum; random weights, one class, `compat`. Eigen-CAM's sign is free: pytorch-grad-cam takes what",
        "its solver gives, Limpid what grows with the activations, so that a map may be the other's opposite (1.0). In",
        "brackets PyTorch's own float32 against its float64: where a ReLU or a maximum is decided by rounding, gradients",
        "jump. \"–\": no PyTorch module gives the default layer's value. Made by `scripts/conformance methods`.", "",
        "| method | " + " | ".join(name.split("/")[1] for name in NETWORKS) + " |", "|---" * (len(NETWORKS) + 1) + "|"]
    for method in methods:
        cells = [cell(columns[name][method]) if method in columns[name] else "–" for name in NETWORKS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    TABLE.write_text("\n".join(lines) + "\n")
    return any(
        v > max(BOUND, 10 * own) for c in columns.values() for m, value in c.items() if not m.startswith("eigen")
        for v, own in [value if isinstance(value, tuple) else (value, 0)])


if __name__ == "__main__":
    sys.exit(main())
