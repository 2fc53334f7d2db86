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
    }.gradient(passing).local(.image),
    OperatorDefinition("CastLike") { try plan($0, to: $0.input(1).type) }.gradient(passing).local(.image),
  ]

  /// Between floating-point types the gradient passes, as if nothing were rounded; through integers there is none.
  private static let passing = GradientRule.emitted { e, node, gradients in
    let types = [try e.operand(e.input(node, 0)).type, try e.operand(e.output(node)).type]
    return types.allSatisfy { $0 == .float32 || $0.smallFloat != nil } ? [gradients.first ?? nil] : []
  }

  /// What becomes of numbers that a short floating-point type does not hold.
  private static func rule(_ node: Node) throws -> Conversion.Rule {
    let rounding: SmallFloat.Rounding
    switch try node.string("round_mode") ?? "up" {
    case "up": rounding = .up
    case "down": rounding = .down
    case "nearest": rounding = .nearest
    case let mode: throw Failure(.invalidModel, "round_mode \(quoted(mode)) is none of up, down and nearest")
    }
    return Conversion.Rule(saturate: try node.int("saturate", default: 1) != 0, exponents: rounding)
  }

  private static func plan(_ request: Request, to type: ElementType) throws -> Step {
    let x = try request.input(0)
    let rule = try rule(request.node)
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
    let convert = try Conversion.loop(from: x.type, to: output.type, count: count, rule)
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
