import Graph
import Kernels
import Operators
import Parallel
import Tensors

extension RegionalPlan {
  /// Writes the values that the rest of the graph reads, whole, of `forms` [forms, channels, height, width] into
  /// `values`, each for more forms, from form `first` on.
  func run(
    _ forms: UnsafePointer<Float>, _ regions: [Region], _ base: Base, into values: [Tensor], from first: Int,
    _ progress: Progress
  ) throws {
    let lists = reached(regions)
    let arena = arena(lists)
    let workspace = try workspace(lists)
    let byteCount = arena.byteCount + workspace
    try engine.limit.check(byteCount, for: "\(regions.count) changed forms of an image")
    let block = try plan.pool.take(byteCount)
    defer { plan.pool.give(block) }
    func patched(_ i: Int) -> PatchedMaps {
      PatchedMaps(
        height: maps[i].height, width: maps[i].width, channels: maps[i].channels,
        whole: UnsafePointer(
          plan.address(of: maps[i].location, base.feeds, base.block).assumingMemoryBound(to: Float.self)),
        list: lists[i], parts: UnsafePointer((block.base + arena.offsets[i]).assumingMemoryBound(to: Float.self)))
    }
    takeRegions(of: forms, lists[0], into: (block.base + arena.offsets[0]).assumingMemoryBound(to: Float.self))
    for (i, part) in parts.enumerated() {
      try progress.advance(i, of: parts.count)
      let output = (block.base + arena.offsets[part.output]).assumingMemoryBound(to: Float.self)
      let step = plan.steps[part.step]
      let pixels = maps[part.output].height * maps[part.output].width
      let multiplyAdds = part.multiplyAdds / pixels * lists[part.output].count
      let profiled = Profile.Step(index: part.step, operation: step.operation, title: step.title, shape: step.shape)
      try locating(step.title) {
        try progress.timing(profiled, multiplyAdds) {
          switch part.kind {
          case .windows(let regional):
            if let slot = regional.residual {
              if let residual = part.inputs[slot] {
                patched(residual).gather(
                  lists[part.output], into: output, stride: maps[part.output].channels, plan.parallel)
              } else if let location = step.inputs[slot] {
                let whole = plan.address(of: location, base.feeds, base.block).assumingMemoryBound(to: Float.self)
                PatchedMaps(
                  height: maps[part.output].height, width: maps[part.output].width,
                  channels: maps[part.output].channels,
                  whole: whole, list: RegionList(regions.map { _ in .empty }), parts: whole
                ).gather(lists[part.output], into: output, stride: maps[part.output].channels, plan.parallel)
              }
            }
            regional.run(
              RegionalStep.Invocation(
                input: patched(part.inputs[0]!), wanted: lists[part.output], output: output,
                workspace: block.base + arena.byteCount, parallel: plan.parallel))
          case .pixels(let pixels):
            try run(pixels, part, lists, output, block.base + arena.byteCount, base, patched)
          }
        }
      }
    }
    try progress.advance(parts.count, of: parts.count)
    for (value, source) in zip(values, frontier) {
      try copyWhole(patched(source.maps), regions.count, into: value, first)
    }
  }

