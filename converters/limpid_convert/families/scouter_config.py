"""How a SCOUTER network was configured: from the run's arguments, the tensors, the file's name, or options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Optional

from limpid_convert import metadata, preprocessing
from limpid_convert.errors import ConversionError

SIDE = 260


@dataclass(frozen=True)
class Dataset:
    """Normalisation of a data set, and the class names where they go without saying."""

    mean: tuple
    std: tuple
    labels: Optional[list] = None


_IMAGENET = Dataset(preprocessing.IMAGENET_MEAN, preprocessing.IMAGENET_STD)
DATASETS = {
    "mnist": Dataset((0.1307,), (0.3081,), [str(digit) for digit in range(10)]),
    "imagenet": _IMAGENET,
    "context": _IMAGENET,
    "cub200": _IMAGENET,
    # No possible statistics of pictures in 0…1, but what the reproduction trained and evaluated with.
    "acrima": Dataset((1.0397, -0.3581, -1.3642), (0.7927, 0.7121, 0.3838), ["normal", "glaucoma"]),
}


@dataclass(frozen=True)
class Config:
    """slots: per class, 0 for the FC baseline. sign: factor of the logits. input_size: width, height."""

    architecture: Optional[str]
    classes: int
    slots: int
    sign: int
    channels: int
    input_size: tuple
    mean: tuple
    std: tuple
    labels: Optional[list]
    power: Optional[int]
    area_weight: Optional[float]

    def preprocess(self):
        size = ("exact", *self.input_size)
        return preprocessing.steps(size, self.mean, self.std, gray=self.channels == 1, float64=True)

    def summary(self):
        width, height = self.input_size
        head = f"slots per class {self.slots}, sign {self.sign:+d}" if self.slots else "FC baseline, no slots"
        return f"{self.classes} classes, {head}, pictures {width}x{height}, {'gray' if self.channels == 1 else 'RGB'}"


def configure(options, args, state):
    """The Config. An error names the option that would supply what is not known.

    options: the command's. args: the training run's, by name, may be empty. state: the whole network's State.
    """
    labels = metadata.read_labels(options.labels) if options.labels else None
    slotted = _flag(args.get("use_slot"), "slot.initial_slots" in state)
    dataset = _dataset(options, args)
    sizes = _class_sizes(options, args, state, labels) if slotted else (_fc_classes(options, state), 0)
    mean, std = _normalisation(options, dataset)
    channels = _channels(state)
    if not len(mean) == len(std) == channels:
        raise ConversionError(f"the network reads {channels} channels; mean has {len(mean)} values and std {len(std)} "
                              "(give --mean and --std, or the right --dataset)")
    known = DATASETS[dataset].labels if dataset else None
    if labels is None and known and len(known) == sizes[0]:
        labels = known
    if labels and len(labels) != sizes[0]:
        raise ConversionError(f"{options.labels}: {len(labels)} names for a model of {sizes[0]} classes")
    return Config(
        architecture=_agreed("architecture", options.architecture, _text(args.get("model"))),
        classes=sizes[0], slots=sizes[1], sign=_sign(options, args) if slotted else 1, channels=channels,
        input_size=_input_size(options, args), mean=mean, std=std, labels=labels,
        power=_integer(args.get("power")), area_weight=_number(args.get("lambda_value")),
    )


def _class_sizes(options, args, state, labels):
    """(classes, slots per class): their product is the number of slots, which only the tensors tell."""
    total = state.size("slot.initial_slots", 1, 3)
    classes = _agreed("classes", options.classes, _integer(args.get("num_classes")))
    classes = classes or (len(labels) if labels else None)
    slots = _agreed("slots", options.slots, _integer(args.get("slots_per_class")))
    if total is None:  # a missing tensor, which building will report; these sizes only let it go on
        return classes or 1, slots or 1
    if classes is None and slots is None:
        raise ConversionError(f"the checkpoint has {total} slots and does not say for how many classes; "
                              "give --classes, --labels or --slots")
    classes = classes or (total // slots if slots > 0 else 0)
    slots = slots or (total // classes if classes > 0 else 0)
    if classes < 1 or slots < 1 or classes * slots != total:
        raise ConversionError(f"the checkpoint has {total} slots, which is not {classes} classes with {slots} each; "
                              "check --classes, --labels and --slots")
    return classes, slots


def _fc_classes(options, state):
    return _agreed("classes", options.classes, state.size("backbone.fc.weight", 0, 2)) or 1


def _channels(state):
    for name in ("backbone.conv1.weight", "backbone.conv1.0.weight"):
        if name in state:
            return state.size(name, 1, 4) or 3
    return 3


def _sign(options, args):
    """The factor of the logits, in the original any integer: +1 for "why", -1 for "why not"."""
    chosen = {"positive": 1, "negative": -1, None: None}[options.sign]
    sign = _agreed("sign", chosen, _integer(args.get("loss_status")))
    name = os.path.basename(options.checkpoint)
    if sign is None and "use_slot_" in name:
        sign = -1 if "use_slot_negative_" in name else 1
    if not sign:
        raise ConversionError("the checkpoint does not say whether its maps are positive or negative; "
                              "give --sign positive or --sign negative")
    return sign


def _dataset(options, args):
    """A key of DATASETS or None. The file's name begins with the data set's in the original program."""
    stored = _text(args.get("dataset"))
    if stored is None:
        match = re.match(r"([A-Za-z0-9]+)_(use|no)_slot_", os.path.basename(options.checkpoint))
        stored = match and match.group(1)
    stored = stored.lower() if stored and stored.lower() in DATASETS else None
    return _agreed("dataset", options.dataset, stored)


def _normalisation(options, dataset):
    if options.mean and options.std:
        if min(options.std) <= 0:
            raise ConversionError("--std must be positive")
        return tuple(options.mean), tuple(options.std)
    if options.mean or options.std:
        raise ConversionError("--mean and --std belong together")
    if dataset is None:
        raise ConversionError("the checkpoint does not say how its pictures were normalised; "
                              "give --dataset, or --mean and --std")
    return DATASETS[dataset].mean, DATASETS[dataset].std


def _input_size(options, args):
    """--input-size wins: the position code is made for whatever size is asked for."""
    side = _integer(args.get("img_size")) or SIDE
    width, height = options.input_size or (side, side)
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise ConversionError(f"pictures of {width}x{height} make no sense; give --input-size W H")
    return width, height


def _agreed(option, given, stored):
    """What the checkpoint says, else the option; an error where they contradict each other."""
    if given is not None and stored is not None and given != stored:
        raise ConversionError(f"--{option} {given} contradicts the checkpoint, which says {stored}")
    return stored if stored is not None else given


def _integer(value):
    """An argument as an integer; the original keeps some as text. None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
        return int(value)
    return value if type(value) is int and abs(value) < 10**9 else None


def _number(value):
    return value if type(value) in (int, float) else None


def _text(value):
    return value if isinstance(value, str) and value else None


def _flag(value, default):
    """The original parses "true" and "false" itself; a stored bool or text."""
    if isinstance(value, str):
        return value.lower() in ("true", "1", "yes")
    return bool(value) if isinstance(value, (bool, int)) else default
