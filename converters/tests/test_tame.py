"""TAME models against what the original program computed, and against an independent head where it is not covered."""

import json

import numpy as np
import onnx
import pytest
from checkpoints import stand_in, write_zip
from conftest import ROOT, metadata_of, run_model
from onnx import TensorProto, helper
from tame_cases import attention, convert, judge

from limpid_convert.cli import main

TAME = ROOT / "Tests" / "Fixtures" / "tame"
CASES = sorted(p.parent.name for p in TAME.glob("*/case.json"))
VERSIONS = ("TAME", "Noskipconnection", "NoskipNobatchnorm", "Sigmoidinfeaturebranch")
WIDTHS, SIDES, CLASSES = (4, 6, 8), (12, 6, 3), 5


def test_there_are_cases():
    assert len(CASES) == 6


@pytest.mark.parametrize("case", CASES)
def test_the_model_computes_what_the_original_computed(tmp_path, case):
    pytest.importorskip("onnxruntime")
    expected = np.load(TAME / case / "expected.npz")
    path = convert(main, TAME / case, tmp_path)
    x = expected["image_u8"].transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    found = run_model(path, x)
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-4 * largest)
    maps = expected["attention"]
    assert all(m.std() > 0.05 * np.ptp(m) for m in maps)  # the case would tell a flat map from a true one
    np.testing.assert_allclose(found["attention"][0, expected["labels"]], maps, rtol=0, atol=1e-4 * np.ptp(maps))
    family = json.loads((TAME / case / "case.json").read_text())["family"]
    described = metadata_of(path)
    assert described["limpid.family"] == family and described["limpid.output.attention"] == "attention"
    assert described[f"limpid.explain.{family}.output"] == "attention"


def network(path, opset=17, batch="N", side=24, classes=CLASSES, metadata=()):
    """A foreign classifier: three stages that each halve the picture; `sum2` is read by an activation alone."""
    nodes, weights, channels, last = [], {}, 3, "x"
    for i, width in enumerate(WIDTHS):
        weights[f"w{i}"] = stand_in(f"w{i}", (width, channels, 3, 3))
        nodes += [
            helper.make_node("Conv", [last, f"w{i}"], [f"sum{i}"], name=f"stage{i}.conv", pads=[1] * 4, strides=[2, 2]),
            helper.make_node("Relu", [f"sum{i}"], [f"stage{i}.relu"], name=f"/stage{i}/act"),
        ]
        last, channels = f"stage{i}.relu", width
    weights["fc"] = stand_in("fc", (channels, classes))
    nodes += [helper.make_node("GlobalAveragePool", [last], ["pool"]), helper.make_node("Flatten", ["pool"], ["flat"]),
              helper.make_node("MatMul", ["flat", "fc"], ["scores"])]
    info = helper.make_tensor_value_info
    tensors = [helper.make_tensor(n, TensorProto.FLOAT, a.shape, a.ravel()) for n, a in weights.items()]
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, [batch, 3, side, side])],
                              [info("scores", TensorProto.FLOAT, [batch, classes])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    for node in model.graph.node[1:2]:  # as PyTorch's newer exporter tells modules
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'body', 'body.0', 'relu_1']")
    for key, value in metadata:
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


@pytest.fixture
def attach(command, tmp_path):
    """Converts with a foreign classifier: attach(state, layers, *options) -> (status, said, model path)."""

    def run(state, layers, *options, **changes):
        write_zip(tmp_path / "a.pt", {"epoch": 1, "state_dict": state, "optimizer": {}})
        model = network(tmp_path / "net.onnx", **changes)
        status, _, said = command("tame", tmp_path / "a.pt", tmp_path / "m.onnx", "--backbone", model,
                                  "--layers", layers, *options)
        return status, said, tmp_path / "m.onnx"

    return run


def features(path, names, x):
    """Values of a model, each as it is computed there."""
    model = onnx.load(path)
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    path = path.with_name("tapped.onnx")
    onnx.save(model, path)
    found = evaluate(path, x)
    return [found[name] for name in names]


def evaluate(path, x):
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(str(path))
    return dict(zip(session.output_names, session.run(None, {"x": x})))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("count", (1, 2, 3))
