// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Graph
import Images
import Kernels
import Models
import Parallel
import Tensors

extension Model.Options {
  init(_ pointer: UnsafePointer<limpid_model_options>?) throws {
    self.init()
    let options = try limpid_model_options.read(pointer)
    guard options.threads >= 0 else {
      throw Failure(.invalidArgument, "limpid_model_options.threads is \(options.threads)")
    }
    precision = try Precision(options.precision)
    memoryLimit = options.memory_limit
    threads = Int(options.threads)
    copiesFiles = options.copy != 0
    refusesLinks = options.refuse_links != 0
    preprocessing = try optionalString(options.preprocess, "preprocess").map { text in
      try locating("limpid_model_options.preprocess") { try Preprocessing(given: text) }
    }
  }
}

extension Precision {
  fileprivate init(_ precision: limpid_precision) throws {
    switch precision {
    case LIMPID_PRECISION_DEFAULT, LIMPID_PRECISION_FLOAT32: self = .float32
    case LIMPID_PRECISION_FAST: self = .fast
    case LIMPID_PRECISION_BFLOAT16: self = .bfloat16
    default:
      throw Failure(.invalidArgument, "\(precision.rawValue) is no limpid_precision; there are \(Precision.known)")
    }
  }
}

extension limpid_precision {
  init(_ precision: Precision) {
    self =
      switch precision {
      case .float32: LIMPID_PRECISION_FLOAT32
      case .fast: LIMPID_PRECISION_FAST
      case .bfloat16: LIMPID_PRECISION_BFLOAT16
      }
  }
}

@c @implementation
public func limpid_model_load_file(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<limpid_model_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let path = try required(path, "path")
    let out = try required(out, "out")
    let progress = try Progress(options)
    let options = try Model.Options(options)
    let model = try reading(path) { try Model(path: path, options: options, progress) }
    out.pointee = loaded(model).handle()
  }
}

@c @implementation
public func limpid_model_load_memory(
  _ data: UnsafeRawPointer?, _ size: Int, _ options: UnsafePointer<limpid_model_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let data = try array(data?.assumingMemoryBound(to: UInt8.self), size, "data")
    let out = try required(out, "out")
    let progress = try Progress(options)
    let options = try Model.Options(options)
    out.pointee = loaded(try Model(bytes: UnsafeRawBufferPointer(data), options: options, progress)).handle()
  }
}

private func loaded(_ model: Model) -> ModelHandle {
  log(
    LIMPID_LOG_INFO,
    "loaded the model \(quoted(model.graph.name)) of family \(quoted(model.metadata.family)): "
      + "\(model.fileGraph.nodes.count) nodes, \(model.classCount.map(String.init) ?? "an open number of") classes, "
      + "\(model.parallel.threads) threads")
  if let note = model.kernels.precisionNote { log(LIMPID_LOG_INFO, note) }
  if model.metadata.preprocessing == nil {
    log(LIMPID_LOG_WARNING, "the model \(quoted(model.graph.name)) does not say how images are prepared for it")
  }
  return ModelHandle(model)
}
