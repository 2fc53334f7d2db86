// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import FilterNaming
import Models
import Synchronization
import Tensors

/// limpid_explanation: explanations, and the maps that callers borrow from them.
final class ExplanationHandle: Handled {
  let explanations: [Explanation]
  private let maps: Mutex<[Pinned<Float>?]>
  private let grids: [Pinned<Float>]
  /// For each explanation, the words for what a filter sees.
  let words: [[CText]]

  init(_ explanations: [Explanation]) {
    self.explanations = explanations
    maps = Mutex(Array(repeating: nil, count: explanations.count))
    grids = explanations.map { Pinned($0.grid.values) }
    words = explanations.map { $0.reading?.words.map { CText($0.text) } ?? [] }
  }

  func map(_ index: Int) -> limpid_map_view {
    guard let explanation = explanations[checked: index] else { return limpid_map_view() }
    return maps.withLock { maps in
      let values = maps[index] ?? Pinned(explanation.map().values)
      maps[index] = values
      return explanation.view(values, explanation.field.width, explanation.field.height)
    }
  }

  func grid(_ index: Int) -> limpid_map_view {
    guard let explanation = explanations[checked: index] else { return limpid_map_view() }
    return explanation.view(grids[index], explanation.grid.width, explanation.grid.height)
  }
}

extension Explanation {
  fileprivate func view(_ values: Pinned<Float>, _ width: Int, _ height: Int) -> limpid_map_view {
    limpid_map_view(
      values: values.base, width: Int32(width), height: Int32(height), minimum: range.lowerBound,
      maximum: range.upperBound)
  }
}

/// For each image, the classes to explain; nil stands for the predicted one.
private func classes(
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
    try all[image * perImage..<(image + 1) * perImage].map { index in
      guard index >= LIMPID_CLASS_PREDICTED else {
        throw Failure(.invalidArgument, "image \(image): class \(index) is out of range")
      }
      return index == LIMPID_CLASS_PREDICTED ? nil : Int(index)
    }
  }
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
    let call = try Call(options, for: model)
    let explanations = try withPictures(images, imageCount, for: model) { pictures in
      try model.explain(
        pictures, classes: try classes(classIndices, imageCount, classesPerImage), method: method, call)
    }
    out.pointee = ExplanationHandle(explanations).handle()
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
  ExplanationHandle.object(explanation)?.map(index) ?? limpid_map_view()
}

@c @implementation
public func limpid_explanation_grid(_ explanation: OpaquePointer?, _ index: Int) -> limpid_map_view {
  ExplanationHandle.object(explanation)?.grid(index) ?? limpid_map_view()
}

@c @implementation
public func limpid_explanation_free(_ explanation: OpaquePointer?) { ExplanationHandle.free(explanation) }