def test_every_version_on_any_number_of_feature_maps(attach, version, count):
    names = [f"stage{i}.relu" for i in range(count)]
    state = attention(WIDTHS[:count], 7, version)
    status, said, path = attach(state, ",".join(reversed(names)), "--version", version)  # any order is graph order
    assert status == 0, said
    assert "attention has 7 maps; kept are those of the classifier's 5 classes" in said
    x = np.random.default_rng(1).standard_normal((2, 3, 24, 24)).astype(np.float32)
    wanted = judge(features(path, names, x), state, version)[:, :CLASSES]
    found = evaluate(path, x)
    assert found["attention"].shape == (2, CLASSES, 12, 12)
    np.testing.assert_allclose(found["attention"], wanted, rtol=0, atol=1e-5 * np.ptp(wanted))


def test_the_foreign_classifier_keeps_its_scores_and_its_metadata(attach, tmp_path):
    steps = "resize exact 24 24 bilinear\nscale 1/255"
    given = (("limpid.preprocess", steps), ("limpid.labels", "a\nb\nc\nd\ne"), ("author", "someone"))
    status, said, path = attach(attention(WIDTHS, CLASSES), "stage0,stage1,stage2", metadata=given)
    assert status == 0 and "preprocessing are the classifier's own" in said
    described = metadata_of(path)
    assert described["limpid.preprocess"] == steps and described["author"] == "someone"
    assert described["limpid.labels"].split() == list("abcde")
    assert described["limpid.output.scores"] == "logits" and described["limpid.family"] == "tame"
    assert described["limpid.explain.tame.layers"] == "stage0.relu stage1.relu stage2.relu"
    x = np.ones((1, 3, 24, 24), np.float32)
    np.testing.assert_array_equal(evaluate(path, x)["scores"], evaluate(tmp_path / "net.onnx", x)["scores"])


def test_without_preprocessing_it_says_so(attach):
    assert "add it with --preprocess" in attach(attention(WIDTHS, CLASSES), "stage0,stage1,stage2")[1]
    status, _, path = attach(attention(WIDTHS, CLASSES), "stage0,stage1,stage2", "--preprocess",
                             "resize exact 24 24 bilinear; scale 1/255")
    assert status == 0 and metadata_of(path)["limpid.preprocess"].endswith("scale 1/255")


def test_a_layer_that_an_activation_changes_in_place_is_taken_after_it(attach):
    state = attention(WIDTHS[1:], CLASSES)
    x = np.random.default_rng(2).standard_normal((1, 3, 24, 24)).astype(np.float32)
    for options, tapped in (((), "stage1.relu"), (("--no-in-place",), "sum1")):
        status, said, path = attach(state, "sum1,stage2.relu", *options)
        assert status == 0 and ("in place" in said) == (not options)
        wanted = judge(features(path, [tapped, "stage2.relu"], x), state)
        np.testing.assert_allclose(evaluate(path, x)["attention"], wanted, rtol=0, atol=1e-5 * np.ptp(wanted))


def test_layers_may_be_named_by_value_node_and_module(attach):
    for first in ("stage0", "stage0.relu", "/stage0/act", "body.0", "body"):
        status, said, _ = attach(attention(WIDTHS, CLASSES), f"{first},/stage1/act,stage2")
        assert status == 0 and "from stage0.relu 4x12x12, stage1.relu 6x6x6, stage2.relu 8x3x3" in said
    assert "no layer 'relu_1'" in attach(attention(WIDTHS, CLASSES), "relu_1,stage1,stage2")[1]


def test_maps_have_at_most_56_rows_and_pictures_any_size(attach):
    state = attention(WIDTHS[:2], CLASSES)
    status, said, path = attach(state, "stage0,stage1", "--input-size", "150", "150", side=None)
    assert status == 0 and "maps 5x56x56" in said
    for side in (150, 130):  # the size of the maps is the model's, not the picture's
        x = np.random.default_rng(3).standard_normal((1, 3, side, side)).astype(np.float32)
        assert evaluate(path, x)["attention"].shape == (1, 5, 56, 56)


def test_old_and_fixed_models_are_taken_too(attach):
    assert attach(attention(WIDTHS, CLASSES), "stage0,stage1,stage2", opset=11)[0] == 0
    status, said, path = attach(attention(WIDTHS, CLASSES), "stage0,stage1,stage2", batch=1)
    assert status == 0 and evaluate(path, np.ones((1, 3, 24, 24), np.float32))["attention"].shape == (1, 5, 12, 12)


