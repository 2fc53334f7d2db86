import Graph
import Kernels
import Tensors

/// Einsum: operands are combined two at a time, from left to right, as products of stacks of matrices.
enum Einsum {
  static let definitions = [OperatorDefinition("Einsum", plan: plan).gradient(EinsumGradient.rule)]

  private static func plan(_ request: Request) throws -> Step {
    // They are combined in quadratic time.
    guard request.inputs.count <= 64 else { throw Failure(.unsupported, "\(request.inputs.count) operands") }
    for i in request.inputs.indices { try request.require(i, .float32) }
    let shapes = try request.inputs.indices.map { try request.input($0).shape }
    let equation = try Equation(request.node.string("equation", default: ""), shapes)
    var program = EinsumProgram(kernels: request.kernels)
    let result = try program.compile(equation)
    let output = try Shape(checking: equation.output.map { equation.extents[$0] ?? 1 })
    try program.finish(result, as: equation)
    return Step(
      inputs: request.standardLayouts, outputs: [Operand(.float32, output)], workspace: program.workspace
    ) { [program] run in
      if output.count > 0 { program.run(run) }
    }
  }

  /// The axes of an ellipsis, counted from the last.
  enum Label: Hashable {
    case letter(Character)
    case ellipsis(Int)
  }

  /// "bid,bjd->bij" for operands of known shapes.
  struct Equation {
    /// By operand: its labels, repeated ones among them, with their strides; axes that are broadcast are left out.
    private(set) var terms: [Term] = []
    /// By operand: a label for each axis.
    private(set) var operands: [[Label]] = []
    private(set) var output: [Label] = []
    private(set) var extents: [Label: Int] = [:]

    init(_ text: String, _ shapes: [Shape]) throws {
      let compact = text.filter { $0 != " " }
      guard let arrow = compact.range(of: "->") else {
        try self.init(compact, nil, shapes)
        return
      }
      try self.init(String(compact[..<arrow.lowerBound]), String(compact[arrow.upperBound...]), shapes)
    }

    private init(_ left: String, _ right: String?, _ shapes: [Shape]) throws {
      let texts = left.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard texts.count == shapes.count else {
        throw Failure(.invalidModel, "the equation has \(texts.count) terms for \(shapes.count) operands")
      }
      let named = try zip(texts, shapes).map { text, shape in try Self.labels(text, rank: shape.rank) }
      for (labels, shape) in zip(named, shapes) {
        guard labels.count == shape.rank else {
          throw Failure(.invalidModel, "a term of \(labels.count) axes for an operand \(shape)")
        }
        for (label, extent) in zip(labels, shape.dimensions) where extent != 1 || extents[label] == nil {
          guard [nil, 1, extent].contains(extents[label]) else {
            throw Failure(.invalidModel, "an axis has the extents \(extents[label] ?? 0) and \(extent)")
          }
          extents[label] = extent
        }
      }
      operands = named
      let known = extents
      terms = zip(named, shapes).map { labels, shape in
        Term(
          zip(labels, zip(shape.dimensions, shape.strides)).compactMap { label, axis in
            axis.0 == 1 && known[label] != 1 ? nil : (label, axis.1)
          })
      }
      let dots = named.map { $0.filter(\.isEllipsis).count }.max() ?? 0
      output = try right.map { try Self.labels($0, ellipsis: dots) } ?? Self.implied(named, dots)
      guard Set(output).count == output.count, output.allSatisfy({ extents[$0] != nil }) else {
        throw Failure(.invalidModel, "the result of the equation names an axis twice, or one that no operand has")
      }
    }

    /// The labels of a term for an operand of rank `rank`.
    private static func labels(_ text: String, rank: Int) throws -> [Label] {
      try labels(text, ellipsis: max(0, rank - text.filter { $0 != "." }.count))
    }

    private static func labels(_ text: String, ellipsis count: Int) throws -> [Label] {
      let dots = text.range(of: "...")
      let (before, after) = dots.map { (text[..<$0.lowerBound], text[$0.upperBound...]) } ?? (text[...], "")
      guard (before + after).allSatisfy(\.isLetter) else {
        throw Failure(.invalidModel, "the term \(quoted(String(text))) of the equation has other signs than letters")
      }
      let middle = dots == nil ? [] : (0..<count).reversed().map { Label.ellipsis($0) }
      return before.map { .letter($0) } + middle + after.map { .letter($0) }
    }

    /// Without an arrow: the ellipsis, then the letters that occur once, in alphabetical order.
    private static func implied(_ terms: [[Label]], _ dots: Int) -> [Label] {
      var counts: [Character: Int] = [:]
      for case .letter(let letter) in terms.joined() { counts[letter, default: 0] += 1 }
      let once = counts.filter { $0.value == 1 }.keys.sorted()
      return (0..<dots).reversed().map { .ellipsis($0) } + once.map { .letter($0) }
    }
  }

  /// An operand, or what was made of some: where its labels lie, in elements. A repeated label walks a diagonal.
  struct Term {
    private(set) var labels: [Label] = []
    private(set) var strides: [Label: Int] = [:]

    init(_ axes: [(Label, Int)]) {
      for (label, stride) in axes {
        if strides[label] == nil { labels.append(label) }
        strides[label, default: 0] += stride
      }
    }

    /// Dense, in this order.
    init(_ labels: [Label], _ extents: [Label: Int]) {
      self.labels = labels
      var stride = 1
      for label in labels.reversed() {
        strides[label] = stride
        stride *= extents[label] ?? 1
      }
    }
  }
}

extension Einsum.Label {
  fileprivate var isEllipsis: Bool { if case .ellipsis = self { true } else { false } }
}

extension StringProtocol {
  /// Where `part` first occurs.
  fileprivate func range(of part: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
      start = index(after: start)
    }
    return nil
  }
}
