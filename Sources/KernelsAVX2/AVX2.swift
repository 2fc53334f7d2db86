#if arch(x86_64)
  public import KernelCore

  enum AVX2: Lanes {
    typealias V = SIMD8<Float>
    typealias Wide = TwoTimes<OneVector<AVX2>>
    @inline(__always)
    static var hasTallTiles: Bool { false }

    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.fused(sum, a, b) }
  }

  /// Only for processors with AVX2 and FMA.
  public let tableAVX2 = KernelTable(AVX2.self)
#endif
