import Glibc

/// `value` with so many digits after the point.
public func fixed(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*f") }

/// The same with a power of ten: "1.25e-07".
public func scientific(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*e") }

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
