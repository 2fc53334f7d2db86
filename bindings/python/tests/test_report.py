"""Pages of explanations: Model.report, limpid_report."""

import html.parser
import pickle

import numpy as np
import pytest

import limpid


class Text(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.alternatives, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alternatives.append(dict(attributes)["alt"])

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)


def read(path):
    return Text(path.read_text("utf-8"))


def test_explanations_of_several_calls_stand_beside_their_image(model, image, tmp_path):
    other = image[:, ::-1].copy()
    first = model.explain([image, other], model.methods[0].name, classes=[0, 2])
    second = model.explain(image.copy(), "recipro-cam", classes=[0])
    model.report(first + second, tmp_path / "r.html", names=["a <b>.png"] * 2 + ["b.png"] * 2 + ["a <b>.png"])
    page = read(tmp_path / "r.html")
    method = model.methods[0].name
    labels = {why.class_index: why.label for why in first}
    assert page.alternatives == [
        "the image a <b>.png", f"{method} map of a <b>.png for {labels[0]}",
        f"recipro-cam map of a <b>.png for {labels[0]}", f"{method} map of a <b>.png for {labels[2]}",
        "the image b.png", f"{method} map of b.png for {labels[0]}", f"{method} map of b.png for {labels[2]}"]
    assert f"{100 * model.classify(image).max():.1f} %" in " ".join(page.texts)


def test_other_settings_of_a_method_have_a_name_of_their_own(model, image, tmp_path):
    found = model.explain(image, "rise", masks=4) + model.explain(image, "rise", masks=5) + model.explain(image, "rise", masks=4)
    model.report(found, tmp_path / "r.html")
    page = read(tmp_path / "r.html")
    assert page.alternatives[0] == "the image image 1"
    assert [alt.split()[0] for alt in page.alternatives[1:]] == ["rise", "rise@2", "rise"]
    text = "".join(page.texts)
    assert "masks = 4," in text and "masks = 5," in text


@pytest.mark.parametrize("wrong, error, words", [
    (lambda model, image: ([], {}), limpid.InvalidArgument, "no explanations"),
    (lambda model, image: (model.explain(image), {"names": ["a", "b", "c"]}), limpid.InvalidArgument, "3 names for 1"),
    (lambda model, image: (model.explain(image), {"colormap": "brown"}), limpid.NotFound, "brown"),
    (lambda model, image: (model.explain(np.zeros((3, 32, 32), np.float32)), {}), limpid.InvalidArgument,
     "tensor"),
    (lambda model, image: (pickle.loads(pickle.dumps(model.explain(image))), {}), limpid.InvalidArgument, "pickle"),
])
def test_what_is_no_page_is_refused(model, image, tmp_path, wrong, error, words):
    found, options = wrong(model, image)
    with pytest.raises(error, match=words):
        model.report(found, tmp_path / "r.html", **options)
    assert not (tmp_path / "r.html").exists()


def test_one_explanation_is_enough_and_what_is_none_is_refused(model, image, tmp_path):
    why = model.explain(image, "recipro-cam")[0]
    for given in (why, [why], iter([why])):
        model.report(given, tmp_path / "r.html")
        assert len(read(tmp_path / "r.html").alternatives) > 0
    for given in (image, None, [[why]], [image], 7):
        with pytest.raises(limpid.InvalidType, match="a report shows explanations"):
            model.report(given, tmp_path / "none.html")
    with pytest.raises(limpid.InvalidType, match="names are texts, or None; not 7"):
        model.report([why], tmp_path / "none.html", names=[7])
    for path in (7, None):
        with pytest.raises(limpid.InvalidType, match="is no path"):
            model.report(why, path)
    assert not (tmp_path / "none.html").exists()


def test_a_page_that_cannot_be_written_is_an_error_of_ours(model, image, tmp_path):
    why = model.explain(image, "recipro-cam")
    with pytest.raises(limpid.MissingFile, match="cannot write .*no.r.html': No such file") as caught:
        model.report(why, tmp_path / "no" / "r.html")
    assert isinstance(caught.value, FileNotFoundError) and caught.value.filename == tmp_path / "no" / "r.html"
    with pytest.raises(limpid.IsAFolder):
        model.report(why, tmp_path)
