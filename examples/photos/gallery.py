"""Draws the gallery: every explanation method on the same photographs, and docs/gallery.md; and the README's pictures.

    .venv/bin/python examples/photos/gallery.py [METHOD…]     after `make python`

Named methods are drawn anew, else all.

The classifier is that of examples/photos/model. Methods that the library has not are left out; pictures of methods that
are not named stay as they are.
"""

import functools
import subprocess
import sys
from pathlib import Path

import limpid
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
SIZE = 150

#: What is explained: a photograph, a class (-1: the predicted one), and what stands above the column.
COLUMNS = [
    ("cat", -1, "Egyptian cat"), ("coffee", -1, "espresso"), ("rocket", -1, "missile"),
    ("astronaut", -1, "football helmet"), ("astronaut", "space shuttle", "space shuttle"),
]

HEAT = {"colormap": "turbo", "opacity": 0.5}
SIGNED = {"colormap": "bwr", "opacity": 0.85}
DARK = {"colormap": "magma", "opacity": 0.85}

#: method: (page, how it is drawn, parameters where not the defaults, how to read it)
METHODS = {
    "grad-cam": (
        "grad-cam", HEAT, {},
        "Red is where the last layer speaks for the class. Coarse, sure and fast: begin here."),
    "grad-cam++": (
        "grad-cam", HEAT, {},
        "As Grad-CAM, but only gradients above 0 count, so several places are covered, and places that other "
        "classes share (the helmet, for the space shuttle)."),
    "xgrad-cam": (
        "grad-cam", HEAT, {},
        "As Grad-CAM; where a network ends in pooling and one linear layer, the same."),
    "hires-cam": (
        "grad-cam", HEAT, {},
        "Only what the score is truly made of; where a network ends in pooling and one linear layer, Grad-"
        "CAM."),
    "layer-cam": (
        "grad-cam", HEAT, {},
        "As Grad-CAM++ at the last layer, and sharp at earlier ones (second row)."),
    "grad-cam-elementwise": (
        "grad-cam", HEAT, {},
        "What speaks for the class in any channel, nothing subtracted: covers more."),
    "cam": (
        "grad-cam", HEAT, {},
        "The class's own weights: evidence for it, and (blue) against it."),
    "finer-cam": (
        "grad-cam", HEAT, {},
        "What tells the class from those most alike: of a cat, what other cats have not."),
    "eigen-cam": (
        "grad-cam", HEAT, {},
        "What stands out in the layer, whatever the class: both of the last columns are the same."),
    "eigen-grad-cam": (
        "grad-cam", HEAT, {},
        "The same of gradients times activations: clean, and of the class."),
    "activation-map": (
        "grad-cam", HEAT, {},
        "Where the layer is active at all, whatever the class."),
    "smooth-grad-cam++": (
        "grad-cam", HEAT, {},
        "Grad-CAM++ of noisy copies: the same with less chance in it."),
    "full-grad": (
        "gradients", HEAT, {},
        "All layers' parts in the score, by size: fine and smooth, evidence for and against alike."),
    "saliency": (
        "gradients", DARK, {},
        "Bright pixels change the score most; look for where they crowd."),
    "input-x-gradient": (
        "gradients", SIGNED, {},
        "Red pixels speak for the class, blue ones against it; crowds of both mark what the score hangs on."),
    "integrated-gradients": (
        "gradients", SIGNED, {},
        "The same, adding up to the score's difference to a grey image."),
    "smooth-grad": (
        "gradients", SIGNED, {},
        "Gradients that noisy copies agree upon."),
    "guided-backprop": (
        "gradients", SIGNED, {},
        "Edges that excite the network. They hardly depend on the class: no proof of anything."),
    "deconvolution": (
        "gradients", SIGNED, {},
        "The same, without regard to what was active: of a network with strides, like this one, mostly their "
        "grid."),
    "layer-deep-lift": (
        "layer-deep-lift", HEAT, {},
        "What the layer adds to the score against a grey image."),
    "recipro-cam": (
        "recipro-cam", HEAT, {},
        "Red is where the layer alone, everything else hidden, suffices for the class. No gradients."),
    "ablation-cam": (
        "ablation-cam", HEAT, {},
        "Feature maps weighed by what the score loses without them."),
    "score-cam": (
        "score-cam", HEAT, {"channels": 128},
        "Feature maps weighed by what the model says to what they show of the image."),
    "ss-cam": (
        "ss-cam", HEAT, {"channels": 32, "samples": 8},
        "Score-CAM with noisy masks; of so few channels it is rough."),
    "is-cam": (
        "is-cam", HEAT, {"channels": 64, "samples": 4},
        "Score-CAM while the masked image fades in."),
    "rise": (
        "rise", HEAT, {"masks": 2000},
        "Red pixels raise the score when they are visible. Sees the model from outside only; grainy with few "
        "masks."),
    "aise": (
        "aise", HEAT, {},
        "Red where a soft window keeps what the class needs; an optimizer looks for its place. Smooth, of few runs."),
    "occlusion": (
        "occlusion", SIGNED, {},
        "Red is what the score misses when it is covered; blue is what disturbs it."),
    "lime": (
        "lime", SIGNED, {"samples": 500},
        "Superpixels by what they add to the score in a linear model of it: red for the class, blue against it."),
    "kernel-shap": (
        "kernel-shap", SIGNED, {"samples": 500},
        "Superpixels by their share in the score, which the shares add up to."),
    "iba": (
        "iba", HEAT, {},
        "Information that the class needs: what is not red may be drowned in noise."),
    "i-gos": (
        "i-gos", HEAT, {},
        "The smallest area that takes the class away when it is blurred."),
    "extremal-perturbation": (
        "extremal-perturbation", HEAT, {"iterations": 100},
        "The area of a given size that keeps the class best."),
}

