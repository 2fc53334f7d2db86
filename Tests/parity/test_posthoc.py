"""Methods that explain any model, by changed images and inner values, against the numbers of the original programs
(Tests/Fixtures/posthoc, tolerances with them)."""

import itertools
import json
import math
import subprocess

import limpid
import numpy as np
import pytest
from conftest import FIXTURES, LIBRARY, ROOT

FOLDER = FIXTURES / "posthoc"
#: Those of the gradient methods, in the same folder, have a test of their own.
CASES = sorted(
    p.parent.name for p in FOLDER.glob("*/case.json") if not p.parent.name.startswith(("gradient-", "smooth-grad-")))
ALL = [list(range(10))]


@pytest.fixture(scope="module")
def load():
    """load(case) -> (what the case says, its arrays, its model)"""
    models = {}

    def run(case):
        about = json.loads((FOLDER / case / "case.json").read_text())
        if about["model"] not in models:
            models[about["model"]] = limpid.Model(FOLDER / about["model"])
        return about, dict(np.load(FOLDER / case / "expected.npz")), models[about["model"]]

    return run


def cases(method):
    return [c for c in CASES if json.loads((FOLDER / c / "case.json").read_text())["method"] == method]


def same(about, name, found, expected):
    """Within the case's own tolerance, where it has one: some arrays are moved by rounding alone."""
    found = np.stack(found) if isinstance(found, list) else found
    assert np.isfinite(found).all()
    # SCOUTER's weight of a constant channel is no number; ours is 0.
    expected = np.nan_to_num(expected)
    if name in about["tolerances"]:
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, rtol=0, atol=about["tolerances"][name], err_msg=name)


def test_there_are_cases():
    assert len(CASES) == 33


@pytest.mark.parametrize("case", cases("rise"))
def test_rise(case, load):
    about, arrays, model = load(case)
    parameters = about["parameters"]
    found = model.explain(
        arrays["input"], "rise", ALL, compat="torchray" if "num_cells" in parameters else "rise",
        keep=parameters.get("p1", 0.5), draws={"grid": arrays["grid"], "shift": arrays["shift_yx"]})
    same(about, "saliency", [e.grid for e in found], arrays["saliency"])


def test_rise_stops_where_it_knows_enough(load):
    _, arrays, model = load("rise-eclique-resrelu")
    found = [model.explain(arrays["input"], "rise", 3, masks=3000, tolerance=0.1, batch_size=b)[0] for b in (7, 64)]
    used = int(found[0].details["masks"][0])
    assert 100 < used < 3000 and used % 100 == 0
    assert 0 < found[0].details["error"][0] <= 0.1
    assert (found[0].grid == found[1].grid).all()
    np.testing.assert_array_equal(found[0].grid, model.explain(arrays["input"], "rise", 3, masks=used)[0].grid)


def test_rise_as_tame_ran_it_is_spread(load):
    about, arrays, model = load("rise-eclique-resrelu")
    draws = {"grid": arrays["grid"], "shift": arrays["shift_yx"]}
    for found, wanted in zip(model.explain(arrays["input"], "rise", ALL, compat="tame", draws=draws), arrays["saliency"]):
        np.testing.assert_allclose(found.grid, (wanted - wanted.min()) / np.ptp(wanted), atol=1e-4)


SCORE_CAM = {"authors": "author", "yiskw713": "yiskw713", "grad-cam": "pytorch_grad_cam", "torchcam": "torchcam",
             "scouter": "scouter"}


@pytest.mark.parametrize("compat", SCORE_CAM)
@pytest.mark.parametrize("case", cases("score-cam"))
def test_score_cam(case, compat, load):
    about, arrays, model = load(case)
    found = model.explain(
        arrays["input"], "score-cam", [list(arrays["classes"])], layer=about["tap"]["value"], compat=compat)
    name = SCORE_CAM[compat]
    is_grid = compat in ("torchcam", "scouter")
    same(about, name, [e.grid if is_grid else e.map for e in found], arrays[name])
    if name + "_weights" in arrays:
        same(about, name + "_weights", [e.details["weights"] for e in found], arrays[name + "_weights"])


