"""Calls of operators whose gradients are judged: each axis, stride, pad and broadcast form that a rule treats apart.

A case is (operator, inputs, attributes, options). Inputs are arrays: floating-point ones are fed and differentiated
unless wrapped in `Weight`; integer ones are constants. Options: "opset", "outputs" (how many), "cuts" (pads below 0).
"""

import itertools

import numpy as np


class Weight:
    """A constant of the model."""

    def __init__(self, array):
        self.array = array


class Cases:
    def __init__(self, seed=7):
        self.random = np.random.default_rng(seed)
        self.all = []

    def x(self, *shape, low=-1.5, high=1.5):
        """Numbers that keep away from 0 and from each other, where functions have kinks."""
        count = int(np.prod(shape))
        grid = np.linspace(low, high, count + 1)[:-1] + (high - low) / (2 * count + 1)
        values = self.random.permutation(grid) + self.random.uniform(-0.2, 0.2, count) * (high - low) / (count + 1)
        return values.reshape(shape)

    def positive(self, *shape):
        return self.x(*shape, low=0.3, high=2.0)

    def add(self, operator, inputs, attributes=None, **options):
        self.all.append((operator, list(inputs), attributes or {}, options))


def ints(*values):
    return np.array(values, np.int64)


def elementwise(c):
    for name in ("Relu LeakyRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Mish Softplus Softsign "
                 "Tanh Erf Exp Reciprocal Neg Abs Sin Cos Sinh Cosh Asinh Atan").split():
        c.add(name, [c.x(2, 3, 4)], opset=18)
        c.add(name, [c.x(2, 5, 3, 3)], opset=18)
    for name in "Tan Asin Acos Atanh".split():
        c.add(name, [c.x(3, 4, low=-0.8, high=0.8)])
    for name in "Log Sqrt".split():
        c.add(name, [c.positive(3, 4)])
    c.add("Acosh", [c.positive(3, 4) + 1])
    for alpha in (0.3, 2.0):
        for name in "LeakyRelu Elu Celu ThresholdedRelu".split():
            c.add(name, [c.x(3, 7)], {"alpha": alpha})
    c.add("Selu", [c.x(3, 7)], {"alpha": 1.1, "gamma": 0.7})
    c.add("HardSigmoid", [c.x(3, 7)], {"alpha": 0.6, "beta": 0.4})
    for form in ("none", "tanh"):
        c.add("Gelu", [c.x(2, 3, 4)], {"approximate": form}, opset=20)
    c.add("Clip", [c.x(3, 5), Weight(np.float64(-0.52)), Weight(np.float64(0.71))])
    c.add("Clip", [c.x(3, 5), None, Weight(np.float64(0.71))])
    c.add("Clip", [c.x(3, 5)])
    c.add("Shrink", [c.x(3, 5)], {"lambd": 0.4, "bias": 0.1})


def broadcast(c):
    shapes = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 3, 4)), ((2, 3, 4, 5), (1, 3, 1, 1)),
              ((), (2, 3)), ((2, 3, 4, 5), (3, 1, 1)), ((5, 1), (1, 6)), ((2, 1, 4), (2, 3, 1))]
    for (a, b), name in itertools.product(shapes, "Add Sub Mul Div Max Min".split()):
        c.add(name, [c.x(*a), c.positive(*b) * (1 if name == "Div" else -0.7)])
    for a, b in shapes:
        c.add("Pow", [c.positive(*a), c.x(*b)])
    for exponent in (2.0, 0.5, 3.0, -1.0):
        c.add("Pow", [c.positive(2, 5), Weight(np.float64(exponent))])
    c.add("Pow", [c.x(2, 5), Weight(np.float64(3.0))])
    c.add("PRelu", [c.x(2, 3, 4, 4), c.x(3, 1, 1)])
    c.add("PRelu", [c.x(2, 3), c.x(1)])
    c.add("Sum", [c.x(2, 3), c.x(3), c.x(2, 1)])
    c.add("Mean", [c.x(2, 3), c.x(3), c.x(2, 1)])
    c.add("Max", [c.x(2, 3), c.x(3, low=-1.3, high=1.4), c.x(2, 1, low=-1.2, high=1.1)])
    c.add("Where", [np.array([[True, False, True], [False, False, True]]), c.x(2, 3), c.x(3)])
    c.add("Where", [np.array([True, False, True]), c.x(1), c.x(2, 3)])
    c.add("Mod", [c.positive(2, 3) * 3, c.positive(2, 3)], {"fmod": 1})


