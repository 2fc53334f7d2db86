import Documents
import Tensors

extension DataFormat {
  /// torchvision's ImageFolder: a folder for each class, images in it and in folders below.
  static let classFolders = DataFormat(
    name: "folders", summary: "a folder for each class",
    reads: [.classFile],
    recognizes: { path in
      guard isFolder(path), let entries = try? visible(path), !entries.contains(where: isImageName) else {
        return false
      }
      let folders = entries.filter { isFolder(joined(path, $0)) }
      return folders.count > 1 && (try? images(below: joined(path, folders[0])).isEmpty) == false
    },
    read: { request in
      let folders = try visible(request.path).filter { isFolder(joined(request.path, $0)) }
      let found = try folders.map { (name: $0, images: try images(below: joined(request.path, $0))) }
        .filter { !$0.images.isEmpty }
      guard !found.isEmpty else { throw Failure(.notFound, "no folder in it has PNG, JPEG or WebP files") }
      // With the first classes, those that follow need no names.
      let first = request.options.firstClasses
      let taken = first > 0 && request.names == nil ? Array(found.prefix(first)) : found
      let (indices, words) = try request.classes(named: taken.map(\.name), what: "folder")
      let samples = taken.flatMap { folder in
        folder.images.map { image in
          let name = joined(folder.name, image)
          return Sample(name: name, source: .file(joined(request.path, name)), truth: indices[folder.name])
        }
      }
      return DataSet(format: "folders", path: request.path, samples: samples, classes: words)
    })

  /// Images of which nothing is known.
  static let imageFolder = DataFormat(
    name: "images", summary: "a folder of images without classes",
    reads: [],
    recognizes: { path in
      guard isFolder(path), let entries = try? visible(path) else { return false }
      return entries.contains(where: isImageName)
    },
    read: { request in
      let samples = try images(below: request.path).map { name in
        Sample(name: name, source: .file(joined(request.path, name)), truth: nil)
      }
      return DataSet(format: "images", path: request.path, samples: samples, classes: "not known")
    })

  static func visible(_ path: String) throws -> [String] { try folderContents(path).filter { !$0.hasPrefix(".") } }

  /// Image files in a folder and in those below it, a folder's own first.
  static func images(below path: String, depth: Int = 0) throws -> [String] {
    guard depth < 32 else { throw Failure(.unsupported, "\(quoted(path)) lies too deep") }
    let entries = try visible(path)
    let own = entries.filter { isImageName($0) && !isFolder(joined(path, $0)) }
    let below = try entries.filter { isFolder(joined(path, $0)) }.flatMap { folder in
      try images(below: joined(path, folder), depth: depth + 1).map { joined(folder, $0) }
    }
    return own + below
  }
}
