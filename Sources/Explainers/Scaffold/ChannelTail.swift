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
/// the same bits as if it had run for each. The rest then runs for its small values.
struct ChannelTail {
  private let tail: LayerTail
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
    let end = layer.arrangement == .channelsFirst ? front.channelwiseEnd(channels: layer.channels) : layer.value
    guard end != layer.value else {
      (tail, whole, set, own) = (front, source, replaced, places)
      return
    }
    var found: [Tensor] = []
    try front.forEachBatch(of: end, count: 2, progress.polling) { i, target in
      let value = i == 0 ? source : replaced
      target.update(from: value.data.assumingMemoryBound(to: Float.self), count: front.rowCount)
    } _: { items, tensor in
      for i in items.indices { found.append(try tensor.row(i - items.lowerBound, of: front.rows).aligned()) }
    }
    tail = try LayerTail(request, behind: end, of: subject, rows: channels.count, progress)
    (whole, set) = (found[0], found[1])
    let size = tail.rowCount / max(1, layer.channels)
    own = channels.map { Array($0 * size..<($0 + 1) * size) }
  }

  /// Gives the logits for each of the channels, in order.
  func forEach(_ progress: Progress, _ body: (_ i: Int, _ logits: [Float]) throws -> Void) throws {
    try withExtendedLifetime((whole, set)) {
      let (whole, set) = (floats(whole), floats(set))
      try tail.forEach(count: own.count, progress) { i, target in
        target.update(from: whole, count: tail.rowCount)
        for place in own[i] { target[place] = set[place] }
      } _: { try body($0, $1) }
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
    while let readers = consumers[end].map({ Set($0).intersection(live) }), readers.count == 1, let reader = readers.first {
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
