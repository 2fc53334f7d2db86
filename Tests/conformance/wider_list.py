"""Counts ONNX's node cases of the operators that image classifiers and their kin have, and how many of them pass.

    python Tests/conformance/wider_list.py

A case counts once for each of these operators that its graph has; those named *_expanded (functions spelled out) are left out.
What does not pass is read from excluded.txt, which test_nodes.py keeps true.
"""

import fnmatch
import warnings
from collections import Counter
from pathlib import Path

import onnx

OPERATORS = set("""
    Conv ConvTranspose DeformConv Gemm MatMul Einsum
    AveragePool MaxPool GlobalAveragePool GlobalMaxPool LpPool
    BatchNormalization LayerNormalization GroupNormalization InstanceNormalization RMSNormalization LRN LpNormalization
    MeanVarianceNormalization
    Softmax LogSoftmax Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Swish Mish Tanh Erf Softplus Softsign
    Clip ThresholdedRelu
    Add Sub Mul Div Pow Sqrt Exp Log Abs Neg Reciprocal Max Min Mean Sum Mod Floor Ceil Round Sign
    Equal Greater GreaterOrEqual Less LessOrEqual Where And Or Not
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd ReduceSumSquare ReduceLogSumExp ReduceLogSum ArgMax ArgMin
    TopK CumSum
    Reshape Transpose Flatten Squeeze Unsqueeze Concat Split Slice Gather GatherElements GatherND ScatterElements ScatterND Expand
    Tile Pad Shape Size Constant ConstantOfShape Cast CastLike Identity Range OneHot DepthToSpace SpaceToDepth NonZero Trilu EyeLike
    Resize Upsample GridSample AffineGrid CenterCropPad
    Attention RotaryEmbedding Dropout
    QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger
    ImageDecoder If Loop
""".split())

EXCLUSIONS = [
    line.split(maxsplit=1) for line in (Path(__file__).parent / "excluded.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def node_cases():
    """ONNX's node cases but the spelled-out functions, made by the installed package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators divide by zero, and say so
        from onnx.backend.test.case.node import collect_testcases

        return [case for case in collect_testcases(None) if "_expanded" not in case.name]


def exclusion(name):
    """Why a case does not pass; None where it does."""
    return next((reason for pattern, reason in EXCLUSIONS if fnmatch.fnmatchcase(name, pattern)), None)


def counts():
    """Cases of the operators, and of these what does not pass: {reason: how many}."""
    total, excluded = 0, Counter()
    for case in node_cases():
        reason = exclusion(case.name)
        found = len({node.op_type for node in case.model.graph.node} & OPERATORS)
        total += found
        if reason is not None:
            excluded[reason] += found
    return total, +excluded


def line():
    """What docs/conformance.md says."""
    total, excluded = counts()
    passing = total - sum(excluded.values())
    return (f"{passing} of {total} node cases of these {len(OPERATORS)} operators pass "
            f"({100 * passing / total:.1f} %; onnx {onnx.__version__})")


if __name__ == "__main__":
    print(f"{line()}, not:")
    for reason, count in counts()[1].most_common():
        print(f"{count:5} {reason}")
