// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Documents
import Explainers
import Models
import Parallel
import Tensors

private func estimate(
  _ images: ImageSet, _ model: Model, _ options: UnsafePointer<limpid_run_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) throws {
  let out = try required(out, "out")
  let found = try model.statistics(of: images, Call(options), Progress(options))
  out.pointee = TensorsHandle(["mean", "std", "active"], [found.mean, found.std, found.active], of: found).handle()
}

@c @implementation
public func limpid_estimate(
  _ model: OpaquePointer?, _ images: UnsafePointer<limpid_image_view>?, _ imageCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    try withImages(images, imageCount, for: model) { try estimate(ImageSet($0), model, options, out) }
  }
}

@c @implementation
public func limpid_estimate_from(
  _ model: OpaquePointer?, _ source: limpid_image_fn?, _ sourceUser: UnsafeMutableRawPointer?, _ imageCount: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    try estimate(ImageSet(required(source, "source"), sourceUser, imageCount, for: model), model, options, out)
  }
}

@c @implementation
public func limpid_store_statistics(
  _ model: OpaquePointer?, _ statistics: OpaquePointer?, _ path: UnsafePointer<CChar>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    guard let found = try TensorsHandle.required(statistics, "statistics").statistics else {
      throw Failure(.invalidArgument, "these tensors are no statistics; limpid_estimate makes such")
    }
    _ = try model.store(found, at: path.map { String(name: $0) })
  }
}
