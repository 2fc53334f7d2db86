"""Metrics of explanations against the numbers of the original programs, through Python: every case of
Tests/Fixtures/metrics, at the tolerances that it comes with. bindings/c/tests has C's door."""

import json

import limpid
import numpy as np
import pytest
from conftest import FIXTURES
from metric_cases import linear, probabilities, toy

CASES = FIXTURES / "metrics"
NETWORKS = FIXTURES / "posthoc" / "networks"


def case(name):
    folder = CASES / name
    return json.loads((folder / "case.json").read_text()), np.load(folder / "expected.npz")


def near(found, expected, tolerance):
    np.testing.assert_allclose(np.reshape(found, np.shape(expected)), expected, rtol=0, atol=tolerance)


def network(name):
    return limpid.Model(NETWORKS / f"{name}.onnx")


def test_every_case_is_tested():
    assert len(list(CASES.glob("*/case.json"))) == 19 and (CASES / "tame" / "ad_ic.json").exists()


# -- Insertion, deletion, pixel flipping


@pytest.mark.parametrize("net", ["resrelu", "resgn"])
@pytest.mark.parametrize("metric, key", [("insertion", "ins"), ("deletion", "del")])
def test_insertion_and_deletion_are_rises(net, metric, key):
    about, z = case(f"insertion-deletion-rise-{net}")
    tolerances = about["tolerances"]
    with network(net) as model:
        for maps, which in [("explanation", ""), ("explanation_ties", "_ties_stable")]:
            found = model.measure(z["input"], z[maps], metric, compat="rise", step=about["parameters"]["step"])
            near(found.curve, z[f"{key}{which}_scores"], tolerances[f"{key}{which}_scores"])
            near(found.value, z[f"{key}{which}_auc"], tolerances[f"{key}{which}_auc"])
        mean = model.measure(z["input"], z["explanation"], metric, step=about["parameters"]["step"]).mean
        near(mean, z[f"{key}_auc_of_mean"][0], tolerances[f"{key}_auc_of_mean"])
        alone = model.measure(z["input"], z[maps], metric, step=about["parameters"]["step"], batch_size=5)
        again = model.measure(z["input"], z[maps], metric, step=about["parameters"]["step"], batch_size=1, threads=1)
    assert (alone.curve == again.curve).all()
    assert again.parameters["kernel"] == 11 and again.parameters["order"] == "stable-last"


@pytest.mark.parametrize("metric, key", [("insertion", "ins"), ("deletion", "del")])
def test_insertion_and_deletion_are_ca_streams(metric, key):
    _, z = case("castream-causal-toy")
    with limpid.Model(linear(z["W"], [3, 16, 16], z["b"])) as model:
        for step in (0, 50):
            found = model.measure(
                z["images"], z["saliency"], metric, classes=z["labels"], compat="ca-stream", step=step)
            near(found.curve.T, z[f"scores_{key}_step{step or 128}"], 1e-5)
            near(found.mean, z[f"auc_{key}_step{step or 128}"], 1e-5)
    _, z = case("castream-causal-ties")
    with limpid.Model(linear(z["W"], [3, 32, 32])) as model:
        found = model.measure(z["images"], z["saliency"], metric, classes=z["labels"], compat="ca-stream")
        near(found.curve.T, z[f"scores_{key}_stable"], 1e-5)


@pytest.mark.parametrize("metric, key", [("insertion", "ins"), ("deletion", "del")])
def test_insertion_and_deletion_are_scouters(metric, key):
    _, z = case("scouter-iauc-dauc-toy")
    images = np.ascontiguousarray(z["images_u8"].transpose(0, 3, 1, 2) / np.float32(255), np.float32)
    with limpid.Model(toy(260, 26, 100)) as model:
        found = model.measure(images, z["maps_u8"], metric, compat="scouter")
        near(found.curve.T, z[f"{key}_scores_stable"], 1e-4)
        near(found.value, z[f"{key}_auc_each_stable"], 1e-4)
        near(found.mean, z[f"{key}_auc_stable"], 1e-4)
        found = model.measure(images, z["maps_u8"], metric, compat="scouter", order="stable-first")
        near(found.curve.T, z[f"{key}_scores_nowrap"], 1e-4)
        near(found.mean, z[f"{key}_auc_nowrap"], 1e-4)


