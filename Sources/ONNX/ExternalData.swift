// SPDX-License-Identifier: Apache-2.0
import Glibc
import Tensors

/// The files beside a model that hold its weights, each mapped or read once.
final class ExternalData {
  private let folder: [CChar]
  private let copying: Bool
  private let refusingLinks: Bool
  private var files: [String: Storage] = [:]

  init(folderOf path: UnsafePointer<CChar>, copying: Bool, refusingLinks: Bool) {
    self.copying = copying
    self.refusingLinks = refusingLinks
    // Bytes, not a String: a path need not be UTF-8.
    let bytes = UnsafeBufferPointer(start: path, count: strlen(path))
    let slash = CChar(UInt8(ascii: "/"))
    if let last = bytes.lastIndex(of: slash) {
      folder = bytes[...last] + [0]
    } else {
      folder = [CChar(UInt8(ascii: ".")), 0]
    }
  }

  /// The whole file named `location`, a relative path. The name must not lead out of the model's folder: a model must
  /// not be able to name anything else of the machine that it is loaded on. Links that lie in the folder are followed:
  /// whoever put them there (a download cache, say) meant them; unless the caller wants none.
  func file(_ location: String) throws -> Storage {
    if let storage = files[location] { return storage }
    let steps = location.split(separator: "/", omittingEmptySubsequences: false).filter { $0 != "." }
    let isInside = steps.allSatisfy { !$0.isEmpty && $0 != ".." }
    let isPlain = !location.utf8.contains { $0 == UInt8(ascii: "\\") || $0 == 0 }
    guard isInside, isPlain, !steps.isEmpty else {
      throw Failure(
        .invalidModel, "its external data must be in a file in the model's folder or below, not \(quoted(location))")
    }
    let name = "external data file \(quoted(location))"
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("cannot open the model's folder", errno) }
    defer { close(directory) }
    let descriptor = try descriptor(of: steps, in: directory, name)
    defer { close(descriptor) }
    let storage =
      copying
      ? try Storage(descriptor: descriptor, name: "the \(name)")
      : Storage(mapping: try MappedFile(descriptor: descriptor, name: "the \(name)"))
    files[location] = storage
    return storage
  }

  /// Folder by folder where links are refused: any step could be one.
  private func descriptor(of steps: [Substring], in directory: Int32, _ name: String) throws -> Int32 {
    guard refusingLinks else {
      let descriptor = openat(directory, steps.joined(separator: "/"), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw failure("cannot open the \(name)", errno) }
      return descriptor
    }
    var here = dup(directory)
    for (i, step) in steps.enumerated() {
      guard here >= 0 else { break }
      let folder = here
      defer { close(folder) }
      let kind = i == steps.count - 1 ? O_NONBLOCK : O_DIRECTORY
      here = openat(folder, String(step), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | kind)
      guard here < 0 else { continue }
      let code = errno
      var status = stat()
      guard fstatat(folder, String(step), &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFLNK else {
        throw failure("cannot open the \(name)", code)
      }
      throw Failure(
        .invalidModel, "the \(name) is behind a symbolic link, \(quoted(String(step))), and links are refused")
    }
    guard here >= 0 else { throw failure("cannot open the \(name)", errno) }
    return here
  }

  private func failure(_ what: String, _ code: Int32) -> Failure {
    Failure(code == ENOENT ? .notFound : .io, "\(what): \(String(cString: strerror(code)))")
  }
}
