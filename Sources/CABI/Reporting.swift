// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Evaluation
import Explanations
import Glibc
import Images
import Models
import Parallel
import Tensors

@c @implementation
public func limpid_report(
  _ model: OpaquePointer?, _ items: UnsafePointer<limpid_report_item>?, _ count: Int,
  _ options: UnsafePointer<limpid_render_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let out = try required(out, "out")
    guard count > 0 else { throw Failure(.invalidArgument, "a report of no explanations") }
    let items = UnsafeBufferPointer(start: try required(items, "items"), count: count)
    var page = ExplanationPage(model, [], output: nil, try Rendering(options))
    let progress = try Progress(options)
    let groups = try grouped(items, &page, progress.polling)
    for (i, (name, view, explanations)) in groups.enumerated() {
      let parts = progress.range(i..<i + 1, of: groups.count).parts(1, 1)
      try page.add(name ?? "image \(i + 1)", Image(copying: view), explanations, parts[0]) {
        do {
          return Array(try model.classify([.pixels(view)], Call(), parts[1]))
        } catch let failure as Failure where failure.kind != .cancelled {
          // A model that takes more than the image says nothing of it alone.
          return []
        }
      }
    }
    try progress.advance(1, of: 1)
    out.pointee = BytesHandle(try Buffer(page.html(nil).utf8)).handle()
  }
}

/// The explanations of each image, in the order in which images come.
private func grouped(
  _ items: UnsafeBufferPointer<limpid_report_item>, _ page: inout ExplanationPage, _ progress: Progress
) throws -> [(name: String?, view: PixelView, explanations: [Explanation])] {
  var groups: [(name: String?, view: PixelView, explanations: [Explanation])] = []
  for (i, item) in items.enumerated() {
    try progress.advance(0, of: 1)
    try locating("item \(i)") {
      let handle = try ExplanationHandle.required(item.explanation, "explanation")
      var explanation = try handle.required(item.index)
      let name = try optionalString(item.name, "name")
      let view = try item.image.pixelView()
      guard (view.width, view.height) == (explanation.field.width, explanation.field.height) else {
        throw Failure(
          .invalidArgument,
          "the image has \(view.width)x\(view.height) pixels, but what was explained had "
            + "\(explanation.field.width)x\(explanation.field.height)")
      }
      explanation.method = page.name(of: explanation)
      if let place = groups.firstIndex(where: { $0.name == name && $0.view.hasPixels(of: view) }) {
        groups[place].explanations.append(explanation)
      } else {
        groups.append((name, view, [explanation]))
      }
    }
  }
  return groups
}

extension PixelView {
  fileprivate func hasPixels(of other: PixelView) -> Bool {
    guard width == other.width, height == other.height, format == other.format else { return false }
    if base == other.base, rowStride == other.rowStride { return true }
    return (0..<height).allSatisfy { y in
      memcmp(base + y * rowStride, other.base + y * other.rowStride, width * format.bytesPerPixel) == 0
    }
  }
}
