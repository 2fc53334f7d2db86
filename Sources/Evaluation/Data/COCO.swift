import Documents
import Tensors

extension DataFormat {
  /// COCO's instances (Lin et al., 2014): every category that an image has is a sample, with the boxes and the mask of
  /// its instances. With a file of classes, categories that it does not name are left out.
  static let coco = DataFormat(
    name: "coco", summary: "COCO: a file of instances (.json), with --images",
    reads: [.images, .classFile],
    recognizes: { path in
      guard isFile(path), path.lowercased().hasSuffix(".json") else { return false }
      return fileName(path).contains("instances")
    },
    read: { request in
      let file = try MappedFile(path: request.path.systemName)
      let found = try COCOFile(file.bytes)
      let categories = found.categories.sorted { $0.key < $1.key }
      let named = categories.filter { request.names == nil || request.names?.index(of: $0.value) != nil }
      let root = request.images(else: folder(of: request.path))
      if request.options.ofThings {
        return DataSet(things: found.samples(Set(named.map(\.key)), root), format: "coco", path: request.path)
      }
      let (indices, words) = try request.classes(named: named.map(\.value), what: "category")
      let samples = found.images.flatMap { image in
        (found.instances[image.id] ?? [:]).sorted { $0.key < $1.key }.compactMap { category, instances -> Sample? in
          guard let name = found.categories[category], let truth = indices[name] else { return nil }
          return Sample(
            name: image.name, source: .file(joined(root, image.name)), truth: truth, boxes: instances.map(\.box),
            maskSource: instances.map(\.digest).joined(separator: " "),
            mask: { try COCOInstance.mask(instances, width: image.width, height: image.height) })
        }
      }
      return DataSet(format: "coco", path: request.path, samples: samples, classes: words)
    })
}

extension DataSet {
  /// Images with what is named in them, of no class.
  init(things samples: [Sample], format: String, path: String) {
    self.init(
      format: format, path: path, samples: samples,
      classes: "none: an image is one sample, with all that is named in it")
  }
}

/// What a file of instances says.
private struct COCOFile {
  struct ImageEntry {
    var id = 0
    var name = ""
    var width = 0
    var height = 0
  }

  private(set) var images: [ImageEntry] = []
  private(set) var categories: [Int: String] = [:]
  /// By image, by category.
  private(set) var instances: [Int: [Int: [COCOInstance]]] = [:]

  init(_ bytes: UnsafeRawBufferPointer) throws {
    var reader = JSONReader(bytes)
    try reader.object { name, reader in
      switch name {
      case "images": try reader.list { images.append(try Self.image(&$0)) }
      case "categories":
        try reader.list { reader in
          var (id, category) = (0, "")
          try reader.object { name, reader in
            switch name {
            case "id": id = try reader.integer()
            case "name": category = try reader.string()
            default: try reader.skip()
            }
          }
          categories[id] = category
        }
      case "annotations":
        try reader.list { reader in
          let (image, category, instance) = try COCOInstance.read(&reader)
          instances[image, default: [:]][category, default: []].append(instance)
        }
      default: try reader.skip()
      }
    }
    guard !images.isEmpty, !categories.isEmpty else {
      throw Failure(.invalidArgument, "a file of instances has \"images\", \"categories\" and \"annotations\"")
    }
  }

  /// A sample for each image with instances of the `categories`.
  func samples(_ categories: Set<Int>, _ root: String) -> [Sample] {
    images.compactMap { image in
      let things = (instances[image.id] ?? [:]).sorted { $0.key < $1.key }.flatMap { category, found -> [Thing] in
        guard categories.contains(category), let name = self.categories[category] else { return [] }
        return found.map { instance in
          Thing(name: name, box: instance.box, maskSource: instance.digest) {
            try COCOInstance.mask([instance], width: image.width, height: image.height)
          }
        }
      }
      return things.isEmpty
        ? nil : Sample(name: image.name, source: .file(joined(root, image.name)), truth: nil, things: things)
    }
  }

  private static func image(_ reader: inout JSONReader) throws -> ImageEntry {
    var image = ImageEntry()
    try reader.object { name, reader in
      switch name {
      case "id": image.id = try reader.integer()
      case "file_name": image.name = try reader.string()
      case "width": image.width = try reader.integer()
      case "height": image.height = try reader.integer()
      default: try reader.skip()
      }
    }
    guard (1...65_535).contains(image.width), (1...65_535).contains(image.height), !image.name.isEmpty else {
      throw Failure(.invalidArgument, "image \(image.id) has no name, or no size")
    }
    return image
  }
}

/// One object: polygons, or runs of pixels.
private struct COCOInstance: Sendable {
  var box = BoundingBox(x1: 0, y1: 0, x2: 0, y2: 0)
  /// x, y, x, y, …
  var polygons: [[Float]] = []
  /// Column by column, outside first; with the height and width that they are of.
  var runs: [Int] = []
  var size: [Int] = []

