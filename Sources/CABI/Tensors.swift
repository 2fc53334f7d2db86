// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import Models
import Parallel
import Tensors

/// limpid_tensors: named tensors, and what their views point to.
final class TensorsHandle: Handled {
  private let entries: [NamedTensor]
  /// What the tensors are where `limpid_estimate` made them.
  let statistics: LayerStatistics?
  var count: Int { entries.count }

  init(_ names: [String], _ tensors: [Tensor], of statistics: LayerStatistics? = nil) {
    entries = zip(names, tensors).map { NamedTensor($0, $1) }
    self.statistics = statistics
  }

  func view(_ index: Int) -> limpid_tensor_view { entries[checked: index]?.view ?? limpid_tensor_view() }
}

/// A tensor that a caller borrows.
struct NamedTensor: Sendable {
  private let name: CText
  private let tensor: Tensor
  private let shape: Pinned<Int64>

  init(_ name: String, _ tensor: Tensor) {
    self.name = CText(name)
    self.tensor = tensor
    shape = Pinned(tensor.shape.dimensions.map(Int64.init))
  }

  var view: limpid_tensor_view {
    limpid_tensor_view(
      name: name.base, data: tensor.data, shape: shape.base, rank: shape.count,
      type: limpid_element_type(rawValue: UInt32(tensor.type.rawValue)), reserved: 0)
  }
}

/// The caller's memory, for the length of a call.
private final class CallersMemory {}

extension limpid_tensor_view {
  /// A copy, which may outlive the call.
  func tensor() throws -> Tensor { try borrowed().owned() }

  /// The caller's memory itself, for what does not outlive the call; a copy where elements do not fill their bytes.
  fileprivate func borrowed() throws -> Tensor {
    guard reserved == 0 else {
      throw Failure(.unsupported, "limpid_tensor_view.reserved is \(reserved); set it to 0")
    }
    guard let type = ElementType(rawValue: Int32(truncatingIfNeeded: type.rawValue)) else {
      throw Failure(.invalidArgument, "\(type.rawValue) is no limpid_element_type")
    }
    let extents = try array(shape, rank, "shape")
    guard extents.allSatisfy({ $0 >= 0 }) else {
      throw Failure(.invalidArgument, "the shape \(Array(extents)) has a negative extent")
    }
    let shape = try Shape(checking: extents.map { Int($0) })
    guard shape.count > 0 else { return try Tensor(type, shape) }
    let size = shape.count * type.byteCount
    let bytes = UnsafeRawBufferPointer(start: try required(data, "data"), count: size)
    guard type.packedBits != nil else {
      return try Tensor(type, shape, storage: Storage(borrowing: bytes, owner: CallersMemory()))
    }
    return try Tensor(bytes.map(type.canonical), type, shape)
  }
}

private func strings(_ texts: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int) throws -> [String] {
  let names = try array(texts, count, "names").map { try string($0, "a name") }
  guard !names.isEmpty else { throw Failure(.invalidArgument, "name_count is 0") }
  return names
}

/// What `limpid_fetch` and `limpid_run` have in common: all but where the tensors come from.
private func tensors(
  _ model: OpaquePointer?, _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ body: (Model, [String], Call, Progress) throws -> [Tensor]
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let out = try required(out, "out")
    let names = try strings(names, nameCount)
    let tensors = try body(model, names, Call(options), Progress(options))
    out.pointee = TensorsHandle(names, tensors).handle()
  }
}

@c @implementation
public func limpid_fetch(
  _ model: OpaquePointer?, _ images: UnsafePointer<limpid_image_view>?, _ imageCount: Int,
  _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  tensors(model, names, nameCount, options, out) { model, names, call, progress in
    try withImages(images, imageCount, for: model) { try model.fetch(names, for: $0, call, progress) }
  }
}

@c @implementation
public func limpid_run(
  _ model: OpaquePointer?, _ feeds: UnsafePointer<limpid_tensor_view>?, _ feedCount: Int,
  _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  tensors(model, names, nameCount, options, out) { model, names, call, progress in
    // Results are never views of what is fed.
    try model.run(named(feeds, feedCount) { try $0.borrowed() }, fetch: names, call, progress)
  }
}

private func named(
  _ feeds: UnsafePointer<limpid_tensor_view>?, _ count: Int, _ tensor: (limpid_tensor_view) throws -> Tensor
) throws -> [(name: String, tensor: Tensor)] {
  try array(feeds, count, "feeds").map { feed in
    let name = try string(feed.name, "the name of a feed")
    return (name, try locating("feed \(quoted(name))") { try tensor(feed) })
  }
}

@c @implementation
public func limpid_run_gradient(
  _ model: OpaquePointer?, _ feeds: UnsafePointer<limpid_tensor_view>?, _ feedCount: Int,
  _ target: UnsafePointer<limpid_tensor_view>?, _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  tensors(model, names, nameCount, options, out) { model, names, call, progress in
    let target = try required(target, "target").pointee
    let name = try string(target.name, "target.name")
    let weights = try target.data == nil ? nil : locating("target") { try target.tensor() }
    return try model.gradient(
      named(feeds, feedCount) { try $0.tensor() }, of: name, weights: weights, at: names, call, progress)
  }
}

@c @implementation
public func limpid_gradient(
  _ model: OpaquePointer?, _ images: UnsafePointer<limpid_image_view>?, _ imageCount: Int,
  _ classIndices: UnsafePointer<Int32>?, _ classesPerImage: Int,
  _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  tensors(model, names, nameCount, options, out) { model, names, call, progress in
    try withImages(images, imageCount, for: model) { images in
      try model.gradient(
        images, classes: try classes(classIndices, imageCount, classesPerImage), at: names, call, progress)
    }
  }
}

@c @implementation
public func limpid_tensors_count(_ tensors: OpaquePointer?) -> Int {
  TensorsHandle.object(tensors)?.count ?? 0
}

@c @implementation
public func limpid_tensors_get(_ tensors: OpaquePointer?, _ index: Int) -> limpid_tensor_view {
  TensorsHandle.object(tensors)?.view(index) ?? limpid_tensor_view()
}

@c @implementation
public func limpid_tensors_free(_ tensors: OpaquePointer?) { TensorsHandle.free(tensors) }
