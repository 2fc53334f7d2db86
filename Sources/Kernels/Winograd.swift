import KernelCore
import Parallel
import Tensors

extension Kernels.Convolution {
  /// The patches of which Winograd's algorithm makes the output, or nil where the sums are direct.
  ///
  /// Only the shape of the layer decides, never the batch or the threads, so that these do not change a bit. Small
  /// sides waste parts of large patches, and read weights 36/9 or 24/9 times as large for few of them; of 7×7 outputs,
  /// patches of two by two need 0.58 of the multiplications, with weights 16/9 times as large. With few channels the
  /// transforms weigh more than the products.
  var patch: Patch? {
    let channels = min(inputChannels, outputChannels) / max(1, groups)
    let side = min(outputHeight, outputWidth)
    guard strideY == 1, strideX == 1, dilationY == 1, dilationX == 1, channels >= 32, side >= 7 else { return nil }
    return switch (kernelHeight, kernelWidth) {
    case (3, 3): side >= 20 ? .fourByFour : side >= 11 ? .twoByFour : .twoByTwo
    case (5, 5): .twoByTwoOfFive
    default: nil
    }
  }
}

/// A convolution by Winograd's algorithm: geometry, memory, order of work.
///
/// Patches of all images, or of regions of several forms of one, are numbered through, and taken in blocks: the values of
/// a block at all points, the products point by point, the outputs. Where the weights of all points stay in the
/// second-level cache, a block is a task, small enough to stay there beside them, and each thread gets as many. Else one
/// block after the other, with all threads, is so large that weights are seldom read again, and each of the three stages
/// is divided.
struct Winograd {
  let c: Kernels.Convolution
  let patch: Patch
  /// Of one group.
  let channels, columns: Int
  /// Columns of the packed weights: whole panels.
  let packedColumns: Int
  let patchesAcross, patchesPerImage, patches: Int
  let isShared: Bool
  /// How many blocks, and the patches of the largest.
  let blocks, blockPatches: Int

  private let valueRow, valuePlane, productRow, productPlane: Int

  /// `patches`: how many there are, where they are not those of the whole maps.
  init(
    _ c: Kernels.Convolution, _ patch: Patch, _ kernels: Kernels, patches some: Int? = nil, threads: Int
  ) {
    self.c = c
    self.patch = patch
    (channels, columns) = (c.inputChannels / c.groups, c.outputChannels / c.groups)
    packedColumns = kernels.packedCount(depth: 1, columns: columns)
    patchesAcross = (c.outputWidth + patch.columns - 1) / patch.columns
    patchesPerImage = patchesAcross * ((c.outputHeight + patch.rows - 1) / patch.rows)
    patches = some ?? patchesPerImage * c.batch
    (valueRow, productRow) = (Self.rounded(channels), Self.rounded(packedColumns))
    isShared = patch.pointCount * channels * packedColumns > Self.cachedWeights
    let patchFloats = patch.pointCount * (valueRow + productRow)
    let wish = isShared ? Self.sharedFloats / patchFloats : Self.ownFloats / patchFloats
    let fewest = max(1, (patches + max(12, wish) - 1) / max(12, wish))
    let alike = fewest.roundedUp(to: max(1, threads))
    blocks = isShared || c.groups % max(1, threads) == 0 || patches < 8 * alike ? fewest : alike
    blockPatches = max(1, (patches + blocks - 1) / blocks)
    valuePlane = Self.plane(blockPatches * valueRow)
    productPlane = Self.plane(blockPatches * productRow)
  }

  /// Floats of weights that are read again for each block of a task's own, and floats of values and products of a
  /// block, where it is a task's own and where it is shared.
  private static let cachedWeights = 5 << 16
  private static let ownFloats = 9 << 14
  private static let sharedFloats = 1 << 21

  /// Whole vectors of any width.
  private static func rounded(_ floats: Int) -> Int { floats.roundedUp(to: 16) }

  /// An odd number of cache lines: the points of one patch then fall into different sets of the first-level cache.
  private static func plane(_ floats: Int) -> Int { (floats + 15) / 16 / 2 * 32 + 16 }

  // MARK: Memory

