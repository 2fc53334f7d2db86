import Documents
import Glibc
import Parallel
import Tensors

/// Data goes to standard output, all else to standard error.
enum Console {
  /// Throws `io` where standard output takes no more.
  static func write(_ text: String) throws {
    var text = text.withoutEscapes
    try text.withUTF8 { try writeAll(UnsafeRawBufferPointer($0), to: STDOUT_FILENO, "standard output") }
  }

  static func error(_ text: String) {
    var text = text.withoutEscapes
    // There is nowhere left to report a failure to.
    try? text.withUTF8 { try writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO, "standard error") }
  }
}

/// Writes all bytes to an open file, however many turns that takes.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ name: String) throws {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { throw Failure(.io, "cannot write \(name): \(String(cString: strerror(errno)))") }
    rest = rest.dropFirst(count)
  }
}

/// Ctrl-C.
enum Interrupt {
  static let cancellation = Cancellation()

  /// From now on the first Ctrl-C makes progress callbacks stop their call; a second one ends the process at once.
  static func catchOnce() {
    _ = cancellation
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Interrupt.cancellation.cancel() }
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
    sigaction(SIGINT, &action, nil)
  }
}

/// Seconds on a clock that only goes forward.
func now() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// One line on a terminal that says how far a long call is. Elsewhere it draws nothing, but Ctrl-C stops the call all
/// the same.
final class ProgressLine {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var drawn = now()
  private var isShown = false

  /// `title` is what the call works on.
  func progress(_ title: String) -> Progress { progress { title } }

  func progress(_ title: @escaping () -> String) -> Progress {
    Progress { done, total in
      if Interrupt.cancellation.isCancelled { return false }
      if self.isTerminal, total > 0, now() - self.drawn > 0.1 {
        self.drawn = now()
        self.isShown = true
        Console.error("\r\u{1B}[K\(Int(100 * Double(done) / Double(total))) % \(title())")
      }
      return true
    }
  }

  /// Wipes the line.
  func clear() {
    if isShown { Console.error("\r\u{1B}[K") }
    isShown = false
  }
}
