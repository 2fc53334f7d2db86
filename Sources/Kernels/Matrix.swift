public import Parallel

extension Kernels {
  /// What is done to each sum before it is stored: `activation(sum + bias[column] + residual)`.
  public struct Epilogue {
    public var bias: UnsafePointer<Float>?
    /// Laid out as the output.
    public var residual: UnsafePointer<Float>?
    public var activation: Unary?

    public static var none: Epilogue { Epilogue() }

    public init(
      bias: UnsafePointer<Float>? = nil, residual: UnsafePointer<Float>? = nil, activation: Unary? = nil
    ) {
      self.bias = bias
      self.residual = residual
      self.activation = activation
    }
  }

  /// Floats in a packed matrix of `depth` (taps × channels) rows and `columns` columns.
  public func packedCount(depth: Int, columns: Int) -> Int { depth * columns }

  /// Packs weights for `multiply` and `convolve`.
  ///
  /// Element (tap, channel, column) of the source lies
  /// `4 * (tap * tapStride + channel * channelStride + column * columnStride)` bytes after `source`, which may be
  /// misaligned; each column is multiplied by `scale[column]` where given.
  public func pack(
    _ source: UnsafeRawPointer, taps: Int, tapStride: Int, channels: Int, channelStride: Int, columns: Int,
    columnStride: Int, scale: UnsafePointer<Float>?, into packed: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    for t in 0..<taps {
      for k in 0..<channels {
        for n in 0..<columns {
          let offset = 4 * (t * tapStride + k * channelStride + n * columnStride)
          let w = source.loadUnaligned(fromByteOffset: offset, as: Float.self)
          packed[(t * channels + k) * columns + n] = w * (scale?[n] ?? 1)
        }
      }
    }
  }

  /// `c[rows, columns] = a[rows, depth] * packed`, then the epilogue. Strides in floats.
  public func multiply(
    rows: Int, depth: Int, columns: Int, _ a: UnsafePointer<Float>, stride aStride: Int,
    _ packed: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, stride cStride: Int,
    _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    for m in 0..<rows {
      for n in 0..<columns {
        var sum: Float = 0
        for k in 0..<depth { sum += a[m * aStride + k] * packed[k * columns + n] }
        c[m * cStride + n] = finish(sum, n, m * cStride + n, epilogue)
      }
    }
  }

  /// `c[rows, columns] = a[rows, depth] * transpose(w[columns, depth])`, then the epilogue: fully connected layers,
  /// whose weights are read where they lie (at any address).
  public func multiplyTransposed(
    rows: Int, depth: Int, columns: Int, _ a: UnsafePointer<Float>, stride aStride: Int, _ w: UnsafeRawPointer,
    into c: UnsafeMutablePointer<Float>, stride cStride: Int, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    for m in 0..<rows {
      for n in 0..<columns {
        var sum: Float = 0
        for k in 0..<depth {
          sum += a[m * aStride + k] * w.loadUnaligned(fromByteOffset: 4 * (n * depth + k), as: Float.self)
        }
        c[m * cStride + n] = finish(sum, n, m * cStride + n, epilogue)
      }
    }
  }

  func finish(_ sum: Float, _ column: Int, _ index: Int, _ epilogue: Epilogue) -> Float {
    let x = sum + (epilogue.bias?[column] ?? 0) + (epilogue.residual?[index] ?? 0)
    return epilogue.activation.map { scalar($0, x) } ?? x
  }
}
