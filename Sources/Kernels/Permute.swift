public import Parallel

extension Kernels {
  /// Copies a dense tensor of `shape` so that output axis i is source axis `permutation[i]`. Elements of 1, 2, 4
  /// or 8 bytes.
  public func permute(
    _ source: UnsafeRawPointer, shape: [Int], permutation: [Int], elementSize: Int,
    into output: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    let plan = Permutation(shape, permutation)
    switch elementSize {
    case 1: plan.run(source, output, UInt8.self, parallel)
    case 2: plan.run(source, output, UInt16.self, parallel)
    case 4: plan.run(source, output, UInt32.self, parallel)
    case 8: plan.run(source, output, UInt64.self, parallel)
    default: preconditionFailure("elements of \(elementSize) bytes")
    }
  }
}

/// A permutation with as few axes as it can be told with: extents of 1 are left out, and axes that stay neighbours are
/// one.
struct Permutation {
  /// Of the output's axes: extent, and distance in the source and in the output.
  struct Axis {
    var extent, source, output: Int
  }
  private(set) var axes: [Axis] = []

  init(_ shape: [Int], _ permutation: [Int]) {
    var strides = shape
    var stride = 1
    for axis in shape.indices.reversed() {
      strides[axis] = stride
      stride *= shape[axis]
    }
    for axis in permutation where shape[axis] != 1 {
      if let last = axes.last, last.source == strides[axis] * shape[axis] {
        axes[axes.count - 1] = Axis(extent: last.extent * shape[axis], source: strides[axis], output: 0)
      } else {
        axes.append(Axis(extent: shape[axis], source: strides[axis], output: 0))
      }
    }
    stride = 1
    for i in axes.indices.reversed() {
      axes[i].output = stride
      stride *= axes[i].extent
    }
  }

  func run<T: BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ output: UnsafeMutableRawPointer, _: T.Type, _ parallel: Parallel
  ) {
    let output = output.assumingMemoryBound(to: T.self)
    let source = source.assumingMemoryBound(to: T.self)
    guard let last = axes.last else { return output.update(from: source, count: 1) }
    guard axes.allSatisfy({ $0.extent > 0 }) else { return }
    // The innermost two loops: along the output's last axis, and along the source's.
    let lastOfSource = axes.firstIndex { $0.source == 1 } ?? axes.count - 1
    let isCopy = lastOfSource == axes.count - 1
    let outer = axes.indices.filter { $0 != axes.count - 1 && $0 != lastOfSource }.map { axes[$0] }
    let across = axes[lastOfSource]
    let strip = isCopy ? 1 : max(16, 512 / max(1, last.extent))
    let strips = isCopy ? 1 : (across.extent + strip - 1) / strip
    let count = outer.reduce(strips) { $0 * $1.extent }
    parallel.forEach(count, grain: max(1, Kernels.elementGrain / (last.extent * strip))) { tasks in
      for task in tasks {
        var rest = task / strips
        var from = 0
        var to = 0
        for axis in outer.reversed() {
          from += rest % axis.extent * axis.source
          to += rest % axis.extent * axis.output
          rest /= axis.extent
        }
        if isCopy {
          (output + to).update(from: source + from, count: last.extent)
        } else {
          let first = task % strips * strip
          transpose(
            source + from + first, last.source, output + to + first * across.output, across.output,
            rows: last.extent, columns: min(strip, across.extent - first))
        }
      }
    }
  }

  /// Copies a strip of `rows` rows of neighbours to as many columns.
  private func transpose<T: BitwiseCopyable>(
    _ source: UnsafePointer<T>, _ sourceStride: Int, _ output: UnsafeMutablePointer<T>, _ outputStride: Int,
    rows: Int, columns: Int
  ) {
    if rows < 8 {
      // As an image's colours: long rows to short columns.
      for row in 0..<rows {
        let (from, to) = (source + row &* sourceStride, output + row)
        for column in 0..<columns { to[column &* outputStride] = from[column] }
      }
      return
    }
    for first in stride(from: 0, to: rows, by: 16) {
      let end = min(rows, first + 16)
      for column in 0..<columns {
        let to = output + column * outputStride
        for row in first..<end { to[row] = source[row &* sourceStride &+ column] }
      }
    }
  }
}
