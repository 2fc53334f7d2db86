import Explainers
import Explanations
import Models
import Tensors

/// I-GOS's own insertion and deletion (Qi, Khorram & Li, AAAI 2020): whole cells of the map as it is, blended in
/// softly.
///
/// Of n cells the most important k become blurred (deletion) or come back (insertion), k = 0, d, 2d, … below n / 3.5, d
/// = n / 200 rounded down, at least 1 (`step` sets d). The cells' mask is enlarged with its corners aligned; the blur
/// is 51 × 51, σ 50, mirrored at the border. That program draws the curves; the area under them is ours.
struct CellCurves {
  private let maps: Maps
  private let isInsertion: Bool
  private let step: Int

  init(_ request: MeasurementRequest, isInsertion: Bool, step: Int) throws {
    maps = try request.maps()
    guard maps.channels == 1 else {
      throw Failure(.invalidArgument, "compat \"i-gos\" is for maps of one value a cell, not \(maps.channels) channels")
    }
    self.isInsertion = isInsertion
    self.step = step
  }

  var cellsPerStep: Int { step > 0 ? step : max(1, maps.planeSize / 200) }
  /// At least the one without any cell.
  var points: Int { max(1, (Int(Double(maps.planeSize) / 3.5) + cellsPerStep - 1) / cellsPerStep) }

  func writer(_ subject: Subject) -> VariantWriter {
    let size = (height: subject.height, width: subject.width)
    let enlargement = Enlargement((maps.height, maps.width), to: size, .corners)
    let filter = GaussianFilter(sigma: 50, radius: 25, border: .reflected)
    let image = subject.values
    let blurred = (0..<subject.channels).flatMap { c in
      filter(Array(image[c * subject.pixels..<(c + 1) * subject.pixels]), height: size.height, width: size.width)
    }
    let places = Ranking.places(in: Ranking.stableFirst.order(of: maps[subject.index].values))
    return { variant, target in
      let chosen = places.map { $0 < (variant - 1) * cellsPerStep }
      let mask = enlargement(chosen.map { $0 == isInsertion ? 1 : 0 })
      for i in image.indices {
        let share = mask[i % subject.pixels]
        target[i] = image[i] * share + blurred[i] * (1 - share)
      }
    }
  }
}
