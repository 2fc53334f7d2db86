// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Explanations
import Models
import Parallel
import Tensors

extension Call {
  /// What the caller's options say, all but `progress`.
  init(_ pointer: UnsafePointer<limpid_run_options>?) throws {
    self.init()
    let options = try limpid_run_options.read(pointer)
    func give(_ name: String, _ value: ParameterValue) throws {
      guard parameters.updateValue(value, forKey: name) == nil else {
        throw Failure(.invalidArgument, "the parameter \(quoted(name)) is given twice")
      }
    }
    for parameter in try array(options.parameters, options.parameter_count, "parameters") {
      try give(string(parameter.name, "the name of a parameter"), .number(parameter.value))
    }
    for choice in try array(options.choices, options.choice_count, "choices") {
      let name = try string(choice.name, "the name of a choice")
      try give(name, .text(try locating("parameter \(quoted(name))") { try string(choice.value, "its value") }))
    }
    for draw in try array(options.draws, options.draw_count, "draws") {
      let name = try string(draw.name, "the name of a draw")
      let tensor = try locating("draws \(quoted(name))") { try draw.tensor() }
      guard draws.updateValue(tensor, forKey: name) == nil else {
        throw Failure(.invalidArgument, "the draws \(quoted(name)) are given twice")
      }
    }
    output = try optionalString(options.output, "output")
    for feed in try array(options.feeds, options.feed_count, "feeds") {
      let name = try string(feed.name, "the name of a feed")
      let tensor = try locating("feed \(quoted(name))") { try feed.tensor() }
      guard feeds.updateValue(tensor, forKey: name) == nil else {
        throw Failure(.invalidArgument, "the input \(quoted(name)) is fed twice")
      }
    }
    layers = try optionalString(options.layer, "layer").map { [$0] } ?? []
    layers += try array(options.layers, options.layer_count, "layers").map { try string($0, "a layer") }
    seed = options.seed == 0 ? nil : options.seed
    for (name, value) in [("threads", options.threads), ("batch_size", options.batch_size)] where value < 0 {
      throw Failure(.invalidArgument, "limpid_run_options.\(name) is \(value); it may not be negative")
    }
    threads = Int(options.threads)
    batchSize = Int(options.batch_size)
  }
}

/// Options of the header with which a caller asks to be told.
protocol Watchful: Sized {
  var progress: limpid_progress_fn! { get }
  var user: UnsafeMutableRawPointer! { get }
}

extension limpid_run_options: Watchful {}
extension limpid_model_options: Watchful {}
extension limpid_image_options: Watchful {}
extension limpid_render_options: Watchful {}

extension Progress {
  init<Options: Watchful>(_ pointer: UnsafePointer<Options>?) throws { self.init(asking: try Options.read(pointer)) }

  init(asking options: some Watchful) {
    guard let report = options.progress else {
      self = .unwatched
      return
    }
    let user = options.user
    self.init { done, total in calling { report(user, done, total) == 0 } }
  }

  /// Of calls that read nothing else of their options.
  init(_ pointer: UnsafePointer<limpid_run_options>?, only owner: String) throws {
    try Call(pointer).refuseMethodSettings(for: owner)
    try self.init(pointer)
  }
}

@c @implementation
public func limpid_classify(
  _ model: OpaquePointer?, _ images: UnsafePointer<limpid_image_view>?, _ imageCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ probabilities: UnsafeMutablePointer<Float>?,
  _ capacity: Int
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let target = try required(probabilities, "probabilities")
    let call = try Call(options)
    func checkCapacity(_ count: Int) throws {
      guard capacity < 0 || capacity >= count else {
        throw Failure(.bufferTooSmall, "capacity is \(capacity) floats; the result has \(count)")
      }
    }
    try withImages(images, imageCount, for: model) { images in
      // Before the work is done, where the number of classes is known.
      if let classes = try model.requiredScores(call.output).classCount {
        try checkCapacity(try product(classes, imageCount, "image_count"))
      }
      let values = try model.classify(images, call, Progress(options))
      try checkCapacity(values.count)
      for (i, value) in values.enumerated() { target[i] = value }
    }
  }
}