def movement(c):
    c.add("Reshape", [c.x(2, 3, 4), ints(4, -1)])
    c.add("Reshape", [c.x(2, 3, 4), ints(0, 12)])
    for axis in (0, 1, 2, -1):
        c.add("Flatten", [c.x(2, 3, 4)], {"axis": axis})
    c.add("Squeeze", [c.x(2, 1, 4, 1), ints(1, -1)])
    c.add("Squeeze", [c.x(2, 1, 4, 1)])
    c.add("Unsqueeze", [c.x(2, 3), ints(0, -1)])
    c.add("Identity", [c.x(2, 3)])
    c.add("Dropout", [c.x(2, 3)])
    for perm in itertools.permutations(range(3)):
        c.add("Transpose", [c.x(2, 3, 4)], {"perm": perm})
    c.add("Transpose", [c.x(2, 3, 4, 5)], {"perm": (0, 2, 3, 1)})
    c.add("Transpose", [c.x(2, 3, 4)])
    for axis in (0, 1, -1):
        sizes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
        for i, size in enumerate(sizes):
            size[axis] = 1 + i
        c.add("Concat", [c.x(*size) for size in sizes], {"axis": axis})
    for axis in (0, 1, -1):
        c.add("Split", [c.x(4, 6, 8), ints(1, 3) if axis == 0 else ints(2, 4) if axis == 1 else ints(5, 3)],
              {"axis": axis}, outputs=2)
    c.add("Split", [c.x(2, 7)], {"axis": 1, "num_outputs": 3}, outputs=3, opset=18)
    c.add("Slice", [c.x(4, 6), ints(1), ints(3), ints(0)])
    c.add("Slice", [c.x(4, 6), ints(-1, 5), ints(-10, 0), ints(0, 1), ints(-1, -2)])
    c.add("Slice", [c.x(2, 4, 6, 3), ints(0, 1), ints(100, 6), ints(1, 2), ints(2, 3)])
    c.add("Gather", [c.x(4, 5), ints(3, 0, 3)], {"axis": 0})
    c.add("Gather", [c.x(4, 5), ints(-1, 1)], {"axis": 1})
    c.add("Gather", [c.x(4, 5, 2), np.array([[0, 2], [2, 1]], np.int64)], {"axis": 1})
    c.add("Gather", [c.x(4, 5), np.array(2, np.int64)], {"axis": 1})
    c.add("GatherElements", [c.x(3, 3), np.array([[1, 2, 0], [2, 0, 0]], np.int64)], {"axis": 0})
    c.add("GatherElements", [c.x(3, 3), np.array([[1, 2], [2, 0], [0, 0]], np.int64)], {"axis": 1})
    c.add("GatherND", [c.x(3, 4, 2), np.array([[0, 1], [2, 3], [0, 1]], np.int64)])
    c.add("GatherND", [c.x(2, 3, 4), np.array([[1], [0]], np.int64)], {"batch_dims": 1})
    for reduction in ("none", "add", "mul", "max", "min"):
        c.add("ScatterElements", [c.x(3, 3), np.array([[1, 0, 2], [0, 2, 1]], np.int64), c.x(2, 3)],
              {"axis": 0, "reduction": reduction}, opset=18)
        c.add("ScatterND", [c.x(4, 3), np.array([[2], [0]], np.int64), c.x(2, 3)], {"reduction": reduction}, opset=18)
    duplicates = np.array([[1, 1, 2], [1, 2, 2]], np.int64)
    c.add("ScatterElements", [c.x(3, 3), duplicates, c.x(2, 3)], {"axis": 0}, opset=18)
    c.add("ScatterND", [c.x(4, 3), np.array([[2], [2]], np.int64), c.x(2, 3)], opset=18)
    for reduction in ("add", "mul", "max", "min"):
        c.add("ScatterElements", [c.x(3, 3), duplicates, c.x(2, 3)], {"axis": 0, "reduction": reduction}, opset=18)
        c.add("ScatterElements", [c.x(3, 4), duplicates, c.x(2, 3)], {"axis": 1, "reduction": reduction}, opset=18)
        c.add("ScatterND", [c.x(4, 3), np.array([[2], [2], [0]], np.int64), c.x(3, 3)], {"reduction": reduction},
              opset=18)
    # A product with a factor of 0 in one place, and with two in another.
    zeros = c.x(2, 3)
    zeros[0, 0] = zeros[0, 2] = zeros[1, 2] = 0
    c.add("ScatterElements", [c.x(3, 3), duplicates, zeros], {"axis": 0, "reduction": "mul"}, opset=18)
    for axis in (-1, 0, 1):
        c.add("OneHot", [np.array([[0, 2, -1], [1, 5, 1]], np.int64), np.array(3, np.int64), c.x(2)], {"axis": axis})
    c.add("ScatterND", [c.x(4, 3), np.array([[2, 0], [-1, 1], [0, 0]], np.int64), c.x(3)], {"reduction": "add"}, opset=18)
    c.add("Compress", [c.x(3, 4), np.array([True, False, True])], {"axis": 0})
    c.add("Compress", [c.x(3, 4), np.array([True, False, True, False, False, True])])
    c.add("Expand", [c.x(3, 1), ints(2, 3, 4)])
    c.add("Expand", [c.x(1, 3, 1, 1), ints(2, 3, 4, 5)])
    c.add("Tile", [c.x(2, 3), ints(2, 3)])
    for mode in ("constant", "reflect", "edge", "wrap"):
        c.add("Pad", [c.x(3, 4), ints(1, 2, 0, 1)], {"mode": mode}, opset=19)
        c.add("Pad", [c.x(1, 2, 3, 4), ints(0, 0, 1, 2, 0, 0, 2, 0)], {"mode": mode}, opset=19)
    c.add("Pad", [c.x(3, 4), ints(-1, 1, 0, -2)], {"mode": "constant"}, cuts=True)
    c.add("DepthToSpace", [c.x(1, 8, 2, 3)], {"blocksize": 2, "mode": "DCR"})
    c.add("DepthToSpace", [c.x(1, 8, 2, 3)], {"blocksize": 2, "mode": "CRD"})
    c.add("SpaceToDepth", [c.x(2, 3, 4, 6)], {"blocksize": 2})
    c.add("CumSum", [c.x(2, 4), np.array(1, np.int64)])
    c.add("CumSum", [c.x(2, 4), np.array(1, np.int64)], {"exclusive": 1, "reverse": 1})
    c.add("Trilu", [c.x(2, 4, 4)], {"upper": 1}, opset=14)
    c.add("Trilu", [c.x(2, 4, 4), np.array(-1, np.int64)], {"upper": 0}, opset=14)
    c.add("ReverseSequence", [c.x(4, 3, 2), ints(1, 4, 2)], {"time_axis": 0, "batch_axis": 1})