@pytest.mark.parametrize("widths, layers, version, message", [
    ((5, 6, 8), "stage0,stage1,stage2", "TAME", "3 feature maps of 5, 6, 8 channels, in graph order; the layers are 3"),
    (WIDTHS, "stage0,stage1", "TAME", "the layers are 2: stage0.relu with 4, stage1.relu with 6"),
    (WIDTHS[:2], "stage0,stage1,stage2", "TAME", "reads 2 feature maps"),
    (WIDTHS, "stage0,stage1,stage2", "NoskipNobatchnorm", "--version NoskipNobatchnorm: the tensors are those of TAME"),
    (WIDTHS, "stage0,stage1,flat", "TAME", "not a map [N, C, H, W]"),
    (WIDTHS, "stage0,stage1,stage7", "TAME", "no layer 'stage7'; it has, for example"),
    (WIDTHS, "stage0,stage1,stage1.relu", "TAME", "names the same value as another layer"),
])
def test_wrong_pairings_name_what_was_expected_and_found(attach, widths, layers, version, message):
    status, said, path = attach(attention(widths, CLASSES), layers, "--version", version)
    assert status == 1 and message in said and not path.exists()


def test_too_few_maps_missing_and_extra_tensors_are_refused(attach):
    layers = "stage0,stage1,stage2"
    assert "has 4 maps; the classifier has 5 classes" in attach(attention(WIDTHS, 4), layers)[1]
    state = attention(WIDTHS, CLASSES)
    del state["attn.bns.1.bias"]
    state["attn.extra"] = np.zeros(3, np.float32)
    said = attach(state, layers)[1]
    assert "missing      attn.bns.1.bias  expected [6]" in said and "unexpected   attn.extra  found [3]" in said


def test_noskipconnection_has_three_normalisations_whatever_it_reads(attach):
    state = attention(WIDTHS[:2], 6, "Noskipconnection")
    assert "attn.bns.2.weight" in state and attach(state, "stage0,stage1")[0] == 0
    four = attention((*WIDTHS, 3), 6, "Noskipconnection")
    status, said, _ = attach(four, "stage0,stage1,stage2,x")
    assert status == 1
    renamed = attention((4, 4, 6, 8), 6, "Noskipconnection")
    status, said, _ = attach(renamed, "stage0,sum0,stage1,stage2", "--no-in-place")
    assert status == 1 and "the original does not run" in said


def test_the_version_is_read_from_the_tensors_or_the_directory(command, tmp_path):
    folder = tmp_path / "vgg16_Sigmoidinfeaturebranch"
    folder.mkdir()
    write_zip(folder / "epoch_1.pt", {"state_dict": attention(WIDTHS, CLASSES)})
    model = network(tmp_path / "net.onnx")
    status, _, said = command("tame", folder / "epoch_1.pt", tmp_path / "m.onnx", "--backbone", model, "--layers",
                              "stage0,stage1,stage2")
    assert status == 0 and "taken for Sigmoidinfeaturebranch" in said
    assert metadata_of(tmp_path / "m.onnx")["limpid.explain.tame.version"] == "Sigmoidinfeaturebranch"


def test_a_second_head_and_a_wrong_file_are_refused(attach, command, tmp_path):
    state = attention(WIDTHS, CLASSES)
    assert attach(state, "stage0,stage1,stage2")[0] == 0
    again = ("tame", tmp_path / "a.pt", tmp_path / "n.onnx", "--backbone", tmp_path / "m.onnx", "--layers",
             "stage0,stage1,stage2")
    assert "has a TAME head already" in command(*again)[2]
    write_zip(tmp_path / "a.pt", {"state_dict": {"attnM.op.weight": np.zeros((5, 8, 1, 1), np.float32)}})
    assert "an L-CAM checkpoint (limpid-convert lcam)" in command(*again)[2]


def narrow_classifier():
    """A VGG of one convolution a stage, by torchvision's names; its fourth and fifth pools are features.11 and 14."""
    state, channels = {}, 3
    for i, width in zip((0, 3, 6, 9, 12), (4, 4, 6, 8, 8)):
        state[f"features.{i}.weight"], state[f"features.{i}.bias"] = stand_in(f"c{i}",
            (width, channels, 3, 3)), stand_in("b", (width,))
        channels = width
    for i, inputs, outputs in ((0, 8 * 49, 6), (3, 6, 6), (6, 6, CLASSES)):
        state[f"classifier.{i}.weight"], state[f"classifier.{i}.bias"] = stand_in(f"l{i}",
            (outputs, inputs)), stand_in("d", (outputs,))
    return state


