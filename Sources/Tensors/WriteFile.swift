import Glibc
import Synchronization

/// Writes a whole file, replacing what it held. `path` goes to the system as it is.
/// Throws `notFound` where the folder does not exist, `io` with the system's reason otherwise.
///
/// The bytes go into a new file beside it, which then takes its place: where the disk is full, what was there stays. In
/// its place is written what is no regular file (a device, a pipe), and where the folder takes no new files.
public func writeFile(_ bytes: UnsafeRawBufferPointer, to path: UnsafePointer<CChar>) throws {
  let name = quoted(path: path)
  guard let place = replaceable(path), let part = newFile(beside: place.path) else {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure("create", name) }
    return try writeAndClose(bytes, descriptor, name)
  }
  do {
    if let mode = place.mode { fchmod(part.descriptor, mode) }
    try writeAndClose(bytes, part.descriptor, name)
    guard rename(part.path, place.path) == 0 else { throw failure("replace", name) }
  } catch {
    unlink(part.path)
    throw error
  }
}

private func failure(_ what: String, _ name: String) -> Failure {
  let code = errno
  return Failure(code == ENOENT ? .notFound : .io, "cannot \(what) \(name): \(String(cString: strerror(code)))")
}

/// Where links lead to from `path`, and the permissions of the regular file there, nil where there is nothing yet; nil
/// where something is that is not to be replaced.
private func replaceable(_ path: UnsafePointer<CChar>) -> (path: [CChar], mode: mode_t?)? {
  var status = stat()
  guard lstat(path, &status) == 0 else {
    return errno == ENOENT ? (Array(UnsafeBufferPointer(start: path, count: strlen(path) + 1)), nil) : nil
  }
  guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(path, W_OK) == 0,
    let real = realpath(path, nil)
  else { return nil }
  defer { free(real) }
  return (Array(UnsafeBufferPointer(start: real, count: strlen(real) + 1)), status.st_mode & 0o777)
}

private let fileNumber = Atomic<UInt32>(0)

/// A new file in the folder of `path`; nil where none can be made.
private func newFile(beside path: [CChar]) -> (descriptor: Int32, path: [CChar])? {
  let folder = path.lastIndex(of: CChar(UInt8(ascii: "/"))).map { path[...$0] } ?? []
  for _ in 0..<100 {
    let number = fileNumber.wrappingAdd(1, ordering: .relaxed).newValue
    let part = folder + ".limpid-\(getpid())-\(number).part".utf8CString
    let descriptor = open(Array(part), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if descriptor >= 0 { return (descriptor, Array(part)) }
    if errno != EEXIST { return nil }
  }
  return nil
}

private func writeAndClose(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32, _ name: String) throws {
  var written = 0
  while written < bytes.count {
    let count = write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else {
      let problem = failure("write", name)
      close(descriptor)
      throw problem
    }
    written += count
  }
  // Some file systems report a full disk only here.
  guard close(descriptor) == 0 else { throw failure("write", name) }
}
