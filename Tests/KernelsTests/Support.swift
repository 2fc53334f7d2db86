import Glibc
import Kernels
import Parallel
import Testing

/// The kernels under test: every variant that this processor runs, and the 16-lane code that AVX-512 runs, compiled
/// for any processor.
let variants: [Kernels] = {
  let native = Kernels.available.compactMap { try? Kernels($0) }
  return native + [Kernels.sixteenLanes]
}()

extension Kernels: CustomTestStringConvertible {
  public var testDescription: String { description }
}

/// The same numbers at every run: xorshift, scaled to -1...1.
struct Generator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func bits() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  mutating func float() -> Float { Float(bits() >> 40) / Float(1 << 23) - 1 }
  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }
  mutating func int(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(bits() >> 33) % range.count
  }
}

/// A computed number and the bound on its error.
struct Expected {
  var value: Double
  var tolerance: Double
}

/// Fails at the first element that is further from its expectation than allowed; NaN is expected as NaN.
func expect(
  _ got: [Float], _ expected: [Expected], _ what: String, location: SourceLocation = #_sourceLocation
) {
  #expect(got.count == expected.count, sourceLocation: location)
  for (i, (x, e)) in zip(got, expected).enumerated() {
    let isClose =
      e.value.isNaN ? x.isNaN : Double(x) == e.value || Swift.abs(Double(x) - e.value) <= e.tolerance
    guard isClose else {
      Issue.record("\(what): element \(i) is \(x), expected \(e.value) ± \(e.tolerance)", sourceLocation: location)
      return
    }
  }
}

/// Equality of bits, NaN included.
func expectSame(
  _ a: [Float], _ b: [Float], _ what: String, location: SourceLocation = #_sourceLocation
) {
  let i = zip(a, b).enumerated().first { $1.0.bitPattern != $1.1.bitPattern }?.offset
  #expect(a.count == b.count && i == nil, "\(what): first difference at \(i ?? -1)", sourceLocation: location)
}

/// Runs `body` with 64-byte aligned memory of `count` floats, filled with NaN, and returns them.
func floats(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
  withAligned(4 * count) { memory in
    let p = memory.assumingMemoryBound(to: Float.self)
    p.update(repeating: .nan, count: count)
    body(p)
    return Array(UnsafeBufferPointer(start: p, count: count))
  }
}

func withAligned<R>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) -> R) -> R {
  let memory = UnsafeMutableRawPointer.allocate(byteCount: max(64, byteCount), alignment: 64)
  defer { memory.deallocate() }
  return body(memory)
}