def test_insertion_and_deletion_of_cells_are_i_gos():
    """The program's own pair has no fixture: its rule in NumPy."""
    random = np.random.default_rng(5)
    x = random.standard_normal((1, 3, 40, 48)).astype(np.float32)
    map = random.random((1, 24, 20)).astype(np.float32)
    weights = (random.standard_normal((4, x[0].size)) / 30).astype(np.float32)
    gauss = np.exp(-np.arange(-25, 26) ** 2 / 5000)

    def blurred(values, axis):
        padded = np.pad(values, [(25, 25) if a == axis else (0, 0) for a in range(3)], mode="reflect")
        return sum(w * np.take(padded, range(i, i + values.shape[axis]), axis) for i, w in enumerate(gauss / gauss.sum()))

    def enlarged(mask):
        for axis, size in [(0, 40), (1, 48)]:
            at = np.linspace(0, mask.shape[axis] - 1, size)
            low = np.minimum(at.astype(int), mask.shape[axis] - 2)
            share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
            mask = (1 - share) * np.take(mask, low, axis) + share * np.take(mask, low + 1, axis)
        return mask

    soft = blurred(blurred(x[0].astype(float), 1), 2)
    order = np.argsort(-map.ravel(), kind="stable")
    points = range(0, int(480 / 3.5), 2)
    with limpid.Model(linear(weights, [3, 40, 48])) as model:
        for metric in ("insertion", "deletion"):
            expected = []
            for count in points:
                chosen = np.zeros(480)
                chosen[order[:count]] = 1
                mask = enlarged((chosen if metric == "insertion" else 1 - chosen).reshape(24, 20))
                logits = weights @ (x[0] * mask + soft * (1 - mask)).ravel()
                expected.append((np.exp(logits) / np.exp(logits).sum())[2])
            found = model.measure(x, map, metric, classes=2, compat="i-gos")
            near(found.curve[0], expected, 1e-5)
            near(found.value, np.trapezoid(expected, dx=1 / (len(expected) - 1)), 1e-5)
    assert len(expected) == 69 and found.parameters["step"] == 2


def test_pixel_flipping_is_quantus():
    about, z = case("pixel-flipping-quantus-resrelu")
    tolerances = about["tolerances"]
    with network("resrelu") as model:
        def measure(score):
            return model.measure(
                z["input"], z["attribution"], "pixel-flipping", classes=z["target"], compat="quantus", features=64,
                score=score)

        near(measure("logit").curve, z["scores_logit"], tolerances["scores_logit"])
        found = measure("softmax")
        near(found.curve, z["scores_softmax"], tolerances["scores_softmax"])
        near(found.value, z["auc_softmax"], tolerances["auc_softmax"])
        with pytest.raises(limpid.InvalidArgument, match="must divide"):
            model.measure(z["input"], z["attribution"], "pixel-flipping", compat="quantus", features=63)


def test_perturbation_is_ca_streams():
    _, z = case("castream-perturbation")
    with limpid.Model(linear(z["W"], [3, 16, 16])) as model:
        for order in ("positive", "negative"):
            found = model.measure(
                z["images"], z["saliency"], "perturbation", classes=z["labels"], compat="ca-stream", order=order)
            near(found.mean, z[f"mean_{order}"], 1e-6)
            assert found.details["hits"].shape == (6, 9)


# -- Drop, increase, gain


