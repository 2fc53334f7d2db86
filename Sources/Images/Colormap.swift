// SPDX-License-Identifier: Apache-2.0
import Tensors

/// 256 colours in a row, chosen by name.
public struct Colormap: Sendable, Equatable {
  public let name: String
  /// [256, 3]: RGB.
  public let entries: [UInt8]

  public static let viridis = Colormap("viridis", hexadecimal: ColormapTables.viridis)
  public static let magma = Colormap("magma", hexadecimal: ColormapTables.magma)
  public static let turbo = Colormap("turbo", hexadecimal: ColormapTables.turbo)
  /// OpenCV's `COLORMAP_JET`.
  public static let jet = Colormap("jet", jetColor)
  /// matplotlib's map of that name.
  public static let matplotlibJet = Colormap("jet-matplotlib", matplotlibJetColor)
  /// Blue, white, red, for maps with a sign.
  public static let bwr = Colormap("bwr") { i in (2 * i, min(2 * i, 510 - 2 * i), 510 - 2 * i) }
  public static let gray = Colormap("gray") { i in (i, i, i) }

  public static let all = [viridis, magma, turbo, jet, matplotlibJet, bwr, gray]
  public static let names = all.map(\.name)

  /// Throws `notFound`, with all names, for a name that is not among `names`.
  public static func named(_ name: String) throws -> Colormap {
    if let map = all.first(where: { $0.name == name }) { return map }
    throw Failure(
      .notFound,
      "there is no colour map \(quoted(name)); \(suggestion(for: name, among: names))there are \(names.joined(separator: ", "))"
    )
  }

  /// `color` may go beyond 0...255 and is cut off there.
  private init(_ name: String, _ color: (Int) -> (red: Int, green: Int, blue: Int)) {
    self.name = name
    self.entries = (0..<256).flatMap { i in
      let (red, green, blue) = color(i)
      return [UInt8(clamping: red), UInt8(clamping: green), UInt8(clamping: blue)]
    }
  }

  private init(_ name: String, hexadecimal digits: String) {
    self.name = name
    let nibbles = digits.utf8.map { $0 >= 97 ? $0 - 87 : $0 - 48 }
    self.entries = stride(from: 0, to: nibbles.count, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
  }
}

/// Straight lines of slope 4 between 0 and 255, each channel shifted by 64; the odd values at the blue end
/// are OpenCV's.
private func jetColor(_ i: Int) -> (red: Int, green: Int, blue: Int) {
  let red = i < 224 ? (i < 96 ? 0 : 4 * i - 382) : 1148 - 4 * i
  let green = i < 160 ? 4 * i - 128 : 892 - 4 * i
  let blue = i < 96 ? 128 + 4 * i : i == 159 ? 1 : 638 - 4 * i
  return (red, green, blue)
}

/// Straight lines between control points, in floating point, cut to bytes.
private func matplotlibJetColor(_ i: Int) -> (red: Int, green: Int, blue: Int) {
  func channel(_ points: [(x: Double, y: Double)]) -> Int {
    let position = Double(i)
    let end = points.dropLast().firstIndex { $0.x * 255 >= position && $0.x > 0 } ?? points.count - 1
    let (from, to) = (points[end - 1], points[end])
    let share = (position - from.x * 255) / (to.x * 255 - from.x * 255)
    return Int((share * (to.y - from.y) + from.y) * 255)
  }
  return (
    channel([(0, 0), (0.35, 0), (0.66, 1), (0.89, 1), (1, 0.5)]),
    channel([(0, 0), (0.125, 0), (0.375, 1), (0.64, 1), (0.91, 0), (1, 0)]),
    channel([(0, 0.5), (0.11, 1), (0.34, 1), (0.65, 0), (1, 0)])
  )
}
