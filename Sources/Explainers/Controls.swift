import Explanations
import Glibc
import Models
import Tensors

extension Explainers {
  /// Maps that know nothing of the model, for methods to be compared with. Found by name only: nobody wants to be
  /// explained something by them.
  public static let controls: [any Explainer] = [RandomMap(), CenterGaussian()]
}

/// Uniform random numbers on a grid as coarse as those of class activation maps: other numbers for other images, by a
/// stream of the documented generator that the image names itself, so that they do not depend on where in a data set it
/// stands.
struct RandomMap: Explainer {
  let name = "random-map"
  let summary = "A control: random numbers, which know neither the model nor the image."
  let drawsNumbers = true
  let parameters = [
    Parameter(
      "cells", default: 7, in: 0...1000,
      "Cells along each axis; 0: every pixel by itself, which hurts a model more than any area of that size.")
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let cells = try request.settings.integer("cells")
    return try request.explainEach(.none) { subject, _ in
      let (height, width) = cells == 0 ? (subject.height, subject.width) : (cells, cells)
      let numbers = RandomNumbers(seed: request.seed, stream: UInt64(Self.digest(of: subject)))
      let grid = Heatmap((0..<height * width).map(numbers.uniform), width: width, height: height)
      return subject.classes.map { _ in [DrawnMap(grid: grid)] }
    }
  }

  /// FNV-1a, 32 bits, of the numbers that the model is fed, byte by byte as they lie in memory.
  private static func digest(of subject: Subject) -> UInt32 {
    withExtendedLifetime(subject.input) {
      UnsafeRawBufferPointer(start: subject.start, count: 4 * subject.shape.count).reduce(2_166_136_261) { hash, byte in
        (hash ^ UInt32(byte)) &* 16_777_619
      }
    }
  }
}

/// exp(−(x² + y²)/(2·width²)) around the middle, x and y as shares of the image's sides: where photographers put what
/// they mean.
struct CenterGaussian: Explainer {
  let name = "center-gaussian"
  let summary = "A control: a Gaussian in the middle of every image, where objects mostly are."
  let parameters = [
    Parameter("width", default: 0.25, in: 0.01...10, "Standard deviation, as a share of each side.")
  ]

  func canExplain(_ model: Model) -> Bool { model.scoresImages }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let deviation = try request.settings.number("width")
    return try request.explainEach(.none) { subject, _ in
      func bell(_ count: Int) -> [Double] {
        (0..<count).map { i in
          let place = ((Double(i) + 0.5) / Double(count) - 0.5) / deviation
          return exp(-place * place / 2)
        }
      }
      let (rows, columns) = (bell(subject.height), bell(subject.width))
      let grid = Heatmap(
        rows.flatMap { row in columns.map { Float(row * $0) } }, width: subject.width, height: subject.height)
      return subject.classes.map { _ in [DrawnMap(grid: grid)] }
    }
  }
}