def t_tame(path, own, hyper_parameters, prefix="generic.attn_mech."):
    head = {prefix + n[len("attn."):]: t for n, t in attention((8, 8), CLASSES, "TAME").items()}
    both = {**{"generic.body." + n: t for n, t in own.items()}, **head}
    write_zip(path, {"epoch": 7, "state_dict": both, "optimizer_states": [], "hyper_parameters": hyper_parameters})
    return path


@pytest.mark.parametrize("known, options", [
    ({"layers": ["features.11", "features.14"], "attention_version": "TTAME"}, ()),
    ({"layers": "features.11 features.14", "attention_version": "TAME"}, ()),
    ({}, ("--layers", "features.11,features.14")),
    ({}, ("--layers", "features.11,features.14", "--backbone", "t.ckpt")),
    ({"layers": ["features.2"]}, ("--layers", "features.11,features.14", "--backbone", "plain.pth")),
])
@pytest.mark.parametrize("prefix", ["generic.attn_mech.", "generic.attn_mech.attn."])
def test_t_tames_one_file_gives_what_two_files_give(command, tmp_path, monkeypatch, known, options, prefix):
    monkeypatch.chdir(tmp_path)
    write_zip("plain.pth", narrow_classifier())
    write_zip("a.pt", {"state_dict": attention((8, 8), CLASSES, "TAME")})
    size = ("--input-size", 64, 64)
    status, _, said = command("tame", "a.pt", "plain.onnx", "--backbone", "plain.pth", "--layers",
        "features.11,features.14", *size)
    assert status == 0, said
    status, _, said = command("tame", t_tame("t.ckpt", narrow_classifier(), known, prefix), "m.onnx", *options, *size)
    assert status == 0, said
    x = np.random.default_rng(1).random((2, 3, 64, 64)).astype(np.float32)
    first, second = run_model("plain.onnx", x), run_model("m.onnx", x)
    assert list(first) == list(second) == ["logits", "attention"]
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_t_tames_network_is_named_by_its_checkpoint(command, tmp_path):
    path = t_tame(tmp_path / "t.ckpt", narrow_classifier(), {"model_name": "resnet18", "layers": ["layer3", "layer4"]})
    assert "missing      conv1.weight" in command("tame", path, tmp_path / "m.onnx")[2]
    path = t_tame(tmp_path / "t.ckpt", {"patch_embed.proj.weight": stand_in("p", (8, 3, 4, 4))}, {})
    assert "timm's vision transformer" in command("tame", path, tmp_path / "m.onnx")[2]
    write_zip(tmp_path / "a.pt", {"state_dict": attention((8, 8), CLASSES, "TAME")})
    assert "give its classifier as --backbone FILE" in command("tame", tmp_path / "a.pt", tmp_path / "m.onnx")[2]


def transformer():
    """The narrow vision transformer of the fixtures, which torchvision computed scores of: 17 tokens of 128 channels."""
    case = json.loads((ROOT / "Tests" / "Fixtures" / "backbones" / "vit.json").read_text())
    return {name: stand_in(name, shape) for name, shape in case["tensors"]}