def test_drop_and_increase_are_grad_cams_and_torchcams():
    about, z = case("drop-increase-resrelu")
    tolerances = about["tolerances"]
    with network("resrelu") as model:
        def measure(metric, **more):
            return model.measure(z["input"], z["map_low"], metric, classes=z["target"], **more)

        for of, key in [("logit", "logit"), ("probability", "softmax")]:
            near(measure("average-drop", compat="grad-cam", of=of).value, z[f"gradcam_drop_{key}"],
                 tolerances[f"gradcam_drop_{key}"])
            near(measure("increase", compat="grad-cam", of=of).value, z[f"gradcam_increase_{key}"], 0)
            details = measure("increase", compat="grad-cam", of=of).details
            change = details["masked"] - details["original"]
            near(change, z[f"gradcam_change_{key}"], tolerances[f"gradcam_change_{key}"])
        near(measure("average-drop", compat="torchcam").mean, 100 * z["torchcam_avg_drop"],
             100 * tolerances["torchcam_avg_drop"])
        near(measure("increase", compat="torchcam").mean, 100 * z["torchcam_conf_increase"], 1e-9)
        broken = z["map_low"].copy()
        broken[2, 3, 3] = np.nan
        left_out = model.measure(z["input"], broken, "average-drop", classes=z["target"], compat="torchcam").value
        assert np.flatnonzero(np.isnan(left_out)).tolist() == [2]


def test_drop_increase_and_gain_are_ca_streams():
    _, z = case("castream-recognition")
    original, explanation = z["original"], z["explanation"]
    # Normalised by mean 1, so that a mask of the colours before that makes anything of anything.
    mask = (explanation + 1) / (original + 1)
    with limpid.Model(probabilities([1, 1, 5], "gray\nscale 1/255\nnormalize mean 1 std 1")) as model:
        def measure(metric, **more):
            return model.measure(
                original.reshape(8, 1, 1, 5), mask.reshape(8, 1, 5), metric, classes=z["labels"], compat="ca-stream",
                **more)

        for column, metric in enumerate(["average-drop", "increase", "average-gain"]):
            near(measure(metric).value, z["per_item"][:, column], 2e-4)
            near(measure(metric).mean, z["ad_ic_ag"][column], 1e-4)
        near(measure("average-drop", batch_size=3).mean,
             np.mean([z["per_item"][i:i + 3, 0].mean() for i in (0, 3, 6)]), 1e-4)


def test_drop_and_increase_are_tames():
    cases = json.loads((CASES / "tame" / "ad_ic.json").read_text())
    tested = 0
    with limpid.Model(probabilities([2, 1, 1])) as model:
        for each in cases:
            y, masked = np.array(each["y"], np.float32), np.array(each["y_masked"], np.float32)
            if ((y == 0) & (masked > 0)).any():
                continue  # no mask makes something of nothing
            x = np.stack([y, 1 - y], 1).reshape(-1, 2, 1, 1)
            mask = np.ones_like(x)
            mask[:, 0, 0, 0] = np.divide(masked, y, out=np.zeros_like(y), where=y > 0)
            drop = model.measure(x, mask, "average-drop", classes=[[0]] * len(y), compat="tame").mean
            np.testing.assert_allclose(drop, float(each["AD"]), rtol=0, atol=2e-5)
            # where a product rounds, a tie may become a rise or a fall of one unit
            close = np.isclose(y, masked, rtol=1e-6) & (y != masked)
            rise = model.measure(x, mask, "increase", classes=[[0]] * len(y), compat="tame").mean
            assert abs(rise - each["IC"]) <= 100 * close.mean() + 1e-9
            tested += 1
    assert tested == len(cases) - 1


