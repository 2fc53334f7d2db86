import Explanations
import Models
import Parallel
import Tensors

/// RISE (Petsiuk, Das & Saenko, BMVC 2018, eq. 6): S_c = Σ_n p_c(x ⊙ M_n)·M_n / (N·p), of random masks M_n, which are
/// grids of kept and dropped cells, enlarged and shifted. Masks are made when they are needed, one at a time.
///
/// `compat=torchray` scores by the sigmoid of each logit, divides by N alone, and has cells of whole pixels. `tame` is
/// `rise` spread over 0…1.
struct RISE: Explainer {
  let name = "rise"
  let summary = "Random masks, each weighted by the score of what it lets through: asks the model only, no layer."
  let draws = [
    Draw("grid", "uint8 [masks, cells, cells], 1: kept; else drawn by `keep`."),
    Draw("shift", "integers [masks, 2], rows then columns that a mask is shifted by; else drawn."),
  ]
  let drawsNumbers = true

  enum Normalization: String, CaseIterable { case expected, actual, none }

  let parameters = [
    Parameter("masks", default: 4000, in: 1...10_000_000, "Random masks, as many runs of the model."),
    Parameter("cells", default: 7, in: 1...1000, "Cells of a mask along each axis."),
    Parameter("keep", default: 0.5, in: 0.001...1, "The probability of keeping a cell."),
    Scoring.parameter("score", [.probability, .softmax, .sigmoid, .logit], "the probability"),
    Parameter(
      "normalize", default: Normalization.expected,
      "expected: divided by masks × keep, as in the paper; actual: by how often each pixel was kept; none."
    ).read(with: "compat", ["none", "rise", "tame"]),
    Baseline.parameter,
    Parameter(
      "tolerance", default: 0.0, in: 0...1,
      "Stop once the largest standard error of a pixel is this part of the map's range, for every class; 0: never."),
    Parameter("compat", choices: ["none", "rise", "torchray", "tame"], default: "none", Compat.summary),
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let compat: Compat = try request.settings.choice("compat")
    let scoring = try Scoring(request, "score", else: compat == .torchray ? .sigmoid : .probability)
    let baseline: Baseline = try request.settings.choice("baseline")
    return try request.explainEach(compat) { subject, progress in
      let masks = try RandomMasks(request, subject.height, subject.width, compat)
      let filling = try baseline.values(of: subject, request)
      let tolerance = try request.settings.number("tolerance")
      // Sums and maps of each class, the sum of all masks, and the divisors.
      try requireMemory(subject.pixels, of: 8 * ((tolerance > 0 ? 3 : 2) * subject.classes.count + 2))
      var sums = subject.classes.map { _ in MaskedSums(count: subject.pixels, hasSquares: tolerance > 0) }
      var total = [Double](repeating: 0, count: subject.pixels)
      var kept = KeptMasks(masks, request.call)
      var used = 0
      do {
        try request.forEachVariant(of: subject, count: masks.count, progress) { i, target in
          subject.write(mask: kept.made(i), over: filling, into: target)
        } _: { i, logits in
          let mask = kept[i]
          let scores = scoring(logits)
          for (c, index) in subject.classes.enumerated() { sums[c].add(mask, Double(scores[index])) }
          for p in mask.indices { total[p] += Double(mask[p]) }
          used = i + 1
          // Looked at after the same masks whatever runs together.
          if tolerance > 0, used % 100 == 0, sums.allSatisfy({ $0.error(used) <= tolerance }) { throw Enough() }
        }
      } catch is Enough {
        try progress.advance(1, of: 1)
      }
      let divisors = try divisors(request, used, total, compat)
      return try sums.map { try $0.drawn(divisors, used, subject) }
    }
  }

  /// Thrown where no more masks are needed.
  private struct Enough: Error {}

  private func divisors(
    _ request: ExplanationRequest, _ masks: Int, _ total: [Double], _ compat: Compat
  ) throws -> [Double] {
    let count = Double(masks)
    if compat == .torchray { return total.map { _ in count } }
    switch try request.settings.choice("normalize", Normalization.self) {
    case .expected: return try total.map { _ in count * (try request.settings.number("keep")) }
    case .actual: return total
    case .none: return total.map { _ in 1 }
    }
  }
}

/// The masks of a batch, from when the images are masked to when they are scored.
private struct KeptMasks {
  /// Numbers that are kept at most; masks of larger batches are made twice.
  private static let most = 1 << 22

  private let masks: RandomMasks
  private var kept: [(index: Int, mask: [Float])]

  init(_ masks: RandomMasks, _ call: Call) {
    self.masks = masks
    let batch = call.batchSize > 0 ? call.batchSize : Call.defaultBatchSize
    let room = max(1, min(batch, masks.count, Self.most / max(1, masks.pixels)))
    kept = Array(repeating: (-1, []), count: room)
  }

  /// Mask `i`, made now.
  mutating func made(_ i: Int) -> [Float] {
    let place = i % kept.count
    // Taken out, so that it is written in place.
    var mask = kept[place].mask
    kept[place] = (i, [])
    if mask.isEmpty { mask = [Float](repeating: 0, count: masks.pixels) }
    masks.write(i, into: &mask)
    kept[place].mask = mask
    return mask
  }

