import KernelCore

/// The patches of Winograd's algorithm in which regions have pixels, form after form, row by row: those of whole maps,
/// which begin at the first pixel. So a pixel of a region has the bits that it has where the whole layer is computed of
/// the form's values.
///
/// Only pixels of regions are written. The others of these patches do not depend on what differs, but their rounding
/// does: they keep the numbers of the image, or else regions would grow by a patch in each layer.
struct PatchList {
  let patch: Patch
  let pixels: RegionList
  /// In patches; one more than there are regions.
  private let starts: [Int]

  init(_ patch: Patch, _ pixels: RegionList) {
    (self.patch, self.pixels) = (patch, pixels)
    var starts = [0]
    for region in pixels.regions { starts.append(starts[starts.count - 1] + Self.count(patch, region)) }
    self.starts = starts
  }

  var count: Int { starts[starts.count - 1] }

  static func count(_ patch: Patch, _ region: Region) -> Int {
    region.isEmpty ? 0 : patches(region.rows, patch.rows).count * patches(region.columns, patch.columns).count
  }

  private static func patches(_ range: Range<Int>, _ extent: Int) -> Range<Int> {
    range.lowerBound / extent..<(range.upperBound + extent - 1) / extent
  }

  /// The form of a patch, and the pixel of its maps with which the patch begins.
  private func place(_ patch: Int) -> (form: Int, y: Int, x: Int) {
    var (form, end) = (0, starts.count - 1)
    while end - form > 1 {
      let middle = (form + end) / 2
      if starts[middle] <= patch { form = middle } else { end = middle }
    }
    let region = pixels.regions[form]
    let across = Self.patches(region.columns, self.patch.columns)
    let (row, column) = (patch - starts[form]).quotientAndRemainder(dividingBy: across.count)
    let first = Self.patches(region.rows, self.patch.rows).lowerBound
    return (form, (first + row) * self.patch.rows, (across.lowerBound + column) * self.patch.columns)
  }

  /// Fills in where the pixels under a patch are, or zeros.
  func point(
    _ patch: Int, of input: PatchedMaps, _ c: Kernels.Convolution, firstChannel: Int, _ slot: Winograd.Slot
  ) {
    let (form, y, x) = place(patch)
    let (top, left) = (y - c.padTop, x - c.padLeft)
    var next = slot.pixels
    for iy in top..<top + self.patch.pointRows {
      let row = input.row(iy, of: form, firstChannel: firstChannel, UnsafePointer(slot.zeros))
      for ix in left..<left + self.patch.pointColumns {
        next.pointee = row[ix]
        next += 1
      }
    }
  }

  func target(_ patch: Int) -> Winograd.Target {
    let (form, y, x) = place(patch)
    let region = pixels.regions[form]
    func written(_ range: Range<Int>, _ first: Int, _ extent: Int) -> Range<Int> {
      max(0, range.lowerBound - first)..<min(extent, range.upperBound - first)
    }
    let across = region.columns.count
    return Winograd.Target(
      pixel: pixels.starts[form] + (y - region.rows.lowerBound) * across + x - region.columns.lowerBound,
      rows: written(region.rows, y, self.patch.rows), columns: written(region.columns, x, self.patch.columns),
      rowPixels: across)
  }
}