def test_score_cam_by_itself_with_dead_channels():
    folder = FIXTURES / "cam"
    found = limpid.Model(folder / "dead-channels.onnx").explain(
        np.load(folder / "x.npy"), "score-cam", 3, layer="/r2/Relu_output_0")
    for explanation, wanted in zip(found, np.load(folder / "dead-channels-score-cam-r2.npy")):
        shown = explanation.map - explanation.map.min()
        np.testing.assert_allclose(shown / shown.max(), wanted, atol=1e-4)
        assert not explanation.degenerate


@pytest.mark.parametrize("compat", ["scouter", "torchcam"])
@pytest.mark.parametrize("case", cases("ss-cam"))
def test_ss_cam(case, compat, load):
    about, arrays, model = load(case)
    found = model.explain(
        arrays["input"], "ss-cam", [list(arrays["classes"])], layer=about["tap"]["value"], compat=compat,
        draws={"noise": arrays[compat + "_noise"]})
    same(about, compat, [e.grid for e in found], arrays[compat])


@pytest.mark.parametrize("case", cases("ss-cam"))
def test_is_cam(case, load):
    about, arrays, model = load(case)
    found = model.explain(
        arrays["input"], "is-cam", [list(arrays["classes"])], layer=about["tap"]["value"], compat="torchcam",
        samples=about["parameters"]["iscam"]["num_samples"])
    same(about, "torchcam_iscam", [e.grid for e in found], arrays["torchcam_iscam"])


@pytest.mark.parametrize("case", cases("occlusion"))
def test_occlusion(case, load):
    about, arrays, model = load(case)
    for i, setting in enumerate(about["configurations"]):
        parameters = dict(zip(("window_channels", "window_height", "window_width"), setting["window"]))
        parameters |= dict(zip(("stride_channels", "stride_y", "stride_x"), setting["strides"]))
        draws = {}
        if isinstance(setting["baseline"], str):
            draws["baseline"] = arrays[f"baseline_{i}"][0]
        else:
            parameters["value"] = setting["baseline"]
        found, = model.explain(
            arrays["input"], "occlusion", setting["target"], compat="captum", of=setting["score"], draws=draws, **parameters)
        same(about, f"attribution_{i}", found.details["attribution"], arrays[f"attribution_{i}"])
        np.testing.assert_allclose(found.grid, found.details["attribution"].sum(0), atol=1e-5)


@pytest.mark.parametrize("case", cases("ablation-cam"))
def test_ablation_cam(case, load):
    about, arrays, model = load(case)
    found = model.explain(
        arrays["input"], "ablation-cam", [list(arrays["classes"])], layer=about["tap"]["value"], compat="grad-cam",
        batch=about["parameters"]["batch_size"])
    same(about, "map", [e.map for e in found], arrays["map"])
    same(about, "weights", [e.details["weights"] for e in found], arrays["weights"])


@pytest.mark.parametrize("case", cases("recipro-cam"))
def test_recipro_cam(case, load):
    about, arrays, model = load(case)
    found = model.explain(arrays["input"], "recipro-cam", ALL, layer=about["tap"]["value"], compat="openvino")
    same(about, "saliency", [e.grid for e in found], arrays["saliency"])


@pytest.mark.parametrize("kernel", ["gaussian", "single"])
@pytest.mark.parametrize("case", cases("vit-recipro-cam"))
def test_recipro_cam_of_a_transformer(case, kernel, load):
    about, arrays, model = load(case)
    found = model.explain(arrays["input"], "recipro-cam", ALL, compat="openvino", kernel=kernel)
    same(about, kernel, [e.grid for e in found], arrays[kernel])


@pytest.mark.parametrize("case", cases("iba"))
def test_iba(case, load):
    about, arrays, model = load(case)
    parameters = about["parameters"]
    found, = model.explain(
        arrays["input"], "iba", int(arrays["target"]), layer=about["tap"]["value"], compat="iba",
        sigma=parameters["sigma"], beta=parameters["beta"], rate=parameters["lr"], min_std=parameters["min_std"],
        draws={name: arrays[name] for name in ("mean", "std", "active")} | {"noise": arrays["noise"].astype(np.float32)})
    same(about, "saliency", found.map, arrays["saliency"])
    same(about, "loss", found.details["loss"], arrays["loss"])
    same(about, "capacity_bits", found.details["capacity"], arrays["capacity_bits"])


