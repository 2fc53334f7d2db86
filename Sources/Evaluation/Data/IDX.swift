import Documents
import Images
import Tensors

/// The files of MNIST (LeCun, Cortes & Burges): big-endian, a magic number that says type and axes, extents, bytes.
struct IDXFile {
  let extents: [Int]
  let file: MappedFile
  let start: Int

  init(_ path: String, axes: Int) throws {
    file = try MappedFile(path: path.systemName)
    let bytes = file.bytes
    if bytes.starts(with: [0x1F, 0x8B]) {
      throw Failure(.unsupported, "\(quoted(path)) is compressed; unpack it (gunzip)")
    }
    let headerSize = 4 + 4 * axes
    guard bytes.count >= headerSize, bytes.starts(with: [0, 0, 8, UInt8(axes)]) else {
      throw Failure(.invalidArgument, "\(quoted(path)) is no idx file of bytes with \(axes) axes")
    }
    extents = (0..<axes).map {
      Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 + 4 * $0, as: UInt32.self)))
    }
    start = headerSize
    let count = try Shape(checking: extents).count
    guard bytes.count == headerSize + count else {
      throw Failure(
        .invalidArgument, "\(quoted(path)) is damaged: \(bytes.count - headerSize) bytes for \(extents) values")
    }
  }

  func bytes(_ range: Range<Int>) -> [UInt8] {
    Array(file.bytes[start + range.lowerBound..<start + range.upperBound])
  }
}

extension DataFormat {
  static let idx = DataFormat(
    name: "mnist", summary: "idx files of images and labels, or their folder",
    reads: [.split],
    recognizes: { path in
      isFolder(path) ? imageFiles(in: path, split: nil).count > 0 : fileName(path).contains("idx3-ubyte")
    },
    read: { request in
      let path: String
      if request.options.split == "all" {
        throw Failure(.invalidArgument, "the splits are in files of their own; evaluate one after the other")
      }
      if isFolder(request.path) {
        let found = imageFiles(in: request.path, split: request.options.split ?? "test")
        guard let first = found.first else {
          throw Failure(.notFound, "there is no file …-images-idx3-ubyte of this split in it")
        }
        path = joined(request.path, first)
      } else {
        path = request.path
      }
      let labelsPath = joined(folder(of: path), labelName(fileName(path)))
      let (images, labels) = (try IDXFile(path, axes: 3), try IDXFile(labelsPath, axes: 1))
      guard images.extents[0] == labels.extents[0] else {
        throw Failure(.invalidArgument, "there are \(images.extents[0]) images and \(labels.extents[0]) labels")
      }
      let (height, width) = (images.extents[1], images.extents[2])
      let digits = String(max(0, images.extents[0] - 1)).count
      let samples = labels.bytes(0..<labels.extents[0]).enumerated().map { i, label in
        let number = String(i)
        return Sample(
          name: fileName(path) + "/" + String(repeating: "0", count: digits - number.count) + number,
          source: .pixels {
            try Image(
              width: width, height: height, channels: 1,
              pixels: images.bytes(i * width * height..<(i + 1) * width * height))
          }, truth: Int(label), file: path)
      }
      return DataSet(format: "mnist", path: request.path, samples: samples, classes: "by the numbers of the labels")
    })

  private static func imageFiles(in folder: String, split: String?) -> [String] {
    let names = (try? visible(folder)) ?? []
    return names.filter { name in
      guard name.contains("idx3-ubyte"), !name.hasSuffix(".gz") else { return false }
      switch split {
      case "test": return name.hasPrefix("t10k") || name.contains("test")
      case "train": return name.hasPrefix("train")
      default: return true
      }
    }
  }

  /// "t10k-images-idx3-ubyte" → "t10k-labels-idx1-ubyte"
  private static func labelName(_ name: String) -> String {
    name.split(separator: "images", omittingEmptySubsequences: false).joined(separator: "labels")
      .split(separator: "idx3", omittingEmptySubsequences: false).joined(separator: "idx1")
  }
}
