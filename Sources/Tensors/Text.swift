import Glibc

/// `value` with so many digits after the point.
public func fixed(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*f") }

/// The same with a power of ten: "1.25e-07".
public func scientific(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*e") }

/// A number of bytes for people, in the largest unit up to MiB that it fills, to a tenth of it: "12 bytes", "1.5 KiB".
public func byteSize(_ count: Int, _ rounding: FloatingPointRoundingRule = .toNearestOrEven) -> String {
  var (number, unit) = (Double(count), count == 1 ? "byte" : "bytes")
  for larger in ["KiB", "MiB"] where number >= 1024 { (number, unit) = (number / 1024, larger) }
  let text = fixed((number * 10).rounded(rounding) / 10, 1)
  return "\(text.hasSuffix(".0") ? String(text.dropLast(2)) : text) \(unit)"
}

private func formatted(_ value: Double, _ digits: Int32, _ format: String) -> String {
  // Its sign says nothing.
  guard !value.isNaN else { return "nan" }
  // No finite double is longer; more is asked for nowhere.
  var buffer = [CChar](repeating: 0, count: 400)
  let length = withVaList([digits, value]) { vsnprintf(&buffer, buffer.count, format, $0) }
  let bytes = buffer.prefix(max(0, Int(length))).map(UInt8.init(bitPattern:))
  // A comma, or several bytes, where the host's locale has such a point.
  let parts = Array(bytes.split { !isOfNumber($0) }.joined(separator: [UInt8(ascii: ".")]))
  return String(decoding: parts, as: UTF8.self)
}

/// Whether it is a digit, a sign, or of "e", "inf" or "nan".
private func isOfNumber(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "+"),
    UInt8(ascii: "-"):
    true
  default: false
  }
}
