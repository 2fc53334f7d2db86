import Engine
import Graph
import Models
import Operators
import Parallel
import Tensors

/// The part of a model behind a layer, run once for each of some channels, which is set to one number everywhere.
///
/// What is behind the layer often works channel by channel first, as pooling does. That part runs for two values only:
/// the image's, and the one whose channels are all set; each channel of the result is that of one or the other, with
/// the same bits as if it had run for each. Channels that are the same in both need no run. Where fully connected layers
/// come next up to the scores, as in a classifier, each channel's result is that of the image and what its few elements
/// change: the same but for rounding. Else the rest runs for its small values.
struct ChannelTail {
  /// What is left to be run.
  private enum Rest {
    case tail(LayerTail)
    /// By a product first, and its row for the image.
    case product(KnownProduct, row: [Float], LayerTail)
    /// By layers to the end; `row` is the first's for the image where it does not find it itself.
    case layers(KnownLayers, row: [Float]?)
  }

  private let rest: Rest
  private let engine: Engine
  private let parallel: Parallel
  /// The image's.
  private let logits: [Float]
  /// Of the logits those that are read.
  private let classes: [Int]
  /// Of one value that is fed to the rest: as the image has it, and with all channels set.
  private let whole: Tensor
  private let set: Tensor
  /// For each channel, which elements of a value are its own.
  private let own: [[Int]]

  /// `numbers`: what each of `channels` is set to. `value` is the layer's, of the image alone. Only the logits of
  /// `classes` are read where those are given.
  init(
    _ request: ExplanationRequest, _ layer: FeatureLayer, of subject: Subject, _ value: Tensor, _ channels: [Int],
    to numbers: [Float], reading classes: [Int]?, _ progress: Progress
  ) throws {
    let positions = layer.grid.rows * layer.grid.columns
    let places = channels.map { channel in (0..<positions).map { layer.place(channel: channel, position: $0) } }
    func tail(_ value: ValueID, rows: Int) throws -> LayerTail {
      try LayerTail(request, behind: value, of: subject, rows: rows, progress)
    }
    let front = try tail(layer.value, rows: min(2, channels.count))
    let source = try value.floats().aligned()
    let replaced = try Tensor(.float32, front.rowShape)
    let target = replaced.data.assumingMemoryBound(to: Float.self)
    target.update(from: source.data.assumingMemoryBound(to: Float.self), count: front.rowCount)
    for (own, number) in zip(places, numbers) { for place in own { target[place] = number } }
    (engine, parallel) = (request.model.engine, request.model.parallel(for: request.call))
    logits = subject.logits
    self.classes = classes ?? Array(subject.logits.indices)
    let end = layer.arrangement == .channelsFirst ? front.channelwiseEnd(channels: layer.channels) : layer.value
    if end == layer.value {
      (whole, set, own) = (source, replaced, places)
    } else {
      (whole, set) = try Self.run(front, to: end, source, replaced, progress)
      let size = whole.shape.count / max(1, layer.channels)
      own = channels.map { Array($0 * size..<($0 + 1) * size) }
    }
    guard Self.areFinite(whole, set), let product = front.knownProduct(behind: end) else {
      rest = .tail(try tail(end, rows: channels.count))
      return
    }
    let image = whole
    func row() throws -> [Float] { try Self.row(of: product, tail(end, rows: 1), image, progress) }
    guard let layers = front.knownLayers(from: product), layers.columns == logits.count else {
      rest = .product(product, row: try row(), try tail(product.result, rows: channels.count))
      return
    }
    if product.isTransposed && own.allSatisfy(\.isContiguous) {
      rest = .layers(layers, row: nil)
    } else {
      // Where the first layer is the last, only differences count.
      rest = .layers(layers, row: layers.isOneProduct ? [Float](repeating: 0, count: product.columns) : try row())
    }
  }

  /// The product of the image's value.
  private static func row(
    of known: KnownProduct, _ tail: LayerTail, _ value: Tensor, _ progress: Progress
  ) throws -> [Float] {
    var row: [Float] = []
    try withExtendedLifetime(value) {
      let source = value.data.assumingMemoryBound(to: Float.self)
      try tail.forEachBatch(of: known.result, count: 1, progress.polling) { _, target in
        target.update(from: source, count: tail.rowCount)
      } _: { _, tensor in
        row = Array(try tensor.floats().array(of: Float.self).prefix(known.columns))
      }
    }
    return row
  }

  /// Differences of infinite elements are NaN, where their sums need not be.
  private static func areFinite(_ tensors: Tensor...) -> Bool {
    tensors.allSatisfy { $0.array(of: Float.self).allSatisfy(\.isFinite) }
  }

  /// `end` for the layer's value and for the one whose channels are set.
  private static func run(
    _ front: LayerTail, to end: ValueID, _ source: Tensor, _ replaced: Tensor, _ progress: Progress
  ) throws -> (Tensor, Tensor) {
    var found: [Tensor] = []
    try front.forEachBatch(of: end, count: 2, progress.polling) { i, target in
      let value = i == 0 ? source : replaced
      target.update(from: value.data.assumingMemoryBound(to: Float.self), count: front.rowCount)
    } _: { items, tensor in
      for i in items.indices { found.append(try tensor.row(i - items.lowerBound, of: front.rows).aligned()) }
    }
    return (found[0], found[1])
  }

