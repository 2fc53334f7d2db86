import Explainers
import Explanations
import Glibc
import Images
import Models
import Parallel
import Tensors

/// Maximum sensitivity (Yeh et al., NeurIPS 2019, definition 3.1): how much the explanation changes at most where the
/// image changes a little: max ‖E(x) − E(x + I)‖ / ‖E(x)‖ over draws I, uniform in −radius…radius for every value, not
/// clipped.
///
/// E is the attribution where the method gives one, else its grid; the class is that of the untouched image for all. A
/// norm of 0 counts as 1. Maps that are given are not read: E(x) is explained as the others are.
///
/// `compat` "scouter" (radius 0.2, 50 draws): E are bytes over the range of all classes, enlarged as Pillow does, E(x)
/// the map that is given, if any; their differences wrap as bytes do; and the running maximum is divided by ‖E‖ at
/// every draw, so that in effect the last one counts.
struct Sensitivity: Metric {
  let name = "sensitivity"
  let better = Direction.less
  let summary = "How much the explanation changes at most, relative, where the image changes a little; less is better."
  let needsMethod = true
  let drawsNumbers = true
  let draws = [
    Draw("perturbation", "[images × samples, channels, height, width], image after image: what is added to the image."),
    MeasurementRequest.rangeDraw,
  ]
  let parameters = [
    Parameter(
      "samples", default: 0, in: 0...1_000_000,
      "Changed images; 0: as many as are fed, else 10, with compat scouter 50."),
    Parameter("radius", default: 0.0, in: 0...1e6, "Of changes that are not fed; 0: 0.02, with compat scouter 0.2."),
    Parameter("norm", default: 2.0, in: 1...64, "The p of the norm: 1 sums magnitudes, 2 is Euclid's."),
    Parameter("compat", choices: ["none", "captum", "scouter"], default: "none", Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    let settings = request.settings
    let isScouter = try settings.word("compat") == "scouter"
    let noise = try Perturbations(request, samples: 10, scouterSamples: 50)
    let asked = try settings.number("radius")
    let radius = asked > 0 ? asked : isScouter ? 0.2 : 0.02
    let norm = Norm(p: try settings.number("norm"))
    let values = try (0..<request.count).map { index in
      let progress = request.progress.range(index..<index + 1, of: request.count)
      return try locating("image \(request.image(of: index))") {
        try distance(index, request, noise, radius, norm, isScouter, progress)
      }
    }
    return Measurement(values, chosen: ["samples": .number(Double(noise.samples)), "radius": .number(radius)])
  }

  private func distance(
    _ index: Int, _ request: MeasurementRequest, _ noise: Perturbations, _ radius: Double, _ norm: Norm,
    _ isScouter: Bool, _ progress: Progress
  ) throws -> Double {
    let model = try request.model()
    let image = request.images[request.image(of: index)]
    let input = try model.prepared(image, progress)
    let subject = Subject(
      index: index, input: input, channels: input.shape[1], height: input.shape[2], width: input.shape[3])
    let explain = Explaining(model: model, request: request, subject: subject, isScouter: isScouter)
    let parts = progress.parts(1, Double(noise.samples))
    let start = subject.values
    var untouched = try explain.explain([start], class: request.classes[index], parts[0])[0]
    if isScouter, request.hasMaps { untouched.values = try explain.given() }
    var result =
      isScouter
      ? RunningMaximum(dividedBy: untouched.values, norm) : RunningMaximum(norm, of: untouched.values)
    // As many at once as the model runs at once.
    let size = max(1, request.call.batchSize > 0 ? request.call.batchSize : Call.defaultBatchSize)
    for first in stride(from: 0, to: noise.samples, by: size) {
      let range = first..<min(first + size, noise.samples)
      let changed = try range.map { sample in
        let change = try noise.values(subject, sample) { values, random in
          for i in values.indices { values[i] = radius * (2 * Double(random.uniform(i)) - 1) }
        }
        return zip(start, change).map { Float(Double($0) + $1) }
      }
      let found = try explain.explain(changed, class: untouched.classIndex, parts[1].range(range, of: noise.samples))
      for explanation in found { result.add(untouched.values, explanation.values) }
    }
    return result.value
  }
}

/// ‖·‖ₚ of doubles.
struct Norm {
  let p: Double

