import Explanations
import Models
import Parallel
import Tensors

/// The feature maps of a layer as masks of the image.
struct ChannelMasks {
  /// How a feature map becomes a mask.
  enum Form {
    /// Enlarged (corners aligned), then spread over 0…1 with 1e-8 added to the range: a constant map masks everything.
    case corners
    /// Enlarged (half-pixel), then spread over 0…1.
    case enlargedFirst
    /// ReLU, enlarged (half-pixel), divided by the range, the minimum not taken off; a range of 0 counts as 1.
    case rectified
    /// Spread over 0…1, with 1e-8 added to the range, then enlarged (half-pixel).
    case spreadFirst
    /// The same with nothing added: of a constant map nothing is left.
    case spreadExactly
  }

  let maps: LayerMaps
  let form: Form
  private let enlargement: Enlargement
  /// What rounding makes of nothing in this layer.
  private let rounding: Float

  init(_ maps: LayerMaps, _ form: Form, for subject: Subject) {
    (self.maps, self.form) = (maps, form)
    rounding = 0x1p-20 * maps.values.reduce(0) { max($0, abs($1)) }
    enlargement = Enlargement(
      (maps.rows, maps.columns), to: (subject.height, subject.width), form == .corners ? .corners : .halfPixel)
  }

  /// Whether the map is the same everywhere but for rounding, and so no mask where nothing is added to its range.
  func isFlat(_ channel: Int) -> Bool {
    let map = maps[channel]
    return (map.max() ?? 0) - (map.min() ?? 0) <= rounding
  }

  /// The map at the size of the image, as it is.
  func enlarged(_ channel: Int) -> [Float] { enlargement(maps[channel]) }

  /// The map at the layer's size as the last two forms spread it.
  func spread(_ channel: Int) -> [Float] {
    let map = maps[channel]
    let low = map.min() ?? 0
    let extent = (map.max() ?? 0) - low + (form == .spreadFirst ? 1e-8 : 0)
    return map.map { ($0 - low) / extent }
  }

  /// The mask, [height, width] of the image.
  func callAsFunction(_ channel: Int) -> [Float] {
    switch form {
    case .spreadFirst, .spreadExactly: return enlargement(spread(channel))
    case .rectified:
      let map = enlargement(maps[channel].map { max($0, 0) })
      let extent = (map.max() ?? 0) - (map.min() ?? 0)
      return map.map { $0 / (extent != 0 ? extent : 1) }
    case .corners, .enlargedFirst:
      let map = enlarged(channel)
      let low = map.min() ?? 0
      let extent = (map.max() ?? 0) - low + (form == .corners ? 1e-8 : 0)
      return map.map { ($0 - low) / extent }
    }
  }

  /// The channels to run: all, or the `limit` with the largest range, in their order.
  func channels(_ limit: Int) -> [Int] {
    let all = Array(0..<maps.channels)
    guard limit > 0, limit < all.count else { return all }
    let ranges = all.map { (maps[$0].max() ?? 0) - (maps[$0].min() ?? 0) }
    return all.sorted { ranges[$0] > ranges[$1] || (ranges[$0] == ranges[$1] && $0 < $1) }.prefix(limit).sorted()
  }

  /// Channels of which no two have one map, so that each mask runs once: those that are 0 everywhere, above all.
  struct Distinct {
    fileprivate(set) var channels: [Int] = []
    /// For each channel that was asked about, whose mask it has.
    fileprivate var places: [Int] = []

    /// What was found for `channels`, for all that were asked about.
    func spread(_ values: [Double]) -> [Double] { places.map { values[$0] } }
  }

  /// A mask follows from its map, so maps are told apart, by all their bits.
  func distinct(_ channels: [Int]) -> Distinct {
    var result = Distinct()
    var known: [[UInt32]: Int] = [:]
    for channel in channels {
      let map = maps[channel].map(\.bitPattern)
      let place = known[map] ?? result.channels.count
      if place == result.channels.count {
        known[map] = place
        result.channels.append(channel)
      }
      result.places.append(place)
    }
    return result
  }
}

extension ExplanationRequest {
  /// For each class of `subject`, the mean score of each channel over `samples` changed forms of the image.
  func channelScores(
    _ subject: Subject, _ channels: [Int], samples: Int, _ scoring: Scoring, _ progress: Progress,
    write: @escaping (_ channel: Int, _ sample: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void
  ) throws -> [[Double]] {
    var sums = subject.classes.map { _ in [Double](repeating: 0, count: channels.count) }
    let (count, overflow) = channels.count.multipliedReportingOverflow(by: samples)
    if overflow { throw Failure(.invalidArgument, "\(samples) samples of \(channels.count) channels are too many") }
    try forEachVariant(of: subject, count: count, progress) { i, target in
      try write(channels[i / samples], i % samples, target)
    } _: { i, logits in
      let scores = scoring(logits)
      for (c, index) in subject.classes.enumerated() { sums[c][i / samples] += Double(scores[index]) / Double(samples) }
    }
    return sums
  }
}

/// The sum of feature maps that Score-CAM and its kin end with.
struct ChannelSum {
  /// Weights of each of `channels`.
  static func softmax(_ scores: [Double]) -> [Float] { Scoring.softmax(scores.map { Float($0) }) }

  /// ReLU(Σ_k w_k A_k) at the layer's size.
  static func rectified(_ maps: LayerMaps, _ channels: [Int], _ weights: [Float]) -> Heatmap {
    var all = [Float](repeating: 0, count: maps.channels)
    for (channel, weight) in zip(channels, weights) { all[channel] = weight }
    return maps.heatmap(maps.sum(weights: all)).rectified
  }

  /// SCOUTER's copy of torchcam: of the spread maps, each of a constant channel 1 everywhere.
  static func ofSpread(_ masks: ChannelMasks, _ channels: [Int], _ weights: [Float]) -> Heatmap {
    var sum = [Float](repeating: 0, count: masks.maps.positions)
    let places = Dictionary(uniqueKeysWithValues: zip(channels, weights))
    for channel in 0..<masks.maps.channels {
      guard let weight = places[channel] else {
        if masks.isFlat(channel) { for p in sum.indices { sum[p] += 1 } }
        continue
      }
      for (p, value) in masks.spread(channel).enumerated() { sum[p] += weight * value }
    }
    return masks.maps.heatmap(sum).rectified.spread
  }

  static func detail(_ masks: ChannelMasks, _ channels: [Int], _ weights: [Float]) throws -> (String, Tensor) {
    var all = [Float](repeating: 0, count: masks.maps.channels)
    for (channel, weight) in zip(channels, weights) { all[channel] = weight }
    return ("weights", try Tensor(all, Shape(checking: [all.count])))
  }
}