  /// Gives the logits for each of the channels.
  func forEach(_ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void) throws {
    try withExtendedLifetime((whole, set)) {
      let (whole, set) = (floats(whole), floats(set))
      let (changed, same) = own.indices.divided { i in own[i].contains { set[$0] != whole[$0] } }
      for i in same { try body(i, logits) }
      switch rest {
      case .tail(let tail):
        try tail.forEach(count: changed.count, progress) { i, target in
          target.update(from: whole, count: tail.rowCount)
          for place in own[changed[i]] { target[place] = set[place] }
        } _: {
          try body(changed[$0], $1)
        }
      case .product(let product, let row, let tail):
        try forEach(changed, product, row, tail, growth(whole, set), progress, body)
      case .layers(let layers, let row):
        try forEach(changed, layers, row, whole, growth(whole, set), progress, body)
      }
    }
  }

  private func growth(_ whole: UnsafePointer<Float>, _ set: UnsafePointer<Float>) -> [Float] {
    (0..<self.whole.shape.count).map { set[$0] - whole[$0] }
  }

  /// By what each channel changes in the product's `row`, some channels at a time.
  private func forEach(
    _ changed: [Int], _ product: KnownProduct, _ row: [Float], _ tail: LayerTail, _ growth: [Float],
    _ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void
  ) throws {
    let blockRows = 64
    let columns = Array(row.indices)
    var rows: [Float] = []
    try tail.forEach(count: changed.count, progress) { i, target in
      if i % blockRows == 0 {
        let places = changed[i..<min(changed.count, i + blockRows)].map { own[$0] }
        rows = row + [Float](repeating: 0, count: places.count * row.count)
        rows.withUnsafeMutableBufferPointer { rows in
          if let base = rows.baseAddress { product.add(growth, at: places, columns: columns, to: base, parallel) }
        }
      }
      let first = (1 + i % blockRows) * row.count
      for (k, value) in rows[first..<first + row.count].enumerated() { target[k] = value }
    } _: {
      try body(changed[$0], $1)
    }
  }

  /// By fully connected layers up to the logits: what those differ from the image's in the same sums.
  private func forEach(
    _ changed: [Int], _ layers: KnownLayers, _ row: [Float]?, _ whole: UnsafePointer<Float>, _ growth: [Float],
    _ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void
  ) throws {
    for start in stride(from: 0, to: changed.count, by: KnownLayers.blockRows) {
      let channels = changed[start..<min(changed.count, start + KnownLayers.blockRows)]
      let share = progress.range(start..<channels.endIndex, of: changed.count)
      let found = try growth.withUnsafeBufferPointer { growth in
        guard let growth = growth.baseAddress else { return [Float]() }
        let rows = KnownLayers.Rows(whole: whole, growth: growth, places: channels.map { own[$0] }, base: row)
        return try layers.run(rows, columns: classes, engine, parallel, share).array(of: Float.self)
      }
      for (i, channel) in channels.enumerated() {
        var changed = logits
        for (n, index) in classes.enumerated() { changed[index] += found[(1 + i) * classes.count + n] - found[n] }
        try body(channel, changed)
      }
    }
  }

  private func floats(_ tensor: Tensor) -> UnsafePointer<Float> {
    UnsafePointer(tensor.data.assumingMemoryBound(to: Float.self))
  }
}

extension [Int] {
  /// Whether each is the one before and 1.
  fileprivate var isContiguous: Bool { indices.dropFirst().allSatisfy { self[$0] == self[$0 - 1] + 1 } }
}

extension Range<Int> {
  /// Those for which `test` is true, and the others.
  fileprivate func divided(by test: (Int) -> Bool) -> (those: [Int], others: [Int]) {
    var (those, others): ([Int], [Int]) = ([], [])
    for i in self { if test(i) { those.append(i) } else { others.append(i) } }
    return (those, others)
  }
}

extension Emitter {
  fileprivate func isConstant(_ value: ValueID) -> Bool { (try? operand(value).constant) != nil }
}

extension LayerTail {
  /// The last value on the way from this one, [rows, channels, …], to the scores that alone is read, and whose channels
  /// are each computed from the same channel only.
  func channelwiseEnd(channels: Int) -> ValueID {
    let graph = trace.graph
    let live = Set(graph.live(for: [target], known: Set(graph.constants.keys).union([value])))
    let consumers = graph.consumers()
    var end = value
    while let readers = consumers[end].map({ Set($0).intersection(live) }), readers.count == 1,
      let reader = readers.first
    {
      let node = graph.nodes[reader]
      guard node.outputs.count == 1, let output = node.outputs[0], output != target,
        node.inputs.compactMap({ $0 }).allSatisfy({ $0 == end || trace.isConstant($0) }),
        let shape = try? trace.shape(output), shape.count > 1, shape[0] == rows, shape[1] == channels,
        let definition = Operators.definition(node.operation, domain: node.domain),
        let request = try? trace.request(node), (try? definition.locality(request))?.contains(.channel) ?? false
      else { break }
      end = output
    }
    return end
  }
}