  private var blockBytes: Int { 4 * patch.pointCount * (valuePlane + productPlane) }

  /// A `Scratch`, pointers to the pixels of a patch, a vector of each point, zeros in place of padding, and the outputs
  /// of a patch that are pooled.
  private var slotBytes: Int {
    Scratch.byteCount(rows: blockPatches, taps: 1) + 36 * 8 + 4 * (PatchPixels.scratchCount + valueRow + pooledFloats)
      + 32
  }

  private var pooledFloats: Int { c.isPooled ? patch.rows * patch.columns * Self.rounded(columns) : 0 }

  /// Bytes for `threads` threads.
  func workspace(threads: Int) -> Int {
    isShared ? blockBytes + max(1, threads) * slotBytes : max(1, threads) * (blockBytes + slotBytes)
  }

  struct Slot {
    let scratch: Scratch
    let pixels: UnsafeMutablePointer<UnsafePointer<Float>>
    let vectors: UnsafeMutablePointer<Float>
    let zeros: UnsafeMutablePointer<Float>
    /// The outputs of a patch, before they are pooled.
    let outputs: UnsafeMutablePointer<Float>
  }

  func slot(_ memory: UnsafeMutableRawPointer) -> Slot {
    let pixels = memory + Scratch.byteCount(rows: blockPatches, taps: 1)
    let vectors = (pixels + 320).assumingMemoryBound(to: Float.self)
    let zeros = vectors + PatchPixels.scratchCount
    zeros.update(repeating: 0, count: valueRow)
    return Slot(
      scratch: Scratch(memory, rows: blockPatches), pixels: pixels.assumingMemoryBound(to: UnsafePointer<Float>.self),
      vectors: vectors, zeros: zeros, outputs: zeros + valueRow)
  }

  // MARK: Order of work

  /// Whose patches these are.
  enum Maps {
    /// Images one after the other.
    case whole(UnsafePointer<Float>)
    case regions(PatchList, PatchedMaps)
  }

  /// What a call is given.
  private struct Operands {
    let kernels: Kernels
    let maps: Maps
    let packed: UnsafePointer<Float>
    let output: UnsafeMutablePointer<Float>
    let epilogue: Kernels.Epilogue
    let parallel: Parallel
  }

  func run(
    _ kernels: Kernels, _ maps: Maps, _ packed: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Kernels.Epilogue, workspace: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    let o = Operands(
      kernels: kernels, maps: maps, packed: packed, output: output, epilogue: epilogue, parallel: parallel)
    func block(_ i: Int) -> Range<Int> { patches * i / blocks..<patches * (i + 1) / blocks }
    if !isShared && c.groups * blocks >= parallel.threads {
      return parallel.forEachTask(c.groups * blocks) { task, slot in
        computeAlone(block(task % blocks), group: task / blocks, o, workspace + slot * (blockBytes + slotBytes))
      }
    }
    for group in 0..<c.groups {
      for i in 0..<blocks { computeTogether(block(i), group: group, o, workspace) }
    }
  }

  /// Floats of the packed weights of a group.
  private var groupWeightCount: Int { patch.pointCount * channels * packedColumns }

  private func computeAlone(_ block: Range<Int>, group: Int, _ o: Operands, _ memory: UnsafeMutableRawPointer) {
    let values = memory.assumingMemoryBound(to: Float.self)
    let products = values + patch.pointCount * valuePlane
    let slot = slot(memory + blockBytes)
    evaluate(o, block, group, values, block.lowerBound, slot)
    for point in 0..<patch.pointCount {
      multiply(
        o.kernels, point, 0..<block.count, 0..<packedColumns, values, o.packed + group * groupWeightCount, products,
        slot)
    }
    interpolate(o, block, products, block.lowerBound, group, slot)
  }