def reductions(c):
    names = "Sum Mean Max Min Prod L1 L2 SumSquare LogSum LogSumExp".split()
    for name in names:
        make = c.positive if name in ("LogSum", "Prod") else c.x
        for axes, keep in (((1,), 1), ((1,), 0), ((0, 2), 1), ((0, 2), 0), ((-1,), 0), (None, 1), (None, 0)):
            inputs = [make(2, 3, 4)] + ([] if axes is None else [ints(*axes)])
            c.add(f"Reduce{name}", inputs, {"keepdims": keep}, opset=18)
        c.add(f"Reduce{name}", [make(2, 3, 4, 2)], {"axes": (2, 3), "keepdims": 1}, opset=11)
    for axis in (0, 1, -1):
        c.add("Softmax", [c.x(2, 3, 4)], {"axis": axis})
        c.add("LogSoftmax", [c.x(2, 3, 4)], {"axis": axis})
    c.add("Softmax", [c.x(2, 3, 4)], {"axis": 1}, opset=11)
    c.add("LogSoftmax", [c.x(2, 3, 4)], {"axis": 1}, opset=11)
    c.add("TopK", [c.x(3, 6), ints(2)], {"axis": -1}, outputs=2)
    c.add("TopK", [c.x(3, 6), ints(2)], {"axis": 0, "largest": 0}, outputs=2)


