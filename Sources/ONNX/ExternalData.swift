// SPDX-License-Identifier: Apache-2.0
import Glibc
import Tensors

/// The files beside a model that hold its weights, each mapped once.
final class ExternalData {
  private let folder: [CChar]
  private var files: [String: Storage] = [:]

  init(folderOf path: UnsafePointer<CChar>) {
    // Bytes, not a String: a path need not be UTF-8.
    let bytes = UnsafeBufferPointer(start: path, count: strlen(path))
    let slash = CChar(UInt8(ascii: "/"))
    if let last = bytes.lastIndex(of: slash) {
      folder = bytes[...last] + [0]
    } else {
      folder = [CChar(UInt8(ascii: ".")), 0]
    }
  }

  /// The whole file named `location`, which must be a plain file of the model's folder: a model must not be
  /// able to read anything else of the machine it is loaded on.
  func file(_ location: String) throws -> Storage {
    if let storage = files[location] { return storage }
    let isPlain = !location.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
    guard isPlain, !location.isEmpty, location != ".", location != ".." else {
      throw Failure(.invalidModel, "its external data must be in a file beside the model, not \(quoted(location))")
    }
    let name = "external data file \(quoted(location))"
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("cannot open the model's folder", errno) }
    defer { close(directory) }
    let descriptor = openat(directory, location, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
    guard descriptor >= 0 else {
      let code = errno
      if code == ELOOP {
        throw Failure(.invalidModel, "the \(name) is a symbolic link, which is not followed; put the file there")
      }
      throw failure("cannot open the \(name)", code)
    }
    defer { close(descriptor) }
    let file = try MappedFile(descriptor: descriptor, name: "the \(name)")
    let storage = Storage(borrowing: file.bytes, owner: file)
    files[location] = storage
    return storage
  }

  private func failure(_ what: String, _ code: Int32) -> Failure {
    Failure(code == ENOENT ? .notFound : .io, "\(what): \(String(cString: strerror(code)))")
  }
}
