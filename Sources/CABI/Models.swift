// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import Explanations
import Graph
import Images
import Kernels
import Models
import Parallel
import Tensors

/// limpid_model: a model, and the texts that callers borrow from it.
final class ModelHandle: Handled, Sendable {
  struct Method: Sendable {
    let explainer: any Explainer
    let name: CText
    let summary: CText
    let parameters: [ParameterText]
    let draws: [CText]
    let drawSummaries: [CText]
    let drawNames: Pinned<UnsafePointer<CChar>?>
    let drawTexts: Pinned<UnsafePointer<CChar>?>

    init(_ explainer: any Explainer) {
      self.explainer = explainer
      name = CText(explainer.name)
      summary = CText(explainer.summary)
      parameters = explainer.parameters.map(ParameterText.init)
      draws = explainer.draws.map { CText($0.name) }
      drawSummaries = explainer.draws.map { CText($0.summary) }
      drawNames = Pinned(draws.map(\.base))
      drawTexts = Pinned(drawSummaries.map(\.base))
    }
  }

  let model: Model
  let name: CText
  let family: CText
  let labels: [CText]
  let layers: [CText]
  let inputs: [ValueText]
  let outputs: [ValueText]
  let metadata: [String: CText]
  let methods: [Method]
  let scoreKind: CText?
  let scoreOutput: CText?
  let imageInput: CText?
  let imageLayout: CText?

  init(_ model: Model) {
    self.model = model
    let graph = model.graph
    name = CText(graph.name)
    family = CText(model.metadata.family)
    labels = model.metadata.labels.map { CText($0) }
    layers = model.listedLayers.map { CText(graph.name(of: $0.value)) }
    // As the file declares them: what images go through is a graph with an input of another type.
    inputs = model.fileGraph.inputs.map { ValueText($0, in: model.fileGraph) }
    outputs = model.fileGraph.outputs.map { ValueText($0, in: model.fileGraph) }
    metadata = model.metadata.entries.mapValues { CText($0) }
    methods = model.explainers.map(Method.init)
    scoreKind = model.scores.map { CText($0.kind.rawValue) }
    scoreOutput = model.scores.map { CText($0.name) }
    imageInput = model.format.map { CText(graph.name(of: $0.declaration.value)) }
    imageLayout = model.format.map { CText($0.arrangement.rawValue) }
  }
}

/// An input or output, with what its description points to.
struct ValueText: Sendable {
  let name: CText
  private let declaration: Declaration
  private let shape: Pinned<Int64>
  private let extents: [CText?]
  private let extentNames: Pinned<UnsafePointer<CChar>?>

  init(_ declaration: Declaration, in graph: Graph) {
    self.declaration = declaration
    name = CText(graph.name(of: declaration.value))
    let dimensions = declaration.dimensions ?? []
    shape = Pinned(dimensions.map { if case .fixed(let extent) = $0 { Int64(extent) } else { -1 } })
    extents = dimensions.map { if case .named(let name) = $0 { CText(name) } else { nil } }
    extentNames = Pinned(extents.map { $0?.base })
  }

  var info: limpid_value_info {
    var info = limpid_value_info()
    info.name = name.base
    info.shape = shape.base
    info.extent_names = extentNames.base
    info.rank = shape.count
    info.type = limpid_element_type(rawValue: UInt32(declaration.type.rawValue))
    info.has_shape = declaration.dimensions == nil ? 0 : 1
    return info
  }
}

/// A parameter, with the texts that its description points to.
struct ParameterText: Sendable {
  let parameter: Parameter
  let name: CText
  let summary: CText
  private let choices: [CText]
  private let choiceNames: Pinned<UnsafePointer<CChar>?>
  private let defaultChoice: CText?

  init(_ parameter: Parameter) {
    self.parameter = parameter
    name = CText(parameter.name)
    summary = CText(parameter.summary)
    if case .choice(let words, let word) = parameter.kind {
      choices = words.map { CText($0) }
      defaultChoice = CText(word)
    } else {
      choices = []
      defaultChoice = nil
    }
    choiceNames = Pinned(choices.map(\.base))
  }

  var info: limpid_parameter_info {
    var info = limpid_parameter_info()
    info.name = name.base
    info.summary = summary.base
    switch parameter.kind {
    case .number(let value, let range, let isInteger):
      info.default_value = value
      info.minimum = range.lowerBound
      info.maximum = range.upperBound
      info.is_integer = isInteger ? 1 : 0
    case .choice:
      info.choices = choiceNames.base
      info.choice_count = choices.count
      info.default_choice = defaultChoice?.base
    }
    return info
  }
}

@c @implementation
public func limpid_model_free(_ model: OpaquePointer?) { ModelHandle.free(model) }

