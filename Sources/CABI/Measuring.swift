// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explainers
import Explanations
import Metrics
import Models
import Parallel
import Tensors

/// limpid_measurement: what a metric found, and what callers borrow from it.
final class MeasurementHandle: Handled {
  let measurement: Measurement
  let values: NamedTensor
  let curve: NamedTensor?
  let details: [NamedTensor]
  let parameters: [ParameterReading]

  init(_ measurement: Measurement) throws {
    self.measurement = measurement
    values = NamedTensor("values", try Tensor(measurement.values, [measurement.values.count]))
    curve = measurement.curve.map { NamedTensor("curve", $0) }
    details = measurement.details.map { NamedTensor($0.name, $0.tensor) }
    parameters = measurement.parameters.map { ParameterReading($0.name, $0.value) }
  }
}

/// A metric, with the texts that its description points to.
private struct MetricText: Sendable {
  let metric: any Metric
  let name: CText
  let summary: CText
  let maps: CText
  let better: CText
  let parameters: [ParameterText]
  private let draws: [CText]
  private let drawSummaries: [CText]
  private let drawNames: Pinned<UnsafePointer<CChar>?>
  private let drawTexts: Pinned<UnsafePointer<CChar>?>

  init(_ metric: any Metric) {
    self.metric = metric
    name = CText(metric.name)
    summary = CText(metric.summary)
    maps = CText(metric.reads.rawValue)
    better = CText(metric.better.rawValue)
    parameters = metric.parameters.map(ParameterText.init)
    draws = metric.draws.map { CText($0.name) }
    drawSummaries = metric.draws.map { CText($0.summary) }
    drawNames = Pinned(draws.map(\.base))
    drawTexts = Pinned(drawSummaries.map(\.base))
  }

  var info: limpid_metric_info {
    var info = limpid_metric_info()
    info.name = name.base
    info.summary = summary.base
    info.parameter_count = parameters.count
    info.draws = drawNames.base
    info.draw_summaries = drawTexts.base
    info.draw_count = draws.count
    info.maps = maps.base
    info.needs_model = metric.needsModel ? 1 : 0
    info.needs_method = metric.needsMethod ? 1 : 0
    info.draws_numbers = metric.drawsNumbers ? 1 : 0
    info.better = better.base
    return info
  }
}

private let metricTexts = Metrics.all.map(MetricText.init)

@c @implementation
public func limpid_get_metric(_ index: Int, _ out: UnsafeMutablePointer<limpid_metric_info>?) -> limpid_status {
  boundary {
    guard let metric = metricTexts[checked: index] else {
      throw Failure(.notFound, "there is no metric \(index); there are \(metricTexts.count)")
    }
    try metric.info.write(to: out, "out")
  }
}

@c @implementation
public func limpid_metric_get_parameter(
  _ metric: UnsafePointer<CChar>?, _ index: Int, _ out: UnsafeMutablePointer<limpid_parameter_info>?
) -> limpid_status {
  boundary {
    let found = try Metrics.named(try string(metric, "metric"))
    guard let parameter = metricTexts.first(where: { $0.metric.name == found.name })?.parameters[checked: index] else {
      throw Failure(
        .notFound, "there is no parameter \(index); the metric \(quoted(found.name)) has \(found.parameters.count)")
    }
    try parameter.info.write(to: out, "out")
  }
}

/// The class of each map; empty where none is given.
private func measuredClasses(
  _ indices: UnsafePointer<Int32>?, _ imageCount: Int, _ perImage: Int
) throws -> [Int?] {
  guard let indices else { return [] }
  guard perImage > 0 else { throw Failure(.invalidArgument, "classes_per_image is \(perImage)") }
  let count = try product(max(1, imageCount), perImage, "classes_per_image")
  return try array(indices, count, "class_indices").map(givenClass)
}

@c @implementation
public func limpid_measure(
  _ model: OpaquePointer?, _ metric: UnsafePointer<CChar>?, _ images: UnsafePointer<limpid_image_view>?,
  _ imageCount: Int, _ maps: UnsafePointer<limpid_tensor_view>?, _ classIndices: UnsafePointer<Int32>?,
  _ classesPerImage: Int, _ options: UnsafePointer<limpid_measure_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let out = try required(out, "out")
    let metric = try Metrics.named(try string(metric, "metric"))
    let options = try limpid_measure_options.read(options)
    let call = try Call(options.run)
    let progress = try Progress(options.run)
    let maps = try maps.map { try locating("maps", $0.pointee.tensor) }
    guard imageCount >= 0 else { throw Failure(.invalidArgument, "the number of images is out of range") }
    let classes = try measuredClasses(classIndices, imageCount, classesPerImage)
    var method: MethodCall?
    if metric.needsMethod {
      let own = try Call(options.method_options)
      guard own.output == nil, own.feeds.isEmpty, own.threads == 0, own.batchSize == 0 else {
        throw Failure(
          .invalidArgument,
          "output, feeds, threads and batch_size are those of the whole call: limpid_measure_options.run, not "
            + "method_options")
      }
      method = MethodCall(method: try optionalString(options.method, "method"), call: own)
    } else if options.method != nil || options.method_options != nil {
      throw Failure(
        .invalidArgument,
        "the metric \(quoted(metric.name)) explains nothing itself, but a method was given; leave it out")
    }
    guard let model = ModelHandle.object(model)?.model, imageCount > 0 else {
      let measurement = try Metrics.measure(metric, maps: maps, classes: classes, method: method, call, progress)
      out.pointee = try MeasurementHandle(measurement).handle()
      return
    }
    let measurement = try withImages(images, imageCount, for: model) { images in
      try model.measure(metric, images, maps: maps, classes: classes, method: method, call, progress)
    }
    out.pointee = try MeasurementHandle(measurement).handle()
  }
}

@c @implementation
public func limpid_measurement_values(_ measurement: OpaquePointer?) -> limpid_tensor_view {
  MeasurementHandle.object(measurement)?.values.view ?? limpid_tensor_view()
}

@c @implementation
public func limpid_measurement_mean(_ measurement: OpaquePointer?) -> Double {
  MeasurementHandle.object(measurement)?.measurement.mean ?? .nan
}

@c @implementation
public func limpid_measurement_curve(_ measurement: OpaquePointer?) -> limpid_tensor_view {
  MeasurementHandle.object(measurement)?.curve?.view ?? limpid_tensor_view()
}

@c @implementation
public func limpid_measurement_detail(_ measurement: OpaquePointer?, _ index: Int) -> limpid_tensor_view {
  MeasurementHandle.object(measurement)?.details[checked: index]?.view ?? limpid_tensor_view()
}

@c @implementation
public func limpid_measurement_parameter(
  _ measurement: OpaquePointer?, _ index: Int, _ number: UnsafeMutablePointer<Double>?,
  _ word: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> UnsafePointer<CChar>? {
  MeasurementHandle.object(measurement)?.parameters[checked: index]?.read(number, word)
}

@c @implementation
public func limpid_measurement_seed(_ measurement: OpaquePointer?) -> UInt64 {
  MeasurementHandle.object(measurement)?.measurement.seed ?? 0
}

@c @implementation
public func limpid_measurement_free(_ measurement: OpaquePointer?) { MeasurementHandle.free(measurement) }