  /// Each of the three stages is divided among the threads.
  private func computeTogether(_ block: Range<Int>, group: Int, _ o: Operands, _ memory: UnsafeMutableRawPointer) {
    let values = memory.assumingMemoryBound(to: Float.self)
    let products = values + patch.pointCount * valuePlane
    func slot(_ i: Int) -> Slot { self.slot(memory + blockBytes + i * slotBytes) }
    func patches(_ part: Range<Int>) -> Range<Int> {
      block.lowerBound + part.lowerBound..<block.lowerBound + part.upperBound
    }
    o.parallel.forEachPart(block.count) {
      evaluate(o, patches($0), group, values, block.lowerBound, slot($1))
    }
    let grid = TaskGrid(rows: block.count, columns: packedColumns, rowFloats: channels, threads: 1) { rowBlocks in
      let threads = o.parallel.threads
      let chunks = threads == 1 ? 1 : max(1, 4 * threads / (rowBlocks * patch.pointCount))
      let panels = (packedColumns + o.kernels.panelWidth - 1) / o.kernels.panelWidth
      return (panels + chunks - 1) / chunks * o.kernels.panelWidth
    }
    o.parallel.forEachTask(patch.pointCount * grid.count) { task, i in
      let (rows, columns) = grid[task % grid.count]
      multiply(
        o.kernels, task / grid.count, rows, columns, values, o.packed + group * groupWeightCount, products, slot(i))
    }
    o.parallel.forEachPart(block.count) {
      interpolate(o, patches($0), products, block.lowerBound, group, slot($1))
    }
  }

  // MARK: Stages

  private func evaluate(
    _ o: Operands, _ patches: Range<Int>, _ group: Int, _ values: UnsafeMutablePointer<Float>, _ first: Int,
    _ slot: Slot
  ) {
    for patch in patches {
      switch o.maps {
      case .whole(let input): point(patch, input + group * channels, slot)
      case .regions(let list, let input): list.point(patch, of: input, c, firstChannel: group * channels, slot)
      }
      o.kernels.table.evaluate(
        self.patch,
        PatchPixels(
          pointers: slot.pixels, channels: channels, values: values + (patch - first) * valueRow,
          pointStride: valuePlane, scratch: slot.vectors))
    }
  }

  /// Fills in where the pixels under a patch are, or zeros.
  private func point(_ patch: Int, _ input: UnsafePointer<Float>, _ slot: Slot) {
    let (image, place) = patch.quotientAndRemainder(dividingBy: patchesPerImage)
    let top = place / patchesAcross * self.patch.rows - c.padTop
    let left = place % patchesAcross * self.patch.columns - c.padLeft
    let picture = input + image * c.inputHeight * c.inputWidth * c.inputChannels
    var next = slot.pixels
    for y in top..<top + self.patch.pointRows {
      let isRow = y >= 0 && y < c.inputHeight
      for x in left..<left + self.patch.pointColumns {
        let isInside = isRow && x >= 0 && x < c.inputWidth
        next.pointee = isInside ? picture + (y * c.inputWidth + x) * c.inputChannels : UnsafePointer(slot.zeros)
        next += 1
      }
    }
  }

  private func multiply(
    _ kernels: Kernels, _ point: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ values: UnsafePointer<Float>,
    _ packed: UnsafePointer<Float>, _ products: UnsafeMutablePointer<Float>, _ slot: Slot
  ) {
    let plane = values + point * valuePlane
    for (i, row) in rows.enumerated() { slot.scratch.pointers[i] = plane + row * valueRow }
    let product = Product(
      taps: 1, channels: channels, columns: packedColumns, weights: packed + point * channels * packedColumns,
      output: products + point * productPlane, stride: productRow, epilogue: .none, isInterpolated: true)
    kernels.compute(product, rows, columns, slot.scratch, zeros: nil)
  }

  private func interpolate(
    _ o: Operands, _ patches: Range<Int>, _ products: UnsafePointer<Float>, _ first: Int, _ group: Int, _ slot: Slot
  ) {
    let bias = o.epilogue.bias.map { $0 + group * columns }
    for patch in patches {
      let products = products + (patch - first) * productRow
      if c.isPooled {
        pool(o, products, bias, target(patch), group, slot)
        continue
      }
      let target =
        switch o.maps {
        case .whole: target(patch)
        case .regions(let list, _): list.target(patch)
        }
      let offset = target.pixel * c.outputChannels + group * columns
      interpolate(
        o, products, bias, residual: o.epilogue.residual.map { $0 + offset }, target, into: o.output + offset,
        stride: c.outputChannels, slot)
    }
  }

