// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Models
import Parallel
import Tensors

extension Call {
  /// What the caller's options say, checked against `model`.
  init(_ pointer: UnsafePointer<limpid_run_options>?, for model: Model) throws {
    self.init()
    let options = try limpid_run_options.read(pointer)
    for parameter in try array(options.parameters, options.parameter_count, "parameters") {
      let name = try string(parameter.name, "the name of a parameter")
      guard parameters.updateValue(parameter.value, forKey: name) == nil else {
        throw Failure(.invalidArgument, "the parameter \"\(name)\" is given twice")
      }
    }
    layer = try optionalString(options.layer, "layer")
    if let layer { _ = try locating("layer") { try model.value(named: layer) } }
    seed = options.seed
    for (name, value) in [("threads", options.threads), ("batch_size", options.batch_size)] where value < 0 {
      throw Failure(.invalidArgument, "limpid_run_options.\(name) is \(value); it may not be negative")
    }
    threads = Int(options.threads)
    batchSize = Int(options.batch_size)
    if let report = options.progress {
      let user = options.user
      progress = Progress { done, total in report(user, done, total) == 0 }
    }
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
    let call = try Call(options, for: model)
    func checkCapacity(_ count: Int) throws {
      guard capacity < 0 || capacity >= count else {
        throw Failure(.bufferTooSmall, "capacity is \(capacity) floats; the result has \(count)")
      }
    }
    try withPictures(images, imageCount, for: model) { pictures in
      // Before the work is done, where the number of classes is known.
      if let classes = model.classCount { try checkCapacity(try product(classes, imageCount, "image_count")) }
      let values = try model.classify(pictures, call)
      try checkCapacity(values.count)
      for (i, value) in values.enumerated() { target[i] = value }
    }
  }
}