def products(c):
    for a, b in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (3, 4, 5)), ((4,), (4, 5)),
                 ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((3, 4), (2, 4, 5))]:
        c.add("MatMul", [c.x(*a), c.x(*b)])
        c.add("MatMul", [c.x(*a), Weight(c.x(*b))])
    for ta, tb in itertools.product((0, 1), (0, 1)):
        a, b = ((4, 3) if ta else (3, 4)), ((5, 4) if tb else (4, 5))
        c.add("Gemm", [c.x(*a), c.x(*b), c.x(5)], {"transA": ta, "transB": tb, "alpha": 0.7, "beta": 1.3})
        c.add("Gemm", [c.x(*a), Weight(c.x(*b)), Weight(c.x(3, 5))], {"transA": ta, "transB": tb})
    c.add("Gemm", [c.x(3, 4), c.x(4, 5)])
    for equation, *shapes in [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("bhqd,bhkd->bhqk", (1, 2, 3, 4), (1, 2, 5, 4)),
                              ("ij->ji", (2, 3)), ("ij->i", (2, 3)), ("i,j->ij", (3,), (4,)), ("bij,kj->bik", (2, 3, 4), (5, 4)),
                              ("ii->i", (3, 3)), ("iij,jk->ki", (3, 3, 2), (2, 4)), ("ij,ij,jk->k", (2, 3), (2, 3), (3, 4)),
                              ("bij,bjk->ik", (1, 3, 4), (2, 4, 2)), ("a...,...b->ba...", (2, 3, 4), (3, 4, 5)), ("ij,kl->", (2, 3), (4, 2)), ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 2))]:
        c.add("Einsum", [c.x(*s) for s in shapes], {"equation": equation})


def convolutions(c):
    forms = [
        ((1, 3, 6, 7), (4, 3, 3, 3), {}), ((2, 3, 6, 7), (4, 3, 3, 3), {"pads": (1, 1, 1, 1)}),
        ((2, 3, 7, 8), (4, 3, 3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"pads": (0, 1, 2, 0), "strides": (2, 3)}),
        ((1, 3, 9, 9), (2, 3, 3, 3), {"dilations": (2, 2), "pads": (2, 2, 2, 2)}),
        ((1, 3, 9, 10), (2, 3, 3, 2), {"dilations": (2, 3), "strides": (2, 2), "pads": (1, 0, 1, 2)}),
        ((2, 4, 5, 5), (6, 2, 3, 3), {"group": 2, "pads": (1, 1, 1, 1)}),
        ((1, 6, 6, 6), (6, 1, 3, 3), {"group": 6, "pads": (1, 1, 1, 1), "strides": (2, 2)}),
        ((1, 6, 6, 6), (6, 1, 5, 5), {"group": 6, "pads": (2, 2, 2, 2)}),
        ((1, 3, 6, 6), (6, 1, 3, 3), {"group": 3}), ((2, 5, 4, 4), (7, 5, 1, 1), {}),
        ((2, 5, 5, 5), (7, 5, 1, 1), {"strides": (2, 2)}), ((1, 3, 9, 9), (8, 3, 4, 4), {"strides": (4, 4)}),
        ((1, 3, 7, 7), (4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": (2, 2)}),
        ((1, 3, 7, 6), (4, 3, 2, 4), {"auto_pad": "SAME_LOWER"}), ((1, 3, 7, 6), (4, 3, 2, 4), {"auto_pad": "VALID"}),
        ((2, 3, 9), (4, 3, 3), {"pads": (1, 1), "strides": (2,)}), ((1, 3, 5, 5), (4, 3, 3, 3), {"pads": (3, 3, 3, 3)}),
        ((1, 20, 6, 6), (36, 20, 3, 3), {"pads": (1, 1, 1, 1)}),
    ]
    for x, w, attributes in forms:
        c.add("Conv", [c.x(*x), Weight(c.x(*w)), Weight(c.x(w[0]))], attributes)
    for x, w, attributes in forms[:-1]:
        c.add("Conv", [c.x(*x), c.x(*w)], attributes)
    c.add("Conv", [c.x(1, 2, 4, 4), Weight(c.x(3, 2, 3, 3)), c.x(3)])
    for x, w, attributes in [
        ((1, 3, 4, 5), (3, 4, 3, 3), {}), ((2, 3, 4, 5), (3, 4, 3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1)}),
        ((1, 3, 4, 4), (3, 4, 2, 2), {"strides": (2, 2)}),
        ((1, 3, 4, 4), (3, 4, 3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1), "output_padding": (1, 1)}),
        ((1, 4, 4, 4), (4, 2, 3, 3), {"group": 2}), ((1, 4, 4, 4), (4, 1, 3, 3), {"group": 4, "strides": (2, 1)}),
        ((1, 3, 4, 4), (3, 2, 3, 3), {"dilations": (2, 2)}),
        ((1, 3, 4, 4), (3, 2, 4, 4), {"auto_pad": "SAME_UPPER", "strides": (2, 2)}),
        ((1, 3, 4, 4), (3, 2, 3, 3), {"output_shape": (9, 9), "strides": (2, 2)}), ((2, 3, 5), (3, 4, 3), {"strides": (2,)}),
    ]:
        c.add("ConvTranspose", [c.x(*x), Weight(c.x(*w))], attributes)
        c.add("ConvTranspose", [c.x(*x), c.x(*w)], attributes)


