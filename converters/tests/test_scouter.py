"""SCOUTER models against what the original program (full-size cases) and torch (narrow ones) computed."""

import json

import numpy as np
import pytest
from checkpoints import Namespace, read_case, stand_in, write_case, write_zip
from conftest import SCOUTER, metadata_of, run_model, tensor_of

CASES = sorted(p.parent.name for p in SCOUTER.glob("*/case.json"))
NARROW = "narrow-resnet18-s3-negative"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """{case: model path}, converted on demand, once."""
    from limpid_convert.cli import main

    made = {}

    def convert(case):
        if case not in made:
            directory = tmp_path_factory.mktemp(case)
            write_case(SCOUTER / case, directory / "c.pth")
            assert main(["scouter", str(directory / "c.pth"), str(directory / "m.onnx")]) == 0
            made[case] = directory / "m.onnx"
        return made[case]

    return convert


def test_there_are_cases():
    assert len(CASES) == 6


@pytest.mark.parametrize("case", CASES)
def test_the_model_computes_what_the_original_computed(converted, case):
    path, expected = converted(case), np.load(SCOUTER / case / "expected.npz")
    tolerance = json.loads((SCOUTER / case / "case.json").read_text())["tolerance"]
    found = run_model(path, tensor_of(expected["image_u8"], metadata_of(path)["limpid.preprocess"]))
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=tolerance["logits"] * largest)
    if "attn_class" not in expected:
        assert list(found) == ["logits"]
        return
    maps = expected["attn_class"]
    spread = np.ptp(maps)
    assert maps.std() > 0.05 * spread  # the case would tell a flat map from a true one
    np.testing.assert_allclose(found["attention"], maps, rtol=0, atol=tolerance["attn_class"] * spread)
    if "attn_slots" in expected:
        np.testing.assert_allclose(found["slot_attention"], expected["attn_slots"], rtol=0, atol=1e-4)
    rendered = (found["attention"][0] - found["attention"].min()) / np.ptp(found["attention"]) * 255
    levels = np.abs(rendered.astype(np.uint8).astype(int) - expected["map_u8"])
    assert levels.max() <= tolerance["map_u8_levels"]


def test_metadata_says_everything_that_the_graph_cannot(converted):
    case = NARROW
    found = metadata_of(converted(case))
    assert found["limpid.format"] == "1" and found["limpid.family"] == "scouter"
    assert found["limpid.preprocess"].splitlines() == [
        "resize exact 128 128 bilinear", "scale 1/255",
        "normalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225 float64"]
    assert found["limpid.output.logits"] == "logits" and found["limpid.output.attention"] == "attention"
    explain = {k.rsplit(".", 1)[1]: v for k, v in found.items() if k.startswith("limpid.explain.scouter.")}
    assert explain == {"output": "attention", "slot_output": "slot_attention", "slots_per_class": "3",
                       "sign": "negative", "normalize": "minmax_all_classes", "quantize": "truncate",
                       "upsample": "bilinear_u8", "power": "2", "lambda": "10.0"}
    assert found["limpid.layers"].splitlines()[0] == "backbone.layer4.1.relu2 nchw"
    source = dict(line.split(" ", 1) for line in found["limpid.source"].splitlines())
    assert source["architecture"] == "resnet18" and source["licence"] == "unknown: ask its authors"
    assert source["converter"].startswith("limpid-convert ") and len(source["checkpoint"]) == len("sha256 ") + 64


def test_mnist_is_one_gray_channel_with_its_digits_as_labels(converted):
    found = metadata_of(converted("resnet18-mnist-positive"))
    assert found["limpid.preprocess"].splitlines() == [
        "gray", "resize exact 260 260 bilinear", "scale 1/255", "normalize mean 0.1307 std 0.3081 float64"]
    assert found["limpid.labels"].split() == list("0123456789")