def test_what_is_kept_of_a_map_is_tames():
    cases = json.loads((CASES / "tame" / "drop_npercent.json").read_text())
    z = np.load(CASES / "tame" / "drop_npercent.npz")
    for each in cases:
        map = z[each["in"]]
        weights = np.random.default_rng(0).standard_normal((3, map.size)).astype(np.float32)
        keep = 1 - each["percent"]
        with limpid.Model(linear(weights, [1, *map.shape])) as model:
            def measure():
                return model.measure(
                    np.ones((1, 1, *map.shape), np.float32), np.stack([map] * 3), "average-drop", classes=[0, 1, 2],
                    compat="tame", keep=keep, of="logit")

            if "error" in each:
                with pytest.raises(limpid.InvalidArgument, match="drops none"):
                    measure()
                continue
            expected = weights.astype(float) @ z[each["out"]].ravel()
            np.testing.assert_allclose(measure().details["masked"], expected, rtol=0, atol=1e-3)
    assert len(cases) == 18


@pytest.fixture(scope="module")
def ca_stream(converted):
    about, z = case("castream-e2e-resnet18")
    with limpid.Model(converted("castream", "resnet18-stream"), ) as model:
        yield model, [CASES / "castream-e2e-resnet18" / f"pic_{i}.png" for i in range(5)], about, z


def test_a_whole_evaluation_of_ca_stream_is_the_originals(ca_stream):
    model, images, about, z = ca_stream

    def measure(metric, **more):
        return model.measure(
            images, z["saliency"], metric, classes=z["labels"], compat="ca-stream", **more)

    batches = z["per_batch_ad_ic_ag"]
    for column, metric in enumerate(["average-drop", "increase", "average-gain"]):
        found = measure(metric, batch=3)
        near(found.details["original"], z["original_prob"], 1e-6)
        near(found.details["masked"], z["masked_prob"], 1e-6)
        near([found.value[:3].mean(), found.value[3:].mean()], batches[:, column], 0.01)
        near(found.mean, batches[:, column].mean(), 0.01)
    near(measure("insertion").curve.T, z["ins_scores_stable"], 1e-5)
    near(measure("deletion").curve.T, z["del_scores_stable"], 1e-5)


# -- Infidelity, sensitivity


@pytest.mark.parametrize("net", ["resrelu", "resgn"])
def test_infidelity_and_sensitivity_are_captums(net):
    about, z = case(f"infidelity-sensitivity-captum-{net}")
    tolerances = about["tolerances"]
    with network(net) as model:
        for score in ("logit", "probability"):
            for normalize in ("no", "yes"):
                found = model.measure(
                    z["input"], z["attribution"], "infidelity", classes=z["target"], compat="captum", score=score,
                    normalize=normalize, draws={"perturbation": z["perturbation"]})
                key = "infidelity" + "_probability" * (score != "logit") + "_normalized" * (normalize == "yes")
                near(found.value, z[key], tolerances[key])

        def sensitivity(norm, **explain):
            return model.measure(
                z["input"], None, "sensitivity", classes=z["target"], compat="captum", norm=norm,
                draws={"perturbation": z["sensitivity_perturbation"]}, explain=explain).value

        near(sensitivity(2, method="saliency"), z["sensitivity_max"], tolerances["sensitivity_max"])
        near(sensitivity(1, method="saliency"), z["sensitivity_max_l1"], tolerances["sensitivity_max_l1"])
        if net == "resrelu":  # its layer has no values below 0
            near(sensitivity(2, method="activation-map", layer=about["tap"]["value"]),
                 z["sensitivity_max_activation_sum"], tolerances["sensitivity_max_activation_sum"])


def test_infidelity_and_sensitivity_are_scouters():
    about, z = case("scouter-infidelity-sensitivity-toy")
    x = np.ascontiguousarray(z["image_u8"].transpose(2, 0, 1)[None] / np.float32(255), np.float32)
    with limpid.Model(toy(18, 3, 6, maps=True)) as model:
        found = model.measure(
            x, z["map_u8"][None], "infidelity", classes=about["label"], compat="scouter",
            draws={"perturbation": z["perturbation"].reshape(8, 3, 18, 18)})
        np.testing.assert_allclose(found.value, [z["infidelity"]], rtol=1e-4)
        found = model.measure(
            x, z["map_u8"][None], "sensitivity", classes=about["label"], compat="scouter",
            explain={"method": "scouter"}, draws={"perturbation": z["noise"]})
        near(found.value, [z["sensitivity"]], 1e-9)


