#if arch(x86_64)
  public import KernelCore

  enum AVX512: Lanes {
    typealias V = SIMD16<Float>
    typealias Wide = TwoTimes<OneVector<AVX512>>
    @inline(__always)
    static var hasTallTiles: Bool { true }

    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { V.fused(sum, a, b) }
  }

  /// Only for processors with AVX-512 F, VL, BW and DQ.
  public let tableAVX512 = KernelTable(AVX512.self)
#endif
