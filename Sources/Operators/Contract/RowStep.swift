import Kernels
import Parallel

/// How a step computes some rows of its result, of one image, from the rows of its operands that those read: for steps
/// that follow each other and hand on a few rows at a time (line buffers). The bits are those of whole maps.
public struct RowStep: Sendable {
  /// Where one run finds its operands: maps from the first row on that it reads, the output from its first row on.
  public typealias Run = @Sendable (Invocation, _ rows: Range<Int>) -> Void

  /// Of the result.
  public let rows: Int
  /// Floats in one row of the result, and of each operand that is a map. Of input 0 the rows are those that windows
  /// read; of others those of the result.
  public let outputFloats: Int
  public let inputFloats: [Int: Int]
  let axis: WindowAxis
  /// Scratch memory for so many rows, in bytes.
  public let workspace: @Sendable (_ rows: Int) -> Int
  /// On the calling thread alone.
  public let run: Run

  /// nil where a row of the result reads none, or there is not one image.
  init?(
    images: Int, _ axis: WindowAxis, outputFloats: Int, inputFloats: [Int: Int],
    workspace: @escaping @Sendable (_ rows: Int) -> Int, run: @escaping Run
  ) {
    let (first, last) = (axis.read(by: 0..<1), axis.read(by: axis.outputs - 1..<axis.outputs))
    guard images == 1, outputFloats > 0, axis.outputs > 0, !first.isEmpty, !last.isEmpty else { return nil }
    (self.rows, self.outputFloats, self.inputFloats, self.axis) = (axis.outputs, outputFloats, inputFloats, axis)
    (self.workspace, self.run) = (workspace, run)
  }

  /// Rows of input 0 that rows of the result read.
  public func read(by rows: Range<Int>) -> Range<Int> { axis.read(by: rows) }

  /// The most rows of input 0 that so many rows of the result read.
  public func mostRead(by rows: Int) -> Int { min(axis.inputs, (min(rows, self.rows) - 1) * axis.stride + axis.extent) }
}

/// How windows slide along one axis.
struct WindowAxis: Sendable {
  let inputs, extent, stride, pad, outputs: Int

  init(inputs: Int, kernel: Int, dilation: Int, stride: Int, pad: Int, outputs: Int) {
    (self.inputs, self.extent, self.stride) = (inputs, (kernel - 1) * dilation + 1, stride)
    (self.pad, self.outputs) = (pad, outputs)
  }

  /// What reads something of `range`.
  func reached(from range: Range<Int>) -> Range<Int> {
    Region.reached(range, extent: extent, stride: stride, pad: pad, outputs: outputs)
  }

  /// What of the input `range` reads.
  func read(by range: Range<Int>) -> Range<Int> {
    let first = max(0, range.lowerBound * stride - pad)
    return first..<max(first, min(inputs, (range.upperBound - 1) * stride - pad + extent))
  }
}

extension Kernels.Convolution {
  var rowAxis: WindowAxis {
    WindowAxis(
      inputs: inputHeight, kernel: kernelHeight, dilation: dilationY, stride: strideY, pad: padTop,
      outputs: outputHeight)
  }

  /// The convolution that gives these rows of the output from those that they read.
  func rows(_ rows: Range<Int>) -> Self {
    let read = rowAxis.read(by: rows)
    var c = self
    (c.outputHeight, c.inputHeight) = (rows.count, read.count)
    c.padTop = read.lowerBound - (rows.lowerBound * strideY - padTop)
    return c
  }
}

extension Kernels.Pooling {
  var rowAxis: WindowAxis {
    WindowAxis(
      inputs: inputHeight, kernel: kernelHeight, dilation: dilationY, stride: strideY, pad: padTop,
      outputs: outputHeight)
  }
}