@c @implementation
public func limpid_model_get_info(
  _ model: OpaquePointer?, _ out: UnsafeMutablePointer<limpid_model_info>?
) -> limpid_status {
  boundary {
    let handle = try ModelHandle.required(model, "model")
    let size = handle.model.inputSize
    var info = limpid_model_info()
    info.name = handle.name.base
    info.family = handle.family.base
    info.class_count = handle.model.classCount ?? 0
    info.method_count = handle.methods.count
    info.layer_count = handle.layers.count
    info.input_count = handle.inputs.count
    info.output_count = handle.outputs.count
    info.input_width = Int32(clamping: size.width ?? 0)
    info.input_height = Int32(clamping: size.height ?? 0)
    info.input_channels = Int32(clamping: size.channels ?? 0)
    info.score_kind = handle.scoreKind?.base
    info.score_output = handle.scoreOutput?.base
    info.image_input = handle.imageInput?.base
    info.image_layout = handle.imageLayout?.base
    info.precision = limpid_precision(handle.model.kernels.precision)
    info.computed_precision = limpid_precision(handle.model.kernels.computedPrecision)
    let reading = handle.model.reading
    info.image_alpha = reading.keepsAlpha ? 1 : 0
    info.image_bits = reading.deep == .kept ? 16 : 8
    try info.write(to: out, "out")
  }
}

@c @implementation
public func limpid_model_class_count(
  _ model: OpaquePointer?, _ output: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<Int>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let out = try required(out, "out")
    out.pointee = try model.requiredScores(optionalString(output, "output")).classCount ?? 0
  }
}

@c @implementation
public func limpid_model_class_name(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  ModelHandle.object(model)?.labels[checked: index]?.base
}

@c @implementation
public func limpid_model_layer_name(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  ModelHandle.object(model)?.layers[checked: index]?.base
}

@c @implementation
public func limpid_model_input_name(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  ModelHandle.object(model)?.inputs[checked: index]?.name.base
}

@c @implementation
public func limpid_model_output_name(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  ModelHandle.object(model)?.outputs[checked: index]?.name.base
}

/// Describes value `index` of those that `values` names, which messages call `kind`.
private func describe(
  _ model: OpaquePointer?, _ values: KeyPath<ModelHandle, [ValueText]>, _ kind: StaticString, _ index: Int,
  _ out: UnsafeMutablePointer<limpid_value_info>?
) -> limpid_status {
  boundary {
    let values = try ModelHandle.required(model, "model")[keyPath: values]
    guard let value = values[checked: index] else {
      throw Failure(.notFound, "there is no \(kind) \(index); the model has \(values.count)")
    }
    try value.info.write(to: out, "out")
  }
}

@c @implementation
public func limpid_model_get_input(
  _ model: OpaquePointer?, _ index: Int, _ out: UnsafeMutablePointer<limpid_value_info>?
) -> limpid_status { describe(model, \.inputs, "input", index, out) }

@c @implementation
public func limpid_model_get_output(
  _ model: OpaquePointer?, _ index: Int, _ out: UnsafeMutablePointer<limpid_value_info>?
) -> limpid_status { describe(model, \.outputs, "output", index, out) }

@c @implementation
public func limpid_model_metadata(
  _ model: OpaquePointer?, _ key: UnsafePointer<CChar>?
) -> UnsafePointer<CChar>? {
  guard let key, let name = String(validatingCString: key) else { return nil }
  return ModelHandle.object(model)?.metadata[name]?.base
}

@c @implementation
public func limpid_model_get_method(
  _ model: OpaquePointer?, _ index: Int, _ out: UnsafeMutablePointer<limpid_method_info>?
) -> limpid_status {
  boundary {
    let handle = try ModelHandle.required(model, "model")
    guard let method = handle.methods[checked: index] else {
      throw Failure(.notFound, "there is no method \(index); the model has \(handle.methods.count)")
    }
    var info = limpid_method_info()
    info.name = method.name.base
    info.summary = method.summary.base
    info.parameter_count = method.parameters.count
    info.draws = method.drawNames.base
    info.draw_summaries = method.drawTexts.base
    info.draw_count = method.draws.count
    info.taps_layers = method.explainer.tapsLayers ? 1 : 0
    info.draws_numbers = method.explainer.drawsNumbers ? 1 : 0
    try info.write(to: out, "out")
  }
}

@c @implementation
public func limpid_model_get_parameter(
  _ model: OpaquePointer?, _ method: UnsafePointer<CChar>?, _ index: Int,
  _ out: UnsafeMutablePointer<limpid_parameter_info>?
) -> limpid_status {
  boundary {
    let handle = try ModelHandle.required(model, "model")
    let explainer = try handle.model.explainer(named: try string(method, "method"))
    guard let method = handle.methods.first(where: { $0.explainer.name == explainer.name }),
      let parameter = method.parameters[checked: index]
    else {
      throw Failure(
        .notFound,
        "there is no parameter \(index); the method \(quoted(explainer.name)) has \(explainer.parameters.count)")
    }
    try parameter.info.write(to: out, "out")
  }
}