def legacy_draws(x, samples=100, changes=50, radius=0.2):
    """What the reproduction draws after numpy.random.seed(0): what is subtracted from the image, what is added to it."""
    random = np.random.RandomState(0)
    planes = x[0].reshape(3, -1).astype(float)
    taken = np.empty((samples, *planes.shape))
    for m in range(samples):
        for c, plane in enumerate(planes):
            places = random.choice(plane.size, plane.size, replace=False)
            values = plane[places]
            taken[m, c, places] = np.clip(radius * random.normal(size=plane.size) + values, values - 1, values)
    added = [random.uniform(-radius, radius, x.shape).astype(np.float32) for _ in range(changes)]
    return taken.reshape(samples, *x.shape[1:]), np.concatenate(added)


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_a_whole_evaluation_of_scouter_is_the_reproductions(kind, converted):
    about, z = case(f"scouter-e2e-resnest26d-imagenet10-{kind}")
    x = np.ascontiguousarray(z["image_u8"].transpose(2, 0, 1)[None] / np.float32(255), np.float32)
    index = about["label"] if kind == "positive" else about["least_similar"]
    with limpid.Model(converted("scouter", f"resnest26d-imagenet10-{kind}")) as model:
        (why,) = model.explain(z["image_u8"], "scouter", classes=[index])
        near(limpid.measure([why], "area-size", compat="scouter").value, [z["area"]], 0.001)
        boxes = np.array([about["boxes_xyxy"]])
        grid = why.grid
        spread = {"boxes": boxes, "range": np.array([why.range], np.float32)}
        near(limpid.measure(grid[None], "precision", compat="scouter", draws=spread).value, [z["precision"]], 0.001)
        for metric, key in [("insertion", "ins"), ("deletion", "del")]:
            found = model.measure(x, [why], metric, classes=[[int(np.argmax(z["log_probs_unnormalised_input"]))]],
                                  compat="scouter")
            near(found.curve[0], z[f"{key}_scores_stable"], 1e-4)
            near(found.mean, z[f"{key}_auc_stable"], 1e-5)
        infidelity, sensitivity = legacy_draws(x)
        drawn = z[f"map_{kind}_u8"][None]
        found = model.measure(
            x, drawn, "infidelity", classes=index, compat="scouter", draws={"perturbation": infidelity})
        np.testing.assert_allclose(found.value, [z["infidelity"]], rtol=0.01)
        found = model.measure(
            x, drawn, "sensitivity", classes=index, compat="scouter", explain="scouter",
            draws={"perturbation": sensitivity})
        near(found.value, [z["sensitivity"]], 0.05)


def test_draws_that_are_not_fed_depend_on_the_seed_alone():
    about, z = case("infidelity-sensitivity-captum-resrelu")
    with network("resrelu") as model:
        def measure(seed, **more):
            return model.measure(z["input"], z["attribution"], "infidelity", seed=seed, samples=4, **more).value

        assert (measure(3) == measure(3, batch_size=1)).all() and (measure(3) != measure(4)).all()
        moved = [model.measure(z["input"], None, "sensitivity", explain="saliency", samples=3, batch_size=n).value
                 for n in (1, 2)]
        assert (moved[0] == moved[1]).all() and (moved[0] > 0).all()


# -- Where the map lies


def test_area_and_precision_are_the_reproductions():
    about, z = case("scouter-area-precision")
    near(limpid.measure(z["maps_u8"], "area-size", compat="scouter").value, z["area"], 1e-12)
    found = limpid.measure(z["maps_u8"], "precision", compat="scouter", draws={"boxes": about["boxes_xyxy"]}).value
    near(found[:4], z["precision"][:4], 1e-12)
    assert np.isnan(found[4])
    for map, boxes, expected in zip(z["maps_u8"], about["boxes_xyxy"], z["precision"][:4]):
        one = limpid.measure(map, "precision", compat="scouter", draws={"boxes": np.array(boxes)})
        near(one.value, [expected], 1e-12)


