import Documents
import Graph
public import Models
import Parallel
import Tensors

/// What is usual for layers of a model, kept beside its file: safetensors, `<layer>.mean`, `.std` and `.active` each,
/// and in its metadata which model and preprocessing it is of.
struct StatisticsFile {
  private static let suffix = ".statistics.safetensors"
  fileprivate static let parts = ["mean", "std", "active"]

  private let model: Model
  private let path: String
  private var tensors: [(name: String, tensor: Tensor)] = []

  /// The file `path`, else the one beside the model; empty where there is none yet. Throws for one of another model.
  init(_ model: Model, at given: String? = nil) throws {
    guard let path = given ?? model.path.map({ $0 + Self.suffix }) else {
      throw Failure(.invalidArgument, "the model came from memory, so that no file is beside it; name one")
    }
    (self.model, self.path) = (model, path)
    let file: Storage
    do {
      file = try Storage(path: path.systemName)
    } catch let failure as Failure where failure.kind == .notFound { return }
    tensors = try locating(quoted(path)) { try file.withBytes { try Self.parse($0, for: model) } }
  }

  /// Writes the file anew, with these in place of what it had of the layer. Returns its name.
  mutating func store(_ statistics: LayerStatistics) throws -> String {
    let own = zip(Self.parts, [statistics.mean, statistics.std, statistics.active]).map { part, tensor in
      (name: "\(statistics.layer).\(part)", tensor: tensor)
    }
    tensors = tensors.filter { old in !own.contains { $0.name == old.name } } + own
    try bytes.withUnsafeBytes { try writeFile($0, to: path.systemName) }
    return path
  }

  /// The one beside the model, read once for as long as it stays as it is.
  static func beside(_ model: Model) throws -> KeptTensors {
    let stamp = model.path.flatMap { FileStatus($0 + suffix) }.map { "\($0.size) \($0.modified)" } ?? ""
    if let known = model.knownStatistics.withLock({ $0 }), known.stamp == stamp { return known }
    let file = try StatisticsFile(model)
    let found = KeptTensors(stamp: stamp, tensors: file.tensors, digest: file.digest)
    model.knownStatistics.withLock { $0 = found }
    return found
  }

  /// SHA-256 of the file; nil where it holds nothing.
  private var digest: String? {
    guard !tensors.isEmpty else { return nil }
    var digest = Digest()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.text
  }

  // MARK: The format

  private static func facts(_ model: Model) -> [(String, String)] {
    [("model_sha256", model.digest), ("preprocessing", model.metadata.preprocessing.map { "\($0)" } ?? "")]
  }

  /// The length of the header, the header, and the numbers.
  private var bytes: [UInt8] {
    var members: [(String, JSON)] = [("__metadata__", .object(Self.facts(model).map { ($0, .text($1)) }))]
    var place = 0
    for (name, tensor) in tensors {
      let end = place + tensor.byteCount
      members.append(
        (
          name,
          .object([
            ("dtype", "F32"), ("shape", .list(tensor.shape.dimensions.map { .integer($0) })),
            ("data_offsets", .list([.integer(place), .integer(end)])),
          ])
        ))
      place = end
    }
    var header = Array(JSON.object(members).line.utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    return length + header + tensors.flatMap { Array($0.tensor.bytes) }
  }

  private static func parse(
    _ bytes: UnsafeRawBufferPointer, for model: Model
  ) throws -> [(name: String, tensor: Tensor)] {
    let damaged = Failure(.invalidArgument, "it is no safetensors file of a layer's statistics, or is damaged")
    guard bytes.count >= 8 else { throw damaged }
    let length = bytes.loadUnaligned(as: UInt64.self).littleEndian
    guard length <= UInt64(bytes.count - 8) else { throw damaged }
    let header = UnsafeRawBufferPointer(rebasing: bytes[8..<8 + Int(length)])
    let numbers = UnsafeRawBufferPointer(rebasing: bytes[(8 + Int(length))...])
    let document = try JSONReader.document(header)
    for (name, value) in facts(model) where document["__metadata__"]?[name]?.string != value {
      throw Failure(
        .invalidArgument,
        "it was made of another \(name == "preprocessing" ? "preprocessing" : "model"); make it anew "
          + "(`limpid estimate`), or remove it")
    }
    return try (document.members ?? []).filter { $0.0 != "__metadata__" }.map { name, entry in
      guard entry["dtype"]?.string == "F32", let extents = entry["shape"]?.list?.map(\.integer),
        let ends = entry["data_offsets"]?.list?.compactMap(\.integer), ends.count == 2,
        ends[0] >= 0, ends[0] <= ends[1], ends[1] <= numbers.count, extents.allSatisfy({ ($0 ?? -1) >= 0 })
      else { throw damaged }
      let tensor = try Tensor(.float32, Shape(checking: extents.compactMap(\.self)))
      guard tensor.byteCount == ends[1] - ends[0] else { throw damaged }
      if let base = numbers.baseAddress, tensor.byteCount > 0 {
        tensor.data.copyMemory(from: base + ends[0], byteCount: tensor.byteCount)
      }
      return (name, tensor)
    }
  }
}

extension KeptTensors {
  /// nil where there are none of this layer.
  func statistics(ofLayer name: String) -> LayerStatistics? {
    let found = StatisticsFile.parts.map { part in tensors.first { $0.name == "\(name).\(part)" }?.tensor }
    guard let mean = found[0], let std = found[1], let active = found[2] else { return nil }
    return LayerStatistics(layer: name, mean: mean, std: std, active: active)
  }
}

extension Model {
  /// Keeps `statistics` in the file `path`, nil: beside the model's own file, where methods find them. Other layers'
  /// stay. Returns the file's name. Throws for a file that is of another model.
  public func store(_ statistics: LayerStatistics, at path: String?) throws -> String {
    var file = try StatisticsFile(self, at: path)
    return try file.store(statistics)
  }

  /// SHA-256 of what is kept beside the model's file; nil where nothing is.
  public func digestOfStoredStatistics() throws -> String? {
    path == nil ? nil : try StatisticsFile.beside(self).digest
  }
}