  func callAsFunction(_ values: some Sequence<Double>) -> Double {
    if p == 2 { return values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    return pow(values.reduce(0) { $0 + pow(abs($1), p) }, 1 / p)
  }
}

/// The largest distance from the untouched explanation.
private struct RunningMaximum {
  private(set) var value = 0.0
  private let norm: Norm
  private let length: Double
  private let isScouter: Bool

  init(_ norm: Norm, of untouched: [Double]) {
    let length = norm(untouched)
    (self.norm, self.length, isScouter) = (norm, length == 0 ? 1 : length, false)
  }

  /// SCOUTER's: what was found before is divided again.
  init(dividedBy untouched: [Double], _ norm: Norm) { (self.norm, length, isScouter) = (norm, norm(untouched), true) }

  mutating func add(_ untouched: [Double], _ changed: [Double]) {
    guard isScouter else {
      value = larger(value, norm(zip(untouched, changed).lazy.map { $0 - $1 }) / length)
      return
    }
    let wrapped = zip(untouched, changed).lazy.map { a, b in a - b < 0 ? a - b + 256 : a - b }
    value = larger(value, norm(wrapped)) / length
  }
}

/// NaN where one of them is: a map that says nothing is not as stable as one that does not change.
private func larger(_ a: Double, _ b: Double) -> Double { a.isNaN || b.isNaN ? .nan : max(a, b) }

/// Explanations of changed forms of one image.
private struct Explaining {
  let model: Model
  let request: MeasurementRequest
  let subject: Subject
  let isScouter: Bool

  func explain(
    _ inputs: [[Float]], class index: Int?, _ progress: Progress
  ) throws -> [(classIndex: Int, values: [Double])] {
    var call = request.method?.call ?? Call()
    (call.threads, call.batchSize, call.output) = (request.call.threads, request.call.batchSize, request.call.output)
    call.feeds = try request.call.forImage(request.image(of: subject.index), of: request.images.count).feeds
    let tensor = try Tensor(inputs.flatMap(\.self), Shape(checking: [inputs.count, subject.count]))
    let wanted = index.flatMap { call.classAgain($0) }
    return try withExtendedLifetime(tensor) {
      let base = UnsafePointer(tensor.data.assumingMemoryBound(to: Float.self))
      let images = inputs.indices.map {
        ImageInput.planes(base + $0 * subject.count, width: subject.width, height: subject.height)
      }
      let found = try model.explain(
        images, classes: images.map { _ in [wanted] }, method: request.method?.method, call, progress)
      guard found.count == inputs.count else {
        throw Failure(.unsupported, "the method gives several explanations of a class; choose parameters that give one")
      }
      return try found.map { ($0.classIndex, try values(of: $0)) }
    }
  }

  /// The map that the caller gives, as bytes at the size of the image.
  func given() throws -> [Double] {
    try enlarged(request.maps()[subject.index], request.range(of: subject.index, request.ranges()))
  }

  /// NaN has no byte.
  private func enlarged(_ map: Map, _ range: (low: Float, high: Float)?) throws -> [Double] {
    guard map.values.allSatisfy(\.isFinite) else {
      return [Double](repeating: .nan, count: subject.height * subject.width)
    }
    return try Map.enlarged(
      map.bytes(range: range), height: map.height, width: map.width, to: (subject.height, subject.width)
    ).map { Double($0) }
  }

  private func values(of explanation: Explanation) throws -> [Double] {
    let grid = explanation.grid
    if isScouter {
      let map = Map(values: grid.values, height: grid.height, width: grid.width)
      return try enlarged(map, (explanation.range.lowerBound, explanation.range.upperBound))
    }
    if let attribution = explanation.details.first(where: { $0.name == "attribution" })?.tensor {
      return try attribution.doubles()
    }
    return grid.values.map { Double($0) }
  }
}