  static func read(_ reader: inout JSONReader) throws -> (image: Int, category: Int, COCOInstance) {
    var (image, category) = (0, 0)
    var instance = COCOInstance()
    try reader.object { name, reader in
      switch name {
      case "image_id": image = try reader.integer()
      case "category_id": category = try reader.integer()
      case "bbox":
        var numbers: [Double] = []
        try reader.list { numbers.append(try $0.number()) }
        guard numbers.count == 4 else { throw Failure(.invalidArgument, "a box is x, y, width, height") }
        instance.box = BoundingBox(
          x1: numbers[0], y1: numbers[1], x2: numbers[0] + numbers[2], y2: numbers[1] + numbers[3])
      case "segmentation": try instance.readSegmentation(&reader)
      default: try reader.skip()
      }
    }
    return (image, category, instance)
  }

  private mutating func readSegmentation(_ reader: inout JSONReader) throws {
    if reader.isList() {
      try reader.list { reader in
        var polygon: [Float] = []
        try reader.list { polygon.append(Float(try $0.number())) }
        polygons.append(polygon)
      }
      return
    }
    try reader.object { name, reader in
      switch name {
      case "counts": runs = try reader.isList() ? Self.counts(&reader) : Self.decoded(try reader.string())
      case "size": size = try Self.counts(&reader)
      default: try reader.skip()
      }
    }
  }

  private static func counts(_ reader: inout JSONReader) throws -> [Int] {
    var counts: [Int] = []
    try reader.list { counts.append(try $0.integer()) }
    return counts
  }

  /// COCO's text for runs: five bits a character from "0" on, the sixth says that more follow; from the fourth run on,
  /// less the one before the last.
  private static func decoded(_ text: String) throws -> [Int] {
    var runs: [Int] = []
    var (value, shift) = (0, 0)
    for byte in text.utf8 {
      guard (48..<112).contains(byte), shift < 60 else {
        throw Failure(.invalidArgument, "these runs of pixels are damaged")
      }
      let bits = Int(byte) - 48
      value |= (bits & 0x1F) << shift
      shift += 5
      if bits & 0x20 != 0 { continue }
      if bits & 0x10 != 0 { value |= -1 << shift }
      runs.append(runs.count > 2 ? value &+ runs[runs.count - 2] : value)
      (value, shift) = (0, 0)
    }
    return runs
  }

  var digest: String {
    var digest = Digest()
    for polygon in polygons { polygon.withUnsafeBytes { digest.update($0) } }
    runs.withUnsafeBytes { digest.update($0) }
    return String(digest.text.prefix(16))
  }

  /// Where any of the objects is.
  static func mask(_ instances: [COCOInstance], width: Int, height: Int) throws -> ObjectMask {
    var values = [UInt8](repeating: 0, count: width * height)
    for instance in instances {
      for polygon in instance.polygons { fill(polygon, width, height, &values) }
      guard !instance.runs.isEmpty else { continue }
      guard instance.size == [height, width], instance.runs.allSatisfy({ (0...width * height).contains($0) }) else {
        throw Failure(.invalidArgument, "runs of pixels are of an image of another size")
      }
      var position = 0
      for (i, run) in instance.runs.enumerated() {
        guard position + run <= width * height else { throw Failure(.invalidArgument, "runs of pixels are too long") }
        if i % 2 == 1 { for p in position..<position + run { values[p % height * width + p / height] = 1 } }
        position += run
      }
    }
    return ObjectMask(width: width, height: height, values: values)
  }

  /// A pixel is inside where its centre is: a line from it to the left crosses the border an odd number of times.
  private static func fill(_ polygon: [Float], _ width: Int, _ height: Int, _ values: inout [UInt8]) {
    let count = polygon.count / 2
    guard count > 2, polygon.allSatisfy({ abs($0) < 1e6 }) else { return }
    for row in 0..<height {
      let y = Double(row) + 0.5
      var crossings: [Double] = []
      for i in 0..<count {
        let j = (i + 1) % count
        let (x0, y0) = (Double(polygon[2 * i]), Double(polygon[2 * i + 1]))
        let (x1, y1) = (Double(polygon[2 * j]), Double(polygon[2 * j + 1]))
        if (y0 <= y) != (y1 <= y) { crossings.append(x0 + (y - y0) / (y1 - y0) * (x1 - x0)) }
      }
      crossings.sort()
      for pair in stride(from: 0, to: crossings.count - 1, by: 2) {
        let first = max(0, Int((crossings[pair] - 0.5).rounded(.up)))
        let last = min(width - 1, Int((crossings[pair + 1] - 0.5).rounded(.up)) - 1)
        if first <= last { for x in first...last { values[row * width + x] = 1 } }
      }
    }
  }
}
