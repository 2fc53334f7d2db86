"""What TAME and L-CAM models read: pictures of values in 0…1, which the model normalises itself."""

from __future__ import annotations

import numpy as np

from limpid_convert import backbones, preprocessing
from limpid_convert.errors import ConversionError
from limpid_convert.layers import Feature

SIDE = 224

_STEPS = "resize shorter 256 bilinear\ncenter_crop 224 224\nscale 1/255"


def add_options(parser):
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("W", "H"), help="picture size, 224 224 by default")
    parser.add_argument("--preprocess", metavar="STEPS", help="how a picture becomes the input; steps separated by ';'")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")


def size(options):
    """(width, height) of the pictures."""
    width, height = options.input_size or (SIDE, SIDE)
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise ConversionError(f"pictures of {width}x{height} make no sense; give --input-size W H")
    return width, height


def steps(options):
    """Preprocessing: the original's at 224x224, elsewhere a plain resize, or what the user says."""
    width, height = size(options)
    if options.preprocess:
        found = preprocessing.parse(options.preprocess)
        check_size(found, height, width)
        return found.text
    return _STEPS if (width, height) == (SIDE, SIDE) else f"resize exact {width} {height} bilinear\nscale 1/255"


def check_size(found, height, width):
    """Raises if the steps make pictures that the model does not read; None stands for any extent."""
    made = (found.channels, found.height, found.width)
    for wanted, given, what in zip((3, height, width), made, ("channels", "height", "width")):
        if wanted is not None and given is not None and wanted != given:
            raise ConversionError(f"the preprocessing makes pictures of {what} {given}; the model reads {wanted}")


def declare(layers, options):
    """The input [N, 3, H, W] as it comes, and normalised: first less the mean, then divided, as the original does."""
    width, height = size(options)
    image = Feature(layers.builder.input("input", ["N", 3, height, width]), 3, height, width)
    statistics = (preprocessing.IMAGENET_MEAN, preprocessing.IMAGENET_STD)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in statistics)
    value = layers.node("Sub", "input.centred", [image.name, layers.constant("input.mean", mean)])
    value = layers.node("Div", "input.normalised", [value, layers.constant("input.std", std)])
    return image, layers.same(image, value)


def backbone(layers, options, tokens=False):
    """(the input as it comes, the module of the architecture, its taps) of a classifier with torchvision's names."""
    image, picture = declare(layers, options)
    module = backbones.select(options.architecture, layers.state, tokens)
    taps = module.build(layers, picture, options.architecture)
    if min(taps.final.height, taps.final.width) < 1:
        raise ConversionError(f"pictures of {picture.width}x{picture.height} are too small for this network")
    return image, module, taps
