// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Preprocessing {
  /// One line of the description.
  public enum Step: Sendable, Equatable {
    /// The shorter side becomes `size`, the other `trunc(size * longer / shorter)`.
    case resizeShorter(size: Int, Filter)
    /// The longer side becomes `size`, the other `size * shorter / longer` rounded down, at least 1.
    case resizeLonger(size: Int, Filter)
    /// Aspect ratio ignored.
    case resizeExact(width: Int, height: Int, Filter)
    /// A window at the centre; where it is larger than the image, black is added.
    case centerCrop(width: Int, height: Int)
    /// To this size, all of the image at the centre; around it pixels whose every channel is `fill`. It never cuts.
    case pad(width: Int, height: Int, fill: UInt8)
    /// One channel: ITU-R 601 luma.
    case gray
    /// Channels in the order blue, green, red.
    case bgr
    /// Alpha is a further channel, the last; 255 where the image has none.
    case alpha
    /// Numbers are 0...65535: those of 16 bits, or bytes times 257.
    case depth16
    /// Bytes divided by `divisor`.
    case scale(divisor: Double)
    /// `(x - mean) / std` for each channel; a single mean and deviation are for all channels.
    case normalize(mean: [Double], std: [Double], Arithmetic)
  }

  /// Where `scale` and `normalize` round.
  public enum Arithmetic: Sendable, Equatable {
    /// After each operation to float32: torchvision's `ToTensor` and `Normalize`.
    case float32
    /// Once, at the end; all in float64 before: NumPy's, which SCOUTER trains with.
    case float64
  }
}

extension Preprocessing.Step: CustomStringConvertible {
  static let forms = """
    "gray", "bgr", "alpha", "depth 16", "resize exact W H FILTER", "resize shorter S FILTER", "resize longer S FILTER", "center_crop W H", \
    "pad W H [V]", "scale 1/NUMBER", "normalize mean NUMBER... std NUMBER..." (then, perhaps, "float64"); \
    FILTER is \(Filter.allCases.map(\.rawValue).joined(separator: ", "))
    """

  /// Nil where `line` has none of the forms.
  init?(parsing line: Substring) {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard let first = words.first else { return nil }
    switch (first, words.count) {
    case ("resize", 4...5): self.init(resizing: words.dropFirst())
    case ("center_crop", 3), ("pad", 3...4):
      guard let size = area(words[1], words[2]) else { return nil }
      if first == "center_crop" {
        self = .centerCrop(width: size.width, height: size.height)
      } else {
        guard let fill = words.count == 4 ? digits(words[3]).flatMap(UInt8.init(exactly:)) : 0 else { return nil }
        self = .pad(width: size.width, height: size.height, fill: fill)
      }
    case ("gray", 1): self = .gray
    case ("bgr", 1): self = .bgr
    case ("alpha", 1): self = .alpha
    case ("depth", 2) where words[1] == "16": self = .depth16
    case ("scale", 2) where words[1].hasPrefix("1/"):
      guard let divisor = number(words[1].dropFirst(2)), isDivisor(divisor) else { return nil }
      self = .scale(divisor: divisor)
    case ("normalize", _): self.init(normalization: words.dropFirst())
    default: return nil
    }
  }

  /// `words`: "exact", two sides and a filter, or "shorter" or "longer", a side and a filter.
  private init?(resizing words: ArraySlice<Substring>) {
    guard let filter = words.last.flatMap({ Filter(rawValue: String($0)) }) else { return nil }
    let sides = Array(words.dropFirst().dropLast())
    switch (words.first, sides.count) {
    case ("exact", 2):
      guard let size = area(sides[0], sides[1]) else { return nil }
      self = .resizeExact(width: size.width, height: size.height, filter)
    case ("shorter", 1), ("longer", 1):
      guard let size = side(sides[0]) else { return nil }
      self = words.first == "shorter" ? .resizeShorter(size: size, filter) : .resizeLonger(size: size, filter)
    default: return nil
    }
  }

  /// `words`: "mean", numbers, "std", as many numbers, and perhaps "float64".
  private init?(normalization words: ArraySlice<Substring>) {
    var words = words
    let arithmetic: Preprocessing.Arithmetic = words.last == "float64" ? .float64 : .float32
    if arithmetic == .float64 { words.removeLast() }
    let count = words.count / 2 - 1
    guard count >= 1, words.count == 2 * count + 2 else { return nil }
    let mean = words.prefix(count + 1)
    let std = words.suffix(count + 1)
    guard mean.first == "mean", std.first == "std" else { return nil }
    let means = mean.dropFirst().compactMap(number)
    let deviations = std.dropFirst().compactMap(number).filter(isDivisor)
    guard means.count == count, deviations.count == count else { return nil }
    self = .normalize(mean: means, std: deviations, arithmetic)
  }

  public var description: String {
    switch self {
    case .resizeShorter(let size, let filter): return "resize shorter \(size) \(filter)"
    case .resizeLonger(let size, let filter): return "resize longer \(size) \(filter)"
    case .resizeExact(let width, let height, let filter): return "resize exact \(width) \(height) \(filter)"
    case .centerCrop(let width, let height): return "center_crop \(width) \(height)"
    case .pad(let width, let height, let fill): return "pad \(width) \(height)\(fill == 0 ? "" : " \(fill)")"
    case .gray: return "gray"
    case .bgr: return "bgr"
    case .alpha: return "alpha"
    case .depth16: return "depth 16"
    case .scale(let divisor): return "scale 1/\(text(divisor))"
    case .normalize(let mean, let std, let arithmetic):
      let numbers = { (values: [Double]) in values.map(text).joined(separator: " ") }
      let suffix = arithmetic == .float64 ? " float64" : ""
      return "normalize mean \(numbers(mean)) std \(numbers(std))\(suffix)"
    }
  }
}

/// A whole number in decimal digits alone.
private func digits(_ word: Substring) -> Int? {
  guard (1...20).contains(word.utf8.count), word.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
  return Int(word)
}

private func side(_ word: Substring) -> Int? {
  digits(word).flatMap { (1...Image.maximumSide).contains($0) ? $0 : nil }
}

private func area(_ first: Substring, _ second: Substring) -> (width: Int, height: Int)? {
  guard let width = side(first), let height = side(second), width * height <= Image.maximumPixels else { return nil }
  return (width, height)
}

/// A decimal number, finite also in float32.
private func number(_ word: Substring) -> Double? {
  // Swift reads hexadecimal numbers and words, too.
  let isDecimal = word.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
  guard isDecimal, word.utf8.count <= 400, let value = Double(word), Float(value).isFinite else { return nil }
  return value
}

/// Whether all that is divided by it stays finite.
private func isDivisor(_ value: Double) -> Bool { value > 0 && (255 / Float(value)).isFinite }

/// Without the ".0" of whole numbers.
private func text(_ value: Double) -> String {
  let text = "\(value)"
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}
