"""What users write, for mypy --strict and pyright; nothing here is run."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

import limpid


def explain(path: Path, photographs: List[str]) -> Dict[str, float]:
    with limpid.Model(path, threads=1, preprocess="imagenet") as model:
        probabilities = model.classify(photographs)
        best: int = int(probabilities[0].argmax())
        (why,) = model.explain(photographs[0], "grad-cam", classes=[best], layer=["layer3", "layer4"], sign=-1)
        why.overlay(colormap="turbo", opacity=0.4)
        why.save(path.with_suffix(".png"), colormap="magma", size=(300, 200))
        why.save("why.jpg", quality=90)
        found = model.measure(photographs[0], why, "deletion", step=224)
        return {why.label or str(why.class_index): why.score, "deletion": found.mean}


def images(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.jpg")


def many(model: limpid.Model, folder: Path) -> Iterator[Tuple[int, npt.NDArray[np.float32]]]:
    rows = model.classify(images(folder), progress=lambda done, total: done < 100)
    for why in model.explain(images(folder), classes=range(3), batch_size=4):
        yield why.image_index, why.map * rows[why.image_index, why.class_index]


def page(model: limpid.Model, path: Path) -> None:
    model.report(model.explain(path) + model.explain(path, "rise"), path.with_suffix(".html"), names=path)


def tensors(model: limpid.Model, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    gradient = model.gradient(x, ["cat"], wrt="input")
    several = model.gradient(x, ["cat"], wrt=["input", "layer4"])
    values = model.run({"input": x}, "logits", progress=None)
    shape: Optional[Tuple[object, ...]] = model.inputs[0].shape
    assert shape is not None and model.inputs[0].dtype == np.float32 and values["logits"].ndim == 2
    return gradient + several["input"]


def kept(why: limpid.Explanation) -> limpid.Explanation:
    try:
        copy = pickle.loads(pickle.dumps(why))
        assert isinstance(copy, limpid.Explanation)
        return copy
    except limpid.LimpidError as error:
        logging.getLogger("limpid").error("%s", error)
        raise


def judged(model: limpid.Model, folder: Path) -> float:
    found = limpid.evaluate(model, folder, ["grad-cam", "rise"], ["deletion"], report=folder / "out", limit=10)
    found.write(folder / "again")
    model.report(model.explain(folder / "a.png"), folder / "why.html", names="a.png")
    return float(found.table()[0]["mean"])


names: List[str] = [method.name for method in limpid.Model("m.onnx").methods if method.draws_numbers]
defaults = {parameter.name: parameter.default for metric in limpid.metrics() for parameter in metric.parameters}
limpid.set_log_handler(lambda level, message: print(level, message), logging.INFO)
