import COpenBLAS
import CProcessor
import Glibc
import KernelCore
import KernelsPortable
import Tensors

#if arch(x86_64)
  import KernelsAMX
  import KernelsAVX2
  import KernelsAVX512
  import KernelsAVX512BFloat16
#endif

/// The numeric loops of one instruction set, float32, channels-last.
///
/// Pointers come from the caller's own plan: nothing here checks geometry, and no function allocates in
/// proportion to its operands. Every result has the same bits for any number of threads and any split of a batch,
/// except that with OpenBLAS the last bits of `multiply` depend on the number of rows. So it is never chosen unasked.
public struct Kernels: Sendable, CustomStringConvertible {
  public enum Variant: String, Sendable, CaseIterable {
    case avx512, avx2, portable, openblas
  }

  public let variant: Variant
  public let description: String
  /// What was asked for; `computedPrecision` says what comes of it here.
  public internal(set) var precision = Precision.float32
  let table: KernelTable
  /// The loops over bfloat16, where they are wanted and there are any.
  var bfloat16: BFloat16Table?
  /// The loops over AMX's tiles, likewise.
  var tiles: TileTable?

  /// Throws `unsupported` where the processor lacks the instructions, or the system OpenBLAS.
  public init(_ variant: Variant) throws {
    if variant == .openblas {
      if let problem = lp_openblas_open() { throw Failure(.unsupported, String(cString: problem)) }
    } else if !Self.native.contains(variant) {
      let names = Self.native.map(\.rawValue).joined(separator: ", ")
      throw Failure(
        .unsupported, "the processor does not run the kernels \(quoted(variant.rawValue)); it runs \(names)")
    }
    self.init(variant, Self.table(variant), variant.rawValue)
  }

  private static func table(_ variant: Variant) -> KernelTable {
    #if arch(x86_64)
      if variant == .avx512 { return tableAVX512 }
      if variant == .avx2 { return tableAVX2 }
    #endif
    return tablePortable
  }

  private init(_ variant: Variant, _ table: KernelTable, _ description: String) {
    self.variant = variant
    self.table = table
    self.description = description
  }

  /// Whether regions of maps can be computed by themselves: the bits of sums must not depend on how many rows there are.
  public var hasRegions: Bool { variant != .openblas }

  /// For tests: the code of AVX-512, without its instructions.
  package static let sixteenLanes = Kernels(.portable, tableSixteenLanes, "16 lanes")

  /// For tests: the code for bfloat16, with the bits of AVX-512's instructions but without them.
  package static let emulatedBFloat16: Kernels = {
    var kernels = Kernels(.portable, tableSixteenLanes, "16 lanes, bfloat16")
    kernels.precision = .bfloat16
    kernels.bfloat16 = tableSixteenBFloat16
    return kernels
  }()

  /// For tests: with AMX's loops on any processor, or without them.
  package func with(tiles isTiled: Bool) -> Kernels {
    var copy = self
    copy.tiles = isTiled ? Self.nativeTiles : nil
    return copy
  }

  /// For processors with AVX512-BF16.
  static var nativeBFloat16: BFloat16Table? {
    #if arch(x86_64)
      tableAVX512BFloat16
    #else
      nil
    #endif
  }

  /// For processors with AVX512-BF16 and AMX-BF16, in processes that may use them.
  static var nativeTiles: TileTable? {
    #if arch(x86_64)
      tableAMX
    #else
      nil
    #endif
  }

  /// Of our own, what this processor can run, best first.
  public static let native: [Variant] = {
    let features = lp_processor_features()
    var variants: [Variant] = [.portable]
    if features & UInt32(LP_AVX2_FMA) != 0 { variants.insert(.avx2, at: 0) }
    if features & UInt32(LP_AVX512) != 0 { variants.insert(.avx512, at: 0) }
    return variants
  }()

  /// All that can be run here, which opens OpenBLAS.
  package static var available: [Variant] { native + (lp_openblas_open() == nil ? [.openblas] : []) }

  /// The variant named by the environment variable `LIMPID_KERNELS`, or else the best of our own. Throws
  /// `invalidArgument` for an unknown name, `unsupported` where it cannot run.
  public static func selected() throws -> Kernels {
    guard let name = lp_setting("LIMPID_KERNELS") else { return try Kernels(native[0]) }
    return try locating("LIMPID_KERNELS") { try Kernels(named: String(cString: name)) }
  }

  package init(named name: String) throws {
    guard let variant = Variant(rawValue: name) else {
      let names = Variant.allCases.map(\.rawValue).joined(separator: ", ")
      throw Failure(.invalidArgument, "there are no kernels \(quoted(name)); there are \(names)")
    }
    try self.init(variant)
  }
}
