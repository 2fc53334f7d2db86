"""CA-Stream models against what the original program (full-size cases) and torch (narrow ones) computed."""

import json

import numpy as np
import pytest
from checkpoints import read_case, write_case, write_zip
from conftest import FIXTURES, ROOT, metadata_of, run_model

CA_STREAM = FIXTURES / "castream"
CASES = sorted(p.parent.name for p in CA_STREAM.glob("*/case.json"))


def options_of(case):
    """The options that a case needs beyond its checkpoint."""
    height, width = np.load(CA_STREAM / case / "expected.npz")["image_u8"].shape[:2]
    heads = json.loads((CA_STREAM / case / "case.json").read_text())["heads"]
    return ["--input-size", width, height] + (["--heads", heads] if heads > 1 else [])


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """{case: model path}, converted on demand, once."""
    from limpid_convert.cli import main

    made = {}

    def convert(case):
        if case not in made:
            directory = tmp_path_factory.mktemp(case)
            write_case(CA_STREAM / case, directory / "c.pth")
            arguments = ["ca-stream", directory / "c.pth", directory / "m.onnx", *options_of(case)]
            assert main([str(a) for a in arguments]) == 0
            made[case] = directory / "m.onnx"
        return made[case]

    return convert


def tensor_of(image):
    """The network's input for a picture of the right size, as torchvision's ToTensor and Normalize make it."""
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((image.astype(np.float32) / np.float32(255) - mean) / std).transpose(2, 0, 1)[None]


def test_there_are_cases():
    assert len(CASES) == 11


@pytest.mark.parametrize("case", CASES)
def test_the_model_computes_what_the_original_computed(converted, case):
    path, expected = converted(case), np.load(CA_STREAM / case / "expected.npz")
    about = json.loads((CA_STREAM / case / "case.json").read_text())
    found = run_model(path, tensor_of(expected["image_u8"]))
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=about["tolerance"]["logits"] * largest)
    assert list(found) == ["logits"] + [f"attention.{i}" for i in range(len(about["blocks"]))]
    for i in range(len(about["blocks"])):
        attention = expected[f"attn_{i}"]
        assert attention.shape[1] == about["heads"]
        for head, wanted in enumerate(attention[0]):
            assert wanted.std() > 0.01 * wanted.mean()  # the case would tell attention from a mere average
            np.testing.assert_allclose(found[f"attention.{i}"][0, head], wanted, rtol=0,
                                       atol=about["tolerance"]["maps"] * np.ptp(wanted))


def explanation_of(path):
    found = metadata_of(path)
    return {k.rsplit(".", 1)[1]: v for k, v in found.items() if k.startswith("limpid.explain.ca-stream.")}


def test_metadata_says_everything_that_the_graph_cannot(converted):
    found = metadata_of(converted("narrow-resnet-stream-h4"))
    assert found["limpid.format"] == "1" and found["limpid.family"] == "ca-stream"
    assert found["limpid.preprocess"].splitlines() == [
        "resize exact 64 96 bilinear", "scale 1/255", "normalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225"]
    assert found["limpid.output.logits"] == "logits" and found["limpid.output.attention.4"] == "token_attention"
    assert explanation_of(converted("narrow-resnet-stream-h4")) == {
        "outputs": "attention.0 attention.1 attention.2 attention.3 attention.4", "blocks": "base l1 l2 l3 l4",
        "heads": "4", "reduction": "mean", "normalize": "minmax", "upsample": "bilinear"}
    assert found["limpid.layers"].splitlines()[0] == "layer4.0.relu2 nchw"


@pytest.mark.parametrize("case, layer", [("narrow-convnext-stream", "features.7.1.block.6"),
                                         ("narrow-convnext-final", "features.7.1.block.6"),
                                         ("narrow-efficientnet-stream", "features.8.2")])
def test_the_first_layer_is_where_the_original_takes_its_class_activation_maps(converted, case, layer):
    import onnx

    assert metadata_of(converted(case))["limpid.layers"].splitlines()[0] == f"{layer} nchw"
    nodes = {n.name: n for n in onnx.load(converted(case), load_external_data=False).graph.node}
    assert nodes[layer].op_type in ("Transpose", "Mul")