def test_precision_by_our_own_rule_counts_every_pixel_once():
    map = np.arange(16, dtype=np.float32).reshape(4, 4)
    boxes = [[[0, 0, 2, 2], [1, 1, 3, 3]]]
    inside = np.zeros((4, 4), bool)
    inside[:2, :2] = inside[1:3, 1:3] = True
    near(limpid.measure(map, "precision", draws={"boxes": boxes}).value, [map[inside].sum() / map.sum()], 1e-7)
    # The other reproduction sums over all boxes, each without its last row and column, at 260 pixels.
    draws = {"boxes": [[[10, 20, 30, 60]]]}
    found = limpid.measure(np.ones((1, 260, 260)), "precision", compat="fact-2022", draws=draws)
    near(found.value, [19 * 39 / 260**2], 1e-9)


def test_the_pointing_game_is_torchrays():
    about, z = case("pointing-game-public")
    height, width = about["parameters"]["size"]
    masks = np.unpackbits(z["mask"], axis=2, bitorder="little")[:, :, :width]
    maps = np.zeros((60, height, width), np.float32)
    maps[np.arange(60), z["point_xy"][:, 1], z["point_xy"][:, 0]] = 1
    for tolerance in about["parameters"]["tolerances"]:
        found = limpid.measure(
            maps, "pointing-game", classes=z["class_id"], draws={"mask": masks}, compat="torchray",
            tolerance=tolerance, class_count=about["parameters"]["classes"])
        near(found.value, z[f"hit_tolerance_{tolerance}"], 0)
        near(found.details["class_accuracy"], z[f"class_accuracy_{tolerance}"], 1e-12)
        near(found.mean, z[f"accuracy_{tolerance}"], 1e-12)
    on_it = limpid.measure(maps, "pointing-game", draws={"mask": masks}, tolerance=0).value
    near(on_it, masks[np.arange(60), z["point_xy"][:, 1], z["point_xy"][:, 0]], 0)


def test_recall_is_the_reproductions():
    about, z = case("lavise-recall-seed004")
    shares = []
    for i, image in enumerate(about["images"]):
        masks, targets = z[f"masks{i}"][:, 0], z[f"targets{i}"]
        labels = np.stack([np.zeros_like(targets), targets], 1)
        found = limpid.measure(
            z[f"act{i}"][0], "recall", k=5, threshold=image["threshold"], size=image["size"], compat="fact-2023",
            draws={"words": np.array([image["words"]]), "labels": labels, "mask": masks})
        shares.append(found.mean)
        near(found.value[0], np.nan if image["recall"] is None else image["recall"], 0)
    near(np.nanmean(shares), about["mean_recall"], 1e-12)
    assert len(shares) == 6


def test_recall_among_the_words_that_a_filter_has_by_then():
    # The things are 3 and 1. Of the second image 1 is the first word, but the name is 7 by then, which was found twice.
    maps = np.zeros((3, 2, 2), np.float32)
    maps[:2, 0, 0] = 1
    draws = {"words": [[3, 7], [1, 7], [1, 1]], "labels": [[0, 3], [1, 1]], "mask": [[[1, 0], [0, 0]]] * 2}
    assert limpid.measure(maps, "recall", k=1, draws=draws).value[:2].tolist() == [1, 1]
    found = limpid.measure(maps, "recall", k=1, compat="lavise", draws=draws)
    assert found.value[:2].tolist() == [1, 0] and np.isnan(found.value[2]) and found.mean == 0.5