@pytest.mark.parametrize("version", ["TAME", "TTAME"])
@pytest.mark.parametrize("form", ["one file", "two files", "onnx"])
def test_t_tame_on_a_vision_transformer(command, tmp_path, monkeypatch, version, form):
    monkeypatch.chdir(tmp_path)
    classes, blocks, side = 5, ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"), 4
    head = attention((128, 128), classes, "TAME")
    size = ("--input-size", 64, 64, "--layers", ",".join(blocks))
    if form == "one file":
        inner = {"generic.attn_mech.1." + n[len("attn."):]: t for n, t in head.items()}
        both = {**{"generic.body." + n: t for n, t in transformer().items()}, **inner}
        write_zip("t.ckpt", {"state_dict": both, "hyper_parameters": {"attention_version": version}})
        status, _, said = command("tame", "t.ckpt", "m.onnx", *size)
    else:
        write_zip("a.pt", {"state_dict": head})
        write_zip("vit.pth", transformer())
        if form == "onnx":
            assert command("classifier", "vit.pth", "vit.onnx", "--input-size", 64, 64)[0] == 0
        backbone = "vit.onnx" if form == "onnx" else "vit.pth"
        status, _, said = command("tame", "a.pt", "m.onnx", "--backbone", backbone, "--version", version, *size)
    assert status == 0, said
    assert metadata_of("m.onnx")["limpid.explain.tame.version"] == version
    model = onnx.load("m.onnx")
    for name in blocks:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 17, 128]))
    onnx.save(model, "taps.onnx")
    found = run_model("taps.onnx", np.random.default_rng(1).random((2, 3, 64, 64)).astype(np.float32))
    maps = []
    for name in blocks:
        tokens = found[name]
        planes = tokens[:, 1:].transpose(0, 2, 1).reshape(2, 128, side, side)
        maps.append(planes * tokens[:, 0, :, None, None] if version == "TTAME" else planes)
    expected = judge(maps, head)
    assert found["attention"].shape == (2, classes, side, side)
    np.testing.assert_allclose(found["attention"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def padded_network(path, side):
    """Two convolutions behind pads that the graph computes from the extents, as TensorFlow's padding is exported."""
    random = np.random.default_rng(5)
    weights, nodes, x, channels = {"two": np.array([2]), "three": np.array([3]), "zeros": np.zeros(2, np.int64)}, [], "x", 3
    for i, width in enumerate((6, 8)):
        def node(operator, name, *inputs, **attributes):
            nodes.append(helper.make_node(operator, list(inputs), [f"{name}.{i}"], **attributes))
            return f"{name}.{i}"

        weights[f"w{i}"] = random.normal(size=(width, channels, 3, 3)).astype(np.float32) / 3
        extents = node("Slice", "extents", node("Shape", "shape", x), "two", "ends")
        half = node("Div", "half", node("Add", "more", extents, "ones"), "two")  # ceil(extent / 2)
        total = node("Max", "total", node("Sub", "excess", node("Add", "reach", node("Mul", "back", node(
            "Sub", "steps", half, "ones"), "two"), "three"), extents), "none")
        before = node("Div", "before", total, "two")
        pads = node("Concat", "pads", "zeros", before, "zeros", node("Sub", "after", total, before), axis=0)
        x = node("Relu", "relu", node("Conv", "conv", node("Pad", "padded", x, pads), f"w{i}", strides=[2, 2]))
        channels = width
    weights.update(ones=np.ones(2, np.int64), none=np.zeros(2, np.int64), ends=np.array([4]),
                   d=random.normal(size=(8, CLASSES)).astype(np.float32))
    nodes += [helper.make_node("GlobalAveragePool", [x], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"]),
              helper.make_node("MatMul", ["flat", "d"], ["scores"])]
    graph = helper.make_graph(
        nodes, "padded", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
        [onnx.numpy_helper.from_array(a, n) for n, a in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize("side, given", [(20, ()), (19, ()), ("s", ("--input-size", 21, 21))])
def test_pads_that_shapes_decide(command, tmp_path, monkeypatch, side, given):
    monkeypatch.chdir(tmp_path)
    padded_network("padded.onnx", side)
    head = attention((6, 8), CLASSES, "TAME")
    write_zip("a.pt", {"state_dict": head})
    extent = side if isinstance(side, int) else 21
    status, _, said = command("tame", "a.pt", "m.onnx", "--backbone", "padded.onnx", "--layers", "relu.0,relu.1",
                              "--preprocess", f"resize exact {extent} {extent} bilinear; scale 1/255", *given)
    assert status == 0, said
    model = onnx.load("m.onnx")
    for name in ("relu.0", "relu.1"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    onnx.save(model, "taps.onnx")
    x = np.random.default_rng(1).random((2, 3, extent, extent)).astype(np.float32)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession("taps.onnx", providers=["CPUExecutionProvider"])
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"x": x})))
    expected = judge([found["relu.0"], found["relu.1"]], head)
    assert found["attention"].shape == expected.shape == (2, CLASSES, -(-extent // 2), -(-extent // 2))
    np.testing.assert_allclose(found["attention"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