  /// Operands whose regions are not those of the result are brought together first.
  private func run(
    _ pixels: Pixels, _ part: Part, _ lists: [RegionList], _ output: UnsafeMutablePointer<Float>,
    _ workspace: UnsafeMutableRawPointer, _ base: Base, _ patched: (Int) -> PatchedMaps
  ) throws {
    let wanted = lists[part.output]
    guard wanted.count > 0 else { return }
    if pixels.joinsMaps {
      var first = output
      for case let source? in part.inputs {
        patched(source).gather(wanted, into: first, stride: maps[part.output].channels, plan.parallel)
        first += maps[source].channels
      }
      return
    }
    let step = try pixels.step(wanted.count)
    guard case .run(let run) = step.action else { throw Failure(.internal, "a step by regions does not run") }
    var free = workspace
    let inputs = part.inputs.enumerated().map { i, source -> UnsafeRawPointer? in
      guard let source else {
        return plan.steps[part.step].inputs[i].map { UnsafeRawPointer(plan.address(of: $0, base.feeds, base.block)) }
      }
      let maps = patched(source)
      if lists[source].regions == wanted.regions { return UnsafeRawPointer(maps.parts) }
      let gathered = free.assumingMemoryBound(to: Float.self)
      maps.gather(wanted, into: gathered, stride: maps.channels, plan.parallel)
      free += (4 * wanted.count * maps.channels).roundedUp(to: 64)
      return UnsafeRawPointer(gathered)
    }
    try run(Invocation(inputs: inputs, outputs: [output], workspace: free, parallel: plan.parallel))
  }

  // MARK: Memory

  /// Bytes of a run: of regions, and of the whole values behind them in two orders.
  func byteCount(_ lists: [RegionList]) throws -> Int {
    let forms = lists[0].regions.count
    let values = frontier.reduce(0) { $0 + 4 * maps[$1.maps].shape.count * (forms + formsAtOnce(batch: forms)) }
    return arena(lists).byteCount + (try workspace(lists)) + values
  }

  private func arena(_ lists: [RegionList]) -> Arena {
    var ends = [Int](repeating: 0, count: maps.count)
    for (i, part) in parts.enumerated() {
      ends[part.output] = i
      for case let source? in part.inputs { ends[source] = i }
    }
    for value in frontier { ends[value.maps] = parts.count }
    return Arena(
      maps.indices.map { i in
        Arena.Buffer(
          byteCount: max(64, 4 * lists[i].count * maps[i].channels), life: max(0, i - 1)...max(max(0, i - 1), ends[i]))
      }, ask: {})
  }

  private func workspace(_ lists: [RegionList]) throws -> Int {
    try parts.reduce(0) { most, part in
      let pixels = lists[part.output].count
      switch part.kind {
      case .windows(let step): return max(most, step.workspace(lists[part.output]))
      case .pixels(let operation):
        if operation.joinsMaps { return most }
        let gathered = part.inputs.compactMap { $0 }.reduce(0) {
          $0 + (4 * pixels * maps[$1].channels).roundedUp(to: 64)
        }
        return max(most, gathered + (try operation.step(max(1, pixels)).workspace))
      }
    }
  }

  // MARK: Layouts

  /// The pixels of `list` of images in ONNX order, channels last.
  private func takeRegions(
    of source: UnsafePointer<Float>, _ list: RegionList, into target: UnsafeMutablePointer<Float>
  ) {
    let (channels, height, width) = (maps[0].channels, maps[0].height, maps[0].width)
    for (form, region) in list.regions.enumerated() {
      var place = target + list.starts[form] * channels
      for y in region.rows {
        for x in region.columns {
          for c in 0..<channels { place[c] = source[((form * channels + c) * height + y) * width + x] }
          place += channels
        }
      }
    }
  }

  /// Writes the whole maps of `forms` forms, in ONNX order, from form `first` of `result` on.
  private func copyWhole(_ maps: PatchedMaps, _ forms: Int, into result: Tensor, _ first: Int) throws {
    let shape = try Shape(checking: [forms, maps.channels, maps.height, maps.width])
    try engine.limit.check(4 * shape.count, for: "\(forms) values of shape \(shape)")
    let lying = try Tensor(.float32, Layout.channelsLast.physical(shape))
    let start = lying.data.assumingMemoryBound(to: Float.self)
    for form in 0..<forms { maps.write(form, into: start + form * maps.height * maps.width * maps.channels) }
    plan.kernels.copy(
      lying.data, Operand(.float32, shape, layout: .channelsLast), to: .standard,
      into: result.data + 4 * first * (shape.count / max(1, forms)), plan.parallel)
  }
}
