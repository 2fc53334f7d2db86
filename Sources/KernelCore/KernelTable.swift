/// The numeric loops of one instruction set; each is described at the function of `Lanes` that it calls.
public struct KernelTable: Sendable {
  public typealias Floats = UnsafePointer<Float>
  public typealias MutableFloats = UnsafeMutablePointer<Float>
  public typealias Taps = UnsafePointer<UnsafePointer<Float>>

  public let panelWidth: @Sendable (_ columnsLeft: Int) -> Int
  public let multiply: @Sendable (_ block: Block, _ first: Int, _ end: Int) -> Void
  public let multiplyTransposed: @Sendable (_ product: TransposedProduct, _ first: Int, _ end: Int) -> Void
  public let evaluate: @Sendable (_ patch: Patch, _ pixels: PatchPixels) -> Void
  public let interpolate: @Sendable (_ patch: Patch, _ outputs: PatchOutputs) -> Void
  public let depthwise: @Sendable (_ strip: DepthwiseStrip) -> Void
  /// Output pixels of a `DepthwiseSlide`.
  public let slidePixels: Int
  public let slide: @Sendable (_ strip: DepthwiseSlide) -> Void
  /// Channels of a `DepthwisePlane`.
  public let planeChannels: Int
  public let planeScratch: @Sendable (_ rows: Int, _ pixels: Int, _ height: Int, _ width: Int) -> Int
  public let plane: @Sendable (_ plane: DepthwisePlane) -> Void
  public let maximumOfTaps: @Sendable (_ taps: Taps, _ count: Int, _ channels: Int, _ output: MutableFloats) -> Void
  public let meanOfTaps:
    @Sendable (_ taps: Taps, _ count: Int, _ channels: Int, _ divisor: Float, _ output: MutableFloats) -> Void
  public let unary:
    @Sendable (
      _ function: UnaryFunction, _ a: Float, _ b: Float, _ x: Floats, _ output: MutableFloats, _ n: Int, _ rows: Int,
      _ stride: Int
    ) -> Void
  public let binary:
    @Sendable (
      _ function: BinaryFunction, _ a: Floats, _ aStep: Int, _ b: Floats, _ bStep: Int, _ output: MutableFloats,
      _ n: Int
    ) -> Void
  public let passWithin:
    @Sendable (_ low: Float, _ high: Float, _ x: Floats, _ y: Floats, _ output: MutableFloats, _ n: Int) -> Void
  /// Multiplications with additions of one round of `chains`.
  public let chainWidth: Int
  public let chains: @Sendable (_ rounds: Int, _ factor: Float, _ summand: Float) -> Float
  public let reduceRow: @Sendable (_ function: ReductionFunction, _ x: Floats, _ n: Int) -> Float
  public let reduceColumns:
    @Sendable (
      _ function: ReductionFunction, _ x: Floats, _ rows: Int, _ stride: Int, _ output: MutableFloats, _ n: Int
    ) -> Void
  public let softmaxRow: @Sendable (_ x: Floats, _ output: MutableFloats, _ n: Int) -> Void
  public let sumOfExponentials: @Sendable (_ x: Floats, _ n: Int, _ offset: Float) -> Float
  public let normalizeRow:
    @Sendable (
      _ x: Floats, _ output: MutableFloats, _ n: Int, _ scale: Floats?, _ shift: Floats?, _ epsilon: Float,
      _ subtractMean: Bool
    ) -> Void
  public let scaleRows:
    @Sendable (
      _ x: Floats, _ scale: Floats, _ shift: Floats?, _ output: MutableFloats, _ n: Int, _ rows: Int, _ stride: Int,
      _ low: Float, _ high: Float
    ) -> Void
  public let roundToSteps: @Sendable (_ form: Rounding, _ x: Floats, _ output: MutableFloats, _ n: Int) -> Void
  public let quantize:
    @Sendable (
      _ type: StepType, _ range: ClosedRange<Float>, _ x: Floats, _ output: UnsafeMutableRawPointer, _ n: Int,
      _ scale: Floats, _ zero: Floats, _ stride: Int
    ) -> Void
  public let dequantize:
    @Sendable (
      _ type: StepType, _ x: UnsafeRawPointer, _ output: MutableFloats, _ n: Int, _ scale: Floats, _ zero: Floats,
      _ stride: Int
    ) -> Void

  @inlinable @inline(__always)
  public init<L: Lanes>(_: L.Type) {
    panelWidth = { L.panelWidth($0) }
    multiply = { L.multiply($0, from: $1, to: $2) }
    multiplyTransposed = { L.multiplyTransposed($0, from: $1, to: $2) }
    evaluate = { L.evaluate($0, $1) }
    interpolate = { L.interpolate($0, $1) }
    depthwise = { L.depthwise($0) }
    slidePixels = L.slidePixels
    slide = { L.depthwise($0) }
    planeChannels = L.count
    planeScratch = { L.planeScratch(rows: $0, pixels: $1, height: $2, width: $3) }
    plane = { L.depthwise($0) }
    maximumOfTaps = { L.maximumOfTaps($0, $1, $2, $3) }
    meanOfTaps = { L.meanOfTaps($0, $1, $2, divisor: $3, $4) }
    unary = { L.unary($0, $1, $2, $3, $4, $5, rows: $6, stride: $7) }
    binary = { L.binary($0, $1, $2, $3, $4, $5, $6) }
    passWithin = { L.passWithin($0, $1, $2, $3, $4, $5) }
    chains = { L.chains($0, $1, $2) }
    chainWidth = 12 * L.count
    reduceRow = { L.reduceRow($0, $1, $2) }
    reduceColumns = { L.reduceColumns($0, $1, rows: $2, stride: $3, $4, $5) }
    softmaxRow = { L.softmaxRow($0, $1, $2) }
    sumOfExponentials = { L.sumOfExponentials($0, $1, minus: $2) }
    normalizeRow = {
      L.normalizeRow($0, $1, $2, scale: $3, shift: $4, epsilon: $5, subtractMean: $6)
    }
    scaleRows = { L.scaleRows($0, scale: $1, shift: $2, $3, $4, rows: $5, stride: $6, $7, $8) }
    roundToSteps = { L.roundToSteps($0, $1, $2, $3) }
    quantize = { L.quantize($0, $1, $2, $3, $4, scale: $5, zero: $6, stride: $7) }
    dequantize = { L.dequantize($0, $1, $2, $3, scale: $4, zero: $5, stride: $6) }
  }
}
