"""`precision` is a bound on the error of logits: bfloat16 rounds the factors of products with known weights of many channels
where the processor has AVX512-BF16, and is float32 elsewhere."""

import pickle

import limpid
import numpy as np
import pytest
from networks import Network

CHANNELS = 448


def network(path, activation="Relu"):
    """Convolutions of 3×3, of 1×1 and transposed, a depthwise one, and two fully connected layers."""
    n = Network(seed=3)

    def conv(x, inputs, outputs, size, group=1, **attributes):
        weights = n.normal(outputs, inputs // group, size, size) * np.float32((2 * group / inputs) ** 0.5 / size)
        return n(activation, n("Conv", x, weights, n.normal(outputs) * np.float32(0.1), group=group, **attributes))

    wide = conv("x", 3, CHANNELS, 3, pads=[1, 1, 1, 1], strides=[2, 2])
    mapped = conv(wide, CHANNELS, CHANNELS, 3, pads=[1, 1, 1, 1])
    mixed = conv(conv(mapped, CHANNELS, CHANNELS, 3, group=CHANNELS), CHANNELS, CHANNELS, 1)
    larger = n("ConvTranspose", mixed, n.normal(CHANNELS, 40, 2, 2) * np.float32(CHANNELS**-0.5), strides=[2, 2])
    pooled = n("Flatten", n("GlobalAveragePool", n(activation, mixed)))
    joined = n("Concat", pooled, n("Flatten", n("GlobalAveragePool", n(activation, larger))), axis=1)
    hidden = n("Gemm", joined, n.normal(400, CHANNELS + 40) * np.float32(0.1), n.normal(400), transB=1)
    scores = n("MatMul", n(activation, hidden), n.normal(400, 20) * np.float32(0.1), to="scores")
    return n.save(path, {"x": ("float32", ["N", 3, 24, 24])}, {scores: ("float32", ["N", 20])})


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    path = tmp_path_factory.mktemp("precision") / "network.onnx"
    judge = network(path)
    x = np.random.default_rng(1).normal(size=(3, 3, 24, 24)).astype(np.float32)
    return path, x, judge(x=x)[0].astype(np.float64)


def difference(a, b):
    return np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b)


def run(model, x):
    return model.run({"x": x})["scores"]


def test_bounds(case):
    path, x, expected = case
    errors = {name: difference(run(limpid.Model(path, precision=name), x), expected)
              for name in ("float32", "fast", "bfloat16")}
    assert errors["float32"] < 1e-5 and errors["fast"] < 1e-4 and errors["bfloat16"] < 2e-2
    assert errors["fast"] == errors["float32"]
    if limpid.Model(path, precision="bfloat16").computed_precision == "bfloat16":
        assert errors["bfloat16"] > 1e-4


def test_the_model_says_what_it_computes_in(case):
    assert [limpid.Model(case[0]).precision, limpid.Model(case[0]).computed_precision] == ["float32", "float32"]
    fast = limpid.Model(case[0], precision="fast")
    assert [fast.precision, fast.computed_precision] == ["fast", "float32"]
    rounded = pickle.loads(pickle.dumps(limpid.Model(case[0], precision="bfloat16")))
    assert rounded.precision == "bfloat16" and rounded.computed_precision in ("bfloat16", "float32")


def test_threads_and_batches_do_not_change_bits(case):
    path, x, _ = case
    whole = run(limpid.Model(path, precision="bfloat16", threads=1), x)
    assert np.array_equal(run(limpid.Model(path, precision="bfloat16", threads=3), x), whole)
    model = limpid.Model(path, precision="bfloat16")
    assert np.array_equal(np.concatenate([run(model, x[:1]), run(model, x[1:])]), whole)


def test_gradients_are_rounded_likewise(tmp_path, case):
    """Without kinks, whose sides rounding may change."""
    network(tmp_path / "smooth.onnx", "Tanh")
    exact, rounded = (limpid.Model(tmp_path / "smooth.onnx", precision=name) for name in ("float32", "bfloat16"))
    expected, found = (m.gradient(case[1][:1], [4], wrt="x").astype(np.float64) for m in (exact, rounded))
    assert difference(found, expected) < 2e-2
    assert (difference(found, expected) > 1e-5) == (rounded.computed_precision == "bfloat16")


def test_occlusion_has_the_bits_of_whole_runs(case):
    """No layer here is Winograd's in bfloat16, so whole runs sum directly too."""
    path, x, _ = case
    model = limpid.Model(path, precision="bfloat16")
    window = dict(window_height=8, window_width=8, stride_y=8, stride_x=8)
    found = model.explain(x[0], "occlusion", [4], **window)[0].details["attribution"][0]
    forms = np.stack([x[0]] * 10)
    for i in range(9):
        forms[1 + i, :, i // 3 * 8:i // 3 * 8 + 8, i % 3 * 8:i % 3 * 8 + 8] = 0
    scores = run(model, forms)[:, 4].astype(np.float64)
    expected = np.repeat(np.repeat((scores[0] - scores[1:]).reshape(3, 3), 8, 0), 8, 1).astype(np.float32)
    if model.computed_precision == "bfloat16":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_unknown_precisions_are_refused_by_name(case):
    with pytest.raises(limpid.InvalidArgument, match="no precision 'float16'; there are float32, fast, bfloat16"):
        limpid.Model(case[0], precision="float16")