  /// The outputs of one patch, `stride` floats from one pixel to the next.
  private func interpolate(
    _ o: Operands, _ products: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    _ target: Target, into output: UnsafeMutablePointer<Float>, stride: Int, _ slot: Slot
  ) {
    let clamp = o.epilogue.activation?.clampRange
    o.kernels.table.interpolate(
      patch,
      PatchOutputs(
        products: products, pointStride: productPlane, channels: columns, rows: target.rows, columns: target.columns,
        output: output, rowStride: target.rowPixels * stride, pixelStride: stride, bias: bias, residual: residual,
        low: clamp?.lowerBound ?? -.infinity, high: clamp?.upperBound ?? .infinity, scratch: slot.vectors))
    for row in target.rows {
      let start = row * target.rowPixels
      o.kernels.applyUnclamped(
        o.epilogue, output, stride: stride, start + target.columns.lowerBound..<start + target.columns.upperBound,
        0..<columns)
    }
  }

  /// The largest of each 2×2 outputs of one patch, which lie in the first-level cache meanwhile.
  private func pool(
    _ o: Operands, _ products: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, _ target: Target, _ group: Int,
    _ slot: Slot
  ) {
    let stride = Self.rounded(columns)
    let own = Target(pixel: 0, rows: target.rows, columns: target.columns, rowPixels: patch.columns)
    interpolate(o, products, bias, residual: nil, own, into: slot.outputs, stride: stride, slot)
    let (line, x) = target.pixel.quotientAndRemainder(dividingBy: c.outputWidth)
    let (image, y) = line.quotientAndRemainder(dividingBy: c.outputHeight)
    for row in 0..<target.rows.count / 2 {
      let pixel = (image * (c.outputHeight / 2) + y / 2 + row) * (c.outputWidth / 2) + x / 2
      for column in 0..<target.columns.count / 2 {
        for tap in 0..<4 {
          let place = (2 * row + tap / 2) * patch.columns + 2 * column + tap % 2
          slot.pixels[tap] = UnsafePointer(slot.outputs + place * stride)
        }
        o.kernels.table.maximumOfTaps(
          slot.pixels, 4, columns, o.output + (pixel + column) * c.outputChannels + group * columns)
      }
    }
  }

  /// Where the outputs of a patch are written.
  struct Target {
    /// The pixel of the output with which the patch begins, were all of it written.
    let pixel: Int
    /// What is written of the patch.
    let rows, columns: Range<Int>
    /// From one row of the output to the next.
    let rowPixels: Int
  }

  private func target(_ patch: Int) -> Target {
    let (image, place) = patch.quotientAndRemainder(dividingBy: patchesPerImage)
    let (y, x) = (place / patchesAcross * self.patch.rows, place % patchesAcross * self.patch.columns)
    return Target(
      pixel: (image * c.outputHeight + y) * c.outputWidth + x, rows: 0..<min(self.patch.rows, c.outputHeight - y),
      columns: 0..<min(self.patch.columns, c.outputWidth - x), rowPixels: c.outputWidth)
  }
}

extension Kernels {
  /// `Convolution.patch`, but for OpenBLAS, which has no transforms.
  func patch(_ c: Convolution) -> Patch? { variant == .openblas ? nil : c.patch }

  /// Whether a convolution with weights in this packing may write the largest of 2×2 outputs in place of all.
  public func pools(_ packing: Packing) -> Bool {
    if case .points = packing.order { true } else { false }
  }

  /// The time of a convolution in terms of direct sums; as measured, but for
  /// split numbers, of which three products are made.
  public func relativeCost(_ c: Convolution) -> Double {
    let numbers = numbers(channels: c.inputChannels / c.groups, columns: c.outputChannels / c.groups)
    guard let patch = c.patch, !isFaster(numbers, than: patch) else { return 1 }
    let ofFloat32 =
      switch patch {
      case .twoByTwo: 0.65
      case .twoByFour, .twoByTwoOfFive: 0.45
      case .fourByFour: 0.35
      }
    return switch numbers {
    case .float32: ofFloat32
    case .bfloat16: ofFloat32 / 0.55
    case .splitBFloat16: min(1, ofFloat32 / 0.5)
    }
  }
}
