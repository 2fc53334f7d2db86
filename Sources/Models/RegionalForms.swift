import Engine
import Graph
public import Kernels
public import Parallel
import Synchronization
public import Tensors

/// Forms of one image that differ from it in a region each.
public struct RegionalForms {
  /// [1, channels, height, width]
  public let input: Tensor
  /// Which of the call's images it is.
  public let image: Int?
  public let regions: [Region]
  /// Writes form `i` whole, as many numbers as the image has.
  public let write: (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void

  public init(
    of input: Tensor, image: Int?, regions: [Region],
    write: @escaping (_ i: Int, _ target: UnsafeMutablePointer<Float>) throws -> Void
  ) {
    (self.input, self.image, self.regions, self.write) = (input, image, regions, write)
  }
}

extension Model {
  /// Regions must save at least this part of the multiplications.
  private static let leastSaving = 0.2

  /// Runs forms of an image, computing again only what their regions reach, and hands `body` the values of `fetches`
  /// of the forms, in order. Bits do not depend on what runs together.
  ///
  /// False, and nothing has run, where the graph changes everywhere too early, so that whole runs are as fast, or where
  /// the memory limit has no room for all values of the image.
  public func forEachForm(
    _ forms: RegionalForms, fetch fetches: [ValueID], _ call: Call, _ progress: Progress,
    _ body: (_ items: Range<Int>, _ tensors: [Tensor]) throws -> Void
  ) throws -> Bool {
    guard [nil, 1].contains(declaredBatch), !forms.regions.isEmpty else { return false }
    let image = try imageInput()
    let others = try FurtherInputs(self, call, fetches)
    try checkComplete(Set([image] + others.values), for: fetches)
    let own = try others.tensors(for: [forms.image], rows: 1)
    let feeds = [(value: image, tensor: forms.input)] + own
    guard
      let plan = try engine.regionalPlan(
        feeds: feeds.map { ($0.value, $0.tensor.type, $0.tensor.shape) }, image: image, fetches: fetches,
        parallel: parallel(for: call), progress: progress.polling),
      plan.share(of: forms.regions) <= 1 - Self.leastSaving, try plan.fits(forms.regions, batch: batchSize(call))
    else { return false }
    let base = try plan.start(feeds.map(\.tensor), progress: progress.polling)
    func run(_ items: Range<Int>, _ progress: Progress) throws {
      let rows = try others.tensors(for: items.map { _ in forms.image }, rows: items.count)
      let tensors = try plan.run(
        Array(forms.regions[items]), batch: batchSize(call), base, others: rows, progress: progress
      ) { try forms.write(items.lowerBound + $0, $1) }
      try body(items, tensors)
    }
    // Who says how many images run at once gets no more.
    var atOnce = call.batchSize > 0 ? batchSize(call) : plan.formsAtOnce(batch: batchSize(call))
    var start = 0
    while start < forms.regions.count {
      let items = start..<min(start + atOnce, forms.regions.count)
      do {
        try run(items, progress.range(items, of: forms.regions.count))
      } catch let failure as Failure where failure.kind == .invalidModel && items.count > 1 {
        // A batch of 1 is written into the graph.
        takesOneImage.store(true, ordering: .relaxed)
        atOnce = 1
        continue
      } catch let failure as Failure where failure.kind == .unsupported && atOnce > batchSize(call) {
        // Most likely for the memory of the rest.
        atOnce = batchSize(call)
        continue
      }
      start = items.upperBound
    }
    try progress.advance(1, of: 1)
    return true
  }
}
