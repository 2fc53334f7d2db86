"""What explanations made by many runs cost: in classifications of our own, and beside the programs that make the same.

    explanations.py FOLDER [--models resnet18] [--methods rise,…] [--rounds 3] [--masks 200] [--quick]

FOLDER is what export.py made. One thread. The contestants take turns; a ratio is the median over the rounds of the
ratio in the same round, below 1 is faster. "of classifying" is by our classification, in batches of 8, of as many images as
the method runs; of Ablation-CAM and ReciproCAM, which run what is behind one layer, it is by one classification. Peers
compute the same map (its correlation with ours is told): captum's Occlusion, and Score-CAM and Ablation-CAM of
pytorch-grad-cam, on PyTorch. "memory" is how far a process's peak goes beyond that of classifying one batch.
"""

import argparse
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "Tests" / "conformance")]
BATCH = 8
# The last layer with maps, as PyTorch calls it.
LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "vgg16": "features", "densenet121": "features"}
WINDOW = dict(window_height=16, window_width=16, stride_y=8, stride_x=8)
TAILS = ("ablation-cam", "recipro-cam")


def settings(method, masks):
    return {"rise": dict(masks=masks), "occlusion": WINDOW, "score-cam": {}}.get(method, {})


def runs(method, masks, explanation):
    """How many images the method classifies; 1 for methods that run the tail behind a layer."""
    if method in TAILS:
        return 1
    if method == "occlusion":
        return ((224 - 16) // 8 + 1) ** 2
    return masks if method == "rise" else len(explanation.details["weights"])


def correlation(a, b):
    if a.shape != b.shape:
        from PIL import Image

        a = np.array(Image.fromarray(np.asarray(a, np.float32)).resize(b.shape[::-1], Image.Resampling.BILINEAR))
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def peer(method, name, x):
    """(program, function that gives the map of the predicted class), or None."""
    if find_spec("torch") is None:
        return None
    import torch
    from architectures import create

    torch.set_num_threads(1)
    model, _ = create(f"torchvision/{name}", side=224)
    image = torch.from_numpy(x)
    with torch.no_grad():
        target = int(model(image)[0].argmax())
    if method == "occlusion" and find_spec("captum"):
        from captum.attr import Occlusion

        def occlude():
            with torch.no_grad():
                found = Occlusion(model).attribute(
                    image, strides=(3, 8, 8), sliding_window_shapes=(3, 16, 16), target=target,
                    perturbations_per_eval=BATCH)
            return found[0].sum(0).numpy()

        return "captum", occlude
    if method in ("score-cam", "ablation-cam") and find_spec("pytorch_grad_cam"):
        import pytorch_grad_cam
        import tqdm
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        for module in (pytorch_grad_cam.score_cam, pytorch_grad_cam.ablation_cam):
            module.tqdm.tqdm = lambda items, *_, **__: items
        layer = getattr(model, LAYERS[name])
        kind = pytorch_grad_cam.ScoreCAM if method == "score-cam" else pytorch_grad_cam.AblationCAM
        cam = kind(model, [layer[-1] if name.startswith("resnet") else layer])
        return "pytorch-grad-cam", lambda: cam(image, [ClassifierOutputTarget(target)])[0]
    return None


def lap(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure(path, method, masks, rounds, with_peers):
    import contestants  # finds our library
    import limpid

    x = np.load(path.with_suffix(".npz"))["x"]
    model = limpid.Model(path, threads=1)
    output = model.outputs[0]
    explain = lambda: model.explain(x[0], method, **settings(method, masks))[0]  # noqa: E731
    classify = lambda: model.fetch(x[:BATCH], [output], batch_size=BATCH)  # noqa: E731
    one = lambda: model.fetch(x[:1], [output])  # noqa: E731
    classify(), one()
    found = explain()
    count = runs(method, masks, found)
    other = peer(method, path.stem, x[:1]) if with_peers else None
    ratios, beside, ours = [], [], []
    for _ in range(rounds):
        batches = max(1, min(8, count // BATCH))
        base = [lap(one)[0] for _ in range(5)] if count == 1 else [lap(classify)[0] / BATCH for _ in range(batches)]
        seconds, _ = lap(explain)
        base += [lap(one)[0] for _ in range(5)] if count == 1 else [lap(classify)[0] / BATCH for _ in range(batches)]
        ours.append(seconds)
        ratios.append(seconds / count / median(base))
        if other:
            theirs, their_map = lap(other[1])
            beside.append(seconds / theirs)
    cell = f"{median(beside):.3f} {other[0]}, {correlation(found.grid, their_map):.4f}" if other else ""
    return [path.stem, method, str(count), f"{median(ours):.2f}", f"{median(ratios):.2f}", cell]


def memory(path, method, masks):
    """In a process of its own: MiB by which explaining goes beyond classifying a batch."""
    import contestants
    import limpid

    x = np.load(path.with_suffix(".npz"))["x"]
    model = limpid.Model(path, threads=1)
    model.fetch(x[:BATCH], [model.outputs[0]], batch_size=BATCH)
    Path("/proc/self/clear_refs").write_text("5")
    model.fetch(x[:BATCH], [model.outputs[0]], batch_size=BATCH)
    before = peak()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, without what loading took
    model.explain(x[0], method, **settings(method, masks))
    print((peak() - before) >> 10)


def peak():
    """KiB"""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="resnet18")
    parser.add_argument("--methods", default="rise,occlusion,score-cam,ablation-cam,recipro-cam")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--masks", type=int, default=200, help="of RISE, which makes 4000 by itself")
    parser.add_argument("--quick", action="store_true", help="ResNet-18, one round, no peers")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        return memory(arguments.folder, arguments.memory_of, arguments.masks)
    names = ["resnet18"] if arguments.quick else arguments.models.split(",")
    rounds = 1 if arguments.quick else arguments.rounds
    print("| network | method | images | seconds | of classifying | of the peer, correlation | memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        path = arguments.folder / f"{name}.onnx"
        for method in arguments.methods.split(","):
            row = measure(path, method, arguments.masks, rounds, not (arguments.quick or arguments.no_peers))
            child = subprocess.run(
                [sys.executable, __file__, path, "--memory-of", method, "--masks", str(arguments.masks)],
                capture_output=True, text=True, check=True)
            print(f"| {' | '.join([*row, child.stdout.strip()])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