def pools(c):
    windows = [
        {"kernel_shape": (2, 2), "strides": (2, 2)}, {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)},
        {"kernel_shape": (3, 2), "strides": (1, 2), "pads": (1, 0, 0, 1)},
        {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1},
        {"kernel_shape": (3, 3), "auto_pad": "SAME_UPPER", "strides": (2, 2)},
    ]
    for attributes in windows:
        c.add("MaxPool", [c.x(2, 3, 7, 8)], attributes)
        c.add("AveragePool", [c.x(2, 3, 7, 8)], attributes, opset=19)
        c.add("AveragePool", [c.x(2, 3, 7, 8)], {**attributes, "count_include_pad": 1}, opset=19)
        c.add("LpPool", [c.x(1, 2, 7, 8)], {k: v for k, v in attributes.items() if k != "ceil_mode"}, opset=18)
    c.add("MaxPool", [c.x(2, 3, 9)], {"kernel_shape": (3,), "strides": (2,)})
    c.add("MaxPool", [c.x(1, 2, 8, 8)], {"kernel_shape": (2, 2), "dilations": (2, 3)})
    c.add("AveragePool", [c.x(1, 2, 5, 6, 4)], {"kernel_shape": (2, 2, 2), "strides": (2, 2, 2)}, opset=19)
    c.add("MaxPool", [c.x(1, 2, 4, 4, 4)], {"kernel_shape": (2, 2, 2), "strides": (2, 2, 2)})
    for p in (1, 3):
        c.add("LpPool", [c.x(1, 2, 7, 8)], {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "p": p}, opset=18)
    c.add("MaxPool", [c.x(2, 2, 5, 4, 6)], {"kernel_shape": (3, 2, 3), "strides": (2, 1, 2), "pads": (1, 0, 1, 1, 1, 0)})
    for name in "GlobalAveragePool GlobalMaxPool GlobalLpPool".split():
        c.add(name, [c.x(2, 3, 4, 5)])


