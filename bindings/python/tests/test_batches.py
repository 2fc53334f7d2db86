"""An image's maps and values are those that it has alone: the same bits, with draws of a seed too."""

import numpy as np
import pytest
from networks import Network

import limpid

SMALL = {"masks": 12, "samples": 3, "steps": 4, "iterations": 3, "cells": 4, "copies": 2, "levels": 4, "window_height": 4,
         "window_width": 4, "stride_y": 3, "stride_x": 3, "integration": 3}
IMAGES = np.random.default_rng(2).normal(size=(3, 3, 16, 12)).astype(np.float32)


@pytest.fixture(scope="module", params=["N", 4])
def network(request, tmp_path_factory):
    """Two convolutions and a pool; of batches of any size, and of four images."""
    made = Network(3)
    pooled = made("MaxPool", made.features("x", 3), kernel_shape=[2, 2], strides=[2, 2])
    y = made.logits(pooled, 6)
    path = tmp_path_factory.mktemp("batches") / "m.onnx"
    made.save(path, {"x": ("float32", [request.param, 3, 16, 12])}, {y: ("float32", [request.param, 5])})
    return limpid.Model(path)


def test_maps_of_every_method(network):
    count = 0
    for method in network.methods:
        if method.name == "iba":  # needs what is usual for a layer
            continue
        options = {p.name: SMALL[p.name] for p in method.parameters if p.name in SMALL}
        if method.name == "aise":
            options.pop("masks", None)
        if method.draws_numbers:
            options["seed"] = 3
        together = network.explain(IMAGES, method.name, **options)
        alone = [why for i in range(3) for why in network.explain(IMAGES[i:i + 1], method.name, **options)]
        assert len(together) == len(alone)
        for a, b in zip(together, alone):
            assert a.score == b.score and a.map.tobytes() == b.map.tobytes(), method.name
            count += 1
    assert count > 80


@pytest.mark.parametrize("metric, options", [
    ("infidelity", {"seed": 5}), ("sensitivity", {"seed": 5, "explain": {"method": "grad-cam"}}), ("deletion", {"step": 32}),
])
def test_values_of_metrics(network, metric, options):
    maps = None if metric == "sensitivity" else np.random.default_rng(4).normal(size=(3, 16, 12)).astype(np.float32)
    together = network.measure(IMAGES, maps, metric, classes=[[0], [1], [2]], **options)
    for i in range(3):
        part = None if maps is None else maps[i:i + 1]
        alone = network.measure(IMAGES[i:i + 1], part, metric, classes=i, **options)
        assert alone.value[0] == together.value[i]