@pytest.mark.parametrize("case", cases("iba"))
def test_statistics_of_a_layer(case, load):
    about, arrays, model = load(case)
    images = (arrays["estimate_u8"].astype(np.float32) / np.float32(255) - 0.5) / np.float32(0.25)
    for given in (images, list(images)):
        found = model.estimate(given, layer=about["tap"]["value"], batch_size=3)
        assert sorted(found) == ["active", "mean", "std"]
        for name in found:
            same(about, name, found[name], arrays[name])
    with pytest.raises(limpid.InvalidArgument, match="needs at least two images"):
        model.estimate(images[:1], layer=about["tap"]["value"])


def test_statistics_are_kept_beside_the_model(load, tmp_path):
    about, arrays, model = load(cases("iba")[0])
    path = tmp_path / "m.onnx"
    path.write_bytes((FOLDER / about["model"]).read_bytes())
    kept = limpid.Model(path)
    images = (arrays["estimate_u8"].astype(np.float32) / np.float32(255) - 0.5) / np.float32(0.25)
    layer, x = about["tap"]["value"], images[:1]
    with pytest.raises(limpid.InvalidArgument, match="limpid estimate"):
        kept.explain(x, "iba", layer=layer)
    found = kept.estimate(images, layer=layer, save=True)
    fed, = kept.explain(x, "iba", layer=layer, draws=found)
    read, = kept.explain(x, "iba", layer=layer)
    np.testing.assert_array_equal(read.map, fed.map)
    file = path.with_name("m.onnx.statistics.safetensors")
    whole = file.read_bytes()
    header = json.loads(whole[8:8 + int.from_bytes(whole[:8], "little")])
    assert sorted(header) == sorted(["__metadata__", *(f"{layer}.{part}" for part in ("mean", "std", "active"))])
    start, end = header[f"{layer}.mean"]["data_offsets"]
    numbers = whole[8 + int.from_bytes(whole[:8], "little"):]
    np.testing.assert_array_equal(np.frombuffer(numbers[start:end], "<f4"), found["mean"].ravel())
    # Half a file, a length beyond it, ranges beyond it, none of this model.
    damages = [whole[:len(whole) // 2], b"\xff" * 8 + whole[8:], whole.replace(b'[0,', b'[-4,'), b"", b"{}"]
    for damage in damages:
        file.write_bytes(damage)
        with pytest.raises(limpid.InvalidArgument, match="or is damaged|at byte"):
            kept.explain(x, "iba", layer=layer)
    # The standard deviations of fewer values than the layer has.
    begin, stop = header[f"{layer}.std"]["data_offsets"]
    short = dict(header, **{f"{layer}.std": {"dtype": "F32", "shape": [1], "data_offsets": [begin, begin + 4]}})
    text = json.dumps(short).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    assert stop > begin + 4
    with pytest.raises(limpid.InvalidArgument, match="has the shape .*1.*; for this image the layer has"):
        kept.explain(x, "iba", layer=layer)
    file.write_bytes(whole)
    with pytest.raises(limpid.InvalidArgument, match="made of another preprocessing"):
        limpid.Model(path, preprocess="scale 1/255").explain(x, "iba", layer=layer)
    with pytest.raises(limpid.InvalidArgument, match="came from memory"):
        limpid.Model(path.read_bytes()).estimate(images, layer=layer, save=True)
    elsewhere = tmp_path / "mine.safetensors"
    limpid.Model(path.read_bytes()).estimate(images, layer=layer, save=elsewhere)
    assert elsewhere.read_bytes() == whole


@pytest.mark.parametrize("case", cases("i-gos"))
def test_i_gos(case, load):
    about, arrays, model = load(case)
    parameters = about["parameters"]
    for compat in ("i-gos", "scouter"):
        found, = model.explain(
            arrays["input"], "i-gos", int(arrays["target"]), compat=compat, cells=parameters["size_init"],
            iterations=parameters["max_iterations"], integration=parameters["integ_iter"], l1=parameters["l1_coeff"],
            tv=parameters["tv_coeff"], draws={"noise": arrays["noise_bank"].astype(np.float32)})
        same(about, "mask", found.details["mask"], arrays["mask"])
        same(about, "loss_l1_tv", found.details["losses"][0], arrays["loss_l1_tv"])
        same(about, "loss_score", found.details["losses"][1], arrays["loss_score"])
    same(about, "scouter_map", found.map, arrays.get("scouter_map", found.map))


@pytest.mark.parametrize("case", cases("layer-deep-lift"))
def test_layer_deep_lift(case, load):
    about, arrays, model = load(case)
    for i, setting in enumerate(about["configurations"]):
        draws = {} if setting["baseline"] == 0 else {"baseline": arrays[setting["baseline"]][0]}
        options = {"layer": setting["tap"]["value"], "draws": draws}
        found, = model.explain(arrays["input"], "layer-deep-lift", setting["target"], compat="captum", **options)
        same(about, f"attribution_{i}", found.details["attribution"], arrays[f"attribution_{i}"])
        same(about, f"channel_mean_{i}", found.grid, arrays[f"channel_mean_{i}"])


@pytest.mark.parametrize("case", cases("layer-deep-lift"))
def test_layer_deep_lift_by_itself_adds_up(case, load):
    about, arrays, model = load(case)
    for setting in about["configurations"]:
        baseline = arrays[setting["baseline"]] if setting["baseline"] else np.zeros_like(arrays["input"])
        logits = model.fetch(np.concatenate([arrays["input"], baseline]), ["logits"])["logits"]
        found, = model.explain(
            arrays["input"], "layer-deep-lift", setting["target"], layer=setting["tap"]["value"],
            draws={"baseline": baseline[0]})
        difference = np.diff(logits[::-1, setting["target"]])[0]
        np.testing.assert_allclose(found.details["attribution"].sum(), difference, rtol=1e-4, atol=1e-4)


def extremal(run):
    return {"area": run.get("areas", [0.1]), "step": run.get("step", 7), "sigma": run.get("sigma", 21),
            "variant": run.get("variant", "preserve"), "perturbation": run.get("perturbation", "blur"),
            "contrastive": run.get("reward_func") == "contrastive", "jitter": run.get("jitter", True)}


@pytest.mark.parametrize("case", cases("extremal-perturbation"))
def test_extremal_perturbation_at_stored_states(case, load):
    about, arrays, model = load(case)
    checked = 0
    for i, run in enumerate(about["runs"]):
        for step in run["states"]:
            state = arrays[f"state_{i}_{step}_p"]
            state = state[:, 0] if step else state
            found = model.explain(
                arrays["input"], "extremal-perturbation", int(arrays["target"]), compat="torchray", iterations=1, start=step,
                draws={"state": state}, **extremal(run))
            assert len(found) == len(state)
            for name in ("energy", "gradient"):
                checked += f"state_{i}_{step}_{name}" in about["tolerances"]
                same(about, f"state_{i}_{step}_{name}", [e.details[name] for e in found],
                     arrays[f"state_{i}_{step}_{name}"])
        if f"mask_{i}_after_1" in arrays:
            found = model.explain(
                arrays["input"], "extremal-perturbation", int(arrays["target"]), compat="torchray", iterations=1,
                **extremal(run))
            same(about, f"mask_{i}_after_1", [e.map for e in found], arrays[f"mask_{i}_after_1"])
    assert checked == {"extremal-perturbation-pooled": 7, "extremal-perturbation-resrelu": 22}[case]


def test_extremal_perturbation_ends_as_high(load):
    about, arrays, model = load("extremal-perturbation-resrelu")
    run = about["runs"][0]
    found, = model.explain(
        arrays["input"], "extremal-perturbation", int(arrays["target"]), iterations=60, **extremal(run))
    energy = found.details["history"][-5:].sum(1).mean()
    original = run["final_energy_original_and_float64"][0][0]
    assert energy >= original - 0.1 * abs(original)


SEGMENTS = np.add.outer(np.arange(32) // 16 * 3, np.arange(32) // 11)


def test_kernel_shap_of_all_choices_is_exact(load):
    _, arrays, model = load("score-cam-resrelu")
    x, parts = arrays["input"], 6
    choices = np.array(list(itertools.product([0, 1], repeat=parts)), np.uint8)
    masked = (x[0] * choices[:, SEGMENTS][:, None]).astype(np.float32)
    score = dict(zip(map(tuple, choices), model.fetch(masked, ["logits"])["logits"][:, 3].astype(np.float64)))
    values = np.zeros(parts)
    for choice in score:
        for i in range(parts):
            if not choice[i]:
                more, size = choice[:i] + (1,) + choice[i + 1:], sum(choice)
                share = math.factorial(size) * math.factorial(parts - size - 1) / math.factorial(parts)
                values[i] += share * (score[more] - score[choice])
    draws = {"segments": SEGMENTS, "samples": choices}
    found, = model.explain(x, "kernel-shap", 3, weights="kernel", baseline="zero", draws=draws)
    np.testing.assert_allclose(found.details["attribution"], values, atol=1e-4)
    np.testing.assert_array_equal(found.grid, found.details["attribution"][SEGMENTS])
    drawn, = model.explain(x, "kernel-shap", 3, samples=4000, baseline="zero", draws={"segments": SEGMENTS})
    np.testing.assert_allclose(drawn.details["attribution"], values, atol=0.05 * np.abs(values).max())
    np.testing.assert_allclose(drawn.details["attribution"].sum(), values.sum(), atol=1e-4)


def test_lime_is_weighted_ridge_regression(load):
    _, arrays, model = load("score-cam-resrelu")
    x = arrays["input"]
    rows = np.random.default_rng(2).integers(0, 2, (40, 6)).astype(np.uint8)
    rows[0] = 1
    found, = model.explain(
        x, "lime", 3, ridge=0.5, kernel=0.4, baseline="zero", draws={"segments": SEGMENTS, "samples": rows})
    scores = model.classify((x[0] * rows[:, SEGMENTS][:, None]).astype(np.float32))[:, 3].astype(np.float64)
    weights = np.sqrt(np.exp(-(1 - np.sqrt(rows.mean(1))) ** 2 / 0.4**2))
    centred = rows - np.average(rows, axis=0, weights=weights)
    left = centred.T @ (weights[:, None] * centred) + 0.5 * np.eye(6)
    wanted = np.linalg.solve(left, centred.T @ (weights * (scores - np.average(scores, weights=weights))))
    np.testing.assert_allclose(found.details["attribution"], wanted, atol=1e-6)


@pytest.mark.parametrize("count", [8, 40])
def test_superpixels_are_connected_and_as_many(count, load):
    _, arrays, model = load("score-cam-resgn")
    found, = model.explain(arrays["input"], "lime", 0, samples=3, segments=count)
    labels = found.details["segments"]
    assert labels.shape == arrays["input"].shape[2:]
    assert count / 2 <= labels.max() + 1 <= count * 1.5
    for label in range(labels.max() + 1):
        left = set(map(tuple, np.argwhere(labels == label)))
        pending = [left.pop()]
        while pending:
            y, x = pending.pop()
            for place in [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]:
                if place in left:
                    left.remove(place)
                    pending.append(place)
        assert not left, label


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("layer", [None, "/layer4/a2/Relu_output_0"])
def test_sliding_window_similarity(metric, layer, load):
    _, arrays, model = load("score-cam-resrelu")
    x = arrays["input"]
    reference = x[:, :, ::-1].copy()
    found, = model.explain(
        x, "sliding-window-similarity", layer=layer, metric=metric, window_height=8, window_width=16, stride_y=8, stride_x=16,
        draws={"reference": reference[0]})
    windows = [(slice(y, y + 8), slice(z, z + 16)) for y in range(0, 32, 8) for z in range(0, 32, 16)]
    covered = np.repeat(x, len(windows), 0)
    for i, (rows, columns) in enumerate(windows):
        covered[i, :, rows, columns] = 0
    value = layer or "/Flatten_output_0"
    embeddings = model.fetch(np.concatenate([reference, x, covered]), [value])[value].astype(np.float64)
    embeddings = embeddings.reshape(len(embeddings), -1)
    if metric == "cosine":
        lengths = np.linalg.norm(embeddings, axis=1)
        alike = embeddings @ embeddings[0] / lengths / lengths[0]
    else:
        alike = -np.linalg.norm(embeddings - embeddings[0], axis=1)
    for i, (rows, columns) in enumerate(windows):
        np.testing.assert_allclose(found.details["attribution"][:, rows, columns], alike[1] - alike[2 + i], atol=1e-5)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """program(model, x, method, class, layer, parameters, draws) -> the map that a C program gets."""
    folder = tmp_path_factory.mktemp("methods")
    library = folder / "liblimpid.so.0"
    library.symlink_to(LIBRARY)
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", f"-I{ROOT}/include", "-o", folder / "methods",
                    ROOT / "Tests/parity/methods.c", library, f"-Wl,-rpath,{folder}"], check=True)

    def run(model, x, method, index, layer="", parameters={}, draws={}):
        x.tofile(folder / "x")
        words = [f"{name}={value}" for name, value in parameters.items()]
        for name, array in draws.items():
            array.tofile(folder / name)
            kind = {"uint8": 2, "int32": 6, "float32": 1}[array.dtype.name]
            words.append(f"{name}:{kind}:{','.join(map(str, array.shape))}={folder / name}")
        height, width = x.shape[2:]
        words = [folder / "methods", model, folder / "x", height, width, method, index, layer, *words]
        done = subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE)
        return np.frombuffer(done.stdout, np.float32).reshape(height, width)

    return run


