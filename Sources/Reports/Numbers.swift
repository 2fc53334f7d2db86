import Tensors

/// About three significant digits: "0.0312", "0.634", "12.4", "1240".
func short(_ value: Double) -> String {
  guard value.isFinite else { return value.isNaN ? "not a number" : value < 0 ? "-∞" : "∞" }
  let size = abs(value)
  switch size {
  case 0: return "0"
  case 1e-3..<0.1: return fixed(value, 4)
  case 0.1..<10: return fixed(value, 3)
  case 10..<1000: return fixed(value, 1)
  case 1000..<1e7: return fixed(value, 0)
  default: return scientific(value, 2)
  }
}

/// "34.2 %", "50 %"; what would round to 0 % but is not is "< 0.01 %".
public func percent(_ share: Double) -> String {
  guard share.isFinite else { return short(share) }
  let value = 100 * share
  if value > 0, value < 0.01 { return "< 0.01 %" }
  if value == value.rounded() { return fixed(value, 0) + " %" }
  return fixed(value, value < 1 ? 2 : 1) + " %"
}
