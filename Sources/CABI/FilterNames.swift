// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import Explanations
import Models
import Parallel
import Tensors

/// limpid_filter_names: names of filters, and the words that callers borrow from them.
final class FilterNamesHandle: Handled {
  let names: [FilterName]
  private var texts: [Int: CText] = [:]

  init(_ names: [FilterName], _ vocabulary: Vocabulary) {
    self.names = names
    for index in names.flatMap({ $0.words.map(\.index) + $0.images.flatMap { $0.words.map(\.index) } })
    where texts[index] == nil { texts[index] = CText(vocabulary[index]) }
  }

  /// Word `index` of the vocabulary, and what belongs to it in `*number`.
  func word(_ index: Int, _ value: Float, _ number: UnsafeMutablePointer<Float>?) -> UnsafePointer<CChar>? {
    number?.pointee = value
    return texts[index]?.base
  }
}

private func name(
  _ model: OpaquePointer?, _ filters: UnsafePointer<Int32>?, _ filterCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ images: (Model, (ImageSet) throws -> Void) throws -> Void
) throws {
  let model = try ModelHandle.required(model, "model").model
  let out = try required(out, "out")
  let wanted = filters == nil && filterCount == 0 ? nil : try array(filters, filterCount, "filters").map { Int($0) }
  let call = try Call(options)
  let naming = try Naming(call.parameters)
  let explainer = try FilterExplainer(model)
  try images(model) { images in
    let names = try naming.name(wanted, of: explainer, from: images, call, Progress(options))
    out.pointee = FilterNamesHandle(names, explainer.vocabulary).handle()
  }
}

@c @implementation
public func limpid_name_filters(
  _ model: OpaquePointer?, _ images: UnsafePointer<limpid_image_view>?, _ imageCount: Int,
  _ filters: UnsafePointer<Int32>?, _ filterCount: Int, _ options: UnsafePointer<limpid_run_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    try name(model, filters, filterCount, options, out) { model, body in
      try withImages(images, imageCount, for: model) { try body(ImageSet($0)) }
    }
  }
}

extension ImageSet {
  /// Images that a caller gives one by one.
  init(
    _ source: @escaping limpid_image_fn, _ user: UnsafeMutableRawPointer?, _ count: Int, for model: Model
  ) throws {
    guard count >= 0 else { throw Failure(.invalidArgument, "image_count is out of range") }
    self.init(count: count) { index, lend in
      var view = limpid_image_view()
      guard calling({ source(user, index, &view) }) == 0 else { throw Progress.cancelled }
      try withImages(&view, 1, for: model) { images in
        for image in images { try lend(image) }
      }
    }
  }
}

@c @implementation
public func limpid_name_filters_from(
  _ model: OpaquePointer?, _ source: limpid_image_fn?, _ sourceUser: UnsafeMutableRawPointer?, _ imageCount: Int,
  _ filters: UnsafePointer<Int32>?, _ filterCount: Int, _ options: UnsafePointer<limpid_run_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let source = try required(source, "source")
    try name(model, filters, filterCount, options, out) { model, body in
      try body(ImageSet(source, sourceUser, imageCount, for: model))
    }
  }
}

private let parameterTexts = Naming.parameters.map(ParameterText.init)

@c @implementation
public func limpid_naming_get_parameter(
  _ index: Int, _ out: UnsafeMutablePointer<limpid_parameter_info>?
) -> limpid_status {
  boundary {
    guard let parameter = parameterTexts[checked: index] else {
      throw Failure(.notFound, "there is no parameter \(index); naming filters has \(parameterTexts.count)")
    }
    try parameter.info.write(to: out, "out")
  }
}

@c @implementation
public func limpid_filter_names_filter_count(_ names: OpaquePointer?) -> Int {
  FilterNamesHandle.object(names)?.names.count ?? 0
}

@c @implementation
public func limpid_filter_names_count(_ names: OpaquePointer?, _ filter: Int) -> Int {
  FilterNamesHandle.object(names)?.names[checked: filter]?.words.count ?? 0
}

@c @implementation
public func limpid_filter_names_word(
  _ names: OpaquePointer?, _ filter: Int, _ rank: Int, _ score: UnsafeMutablePointer<Float>?
) -> UnsafePointer<CChar>? {
  guard let handle = FilterNamesHandle.object(names), let word = handle.names[checked: filter]?.words[checked: rank]
  else { return nil }
  return handle.word(word.index, Float(word.count), score)
}

@c @implementation
public func limpid_filter_names_image_count(_ names: OpaquePointer?, _ filter: Int) -> Int {
  FilterNamesHandle.object(names)?.names[checked: filter]?.images.count ?? 0
}

@c @implementation
public func limpid_filter_names_image(
  _ names: OpaquePointer?, _ filter: Int, _ rank: Int, _ activation: UnsafeMutablePointer<Float>?
) -> Int64 {
  let name = FilterNamesHandle.object(names)?.names[checked: filter]
  guard let image = name?.images[checked: rank] else { return -1 }
  activation?.pointee = image.activation
  return Int64(image.index)
}

@c @implementation
public func limpid_filter_names_image_word(
  _ names: OpaquePointer?, _ filter: Int, _ rank: Int, _ word: Int, _ similarity: UnsafeMutablePointer<Float>?
) -> UnsafePointer<CChar>? {
  guard let handle = FilterNamesHandle.object(names),
    let match = handle.names[checked: filter]?.images[checked: rank]?.words[checked: word]
  else { return nil }
  return handle.word(match.index, match.similarity, similarity)
}

@c @implementation
public func limpid_filter_names_threshold(_ names: OpaquePointer?, _ filter: Int) -> Double {
  FilterNamesHandle.object(names)?.names[checked: filter]?.threshold ?? .nan
}

@c @implementation
public func limpid_filter_names_free(_ names: OpaquePointer?) { FilterNamesHandle.free(names) }

@c @implementation
public func limpid_explanation_filter(_ explanation: OpaquePointer?, _ index: Int) -> Int32 {
  let reading = ExplanationHandle.object(explanation)?.explanations[checked: index]?.reading
  return reading.map { Int32(clamping: $0.filter) } ?? -1
}

@c @implementation
public func limpid_explanation_word(
  _ explanation: OpaquePointer?, _ index: Int, _ rank: Int, _ similarity: UnsafeMutablePointer<Float>?
) -> UnsafePointer<CChar>? {
  guard let handle = ExplanationHandle.object(explanation),
    let word = handle.explanations[checked: index]?.reading?.words[checked: rank]
  else { return nil }
  similarity?.pointee = word.similarity
  return handle.words[index][checked: rank]?.base
}