def test_methods_through_c(program, load):
    about, arrays, _ = load("rise-torchray-resrelu")
    found = program(
        FOLDER / about["model"], arrays["input"], "rise", 4, parameters={"compat": "torchray"},
        draws={"grid": arrays["grid"], "shift": arrays["shift_yx"]})
    same(about, "saliency", found, arrays["saliency"][4])
    about, arrays, _ = load("score-cam-resgn")
    found = program(
        FOLDER / about["model"], arrays["input"], "score-cam", arrays["classes"][1], about["tap"]["value"],
        {"compat": "authors"})
    same(about, "author", found, arrays["author"][1])
    about, arrays, _ = load("iba-pooled")
    parameters = about["parameters"]
    found = program(
        FOLDER / about["model"], arrays["input"], "iba", arrays["target"], about["tap"]["value"],
        {"compat": "iba", "beta": parameters["beta"], "sigma": parameters["sigma"]},
        {name: arrays[name].astype(np.float32) for name in ("mean", "std", "active", "noise")})
    same(about, "saliency", found, arrays["saliency"])


# What holds for every one of them.

SMALL = {"rise": {"masks": 21}, "score-cam": {"channels": 9}, "ss-cam": {"channels": 5, "samples": 2},
         "is-cam": {"channels": 5, "samples": 2}, "ablation-cam": {}, "recipro-cam": {},
         "occlusion": {"window_height": 9, "window_width": 9},
         "sliding-window-similarity": {"window_height": 9, "window_width": 9}, "i-gos": {"cells": 5, "iterations": 2, "integration": 3},
         "extremal-perturbation": {"iterations": 2, "step": 6, "sigma": 9, "area": [0.1, 0.4]}, "layer-deep-lift": {},
         "lime": {"samples": 9, "segments": 6}, "kernel-shap": {"samples": 9, "segments": 6}}
