import Explainers
import Explanations
import Models
import Tensors

/// The draws "perturbation" of a metric: those that are fed, else made by the documented generator, map by map.
struct Perturbations {
  /// Of each map's image.
  let samples: Int
  private let given: [Double]?
  private let count: Int
  private let seed: UInt64

  /// `samples`: how many there are where neither the caller nor what is fed says it.
  init(_ request: MeasurementRequest, samples standard: Int, scouterSamples: Int) throws {
    let asked = try request.settings.integer("samples")
    let isScouter = try request.settings.word("compat") == "scouter"
    count = request.count
    seed = request.seed
    guard let tensor = request.call.draws["perturbation"] else {
      given = nil
      samples = asked > 0 ? asked : isScouter ? scouterSamples : standard
      return
    }
    given = try locating("draws \"perturbation\"") { try tensor.doubles() }
    let shape = try request.model().preparedShape(of: request.images[0])
    let rows = tensor.count / max(1, shape.count)
    guard rows > 0, rows * shape.count == tensor.count, rows % request.count == 0,
      asked == 0 || rows == asked * request.count
    else {
      throw Failure(
        .invalidArgument,
        "the draws \"perturbation\" are of shape \(tensor.shape), not [\(request.count)×samples"
          + shape.dimensions.map { "×\($0)" }.joined() + "]")
    }
    samples = rows / request.count
  }

  /// What is fed for `sample` of a subject, or what `draw` writes.
  func values(
    _ subject: Subject, _ sample: Int, draw: (inout [Double], RandomNumbers) -> Void
  ) throws -> [Double] {
    if let given {
      let place = subject.index * samples + sample
      guard given.count == count * samples * subject.count else {
        throw Failure(.invalidArgument, "the draws \"perturbation\" are for images of another size")
      }
      return Array(given[place * subject.count..<(place + 1) * subject.count])
    }
    var values = [Double](repeating: 0, count: subject.count)
    draw(&values, RandomNumbers(seed: seed, stream: UInt64(sample)))
    return values
  }
}