def test_the_plain_variant_is_an_ordinary_classifier(converted):
    found = metadata_of(converted("resnet18-plain"))
    assert found["limpid.family"] == "classifier" and not [k for k in found if "explain" in k]


NARROW = "narrow-resnet-stream-h4"
FINAL = "narrow-resnet-final-h2"
CONVNEXT = "narrow-convnext-stream"


@pytest.fixture
def bare(tmp_path):
    """Writes a narrow case's flat state dict, changed by a function that may give another; gives its path."""

    def write(change=lambda tensors: None, case=NARROW):
        _, tensors = read_case(CA_STREAM / case)
        path = tmp_path / "bare.pth"
        write_zip(path, change(tensors) or tensors)
        return path

    return write


def prefixed(prefix, every=1):
    def change(tensors):
        return {(prefix if i % every == 0 else "") + name: t for i, (name, t) in enumerate(tensors.items())}

    return change


@pytest.mark.parametrize("change", [
    lambda tensors: None, prefixed("module."), prefixed("module.", every=2), prefixed("module.base_model."),
    lambda tensors: {"model_sdict": tensors}, lambda tensors: {"module.fc.bias": np.zeros(6, np.float32), **tensors},
])
def test_every_container_and_prefix_that_the_original_reads_is_read(command, bare, tmp_path, change):
    expected = np.load(CA_STREAM / NARROW / "expected.npz")
    status, _, said = command("ca-stream", bare(change), tmp_path / "m.onnx", *options_of(NARROW))
    assert status == 0, said
    found = run_model(tmp_path / "m.onnx", tensor_of(expected["image_u8"]))
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-4 * largest)


def test_both_spellings_of_the_final_variant_are_read(command, bare, tmp_path):
    expected = np.load(CA_STREAM / FINAL / "expected.npz")

    def respelt(tensors):
        return {n.replace("conv1.", "confinal."): t for n, t in tensors.items()}

    assert command("ca-stream", bare(respelt, FINAL), tmp_path / "m.onnx", *options_of(FINAL))[0] == 0
    found = run_model(tmp_path / "m.onnx", tensor_of(expected["image_u8"]))
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-4)
    status, _, said = command("ca-stream", bare(lambda t: {**t, **respelt(t)}, FINAL), tmp_path / "m.onnx")
    assert status == 1 and "both as conv1 and as confinal" in said


def test_tensors_of_something_else_are_passed_over_with_a_note(command, bare, tmp_path):
    path = bare(lambda t: t.update({"ema.decay": np.zeros(3, np.float32)}))
    status, _, said = command("ca-stream", path, tmp_path / "m.onnx", *options_of(NARROW))
    assert status == 0 and "note: ignored, as the original does: ema.decay" in said


def test_every_tensor_that_does_not_fit_is_listed_in_one_error(command, bare, tmp_path):
    def change(tensors):
        del tensors["l2.to_out.1.weight"], tensors["layer2.0.bn1.running_var"]
        tensors["cls_token"] = np.zeros((1, 1, 65), np.float32)
        tensors["layer1.1.conv1.weight"] = np.zeros((16, 16, 3, 3), np.float32)

    status, _, said = command("ca-stream", bare(change), tmp_path / "m.onnx", "--architecture", "resnet18")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert status == 1 and not (tmp_path / "m.onnx").exists()
    assert "the checkpoint does not fit resnet18, variant stream:" in lines[0]
    assert "missing l2.to_out.1.weight expected [48, 32]" in lines
    assert "missing layer2.0.bn1.running_var expected [32]" in lines
    assert "wrong shape cls_token expected [1, 1, 64], found [1, 1, 65]" in lines
    assert "missing layer2.1.conv1.weight expected [any, 32, 3, 3]" in lines


