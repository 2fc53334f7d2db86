import CProcessor
import Tensors

/// The bytes that one call may use.
public struct MemoryLimit: Sendable {
  public let bytes: Int

  /// 0 stands for the machine's whole memory.
  public init(bytes: UInt64) {
    self.bytes = Int(clamping: bytes == 0 ? lp_physical_memory() : bytes)
  }

  /// Throws before memory is asked for that the limit does not allow.
  public func check(_ needed: Int, for what: @autoclosure () -> String) throws {
    guard needed <= bytes else {
      // Rounded apart, so that what is too large by a byte looks so.
      throw Failure(
        .unsupported, "\(what()) needs \(byteSize(needed, .up)); the memory limit is \(byteSize(bytes, .down))")
    }
  }
}