def measured(metric, maps, compat, model, x):
    """What a metric says of maps [maps, 8, 8] of as many images."""
    count = len(maps)
    draws = {
        "boxes": [[[0, 0, 3, 3]]] * count, "range": [[0, 1]] * count, "words": [[1, 2]] * count,
        "labels": [[i, 1] for i in range(count)], "mask": np.ones((count, 8, 8), np.uint8)}
    own = {name: draws[name] for name in metric.draws if name in draws and not (metric.name == "pointing-game" and name == "mask")}
    if not metric.needs_model:
        return limpid.measure(maps, metric.name, draws=own, classes=list(range(count)), compat=compat)
    return model.measure(x, maps, metric.name, classes=[3] * count, draws=own, compat=compat)


def test_maps_that_hold_no_numbers_have_no_value():
    """Neither that of a constant map nor of one that has NaN for its smallest value; the other maps keep theirs."""
    _, z = case("drop-increase-resrelu")
    x, good = z["input"][[0, 0, 0]], np.random.default_rng(3).random((3, 8, 8)).astype(np.float32)
    tested = 0
    with network("resrelu") as model:
        for metric in limpid.metrics():
            if metric.maps in ("scores", "none") or metric.needs_method:
                continue
            for compat in next(p.choices for p in metric.parameters if p.name == "compat"):
                expected = measured(metric, good, compat, model, x)
                for value, places in [(np.nan, slice(None)), (-np.inf, (4, 4))]:
                    maps = good.copy()
                    maps[1][places] = value
                    found = measured(metric, maps, compat, model, x)
                    assert np.isnan(found.value[1]) and np.isnan(found.curve[1] if found.curve is not None else np.nan).all()
                    for name in ("masked", "hits"):
                        assert np.isnan(found.details.get(name, np.full(3, np.nan))[1]).all()
                    if metric.name != "recall" or compat != "lavise":  # whose words count in those after it
                        near(found.value[[0, 2]], expected.value[[0, 2]], 1e-12)
                    left = expected.value[[0, 2]]
                    if compat == "torchray":  # hits and misses are 1 and -1, and class 1 has no image left
                        near(found.mean, (left > 0).sum() / 3, 1e-12)
                        near(found.details["class_accuracy"], [left[0] > 0, 0, left[1] > 0], 0)
                    elif compat == "tame":
                        assert np.isnan(found.mean)
                    else:
                        near(found.mean, np.nanmean(found.value), 1e-12)
                    tested += 1
        with pytest.raises(limpid.InvalidArgument, match="maps must be bytes"):
            model.measure(x[:1], good[:1] * np.nan, "deletion", compat="scouter")
    assert tested == 2 * 43


def test_explanations_that_are_no_numbers_are_not_stable():
    """Of an image with NaN, and of one that NaN is added to."""
    _, z = case("drop-increase-resrelu")
    x = z["input"][:1]
    broken = x.copy()
    broken[0, 0, 3, 3] = np.nan
    noise = np.zeros((2, *x.shape[1:]), np.float32)
    noise[1, 0, 0, 0] = np.nan
    with network("resrelu") as model:
        for compat in ("none", "captum", "scouter"):
            def measure(x, noise):
                return model.measure(
                    x, None, "sensitivity", classes=[3], compat=compat, explain="activation-map",
                    draws={"perturbation": noise}).value

            assert np.isnan(measure(x, noise)).all() and np.isnan(measure(broken, noise * 0)).all()
            assert not np.isnan(measure(x, noise[:1])).any()


def test_scores_that_are_no_numbers_say_nothing():
    _, z = case("drop-increase-resrelu")
    x = z["input"][:2].copy()
    x[1, 0, 3, 3] = np.nan
    maps = np.random.default_rng(3).random((2, 8, 8)).astype(np.float32)
    with network("resrelu") as model:
        for metric, compat in [("perturbation", "none"), ("increase", "grad-cam"), ("average-drop", "none"),
                               ("insertion", "none"), ("deletion", "none"), ("pixel-flipping", "none")]:
            assert np.isnan(model.measure(x, maps, metric, classes=[0, 0], compat=compat).value).tolist() == [False, True]
        assert model.measure(x, None, "accuracy", classes=[0, 0]).value[1] == 0
        with pytest.raises(limpid.InvalidArgument, match="scores of image 1 are NaN: no class is predicted"):
            model.measure(x, None, "confusion", classes=[0, 0])
    scores = np.random.default_rng(4).random((6, 3))
    scores[2, 1] = np.nan
    found = limpid.measure(scores, "confusion", classes=[0, 1, 2, 0, 1, 2])
    assert np.isnan(found.details["auc"]).tolist() == [False, True, False]


