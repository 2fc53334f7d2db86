// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import FilterNaming
import Models
import Parallel
import Tensors

/// limpid_filter_names: names of filters, and the words that callers borrow from them.
final class FilterNamesHandle: Handled {
  let names: [FilterName]
  private var texts: [Int: CText] = [:]

  init(_ names: [FilterName], _ vocabulary: Vocabulary) {
    self.names = names
    for index in names.flatMap({ $0.words.map(\.index) + $0.pictures.flatMap { $0.words.map(\.index) } })
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
  _ pictures: (Model, (PictureSet) throws -> Void) throws -> Void
) throws {
  let model = try ModelHandle.required(model, "model").model
  let out = try required(out, "out")
  let wanted = filters == nil && filterCount == 0 ? nil : try array(filters, filterCount, "filters").map { Int($0) }
  let call = try Call(options, for: model)
  let naming = try Naming(call.parameters)
  let explainer = try FilterExplainer(model)
  try pictures(model) { pictures in
    let names = try naming.name(wanted, of: explainer, from: pictures, call)
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
      try withPictures(images, imageCount, for: model) { try body(PictureSet($0)) }
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
    guard imageCount >= 0 else { throw Failure(.invalidArgument, "image_count is out of range") }
    try name(model, filters, filterCount, options, out) { model, body in
      // One at a time: the next one may take the place of the last in the caller's memory.
      try body(PictureSet(count: imageCount, limit: 1) { indices, lend in
        for index in indices {
          var view = limpid_image_view()
          guard source(sourceUser, index, &view) == 0 else { throw Progress.cancelled }
          try withPictures(&view, 1, for: model) { pictures in try lend(pictures.map { (index, $0) }) }
        }
      })
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
  FilterNamesHandle.object(names)?.names[checked: filter]?.pictures.count ?? 0
}

@c @implementation
public func limpid_filter_names_image(
  _ names: OpaquePointer?, _ filter: Int, _ rank: Int, _ activation: UnsafeMutablePointer<Float>?
) -> Int64 {
  let name = FilterNamesHandle.object(names)?.names[checked: filter]
  guard let picture = name?.pictures[checked: rank] else { return -1 }
  activation?.pointee = picture.activation
  return Int64(picture.index)
}

@c @implementation
public func limpid_filter_names_image_word(
  _ names: OpaquePointer?, _ filter: Int, _ rank: Int, _ word: Int, _ similarity: UnsafeMutablePointer<Float>?
) -> UnsafePointer<CChar>? {
  guard let handle = FilterNamesHandle.object(names),
    let match = handle.names[checked: filter]?.pictures[checked: rank]?.words[checked: word]
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
