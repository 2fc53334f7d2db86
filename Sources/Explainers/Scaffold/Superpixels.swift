import Explanations
import Models
import Parallel
import Tensors

/// An image cut into connected parts of like colour.
struct Superpixels {
  /// For each pixel the number of its part, from 0, in the order in which they come.
  let labels: [Int]
  let count: Int

  static let parameters = [
    Parameter("segments", default: 50, in: 2...500, "Superpixels, about as many.").read(withoutDraws: "segments"),
    Parameter(
      "compactness", default: 10.0, in: 0.01...1000,
      "How square superpixels are, against how well they follow colours."
    ).read(withoutDraws: "segments"),
  ]
  static let draw = Draw("segments", "integers [height, width], the superpixel of each pixel; else SLIC finds them.")

  /// What the caller feeds, else what SLIC finds.
  init(_ request: ExplanationRequest, _ subject: Subject) throws {
    guard let given = try request.draw("segments", [subject.height, subject.width]) else {
      // Labels, distances, pieces, and the colours twice.
      try requireMemory(subject.pixels, of: 32 + 8 * subject.channels)
      let slic = SLIC(
        subject, count: try request.settings.integer("segments"),
        compactness: try request.settings.number("compactness"))
      (labels, count) = Self.numbered(try slic.connected(request.progress.polling))
      return
    }
    let numbers = given.array(of: Float.self)
    let known = Set(numbers).sorted()
    guard known.allSatisfy(\.isFinite), known.count <= 1000 else {
      throw Failure(.invalidArgument, "the draws \"segments\" hold \(known.count) different numbers; at most 1000 do")
    }
    let places = Dictionary(uniqueKeysWithValues: zip(known, known.indices))
    labels = numbers.map { places[$0] ?? 0 }
    count = known.count
  }

  private static func numbered(_ raw: [Int]) -> (labels: [Int], count: Int) {
    var numbers: [Int: Int] = [:]
    let labels = raw.map { label in
      let number = numbers[label] ?? numbers.count
      numbers[label] = number
      return number
    }
    return (labels, numbers.count)
  }
}

/// SLIC (Achanta et al., TPAMI 2012): k-means of colour and place, each pixel looking at the centres nearby only.
///
/// Colours are the image as it is fed, its whole range stretched to 0…100; ten rounds; parts of less than a quarter of
/// the usual size join a neighbour.
private struct SLIC {
  private let width: Int
  private let height: Int
  private let channels: Int
  private let colours: [Float]
  private let spacing: Double
  private let compactness: Double

  init(_ subject: Subject, count: Int, compactness: Double) {
    (width, height, channels) = (subject.width, subject.height, subject.channels)
    let values = withExtendedLifetime(subject.input) {
      Array(UnsafeBufferPointer(start: subject.start, count: subject.shape.count))
    }
    let range = Heatmap(values, width: values.count, height: 1).range
    let extent = range.upperBound - range.lowerBound
    colours = values.map { extent > 0 && $0.isFinite ? 100 * ($0 - range.lowerBound) / extent : 0 }
    spacing = max(1, (Double(subject.pixels) / Double(count)).squareRoot())
    self.compactness = compactness
  }

  /// A centre: row, column, colours.
  private typealias Centre = [Double]

  private func assigned(_ progress: Progress) throws -> [Int] {
    let rows = max(1, Int((Double(height) / spacing).rounded()))
    let columns = max(1, Int((Double(width) / spacing).rounded()))
    var centres = (0..<rows * columns).map { i -> Centre in
      let y = (Double(i / columns) + 0.5) * Double(height) / Double(rows)
      let x = (Double(i % columns) + 0.5) * Double(width) / Double(columns)
      return [y, x] + colour(min(height - 1, Int(y)) * width + min(width - 1, Int(x)))
    }
    var labels = [Int](repeating: 0, count: width * height)
    let reach = Int((2 * spacing).rounded(.up))
    let scale = compactness / spacing
    for _ in 0..<10 {
      var best = [Double](repeating: .infinity, count: labels.count)
      for (k, centre) in centres.enumerated() {
        try progress.advance(0, of: 1)
        let (y, x) = (Int(centre[0]), Int(centre[1]))
        for row in max(0, y - reach)...min(height - 1, y + reach) {
          for column in max(0, x - reach)...min(width - 1, x + reach) {
            let p = row * width + column
            let (dy, dx) = (Double(row) + 0.5 - centre[0], Double(column) + 0.5 - centre[1])
            var distance = (dy * dy + dx * dx) * scale * scale
            for c in 0..<channels {
              let difference = Double(colours[c * labels.count + p]) - centre[2 + c]
              distance += difference * difference
            }
            if distance < best[p] { (best[p], labels[p]) = (distance, k) }
          }
        }
      }
      move(&centres, labels)
    }
    return labels
  }

  private func colour(_ pixel: Int) -> [Double] { (0..<channels).map { Double(colours[$0 * width * height + pixel]) } }

  private func move(_ centres: inout [Centre], _ labels: [Int]) {
    var sums = centres.map { $0.map { _ in 0.0 } }
    var counts = [Double](repeating: 0, count: centres.count)
    for (p, k) in labels.enumerated() {
      counts[k] += 1
      sums[k][0] += Double(p / width) + 0.5
      sums[k][1] += Double(p % width) + 0.5
      for c in 0..<channels { sums[k][2 + c] += Double(colours[c * labels.count + p]) }
    }
    for k in centres.indices where counts[k] > 0 { centres[k] = sums[k].map { $0 / counts[k] } }
  }

  /// Every part in one piece; small pieces are given to the one that came before beside them.
  func connected(_ progress: Progress) throws -> [Int] {
    let labels = try assigned(progress)
    let smallest = Int(spacing * spacing / 4)
    var result = [Int](repeating: -1, count: labels.count)
    var next = 0
    for start in labels.indices where result[start] < 0 {
      let before = start % width > 0 ? result[start - 1] : start >= width ? result[start - width] : -1
      var piece = [start]
      result[start] = next
      var i = 0
      while i < piece.count {
        let p = piece[i]
        i += 1
        for q in neighbours(p) where result[q] < 0 && labels[q] == labels[start] {
          result[q] = next
          piece.append(q)
        }
      }
      if piece.count < smallest, before >= 0 {
        for p in piece { result[p] = before }
      } else {
        next += 1
      }
    }
    return result
  }

  private func neighbours(_ p: Int) -> [Int] {
    var found: [Int] = []
    if p % width > 0 { found.append(p - 1) }
    if p % width < width - 1 { found.append(p + 1) }
    if p >= width { found.append(p - width) }
    if p < width * (height - 1) { found.append(p + width) }
    return found
  }
}
