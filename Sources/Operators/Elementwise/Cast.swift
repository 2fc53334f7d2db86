import Graph
import Parallel
import Tensors

/// Cast and CastLike. Floating-point values are held in float32 whatever their declared type; a cast to a shorter
/// one rounds to its precision.
enum Cast {
  static let definitions = [
    OperatorDefinition("Cast") { request in
      guard let code = try request.node.int("to") else { throw Failure(.invalidModel, "attribute \"to\" is missing") }
      guard let code = Int32(exactly: code), let type = ElementType(rawValue: code) else {
        throw Failure(.unsupported, "a cast to element type \(code) is not supported")
      }
      return try plan(request, to: type)
    }.gradient(passing),
    OperatorDefinition("CastLike") { try plan($0, to: $0.input(1).type) }.gradient(passing),
  ]

  /// Between floating-point types the gradient passes, as if nothing were rounded; through integers there is none.
  private static let passing = GradientRule.emitted { e, node, gradients in
    let isFloat = try e.operand(e.input(node, 0)).type == .float32 && e.operand(e.output(node)).type == .float32
    return isFloat ? [gradients.first ?? nil] : []
  }

  private static func plan(_ request: Request, to type: ElementType) throws -> Step {
    let x = try request.input(0)
    let count = x.shape.count
    var layouts = request.standardLayouts
    layouts[0] = x.layout
    let output = Operand(type.computed, x.shape, layout: x.layout)
    if type == .float16 || type == .bfloat16 {
      let convert = try Conversion.loop(from: x.type, to: .float32, count: count)
      return Step(inputs: layouts, outputs: [output]) { run in
        convert(run.input(0, as: UInt8.self), run.output(0, as: UInt8.self))
        let values: UnsafeMutablePointer<Float> = run.output()
        for i in 0..<count { values[i] = values[i].rounded(to: type) }
      }
    }
    if output.type == x.type { return Step(viewing: 0, of: request.inputs.count, in: x.layout, as: output) }
    let convert = try Conversion.loop(from: x.type, to: output.type, count: count)
    return Step(inputs: layouts, outputs: [output]) { run in
      convert(run.input(0, as: UInt8.self), run.output(0, as: UInt8.self))
    }
  }
}

extension Float {
  /// The nearest value of a shorter type.
  fileprivate func rounded(to type: ElementType) -> Float {
    if type == .float16 { return Float(Float16(self)) }
    if !isFinite { return self }
    let bits = bitPattern
    // To the nearest multiple of 2^16, halves to the even one.
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }
}

/// Copies that change the element type.
enum Conversion {
  typealias Loop = @Sendable (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void

  static func loop(from source: ElementType, to target: ElementType, count: Int) throws -> Loop {
    if target == .bool { return try source.withNumber(Truth(count: count)) }
    return try source.withNumber(From(target: target, count: count))
  }

  private struct From: NumberBody {
    let target: ElementType
    let count: Int
    func callAsFunction<S: Number>(_: S.Type) throws -> Loop { try target.withNumber(FromTo<S>(count: count)) }
  }

  private struct FromTo<S: Number>: NumberBody {
    let count: Int

    func callAsFunction<D: Number>(_: D.Type) -> Loop {
      { [count] source, target in
        let source = source.assumingMemoryBound(to: S.self)
        let target = target.assumingMemoryBound(to: D.self)
        for i in 0..<count { target[i] = source[i].converted(to: D.self) }
      }
    }
  }

  private struct Truth: NumberBody {
    let count: Int

    func callAsFunction<S: Number>(_: S.Type) -> Loop {
      { [count] source, target in
        let source = source.assumingMemoryBound(to: S.self)
        let target = target.assumingMemoryBound(to: UInt8.self)
        for i in 0..<count { target[i] = source[i] == .zero ? 0 : 1 }
      }
    }
  }
}
