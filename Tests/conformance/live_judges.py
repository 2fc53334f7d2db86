"""Methods and metrics on a trained network and photographs, beside captum, pytorch-grad-cam and Quantus run there and then.

    scripts/conformance judges [MODEL]      writes docs/live-judges.md; MODEL: the EfficientNet-Lite0 that `make demo` makes

PyTorch runs the same ONNX file through onnx2torch. Random draws are the judge's own, recorded and fed to Limpid.
"""

import sys
import warnings

import architectures  # noqa: F401  (before what imports torchvision)
import numpy as np
import onnx
import torch
from graphs import ROOT

TABLE = ROOT / "docs" / "live-judges.md"
PHOTOGRAPHS = ("cat", "coffee", "rocket")
BOUND = 1e-4
#: Values of the network's last feature maps, as the file and as onnx2torch name them.
LAYER, MODULE = "_bn1.relu6", "_bn1/relu6"


class Subject:
    """One photograph, its class, both networks, and four superpixels by four for methods that need such."""

    def __init__(self, ours, network, photograph):
        self.ours, self.network = ours, network
        path = ROOT / "examples" / "photos" / f"{photograph}.jpg"
        self.x = ours.fetch(path, ours.inputs[0].name)[ours.inputs[0].name]
        self.tensor = torch.from_numpy(self.x)
        self.target = int(ours.classify(path).argmax())
        rows = np.arange(224) * 4 // 224
        self.segments = (rows[:, None] * 4 + rows[None, :]).astype(np.int64)

    def explain(self, method, **options):
        return self.ours.explain(self.x, method, [self.target], **options)[0]

    def module(self):
        return dict(self.network.named_modules())[MODULE]

    def probabilities(self, x):
        return self.network(x).softmax(-1)


