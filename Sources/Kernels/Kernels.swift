import CProcessor
import Parallel
import Tensors

/// The numeric loops of one instruction set.
public struct Kernels: Sendable {
  public enum Variant: String, Sendable, CaseIterable {
    case portable, avx2, avx512, openblas
  }

  public let variant: Variant
}
