import Glibc

/// Writes a whole file, replacing what it held. `path` goes to the system as it is.
/// Throws `notFound` where the folder does not exist, `io` with the system's reason otherwise.
public func writeFile(_ bytes: UnsafeRawBufferPointer, to path: UnsafePointer<CChar>) throws {
  let name = "\"\(String(cString: path))\""
  func failure(_ what: String) -> Failure {
    let code = errno
    let reason = String(cString: strerror(code))
    return Failure(code == ENOENT ? .notFound : .io, "cannot \(what) \(name): \(reason)")
  }
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw failure("create") }
  var written = 0
  while written < bytes.count {
    let count = write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else {
      let problem = failure("write")
      close(descriptor)
      throw problem
    }
    written += count
  }
  // Some file systems report a full disk only here.
  guard close(descriptor) == 0 else { throw failure("write") }
}
