/// Linear interpolation along one axis: where each new sample lies between two old ones.
package struct Taps {
  let first: [Int]
  let second: [Int]
  let share: [Float]

  /// How the positions of new and old samples correspond.
  package enum Convention {
    /// (i + ½)·old/new − ½, held at the outer centres: PyTorch's `align_corners=False`, OpenCV's linear.
    case halfPixel
    /// i·(old − 1)/(new − 1): PyTorch's `align_corners=True`.
    case corners
    /// Half-pixel, but beyond the outer centres mirrored about them: scikit-image's `reflect` of order 1.
    case mirrored
  }

  init(from old: Int, to new: Int, _ convention: Convention) {
    switch convention {
    case .halfPixel:
      self.init(old: old, positions: (0..<new).map { (Double($0) + 0.5) * Double(old) / Double(new) - 0.5 })
    case .corners:
      let step = new > 1 ? Double(old - 1) / Double(new - 1) : 0
      self.init(old: old, positions: (0..<new).map { Double($0) * step })
    case .mirrored:
      self.init(old: old, mirrored: new, pixelsPerSample: Double(new) / Double(old))
    }
  }

  /// The first `count` of the pixels of an axis whose samples are `pixelsPerSample` pixels apart.
  init(old: Int, mirrored count: Int, pixelsPerSample: Double) {
    let last = Double(old - 1)
    self.init(
      old: old,
      positions: (0..<count).map { i in
        let position = abs((Double(i) + 0.5) / pixelsPerSample - 0.5)
        return position > last ? 2 * last - position : position
      })
  }

  /// Positions beyond the outer samples take those.
  private init(old: Int, positions: [Double]) {
    let held = positions.map { min(max($0, 0), Double(old - 1)) }
    first = held.map { Int($0) }
    second = held.map { min(Int($0) + 1, old - 1) }
    share = held.map { Float($0 - $0.rounded(.down)) }
  }

  private init(_ first: [Int], _ second: [Int], _ share: [Float]) {
    (self.first, self.second, self.share) = (first, second, share)
  }

  var count: Int { first.count }

  subscript(range: Range<Int>) -> Taps { Taps(Array(first[range]), Array(second[range]), Array(share[range])) }
}

/// A map at another size, bilinear, and the adjoint of that, for gradients.
package struct Enlargement {
  let rows: Taps
  let columns: Taps
  /// Of the map that is enlarged.
  let width: Int
  let height: Int

  package init(_ size: (height: Int, width: Int), to new: (height: Int, width: Int), _ convention: Taps.Convention) {
    self.init(
      size, rows: Taps(from: size.height, to: new.height, convention),
      columns: Taps(from: size.width, to: new.width, convention))
  }

  init(_ size: (height: Int, width: Int), rows: Taps, columns: Taps) {
    (height, width) = size
    (self.rows, self.columns) = (rows, columns)
  }

  var count: Int { rows.count * columns.count }

  package func callAsFunction(_ map: some Collection<Float>) -> [Float] {
    let map = Array(map)
    return [Float](unsafeUninitializedCapacity: count) { result, filled in
      map.withUnsafeBufferPointer { write($0, into: result.baseAddress!) }
      filled = count
    }
  }

  func write(_ map: UnsafeBufferPointer<Float>, into target: UnsafeMutablePointer<Float>) {
    let wide = columns.count
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { line in
      for y in 0..<rows.count {
        let (upper, lower, share) = (rows.first[y] * width, rows.second[y] * width, rows.share[y])
        for x in 0..<width { line[x] = (1 - share) * map[upper + x] + share * map[lower + x] }
        for x in 0..<wide {
          let share = columns.share[x]
          target[y * wide + x] = (1 - share) * line[columns.first[x]] + share * line[columns.second[x]]
        }
      }
    }
  }

  /// The gradient by the map, of the gradient by what it is enlarged to.
  func adjoint(_ gradient: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: width * height)
    for y in 0..<rows.count {
      let below = Double(rows.share[y])
      for x in 0..<columns.count {
        let value = gradient[y * columns.count + x]
        let right = Double(columns.share[x])
        let (left, second) = (columns.first[x], columns.second[x])
        let (upper, lower) = (rows.first[y] * width, rows.second[y] * width)
        result[upper + left] += value * (1 - below) * (1 - right)
        result[upper + second] += value * (1 - below) * right
        result[lower + left] += value * below * (1 - right)
        result[lower + second] += value * below * right
      }
    }
    return result
  }
}
