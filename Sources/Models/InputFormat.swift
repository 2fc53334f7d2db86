public import Graph
import Images
import Tensors

/// The input of a model that an image goes to, and what it wants of the image.
public struct InputFormat: Sendable {
  /// The axes, outermost first: n counts images, c channels, h and w are the image's height and width.
  public enum Arrangement: String, Sendable {
    case nchw, nhwc, chw, hwc
    /// One channel, without an axis of its own.
    case nhw

    /// Where a batch of planes, [N, C, H, W], has each axis; those that are not listed have the extent 1.
    var order: [Int] {
      switch self {
      case .nchw: [0, 1, 2, 3]
      case .nhwc: [0, 2, 3, 1]
      case .chw: [1, 2, 3]
      case .hwc: [2, 3, 1]
      case .nhw: [0, 2, 3]
      }
    }

    public var hasBatchAxis: Bool { order[0] == 0 }
    /// Whether the channels of a pixel lie beside each other.
    public var isChannelsLast: Bool { order.last == 1 }
  }

  /// As the file declares it.
  public let declaration: Declaration
  public let arrangement: Arrangement
  /// What the file fixes: images in a batch, channels, height, width.
  public let batch: Int?
  public let channels: Int?
  public let height: Int?
  public let width: Int?

  private init(_ declaration: Declaration, _ arrangement: Arrangement) {
    self.declaration = declaration
    self.arrangement = arrangement
    func extent(_ axis: Int) -> Int? {
      guard let i = arrangement.order.firstIndex(of: axis) else { return 1 }
      guard case .fixed(let extent)? = declaration.dimensions?[i] else { return nil }
      return extent
    }
    (batch, channels, height, width) = (extent(0), extent(1), extent(2), extent(3))
  }

  /// The input that the metadata names, else, of those that are read, the only one, or the only one of 1 to 4 channels,
  /// that can be an image; nil where none is, or several are. Throws `invalidModel` where the metadata names none of
  /// the inputs.
  static func find(_ graph: Graph, _ metadata: Metadata) throws -> InputFormat? {
    let channels = metadata.preprocessing?.channels
    if let name = metadata.entries["limpid.input"] {
      guard let input = graph.inputs.first(where: { graph.name(of: $0.value) == name }) else {
        throw Failure(
          .invalidModel,
          "metadata limpid.input is \(quoted(name)); the model's inputs are "
            + graph.inputs.map { quoted(graph.name(of: $0.value)) }.joined(separator: ", "))
      }
      guard let format = InputFormat(reading: input, channels) else {
        throw Failure(
          .invalidModel,
          "metadata limpid.input is \(quoted(name)), which is no image: images are numbers of rank 3 or 4")
      }
      return format
    }
    // Exporters leave inputs behind that nothing reads.
    let outputs = graph.outputs.map(\.value)
    let read = Set(graph.live(for: outputs, known: []).flatMap { graph.read(by: graph.nodes[$0]) } + outputs)
    let inputs = graph.inputs.filter { read.contains($0.value) }
    let possible = inputs.compactMap { InputFormat(reading: $0, channels) }
    let colored = possible.filter { $0.channels.map { $0 <= 4 } ?? true }
    if colored.count == 1 { return colored[0] }
    return possible.count == 1 && inputs.count == 1 ? possible[0] : nil
  }

  /// nil for what cannot be an image. `channels` are those that the preprocessing makes.
  private init?(reading declaration: Declaration, _ channels: Int?) {
    guard declaration.type != .bool else { return nil }
    guard let dimensions = declaration.dimensions else {
      guard declaration.type.computed == .float32 else { return nil }
      self.init(declaration, .nchw)
      return
    }
    guard dimensions.count == 3 || dimensions.count == 4 else { return nil }
    let sizes = dimensions.suffix(3).map { dimension -> Int? in
      if case .fixed(let extent) = dimension { extent } else { nil }
    }
    let isLast = Self.isChannelsLast(sizes, channels)
    if dimensions.count == 4 {
      self.init(declaration, isLast ? .nhwc : .nchw)
    } else if Self.isChannel(isLast ? sizes[2] : sizes[0], channels) {
      self.init(declaration, isLast ? .hwc : .chw)
    } else if sizes[0] == nil, channels ?? 1 == 1, sizes[1] != nil, sizes[2] != nil {
      self.init(declaration, .nhw)
    } else {
      return nil
    }
  }

  private static func isChannel(_ extent: Int?, _ channels: Int?) -> Bool {
    guard let extent else { return false }
    return channels.map { $0 == extent } ?? (1...4).contains(extent)
  }

  /// By the channels that the preprocessing makes, where it is known; else by the extents: images have few channels,
  /// and are larger than these.
  private static func isChannelsLast(_ sizes: [Int?], _ channels: Int?) -> Bool {
    if let channels, sizes[0] == channels || sizes[2] == channels { return sizes[0] != channels }
    guard isChannel(sizes[2], nil), !isChannel(sizes[0], nil) else { return false }
    guard let width = sizes[1], let height = sizes[0], let last = sizes[2] else { return true }
    return width > last && height > last
  }
}

