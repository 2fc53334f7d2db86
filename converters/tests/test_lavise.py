"""LaViSE models against what the original programs computed."""

import numpy as np
import pytest
from checkpoints import lavise_vocabulary, read_case, stand_in, write_lavise, write_zip
from conftest import metadata_of
from lavise_cases import CASES, FOLDER, SMALL, check_ranking, load, pictures, ranking

onnxruntime = pytest.importorskip("onnxruntime", reason="full-size networks need onnxruntime")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(case, arrays, session, path) by case name, converted once."""
    from limpid_convert.cli import main

    known = {}

    def convert(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            files = write_lavise(FOLDER / name, folder)
            case, arrays = load(name)
            more = ["--classifier", files["classifier"]] if "classifier" in files else []
            words = [files["explainer"], folder / "m.onnx", "--vocabulary", files["vocabulary"], *more,
                     "--architecture", case["backbone"], "--layer", case["layer_target"]]
            assert main(["lavise", *map(str, words)]) == 0
            session = onnxruntime.InferenceSession(str(folder / "m.onnx"), providers=["CPUExecutionProvider"])
            known[name] = case, arrays, session, folder / "m.onnx"
        return known[name]

    return convert


@pytest.mark.parametrize("name", SMALL)
def test_features_and_scores_are_the_originals(made, name):
    case, arrays, session, _ = made(name)
    features, logits = session.run(["features", "logits"], {"input": pictures(arrays)})
    assert list(features.shape[1:]) == case["feature_shape"]
    np.testing.assert_allclose(features.max(axis=(2, 3))[:, case["filter"]], arrays["max_acts"][0], rtol=1e-4)
    np.testing.assert_allclose(features[0, case["filter"]], arrays["features_u"], atol=1e-4 * features.max())
    np.testing.assert_allclose(features[0].mean(axis=(1, 2)), arrays["features_gap"], atol=1e-4)
    np.testing.assert_allclose(logits[:1], arrays["logits"], atol=1e-4 * np.abs(arrays["logits"]).max())


@pytest.mark.parametrize("name", CASES)
def test_embeddings_of_any_filters_are_the_originals(made, name):
    case, arrays, session, _ = made(name)
    feeds = {"input": pictures(arrays), "filters": np.array([case["filter_sparse"], case["filter"]])}
    found = session.run(["embeddings"], feeds)[0]
    np.testing.assert_allclose(found[:, 1], arrays["embs_all_projection"],
                               atol=1e-4 * np.abs(arrays["embs_all_projection"]).max())
    _, vectors = lavise_vocabulary(case)
    for embedding, expected in zip(found[:, 1], arrays["per_image_top_words"]):
        check_ranking(*_with(ranking(embedding, vectors, case["s"]), expected))
    assert np.isfinite(found).all()  # the sparse filter is silent in some images


def _with(ranked, expected):
    return ranked[0], expected, ranked[1]


def test_without_a_choice_every_filter_is_embedded(made):
    case, arrays, session, _ = made("resnet18-layer4")
    (found,) = session.run(["embeddings"], {"input": pictures(arrays)[:1]})
    assert found.shape == (1, 512, 300)
    np.testing.assert_allclose(found[0, case["filter"]], arrays["emb_projection"], atol=1e-3)


def test_the_vocabulary_is_in_the_model_with_its_words(made):
    import onnx

    case, _, _, path = made("resnet18-layer4")
    weights = {t.name: t for t in onnx.load(path).graph.initializer}
    words, vectors = lavise_vocabulary(case)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weights["vocabulary"]), vectors)
    assert bytes(onnx.numpy_helper.to_array(weights["vocabulary.words"])).decode().split("\n") == words


def test_metadata_says_where_everything_is(made):
    found = metadata_of(made("resnet18-layer4")[3])
    assert found["limpid.family"] == "lavise" and found["limpid.output.features"] == "features"
    explain = {k.rsplit("lavise.", 1)[1]: v for k, v in found.items() if k.startswith("limpid.explain.lavise.")}
    assert explain == {"features": "features", "pooled": "explainer.pooled", "embedding": "explainer.6", "head": "gap",
                       "layer": "layer4", "vocabulary": "vocabulary", "words": "vocabulary.words"}
    assert found["limpid.source"].count("checkpoint sha256 ") == 3


NARROW = dict(layer=2, width=8, size=6)


def narrow(change=lambda tensors: None, head=None, **sizes):
    """A small ResNet of basic blocks that ends at layer `layer`, with a head on top."""
    made = {**NARROW, **sizes}
    width = made["width"]
    names = {"conv1.weight": (width, 3, 7, 7)}

    def norm(name, channels):
        names.update({f"{name}.{p}": (channels,) for p in ("weight", "bias", "running_mean", "running_var")})

    norm("bn1", width)
    channels = width
    for stage in range(1, made["layer"] + 1):
        block, out = f"layer{stage}.0", width * 2 ** (stage - 1)
        names.update({f"{block}.conv1.weight": (out, channels, 3, 3), f"{block}.conv2.weight": (out, out, 3, 3)})
        norm(f"{block}.bn1", out)
        norm(f"{block}.bn2", out)
        if stage > 1:
            names[f"{block}.downsample.0.weight"] = (out, channels, 1, 1)
            norm(f"{block}.downsample.1", out)
        channels = out
    head = head or channels
    norm("fc.0", head)
    norm("fc.4", head)
    names.update({"fc.2.weight": (head, head), "fc.2.bias": (head,), "fc.6.weight": (made["size"], head),
                  "fc.6.bias": (made["size"],)})
    tensors = {name: stand_in(name, shape) for name, shape in names.items()}
    change(tensors)
    return tensors


STEPS = ("--preprocess", "resize exact 32 32 bilinear; scale 1/255")


@pytest.fixture
def files(tmp_path):
    """Writes explainer and vocabulary of a narrow network; gives the words of a command."""

    def write(tensors=None, vocabulary=None):
        write_zip(tmp_path / "e.pth", {"state_dict": tensors or narrow()})
        words, vectors = vocabulary or (["the", "of", "a b"], stand_in("v", (3, 6)))
        np.savez(tmp_path / "v.npz", words=np.array(words), vectors=vectors)
        return ["lavise", tmp_path / "e.pth", tmp_path / "m.onnx", "--vocabulary", tmp_path / "v.npz", *STEPS]

    return write


def test_a_network_that_ends_early_and_a_flattened_head_are_recognised(command, files, tmp_path):
    for head, form in ((16, "gap"), (16 * 16, "flatten")):
        status, _, said = command(*files(narrow(head=head)))
        assert status == 0, said
        found = metadata_of(tmp_path / "m.onnx")
        assert found["limpid.explain.lavise.layer"] == "layer2" and found["limpid.explain.lavise.head"] == form


@pytest.mark.parametrize("write", ["text", "counted", "torch"])
def test_vocabularies_of_other_kinds_are_the_same(command, files, tmp_path, write):
    words, vectors = ["the", "été", "a b"], stand_in("v", (3, 6))
    command(*files(vocabulary=(words, vectors)))
    expected = (tmp_path / "m.onnx").read_bytes()
    path = tmp_path / ("v.pt" if write == "torch" else "v.txt")
    lines = "".join(f"{w} {' '.join(repr(float(x)) for x in v)}\n" for w, v in zip(words, vectors))
    if write == "torch":
        write_zip(path, (words, {w: i for i, w in enumerate(words)}, vectors, 6))
    else:
        path.write_text(("3 6\n" if write == "counted" else "") + lines)
    status, _, said = command(*files()[:4], path, *STEPS)
    assert status == 0, said
    other = (tmp_path / "m.onnx").read_bytes()
    assert other.split(b"limpid.source")[0] == expected.split(b"limpid.source")[0]
    command(*files()[:4], path, *STEPS, "--limit-words", "2")
    assert b"a b" not in (tmp_path / "m.onnx").read_bytes()


@pytest.mark.parametrize("change, message", [
    (lambda t: t.pop("layer2.0.bn1.bias"), "missing      layer2.0.bn1.bias  expected [16]"),
    (lambda t: t.pop("fc.4.running_var"), "missing      fc.4.running_var  expected [16]"),
    (lambda t: t.update({"fc.2.weight": stand_in("x", (16, 9))}), "fc.2.weight  expected [16, 16], found [16, 9]"),
    (lambda t: t.update({"layer3.conv9.weight": stand_in("x", (2,))}), "unexpected   layer3.conv9.weight  found [2]"),
    (lambda t: t.update({"fc.0.weight": stand_in("x", (7,))}), "has (7,) numbers; expected 16"),
    (lambda t: t.pop("fc.0.running_mean"), "no LaViSE explainer"),
])
def test_tensors_that_do_not_fit_are_named(command, files, change, message):
    status, _, said = command(*files(narrow(change)))
    assert status == 1 and message in said, said


def test_wrong_pairings_are_refused(command, files, tmp_path):
    words = files()
    assert "the checkpoint ends at layer2" in command(*words, "--layer", "layer4")[2]
    assert "does not fit LaViSE on layer2 of resnet34" in command(*words, "--architecture", "resnet34")[2]
    other = narrow(layer=4)
    for name in [n for n in other if n.startswith("fc.")]:
        del other[name]
    other.update({"fc.weight": stand_in("fc.weight", (5, 64)), "fc.bias": stand_in("fc.bias", (5,))})
    write_zip(tmp_path / "c.pth", other)
    status, _, said = command(*words, "--classifier", tmp_path / "c.pth")
    assert status == 0, said
    other["bn1.bias"] = other["bn1.bias"] + 1
    write_zip(tmp_path / "c.pth", other)
    status, _, said = command(*words, "--classifier", tmp_path / "c.pth")
    assert status == 1 and "is not the network that" in said and "differs      bn1.bias  by up to 1" in said
    size = files(vocabulary=(["a"], stand_in("v", (1, 5))))
    assert "vectors of 5 numbers; the explainer makes 6" in command(*size)[2]


def test_vocabularies_that_are_none_are_refused(command, files, tmp_path):
    words = files()[:4]
    for name, content, message in [
        ("a.txt", b"the 1 2\nof 3\n", "line 2 has 1 numbers after its word; expected 2"),
        ("b.txt", b"the 1 x\n", "line 1 is no word with 2 numbers"),
        ("c.txt", b"\n", "line 1 has 0 numbers"),
        ("d.npz", b"junk", "expected arrays"),
        ("e.pth", b"junk", "not a torch checkpoint"),
    ]:
        (tmp_path / name).write_bytes(content)
        status, _, said = command(*words, tmp_path / name, *STEPS)
        assert status == 1 and message in said, said
