// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Engine
import Explainers
import Explanations
import Images
import Models
import Parallel
import Tensors

/// limpid_explanation: explanations, and the maps that callers borrow from them.
final class ExplanationHandle: Handled {
  let explanations: [Explanation]
  private let maps: Guarded<[Buffer<Float>?]>
  private let grids: [Buffer<Float>]
  /// Of the model, for what is made later.
  private let limit: MemoryLimit
  /// For each explanation, the words for what a filter sees.
  let words: [[CText]]
  let method: CText
  /// Those of the method, the same for every explanation of a call.
  let parameters: [ParameterReading]
  let details: [[NamedTensor]]

  init(_ explanations: [Explanation], method: String, limit: MemoryLimit) throws {
    self.limit = limit
    self.explanations = explanations
    maps = Guarded(Array(repeating: nil, count: explanations.count))
    grids = try explanations.map { try Buffer($0.grid.values) }
    words = explanations.map { $0.reading?.words.map { CText($0.text) } ?? [] }
    self.method = CText(method)
    details = explanations.map { $0.details.map { NamedTensor($0.name, $0.tensor) } }
    parameters = (explanations.first?.parameters ?? []).map { ParameterReading($0.name, $0.value) }
  }

  func required(_ index: Int) throws -> Explanation {
    guard let explanation = explanations[checked: index] else {
      throw Failure(.notFound, "there is no explanation \(index); there are \(explanations.count)")
    }
    return explanation
  }

  /// An empty view past the end. Throws where there is no memory for the map.
  func map(_ index: Int, _ progress: Progress) throws -> limpid_map_view {
    guard let explanation = explanations[checked: index] else { return limpid_map_view() }
    let values = try known(index) ?? keep(make(explanation, progress), index)
    return explanation.view(values.base, explanation.field.width, explanation.field.height)
  }

  /// Maps are kept for as long as the explanation, so all that were made count.
  private func make(_ explanation: Explanation, _ progress: Progress) throws -> Buffer<Float> {
    let size = MemoryLayout<Float>.stride * explanation.field.width * explanation.field.height
    let kept = maps.withLock { maps in maps.reduce(0) { $0 + ($1?.count ?? 0) } } * MemoryLayout<Float>.stride
    try limit.check(kept + size, for: "the map at the size of the image, with those that were asked for before,")
    return try explanation.map(progress)
  }

  /// The drawing, of which the limit allows what it takes.
  func draw(
    _ explanation: Explanation, over image: PixelView?, _ rendering: Rendering, _ progress: Progress
  ) throws -> Image {
    try limit.check(explanation.byteCount(over: image, rendering), for: "drawing the explanation")
    return try explanation.drawn(over: image, rendering, progress)
  }

  private func known(_ index: Int) -> Buffer<Float>? { maps.withLock { $0[index] } }

  /// The map that was made first, which callers may have borrowed.
  private func keep(_ map: Buffer<Float>, _ index: Int) -> Buffer<Float> {
    maps.withLock { maps in
      let kept = maps[index] ?? map
      maps[index] = kept
      return kept
    }
  }

  func grid(_ index: Int) -> limpid_map_view {
    guard let explanation = explanations[checked: index] else { return limpid_map_view() }
    return explanation.view(grids[index].base, explanation.grid.width, explanation.grid.height)
  }
}

/// The value of a parameter that was used, and the texts that callers borrow.
struct ParameterReading: Sendable {
  private let name: CText
  private let value: ParameterValue
  private let word: CText?

  init(_ name: String, _ value: ParameterValue) {
    self.name = CText(name)
    self.value = value
    if case .text(let word) = value { self.word = CText(word) } else { word = nil }
  }

  /// The name, and the value in `*number` (NaN for a word) or `*word` (NULL for a number).
  func read(
    _ number: UnsafeMutablePointer<Double>?, _ word: UnsafeMutablePointer<UnsafePointer<CChar>?>?
  ) -> UnsafePointer<CChar> {
    if case .number(let value) = value { number?.pointee = value } else { number?.pointee = .nan }
    word?.pointee = self.word?.base
    return name.base
  }
}

extension Explanation {
  fileprivate func view(_ values: UnsafePointer<Float>, _ width: Int, _ height: Int) -> limpid_map_view {
    limpid_map_view(
      values: values, width: Int32(width), height: Int32(height), minimum: range.lowerBound,
      maximum: range.upperBound)
  }
}

/// For each image, the classes to explain; nil stands for the predicted one.
func classes(
  _ indices: UnsafePointer<Int32>?, _ imageCount: Int, _ perImage: Int
) throws -> [[Int?]] {
  guard let indices else {
    guard perImage == 1 else {
      throw Failure(
        .invalidArgument, "class_indices is NULL, so classes_per_image must be 1, not \(perImage)")
    }
    return Array(repeating: [nil], count: imageCount)
  }
  guard perImage > 0 else { throw Failure(.invalidArgument, "classes_per_image is \(perImage)") }
  let all = try array(indices, try product(imageCount, perImage, "classes_per_image"), "class_indices")
  return try (0..<imageCount).map { image in
    try locating("image \(image)") { try all[image * perImage..<(image + 1) * perImage].map(givenClass) }
  }
}

