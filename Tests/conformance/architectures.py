"""The architectures of image classifiers that people export, as random PyTorch models with natural activations."""

import warnings

import torch

# Where pip offers a CPU-only torch, torchvision's compiled operators do not load beside it. Classifiers need none of
# them, so that it is enough to declare the two that it describes while it is imported.
_stub = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    try:
        _stub.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:  # a torchvision that loads its own
        pass
import timm  # noqa: E402
import torchvision  # noqa: E402

# name -> side of the square input: the least that keeps every branch of the architecture at work.
TORCHVISION = {
    "alexnet": 224, "vgg11_bn": 224, "vgg16": 224, "resnet18": 64, "resnet50": 64, "resnext50_32x4d": 64,
    "wide_resnet50_2": 64, "densenet121": 64, "squeezenet1_1": 64, "googlenet": 64, "inception_v3": 96,
    "mobilenet_v2": 64, "mobilenet_v3_small": 64, "mobilenet_v3_large": 64, "efficientnet_b0": 64,
    "efficientnet_v2_s": 64, "regnet_y_400mf": 64, "regnet_x_400mf": 64, "mnasnet1_0": 64,
    "shufflenet_v2_x1_0": 64, "convnext_tiny": 64, "vit_b_16": 64, "swin_t": 64, "swin_v2_t": 64, "maxvit_t": 224,
}
TIMM = {
    "convnext_atto": 64, "convnextv2_atto": 64, "resnest14d": 64, "resnest26d": 64, "seresnet50": 64,
    "deit_tiny_patch16_224": 64, "vit_tiny_patch16_224": 64, "swin_tiny_patch4_window7_224": 224,
    "coatnet_nano_rw_224": 224, "maxvit_tiny_tf_224": 224, "convmixer_768_32": 64, "mixer_s16_224": 224,
    "efficientnet_b0": 64, "mobilenetv3_small_050": 64, "tf_efficientnet_b0": 64, "regnety_002": 64,
    "repvgg_a0": 64, "ghostnet_050": 64, "mobilevit_xxs": 64, "poolformer_s12": 64, "xcit_nano_12_p16_224": 64,
    "levit_128s": 224, "edgenext_xx_small": 64, "coat_tiny": 224, "nfnet_l0": 64, "eca_resnet33ts": 64,
    "hrnet_w18_small": 64, "dla34": 64, "efficientformerv2_s0": 224, "beit_base_patch16_224": 224,
}
SIDES = {f"torchvision/{name}": side for name, side in TORCHVISION.items()} | {
    f"timm/{name}": side for name, side in TIMM.items()}


def create(name, side=None):
    """The model and the side of its input: the least, where none is given. All weights are random, the statistics of
    normalisations those of noise."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    library, architecture = name.split("/")
    side = side or SIDES[name]
    if library == "torchvision":
        extra = {"image_size": side} if architecture.startswith("vit") else {}
        if architecture in ("googlenet", "inception_v3"):
            extra = {"init_weights": True, "aux_logits": False}
        model = getattr(torchvision.models, architecture)(weights=None, **extra)
    else:
        extra = {"img_size": side} if architecture.startswith(("deit", "vit")) else {}
        model = timm.create_model(architecture, pretrained=False, **extra)
        if architecture.startswith("beit"):
            # PyTorch 2.13's dynamo exporter fails to decompose its fused attention ("Cannot view a tensor ...").
            for module in model.modules():
                if hasattr(module, "fused_attn"):
                    module.fused_attn = False
    enliven(model)
    calibrate(model, side)
    return model.eval(), side


def enliven(model):
    """Draws the weights that architectures begin with a constant, or with next to nothing.

    Layer scales of 1e-6, gains and heads of zero would hide from the logits whatever is behind them, and of a
    constant no one can tell in which order it is read."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            first = weight.flatten()[0].item()
            is_constant = (weight == first).all() and weight.numel() > 1
            is_visible = weight.abs().max() > 1e-3
            if is_visible and not is_constant:
                continue
            if is_visible:
                weight.mul_(torch.empty_like(weight).uniform_(0.8, 1.2))
            elif "bias" in name or sum(extent > 1 for extent in weight.shape) > 1:
                weight.normal_(0, 0.1)
            else:
                weight.uniform_(0.2, 0.5)


def calibrate(model, side):
    """Brings the running statistics of all normalisations to what the model sees, so that signals neither die out nor
    overflow on their way through random weights."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
            module.momentum = None  # a plain average
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(4, 3, side, side))
