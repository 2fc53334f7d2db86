import Glibc
import Graph
import Operators
import Parallel
import Tensors

/// Where a plan for several images begins image by image (`Opening`).
extension PlanBuilder {
  /// The same steps, planned for one image, and how many of them are run so.
  struct Beginning {
    let builder: PlanBuilder
    let count: Int
    let images: Int
    let isDivided: [Bool]
  }

  /// In the time of a byte that comes from memory or goes there, between the multiplications of a step, so many bytes of
  /// weights are read in a stream, and one thread multiplies so often (docs/performance.md, "Batches").
  private static let (weightsPerByte, multiplicationsPerByte) = (2.5, 40.0)
  /// Values of fewer bytes stay in the caches however many images there are.
  private static let cachedByteCount = 8 << 20
  /// What a thread gains where it need not wait for others after each step, in multiplications of that step.
  private static let waitingShare = 0.08

  /// How many images there are: the first extent of what is fed.
  private static func images(_ feeds: [Operand]) -> Int {
    feeds.reduce(1) { max($0, $1.shape.rank > 1 ? $1.shape[0] : 1) }
  }

  /// `original` plans the same nodes for the same feeds, and has not begun.
  func beginning(
    _ original: PlanBuilder, _ declared: [(value: ValueID, type: ElementType, shape: Shape)], fetches: [ValueID]
  ) throws -> Beginning? {
    let images = Self.images(feeds)
    let steps = drafts.filter { !$0.isAbsorbed }
    // With fewer images than threads some would idle. And before anything is planned twice: whether it would pay.
    guard images > 1, images >= parallel.threads, bestCut(steps, images, limit: steps.count) > 0 else { return nil }
    let isDivided = feeds.map { $0.shape.rank > 0 && $0.shape[0] == images }
    var one = original
    do {
      let ofOne = zip(declared, isDivided).map { feed, isDivided in
        (feed.value, feed.type, isDivided ? Shape(trusted: [1] + feed.shape.dimensions.dropFirst()) : feed.shape)
      }
      let fed = original.graph.dependents(of: Set(declared.map(\.value)))
      // What depends on weights alone is not computed, and packed, again.
      one.values = values.filter {
        $0.value.operand.constant != nil && !fed.contains($0.key) && $0.key.index < original.graph.valueCount
      }
      for i in try one.prepare(ofOne, [:], fetches) { try one.add(at: i) }
    } catch let failure as Failure where failure.kind == .cancelled {
      throw failure
    } catch {
      return nil
    }
    let limit = apart(steps, one.drafts.filter { !$0.isAbsorbed }, one, images, isDivided)
    let count = bestCut(steps, images, limit: limit)
    return count > 0 ? Beginning(builder: one, count: count, images: images, isDivided: isDivided) : nil
  }

  /// How many of the first steps to run image by image, where `limit` can be: what is saved by values in the caches,
  /// less what reading weights again costs, is the most.
  private func bestCut(_ steps: [Draft], _ images: Int, limit: Int) -> Int {
    let threads = Double(parallel.threads)
    var (best, gain, sum) = (0, 0.0, 0.0)
    for (i, step) in steps.prefix(limit).enumerated() {
      var bytes = 0
      for case let place? in step.inputs + step.outputs {
        switch place {
        case .buffer(let buffer): bytes += bufferSizes[buffer]
        case .feed(let feed): bytes += feeds[feed].byteCount
        case .constant: break
        }
      }
      let weights = step.request?.inputs.reduce(0) { $0 + ($1?.constant?.byteCount ?? 0) } ?? 0
      let multiplications = Double(step.multiplyAdds) / Double(images) / Self.multiplicationsPerByte / threads
      let again = max(0, Double(weights) / Self.weightsPerByte - multiplications)
      sum += bytes > Self.cachedByteCount ? Double(bytes) : 0
      sum -= Double(images - 1) * again
      if parallel.threads > 1 { sum += Self.waitingShare * Double(images) * multiplications }
      // A few percent of nothing are not worth a second plan. Steps without weights go with what they read.
      let goesAlong = best == i && best > 0 && weights == 0 && sum >= gain
      if goesAlong || sum > gain && sum > Double(Self.cachedByteCount) { (best, gain) = (i + 1, sum) }
    }
    return best
  }

