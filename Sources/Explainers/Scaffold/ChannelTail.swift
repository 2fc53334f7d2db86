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
/// the same bits as if it had run for each. Where a product with a known matrix comes next, as in the fully connected
/// layer of a classifier, each channel's result is that of the image, which runs, and what its few elements change: the
/// same but for rounding. The rest then runs for its small values.
struct ChannelTail {
  /// What is left to be run; nil where the product gives the scores.
  private let tail: LayerTail?
  /// The product, and its row for the image.
  private let product: (known: KnownProduct, row: [Float])?
  private let parallel: Parallel
  /// Of one value that is fed to the tail: as the image has it, and with all channels set.
  private let whole: Tensor
  private let set: Tensor
  /// For each channel that is run, which elements of a value are its own.
  private let own: [[Int]]

  /// `numbers`: what each of `channels` is set to. `value` is the layer's, of the image alone.
  init(
    _ request: ExplanationRequest, _ layer: FeatureLayer, of subject: Subject, _ value: Tensor, _ channels: [Int],
    to numbers: [Float], _ progress: Progress
  ) throws {
    let positions = layer.grid.rows * layer.grid.columns
    let places = channels.map { channel in (0..<positions).map { layer.place(channel: channel, position: $0) } }
    let front = try LayerTail(request, behind: layer.value, of: subject, rows: channels.count, progress)
    let source = try value.floats().aligned()
    let replaced = try Tensor(.float32, front.rowShape)
    let target = replaced.data.assumingMemoryBound(to: Float.self)
    target.update(from: source.data.assumingMemoryBound(to: Float.self), count: front.rowCount)
    for (own, number) in zip(places, numbers) { for place in own { target[place] = number } }
    parallel = request.model.parallel(for: request.call)
    let end = layer.arrangement == .channelsFirst ? front.channelwiseEnd(channels: layer.channels) : layer.value
    if end == layer.value {
      (whole, set, own) = (source, replaced, places)
    } else {
      (whole, set) = try Self.run(front, to: end, source, replaced, progress)
      let size = whole.shape.count / max(1, layer.channels)
      own = channels.map { Array($0 * size..<($0 + 1) * size) }
    }
    let known = Self.areFinite(whole, set) ? front.knownProduct(behind: end) : nil
    guard let known else {
      product = nil
      tail =
        end == layer.value ? front : try LayerTail(request, behind: end, of: subject, rows: channels.count, progress)
      return
    }
    let alone = try LayerTail(request, behind: end, of: subject, rows: 1, progress)
    product = (known, try Self.row(of: known, alone, whole, progress))
    tail =
      known.result == front.target
      ? nil : try LayerTail(request, behind: known.result, of: subject, rows: channels.count, progress)
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

  /// Gives the logits for each of the channels, in order.
  func forEach(_ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void) throws {
    try withExtendedLifetime((whole, set)) {
      let (whole, set) = (floats(whole), floats(set))
      if let product { return try forEach(product.known, product.row, whole, set, progress, body) }
      guard let tail else { return }
      try tail.forEach(count: own.count, progress) { i, target in
        target.update(from: whole, count: tail.rowCount)
        for place in own[i] { target[place] = set[place] }
      } _: {
        try body($0, $1)
      }
    }
  }

  private static var blockRows: Int { 64 }

  /// By what each channel changes in `row`, some channels at a time.
  private func forEach(
    _ product: KnownProduct, _ row: [Float], _ whole: UnsafePointer<Float>, _ set: UnsafePointer<Float>,
    _ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void
  ) throws {
    let growth = (0..<self.whole.shape.count).map { set[$0] - whole[$0] }
    var rows: [Float] = []
    /// Rows of the block that begins with channel `first`.
    func compute(from first: Int) {
      let places = own[first..<min(own.count, first + Self.blockRows)]
      rows = places.flatMap { _ in row }
      rows.withUnsafeMutableBufferPointer { rows in
        if let base = rows.baseAddress { product.add(growth, at: places, to: base, parallel) }
      }
    }
    func read<R>(_ i: Int, _ body: (ArraySlice<Float>) throws -> R) rethrows -> R {
      if i % Self.blockRows == 0 { compute(from: i) }
      let place = i % Self.blockRows * row.count
      return try body(rows[place..<place + row.count])
    }
    guard let tail else {
      for i in own.indices {
        if i % Self.blockRows == 0 { try progress.advance(i, of: own.count) }
        try read(i) { try body(i, Array($0)) }
      }
      return
    }
    try tail.forEach(count: own.count, progress) { i, target in
      read(i) { for (k, value) in $0.enumerated() { target[k] = value } }
    } _: {
      try body($0, $1)
    }
  }

  private func floats(_ tensor: Tensor) -> UnsafePointer<Float> {
    UnsafePointer(tensor.data.assumingMemoryBound(to: Float.self))
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