# -- Classifiers


def test_the_confusion_matrix_is_the_reproductions():
    _, z = case("scouter-confusion")
    for truth in ({"classes": z["labels"]}, {"draws": {"labels": z["labels"]}}):
        found = limpid.measure(z["log_probs"], "confusion", compat="scouter", **truth)
        for name in ("auc", "accuracy", "recall", "precision", "f1", "kappa"):
            near(found.details[name], z[name], 1e-12)
    whole = limpid.measure(z["log_probs"], "confusion", classes=z["labels"])
    assert whole.details["matrix"].sum() == 60 and whole.details["recall"].shape == (2,)
    near(limpid.measure(z["log_probs"], "accuracy", classes=z["labels"]).mean, z["accuracy"], 1e-12)


def test_accuracy_asks_the_model():
    _, z = case("drop-increase-resrelu")
    with network("resrelu") as model:
        probabilities = model.classify(z["input"])
        truth = np.argsort(-probabilities, 1)[:, 1]
        assert model.measure(z["input"], None, "accuracy", classes=truth).mean == 0
        assert model.measure(z["input"], None, "accuracy", classes=truth, top=2).value.tolist() == [1] * 6
        assert (model.measure(z["input"], None, "accuracy", classes=truth).details["predicted"]
                == probabilities.argmax(1)).all()


# -- Refusals


def test_refusals_say_what_is_wrong():
    _, z = case("drop-increase-resrelu")
    x, maps = z["input"], z["map_low"]
    with network("resrelu") as model:
        for words, call in [
            ("there is no metric \"insertoin\"", lambda: model.measure(x, maps, "insertoin")),
            ("has no parameter \"stpe\"", lambda: model.measure(x, maps, "insertion", stpe=3)),
            ("needs a model", lambda: limpid.measure(maps, "insertion")),
            ("needs maps", lambda: model.measure(x, None, "insertion")),
            ("5 maps for 6 images", lambda: model.measure(x, maps[:5], "insertion")),
            ("class 10 is out of range", lambda: model.measure(x, maps, "insertion", classes=10)),
            ("reads no draws \"boxes\"", lambda: model.measure(x, maps, "insertion", draws={"boxes": [[0, 0, 1, 1]]})),
            ("draws no random numbers", lambda: model.measure(x, maps, "insertion", seed=3)),
            ("must be odd", lambda: model.measure(x, maps, "insertion", kernel=4)),
            ("must be bytes", lambda: model.measure(x, maps, "insertion", order="wrapped")),
            ("explains nothing itself", lambda: model.measure(x, maps, "insertion", explain="saliency")),
            ("say how", lambda: model.measure(x, None, "sensitivity")),
            ("no method \"salency\"", lambda: model.measure(x, None, "sensitivity", explain="salency")),
            ("needs the draws \"boxes\"", lambda: limpid.measure(maps, "precision")),
            ("needs the draws \"mask\"", lambda: limpid.measure(maps, "pointing-game")),
            ("what is true", lambda: model.measure(x, None, "accuracy")),
            ("not \\[6×samples", lambda: model.measure(
                x, maps, "infidelity", samples=2, draws={"perturbation": np.zeros((5, 3, 32, 32))})),
        ]:
            with pytest.raises(limpid.LimpidError, match=words):
                call()
    assert len(limpid.metrics()) == 15
