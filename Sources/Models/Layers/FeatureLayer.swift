public import Graph
import Operators
import Tensors

/// A value whose elements have places in the image: what CAM methods tap.
public struct FeatureLayer: Sendable {
  /// How the axes of such a value are ordered, the batch first.
  public enum Arrangement: String, Sendable {
    /// [N, C, h, w]
    case channelsFirst = "nchw"
    /// [N, h, w, C]
    case channelsLast = "nhwc"
    /// [N, tokens, C]
    case tokens = "ntc"
    /// [N, C, tokens]
    case channelsOfTokens = "nct"
  }

  public let value: ValueID
  public let arrangement: Arrangement
  public let channels: Int
  /// Rows, columns, and the tokens that are none of them.
  public let grid: TokenGrid

  /// [N, C, h, w]
  init(_ value: ValueID, channels: Int, grid: TokenGrid) {
    self.value = value
    (arrangement, self.channels, self.grid) = (.channelsFirst, channels, grid)
  }

  /// nil where `axes` (of a value of shape `shape`) are not those of feature maps.
  init?(_ value: ValueID, _ axes: [Axis], shape: [Int]) {
    guard axes.count == shape.count, axes.count >= 3, axes[0].factors.isEmpty || axes[0].kind == .batch else {
      return nil
    }
    func isRow(_ i: Int) -> Bool { axes[i].kind == .row || shape[i] == 1 }
    func isColumn(_ i: Int) -> Bool { axes[i].kind == .column || shape[i] == 1 }
    func isChannel(_ i: Int) -> Bool { axes[i].kind == .channel || axes[i].kind == .unknown || shape[i] == 1 }
    let found: (arrangement: Arrangement, channels: Int, grid: TokenGrid)?
    switch axes.count {
    case 4 where isChannel(1) && isRow(2) && isColumn(3):
      found = (.channelsFirst, shape[1], TokenGrid(rows: shape[2], columns: shape[3]))
    case 4 where isRow(1) && isColumn(2) && isChannel(3):
      found = (.channelsLast, shape[3], TokenGrid(rows: shape[1], columns: shape[2]))
    case 3 where isChannel(2): found = axes[1].grid.map { (.tokens, shape[2], $0) }
    case 3 where isChannel(1): found = axes[2].grid.map { (.channelsOfTokens, shape[1], $0) }
    default: found = nil
    }
    guard let found, found.grid.rows * found.grid.columns > 1 else { return nil }
    self.value = value
    (arrangement, channels, grid) = found
  }

  /// By the shape alone: [N, C, h, w], or [N, tokens, C] where the tokens are a square and up to eight others before
  /// it.
  init?(_ value: ValueID, guessing shape: [Int]) {
    self.value = value
    if shape.count == 4, shape[2] * shape[3] > 1 {
      (arrangement, channels, grid) = (.channelsFirst, shape[1], TokenGrid(rows: shape[2], columns: shape[3]))
      return
    }
    guard shape.count == 3, shape[1] > 3 else { return nil }
    let side = Int(Double(shape[1]).squareRoot())
    guard shape[1] - side * side <= 8 else { return nil }
    (arrangement, channels) = (.tokens, shape[2])
    grid = TokenGrid(rows: side, columns: side, before: shape[1] - side * side)
  }
}

/// The layers of a traced graph.
struct FeatureLayers {
  /// Those whose positions have a part in the target, in the order of the graph.
  let all: [FeatureLayer]
  /// The one that CAM methods tap by default: the last before pooling, or for a class token the last that its attention
  /// reads, after its normalisation.
  let best: FeatureLayer?

