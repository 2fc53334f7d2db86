// SPDX-License-Identifier: Apache-2.0
import Tensors

extension Preprocessing {
  /// One line of the description.
  public enum Step: Sendable, Equatable {
    /// The shorter side becomes `size`, the other `trunc(size * longer / shorter)`.
    case resizeShorter(size: Int, Filter)
    /// Aspect ratio ignored.
    case resizeExact(width: Int, height: Int, Filter)
    /// A window at the centre; where it is larger than the image, black is added.
    case centerCrop(width: Int, height: Int)
    /// One channel: ITU-R 601 luma.
    case gray
    /// Bytes divided by `divisor`.
    case scale(divisor: Double)
    /// `(x - mean) / std` for each channel.
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
    "resize shorter SIZE FILTER", "resize exact WIDTH HEIGHT FILTER", "center_crop WIDTH HEIGHT", "gray", \
    "scale 1/NUMBER", "normalize mean NUMBER... std NUMBER..." (then, perhaps, "float64"); \
    FILTER is \(Filter.allCases.map(\.rawValue).joined(separator: ", "))
    """

  /// Nil where `line` has none of the forms.
  init?(parsing line: Substring) {
    let words = line.split(whereSeparator: \.isWhitespace)
    switch words.first {
    case "resize" where words.count == 4 && words[1] == "shorter":
      guard let size = side(words[2]), let filter = Filter(rawValue: String(words[3])) else { return nil }
      self = .resizeShorter(size: size, filter)
    case "resize" where words.count == 5 && words[1] == "exact":
      guard let width = side(words[2]), let height = side(words[3]),
        let filter = Filter(rawValue: String(words[4]))
      else { return nil }
      self = .resizeExact(width: width, height: height, filter)
    case "center_crop" where words.count == 3:
      guard let width = side(words[1]), let height = side(words[2]) else { return nil }
      self = .centerCrop(width: width, height: height)
    case "gray" where words.count == 1:
      self = .gray
    case "scale" where words.count == 2 && words[1].hasPrefix("1/"):
      guard let divisor = number(words[1].dropFirst(2)), divisor > 0 else { return nil }
      self = .scale(divisor: divisor)
    case "normalize":
      self.init(normalization: words.dropFirst())
    default:
      return nil
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
    let deviations = std.dropFirst().compactMap(number).filter { Float($0) > 0 }
    guard means.count == count, deviations.count == count else { return nil }
    self = .normalize(mean: means, std: deviations, arithmetic)
  }

  public var description: String {
    switch self {
    case .resizeShorter(let size, let filter): return "resize shorter \(size) \(filter)"
    case .resizeExact(let width, let height, let filter): return "resize exact \(width) \(height) \(filter)"
    case .centerCrop(let width, let height): return "center_crop \(width) \(height)"
    case .gray: return "gray"
    case .scale(let divisor): return "scale 1/\(text(divisor))"
    case .normalize(let mean, let std, let arithmetic):
      let numbers = { (values: [Double]) in values.map(text).joined(separator: " ") }
      let suffix = arithmetic == .float64 ? " float64" : ""
      return "normalize mean \(numbers(mean)) std \(numbers(std))\(suffix)"
    }
  }
}

private func side(_ word: Substring) -> Int? {
  guard let value = Int(word), (1...Image.maximumSide).contains(value) else { return nil }
  return value
}

/// Finite also in float32.
private func number(_ word: Substring) -> Double? {
  guard let value = Double(word), Float(value).isFinite else { return nil }
  return value
}

/// Without the ".0" of whole numbers.
private func text(_ value: Double) -> String {
  let text = "\(value)"
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}