def test_the_fc_baseline_is_a_plain_classifier(converted):
    found = metadata_of(converted("resnest26d-imagenet10-fc"))
    assert found["limpid.family"] == "classifier" and not [k for k in found if "explain" in k]


def test_the_same_checkpoint_gives_the_same_bytes(command, tmp_path):
    write_case(SCOUTER / NARROW, tmp_path / "c.pth")
    contents = []
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        assert command("scouter", tmp_path / "c.pth", tmp_path / directory / "m.onnx")[0] == 0
        contents.append((tmp_path / directory / "m.onnx").read_bytes())
    assert contents[0] == contents[1]


@pytest.fixture
def bare(tmp_path):
    """Writes the narrow case's bare state dict, changed by a function; gives its path."""

    def write(change=lambda tensors: None, args=None):
        _, tensors = read_case(SCOUTER / NARROW)
        change(tensors)
        path = tmp_path / "bare.pth"
        write_zip(path, {"model": tensors, "args": Namespace(args)} if args else tensors)
        return path

    return write


OPTIONS = ("--sign", "negative", "--dataset", "cub200", "--input-size", "128", "128")


def test_options_stand_in_for_missing_arguments(command, bare, tmp_path):
    expected = np.load(SCOUTER / NARROW / "expected.npz")
    status, _, said = command("scouter", bare(), tmp_path / "m.onnx", "--classes", "5", *OPTIONS)
    assert status == 0, said
    steps = metadata_of(tmp_path / "m.onnx")["limpid.preprocess"]
    found = run_model(tmp_path / "m.onnx", tensor_of(expected["image_u8"], steps))
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("options, names", [
    ((), "--classes, --labels or --slots"),
    (("--slots", "3"), "--dataset"),
    (("--dataset", "cub200", "--slots", "3"), "--sign"),
    (("--dataset", "cub200", "--slots", "4", "--sign", "negative"), "15 slots"),
    (("--dataset", "mnist", "--slots", "3", "--sign", "negative"), "reads 3 channels"),
    (("--mean", "0.5", "0.5", "0.5", "--slots", "3", "--sign", "negative"), "--mean and --std"),
])
def test_what_is_not_known_is_asked_for_by_option(command, bare, tmp_path, options, names):
    status, _, said = command("scouter", bare(), tmp_path / "m.onnx", *options)
    assert status == 1 and names in said and not (tmp_path / "m.onnx").exists()


def test_an_option_that_contradicts_the_checkpoint_is_refused(command, bare, tmp_path):
    path = bare(args={"loss_status": -1, "slots_per_class": "3", "dataset": "CUB200", "img_size": "128"})
    assert command("scouter", path, tmp_path / "m.onnx", "--sign", "positive")[::2] == (
        1, "limpid-convert: --sign 1 contradicts the checkpoint, which says -1\n")
    assert command("scouter", path, tmp_path / "m.onnx")[0] == 0  # numbers kept as text are understood


def test_the_sign_and_data_set_are_read_from_the_original_file_name(command, bare, tmp_path):
    path = bare().rename(tmp_path / "CUB200_use_slot_negative_checkpoint.pth")
    assert command("scouter", path, tmp_path / "m.onnx", "--slots", "3")[0] == 0
    assert metadata_of(tmp_path / "m.onnx")["limpid.explain.scouter.sign"] == "negative"


def test_the_map_follows_the_picture_size(command, bare, tmp_path):
    options = ("--slots", "3", *OPTIONS[:-2], "160", "96")
    assert command("scouter", bare(), tmp_path / "m.onnx", *options)[0] == 0
    assert metadata_of(tmp_path / "m.onnx")["limpid.preprocess"].startswith("resize exact 160 96 ")
    found = run_model(tmp_path / "m.onnx", np.zeros((1, 3, 96, 160), np.float32))
    assert found["attention"].shape == (1, 5, 3, 5)


