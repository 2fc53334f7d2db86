"""A small model, a picture for it, what ONNX's evaluator and Pillow make of them, and a way to run the command."""

import json
import os
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

PROGRAM = os.environ.get("LIMPID_CLI") or pathlib.Path(__file__).resolve().parents[2] / ".build/release/limpid-cli"
LABELS = ["tench, Tinca tinca", "cat/dog", "crane", "crane", 'Übung "x"\t2']
SIDE = 16


def run(*words, folder):
    return subprocess.run(
        [PROGRAM, *map(str, words)], cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120)


def build_model(metadata):
    """Maps of five classes, each summed up to a score; the map of the last class is constant."""
    random = np.random.default_rng(7)
    features = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    classes = random.standard_normal((5, 4, 1, 1)).astype(np.float32)
    classes[4] = 0
    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["conv"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["block/relu"]),
        helper.make_node("Conv", ["block/relu", "w2"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["attention"]),
        helper.make_node("ReduceMean", ["attention"], ["logits"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "maps",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["N", 5, SIDE // 2, SIDE // 2]),
        ],
        [numpy_helper.from_array(features, "w1"), numpy_helper.from_array(classes, "w2")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model


class Case:
    """A folder with model.onnx, bare.onnx (no metadata), wide.png, and the numbers that are expected of them."""

    def __init__(self, folder):
        self.folder = folder
        model = build_model({
            "limpid.format": "1", "limpid.family": "scouter", "limpid.labels": "\n".join(LABELS),
            "limpid.preprocess": f"resize shorter {SIDE} bilinear\ncenter_crop {SIDE} {SIDE}\nscale 1/255",
            "limpid.output.logits": "logits", "limpid.output.attention": "attention",
            "limpid.explain.scouter.output": "attention", "limpid.explain.scouter.slots_per_class": "1",
            "limpid.layers": "block/relu nchw", "note": 'a "quoted" line\nand another',
        })
        onnx.save(model, folder / "model.onnx")
        onnx.save(build_model({}), folder / "bare.onnx")
        pixels = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
        self.picture = Image.fromarray(pixels)
        self.picture.save(folder / "wide.png")
        seen = self.picture.resize((2 * SIDE, SIDE), Image.BILINEAR).crop((SIDE // 2, 0, SIDE // 2 + SIDE, SIDE))
        planes = (np.asarray(seen, np.float32) / 255).transpose(2, 0, 1)[None]
        logits, attention = ReferenceEvaluator(model).run(None, {"input": planes})
        self.logits, self.attention = logits[0], attention[0]
        powers = np.exp(self.logits.astype(np.float64) - self.logits.max())
        self.probabilities = powers / powers.sum()

    def run(self, *words):
        return run(*words, folder=self.folder)

    def json(self, *words):
        result = self.run(*words, "--json")
        assert result.returncode == 0, result.stderr
        assert all(line.endswith(" was there and is replaced") for line in result.stderr.splitlines()), result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)
