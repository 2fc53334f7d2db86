import Glibc
import Parallel

/// The masks of extremal perturbation: a coarse grid of parameters, each a smooth bump; a pixel is the smooth maximum
/// of the bumps that reach it.
///
/// Parameters are [rows, columns], a cell of `step` pixels apart. The whole mask has a margin of sigma around the
/// image.
struct SmoothMask {
  let rows: Int
  let columns: Int
  /// Of the whole mask, with its margin.
  let height: Int
  let width: Int
  private let image: (height: Int, width: Int)
  private let margin: Int
  private let step: Int
  private let pad: Int
  private let side: Int
  /// For each place of a pixel in its cell, the weight of the side × side cells around it.
  private let weights: [[Double]]
  private let parallel: Parallel

  /// Sharpness of the smooth maximum Σ v·softmax(20·v).
  private static let sharpness = 20.0

  /// nil where the mask, which is made of whole cells, does not reach the image's far border, unless `isExtended` by as
  /// many as it needs.
  init?(image: (height: Int, width: Int), step: Int, sigma: Double, isExtended: Bool, _ parallel: Parallel) {
    self.image = image
    self.step = step
    self.parallel = parallel
    let reach = Int((sigma / Double(step)).rounded(.up)) + 1
    pad = Int((2 * sigma / Double(step)).rounded(.up)) + 1
    side = 2 * reach + 1
    let extent = { [pad] (cells: Int) in step * (cells + 2 * pad - 2 * reach) - step + 1 }
    let margin = Int(sigma.rounded(.toNearestOrEven))
    let cells = { (size: Int) in
      let count = (size + step - 1) / step
      return isExtended ? count + max(0, (margin + size - extent(count) + step - 1) / step) : count
    }
    (rows, columns) = (cells(image.height), cells(image.width))
    (height, width) = (extent(rows), extent(columns))
    self.margin = margin
    guard margin + image.height <= height, margin + image.width <= width else { return nil }
    let (side, pad) = (side, pad)
    weights = (0..<step * step).map { place in
      (0..<side * side).map { k in
        let y = Double(place / step) - sigma - Double(step * (k / side - pad))
        let x = Double(place % step) - sigma - Double(step * (k % side - pad))
        let beyond = max((y * y + x * x).squareRoot() / sigma - 0.5, 0)
        return exp(-2 * beyond * beyond)
      }
    }
  }

  var cellCount: Int { rows * columns }

  /// The whole mask, row by row.
  func whole(_ parameters: [Double]) -> [Double] {
    [Double](unsafeUninitializedCapacity: height * width) { result, filled in
      nonisolated(unsafe) let target = result.baseAddress!
      parallel.forEach(height, grain: 4) { lines in
        for y in lines {
          for x in 0..<width { target[y * width + x] = min(max(value(parameters, y, x).maximum, 0), 1) }
        }
      }
      filled = height * width
    }
  }

  /// What lies over the image.
  func cropped(_ whole: [Double]) -> [Double] {
    (0..<image.height * image.width).map { whole[place($0)] }
  }

  /// The place in the whole mask of pixel `i` of the image.
  func place(_ i: Int) -> Int { (margin + i / image.width) * width + margin + i % image.width }

  /// The gradient by the parameters, of that by the whole mask.
  func adjoint(_ gradient: [Double], _ parameters: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: cellCount)
    for y in 0..<height {
      for x in 0..<width where gradient[y * width + x] != 0 {
        let (maximum, sum) = value(parameters, y, x)
        // Held at 1, but for rounding.
        if maximum > 1 + 1e-9 { continue }
        let factor = gradient[y * width + x] / sum
        forEachCell(y, x) { cell, weight in
          let value = weight * parameters[cell]
          let share = exp(Self.sharpness * value)
          result[cell] += factor * share * (1 + Self.sharpness * (value - maximum)) * weight
        }
      }
    }
    return result
  }

  /// The smooth maximum at a pixel, and the sum that its shares are divided by.
  private func value(_ parameters: [Double], _ y: Int, _ x: Int) -> (maximum: Double, sum: Double) {
    var (top, sum, inside) = (0.0, 0.0, 0)
    forEachCell(y, x) { cell, weight in
      let value = weight * parameters[cell]
      let share = exp(Self.sharpness * value)
      top += value * share
      sum += share
      inside += 1
    }
    // Cells outside of the grid are 0, and have their shares too.
    sum += Double(side * side - inside)
    return (top / sum, sum)
  }

  @inline(__always)
  private func forEachCell(_ y: Int, _ x: Int, _ body: (_ cell: Int, _ weight: Double) -> Void) {
    let weights = weights[y % step * step + x % step]
    let (top, left) = (y / step - pad, x / step - pad)
    for i in max(0, -top)..<min(side, max(max(0, -top), rows - top)) {
      for j in max(0, -left)..<min(side, max(max(0, -left), columns - left)) {
        body((top + i) * columns + left + j, weights[i * side + j])
      }
    }
  }
}