def normalizations(c):
    def channels(n):
        return [Weight(c.positive(n)), Weight(c.x(n))]

    c.add("BatchNormalization", [c.x(2, 3, 4, 4), *channels(3), Weight(c.x(3)), Weight(c.positive(3))])
    c.add("BatchNormalization", [c.x(2, 3, 4, 4), c.positive(3), c.x(3), c.x(3), c.positive(3)])
    c.add("BatchNormalization", [c.x(2, 3, 4, 4), c.positive(3), c.x(3), Weight(c.x(3)), Weight(c.positive(3))],
          {"training_mode": 1})
    c.add("InstanceNormalization", [c.x(2, 3, 4, 5), c.positive(3), c.x(3)])
    c.add("LayerNormalization", [c.x(2, 3, 4), c.positive(3, 4), c.x(3, 4)], {"axis": 1}, opset=17)
    c.add("LayerNormalization", [c.x(2, 3, 4), Weight(c.positive(4)), Weight(c.x(4))], opset=17, outputs=3)
    c.add("RMSNormalization", [c.x(2, 3, 4), c.positive(4)], opset=23)
    c.add("GroupNormalization", [c.x(2, 4, 3, 3), c.positive(4), c.x(4)], {"num_groups": 2}, opset=21)
    c.add("InstanceNormalization", [c.x(2, 3, 4, 5), *channels(3)])
    c.add("InstanceNormalization", [c.x(2, 3, 6), *channels(3)], {"epsilon": 1e-3})
    for axis in (-1, 1, 2):
        shape = (2, 3, 4)[axis:]
        c.add("LayerNormalization", [c.x(2, 3, 4), Weight(c.positive(*shape)), Weight(c.x(*shape))], {"axis": axis},
              opset=17)
    c.add("LayerNormalization", [c.x(2, 3, 4), Weight(c.positive(4))], {"epsilon": 1e-3}, opset=17)
    c.add("RMSNormalization", [c.x(2, 3, 4), Weight(c.positive(4))], {"axis": -1}, opset=23)
    for groups in (1, 2, 4):
        c.add("GroupNormalization", [c.x(2, 4, 3, 3), *channels(4)], {"num_groups": groups}, opset=21)
    for axis, p in ((-1, 2), (1, 1)):
        c.add("LpNormalization", [c.x(2, 3, 4)], {"axis": axis, "p": p})
    c.add("LRN", [c.x(2, 6, 3, 3)], {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5})
    c.add("LRN", [c.x(1, 5, 2, 2)], {"size": 5, "alpha": 0.5})
    c.add("MeanVarianceNormalization", [c.x(2, 3, 4, 4)])