@pytest.mark.parametrize("case, options, says", [
    (NARROW, ("--architecture", "convnext_tiny"), "the tensors are those of resnet, not of convnext_tiny: "
     "features.1.0.layer_scale is missing, layer1.0.conv2.weight is there"),
    (CONVNEXT, ("--architecture", "resnet18"), "the tensors are those of convnext, not of resnet18"),
    (NARROW, ("--architecture", "vgg16"), "there is no CA-Stream for vgg16"),
    (NARROW, ("--architecture", "transformer"), "does not know the network 'transformer'"),
    (NARROW, ("--architecture", "resnet18_clsv3"), "resnet18_clsv3 is an experiment"),
    (NARROW, ("--architecture", "resnet18_v2"), "resnet18_v2 is an experiment"),
    (NARROW, ("--architecture", "resnet18_final", "--variant", "stream"), "contradicts"),
    (NARROW, ("--variant", "final"), "wrong shape  cls_token  expected [1, 1, 64], found"),
    (FINAL, ("--variant", "stream"), "missing      base.to_out.1.weight  expected [32, 64]"),
    ("resnet18-plain", ("--variant", "stream"), "variant stream (it looks like plain):"),
    (NARROW, ("--heads", "3"), "the 64 channels that base reads cannot be divided by 3"),
    (NARROW, ("--heads", "0"), "--heads 0"),
    (NARROW, ("--heads", "1000000000"), "--heads 1000000000"),
    (CONVNEXT, ("--heads", "2"), "this network has one head"),
    (CONVNEXT, ("--input-size", "31", "31"), "pictures of 31x31 are too small"),
    (NARROW, ("--input-size", "0", "64"), "make no sense"),
])
def test_wrong_pairings_say_what_was_expected_and_found(command, bare, tmp_path, case, options, says):
    if case == NARROW and options == ("--variant", "final"):
        path = bare(lambda t: t.update({"cls_token": np.zeros((1, 1, 48), np.float32)}), case)
    else:
        path = bare(case=case)
    status, _, said = command("ca-stream", path, tmp_path / "m.onnx", *options)
    assert status == 1 and says in said and not (tmp_path / "m.onnx").exists()


def test_a_stream_gives_its_plain_baseline_too(command, bare, tmp_path):
    status, _, said = command("ca-stream", bare(), tmp_path / "m.onnx", "--variant", "plain", "--input-size", 64, 64)
    assert status == 0 and "what its attention learnt is left out" in said
    assert list(run_model(tmp_path / "m.onnx", np.zeros((1, 3, 64, 64), np.float32))) == ["logits"]


@pytest.mark.parametrize("name, expected", [
    ("resnet18_stream", ("resnet18", "stream")), ("resnet18_clsv1", ("resnet18", "stream")),
    ("resnet50_v1", ("resnet50", "final")), ("convnext_base_v3", ("convnext_base", "final")),
    ("efficientnet_b0_final", ("efficientnet_b0", "final")), ("resnext50_32x4d_stream", ("resnext50_32x4d", "plain")),
    ("wide_resnet50_2", ("wide_resnet50_2", None)), (None, (None, None)),
])
def test_the_originals_names_of_models_say_the_variant(name, expected):
    from limpid_convert.families.ca_stream_names import model

    assert model(name, None) == expected


def test_labels_are_kept_and_counted(command, bare, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\ncrow\ndeer\neel\nfox\n")
    options = (*options_of(NARROW), "--labels", labels)
    assert command("ca-stream", bare(), tmp_path / "m.onnx", *options)[0] == 0
    assert metadata_of(tmp_path / "m.onnx")["limpid.labels"].endswith("eel\nfox")
    labels.write_text("ant\n")
    assert "1 names for a model of 6 classes" in command("ca-stream", bare(), tmp_path / "m.onnx", *options)[2]


def test_inspect_recognises_it(command, bare):
    for case in (NARROW, FINAL, CONVNEXT, "narrow-convnext-final", "narrow-efficientnet-final"):
        assert "ca-stream" in command("inspect", bare(case=case))[1]


def test_efficientnets_depths_are_those_of_the_paper():
    from limpid_convert.backbones.efficientnet import ARCHITECTURES

    assert ARCHITECTURES["efficientnet_b0"] == (1, 2, 2, 3, 3, 4, 1)
    assert ARCHITECTURES["efficientnet_b7"] == (4, 7, 7, 10, 10, 13, 4)


def test_the_checkpoint_of_the_example_which_torch_wrote_becomes_its_model(command, tmp_path):
    import onnx

    example = ROOT / "examples" / "digits-ca-stream" / "resnet18-stream"
    options = ("--inline", "--input-size", 160, 160)
    assert command("ca-stream", f"{example}.pth", tmp_path / "m.onnx", *options)[0] == 0
    assert onnx.load(tmp_path / "m.onnx").graph == onnx.load(f"{example}.onnx").graph
