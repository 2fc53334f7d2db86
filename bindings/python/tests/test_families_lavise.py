"""LaViSE through the native library, against what the original program and its reproductions computed."""

import json
import sys

import numpy as np
import pytest
from conftest import COLOURS, ROOT

import limpid

sys.path[:0] = [str(ROOT / "Tests" / "Support"), str(ROOT / "converters")]
pytest.importorskip("onnx", reason="the converter needs onnx")

from checkpoints import lavise_vocabulary, write_lavise  # noqa: E402
from lavise_cases import CASES, FOLDER, SMALL, check_ranking, load, pictures, ranking  # noqa: E402


class Case:
    """A converted case: its model, its images, and the originals' numbers."""

    def __init__(self, name, folder):
        from limpid_convert.cli import main

        files = write_lavise(FOLDER / name, folder)
        self.case, self.arrays = load(name)
        scores = ["--classifier", str(files["classifier"])] if "classifier" in files else []
        words = ["lavise", str(files["explainer"]), str(folder / "m.onnx"), "--vocabulary", str(files["vocabulary"])]
        assert main(words + scores) == 0
        self.path = folder / "m.onnx"
        self.model = limpid.Model(self.path)
        self.images = list(pictures(self.arrays))
        self.filter, self.sparse = self.case["filter"], self.case["filter_sparse"]
        self.vectors = lavise_vocabulary(self.case)[1]

    def counts(self, key):
        """{word: count} of an array pair of the case, in its order."""
        return [(f"w{w:04d}", int(n)) for w, n in zip(self.arrays[key + "_words"], self.arrays[key + "_counts"])]

    def check(self, words, embedding, count=20):
        """The words are those nearest to a word vector that the original computed."""
        expected, similarities = ranking(embedding, self.vectors, count)
        check_ranking([int(w[1:]) for w, _ in words], expected, similarities)
        np.testing.assert_allclose([s for _, s in words], similarities, atol=2e-5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    known = {}

    def make(name):
        if name not in known:
            known[name] = Case(name, tmp_path_factory.mktemp(name))
        return known[name]

    return make


@pytest.fixture
def resnet(made):
    return made("resnet18-layer4")


@pytest.mark.parametrize("name", SMALL)
def test_features_and_scores(made, name):
    c = made(name)
    found = c.model.fetch(c.images[0], ["features", "logits"])
    np.testing.assert_allclose(found["logits"], c.arrays["logits"], atol=1e-4 * np.abs(c.arrays["logits"]).max())
    np.testing.assert_allclose(found["features"][0].mean(axis=(1, 2)), c.arrays["features_gap"], atol=1e-4)
    np.testing.assert_allclose(found["features"][0].max(axis=(1, 2)), c.arrays["features_max"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_graphs_own_embeddings(made, name):
    c = made(name)
    found = c.model.fetch(c.images[0], ["embeddings"])["embeddings"]
    expected = c.arrays["emb_projection"]
    np.testing.assert_allclose(found[0, c.filter], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_words_of_each_image(made, name):
    c = made(name)
    (found,) = c.model.name_filters(c.images, [c.filter], images_per_filter=8, words=20)
    acts = c.arrays["max_acts"][0]
    assert [i.index for i in found.images] == sorted(range(8), key=lambda i: (-acts[i], i))
    for image in found.images:
        assert image.activation == pytest.approx(acts[image.index], rel=1e-4)
        c.check(image.words, c.arrays["embs_all_projection"][image.index])
        assert len(image.words) == c.arrays["per_image_top_words"].shape[1]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("which", ["u", "u_p", "u2"])
def test_the_authors_counts(made, name, which):
    c = made(name)
    (found,) = c.model.name_filters(
        c.images, [c.sparse if which == "u2" else c.filter], weighting="floor", words=c.case["s"],
        images_per_filter=c.case["p"] if which == "u_p" else 8, output_words=1000)
    expected = [(f"w{w:04d}", int(n)) for w, n in
                zip(c.arrays[f"orig_words_{which}"], c.arrays[f"orig_counts_{which}"])]
    assert found.words == expected
    assert expected or which == "u2"


@pytest.mark.parametrize("name", [n for n in CASES if n != "alexnet-features-gap"])
@pytest.mark.parametrize("weighting", ["once", "ceiling"])
@pytest.mark.parametrize("words", [5, 20])
def test_the_reproductions_counts(made, name, weighting, words):
    c = made(name)
    found = c.model.name_filters(c.images, [c.filter, c.sparse], weighting=weighting, words=words,
                                 images_per_filter=c.case["p"], output_words=1000)
    for which, result in zip(("u", "u2"), found):
        assert result.words == c.counts(f"fact_{which}_s{words}_w{int(weighting == 'ceiling')}")
    short = c.model.name_filters(c.images, [c.filter], weighting=weighting, words=words,
                                 images_per_filter=c.case["p"], output_words=3)
    assert short[0].words == found[0].words[:3]


@pytest.mark.parametrize("attention", ["projection", "image"])
def test_every_pass_over_an_image_can_be_stopped(made, attention):
    c = made(SMALL[0])
    shares = []
    c.model.explain(c.images[:2], "lavise", filter=c.filter, attention=attention,
                    progress=lambda done, total: shares.append(done / total))
    assert shares == sorted(shares) and shares[-1] == 1
    for last in range(len(shares)):
        asked = iter(range(last))
        with pytest.raises(limpid.Cancelled):
            c.model.explain(c.images[:2], "lavise", filter=c.filter, attention=attention,
                            progress=lambda done, total: next(asked, None) is not None)



@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("attention", ["projection", "activation", "image", "original"])
def test_one_image_seen_in_each_way(made, name, attention):
    c = made(name)
    (why,) = c.model.explain(c.images[0], "lavise", filter=c.filter, words=20, attention=attention,
                             threshold=float(c.arrays["threshold_p80"]))
    c.check(why.words, c.arrays[f"emb_{attention}"])
    expected = c.arrays[f"top20_idx_{attention}"]
    check_ranking([int(w[1:]) for w, _ in why.words], expected, c.arrays[f"top20_sim_{attention}"])
    if attention in ("activation", "image"):
        (why,) = c.model.explain(c.images[0], "lavise", filter=c.filter, words=20, attention=attention,
                                 threshold=float(c.arrays["threshold_p995"][0]))
        region = (c.arrays["features_u"] if attention == "activation" else c.arrays["mask_up_p995"])
        if (region > (c.arrays["threshold_p995"][0] if attention == "activation" else 0)).any():
            c.check(why.words, c.arrays[f"emb_{attention}_p995"])
        else:
            assert why.words == []


@pytest.mark.parametrize("name", SMALL)
def test_the_map_is_the_filters_region(made, name):
    c = made(name)
    (why,) = c.model.explain(c.images[0], "lavise", filter=c.filter)
    assert why.filter == c.filter and why.class_index == c.arrays["logits"].argmax()
    np.testing.assert_allclose(why.grid, c.arrays["features_u"], atol=1e-4)
    limit = float(c.arrays["threshold_p80"])
    (why,) = c.model.explain(c.images[0], "lavise", filter=c.filter, threshold=limit)
    np.testing.assert_array_equal(why.grid > 0, c.arrays["mask_p80"] > 0)
    most = c.model.explain(c.images[0], "lavise")[0].filter
    assert most == c.arrays["features_max"].argmax()


@pytest.mark.parametrize("quantile, key", [(0.995, "threshold_p995"), (0.8, "threshold_p80"), (0.005, "threshold_q005")])
def test_thresholds_over_all_images(resnet, quantile, key):
    found = resnet.model.name_filters(resnet.images, [resnet.filter, resnet.sparse], attention="activation",
                                      quantile=quantile, batch_size=3)
    expected = np.atleast_1d(resnet.arrays[key])
    np.testing.assert_allclose([n.threshold for n in found][: len(expected)], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("attention", ["activation", "image"])
def test_regions_as_the_reproduction_takes_them(resnet, attention):
    (found,) = resnet.model.name_filters(resnet.images, [resnet.filter], attention=attention, quantile=0.005, words=20,
                                         images_per_filter=resnet.case["p"])
    assert [i.index for i in found.images] == resnet.arrays["fact_order_u"].tolist()
    for image, embedding in zip(found.images, resnet.arrays[f"fact_embs_{attention}_q005"]):
        resnet.check(image.words, embedding)


def test_a_filter_that_no_image_excites_is_inactive(resnet):
    silent = int(np.flatnonzero(resnet.arrays["max_acts"][1] <= 0)[0])
    for attention in ("projection", "activation", "image", "original"):
        (found,) = resnet.model.name_filters([resnet.images[silent]], [resnet.sparse], attention=attention)
        assert found.inactive and found.words == [] and found.filter == resnet.sparse
    (why,) = resnet.model.explain(resnet.images[silent], "lavise", filter=resnet.sparse)
    assert why.words == [] and why.degenerate and why.filter == resnet.sparse
    assert np.isfinite(why.grid).all()


def test_all_filters_at_once_are_the_same_as_one(resnet):
    every = resnet.model.name_filters(resnet.images[:3], words=3)
    assert [n.filter for n in every] == list(range(512))
    one = resnet.model.name_filters(resnet.images[:3], [resnet.filter], words=3, batch_size=1, threads=1)[0]
    assert every[resnet.filter].words == one.words
    assert [i.index for i in every[resnet.filter].images] == [i.index for i in one.images]


def test_images_that_are_read_one_by_one_are_the_same(resnet, tmp_path):
    pixels = resnet.arrays["images_tiles_u8"].repeat(8, axis=2).repeat(8, axis=3).transpose(0, 2, 3, 1)
    pil = pytest.importorskip("PIL.Image")
    paths = []
    for i, image in enumerate(pixels):
        paths.append(tmp_path / f"{i}.png")
        pil.fromarray(image).save(paths[-1])
    held = resnet.model.name_filters(list(pixels), [resnet.filter], attention="activation")
    assert resnet.model.name_filters(paths, [resnet.filter], attention="activation") == held
    with pytest.raises(limpid.NotFound):
        resnet.model.name_filters(paths + [tmp_path / "none.png"], [resnet.filter])


def test_progress_grows_to_the_end_and_stops(resnet):
    seen = []
    resnet.model.name_filters(resnet.images, [1, 2], attention="image",
                              progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1
    with pytest.raises(limpid.Cancelled):
        resnet.model.name_filters(resnet.images, [1, 2], progress=lambda done, total: False)


@pytest.mark.parametrize("arguments, message", [
    (dict(filters=[512]), "filter 512 is out of range; the layer has 512 filters, 0 to 511"),
    (dict(filters=[3, 3]), "a filter is given twice"), (dict(filters=[]), "no filters to name"),
    (dict(filters=[-1]), "numbers from 0"), (dict(attention="grad"), "must be projection, activation, image or original"),
    (dict(words=0), "whole number between 1"), (dict(quantile=2), "a number between 0"),
])
def test_wrong_arguments(resnet, arguments, message):
    with pytest.raises(limpid.InvalidArgument, match=message):
        resnet.model.name_filters(resnet.images[:1], **arguments)


def test_wrong_models():
    model = limpid.Model(COLOURS)
    with pytest.raises(limpid.Unsupported, match="limpid-convert lavise"):
        model.name_filters([np.zeros((32, 32, 3), np.uint8)])


def test_a_model_without_class_scores(made, tmp_path):
    from limpid_convert.cli import main

    resnet = made("resnet18-layer4")
    folder = resnet.path.parent
    words = ["lavise", folder / "explainer.pth", tmp_path / "m.onnx", "--vocabulary", folder / "vocabulary.npz"]
    assert main([*map(str, words)]) == 0
    model = limpid.Model(tmp_path / "m.onnx")
    assert model.info.class_count == 0 and model.outputs == ["features", "embeddings"]
    (why,) = model.explain(resnet.images[0], filter=resnet.filter, words=20)
    assert why.class_index == -1 and why.score == pytest.approx(resnet.arrays["max_acts"][0, 0], rel=1e-4)
    resnet.check(why.words, resnet.arrays["emb_projection"])
    with pytest.raises(limpid.LimpidError):
        model.classify(resnet.images[0])


SCENES = ROOT / "examples" / "lavise-digits"


def named_scenes(folder, name):
    """Some images with boxes and words in them, as COCO or VOC has them; their files, and (word, box) of each."""
    images = sorted((SCENES / "images").glob("*.png"))[:8]
    random = np.random.default_rng(4)
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "traffic light"]
    things = []
    for _ in images:
        corners = random.integers(0, 60, (3, 2))
        sizes = random.integers(20, 36, (3, 2))
        things.append([
            (words[int(random.integers(len(words)))], [int(v) for v in (*corner, *(corner + size))])
            for corner, size in zip(corners, sizes)])
    if name == "coco":
        document = {
            "images": [{"id": i, "file_name": file.name, "width": 96, "height": 96} for i, file in enumerate(images)],
            "categories": [{"id": i + 1, "name": word} for i, word in enumerate(words)],
            "annotations": [
                {"image_id": i, "category_id": words.index(word) + 1, "bbox": [x, y, x2 - x, y2 - y],
                 "segmentation": [[x, y, x2, y, x2, y2, x, y2]]}
                for i, found in enumerate(things) for word, (x, y, x2, y2) in found]}
        (folder / "instances.json").write_text(json.dumps(document))
        return images, things, dict(data=folder / "instances.json", images=SCENES / "images")
    (folder / "xml").mkdir()
    for file, found in zip(images, things):
        objects = "".join(
            f"<object><name>{word}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for word, (x, y, x2, y2) in found)
        (folder / "xml" / f"{file.stem}.xml").write_text(f"<annotation><filename>{file.name}</filename>{objects}</annotation>")
    return images, things, dict(data=folder / "xml", images=SCENES / "images")


def true_words(why, things, threshold=0.0, overlap=0.04):
    """By NumPy: a thing counts where more than `overlap` of its union with the region are common to both."""
    rows, columns = why.grid.shape
    x, y, width, height = why.field
    xs = x + (np.arange(columns) + 0.5) * width / columns
    ys = y + (np.arange(rows) + 0.5) * height / rows
    region, truth = why.grid > threshold, set()
    for word, (x1, y1, x2, y2) in things:
        inside = ((ys >= y1) & (ys < y2))[:, None] & ((xs >= x1) & (xs < x2))[None]
        both, either = (region & inside).sum(), (region | inside).sum()
        if either and both / either > overlap:
            truth |= set(word.split())
    return truth


def expected_recall(why, things, k, threshold=0.0, overlap=0.04):
    truth, found = true_words(why, things, threshold, overlap), {word for word, _ in why.words[:k]}
    return len(truth & found) / len(truth) if truth else None


@pytest.mark.parametrize("kind", ["coco", "voc", "boxes"])
def test_recall_of_words_over_a_data_set(tmp_path, kind):
    model = limpid.Model(SCENES / "model.onnx")
    images, things, data = named_scenes(tmp_path, "coco" if kind == "boxes" else kind)
    methods = [{"method": f"lavise@{filter}", "filter": filter, "words": 6} for filter in (-1, 3, 17)]
    metrics = [{"metric": "recall", "k": 3}, {"metric": "recall@6", "k": 6}, {"metric": "recall@strict", "k": 6, "overlap": 0.3}]
    if kind == "boxes":
        found = limpid.Evaluation(model, None, methods, metrics)
        for file, named in zip(images, things):
            index = found.add_sample(file.name, None, [box for _, box in named], words=[word for word, _ in named])
            found.add(found.record(index, file.read_bytes()))
    else:
        found = limpid.evaluate(model, data.pop("data"), methods, metrics, workers=2, **data)
    rows = found.images
    assert [row["name"] for row in rows] == [file.name for file in images]
    assert all(row["predicted"] is None for row in rows)
    some = set()
    for row, file, named in zip(rows, images, things):
        for use in methods:
            why = model.explain(file, "lavise", filter=use["filter"], words=6)[0]
            for label, k, overlap in (("recall", 3, 0.04), ("recall@6", 6, 0.04), ("recall@strict", 6, 0.3)):
                wanted = expected_recall(why, named, k, overlap=overlap)
                assert row[f"{use['method']} {label}"] == (None if wanted is None else pytest.approx(wanted, abs=1e-12))
                some.add(wanted)
    assert None in some and 0 in some and len(some) > 3
    assert b"filter 17" in found.document("report.html") and found.summary["results"][0]["images"] > 0


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_recall_among_the_words_of_a_name_that_grows(tmp_path, kind):
    """The name after each image of the data set, in its order, by counting; equal counts go by the vocabulary. The same bytes
    whoever makes the records, in whatever order, and where a run was stopped."""
    model = limpid.Model(SCENES / "model.onnx")
    images, things, data = named_scenes(tmp_path, kind)
    vocabulary = [line.split()[0] for line in (SCENES / "words.txt").read_text().splitlines() if line.strip()]
    filters = (3, 17, 28)
    methods = [{"method": f"lavise@{filter}", "filter": filter, "words": 6} for filter in filters]
    metrics = [{"metric": f"recall@{k}", "k": k, "compat": "lavise"} for k in (2, 4, 9)] + [{"metric": "recall", "k": 4}]
    source = data.pop("data")
    found = limpid.evaluate(model, source, methods, metrics, **data)
    expected, kinds = {}, set()
    for use in methods:
        counts = {}
        for i, (file, named) in enumerate(zip(images, things)):
            why = model.explain(file, "lavise", filter=use["filter"], words=6)[0]
            truth = true_words(why, named)
            if truth:
                for word, _ in why.words:
                    counts[word] = counts.get(word, 0) + 1
            name = sorted(counts, key=lambda word: (-counts[word], vocabulary.index(word)))
            for k in (2, 4, 9):
                value = len(truth & set(name[:k])) / len(truth) if truth else None
                expected[use["method"], k, i] = value
                kinds.add((k, value == (expected_recall(why, named, k) if k <= 6 else None)))
    rows = found.images
    for (method, k, i), value in expected.items():
        assert rows[i][f"{method} recall@{k}"] == (None if value is None else pytest.approx(value, abs=1e-12))
    assert {(2, False), (4, False)} <= kinds  # it is another number than that of each image's own words
    for row in found.table():
        if row["metric"] != "recall":
            values = [expected[row["method"], int(row["metric"][7:]), i] for i in range(len(images))]
            assert row["mean"] == pytest.approx(np.mean([v for v in values if v is not None]), rel=1e-12)
    names = ("results.json", "results.csv", "images.csv")
    workers = limpid.evaluate(model, source, methods, metrics, workers=2, store=tmp_path / "w.sqlite", **data)
    resumed = limpid.Evaluation(model, source, methods, metrics, **data)
    for index in list(range(len(images)))[::-2]:
        resumed.add(resumed.record(index))
    resumed.open_store(tmp_path / "half.sqlite")
    half = limpid.Evaluation(model, source, methods, metrics, **data)
    for index in range(0, len(images), 3):
        half.open_store(tmp_path / "third.sqlite") if index == 0 else None
        half.add(half.record(index))
    del half
    again = limpid.evaluate(model, source, methods, metrics, store=tmp_path / "third.sqlite", **data)
    resumed.run()
    for other in (workers, resumed, again):
        for name in names:
            assert other.document(name) == found.document(name)
    record = json.loads(found.record(0))
    assert record["explanations"][0]["values"][0]["value"] is None and record["explanations"][0]["values"][3].get("words") is None
    damaged = found.record(0).replace(b'"places":[', b'"places":[-1,')
    with pytest.raises(limpid.InvalidArgument, match="no record of this evaluation, or are damaged"):
        limpid.Evaluation(model, source, methods, metrics, **data).add(damaged)


def test_recall_says_what_it_cannot(tmp_path):
    model = limpid.Model(SCENES / "model.onnx")
    _, _, data = named_scenes(tmp_path, "coco")
    for method, metric, message in (
        ({"method": "lavise"}, {"metric": "recall", "k": 10}, "counts 10 words, but the method \"lavise\" finds 5"),
        ({"method": "lavise"}, {"metric": "recall", "compat": "lavise"}, "judges the name of one filter, .* by the parameter filter"),
    ):
        with pytest.raises(limpid.LimpidError, match=message):
            limpid.evaluate(model, data["data"], [method], [metric], images=data["images"])
    with pytest.raises(limpid.InvalidArgument, match="\"grad-cam\" does not find"):
        limpid.evaluate(COLOURS, data["data"], ["grad-cam"], ["recall"], images=data["images"])
    with pytest.raises(limpid.InvalidArgument, match="what is in the images, in words"):
        limpid.evaluate(model, SCENES / "images", ["lavise"], ["recall"])
    found = limpid.Evaluation(model, None, ["lavise"], ["recall"])
    with pytest.raises(limpid.InvalidArgument, match="1 words for the 2 boxes"):
        found.add_sample("x", None, [[0, 0, 9, 9], [3, 3, 9, 9]], words=["one"])
