// SPDX-License-Identifier: Apache-2.0
import Images
import Parallel
import Tensors

/// Files beside this one; expectations are lines of words in `expected.txt` (scripts/make-image-fixtures).
enum Fixtures {
  static let folder = String(#filePath.dropLast("Support.swift".count)) + "Fixtures/"

  /// Runs `body` on the bytes of a file.
  static func read<R>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    let file = try MappedFile(path: folder + name)
    return try withExtendedLifetime(file) { try body(file.bytes) }
  }

  static func image(_ name: String) throws -> Image { try read(name) { try Image.decode($0, .unwatched) } }

  static func bytes(_ name: String) throws -> [UInt8] { try read(name) { Array($0) } }

  /// The words that follow `kind` on the lines that begin with it.
  static func expectations(_ kind: String, in file: String = "expected.txt") throws -> [[String]] {
    try String(decoding: bytes(file), as: UTF8.self)
      .split(separator: "\n")
      .map { $0.split(separator: " ").map(String.init) }
      .filter { $0.first == kind }
      .map { Array($0.dropFirst()) }
  }
}

/// 64-bit FNV-1a of the bytes of `values`, as sixteen hexadecimal digits.
func checksum<T: BitwiseCopyable>(_ values: some Collection<T>) -> String {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  Array(values).withUnsafeBytes { bytes in
    // A loop over an index: the tests are built without optimisation.
    var i = 0
    while i < bytes.count {
      hash = (hash ^ UInt64(bytes[i])) &* 0x100_0000_01B3
      i += 1
    }
  }
  let digits = String(hash, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// Bytes without a pattern, the same for the same seed; scripts/make-image-fixtures has the same generator.
func noise(_ seed: UInt32, _ count: Int) -> [UInt8] {
  var state = seed
  return (0..<count).map { _ in
    state = state &* 1_664_525 &+ 1_013_904_223
    return UInt8(state >> 24)
  }
}

extension Preprocessing {
  /// The tensor of an image, and the picture that it was made of.
  func run(_ image: Image) throws -> (shown: Image, tensor: [Float]) {
    try image.withView { view in
      let size = try outputSize(for: (image.width, image.height))
      let count = size.channels * size.height * size.width
      let tensor = try [Float](unsafeUninitializedCapacity: count) { buffer, filled in
        try self.tensor(from: view, into: buffer.baseAddress!, .unwatched)
        filled = count
      }
      return (try shown(view, .unwatched), tensor)
    }
  }
}

/// The failure that `body` ends in; nil where it succeeds.
func failure(of body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch { return error as? Failure }
}

func decode(_ bytes: some Collection<UInt8>) throws -> Image {
  try Array(bytes).withUnsafeBytes { try Image.decode($0, .unwatched) }
}