  init(_ emitter: Emitter, input: ValueID, axes: [ValueID: [Axis]], target: ValueID) {
    let graph = emitter.graph
    let fed = graph.dependents(of: [input])
    let layers = graph.nodes.flatMap(\.outputs).compactMap { $0 }.compactMap { value -> FeatureLayer? in
      guard let own = axes[value], let shape = try? emitter.shape(value),
        (try? emitter.operand(value).type) == .float32
      else { return nil }
      return FeatureLayer(value, own, shape: shape)
    }
    let live = Self.live(graph, axes, target)
    all = layers.filter { live.contains($0.value) }
    // Single maps are attention or masks, not features.
    guard let last = all.last(where: { $0.channels > 1 }) else {
      best = nil
      return
    }
    let producers = graph.producers().filter { fed.contains($0.key) }
    let byValue = Dictionary(all.map { ($0.value, $0) }) { first, _ in first }
    var chosen = last
    // Past the projections that make queries, keys and values, to what they read.
    while chosen.arrangement != .channelsFirst,
      let source = Self.projected(chosen.value, graph, producers), let layer = byValue[source]
    { chosen = layer }
    best = chosen
  }

  /// What convolutions and batch normalisations add to each channel.
  func biases(_ emitter: Emitter) -> [(layer: FeatureLayer, bias: [Float])] {
    let byValue = Dictionary(all.map { ($0.value, $0) }) { first, _ in first }
    return emitter.graph.nodes.compactMap { node in
      guard let output = node.output(0), let layer = byValue[output],
        let bias = Self.bias(node, emitter), bias.count == layer.channels
      else { return nil }
      return (layer, bias)
    }
  }

  private static func bias(_ node: Node, _ emitter: Emitter) -> [Float]? {
    func vector(_ i: Int) -> [Float]? {
      guard let tensor = try? emitter.constant(node, i), tensor.type == .float32 else { return nil }
      return tensor.array(of: Float.self)
    }
    switch node.operation {
    case "Conv": return vector(2)
    case "BatchNormalization":
      guard let scale = vector(1), let shift = vector(2), let mean = vector(3), let variance = vector(4),
        let epsilon = try? node.float("epsilon", default: 1e-5)
      else { return nil }
      return scale.indices.map { shift[$0] - mean[$0] * scale[$0] / (variance[$0] + epsilon).squareRoot() }
    default: return nil
    }
  }

  /// The values whose positions the target depends on one by one or together: not those of which only a class token is
  /// read later.
  private static func live(_ graph: Graph, _ axes: [ValueID: [Axis]], _ target: ValueID) -> Set<ValueID> {
    var useful: Set<ValueID> = [target]
    var live = Set<ValueID>()
    for node in graph.nodes.reversed() {
      let outputs = node.outputs.compactMap { $0 }.filter(useful.contains)
      guard !outputs.isEmpty else { continue }
      useful.formUnion(node.inputs.compactMap { $0 })
      let isChoice = ["Slice", "Gather", "Split"].contains(node.operation)
      for (i, input) in node.inputs.enumerated() {
        guard let input, axes[input]?.isSpatial == true else { continue }
        let carries = outputs.contains { axes[$0]?.isSpatial == true }
        // The right factor of a product is mixed by the left one, as keys and values are in attention.
        let isMixed =
          node.operation == "MatMul" && i == 1 || node.operation == "Attention" && i > 0
          || node.operation == "Einsum" && i > 0
        if isMixed || (carries ? outputs.contains(where: live.contains) : !isChoice) { live.insert(input) }
      }
    }
    return live
  }

  /// What a linear layer of constant weights reads that makes `value`; `producers` of what depends on the image.
  private static func projected(_ value: ValueID, _ graph: Graph, _ producers: [ValueID: Int]) -> ValueID? {
    var current = value
    while let i = producers[current] {
      let node = graph.nodes[i]
      let open = node.inputs.compactMap { $0 }.filter { producers[$0] != nil }
      switch node.operation {
      case "Add", "Reshape", "Split", "Slice", "Transpose", "Squeeze", "Gather", "Mul", "Div", "Cast", "Identity",
        "QuantizeLinear", "DequantizeLinear":
        guard open.count == 1 || node.operation != "Add" && !open.isEmpty else { return nil }
        current = open[0]
      case "MatMul", "Gemm", "Conv": return open.count == 1 ? open[0] : nil
      default: return nil
      }
    }
    return nil
  }
}