/// A class of the caller; nil where the predicted one is meant.
func givenClass(_ index: Int32) throws -> Int? {
  guard index >= LIMPID_CLASS_PREDICTED else {
    throw Failure(.invalidArgument, "class \(index) is out of range")
  }
  return index == LIMPID_CLASS_PREDICTED ? nil : Int(index)
}

@c @implementation
public func limpid_explain(
  _ model: OpaquePointer?, _ method: UnsafePointer<CChar>?, _ images: UnsafePointer<limpid_image_view>?,
  _ imageCount: Int, _ classIndices: UnsafePointer<Int32>?, _ classesPerImage: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let out = try required(out, "out")
    let method = try optionalString(method, "method")
    let call = try Call(options)
    let progress = try Progress(options)
    let explainer = try model.explainer(named: method)
    let count = try product(imageCount, classesPerImage, "classes_per_image")
    // Names, numbers and handles of each, before any is made.
    try model.engine.limit.check(
      product(count, 1024, "classes_per_image"), for: "\(count) explanations of \(imageCount) images")
    let explanations = try withImages(images, imageCount, for: model) { images in
      try model.explain(
        images, classes: try classes(classIndices, imageCount, classesPerImage), method: explainer, call, progress)
    }
    out.pointee = try ExplanationHandle(explanations, method: explainer.name, limit: model.engine.limit).handle()
  }
}

@c @implementation
public func limpid_explanation_count(_ explanation: OpaquePointer?) -> Int {
  ExplanationHandle.object(explanation)?.explanations.count ?? 0
}

@c @implementation
public func limpid_explanation_class(_ explanation: OpaquePointer?, _ index: Int) -> Int32 {
  let found = ExplanationHandle.object(explanation)?.explanations[checked: index]
  return found.map { Int32(clamping: $0.classIndex) } ?? -1
}

@c @implementation
public func limpid_explanation_score(_ explanation: OpaquePointer?, _ index: Int) -> Float {
  ExplanationHandle.object(explanation)?.explanations[checked: index]?.score ?? .nan
}

@c @implementation
public func limpid_explanation_is_degenerate(_ explanation: OpaquePointer?, _ index: Int) -> Int32 {
  ExplanationHandle.object(explanation)?.explanations[checked: index]?.isDegenerate == true ? 1 : 0
}

@c @implementation
public func limpid_explanation_map(_ explanation: OpaquePointer?, _ index: Int) -> limpid_map_view {
  var view = limpid_map_view()
  _ = boundary { view = try ExplanationHandle.object(explanation)?.map(index, .unwatched) ?? view }
  return view
}

@c @implementation
public func limpid_explanation_map_with(
  _ explanation: OpaquePointer?, _ index: Int, _ options: UnsafePointer<limpid_run_options>?,
  _ out: UnsafeMutablePointer<limpid_map_view>?
) -> limpid_status {
  boundary {
    let handle = try ExplanationHandle.required(explanation, "explanation")
    let out = try required(out, "out")
    _ = try handle.required(index)
    out.pointee = try handle.map(index, Progress(options, only: "a map"))
  }
}

@c @implementation
public func limpid_explanation_grid(_ explanation: OpaquePointer?, _ index: Int) -> limpid_map_view {
  ExplanationHandle.object(explanation)?.grid(index) ?? limpid_map_view()
}

@c @implementation
public func limpid_explanation_method(_ explanation: OpaquePointer?) -> UnsafePointer<CChar>? {
  ExplanationHandle.object(explanation)?.method.base
}

@c @implementation
public func limpid_explanation_seed(_ explanation: OpaquePointer?) -> UInt64 {
  ExplanationHandle.object(explanation)?.explanations.first?.seed ?? 0
}

@c @implementation
public func limpid_explanation_parameter(
  _ explanation: OpaquePointer?, _ parameter: Int, _ number: UnsafeMutablePointer<Double>?,
  _ word: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> UnsafePointer<CChar>? {
  ExplanationHandle.object(explanation)?.parameters[checked: parameter]?.read(number, word)
}

@c @implementation
public func limpid_explanation_detail_count(_ explanation: OpaquePointer?, _ index: Int) -> Int {
  ExplanationHandle.object(explanation)?.details[checked: index]?.count ?? 0
}

@c @implementation
public func limpid_explanation_detail(
  _ explanation: OpaquePointer?, _ index: Int, _ detail: Int
) -> limpid_tensor_view {
  ExplanationHandle.object(explanation)?.details[checked: index]?[checked: detail]?.view ?? limpid_tensor_view()
}

@c @implementation
public func limpid_explanation_field(_ explanation: OpaquePointer?, _ index: Int) -> limpid_field {
  guard let field = ExplanationHandle.object(explanation)?.explanations[checked: index]?.field else {
    return limpid_field()
  }
  return limpid_field(
    width: Int32(clamping: field.width), height: Int32(clamping: field.height), x: field.region.x, y: field.region.y,
    seen_width: field.region.width, seen_height: field.region.height)
}

@c @implementation
public func limpid_explanation_free(_ explanation: OpaquePointer?) { ExplanationHandle.free(explanation) }