  /// How many of the first steps compute of each image just what they compute of it alone.
  private func apart(_ all: [Draft], _ ones: [Draft], _ one: PlanBuilder, _ images: Int, _ isDivided: [Bool]) -> Int {
    // Buffers that hold the same of each image, one behind the other.
    var divided: Set<Int> = []
    func isStack(_ place: Place?, _ other: Place?) -> Bool {
      switch (place, other) {
      case (.buffer(let buffer), .buffer(let same)): buffer == same && divided.contains(buffer)
      case (.feed(let feed), .feed(let same)): feed == same && isDivided[feed]
      default: false
      }
    }
    for (i, (step, single)) in zip(all, ones).enumerated() {
      guard step.hasForm(of: single), isLocal(step), step.hasConstants(of: single, images: images) else { return i }
      var stacks: [Shape] = []
      for (k, (place, other)) in zip(step.inputs, single.inputs).enumerated() {
        if isStack(place, other) {
          guard let shape = step.request?.inputs[k]?.shape else { continue }
          guard let own = single.request?.inputs[k]?.shape, shape.isStack(of: own, images) else { return i }
          stacks.append(shape)
        } else {
          switch place {
          case .constant, nil: break
          case .feed(let feed) where !isDivided[feed]: break
          default: return i
          }
        }
      }
      // Where several are brought to one shape, all of them must begin with the axis of images.
      if let shape = step.shape, let own = single.shape {
        guard !stacks.isEmpty, shape.isStack(of: own, images),
          stacks.count == 1 || stacks.allSatisfy({ $0.rank == shape.rank || $0.count == shape.count })
        else { return i }
      }
      for (output, same) in zip(step.outputs, single.outputs) {
        guard case .buffer(let buffer)? = output, case .buffer(buffer)? = same,
          bufferSizes[buffer] == images * one.bufferSizes[buffer]
        else { return i }
        divided.insert(buffer)
      }
    }
    return min(all.count, ones.count)
  }

  private func isLocal(_ step: Draft) -> Bool {
    guard let request = step.request else {
      // Into another order of axes; the first stays.
      return step.node.domain == "limpid" && step.node.operation == "Permute" && step.inputs.count == 1
    }
    let definition = Operators.definition(step.node.operation, domain: step.node.domain)
    return (try? definition?.locality(request))?.contains(.image) ?? false
  }
}

extension PlanBuilder.Draft {
  fileprivate func hasForm(of other: Self) -> Bool {
    node.operation == other.node.operation && node.domain == other.node.domain && inputs.count == other.inputs.count
      && outputs.count == other.outputs.count && request?.inputs.count == other.request?.inputs.count
      && (request?.inputs.count ?? inputs.count) >= inputs.count
  }

  /// Whether what is known beforehand is the same for each image; a shape to be had may count them.
  fileprivate func hasConstants(of other: Self, images: Int) -> Bool {
    guard let inputs = request?.inputs, let others = other.request?.inputs else { return true }
    return zip(inputs, others).allSatisfy { operand, own in
      switch (operand?.constant, own?.constant) {
      case (nil, nil): true
      case (let all?, let one?):
        all.isStack(of: one, all.shape == one.shape ? 1 : images)
          || ["Expand", "Resize"].contains(node.operation) && all.isExtents(of: one, images)
      default: false
      }
    }
  }
}

extension Shape {
  /// Whether a tensor of this shape may be `images` of the other, one behind the other.
  fileprivate func isStack(of one: Shape, _ images: Int) -> Bool {
    rank == one.rank && rank > 0 && dimensions[0] == images * one[0]
      && dimensions.dropFirst() == one.dimensions.dropFirst()
  }
}

extension Tensor {
  fileprivate func isStack(of one: Tensor, _ images: Int) -> Bool {
    guard type == one.type, images == 1 ? shape == one.shape : shape.isStack(of: one.shape, images) else {
      return false
    }
    if storage === one.storage, byteOffset == one.byteOffset { return images == 1 }
    return (0..<images).allSatisfy { memcmp(data + $0 * one.byteCount, one.data, one.byteCount) == 0 }
  }

  /// Whether these are the extents of `images` times what `one` are the extents of.
  fileprivate func isExtents(of one: Tensor, _ images: Int) -> Bool {
    guard type == .int64, one.type == .int64, shape == one.shape, shape.rank == 1, count > 0,
      let all = try? integers(), let own = try? one.integers()
    else { return false }
    return all[0] == images * own[0] && all.dropFirst() == own.dropFirst()
  }
}