LAYERS = ["_blocks.5._bn0.relu6", "_blocks.8._bn1.relu6", "_bn1.relu6"]

INTRO = """# Gallery

Every method on the same photographs: what EfficientNet-Lite0, trained on ImageNet, says to them, and why. The first
four columns explain the class that the model predicts; the last one asks the fourth photograph for a *space shuttle*,
which stands behind the astronaut, and which a map of that class should find. Squares are what the model saw.

Made by `.venv/bin/python examples/photos/gallery.py` (after `make python`; weights and photographs:
[examples/photos](../examples/photos/README.md)). [How to choose a method](methods/README.md). Attention of transformers is shown
[on one of those](methods/attention.md).

| method | how to read it |
|---|---|
"""


def strip(model, method, style, parameters, layers=None):
    """The maps of a method side by side, each cut to what the model saw."""
    row = Image.new("RGB", (SIZE * len(COLUMNS), SIZE), "white")
    for i, (name, wanted, _) in enumerate(COLUMNS):
        chosen = {"layer": layers} if layers else {"draws": usual(model)} if method == "iba" else {}
        (why,) = model.explain(HERE / f"{name}.jpg", method, classes=[wanted], **chosen, **parameters)
        row.paste(seen(why.overlay(**style), why.field), (i * SIZE, 0))
    return row


@functools.cache
def usual(model):
    """What is usual for the layer. It should be estimated of some hundred images; here of parts of the photographs."""
    photographs = [np.asarray(Image.open(HERE / f"{name}.jpg").convert("RGB")) for name in ("cat", "coffee", "rocket", "astronaut")]
    parts = [part[y:y + 224, x:x + 224] for part in photographs for y in (0, 32, 64, 96) for x in (0, 32, 64, 96)]
    return model.estimate(np.stack(parts))


def seen(picture, field, size=SIZE):
    """What the model saw of a picture."""
    x, y, width, height = field
    return picture.crop((round(x), round(y), round(x + width), round(y + height))).resize((size, size), Image.LANCZOS)


def front(model):
    """The pictures at the top of the README."""
    path = HERE / "astronaut.jpg"
    found = model.explain(path, "grad-cam", classes=[-1, "space shuttle"])
    photograph = Image.open(path).convert("RGB")
    pictures = {
        "photograph": photograph, "why-helmet": found[0].overlay(**HEAT), "why-shuttle": found[1].overlay(**HEAT)}
    for name, picture in pictures.items():
        seen(picture, found[0].field, 280).save(DOCS / "pictures" / f"{name}.jpg", quality=85, optimize=True)


def photographs(model):
    row = Image.new("RGB", (SIZE * len(COLUMNS), SIZE), "white")
    for i, (name, _, _) in enumerate(COLUMNS):
        (why,) = model.explain(HERE / f"{name}.jpg", "grad-cam")
        row.paste(seen(Image.open(HERE / f"{name}.jpg").convert("RGB"), why.field), (i * SIZE, 0))
    return row


def save(picture, name):
    (DOCS / "gallery").mkdir(exist_ok=True)
    picture.save(DOCS / "gallery" / f"{name}.jpg", quality=80, optimize=True)


def page(methods):
    names = " | ".join(name for _, _, name in COLUMNS)
    lines = [INTRO, f"| the photographs: {names.replace(' | ', ', ')} | ![photographs](gallery/photographs.jpg) |\n"]
    for method in methods:
        about, _, parameters, how = METHODS[method]
        note = "".join(f" `{name}={value}`" for name, value in parameters.items())
        lines.append(
            f"| [`{method}`](methods/{about}.md{anchor(about, method)}){note} "
            f"| ![{method}](gallery/{method}.jpg)<br>{how} |\n")
        if method == "layer-cam":
            lines.append("| `layer-cam` of three layers: early, middle, last | ![layer-cam of three layers]"
                         "(gallery/layer-cam-layers.jpg)<br>The same, mean of three layers: as sharp as it gets. |\n")
    return "".join(lines)


def anchor(about, method):
    """Of a method's section, where its page holds a family."""
    if about == method:
        return ""
    # A second heading of the same letters is numbered.
    return "#grad-cam-1" if method == "grad-cam++" else "#" + method.replace("+", "")


def main():
    path = subprocess.run([HERE / "model"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    model = limpid.Model(path)
    there = {method.name for method in model.methods}
    for name in sorted(there - set(METHODS)):
        print(f"{name}: no row in METHODS yet")
    methods = [name for name in METHODS if name in there]
    for method in sys.argv[1:] or methods:
        print(method, flush=True)
        _, style, parameters, _ = METHODS[method]
        save(strip(model, method, style, parameters), method)
        if method == "layer-cam":
            save(strip(model, method, style, parameters, LAYERS), "layer-cam-layers")
    save(photographs(model), "photographs")
    front(model)
    drawn = [name for name in methods if (DOCS / "gallery" / f"{name}.jpg").exists()]
    (DOCS / "gallery.md").write_text(page(drawn))


if __name__ == "__main__":
    main()