  /// Mask `i`, made before.
  subscript(i: Int) -> [Float] {
    let found = kept[i % kept.count]
    if found.index == i { return found.mask }
    var mask = [Float](repeating: 0, count: masks.pixels)
    masks.write(i, into: &mask)
    return mask
  }
}

/// What one class has got of the masks so far.
private struct MaskedSums {
  private var values: [Double]
  /// Empty where no error is asked for.
  private var squares: [Double]

  init(count: Int, hasSquares: Bool) {
    values = [Double](repeating: 0, count: count)
    squares = hasSquares ? values : []
  }

  mutating func add(_ mask: [Float], _ score: Double) {
    for p in mask.indices { values[p] += score * Double(mask[p]) }
    for p in squares.indices {
      let value = score * Double(mask[p])
      squares[p] += value * value
    }
  }

  /// The largest standard error of a pixel's mean over `count` masks, as a part of the range of the means.
  func error(_ count: Int) -> Double {
    guard let low = values.min(), let high = values.max(), high > low else { return .infinity }
    let number = Double(count)
    let largest = zip(values, squares).map { sum, square in square - sum * sum / number }.max() ?? 0
    return (max(0, largest) / (number - 1) * number).squareRoot() / (high - low)
  }

  func drawn(_ divisors: [Double], _ count: Int, _ subject: Subject) throws -> [DrawnMap] {
    let means = zip(values, divisors).map { Float($1 > 0 ? $0 / $1 : 0) }
    var map = DrawnMap(grid: Heatmap(means, width: subject.width, height: subject.height))
    if !squares.isEmpty {
      map.details = [
        ("masks", try Tensor([Float(count)], [1])), ("error", try Tensor([Float(error(count))], [1])),
      ]
    }
    return [map]
  }
}

/// RISE's masks: s × s cells, enlarged beyond the image by one cell, of which a window is taken.
struct RandomMasks {
  let count: Int
  var pixels: Int { height * width }
  private let cells: (rows: Int, columns: Int)
  private let keep: Float
  private let rows: Taps
  private let columns: Taps
  private let height: Int
  private let width: Int
  private let limits: [Int]
  private let grid: [Float]?
  private let shift: [Int]?
  private let cellDraws: RandomNumbers
  private let shiftDraws: RandomNumbers

  init(_ request: ExplanationRequest, _ height: Int, _ width: Int, _ compat: Compat) throws {
    let grid = try request.draw("grid", [nil, nil, nil])
    let count = { try request.settings.count($0, fed: $1) }
    cells = (try count("cells", grid?.shape[1]), try count("cells", grid?.shape[2]))
    guard cells.rows > 0, cells.columns > 0, grid.map({ $0.shape[0] > 0 }) ?? true else {
      throw Failure(.invalidArgument, "the draws \"grid\" hold no masks")
    }
    self.count = try count("masks", grid?.shape[0])
    self.grid = grid?.array(of: Float.self)
    keep = Float(try request.settings.number("keep"))
    (self.height, self.width) = (height, width)
    let extents = [(height, cells.rows), (width, cells.columns)].map { size, cells in
      let cell = (size + cells - 1) / cells
      guard compat == .torchray else {
        let full = (cells + 1) * cell
        return (cell, Taps(old: cells, mirrored: full, pixelsPerSample: Double(full) / Double(cells)))
      }
      let full = size + cell
      return (cell, Taps(old: cells, mirrored: full, pixelsPerSample: Double((full + cells - 1) / cells)))
    }
    limits = extents.map(\.0)
    (rows, columns) = (extents[0].1, extents[1].1)
    let room = [rows.count - height, columns.count - width]
    shift = try request.draw("shift", [self.count, 2])?.array(of: Float.self).map { Int($0.clamped) }
    if let shift, let bad = shift.indices.first(where: { !(0...room[$0 % 2]).contains(shift[$0]) }) {
      throw Failure(
        .invalidArgument,
        "the draws \"shift\" hold \(shift[bad]) for \(bad % 2 == 0 ? "rows" : "columns"), where 0 to "
          + "\(room[bad % 2]) fit")
    }
    cellDraws = RandomNumbers(seed: request.seed, .grid)
    shiftDraws = RandomNumbers(seed: request.seed, .shift)
  }

  /// Mask `i`, [height, width].
  func write(_ i: Int, into mask: inout [Float]) {
    let size = cells.rows * cells.columns
    let values =
      grid.map { Array($0[i * size..<(i + 1) * size]) }
      ?? (0..<size).map { cellDraws.uniform(i * size + $0) < keep ? 1 : 0 }
    let offset = (0..<2).map { axis in shift?[2 * i + axis] ?? shiftDraws.integer(2 * i + axis, below: limits[axis]) }
    let enlargement = Enlargement(
      (cells.rows, cells.columns), rows: rows[offset[0]..<offset[0] + height],
      columns: columns[offset[1]..<offset[1] + width])
    values.withUnsafeBufferPointer { values in
      mask.withUnsafeMutableBufferPointer { enlargement.write(values, into: $0.baseAddress!) }
    }
  }
}

extension Float {
  /// Made to fit where whole numbers are wanted; no number becomes −1.
  fileprivate var clamped: Float { isFinite ? min(max(self, -1), 1e6) : -1 }
}
