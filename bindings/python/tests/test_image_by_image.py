"""Batches whose values leave the caches begin image by image: with the numbers of all images at once, by the reference
evaluator of onnx, whatever couples the images, and with the bits of each image alone where nothing does."""

import numpy as np
import pytest
from networks import Network

import limpid

IMAGES, CHANNELS, SIDE = 6, 6, 224
INPUT = [IMAGES, CHANNELS, SIDE, SIDE]


def calls(path, x, threads=1):
    """The result, and how often the run asked whether to go on: before each step."""
    model = limpid.Model(path, threads=threads)
    asked = []
    result = model.run({"x": x}, ["y"], progress=lambda done, total: asked.append(done) or True)["y"]
    assert asked == sorted(asked)
    return result, len(asked)


def ints(*values):
    return np.array(values, np.int64)


def convolved(n, x="x"):
    return n("Conv", x, n.normal(CHANNELS, CHANNELS, 3, 3) / 5, n.normal(CHANNELS), pads=[1, 1, 1, 1])


def number_of_images(n):
    return n("CastLike", n("Gather", n("Shape", "x"), ints(0), axis=0), np.float32(0))


def vision(n, x):
    """Patches as a transformer has them, with a token that is repeated for each image."""
    patches = n("Conv", x, n.normal(24, CHANNELS, 4, 4) / 8, strides=[4, 4])
    shape = n("Shape", patches)
    images = n("Gather", shape, ints(0), axis=0)
    rows = n("Reshape", patches, n("Concat", images, ints(24, -1), axis=0))
    rows = n("Transpose", rows, perm=[0, 2, 1])
    token = n("Expand", n.normal(1, 1, 24), n("Concat", images, ints(1, 24), axis=0))
    rows = n("Concat", token, rows, axis=1)
    q, k = (n("MatMul", rows, n.normal(24, 24) / 5) for _ in range(2))
    weights = n("Softmax", n("MatMul", q, n("Transpose", k, perm=[0, 2, 1])), axis=-1)
    return n("ReduceMean", n("Add", n("MatMul", weights, rows), rows), axes=[1], keepdims=0)


def normalised(n, *maps):
    """The values joined along their channels, and normalised by given statistics, as in a DenseNet."""
    channels = CHANNELS * len(maps)
    scale, shift, mean, variance = n.normal(4, channels)
    return n("Relu", n("BatchNormalization", n("Concat", *maps, axis=1), scale, shift, mean, variance * variance + 1))


def dense(n):
    maps = [convolved(n)]
    for _ in range(3):
        weights = n.normal(CHANNELS, CHANNELS * len(maps), 3, 3) / 9
        maps.append(n("Conv", normalised(n, *maps), weights, pads=[1, 1, 1, 1]))
    return normalised(n, *maps, maps[0])


