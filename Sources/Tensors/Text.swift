import Glibc

/// `value` with so many digits after the point.
public func fixed(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*f") }

/// The same with a power of ten: "1.25e-07".
public func scientific(_ value: Double, _ digits: Int32) -> String { formatted(value, digits, "%.*e") }

private func formatted(_ value: Double, _ digits: Int32, _ format: String) -> String {
  // No finite double is longer; more is asked for nowhere.
  var buffer = [CChar](repeating: 0, count: 400)
  let length = withVaList([digits, value]) { vsnprintf(&buffer, buffer.count, format, $0) }
  return String(decoding: buffer.prefix(max(0, Int(length))).map(UInt8.init(bitPattern:)), as: UTF8.self)
}
