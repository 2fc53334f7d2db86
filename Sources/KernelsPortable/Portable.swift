import CVectors
public import KernelCore

/// What every processor of the architecture runs: SSE2 on x86-64, NEON on ARM64.
enum Portable: Lanes {
  typealias V = SIMD4<Float>
  typealias Wide = TwoTimes<OneVector<Portable>>

  #if arch(arm64)
    @inline(__always)
    static var hasTallTiles: Bool { true }

    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.fused(sum, a, b) }
  #else
    @inline(__always)
    static var hasTallTiles: Bool { false }

    /// Two roundings: a fused one would be a call of libm here.
    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.adding(sum, V.multiplying(a, b)) }
  #endif
}

public let tablePortable = KernelTable(Portable.self)

/// The tile of AVX-512 for any processor, so that its logic can be tested on all of them.
enum SixteenLanes: Lanes {
  typealias V = SIMD16<Float>
  typealias Wide = TwoTimes<OneVector<SixteenLanes>>
  @inline(__always)
  static var hasTallTiles: Bool { true }

  @inline(__always)
  static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.adding(sum, V.multiplying(a, b)) }
}

public let tableSixteenLanes = KernelTable(SixteenLanes.self)

/// The loops over bfloat16 of AVX-512 for any processor, likewise for tests.
enum SixteenBFloat16: BFloat16Lanes {
  typealias V = SIMD16<Float>
  typealias Wide = TwoTimes<OneVector<SixteenBFloat16>>
  @inline(__always)
  static var hasTallTiles: Bool { true }

  @inline(__always)
  static func fma(_ sum: V, _ a: V, _ b: V) -> V { lp_dot_emulated16(sum, a, b) }

  @inline(__always)
  static func round(_ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ count: Int) {
    lp_round_emulated(x, words, count)
  }
}

public let tableSixteenBFloat16 = BFloat16Table(SixteenBFloat16.self)
