"""LaViSE's fixture cases: their inputs, and the numbers of the original programs."""

import json
import os
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "lavise"
SMALL = ["alexnet-features-gap", "resnet18-layer4"]
#: With a head on flattened maps, 361 MB, as the reproduction builds it: only where LIMPID_HEAVY_TESTS is set.
CASES = SMALL + ["alexnet-features"] * bool(os.environ.get("LIMPID_HEAVY_TESTS"))

#: Similarities that are nearer to each other than this may change places.
TIE = 1e-6


def load(name):
    """(case, arrays)"""
    return json.loads((FOLDER / name / "case.json").read_text()), dict(np.load(FOLDER / name / "expected.npz"))


def pictures(arrays):
    """float32 [images, 3, 224, 224], as the networks read them."""
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = arrays["images_tiles_u8"].repeat(8, axis=2).repeat(8, axis=3)
    return (pixels.astype(np.float32) / np.float32(255) - mean) / std


def ranking(embedding, vectors, count):
    """(indices, similarities) of the nearest words, in double precision."""
    vectors = vectors.astype(np.float64)
    similar = vectors @ embedding / np.linalg.norm(embedding) / np.linalg.norm(vectors, axis=1)
    order = np.argsort(-similar, kind="stable")[:count]
    return order, similar[order]


def check_ranking(found, expected, similarities):
    """Words in the expected order, but for those that are as similar as their neighbour."""
    for rank in np.flatnonzero(np.asarray(found) != np.asarray(expected)):
        other = list(expected).index(found[rank])
        assert abs(similarities[rank] - similarities[other]) < TIE, (rank, found, expected)