def test_labels_give_the_number_of_classes(command, bare, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\ncrow\ndeer\neel\n")
    assert command("scouter", bare(), tmp_path / "m.onnx", "--labels", labels, *OPTIONS)[0] == 0
    assert metadata_of(tmp_path / "m.onnx")["limpid.labels"] == "ant\nbee\ncrow\ndeer\neel"
    labels.write_text("ant\nbee\n")
    status, _, said = command("scouter", bare(), tmp_path / "m.onnx", "--labels", labels, *OPTIONS)
    assert status == 1 and "15 slots, which is not 2 classes" in said


def test_every_tensor_that_does_not_fit_is_listed_in_one_error(command, bare, tmp_path):
    def change(tensors):
        del tensors["slot.gru.weight_hh_l0"], tensors["backbone.layer3.0.conv2.weight"], tensors["slot.to_q.0.bias"]
        tensors["backbone.layer1.0.bn2.bias"] = np.zeros(9, np.float32)
        tensors["conv1x1.bias"] = np.zeros(16, np.int64)
        tensors["backbone.layer5.weight"] = np.zeros((1, 2), np.float32)

    status, _, said = command("scouter", bare(change), tmp_path / "m.onnx", "--classes", "5", *OPTIONS)
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert status == 1 and not (tmp_path / "m.onnx").exists()
    assert sorted(lines[1:]) == [
        "missing backbone.layer3.0.conv2.weight expected [24, 24, 3, 3]",
        "missing slot.gru.weight_hh_l0 expected [48, 16]",
        "unexpected backbone.layer5.weight found [1, 2]",
        "wrong shape backbone.layer1.0.bn2.bias expected [8], found [9]",
        "wrong type conv1x1.bias expected floating point, found int64",
    ]


@pytest.mark.parametrize("name, shape", [
    ("conv1x1.weight", (2**30, 0, 1, 1)), ("slot.initial_slots", (1, 2**40, 0)), ("backbone.conv1.weight", (0, 3, 7, 7)),
    ("slot.to_k.0.weight", (2**40, 0)), ("backbone.layer1.0.conv1.weight", (2**50, 8, 3, 0)),
    ("backbone.layer9999.0.conv1.weight", (1,)), ("slot.to_k." + "1" * 5000 + ".weight", (1,)),
    ("backbone.layer1.9999.conv1.weight", (1,)),
])
def test_sizes_and_numbers_out_of_all_proportion_are_refused(command, bare, tmp_path, name, shape):
    path = bare(lambda tensors: tensors.update({name: np.zeros(shape, np.float32)}))
    status, _, said = command("scouter", path, tmp_path / "m.onnx", "--classes", "5", *OPTIONS)
    assert status == 1 and "does not fit" in said and len(said) < 100_000


def test_the_wrong_architecture_is_refused(command, bare, tmp_path):
    options = ("--classes", "5", *OPTIONS, "--architecture")
    status, _, said = command("scouter", bare(), tmp_path / "m.onnx", *options, "resnet34")
    assert status == 1 and "missing      backbone.layer1.2.conv1.weight" in said
    status, _, said = command("scouter", bare(), tmp_path / "m.onnx", *options, "transformer")
    assert status == 1 and "does not know the network 'transformer'" in said


def test_position_code_separates_rows_and_columns():
    from limpid_convert.families.scouter_head import position_code

    code = position_code(8, 2, 3).astype(float)
    angle = 2 / 3.000001 * 2 * np.pi  # column 1 of 3
    assert np.allclose(code[4:, 0, 1], [np.sin(angle), np.cos(angle), np.sin(angle / 100), np.cos(angle / 100)])
    assert (code[:4] == code[:4, :, :1]).all() and (code[4:] == code[4:, :1]).all()


def test_stand_ins_are_what_the_fixtures_were_made_from():
    assert stand_in("conv1.weight", (1, 1, 1, 2), 0).ravel().tolist() == pytest.approx([0.10436926, 0.5923908])
