import Kernels
import Parallel
import Tensors

/// A transposed convolution as ordinary ones of stride 1: the pixels of the result that are the same modulo the strides
/// (a phase) see the same taps of the kernel, in reverse. Together they are as much work as the convolution forwards.
struct TransposePhases: Sendable {
  private struct Phase: Sendable {
    let convolution: Kernels.Convolution
    let packing: Packing
    /// The taps of the kernel in the order in which the phase's convolution meets them, or `gap`; where there are none,
    /// the phase is bias alone.
    let taps: [Int]
    /// Where its weights lie among the packed ones, in bytes.
    var offset = 0
    /// The first row and column of the result that belong to it.
    let row, column: Int
  }

  private let geometry: ConvTranspose.Geometry
  private let kernels: Kernels
  private var phases: [Phase] = []
  private(set) var packedByteCount = 0
  /// A plan has a convolution for each phase.
  private static let limit = 1 << 14
  private var isWhole: Bool { geometry.strides == [1, 1] }

  /// `known`: whether the weights are, when this is planned.
  init(_ g: ConvTranspose.Geometry, _ kernels: Kernels, known: Bool) throws {
    geometry = g
    self.kernels = kernels
    let (rows, columns) = (min(g.strides[0], max(1, g.extents[0])), min(g.strides[1], max(1, g.extents[1])))
    guard rows * columns <= Self.limit else {
      throw Failure(.unsupported, "strides of \(g.strides); at most \(Self.limit) phases are supported")
    }
    for row in 0..<rows {
      for column in 0..<columns {
        let (y, x) = (AxisPhase(g, axis: 0, first: row), AxisPhase(g, axis: 1, first: column))
        let convolution = Kernels.Convolution(
          batch: g.batch, inputHeight: g.input[0], inputWidth: g.input[1], inputChannels: g.channels * g.groups,
          outputHeight: y.count, outputWidth: x.count, outputChannels: g.columns * g.groups,
          kernelHeight: y.taps.count, kernelWidth: x.taps.count, padTop: y.pad, padLeft: x.pad,
          dilationY: y.dilation, dilationX: x.dilation, groups: g.groups)
        var phase = Phase(
          convolution: convolution, packing: kernels.packing(convolution, known: known),
          taps: y.taps.flatMap { y in
            x.taps.map { y == AxisPhase.gap || $0 == AxisPhase.gap ? AxisPhase.gap : y * g.kernel[1] + $0 }
          },
          row: row, column: column)
        phase.offset = packedByteCount
        let size = try Shape(checking: [phase.taps.count, g.channels * g.groups, g.columns]).count
        guard size <= 1 << 40 else { throw Failure(.unsupported, "the weights are too large") }
        packedByteCount += phase.taps.isEmpty ? 0 : phase.packing.byteCount.roundedUp(to: 64)
        phases.append(phase)
      }
    }
  }

  /// What the packed form depends on.
  var key: String {
    let g = geometry
    return "\(g.kernel) \(g.strides) \(g.dilations) \(g.padBegin) \(g.channels) \(g.columns) \(g.groups) "
      + phases.map { "\($0.row),\($0.column) \($0.packing)" }.joined(separator: " ")
  }

  /// The phase's result, where it is not the whole, and what the convolution needs.
  func workspace(threads: Int) -> Int {
    phases.map { phase in
      phase.taps.isEmpty ? 0 : resultByteCount(phase) + convolutionWorkspace(phase, threads)
    }.max() ?? 0
  }

  private func resultByteCount(_ phase: Phase) -> Int {
    let c = phase.convolution
    return isWhole ? 0 : (4 * c.batch * c.outputHeight * c.outputWidth * c.outputChannels).roundedUp(to: 64)
  }

  private func convolutionWorkspace(_ phase: Phase, _ threads: Int) -> Int {
    kernels.convolutionWorkspace(phase.convolution, phase.packing, threads: threads)
  }

