// SPDX-License-Identifier: Apache-2.0
import CLimpid
import CThread
import Parallel
import Tensors

/// Runs the body of a C function that can fail; a failure becomes its status and this thread's last error.
func boundary(_ body: () throws -> Void) -> limpid_status {
  clearReserve()
  do {
    try computing(body)
    return LIMPID_OK
  } catch {
    let failure = error as? Failure ?? Failure(.internal, "an unexpected error: \(error)")
    var message = failure.message
    message.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        if let base = text.baseAddress { lp_set_message(base, text.count) }
      }
    }
    return limpid_status(rawValue: UInt32(failure.kind.rawValue))
  }
}

/// What a C caller must give, or `invalidArgument`.
func required<T>(_ pointer: T?, _ name: StaticString) throws -> T {
  guard let pointer else { throw Failure(.invalidArgument, "\(name) is NULL") }
  return pointer
}

/// Runs what reads the file at `path`; a failure in it names the file, as those of opening it already do.
func reading<R>(_ path: UnsafePointer<CChar>, _ body: () throws -> R) throws -> R {
  do {
    return try body()
  } catch let failure as Failure where failure.kind != .notFound && failure.kind != .io {
    throw failure.at(quoted(path: path))
  }
}

/// A text that a C caller must give.
func string(_ text: UnsafePointer<CChar>?, _ name: StaticString) throws -> String {
  guard let string = String(validatingCString: try required(text, name)) else {
    throw Failure(.invalidArgument, "\(name) is not UTF-8")
  }
  return string
}

/// A text that a C caller may leave out.
func optionalString(_ text: UnsafePointer<CChar>?, _ name: StaticString) throws -> String? {
  try text.map { try string($0, name) }
}

/// The C array of `count` things at `base`.
func array<T>(
  _ base: UnsafePointer<T>?, _ count: Int, _ name: StaticString
) throws -> UnsafeBufferPointer<T> {
  // A size_t beyond Int.max arrives as a negative number.
  guard count >= 0 else { throw Failure(.invalidArgument, "the number of \(name) is out of range") }
  if count == 0 { return UnsafeBufferPointer(start: nil, count: 0) }
  return UnsafeBufferPointer(start: try required(base, name), count: count)
}

/// The product of sizes from outside.
func product(_ a: Int, _ b: Int, _ what: StaticString) throws -> Int {
  let (product, overflow) = a.multipliedReportingOverflow(by: b)
  guard !overflow, product >= 0 else { throw Failure(.invalidArgument, "\(what) is out of range") }
  return product
}
