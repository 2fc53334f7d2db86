import KernelCore
import KernelsPortable

// What `kernels.c` calls of the table for ARM64.

@_cdecl("panel_width")
public func panelWidth(_ left: Int) -> Int { tablePortable.panelWidth(left) }

@_cdecl("scratch_count")
public func scratchCount() -> Int { Block.scratchCount }

@_cdecl("multiply")
public func multiply(
  _ rows: Int, _ taps: Int, _ channels: Int, _ columns: Int, _ pointers: UnsafePointer<UnsafePointer<Float>>,
  _ weights: UnsafePointer<Float>, _ bias: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>,
  _ scratch: UnsafeMutablePointer<Float>
) {
  let block = Block(
    rows: rows, pointers: pointers, pointerStride: rows + Block.overrun, zeros: nil, taps: taps, channels: channels,
    run: 7, weights: weights, columns: columns, output: output, outputStride: columns, bias: bias, residual: nil,
    low: -.infinity, high: .infinity, scratch: scratch)
  tablePortable.multiply(block, 0, columns)
}

@_cdecl("exponentials")
public func exponentials(_ x: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ count: Int) {
  tablePortable.unary(.exp, 0, 0, x, output, count, 1, count)
}

@_cdecl("sum_of_row")
public func sumOfRow(_ x: UnsafePointer<Float>, _ count: Int) -> Float { tablePortable.reduceRow(.sum, x, count) }
