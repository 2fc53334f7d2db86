import CProcessor
import KernelCore

/// A bound on the relative error of logits, and with it leave to be as fast as the bound allows. Nothing is chosen that
/// was not asked for.
public enum Precision: String, Sendable, CaseIterable {
  /// Every product and sum in float32: within 1e-5.
  case float32
  /// Within 1e-4. No kernel is known that gains by this over `float32`, so it is the same.
  case fast
  /// Within 2e-2: of products with known weights both factors may be rounded to bfloat16; sums are float32.
  case bfloat16
}

extension Kernels {
  /// These kernels, with leave to use what `precision` allows, as far as the processor has it.
  public func within(_ precision: Precision) -> Kernels {
    var copy = self
    copy.precision = precision
    let hasInstructions = lp_processor_features() & UInt32(LP_AVX512_BF16) != 0
    copy.bfloat16 = precision == .bfloat16 && variant == .avx512 && hasInstructions ? Self.nativeBFloat16 : nil
    return copy
  }

  /// What weights are multiplied in, where that pays: what the processor made of `precision`.
  public var numbers: Packing.Numbers { bfloat16 == nil ? .float32 : .bfloat16 }

  /// Why a faster precision that was asked for comes to float32 here; nil where it does not, or was not asked for.
  public var precisionNote: String? {
    switch precision {
    case .float32: nil
    case .fast: "fast is computed as float32: nothing faster is known within its bound"
    case .bfloat16 where bfloat16 != nil: nil
    case .bfloat16:
      "bfloat16 is computed as float32: it needs a processor with AVX512-BF16, and this one runs the kernels "
        + description
    }
  }

  /// Whether a product with weights is made in bfloat16. Sums of fewer channels gain less by it, and most of the error
  /// of networks comes from them: from 128 on, ResNet-50 and ResNeSt-50d of the benchmark leave the bound.
  func roundsToBFloat16(channels: Int, columns: Int) -> Bool { bfloat16 != nil && channels >= 384 && columns >= 16 }
}
