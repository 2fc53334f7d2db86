import CProcessor
import KernelCore

/// A bound on the relative error of logits, and with it leave to be as fast as the bound allows. Nothing is chosen that
/// was not asked for.
public enum Precision: String, Sendable, CaseIterable {
  /// Every product and sum in float32: within 1e-5.
  case float32
  /// Within 1e-4: of products with known weights both factors may be the sum of two bfloat16 numbers, of whose four
  /// products the least is left out; sums are float32.
  case fast
  /// Within 2e-2: of products with known weights both factors may be rounded to bfloat16, or be as in `fast`.
  case bfloat16
}

extension Kernels {
  /// These kernels, with leave to use what `precision` allows, as far as the processor has it.
  public func within(_ precision: Precision) -> Kernels {
    var copy = self
    copy.precision = precision
    let isAllowed = variant == .avx512 && precision != .float32
    let hasInstructions = lp_processor_features() & UInt32(LP_AVX512_BF16) != 0
    copy.bfloat16 = isAllowed && precision == .bfloat16 && hasInstructions ? Self.nativeBFloat16 : nil
    copy.tiles = isAllowed && hasInstructions && lp_tiles_permitted() != 0 ? Self.nativeTiles : nil
    return copy
  }

  /// What the processor made of `precision`.
  public var computedPrecision: Precision {
    switch precision {
    case .float32: .float32
    case .fast: tiles == nil ? .float32 : .fast
    case .bfloat16: bfloat16 == nil ? .float32 : .bfloat16
    }
  }

  /// Why a faster precision that was asked for comes to float32 here; nil where it does not, or was not asked for.
  public var precisionNote: String? {
    guard computedPrecision != precision else { return nil }
    let needed = precision == .fast ? "AMX" : "AVX512-BF16"
    return "\(precision) is computed as float32: it needs a processor with \(needed), and this one runs the kernels "
      + description
  }

  /// What a matrix of known weights is multiplied in.
  ///
  /// Sums of few channels gain less by rounding, and most of the error of networks comes from them: rounded from 128
  /// channels on, or split for `fast` from 64 on, ResNet-50 and ResNeSt-50d of the benchmark leave the bound. Of split
  /// numbers the tiles of AMX make three products in less time than the vectors make one, where they are filled.
  func numbers(channels: Int, columns: Int) -> Packing.Numbers {
    if bfloat16 != nil && channels >= 384 && columns >= 16 { return .bfloat16 }
    let isSplit = channels >= (precision == .fast ? 256 : 64) && columns >= 32 && fillsTiles(channels)
    return tiles != nil && isSplit ? .splitBFloat16 : .float32
  }

  /// Whether a layer that Winograd's algorithm could compute is faster summed directly in these numbers: with AVX-512
  /// as measured, with AMX by the rates of multiplications.
  func isFaster(_ numbers: Packing.Numbers, than patch: Patch) -> Bool {
    switch numbers {
    case .float32: false
    case .bfloat16: patch == .twoByTwo || patch == .twoByFour || tiles != nil
    case .splitBFloat16: patch == .twoByTwo
    }
  }

  /// Whether the channels are whole steps of the tiles. What is multiplied by them follows from the shape alone.
  func fillsTiles(_ channels: Int) -> Bool { channels % (2 * TileTable.stepWords) == 0 }
}
