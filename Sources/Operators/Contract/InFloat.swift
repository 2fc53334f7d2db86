import Graph
import Tensors

extension Request {
  /// The step that `plan` makes of this request with input 0, which holds integers, brought to float32, and output 0
  /// back: towards zero, and to the nearest end of the type's range.
  ///
  /// For operators that choose among elements or average them; integers beyond 2^24 are rounded.
  func planInFloat(_ plan: (Request) throws -> Step) throws -> Step {
    let x = try input(0)
    var operands = inputs
    operands[0] = Operand(.float32, x.shape, layout: x.layout)
    let inner = try plan(
      Request(
        node: node, opset: opset, inputs: operands, wanted: wanted, kernels: kernels, parallel: parallel,
        weights: weights))
    guard case .run(let run) = inner.action else {
      throw Failure(.unsupported, "its form for elements of type \(x.type) is not supported")
    }
    let y = inner.outputs[0]
    let (inputBytes, outputBytes) = ((4 * x.shape.count).roundedUp(to: 64), (4 * y.shape.count).roundedUp(to: 64))
    let read = try Conversion.loop(from: x.type, to: .float32, count: x.shape.count)
    let write = try x.type.withInteger(Clamping(count: y.shape.count))
    return Step(
      inputs: inner.inputLayouts, outputs: [Operand(x.type, y.shape, layout: y.layout)] + inner.outputs.dropFirst(),
      workspace: inputBytes + outputBytes + inner.workspace
    ) { invocation in
      let values = invocation.workspace
      let results = values + inputBytes
      read(invocation.input(0, as: UInt8.self), values)
      try run(
        Invocation(
          inputs: [UnsafeRawPointer(values)] + invocation.inputs.dropFirst(),
          outputs: [results] + invocation.outputs.dropFirst(), workspace: results + outputBytes,
          parallel: invocation.parallel))
      write(results.assumingMemoryBound(to: Float.self), invocation.output(0, as: UInt8.self))
    }
  }
}

private struct Clamping: IntegerBody {
  let count: Int

  func callAsFunction<T: Number & FixedWidthInteger>(
    _: T.Type
  ) -> @Sendable (UnsafePointer<Float>, UnsafeMutableRawPointer) -> Void {
    { [count] values, output in
      let output = output.assumingMemoryBound(to: T.self)
      for i in 0..<count {
        let value = values[i]
        output[i] = value >= Float(T.max) ? .max : value <= Float(T.min) ? .min : value.isNaN ? 0 : T(value)
      }
    }
  }
}
