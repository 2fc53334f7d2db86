import Graph

/// Every operator, by name. To add one, write its `plan` and list it here.
public enum Operators {
  /// nil where Limpid does not know the operator.
  public static func definition(_ name: String, domain: String) -> OperatorDefinition? {
    index[domain == "ai.onnx" ? "" : domain]?[name]
  }

  public static let all: [OperatorDefinition] = families.flatMap { $0 }

  private static let families: [[OperatorDefinition]] = [
    Arg.definitions,
    AxisFilters.definitions,
    AxisNormalization.definitions,
    Attention.definitions,
    BatchNormalization.definitions,
    Binary.definitions,
    Cast.definitions,
    Composition.definitions,
    Concat.definitions,
    Conv.definitions,
    ConvTranspose.definitions,
    Einsum.definitions,
    Gather.definitions,
    Gemm.definitions,
    Generators.definitions,
    GridSample.definitions,
    ImageDecoder.definitions,
    LayerNormalization.definitions,
    Logic.definitions,
    LpPool.definitions,
    MatMul.definitions,
    Norms.definitions,
    PassWithin.definitions,
    PixelShuffle.definitions,
    Pool.definitions,
    PoolGradients.definitions,
    Quantization.definitions,
    Recurrent.definitions,
    Reduce.definitions,
    Resize.definitions,
    RoundToSteps.definitions,
    Scan.definitions,
    Scatter.definitions,
    Shapes.definitions,
    Slice.definitions,
    Softmax.definitions,
    Tiling.definitions,
    TopK.definitions,
    Transpose.definitions,
    Unary.definitions,
  ]

  private static let index: [String: [String: OperatorDefinition]] = Dictionary(grouping: all, by: \.domain)
    .mapValues { Dictionary($0.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }) }
}