# What one image's numbers depend on: only itself.
APART = {
    "convolutions": lambda n: convolved(n, n("Relu", convolved(n))),
    "residual": lambda n: n("Relu", n("Add", convolved(n), "x")),
    "pools": lambda n: n("MaxPool", convolved(n), kernel_shape=[2, 2], strides=[8, 8]),
    "squeeze": lambda n: n("Mul", "x", n("Sigmoid", n("GlobalAveragePool", "x"))),
    "vectors": lambda n: n("Add", n("Flatten", n("GlobalMaxPool", convolved(n))), n.normal(CHANNELS)),
    "instances": lambda n: n("InstanceNormalization", convolved(n), n.normal(CHANNELS), n.normal(CHANNELS)),
    "layers": lambda n: n("LayerNormalization", n("Mul", "x", "x"), n.normal(SIDE), axis=-1),
    "softmax": lambda n: n("Softmax", n("Relu", "x"), axis=1),
    "windows": lambda n: n(
        "Reshape", n("Softmax", n("Reshape", n("Relu", "x"), ints(-1, SIDE * SIDE // 4)), axis=1),
        ints(-1, CHANNELS, SIDE, SIDE)),
    "slices": lambda n: n("Slice", n("Relu", "x"), ints(3, 20), ints(-2, 0), ints(2, 3), ints(1, -2)),
    "split": lambda n: n("Concat", n("Split", n("Relu", "x"), ints(2, 4), axis=1, outputs=2), "x", axis=1),
    "dense": dense,
    "joined with the image": lambda n: normalised(n, convolved(n), "x", n("Relu", "x")),
    "pad": lambda n: n("Pad", n("Relu", "x"), ints(0, 1, 2, 0, 0, 0, 1, 3)),
    "resize": lambda n: n("Resize", n("Relu", "x"), "", "", ints(IMAGES, CHANNELS, 112, 300), mode="linear"),
    "shuffle": lambda n: n("DepthToSpace", n("Conv", "x", n.normal(8, CHANNELS, 1, 1)), blocksize=2),
    "clip of ranks": lambda n: n("Clip", n("Mul", "x", n.normal(CHANNELS, 1, 1)), np.float32(-1), np.float32(1)),
    "vision": lambda n: vision(n, "x"),
}

# Where images meet, or a number counts them, from some step on.
TOGETHER = {
    "softmax over images": lambda n: n("Softmax", convolved(n), axis=0),
    "mean over images": lambda n: n("Sub", "x", n("ReduceMean", convolved(n), axes=[0])),
    "normalisation over images": lambda n: n("MeanVarianceNormalization", convolved(n)),
    "backwards": lambda n: n("Slice", convolved(n), ints(-1), ints(-99), ints(0), ints(-1)),
    "gathered": lambda n: n("Gather", convolved(n), ints(*reversed(range(IMAGES))), axis=0),
    "rolled": lambda n: n("Concat", *[n("Slice", convolved(n), ints(a), ints(b), ints(0)) for a, b in [(2, 6), (0, 2)]],
                          axis=0),
    "padded": lambda n: n("Pad", convolved(n), ints(1, 0, 0, 0, 0, 0, 0, 0)),
    "a factor for each": lambda n: n("Mul", convolved(n), n.normal(IMAGES, 1, 1, 1)),
    "a row of as many": lambda n: n("Add", n("ReduceMax", convolved(n), axes=[2, 3], keepdims=0),
                                    n("ReduceMean", "x", axes=[1, 2, 3], keepdims=0)),
    "places of maxima": lambda n: n(
        "CastLike", n("MaxPool", convolved(n), kernel_shape=[2, 2], strides=[8, 8], outputs=2) + ".1", np.float32(0)),
    "joined with maps of each": lambda n: normalised(n, convolved(n), n.normal(IMAGES, CHANNELS, SIDE, SIDE)),
    "turned": lambda n: n("Transpose", convolved(n), perm=[1, 0, 2, 3]),
    "counted": lambda n: n("Mul", convolved(n), number_of_images(n)),
    "ranked": lambda n: n("Mul", convolved(n), n("CumSum", n("Expand", np.float32(1), n(
        "Concat", n("Gather", n("Shape", "x"), ints(0), axis=0), ints(1, 1, 1), axis=0)), np.int64(0))),
    "products of images": lambda n: n("MatMul", n("Reshape", convolved(n), ints(IMAGES, -1)),
                                      n("Transpose", n("Reshape", "x", ints(IMAGES, -1)), perm=[1, 0])),
    "mixed axes": lambda n: n("Reshape", n("Transpose", n("Reshape", convolved(n), ints(3, 2, CHANNELS, -1)),
                                           perm=[1, 0, 2, 3]), ints(IMAGES, CHANNELS, -1)),
}


@pytest.mark.parametrize("name", [*APART, *TOGETHER])
def test_numbers_of_all_images(name, tmp_path):
    n = Network(4)
    (APART.get(name) or TOGETHER[name])(n)
    n.nodes[-1].output[0] = "y"
    judge = n.save(tmp_path / "m.onnx", {"x": ("float32", INPUT)}, {"y": ("float32", None)})
    x = n.normal(*INPUT)
    y, asked = calls(tmp_path / "m.onnx", x)
    expected, = judge(x=x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    for threads in 2, 4:
        assert calls(tmp_path / "m.onnx", x, threads)[0].tobytes() == y.tobytes()
    if name in APART:
        assert asked > IMAGES, "it was not run image by image"


def test_images_alone(tmp_path):
    n = Network(5)
    features = convolved(n, n("Relu", convolved(n)))
    n("Gemm", n("Flatten", n("GlobalAveragePool", features)), n.normal(CHANNELS, 9), to="y")
    n.save(tmp_path / "m.onnx", {"x": ("float32", ["n", *INPUT[1:]])}, {"y": ("float32", ["n", 9])})
    x = n.normal(*INPUT)
    for threads in 1, 2, 4:
        model = limpid.Model(tmp_path / "m.onnx", threads=threads)
        together = model.run({"x": x}, ["y", features])
        for count in 1, 2, 3, 5:
            for name, some in model.run({"x": x[:count]}, ["y", features]).items():
                assert some.tobytes() == together[name][:count].tobytes()


def test_it_can_be_stopped(tmp_path):
    n = Network(5)
    n("Relu", convolved(n), to="y")
    n.save(tmp_path / "m.onnx", {"x": ("float32", INPUT)}, {"y": ("float32", INPUT)})
    # With two threads it is asked before the steps of this thread's images, however many those are.
    for threads, most in (1, 1), (1, 7), (2, 1):
        model = limpid.Model(tmp_path / "m.onnx", threads=threads)
        asked = []
        with pytest.raises(limpid.Cancelled):
            model.run({"x": n.normal(*INPUT)}, ["y"], progress=lambda done, total: asked.append(done) or len(asked) < most)
        assert len(asked) == most
