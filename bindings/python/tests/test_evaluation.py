"""limpid.evaluate: the numbers of Model.measure, the pieces for other processes, and results as Python has them."""

import hashlib
import json
import sys
import weakref

import numpy as np
import pytest
from conftest import COLOURS
from PIL import Image

from networks import Network

import limpid

NAMES = ("red", "green", "blue")
METRICS = ["insertion", {"metric": "average-drop", "keep": 0.5}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four images of each colour, in folders."""
    root = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(5)
    for c, name in enumerate(NAMES):
        (root / name).mkdir()
        for i in range(4):
            pixels = random.integers(0, 60, (40, 48, 3), np.uint8)
            pixels[5 * i:20 + 5 * i, 8:30, c] += 180
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def local(folder):
    return limpid.evaluate(COLOURS, folder, ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}], METRICS)


def test_values_are_those_of_measure_and_means_those_of_numpy(model, folder, local):
    rows = local.images
    assert [row["name"] for row in rows] == [f"{c}/{i}.png" for c in sorted(NAMES) for i in range(4)]
    assert [row["truth"] for row in rows] == [NAMES.index(c) for c in sorted(NAMES) for _ in range(4)]
    for row in rows[::5]:
        image = folder / row["name"]
        for method, settings in (("grad-cam", {}), ("rise", {"masks": 40, "seed": 2})):
            why = model.explain(image, method, **settings)
            assert row[f"{method} insertion"] == model.measure(image, why, "insertion").value[0]
            assert row[f"{method} average-drop"] == model.measure(image, why, "average-drop", keep=0.5).value[0]
            assert row[f"{method} class"] == why[0].class_index == model.classify(image).argmax()
    for result in local.table():
        values = [row[f"{result['method']} {result['metric']}"] for row in rows]
        assert result["mean"] == pytest.approx(np.mean(values), rel=1e-12) and result["images"] == 12
    assert local.summary["accuracy"]["top1"]["mean"] == np.mean([row["truth"] == row["predicted"] for row in rows])


def test_records_may_be_made_one_by_one_and_added_in_any_order(folder, local):
    again = limpid.Evaluation(COLOURS, folder, ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}], METRICS)
    records = [again.record(i) for i in range(len(again))]
    assert again.pending == list(range(12)) and again.summary["data"]["evaluated"] == 0
    for record in records[::-1]:
        again.add(record)
    for name in ("results.json", "results.csv", "images.csv", "curves.csv"):
        assert again.document(name) == local.document(name)
    assert again.pending == []
    other = limpid.Evaluation(COLOURS, folder, ["grad-cam"], METRICS)
    with pytest.raises(limpid.InvalidArgument, match="other settings"):
        other.add(records[0])
    for damaged in (b"", b"{}", b"[1", records[0][:-40], records[0].replace(b'"explanations"', b'"explained"')):
        with pytest.raises(limpid.InvalidArgument):
            again.add(damaged)
    with pytest.raises(limpid.NotFound, match="no sample 12"):
        again.record(12)


def test_images_in_memory(folder, local):
    files = [folder / c / f"{i}.png" for c in sorted(NAMES) for i in range(4)]
    data = [(file.read_bytes(), file.parent.name) for file in files]
    data.append((folder / "missing.png", "red"))
    data.append((b"no image", 1))
    found = limpid.evaluate(COLOURS, data, ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}], METRICS)
    assert found.table() == local.table()
    # The page has the same images.
    page = found.document("report.html")
    assert page.count(b"<article") == local.document("report.html").count(b"<article") > 1
    missing, damaged = found.summary["data"]["failed"]
    assert "No such file" in missing["reason"] and "neither a PNG, JPEG nor WebP" in damaged["reason"]
    with pytest.raises(limpid.InvalidArgument, match="part of the list"):
        limpid.evaluate(COLOURS, data, limit=3)


def test_boxes_of_samples_in_memory(model, folder):
    found = limpid.Evaluation(COLOURS, None, ["grad-cam"], ["precision", "pointing-game"], explain="truth")
    image = folder / "red/1.png"
    index = found.add_sample("one", 0, [[8, 5, 30, 25]])
    found.add(found.record(index, image.read_bytes()))
    found.add_sample("two", 0)
    found.add(found.record(1, image.read_bytes()))
    why = model.explain(image, "grad-cam", classes=0)
    for metric in ("precision", "pointing-game"):
        expected = model.measure(image, why, metric, draws={"boxes": np.array([[[8, 5, 30, 25]]])}).value[0]
        assert [row[f"grad-cam {metric}"] for row in found.images] == [expected, None]


def test_urls_are_read_through_fsspec(folder, local):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/evaluation", recursive=True)
    lines = "".join(f"{c}/{i}.png {NAMES.index(c)}\n" for c in sorted(NAMES) for i in range(4))
    memory.pipe("/evaluation/list.txt", lines.encode())
    memory.pipe("/evaluation/model.onnx", COLOURS.read_bytes())
    for data in ("memory://evaluation", "memory://evaluation/list.txt"):
        words = dict(format="folders") if data.endswith("evaluation") else {}
        found = limpid.evaluate(
            "memory://evaluation/model.onnx", data, ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}], METRICS, **words)
        assert found.document("images.csv") == local.document("images.csv") and found.table() == local.table()
        assert found.summary["data"]["path"] == data


def test_a_store_keeps_what_is_done(folder, tmp_path):
    words = (COLOURS, folder, ["grad-cam"], ["increase"])
    stopped = []
    with pytest.raises(limpid.Cancelled):
        limpid.evaluate(*words, store=tmp_path / "s.sqlite", progress=lambda done, total: done < 0.4 * total)
    partly = limpid.Evaluation(*words)
    partly.open_store(tmp_path / "s.sqlite")
    assert 0 < len(partly.pending) < 12 and stopped == []
    found = limpid.evaluate(*words, store=tmp_path / "s.sqlite", report=tmp_path / "out")
    assert found.document("results.json") == limpid.evaluate(*words).document("results.json")
    assert json.loads((tmp_path / "out/results.json").read_text()) == found.summary
    with pytest.raises(limpid.InvalidArgument, match="class was"):
        limpid.evaluate(*words, store=tmp_path / "s.sqlite", explain="truth")


def test_a_store_knows_images_in_memory_by_their_contents(folder, tmp_path):
    one, two = (folder / "red/0.png").read_bytes(), (folder / "blue/1.png").read_bytes()
    first = limpid.evaluate(COLOURS, [one, two], ["grad-cam"], ["increase"], store=tmp_path / "s.sqlite")
    again = limpid.Evaluation(COLOURS, [one, one], ["grad-cam"], ["increase"])
    again.open_store(tmp_path / "s.sqlite")
    assert again.pending == [1] and first.pending == []


def test_classes_are_told_by_a_list_and_explained_by_a_table(folder):
    found = limpid.evaluate(COLOURS, folder, ["grad-cam"], ["increase"], classes=["blue", "green", "red"], explain=[2, 0, 1])
    rows = found.images
    assert {(row["name"].split("/")[0], row["truth"], row["grad-cam class"]) for row in rows} == {
        ("blue", 0, 2), ("green", 1, 0), ("red", 2, 1)}
    assert found.summary["class"] == [2, 0, 1]


def test_parquet(local, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    local.to_parquet(tmp_path / "images.parquet")
    assert parquet.read_table(tmp_path / "images.parquet").to_pylist() == local.images


def test_parquet_without_pyarrow_says_what_to_install(local, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(limpid.Unsupported, match="pip install pyarrow"):
        local.to_parquet(tmp_path / "images.parquet")


@pytest.mark.parametrize("words, error, message", [
    (dict(methods=[{"name": "rise"}]), limpid.InvalidArgument, "methods are names"),
    (dict(methods=["grad-cam"], metrics=["precision"]), limpid.InvalidArgument, "has no boxes"),
    (dict(methods=["grad-cam"], metrics=["inserted"]), limpid.NotFound, "no metric"),
    (dict(methods=[{"method": "rise", "maskes": 3}]), limpid.NotFound, 'no parameter "maskes"'),
    (dict(methods=["rise"], resamples=10**9), limpid.InvalidArgument, "resamples"),
    (dict(methods=["rise"], engine="spork"), limpid.InvalidArgument, "ray"),
])
def test_what_cannot_be_evaluated_is_refused(folder, words, error, message):
    with pytest.raises(error, match=message):
        limpid.evaluate(COLOURS, folder, **words)


def test_statistics_are_a_part_of_what_names_an_evaluation(folder, tmp_path):
    path = tmp_path / "colours.onnx"
    path.write_bytes(COLOURS.read_bytes())
    model = limpid.Model(path)
    usual = model.estimate(sorted(folder.glob("*/*.png")), save=True)

    def evaluation(**settings):
        return limpid.Evaluation(model, folder, [{"method": "iba", "steps": 2, **settings}], ["deletion"])

    first = evaluation()
    record = first.record(0)
    evaluation().add(record)
    entry = first.summary["methods"][0]
    file = tmp_path / "colours.onnx.statistics.safetensors"
    assert entry["statistics_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    # What is fed is told by the draws, and the file is not read.
    fed = evaluation(draws={"mean": usual["mean"], "std": usual["std"], "active": usual["active"]})
    assert "statistics_sha256" not in fed.summary["methods"][0]
    value = [explained["values"][0]["value"] for explained in json.loads(record)["explanations"]]
    assert [each["values"][0]["value"] for each in json.loads(fed.record(0))["explanations"]] == value
    # Estimated anew, of other images: read again, and another evaluation.
    model.estimate(sorted(folder.glob("red/*.png")), save=True)
    with pytest.raises(limpid.InvalidArgument, match="estimated anew"):
        first.record(1)
    with pytest.raises(limpid.InvalidArgument, match="other settings"):
        evaluation().add(record)
    assert json.loads(evaluation().record(0))["explanations"] != json.loads(record)["explanations"]


@pytest.mark.parametrize("in_memory", [False, True])
def test_any_number_of_workers_gives_the_same_bytes(folder, local, tmp_path, in_memory):
    files = [folder / c / f"{i}.png" for c in sorted(NAMES) for i in range(4)]
    data = [(file.read_bytes(), file.parent.name) for file in files] if in_memory else folder
    methods = ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}]
    one = limpid.evaluate(COLOURS, data, methods, METRICS)
    for workers in (2, 5, 40):
        seen = []
        found = limpid.evaluate(
            COLOURS, data, methods, METRICS, workers=workers, store=tmp_path / f"{workers}.sqlite",
            progress=lambda done, total: seen.append(done / total))
        assert seen == sorted(seen) and seen[-1] == 1
        for name in ("results.json", "results.csv", "images.csv", "curves.csv", "report.html"):
            assert found.document(name) == one.document(name)
        again = limpid.Evaluation(COLOURS, data, methods, METRICS)
        again.open_store(tmp_path / f"{workers}.sqlite")
        assert again.pending == []
    assert one.table() == local.table()


@pytest.mark.parametrize("in_memory", [False, True])
def test_workers_stop_and_keep_what_is_done(folder, tmp_path, in_memory):
    data = [file.read_bytes() for file in sorted(folder.glob("*/*.png"))] if in_memory else folder
    found = limpid.Evaluation(COLOURS, data, [{"method": "rise", "masks": 400}], ["deletion"], threads=1)
    found.open_store(tmp_path / "store.sqlite")

    def stop(done, total):
        return done / total < 0.4

    with pytest.raises(limpid.Cancelled):
        found.run(workers=3, progress=stop)
    assert 3 <= 12 - len(found.pending) < 12
    again = limpid.Evaluation(COLOURS, data, [{"method": "rise", "masks": 400}], ["deletion"])
    again.open_store(tmp_path / "store.sqlite")
    assert again.pending == found.pending
    again.run(workers=2)
    assert again.pending == []
    for workers in (0, -1, 1025, "two"):
        with pytest.raises(limpid.InvalidArgument, match="between 1 and 1024"):
            again.run(workers=workers)


def articles(page):
    """What the gallery of a page shows: the parts of it that are of one image each."""
    return [part.split(b"</article>")[0] for part in page.split(b"<article")[1:]]


@pytest.mark.parametrize("workers", [1, 3])
def test_arrays_pillow_images_and_iterators(folder, local, tmp_path, workers):
    files = [folder / c / f"{i}.png" for c in sorted(NAMES) for i in range(4)]
    methods = ["grad-cam", {"method": "rise", "masks": 40, "seed": 2}]
    arrays = [(np.asarray(Image.open(file)), file.parent.name) for file in files]
    kinds = {
        "list": arrays, "pillow": [(Image.open(file), file.parent.name) for file in files],
        "iterator": iter(arrays), "files": ((file.read_bytes(), file.parent.name) for file in files),
    }
    for kind, data in kinds.items():
        found = limpid.evaluate(COLOURS, data, methods, METRICS, workers=workers, store=tmp_path / f"{kind}.sqlite")
        assert found.table() == local.table(), kind
        shown, expected = articles(found.document("report.html")), articles(local.document("report.html"))
        assert len(shown) == len(expected) > 1, kind
        # With so few images the middle one is among those that were kept.
        names = {f"image {i}".encode(): file.relative_to(folder).as_posix().encode() for i, file in enumerate(files)}
        for one, other in zip(shown, expected):
            name = next(name for name in names if b">" + name + b"<" in one)
            assert b">" + names[name] + b"<" in other
            assert one.replace(name, names[name]) == other, kind
    # From its store, and the iterator again: the same page, and nothing is evaluated anew.
    for kind, data in (("iterator", iter(arrays)), ("files", iter([(file, file.parent.name) for file in files]))):
        again = limpid.Evaluation(COLOURS, data, methods, METRICS)
        again.open_store(tmp_path / f"{kind}.sqlite")
        with pytest.MonkeyPatch.context() as patch:
            if kind == "iterator":
                patch.setattr(limpid.Evaluation, "_record", None)
            again.run(workers=workers)
        assert len(articles(again.document("report.html"))) == len(expected) and again.table() == local.table()


def test_an_iterator_is_read_as_it_is_needed_and_few_images_are_kept(folder):
    alive, most = set(), []

    class Counted(np.ndarray):
        pass

    def images(count):
        random = np.random.default_rng(3)
        for i in range(count):
            image = random.integers(0, 255, (40, 48, 3), np.uint8).view(Counted)
            alive.add(i)
            weakref.finalize(image, alive.discard, i)
            most.append(len(alive))
            yield image
            del image

    found = limpid.Evaluation(COLOURS, images(150), ["grad-cam"], ["deletion"])
    with pytest.raises(limpid.Cancelled):
        found.run(progress=lambda done, total: done < 100)
    assert len(found) == 100
    found.run()
    assert len(found) == 150 and max(most) <= 3
    page = found.document("report.html")
    assert 2 <= page.count(b"<article") <= 3 and b"worst deletion of grad-cam" in page and b"median deletion" in page
    values = [row["grad-cam deletion"] for row in found.images]
    for word, index in (("best", np.argmin(values)), ("worst", len(values) - 1 - np.argmax(values[::-1]))):
        part = next(part for part in articles(page) if f"{word} deletion".encode() in part)
        assert f">image {index}<".encode() in part
    for data in (iter([np.zeros((3, 32, 32), np.float32)]), [np.zeros((3, 32, 32), np.float32)]):
        failed = limpid.evaluate(COLOURS, data, ["grad-cam"], ["deletion"]).summary["data"]["failed"]
        assert "a uint8 array" in failed[0]["reason"]
    with pytest.raises(limpid.InvalidArgument, match="iterator"):
        limpid.evaluate(COLOURS, images(3), ["grad-cam"], ["deletion"], engine="dask")


def test_writing_results_can_be_stopped(folder, tmp_path):
    found = limpid.evaluate(COLOURS, folder, [{"method": "rise", "masks": 400}], ["deletion"], limit=6)
    seen = []
    found.write(tmp_path / "whole", progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and len(seen) > 20
    calls = []
    found.write(tmp_path / "part", progress=lambda done, total: calls.append(done) or len(calls) < len(seen) // 2)
    whole, part = ((tmp_path / name / "report.html").read_bytes() for name in ("whole", "part"))
    assert len(articles(part)) < len(articles(whole)) and b"interrupted" in part and b"interrupted" not in whole
    assert (tmp_path / "part/results.json").read_bytes() == (tmp_path / "whole/results.json").read_bytes()

    def fail(done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        found.write(tmp_path / "none", progress=fail)


def test_values_are_no_classes(tmp_path):
    network = Network()
    y = network.logits("x", 3, 2)
    network.save(tmp_path / "m.onnx", {"x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", 2])},
                 {f"limpid.output.{y}": "values", "limpid.preprocess": "scale 1/255"})
    images = [(np.full((12, 10, 3), 60 * i, np.uint8), i % 2) for i in range(3)]
    found = limpid.evaluate(tmp_path / "m.onnx", images, ["grad-cam"], ["deletion"])
    assert not found.summary["accuracy"] and not found.summary["confusion"] and found.table()[0]["images"] == 3
    assert found.images[0]["truth"] == 0 and found.images[0]["truth_rank"] is None
    for metric in ("accuracy", "confusion"):
        with pytest.raises(limpid.InvalidArgument, match="holds values, of which none is true"):
            limpid.evaluate(tmp_path / "m.onnx", images, [], [metric])
        with pytest.raises(limpid.InvalidArgument, match="no scores of classes"):
            limpid.Model(tmp_path / "m.onnx").measure([image for image, _ in images], None, metric, [0, 1, 0])


def test_what_a_caller_gives_wrongly_is_said_by_words(folder, red, tmp_path):
    evaluation = limpid.Evaluation(COLOURS, None, ["grad-cam"], ["precision"])
    for boxes, message in [([[1, 2, 3]], "boxes are x1, y1, x2, y2 each"), ([[9, 2, 3, 8]], "box 0 ends before it begins"),
                           (["a"], "boxes are x1")]:
        with pytest.raises(limpid.InvalidArgument, match=message):
            evaluation.add_sample("x", 0, boxes)
    with pytest.raises(limpid.InvalidArgument, match="no class -5; -1 where"):
        evaluation.add_sample("x", -5)
    (tmp_path / "file").write_text("")
    with pytest.raises(limpid.ReadWriteError, match="cannot make the folder .*file"):
        limpid.evaluate(COLOURS, [red], report=tmp_path / "file")
    with pytest.raises(limpid.InvalidArgument, match="not 3 things, ndarray, int, int$"):
        limpid.evaluate(COLOURS, [(red, 1, 2)])


def test_maps_without_numbers_count_in_no_mean_and_scores_without_fail(tmp_path):
    """Of black images the maps of one model are 0/0, of another all scores, of a third those of class 2."""
    images = [np.zeros((12, 10, 3), np.uint8)] + [
        np.random.default_rng(i).integers(40, 256, (12, 10, 3), dtype=np.uint8) for i in range(3)]

    def model(where):
        network = Network()
        features = network.features("x", 3)
        bright = network("ReduceMax", "x", axes=[1, 2, 3], keepdims=1)
        one = network("Div", bright, bright)
        if where == "map":  # attention that is multiplied by 0 for the scores, but that methods look at
            features = network("Mul", features, one)
            features = network("Where", network("IsNaN", features), np.float32(0.5), network("Identity", features, to="tapped"))
        y = network("Gemm", network("Flatten", network("GlobalAveragePool", features)), network.normal(6, 3), network.normal(3))
        if where == "scores":
            y = network("Mul", y, network("Flatten", one))
        if where == "class 2":
            y = network("Concat", network("Slice", y, np.array([0]), np.array([2]), np.array([1])), network(
                "Mul", network("Slice", y, np.array([2]), np.array([3]), np.array([1])), network("Flatten", one)), axis=1)
        path = tmp_path / "m.onnx"
        network.save(path, {"x": ("float32", ["N", 3, 12, 10])}, {y: ("float32", ["N", 3])})
        return limpid.Model(path, preprocess="scale 1/255")

    activation = {"method": "activation-map", "layer": "tapped"}
    found = limpid.evaluate(model("map"), images, [activation], ["insertion", "deletion", "pixel-flipping"])
    rows = found.images
    for result in found.table():
        values = [row[f"activation-map {result['metric']}"] for row in rows]
        assert values[0] is None and None not in values[1:] and result["images"] == 3
        assert result["mean"] == pytest.approx(np.mean(values[1:]), rel=1e-12)
    found = limpid.evaluate(model("scores"), images, ["occlusion"], ["insertion"])
    (failed,) = found.summary["data"]["failed"]
    assert failed["reason"] == "the model's scores of this image are NaN, so that it predicts no class"
    assert found.table()[0]["images"] == 3
    found = limpid.evaluate(model("class 2"), [(image, 2) for image in images])
    assert found.images[0]["predicted"] in (0, 1) and found.images[0]["truth_rank"] == 2
