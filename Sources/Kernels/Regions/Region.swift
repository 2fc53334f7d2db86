public import Parallel

/// A rectangle of the rows and columns of maps.
public struct Region: Sendable, Hashable {
  public var rows, columns: Range<Int>

  public init(rows: Range<Int>, columns: Range<Int>) { (self.rows, self.columns) = (rows, columns) }

  public static let empty = Region(rows: 0..<0, columns: 0..<0)

  public var isEmpty: Bool { rows.isEmpty || columns.isEmpty }
  public var area: Int { rows.count * columns.count }

  /// The smallest region that holds both.
  public func union(_ other: Region) -> Region {
    if isEmpty { return other }
    if other.isEmpty { return self }
    func joined(_ a: Range<Int>, _ b: Range<Int>) -> Range<Int> {
      min(a.lowerBound, b.lowerBound)..<max(a.upperBound, b.upperBound)
    }
    return Region(rows: joined(rows, other.rows), columns: joined(columns, other.columns))
  }

  func contains(_ y: Int, _ x: Int) -> Bool { rows.contains(y) && columns.contains(x) }

  /// What a window of this extent and stride along one axis, that begins `pad` before the input, makes of `range`.
  public static func reached(
    _ range: Range<Int>, extent: Int, stride: Int, pad: Int, outputs: Int
  ) -> Range<Int> {
    if range.isEmpty { return 0..<0 }
    let first = range.lowerBound + pad - extent + 1
    let low = first > 0 ? min(outputs, (first + stride - 1) / stride) : 0
    let last = range.upperBound - 1 + pad
    let high = last < 0 ? 0 : min(outputs, last / stride + 1)
    return low..<max(low, high)
  }
}

/// The regions of several forms of one image, and where each one's pixels begin when they lie one after the other.
public struct RegionList: Sendable {
  public let regions: [Region]
  /// In pixels; one more than there are regions.
  public let starts: [Int]

  public init(_ regions: [Region]) {
    self.regions = regions
    var starts = [0]
    for region in regions { starts.append(starts[starts.count - 1] + region.area) }
    self.starts = starts
  }

  /// Pixels of all regions.
  public var count: Int { starts[starts.count - 1] }

  /// Calls `body` with each run of neighbouring pixels of one row that lies in `pixels`: which form, its row, its
  /// columns, and the place of the first pixel in the list.
  func forEachRun(
    in pixels: Range<Int>, _ body: (_ form: Int, _ y: Int, _ columns: Range<Int>, _ place: Int) -> Void
  ) {
    for (form, region) in regions.enumerated() where !region.isEmpty {
      var place = max(pixels.lowerBound, starts[form])
      let end = min(pixels.upperBound, starts[form + 1])
      while place < end {
        let (row, column) = (place - starts[form]).quotientAndRemainder(dividingBy: region.columns.count)
        let length = min(end - place, region.columns.count - column)
        let first = region.columns.lowerBound + column
        body(form, region.rows.lowerBound + row, first..<first + length, place)
        place += length
      }
    }
  }
}

/// Maps of one image, [height, width, channels], and the regions in which they are others in several forms of it.
public struct PatchedMaps {
  public let height, width, channels: Int
  /// Of the image itself.
  public let whole: UnsafePointer<Float>
  public let list: RegionList
  /// The regions of all forms, [pixels of the list, channels].
  public let parts: UnsafePointer<Float>

  public init(
    height: Int, width: Int, channels: Int, whole: UnsafePointer<Float>, list: RegionList, parts: UnsafePointer<Float>
  ) {
    (self.height, self.width, self.channels) = (height, width, channels)
    (self.whole, self.list, self.parts) = (whole, list, parts)
  }

  /// Where the channels of a pixel of one form are.
  func pixel(_ form: Int, _ y: Int, _ x: Int) -> UnsafePointer<Float> {
    let region = list.regions[form]
    guard region.contains(y, x) else { return whole + (y * width + x) * channels }
    let place = (y - region.rows.lowerBound) * region.columns.count + x - region.columns.lowerBound
    return parts + (list.starts[form] + place) * channels
  }

  /// Where the pixels of one row of a form are, from one channel on; `zeros` beyond the maps.
  struct Row {
    /// Of column 0; of the region's first pixel in the row.
    let whole, part: UnsafePointer<Float>
    let inside, changed: Range<Int>
    let channels: Int
    let zeros: UnsafePointer<Float>

    subscript(x: Int) -> UnsafePointer<Float> {
      if x < inside.lowerBound || x >= inside.upperBound { return zeros }
      if x >= changed.lowerBound && x < changed.upperBound { return part + (x - changed.lowerBound) * channels }
      return whole + x * channels
    }
  }

  func row(_ y: Int, of form: Int, firstChannel: Int, _ zeros: UnsafePointer<Float>) -> Row {
    let region = list.regions[form]
    let isInside = y >= 0 && y < height
    let isChanged = region.rows.contains(y)
    let place = isChanged ? list.starts[form] + (y - region.rows.lowerBound) * region.columns.count : 0
    return Row(
      whole: whole + (isInside ? y * width * channels + firstChannel : 0),
      part: parts + place * channels + firstChannel,
      inside: 0..<(isInside ? width : 0), changed: isChanged ? region.columns : 0..<0, channels: channels, zeros: zeros)
  }

  /// Writes the pixels of `wanted`, [pixels of the list, channels], each `stride` floats after the one before.
  public func gather(
    _ wanted: RegionList, into target: UnsafeMutablePointer<Float>, stride: Int, _ parallel: Parallel
  ) {
    parallel.forEach(wanted.count, grain: max(1, 16384 / max(1, channels))) { pixels in
      wanted.forEachRun(in: pixels) { form, y, columns, place in
        let own = list.regions[form]
        let inside = own.rows.contains(y) ? columns.clamped(to: own.columns) : columns.lowerBound..<columns.lowerBound
        func write(_ some: Range<Int>, from source: UnsafePointer<Float>) {
          let row = target + (place + some.lowerBound - columns.lowerBound) * stride
          if stride == channels { return row.update(from: source, count: some.count * channels) }
          for i in 0..<some.count { (row + i * stride).update(from: source + i * channels, count: channels) }
        }
        let line = whole + y * width * channels
        guard !inside.isEmpty else { return write(columns, from: line + columns.lowerBound * channels) }
        write(columns.lowerBound..<inside.lowerBound, from: line + columns.lowerBound * channels)
        write(inside, from: pixel(form, y, inside.lowerBound))
        write(inside.upperBound..<columns.upperBound, from: line + inside.upperBound * channels)
      }
    }
  }

  /// Writes the whole maps of one form, [height, width, channels].
  public func write(_ form: Int, into target: UnsafeMutablePointer<Float>) {
    target.update(from: whole, count: height * width * channels)
    let region = list.regions[form]
    for y in region.isEmpty ? 0..<0 : region.rows {
      (target + (y * width + region.columns.lowerBound) * channels)
        .update(from: pixel(form, y, region.columns.lowerBound), count: region.columns.count * channels)
    }
  }
}