extension InputFormat {
  /// The graph with a further value in place of the input: float32 planes, [N, C, H, W], of which the input is made.
  /// nil where the input takes them as they are.
  ///
  /// An input of whole numbers gets the nearest ones. Where the graph only makes floating-point numbers of them again,
  /// it is given the planes, so that what is between whole numbers can be told apart, and differentiated.
  func wrapping(_ graph: Graph) throws -> (graph: Graph, planes: Declaration)? {
    guard arrangement != .nchw || declaration.type != .float32 else { return nil }
    var graph = graph
    var nodes: [Node] = []
    let value = declaration.value
    let planes = graph.addValue(graph.name(of: value))
    func add(
      _ operation: String, _ inputs: [ValueID], to target: ValueID? = nil, _ attributes: [String: Attribute] = [:]
    ) -> ValueID {
      let output = target ?? graph.addValue()
      nodes.append(Node(operation, inputs: inputs, outputs: [output], attributes: attributes, version: 13))
      return output
    }
    func constant(_ tensor: Tensor) -> ValueID {
      let value = graph.addValue()
      graph.constants[value] = tensor
      return value
    }
    var arranged = planes
    let missing = (0..<2).filter { !arrangement.order.contains($0) }
    if !missing.isEmpty {
      arranged = add("Squeeze", [arranged, constant(try Tensor(missing.map(Int64.init), [missing.count]))])
    }
    if arrangement.isChannelsLast {
      arranged = add("Transpose", [arranged], ["perm": .ints(arrangement.hasBatchAxis ? [0, 2, 3, 1] : [1, 2, 0])])
    }
    let type = declaration.type
    if let range = type.integers {
      if let readers = graph.readers(onlyCasting: value) {
        for i in readers { graph.nodes[i].inputs = graph.nodes[i].inputs.map { $0 == value ? arranged : $0 } }
      }
      let bounds = try [range.lowerBound, range.upperBound].map { constant(try Tensor([Float($0)], .scalar)) }
      arranged = add("Clip", [add("Round", [arranged])] + bounds)
    }
    _ = add("Cast", [arranged], to: value, ["to": .int(Int(type.rawValue))])
    graph.nodes = nodes + graph.nodes
    let named: (Int) -> Dimension = { axis in
      arrangement.order.firstIndex(of: axis).flatMap { declaration.dimensions?[$0] }
        ?? (declaration.dimensions == nil ? .unknown : .fixed(1))
    }
    let input = Declaration(value: planes, type: .float32, dimensions: (0..<4).map(named))
    graph.inputs = graph.inputs.map { $0.value == value ? input : $0 }
    return (graph, input)
  }
}

extension InputFormat {
  /// Throws `invalidModel` where the preprocessing makes numbers that the input cannot hold: fractions for whole
  /// numbers.
  func checkLevels(_ preprocessing: Preprocessing?) throws {
    guard let range = declaration.type.integers, let preprocessing else { return }
    let levels = (0..<preprocessing.channels).flatMap { preprocessing.levels(of: $0) }
    let bounds = Float(range.lowerBound)...Float(range.upperBound)
    guard levels.allSatisfy({ $0 == $0.rounded() && bounds.contains($0) }) else {
      throw Failure(
        .invalidModel,
        "metadata limpid.preprocess makes numbers that the input, of \(declaration.type), cannot hold; leave out scale "
          + "and normalize where the model scales itself")
    }
  }

  /// Throws `invalidArgument` for numbers that an input of whole numbers cannot hold.
  func check(_ values: UnsafeBufferPointer<Float>) throws {
    guard let range = declaration.type.integers else { return }
    let (low, high) = (Float(range.lowerBound), Float(range.upperBound))
    if let value = values.first(where: { !($0 >= low && $0 <= high && $0 == $0.rounded()) }) {
      throw Failure(
        .invalidArgument,
        "the model's input is of \(declaration.type), whole numbers from \(range.lowerBound) to "
          + "\(range.upperBound), but the tensor has \(value)")
    }
  }
}

extension ElementType {
  /// The whole numbers of the type, as far as float32 tells them apart; nil for floating-point types.
  var integers: ClosedRange<Int>? {
    switch self {
    case .uint32, .uint64: 0...(1 << 24)
    case .int32, .int64: -(1 << 24)...(1 << 24)
    case .bool: 0...1
    default: steps
    }
  }
}

extension Graph {
  /// The nodes that read `value`, where all that happens to it is that it is cast to floating-point numbers, perhaps
  /// after its axes were moved.
  func readers(onlyCasting value: ValueID) -> [Int]? {
    let consumers = consumers()
    var pending = [value]
    while let next = pending.popLast() {
      if outputs.contains(where: { $0.value == next }) { return nil }
      for i in consumers[next] ?? [] {
        let node = nodes[i]
        guard node.domain.isEmpty, node.inputs.first == next, node.inputs.dropFirst().allSatisfy({ $0 != next }),
          let output = node.output(0)
        else { return nil }
        switch node.operation {
        case "Cast":
          guard case .int(let code)? = node.attributes["to"],
            ElementType(rawValue: Int32(truncatingIfNeeded: code))?.computed == .float32
          else { return nil }
        case "Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze": pending.append(output)
        default: return nil
        }
      }
    }
    return consumers[value] ?? []
  }
}
