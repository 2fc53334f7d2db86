import Glibc
import Tensors

/// The bytes that one call may use.
public struct MemoryLimit: Sendable {
  public let bytes: Int

  /// 0 stands for the machine's whole memory.
  public init(bytes: UInt64) {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let size = sysconf(Int32(_SC_PAGESIZE))
    let physical = pages > 0 && size > 0 ? pages * size : 1 << 40
    self.bytes = bytes == 0 ? physical : Int(clamping: bytes)
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