def difference(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def occlusion(s):
    from captum.attr import Occlusion

    expected = Occlusion(s.network).attribute(
        s.tensor, sliding_window_shapes=(3, 48, 40), strides=(3, 24, 30), baselines=0, target=s.target,
        perturbations_per_eval=8)[0]
    found = s.explain("occlusion", window_height=48, window_width=40, stride_y=24, stride_x=30, compat="captum")
    return difference(found.details["attribution"], expected)


def layer_deep_lift(s):
    from captum.attr import LayerDeepLift

    expected = LayerDeepLift(s.network, s.module()).attribute(s.tensor, baselines=torch.zeros_like(s.tensor), target=s.target)
    found = s.explain("layer-deep-lift", layer=LAYER, compat="captum")
    return difference(found.details["attribution"], expected.detach()[0])


def superpixels(s, make, method, options):
    """Captum's choices of superpixels are recorded, and fed to Limpid."""
    recorded = []
    judge = make(s, recorded)
    torch.manual_seed(7)
    expected = judge.attribute(
        s.tensor, target=s.target, feature_mask=torch.from_numpy(s.segments)[None, None], baselines=0.0, n_samples=120,
        return_input_shape=False)
    draws = {"segments": s.segments, "samples": np.stack(recorded).astype(np.uint8)}
    found = s.explain(method, draws=draws, baseline="zero", **options)
    return difference(found.details["attribution"], expected[0])


def lime(s):
    from captum._utils.models.linear_model import SkLearnLinearModel
    from captum.attr import Lime

    def make(s, recorded):
        def similarity(original, perturbed, choice, **_):
            recorded.append(choice[0].numpy())
            visible = choice[0].float()
            distance = 1 - (visible.sum() / len(visible) ** 0.5 / visible.sum().sqrt().clamp(min=1e-9))
            return torch.exp(-distance ** 2 / (2 * 0.25 ** 2))

        return Lime(
            s.probabilities, interpretable_model=SkLearnLinearModel(sklearn_module="linear_model.Ridge", alpha=1.0),
            similarity_func=similarity)

    return superpixels(s, make, "lime", {"kernel": 0.25, "ridge": 1})


def kernel_shap(s):
    from captum.attr import KernelShap

    def make(s, recorded):
        judge = KernelShap(s.network)
        weigh = judge.similarity_func

        def similarity(original, perturbed, choice, **more):
            # All or none are the condition that Limpid keeps exactly.
            if 0 < choice.sum() < choice.numel():
                recorded.append(choice[0].numpy())
            return weigh(original, perturbed, choice, **more)

        judge.similarity_func = similarity
        return judge

    return superpixels(s, make, "kernel-shap", {})


def score_cam(s):
    from pytorch_grad_cam import ScoreCAM

    return cam(s, ScoreCAM, "score-cam")


def ablation_cam(s):
    from pytorch_grad_cam import AblationCAM

    return cam(s, AblationCAM, "ablation-cam")


def cam(s, make, method):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with make(model=s.network, target_layers=[s.module()]) as judge:
        judge.batch_size = 32
        expected = judge(s.tensor, targets=[ClassifierOutputTarget(s.target)])[0]
    return difference(s.explain(method, layer=LAYER, compat="grad-cam").map, expected)


def infidelity(s):
    from captum.metrics import infidelity as judge

    attribution = s.explain("input-x-gradient").details["attribution"][None]
    noise = 0.1 * np.random.default_rng(1).normal(size=(6, *s.x.shape[1:])).astype(np.float32)
    expected = judge(
        s.network, lambda x, *_: (torch.from_numpy(noise), x - torch.from_numpy(noise)), s.tensor,
        torch.from_numpy(attribution), target=s.target, n_perturb_samples=6, max_examples_per_batch=6)
    found = s.ours.measure(
        s.x, attribution, "infidelity", [s.target], compat="captum", samples=6, draws={"perturbation": noise})
    return difference(found.value, expected)


def sensitivity(s):
    """Of occlusion: gradients of changed images jump where a ReLU is decided by rounding."""
    from captum.attr import Occlusion
    from captum.metrics import sensitivity_max

    noise = np.random.default_rng(2).uniform(-0.02, 0.02, (4, *s.x.shape[1:])).astype(np.float32)
    expected = sensitivity_max(
        Occlusion(s.network).attribute, s.tensor, perturb_func=lambda x: x + torch.from_numpy(noise), n_perturb_samples=4,
        max_examples_per_batch=4, target=s.target, sliding_window_shapes=(3, 56, 56), strides=(3, 56, 56),
        perturbations_per_eval=4)
    window = {"method": "occlusion", "compat": "captum", "window_height": 56, "window_width": 56, "stride_y": 56, "stride_x": 56}
    found = s.ours.measure(
        s.x, [s.ours.explain(s.x, classes=[s.target], **window)[0]], "sensitivity", [s.target], compat="captum", samples=4,
        draws={"perturbation": noise}, explain=window)
    return difference(found.value, expected)


def pixel_flipping(s):
    """Of random numbers: where values are equal, Quantus's order is that of an unstable sort."""
    import quantus

    attribution = np.random.default_rng(3).normal(size=s.x.shape).astype(np.float32)
    expected = quantus.PixelFlipping(
        features_in_step=3136, perturb_baseline="black", disable_warnings=True, abs=False, normalise=False)(
        model=s.network, x_batch=s.x, y_batch=np.array([s.target]), a_batch=attribution, device="cpu", softmax=True)
    found = s.ours.measure(s.x, attribution, "pixel-flipping", [s.target], compat="quantus", features=3136)
    return difference(found.curve[0], expected[0])


def pointing_game(s):
    import quantus

    misses = 0
    attribution = s.explain("grad-cam").map[None, None]
    for side in (20, 112):
        mask = np.zeros((1, 1, 224, 224), bool)
        mask[..., :side, :side] = True
        for where in (mask, ~mask):
            expected = quantus.PointingGame(disable_warnings=True, normalise=False)(
                model=s.network, x_batch=s.x, y_batch=np.array([s.target]), a_batch=attribution, s_batch=where, device="cpu")
            found = s.ours.measure(
                s.x, attribution[0], "pointing-game", [s.target], tolerance=0, draws={"mask": where[0].astype(np.uint8)})
            misses += bool(expected[0]) != bool(np.ravel(found.value)[0])
    return float(misses)


CASES = {
    "occlusion": ("captum", occlusion), "layer-deep-lift": ("captum", layer_deep_lift), "lime": ("captum", lime),
    "kernel-shap": ("captum", kernel_shap), "score-cam": ("pytorch-grad-cam", score_cam),
    "ablation-cam": ("pytorch-grad-cam", ablation_cam), "infidelity": ("captum", infidelity),
    "sensitivity": ("captum", sensitivity), "pixel-flipping": ("Quantus", pixel_flipping),
    "pointing-game": ("Quantus", pointing_game),
}


def main():
    import limpid
    from onnx2torch import convert

    warnings.filterwarnings("ignore")
    path = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "photos" / "efficientnet-lite0.onnx"
    network = convert(onnx.load(path)).eval()
    subjects = [Subject(limpid.Model(path), network, name) for name in PHOTOGRAPHS]
    lines = [
        "# Methods and metrics beside their judges", "",
        "EfficientNet-Lite0 (trained) on three photographs, the predicted class: the largest difference from what the other",
        "program computes there and then, relative to its largest value; of the pointing game, how many of four verdicts differ.",
        "Limpid with the `compat` of that program where it has one. The other program runs the same file through onnx2torch.",
        "Made by `scripts/conformance judges`.", "",
        "| method, metric | judge | " + " | ".join(PHOTOGRAPHS) + " |", "|---" * (len(PHOTOGRAPHS) + 2) + "|"]
    failed = False
    for name, (judge, compare) in CASES.items():
        found = [compare(subject) for subject in subjects]
        failed |= max(found) > BOUND
        lines.append(f"| {name} | {judge} | " + " | ".join(f"{value:.1e}" for value in found) + " |")
        print(lines[-1], flush=True)
    TABLE.write_text("\n".join(lines) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
