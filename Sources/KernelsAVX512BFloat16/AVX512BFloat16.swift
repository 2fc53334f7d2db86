#if arch(x86_64)
  import CVectors
  public import KernelCore

  enum AVX512BFloat16: BFloat16Lanes {
    typealias V = SIMD16<Float>
    typealias Wide = TwoTimes<OneVector<AVX512BFloat16>>
    @inline(__always)
    static var hasTallTiles: Bool { true }

    @inline(__always)
    static func fma(_ sum: V, _ a: V, _ b: V) -> V { lp_dot_native16(sum, a, b) }

    @inline(__always)
    static func round(_ x: UnsafePointer<Float>, _ words: UnsafeMutablePointer<Float>, _ count: Int) {
      lp_round_native(x, words, count)
    }
  }

  /// Only for processors with AVX-512 F, VL, BW, DQ and BF16.
  public let tableAVX512BFloat16 = BFloat16Table(AVX512BFloat16.self)
#endif
