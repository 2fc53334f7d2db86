import Documents
import Tensors

extension DataFormat {
  /// ILSVRC's validation images with the boxes of the localisation task, as Kaggle gives them: LOC_val_solution.csv, a
  /// line for each image, "synset x1 y1 x2 y2" repeated. Classes are the synsets in the order of LOC_synset_mapping.txt
  /// beside it, or of the file of classes.
  static let ilsvrc = DataFormat(
    name: "ilsvrc", summary: "ILSVRC validation: LOC_val_solution.csv, or its folder",
    reads: [.images, .classFile],
    recognizes: { path in
      isFolder(path) ? isFile(joined(path, solution)) : fileName(path).hasPrefix("LOC_") && path.hasSuffix(".csv")
    },
    read: { request in
      let path = isFolder(request.path) ? joined(request.path, solution) : request.path
      let rows = try TextFile.lines(path).enumerated().dropFirst().filter { !$0.element.trimmed.isEmpty }.map {
        i, line in
        let fields = TextFile.fields(line)
        let words = fields.count == 2 ? fields[1].split(separator: " ").map(String.init) : []
        guard !words.isEmpty, words.count % 5 == 0 else {
          throw Failure(.invalidArgument, "line \(i + 1) is not like ImageId,synset x1 y1 x2 y2 …")
        }
        let boxes = try stride(from: 0, to: words.count, by: 5).map { start in
          (synset: words[start], box: try box(words[start + 1..<start + 5], "line \(i + 1)"))
        }
        return (name: fields[0], truth: words[0], boxes: boxes)
      }
      let mapping = joined(folder(of: path), "LOC_synset_mapping.txt")
      var own = request
      if own.names == nil, isFile(mapping) { own.names = try ClassNames(file: mapping) }
      let (indices, words) = try own.classes(named: Set(rows.map(\.truth)).sorted(), what: "synset")
      let files = try ImageFolder(
        request.options.images, or: [joined(folder(of: path), "ILSVRC/Data/CLS-LOC/val"), folder(of: path)])
      let samples = try rows.map { row in
        let name = try files.name(of: row.name)
        return Sample(
          name: name, source: .file(joined(files.path, name)), truth: indices[row.truth],
          boxes: row.boxes.filter { $0.synset == row.truth }.map(\.box))
      }
      return DataSet(format: "ilsvrc", path: request.path, samples: samples, classes: words)
    })

  private static let solution = "LOC_val_solution.csv"

  static func box(_ words: some Collection<String>, _ place: String) throws -> BoundingBox {
    let numbers = words.compactMap { Double($0) }.filter(\.isFinite)
    guard numbers.count == 4, words.count == 4 else {
      throw Failure(.invalidArgument, "\(place): a box is four numbers")
    }
    return BoundingBox(x1: numbers[0], y1: numbers[1], x2: numbers[2], y2: numbers[3])
  }

  /// Annotations of Pascal VOC, and of ILSVRC: an XML file for each image. An image with objects of several classes is
  /// a sample for each.
  static let voc = DataFormat(
    name: "voc", summary: "a folder of VOC XML annotations",
    reads: [.images, .classFile],
    recognizes: { path in
      guard isFolder(path), let names = try? visible(path) else { return false }
      return names.contains { $0.lowercased().hasSuffix(".xml") }
    },
    read: { request in
      let names = try visible(request.path).filter { $0.lowercased().hasSuffix(".xml") }
      let found = try names.map { name in try locating(quoted(name)) { try annotation(joined(request.path, name)) } }
      let above = folder(of: request.path.hasSuffix("/") ? String(request.path.dropLast()) : request.path)
      let files = try ImageFolder(
        request.options.images,
        or: [joined(above, "JPEGImages"), joined(above, "../../Data/CLS-LOC/val"), request.path, above])
      if request.options.ofThings {
        let samples = try found.map { image in
          let file = try files.name(of: image.name)
          let things = image.objects.map { Thing(name: $0.name, box: $0.box) }
          return Sample(name: file, source: .file(joined(files.path, file)), truth: nil, things: things)
        }
        return DataSet(things: samples, format: "voc", path: request.path)
      }
      let classes = Set(found.flatMap { $0.objects.map(\.name) }).sorted()
      let (indices, words) = try request.classes(named: classes, what: "class")
      let samples = try found.flatMap { image in
        let file = try files.name(of: image.name)
        return Set(image.objects.map(\.name)).sorted().map { name in
          Sample(
            name: file, source: .file(joined(files.path, file)), truth: indices[name],
            boxes: image.objects.filter { $0.name == name }.map(\.box))
        }
      }
      return DataSet(format: "voc", path: request.path, samples: samples, classes: words)
    })

  private static func annotation(_ path: String) throws -> (name: String, objects: [(name: String, box: BoundingBox)]) {
    let root = try XMLElement(document: TextFile.text(path))
    let stem = fileName(path).dropLast(4)
    let given = root["filename"]?.text.trimmed ?? ""
    let objects = try root.all("object").map { object in
      guard let name = object["name"]?.text.trimmed, let corners = object["bndbox"] else {
        throw Failure(.invalidArgument, "an object has no name, or no box")
      }
      let words = ["xmin", "ymin", "xmax", "ymax"].compactMap { corners[$0]?.text.trimmed }
      return (name, try box(words, name))
    }
    // Some files have a placeholder there.
    return (given.isEmpty || given.contains("%") ? String(stem) : given, objects)
  }
}

/// A folder of images whose names annotations may give without the suffix.
struct ImageFolder {
  let path: String
  private let names: Set<String>
  private let stems: [String: String]

  /// `given`, else the first of `others` that has images.
  init(_ given: String?, or others: [String]) throws {
    let candidates = given.map { [$0] } ?? others
    for candidate in candidates where isFolder(candidate) {
      let names = try DataFormat.visible(candidate).filter(isImageName)
      guard !names.isEmpty else { continue }
      path = candidate
      self.names = Set(names)
      stems = Dictionary(names.map { (Self.stem($0), $0) }, uniquingKeysWith: { first, _ in first })
      return
    }
    throw Failure(
      .notFound,
      "there are no images in " + candidates.map(quoted).joined(separator: ", nor in ")
        + (given == nil ? "; say where they are (the folder of images)" : ""))
  }

  func name(of image: String) throws -> String {
    if names.contains(image) { return image }
    if let found = stems[image] ?? stems[Self.stem(image)] { return found }
    throw Failure(.notFound, "there is no image \(quoted(image)) in \(quoted(path))")
  }

  private static func stem(_ name: String) -> String {
    guard isImageName(name), let dot = name.lastIndex(of: ".") else { return name }
    return String(name[..<dot])
  }
}
