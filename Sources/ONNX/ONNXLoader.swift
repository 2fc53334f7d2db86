// SPDX-License-Identifier: Apache-2.0
internal import CONNX
public import Graph
public import Parallel
import Tensors

/// Reads ONNX models.
///
/// Weights are not copied: tensors borrow from the file's memory map, and pages are read when they are used.
/// Whatever the bytes are, the result is a `Graph` that keeps its promises or a `Failure` that says what is
/// wrong. A mapped file must not shrink while a model of it is in use (the system then ends the process).
public enum ONNXLoader {
  /// Loads a model file. External data is looked for in the file's folder. `copying`: files are read, not mapped.
  /// `refusingLinks`: none of the data may lie behind a symbolic link in that folder.
  /// Throws `notFound`, `io`, `invalidModel` or `unsupported`, and `cancelled` where `progress`, which is asked between
  /// nodes, says so.
  public static func load(
    path: UnsafePointer<CChar>, copying: Bool = false, refusingLinks: Bool = false, _ progress: Progress
  ) throws -> Graph {
    let file = copying ? try Storage(path: path) : Storage(mapping: try MappedFile(path: path))
    return try read(
      file, external: ExternalData(folderOf: path, copying: copying, refusingLinks: refusingLinks), progress)
  }

  /// Loads a model from memory, which cannot have external data. With an `owner`, tensors borrow from `bytes`
  /// and keep it alive; without, the bytes are copied once.
  public static func load(bytes: UnsafeRawBufferPointer, owner: AnyObject?, _ progress: Progress) throws -> Graph {
    if let owner { return try read(Storage(borrowing: bytes, owner: owner), external: nil, progress) }
    let copy = try Storage(byteCount: bytes.count)
    if let base = bytes.baseAddress { copy.base.copyMemory(from: base, byteCount: bytes.count) }
    return try read(copy, external: nil, progress)
  }

  private static func read(_ file: Storage, external: ExternalData?, _ progress: Progress) throws -> Graph {
    let model = try parse(file)
    // Its texts lie in the file.
    defer { withExtendedLifetime(file) { lp_onnx_free(model) } }
    let info = lp_onnx_model_get(model)
    guard let main = info.graph else {
      throw Failure(.invalidModel, "this is not an ONNX model: it has no graph")
    }
    let opsets = try opsets((0..<info.opset_count).map { lp_onnx_model_opset(model, $0) })
    let builder = GraphReader(
      opsets: opsets, weights: WeightReader(file, external: external), functions: try LocalFunctions(model),
      progress: progress)
    try builder.build(main)
    guard !builder.graph.outputs.isEmpty else {
      if let refused = builder.refusedOutputs.first { throw refused }
      throw Failure(.invalidModel, "the graph has no outputs")
    }
    builder.graph.metadata = try metadata(model, info.metadata_count)
    return try Lowering.lower(builder.graph)
  }

  private static func parse(_ file: Storage) throws -> OpaquePointer {
    var model: OpaquePointer?
    var message = [CChar](repeating: 0, count: 256)
    let status = withExtendedLifetime(file) {
      lp_onnx_read(file.base, file.byteCount, &model, &message, message.count)
    }
    if status == LP_ONNX_OK, let model { return model }
    let text = message.withUnsafeBufferPointer { buffer in buffer.baseAddress.map(String.init(cString:)) ?? "" }
    switch status {
    case LP_ONNX_MALFORMED: throw Failure(.invalidModel, text)
    case LP_ONNX_NO_MEMORY: throw Failure(.unsupported, text)
    default: throw Failure(.internal, text)
    }
  }

  /// Domain to version. The domain "ai.onnx" is also written "".
  static func opsets(_ imports: [lp_onnx_opset]) throws -> [String: Int] {
    var opsets: [String: Int] = [:]
    for opset in imports {
      let domain = canonical(domain: try string(opset.domain, "the domain of an opset import"))
      guard opset.version > 0, opset.version <= Int32.max else {
        throw Failure(.invalidModel, "the opset import of domain \(quoted(domain)) has version \(opset.version)")
      }
      let version = Int(opset.version)
      guard opsets.updateValue(version, forKey: domain) ?? version == version else {
        throw Failure(.invalidModel, "two versions of the operators of domain \(quoted(domain)) are imported")
      }
    }
    guard !opsets.isEmpty else {
      throw Failure(.invalidModel, "the model has no opset import, so its operators' versions are unknown")
    }
    return opsets
  }

  private static func metadata(_ model: OpaquePointer, _ count: Int) throws -> [String: String] {
    var metadata: [String: String] = [:]
    for i in 0..<count {
      let entry = lp_onnx_model_metadata(model, i)
      let key = try string(entry.key, "a metadata key")
      let value = try string(entry.value, "the metadata \(quoted(key))")
      guard metadata.updateValue(value, forKey: key) == nil else {
        throw Failure(.invalidModel, "the metadata \(quoted(key)) is given twice")
      }
    }
    return metadata
  }
}

/// The ONNX domain has two names.
func canonical(domain: String) -> String { domain == "ai.onnx" ? "" : domain }