NETWORKS = sorted(p.stem for p in FOLDER.glob("networks/*.onnx"))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", SMALL)
def test_bits_do_not_depend_on_batches_and_threads(method, network):
    model = limpid.Model(FOLDER / "networks" / f"{network}.onnx")
    shape = {"resgn": (48, 40), "pooled": (32, 40)}.get(network, (32, 32))
    images = np.random.default_rng(1).normal(size=(2, 3, *shape)).astype(np.float32)
    seen = []
    for batch_size, threads in [(0, 1), (1, 2), (3, 1), (8, 2)]:
        found = model.explain(
            images, method, [[1, 7], [3, 0]], batch_size=batch_size, threads=threads, **SMALL[method])
        seen.append(np.stack([e.grid for e in found]))
        repeats = len(found) // 4
        assert [e.class_index for e in found] == list(np.repeat([1, 7, 3, 0], repeats))
        assert [e.image_index for e in found] == list(np.repeat([0, 0, 1, 1], repeats))
    assert np.isfinite(seen[0]).all()
    assert all((grids == seen[0]).all() for grids in seen)


@pytest.mark.parametrize("method", SMALL)
def test_an_image_that_is_the_same_everywhere_gives_numbers(method, load):
    _, arrays, model = load("score-cam-resrelu")
    table = next(m for m in model.methods if m.name == method).parameters
    choices = [{"compat": word} for p in table if p.name == "compat" for word in p.choices]
    for options in choices or [{}]:
        for found in model.explain(np.zeros_like(arrays["input"]), method, [[0, 1]], **options, **SMALL[method]):
            assert np.isfinite(found.grid).all(), options