def sampling(c):
    for mode, coordinates in itertools.product(
            ("linear", "cubic", "nearest"), ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")):
        for sizes in ((1, 2, 7, 9), (1, 2, 3, 2)):
            c.add("Resize", [c.x(1, 2, 4, 5), None, None, ints(*sizes)],
                  {"mode": mode, "coordinate_transformation_mode": coordinates}, opset=18)
    c.add("Resize", [c.x(1, 2, 8, 8), None, None, ints(1, 2, 3, 3)], {"mode": "linear", "antialias": 1}, opset=18)
    c.add("Resize", [c.x(1, 2, 4, 4), None, Weight(np.array([1, 1, 2, 1.5], np.float32))], {"mode": "linear"}, opset=18)
    grid = c.random.uniform(-1.1, 1.1, (2, 3, 4, 2))
    for mode, padding in itertools.product(("linear", "cubic"), ("zeros", "border", "reflection")):
        c.add("GridSample", [c.x(2, 2, 5, 6), grid * 1.2], {"mode": mode, "padding_mode": padding}, opset=20)
    c.add("GridSample", [c.x(2, 2, 5, 6), grid * 1.2],
          {"mode": "linear", "padding_mode": "reflection", "align_corners": 1}, opset=20)
    for mode, padding, corners in itertools.product(("linear", "nearest", "cubic"), ("zeros", "border", "reflection"), (0, 1)):
        c.add("GridSample", [c.x(2, 2, 5, 6), Weight(grid)],
              {"mode": mode, "padding_mode": padding, "align_corners": corners}, opset=20)
    volume = c.random.uniform(-1.3, 1.3, (2, 2, 3, 2, 3))
    for mode, padding, corners in itertools.product(("linear", "nearest"), ("zeros", "border", "reflection"), (0, 1)):
        c.add("GridSample", [c.x(2, 2, 3, 4, 5), Weight(volume) if mode == "nearest" else volume],
              {"mode": mode, "padding_mode": padding, "align_corners": corners}, opset=20)
    for extents, axes in (((3, 8), (2, 3)), ((8, 3), (-2, -1)), ((5,), (1,)), ((1, 2, 3, 9), None)):
        c.add("CenterCropPad", [c.x(1, 2, 4, 5), ints(*extents)], {} if axes is None else {"axes": axes}, opset=18)
    offsets = c.random.uniform(-1.4, 1.4, (2, 2 * 6 * 2, 3, 2))
    strides = {"kernel_shape": (2, 3), "strides": (2, 3), "pads": (1, 0, 1, 1), "dilations": (1, 2), "offset_group": 2}
    c.add("DeformConv", [c.x(2, 4, 5, 7), c.x(6, 2, 2, 3), offsets, c.x(6), c.x(2, 12, 3, 2)], {"group": 2, **strides}, opset=19)
    c.add("DeformConv", [c.x(2, 4, 5, 7), c.x(3, 4, 2, 3), offsets], strides, opset=19)


def recurrences(c):
    for name, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction in ("forward", "reverse", "bidirectional"):
            d = 2 if direction == "bidirectional" else 1
            t, n, i, h = 4, 2, 3, 5
            weights = [c.x(d, gates * h, i) * 0.5, c.x(d, gates * h, h) * 0.5, c.x(d, 2 * gates * h) * 0.5]
            inputs = [c.x(t, n, i), *map(Weight, weights)]
            c.add(name, inputs, {"hidden_size": h, "direction": direction}, outputs=3 if name == "LSTM" else 2)
            if name == "GRU":
                c.add(name, inputs, {"hidden_size": h, "direction": direction, "linear_before_reset": 1}, outputs=2)
        c.add(name, inputs[:1] + [w.array * 1.0 for w in inputs[1:]], {"hidden_size": h, "direction": direction},
              outputs=3 if name == "LSTM" else 2)
        c.add(name, inputs[:1] + [Weight(w.array[:1]) for w in inputs[1:]] + [None, c.x(1, n, h)],
              {"hidden_size": h}, outputs=3 if name == "LSTM" else 2)
    # As long as an image read pixel by pixel.
    for name, gates, d in (("LSTM", 4, 1), ("GRU", 3, 2), ("RNN", 1, 1)):
        weights = [c.x(d, gates * 4, i) for i in (2, 4)]
        c.add(name, [c.x(784, 1, 2), *map(Weight, weights)],
              {"hidden_size": 4, "direction": "forward" if d == 1 else "bidirectional"}, outputs=3 if name == "LSTM" else 2)


def attention(c):
    c.add("Attention", [c.x(1, 2, 3, 4), c.x(1, 2, 5, 4), c.x(1, 2, 5, 4)], opset=23)
    c.add("Attention", [c.x(2, 3, 8), c.x(2, 5, 8), c.x(2, 5, 8)], {"q_num_heads": 2, "kv_num_heads": 2}, opset=23)
    c.add("Attention", [c.x(1, 4, 3, 4), c.x(1, 2, 5, 4), c.x(1, 2, 5, 4)], {"scale": 0.3}, opset=23)
    c.add("Attention", [c.x(1, 2, 4, 4), c.x(1, 2, 4, 4), c.x(1, 2, 4, 4)], {"is_causal": 1}, opset=23)
    qkv = [c.x(2, 2, 3, 4), c.x(2, 2, 5, 4), c.x(2, 2, 5, 6)]
    c.add("Attention", [*qkv, c.x(3, 5)], opset=23)
    c.add("Attention", [*qkv, c.x(2, 1, 3, 5)], {"softcap": 0.8}, opset=23)
    c.add("Attention", [*qkv, c.random.random((2, 1, 3, 5)) < 0.7], opset=23)
    c.add("Attention", [*qkv, None, c.x(2, 2, 3, 4), c.x(2, 2, 3, 6)], {"is_causal": 1}, opset=23, outputs=3)
    for mode in (0, 3):
        c.add("Attention", qkv, {"qk_matmul_output_mode": mode}, opset=23, outputs=4)


def rotations(c):
    angles, rows = c.x(7, 2), np.array([[0, 3, 6], [5, 1, 1]], np.int64)
    for interleaved in (0, 1):
        c.add("RotaryEmbedding", [c.x(2, 2, 3, 4), angles, -angles, rows], {"interleaved": interleaved}, opset=23)
        c.add("RotaryEmbedding", [c.x(2, 3, 12), angles, -angles, rows],
              {"interleaved": interleaved, "num_heads": 2, "rotary_embedding_dim": 4}, opset=23)
    c.add("RotaryEmbedding", [c.x(2, 2, 3, 6), c.x(2, 3, 2), c.x(2, 3, 2)], {"rotary_embedding_dim": 4}, opset=23)


def all_cases():
    c = Cases()
    for fill in (elementwise, broadcast, movement, reductions, products, convolutions, pools, normalizations, sampling,
                 recurrences, attention, rotations):
        fill(c)
    return c.all