  /// `source` is [channels of all groups, columns, kernel], perhaps misaligned. Throws where there is no memory for the
  /// weights of a phase.
  func pack(_ source: UnsafeRawPointer, into target: UnsafeMutableRawPointer, _ parallel: Parallel) throws {
    let g = geometry
    let window = g.kernel[0] * g.kernel[1]
    // There may be more groups than anybody waits for, of nothing.
    for phase in phases where !phase.taps.isEmpty && g.columns * g.channels > 0 {
      let count = phase.taps.count
      // As a convolution has them: [columns of all groups, channels, taps].
      let ordered = try Buffer<Float>(count: g.groups * g.columns * g.channels * count) { weights in
        var next = 0
        for group in 0..<g.groups {
          for column in 0..<g.columns {
            for channel in 0..<g.channels {
              let place = ((group * g.channels + channel) * g.columns + column) * window
              for tap in phase.taps {
                weights[next] =
                  tap == AxisPhase.gap
                  ? 0 : source.loadUnaligned(fromByteOffset: 4 * (place + tap), as: Float.self)
                next += 1
              }
            }
          }
        }
      }
      ordered.withUnsafeBufferPointer {
        guard let base = $0.baseAddress else { return }
        kernels.pack(UnsafeRawPointer(base), as: phase.packing, into: target + phase.offset, parallel)
      }
    }
  }

  func run(
    _ x: UnsafePointer<Float>, packed: UnsafeRawPointer, bias: UnsafePointer<Float>?,
    into output: UnsafeMutablePointer<Float>, workspace: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    let epilogue = Kernels.Epilogue(bias: bias)
    for phase in phases {
      let c = phase.convolution
      guard !phase.taps.isEmpty else {
        forEachRow(phase, into: output, parallel) { _, pixel in fill(pixel, bias, c.outputChannels) }
        continue
      }
      let weights = (packed + phase.offset).assumingMemoryBound(to: Float.self)
      let result = isWhole ? output : workspace.assumingMemoryBound(to: Float.self)
      kernels.convolve(
        c, x, weights, as: phase.packing, into: result, epilogue, workspace: workspace + resultByteCount(phase),
        parallel)
      if isWhole { continue }
      forEachRow(phase, into: output, parallel) { index, pixel in
        pixel.update(from: result + index * c.outputChannels, count: c.outputChannels)
      }
    }
  }

  private func fill(_ pixel: UnsafeMutablePointer<Float>, _ bias: UnsafePointer<Float>?, _ channels: Int) {
    if let bias { pixel.update(from: bias, count: channels) } else { pixel.update(repeating: 0, count: channels) }
  }

  /// Calls `body` with each pixel of a phase: its index in the phase's own result, and where it lies in the whole one.
  private func forEachRow(
    _ phase: Phase, into output: UnsafeMutablePointer<Float>, _ parallel: Parallel,
    _ body: (_ index: Int, _ pixel: UnsafeMutablePointer<Float>) -> Void
  ) {
    let (g, c) = (geometry, phase.convolution)
    parallel.forEach(c.batch * c.outputHeight, grain: max(1, 16384 / max(1, c.outputWidth * c.outputChannels))) {
      rows in
      for row in rows {
        let y = row / c.outputHeight * g.extents[0] + row % c.outputHeight * g.strides[0] + phase.row
        for x in 0..<c.outputWidth {
          let place = (y * g.extents[1] + x * g.strides[1] + phase.column) * c.outputChannels
          body(row * c.outputWidth + x, output + place)
        }
      }
    }
  }
}

/// One axis of a phase: elements `first`, `first` + stride, … of the result.
private struct AxisPhase {
  /// Elements of the result.
  let count: Int
  /// Indices into the kernel in the order of the inputs that they multiply, or `gap`.
  let taps: [Int]
  let pad: Int
  let dilation: Int

  init(_ g: ConvTranspose.Geometry, axis: Int, first: Int) {
    let (stride, size) = (g.strides[axis], g.kernel[axis])
    count = max(0, (g.extents[axis] - first + stride - 1) / stride)
    if stride == 1 {
      dilation = g.dilations[axis]
      taps = (0..<size).reversed()
      pad = (size - 1) * dilation - g.padBegin[axis]
      return
    }
    dilation = 1
    // Tap t reaches this phase's elements where first + padding − t · dilation is a multiple of the stride.
    let start = first + g.padBegin[axis]
    let reached = (0..<size).filter { (start - $0 * g.dilations[axis]) % stride == 0 }
    guard let least = reached.first, let most = reached.last else {
      (taps, pad) = ([], 0)
      return
    }
    // Inputs before the element, by tap, from the farthest tap on; dilated taps may leave gaps, which no tap fills.
    let farthest = (start - most * g.dilations[axis]) / stride
    let nearest = (start - least * g.dilations[axis]) / stride
    let byOffset = Dictionary(uniqueKeysWithValues: reached.map { ((start - $0 * g.dilations[axis]) / stride, $0) })
    taps = (farthest...nearest).map { byOffset[$0] ?? Self.gap }
    pad = -farthest
  }

  /// Where dilation leaves an input without a tap.
  static let gap = -1
}
