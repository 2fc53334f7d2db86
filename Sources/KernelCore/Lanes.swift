/// A vector of floats, with operations that are single instructions (see `CVectors`); SIMD's own operators are not.
public protocol Vector: SIMD where Scalar == Float {
  static func adding(_ a: Self, _ b: Self) -> Self
  static func subtracting(_ a: Self, _ b: Self) -> Self
  static func multiplying(_ a: Self, _ b: Self) -> Self
  static func dividing(_ a: Self, _ b: Self) -> Self
  /// `sum + a * b`, rounded once; slow without FMA instructions.
  static func fused(_ sum: Self, _ a: Self, _ b: Self) -> Self
  /// `a < b ? x : y`, lane by lane; `y` where `a` or `b` is NaN.
  static func pick(_ a: Self, lessThan b: Self, _ x: Self, else y: Self) -> Self
  /// The larger, and the smaller; NaN where either is.
  static func maximum(_ a: Self, _ b: Self) -> Self
  static func minimum(_ a: Self, _ b: Self) -> Self
  static func squareRoot(_ x: Self) -> Self
  static func magnitude(_ x: Self) -> Self
  /// The magnitude of `x` with the sign of `y`.
  static func magnitude(_ x: Self, signOf y: Self) -> Self
  /// The sum of all lanes.
  static func sum(_ x: Self) -> Float
  /// 2^n for whole n in -126...127.
  static func powerOfTwo(_ n: Self) -> Self
  /// As many integers from memory.
  static func load(_ type: StepType, _ p: UnsafeRawPointer) -> Self
  /// Whole numbers within the range of the type to memory; NaN becomes 0.
  static func store(_ x: Self, _ type: StepType, _ p: UnsafeMutableRawPointer)
}

/// One instruction set: its vector, its fused multiply-add, the shape of its output tiles.
///
/// Everything generic over `Lanes` is inlined into the module of an instruction set, and takes its flags there.
public protocol Lanes: SendableMetatype {
  associatedtype V: Vector
  /// `sum + a * b`.
  static func fma(_ sum: V, _ a: V, _ b: V) -> V
  /// The running sums of one row of a full output tile.
  associatedtype Wide: Sums where Wide.L == Self
  /// Whether there are registers for tiles of twelve rows, not only of six.
  static var hasTallTiles: Bool { get }
}

/// Vector arithmetic for generic code: the operators of `Vector`, not those of `SIMD`.
extension Vector {
  @inlinable @inline(__always)
  public static func + (a: Self, b: Self) -> Self { adding(a, b) }
  @inlinable @inline(__always)
  public static func - (a: Self, b: Self) -> Self { subtracting(a, b) }
  @inlinable @inline(__always)
  public static func * (a: Self, b: Self) -> Self { multiplying(a, b) }
  @inlinable @inline(__always)
  public static func / (a: Self, b: Self) -> Self { dividing(a, b) }
}

extension Lanes {
  @inlinable @inline(__always)
  public static var count: Int { V.scalarCount }

  @inlinable @inline(__always)
  public static func load(_ p: UnsafePointer<Float>) -> V { UnsafeRawPointer(p).loadUnaligned(as: V.self) }

  @inlinable @inline(__always)
  public static func store(_ v: V, _ p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: v, as: V.self)
  }

  /// The first `n` lanes from memory, the others 0.
  @inlinable @inline(__always)
  public static func load(_ p: UnsafePointer<Float>, first n: Int) -> V {
    if n == count { return load(p) }
    var v = splat(0)
    var i = 0
    while i < n {
      v[i] = p[i]
      i = i &+ 1
    }
    return v
  }

  @inlinable @inline(__always)
  public static func store(_ v: V, _ p: UnsafeMutablePointer<Float>, first n: Int) {
    if n == count { return store(v, p) }
    var i = 0
    while i < n {
      p[i] = v[i]
      i = i &+ 1
    }
  }

  @inlinable @inline(__always)
  public static func splat(_ x: Float) -> V { V(repeating: x) }

  /// NaN in `x` stays NaN.
  @inlinable @inline(__always)
  public static func clamp(_ x: V, _ low: V, _ high: V) -> V {
    let x = V.pick(x, lessThan: low, low, else: x)
    return V.pick(high, lessThan: x, high, else: x)
  }
}