def words(seed, stream, count):
    """Philox4x32-10, as docs/random.md says."""
    index = np.arange((count + 3) // 4, dtype=np.uint64)
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    x = [index & low, index >> high, np.full_like(index, stream & 0xFFFFFFFF), np.full_like(index, stream >> 32)]
    key = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
    for _ in range(10):
        a, b = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        x = [(b >> high) ^ x[1] ^ key[0], b & low, (a >> high) ^ x[3] ^ key[1], a & low]
        key = [(key[0] + np.uint64(0x9E3779B9)) & low, (key[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(x, 1).ravel()[:count]


def normal(seed, stream, count):
    pairs = words(seed, stream, count + count % 2).reshape(-1, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((pairs[:, 0] + 1) * 2.0**-32)), 2 * np.pi * pairs[:, 1] * 2.0**-32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count].astype(np.float32)


SHARED = 1 << 32


@pytest.mark.parametrize("seed", [0, 7])
def test_draws_are_those_of_the_documented_generator(seed, load):
    about, arrays, model = load("ss-cam-resrelu")
    x = arrays["input"]
    grid = ((words(seed, SHARED, 30 * 25) >> np.uint64(8)) * 2.0**-24 < np.float32(0.3)).reshape(30, 5, 5)
    shift = (words(seed, SHARED + 1, 60) * np.uint64(7) >> np.uint64(32)).astype(np.int32).reshape(30, 2)
    drawn, = model.explain(x, "rise", 3, masks=30, cells=5, keep=0.3, seed=seed)
    fed, = model.explain(x, "rise", 3, keep=0.3, draws={"grid": grid.astype(np.uint8), "shift": shift})
    assert drawn.seed == seed
    assert (drawn.grid == fed.grid).all()
    noise = normal(seed, SHARED + 3, 2 * 48 * 32 * 32).reshape(2, 48, 32, 32) * np.float32(0.5)
    options = {"layer": about["tap"]["value"], "compat": "torchcam"}
    drawn, = model.explain(x, "ss-cam", 3, samples=2, std=0.5, seed=seed, **options)
    fed, = model.explain(x, "ss-cam", 3, draws={"noise": noise}, **options)
    np.testing.assert_allclose(drawn.grid, fed.grid, atol=1e-5)


@pytest.mark.parametrize(("method", "parameters", "draws", "words"), [
    ("rise", {}, {"grid": np.zeros((3, 4), np.uint8)}, "the draws \"grid\" are of shape [3×4], not [?×?×?]"),
    ("rise", {"masks": 2}, {"shift": np.array([[0, 99], [0, 0]])}, "the draws \"shift\" hold 99 for columns"),
    ("rise", {"baseline": "black"}, {}, "needs a model file that says how images are prepared"),
    ("occlusion", {"window_height": 3, "stride_y": 4}, {}, "is 4, above the window's 3"),
    ("ss-cam", {}, {"noise": np.zeros((1, 2, 3), np.float32)}, "the draws \"noise\" are of shape [1×2×3]"),
    ("lime", {}, {"samples": np.zeros((2, 3), np.uint8)}, "the draws \"samples\" are of shape [2×3]"),
    ("iba", {}, {}, "needs what is usual for the layer"),
    ("extremal-perturbation", {"area": "0.1,many"}, {}, "the parameter \"area\" is \"0.1,many\"; it must be a number"),
    ("extremal-perturbation", {"step": 4, "sigma": 6, "compat": "torchray"}, {}, "ends short of the image's 32×32"),
    ("extremal-perturbation", {"area": [0.1, 2]}, {}, "the parameter \"area\" is 2; it must be a number between 0 and 1"),
    ("extremal-perturbation", {"sigma": 9}, {"state": np.full((1, 5, 5), 2, np.float32)}, "not between 0 and 1"),
    ("score-cam", {"compat": "captum"}, {}, "it must be none, authors, yiskw713, grad-cam, torchcam, scouter"),
])
def test_refusals(method, parameters, draws, words, load):
    _, arrays, model = load("score-cam-resrelu")
    with pytest.raises(limpid.LimpidError) as caught:
        model.explain(arrays["input"], method, 0, draws=draws, **parameters)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "method", ["rise", "score-cam", "occlusion", "recipro-cam", "i-gos", "extremal-perturbation", "layer-deep-lift"])
def test_a_caller_can_stop(method, load):
    _, arrays, model = load("score-cam-resrelu")
    calls = []

    def stop(done, total):
        calls.append(done)
        return len(calls) <= 20

    with pytest.raises(limpid.Cancelled):
        model.explain(arrays["input"], method, 0, progress=stop)
    assert len(calls) == 21
