public import KernelCore

/// What every processor of the architecture runs: on x86-64, SSE2.
enum Portable: Lanes {
  typealias V = SIMD4<Float>
  typealias Wide = TwoTimes<OneVector<Portable>>
  @inline(__always)
  static var hasTallTiles: Bool { false }

  /// Two roundings: a fused one would be a call of libm here.
  @inline(__always)
  static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.adding(sum, V.multiplying(a, b)) }
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
