import KernelCore
public import Parallel
import Tensors

/// Convolutions and pools of regions: the kernels of whole maps, with pointers into the image's maps or into the parts
/// that differ. So each output is summed in the same order, and has the same bits as where the whole is computed of the
/// form's values; by Winograd's algorithm, from whole patches (`PatchList`).
extension Kernels {
  /// Bytes that `convolve(_:regions:…)` needs for these regions.
  public func regionWorkspace(_ c: Convolution, _ packing: Packing, _ wanted: RegionList, threads: Int) -> Int {
    switch packing.order {
    case .byChannel: return 0
    case .points(let patch):
      return Winograd(c, patch, self, patches: PatchList(patch, wanted).count, threads: threads).workspace(
        threads: threads)
    case .panels, .rows:
      return RegionWindows(c, packing, self, wanted, threads: threads).slotBytes * max(1, threads)
    }
  }

  /// What of computing the whole of a convolution computing a region of its result is.
  public func regionShare(_ c: Convolution, _ packing: Packing, _ region: Region) -> Double {
    let whole = Region(rows: 0..<c.outputHeight, columns: 0..<c.outputWidth)
    if case .points(let patch) = packing.order {
      return Double(PatchList.count(patch, region)) / Double(max(1, PatchList.count(patch, whole)))
    }
    return Double(region.area) / Double(max(1, whole.area))
  }

  /// `packed`: weights as `packing`. `output`: [pixels of `wanted`, channels]; the residual of the epilogue is laid out
  /// so, and may be the output itself.
  public func convolve(
    _ c: Convolution, regions wanted: RegionList, of input: PatchedMaps, _ packed: UnsafePointer<Float>,
    as packing: Packing, into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue,
    workspace: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    guard wanted.count > 0 else { return }
    switch packing.order {
    case .byChannel:
      return convolveDepthwise(c, regions: wanted, of: input, packed, into: output, epilogue, parallel)
    case .points(let patch):
      let patches = PatchList(patch, wanted)
      return Winograd(c, patch, self, patches: patches.count, threads: parallel.threads).run(
        self, .regions(patches, input), packed, into: output, epilogue, workspace: workspace, parallel)
    case .panels, .rows: break
    }
    let windows = RegionWindows(c, packing, self, wanted, threads: parallel.threads)
    let grid = windows.grid
    let order = windows.isOrdered ? PixelOrder(c, wanted) : nil
    parallel.forEachTask(c.groups * grid.count) { task, slot in
      let (rows, columnRange) = grid[task % grid.count]
      let group = task / grid.count
      let memory = workspace + slot * windows.slotBytes
      let scratch = Scratch(memory, rows: grid.blockRows)
      let zeros = (memory + windows.scratchBytes).assumingMemoryBound(to: Float.self)
      zeros.update(repeating: 0, count: windows.channels)
      windows.point(rows, wanted, order, input, group: group, scratch, zeros)
      let first = group * windows.columns
      var product = Product(
        taps: windows.taps, channels: windows.channels, columns: windows.columns, numbers: packing.numbers,
        weights: packed + group * packing.groupCount, output: output + first, stride: c.outputChannels,
        epilogue: Epilogue(
          bias: epilogue.bias.map { $0 + first }, residual: epilogue.residual.map { $0 + first },
          activation: epilogue.activation),
        unit: c.runUnit(packing))
      guard let order else {
        return compute(product, rows, columnRange, scratch, zeros: UnsafePointer(zeros))
      }
      // Rows of the result that do not lie together come about elsewhere.
      let own = (memory + windows.restOffset).assumingMemoryBound(to: Float.self)
      func forEachRow(_ body: (_ own: UnsafeMutablePointer<Float>, _ place: Int) -> Void) {
        for (i, row) in rows.enumerated() {
          body(
            own + (i * windows.columns + columnRange.lowerBound),
            order.pixels[row].place * c.outputChannels + columnRange.lowerBound)
        }
      }
      let (source, target) = (product.epilogue.residual, product.output)
      if let source { forEachRow { $0.update(from: source + $1, count: columnRange.count) } }
      (product.output, product.stride) = (own, windows.columns)
      product.epilogue.residual = source == nil ? nil : UnsafePointer(own)
      compute(product, 0..<rows.count, columnRange, scratch, zeros: UnsafePointer(zeros))
      forEachRow { (target + $1).update(from: $0, count: columnRange.count) }
    }
  }

  /// The same for `convolveDepthwise`.
  private func convolveDepthwise(
    _ c: Convolution, regions wanted: RegionList, of input: PatchedMaps, _ weights: UnsafePointer<Float>,
    into output: UnsafeMutablePointer<Float>, _ epilogue: Epilogue, _ parallel: Parallel
  ) {
    let clamp = epilogue.activation?.clampRange
    let channels = c.outputChannels
    let taps = c.kernelHeight * c.kernelWidth
    let pointerBytes = MemoryLayout<UnsafePointer<Float>>.stride * taps * 4
    parallel.forEach(wanted.count, grain: 32) { pixels in
      withUnsafeTemporaryAllocation(byteCount: pointerBytes + 4 * channels, alignment: 64) { memory in
        guard let base = memory.baseAddress else { return }
        let pointers = base.assumingMemoryBound(to: UnsafePointer<Float>.self)
        let zeros = (base + pointerBytes).assumingMemoryBound(to: Float.self)
        zeros.update(repeating: 0, count: channels)
        wanted.forEachRun(in: pixels) { form, y, columns, place in
          for x in stride(from: columns.lowerBound, to: columns.upperBound, by: 4) {
            let count = min(4, columns.upperBound - x)
            for tap in 0..<taps {
              let iy = y * c.strideY - c.padTop + tap / c.kernelWidth * c.dilationY
              for i in 0..<4 {
                let ix = (x + min(i, count - 1)) * c.strideX - c.padLeft + tap % c.kernelWidth * c.dilationX
                let isInside = iy >= 0 && iy < c.inputHeight && ix >= 0 && ix < c.inputWidth
                pointers[4 * tap + i] = isInside ? input.pixel(form, iy, ix) : UnsafePointer(zeros)
              }
            }
            let offset = (place + x - columns.lowerBound) * channels
            table.depthwise(
              DepthwiseStrip(
                pointers: pointers, pixels: count, taps: taps, channels: channels, weights: weights,
                bias: epilogue.bias, residual: epilogue.residual.map { $0 + offset }, output: output + offset,
                low: clamp?.lowerBound ?? -.infinity, high: clamp?.upperBound ?? .infinity))
          }
          applyUnclamped(epilogue, output, stride: channels, place..<place + columns.count, 0..<channels)
        }
      }
    }
  }

  /// The same for `poolMaximum` and `poolAverage`.
  public func pool(
    _ p: Pooling, average: Bool, regions wanted: RegionList, of input: PatchedMaps,
    into output: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    let capacity = min(p.kernelHeight, p.inputHeight) * min(p.kernelWidth, p.inputWidth)
    parallel.forEach(wanted.count, grain: 32) { pixels in
      withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: capacity) { memory in
        guard let taps = memory.baseAddress else { return }
        wanted.forEachRun(in: pixels) { form, y, columns, place in
          for x in columns {
            var count = 0
            let (rows, across) = p.taps(y, x)
            for iy in rows {
              for ix in across {
                taps[count] = input.pixel(form, iy, ix)
                count += 1
              }
            }
            let target = output + (place + x - columns.lowerBound) * p.channels
            if average {
              let divisor = p.countIncludePad ? p.paddedCount(y, x) : count
              table.meanOfTaps(taps, count, p.channels, Float(max(1, divisor)), target)
            } else {
              table.maximumOfTaps(taps, count, p.channels, target)
            }
          }
        }
      }
    }
  }
}

/// The order of work of a convolution of regions, and its memory.
private struct RegionWindows {
  let c: Kernels.Convolution
  let grid: TaskGrid
  let taps, channels, columns: Int
  let scratchBytes: Int
  /// Whether each row of the kernel is one tap, as in `Windows`: runs of summands end with it there.
  private let isMerged: Bool
  /// Whether pixels are in the order of `PixelOrder`, not in that of the list.
  let isOrdered: Bool
  /// Memory of one task: a `Scratch`, then zeros, then rows of the result in their own order, or copies of the input.
  let slotBytes: Int
  let restOffset: Int

  init(_ c: Kernels.Convolution, _ packing: Packing, _ kernels: Kernels, _ wanted: RegionList, threads: Int) {
    self.c = c
    isMerged = c.mergesRows(packing)
    taps = isMerged ? c.kernelHeight : c.kernelHeight * c.kernelWidth
    channels = c.inputChannels / c.groups * (isMerged ? c.kernelWidth : 1)
    columns = c.outputChannels / c.groups
    let rounded = packing.roundedWords
    let isBLAS = kernels.variant == .openblas
    grid = kernels.grid(
      rows: wanted.count, columns: columns,
      rowFloats: rounded > 0 ? taps * rounded : c.inputChannels / c.groups * c.strideX * c.strideY, threads: threads)
    // The sums of OpenBLAS depend on which rows go together.
    isOrdered = !isMerged && !isBLAS && PixelOrder.pays(c, wanted)
    scratchBytes = Scratch.byteCount(rows: grid.blockRows, taps: taps, gathering: isBLAS ? channels : rounded)
    restOffset = scratchBytes + (4 * channels).roundedUp(to: 64)
    let copied = isMerged ? c.kernelHeight * max(c.strideX, c.kernelWidth) * c.inputChannels : 0
    slotBytes = restOffset + (4 * grid.blockRows * (isOrdered ? columns : copied)).roundedUp(to: 64)
  }

  func point(
    _ pixels: Range<Int>, _ wanted: RegionList, _ order: PixelOrder?, _ input: PatchedMaps, group: Int,
    _ scratch: Scratch, _ zeros: UnsafeMutablePointer<Float>
  ) {
    if isMerged { return pointToCopies(pixels, wanted, input, scratch, zeros) }
    let first = group * channels
    if let order {
      for (i, pixel) in order.pixels[pixels].enumerated() {
        for ky in 0..<c.kernelHeight {
          let iy = pixel.y * c.strideY - c.padTop + ky * c.dilationY
          let row = input.row(iy, of: pixel.form, firstChannel: first, UnsafePointer(zeros))
          for kx in 0..<c.kernelWidth {
            scratch.pointers[(ky * c.kernelWidth + kx) * scratch.pointerStride + i] =
              row[pixel.x * c.strideX - c.padLeft + kx * c.dilationX]
          }
        }
      }
      return
    }
    wanted.forEachRun(in: pixels) { form, y, columns, place in
      for ky in 0..<c.kernelHeight {
        let iy = y * c.strideY - c.padTop + ky * c.dilationY
        let row = input.row(iy, of: form, firstChannel: first, UnsafePointer(zeros))
        for kx in 0..<c.kernelWidth {
          let pointers =
            scratch.pointers
            + ((ky * c.kernelWidth + kx) * scratch.pointerStride + place - pixels.lowerBound)
          var ix = columns.lowerBound * c.strideX - c.padLeft + kx * c.dilationX
          for i in 0..<columns.count {
            pointers[i] = row[ix]
            ix += c.strideX
          }
        }
      }
    }
  }

  /// Each run of pixels reads copies of what lies under it in the rows of the kernel.
  private func pointToCopies(
    _ pixels: Range<Int>, _ wanted: RegionList, _ input: PatchedMaps, _ scratch: Scratch,
    _ zeros: UnsafeMutablePointer<Float>
  ) {
    var line = UnsafeMutableRawPointer(zeros) + (restOffset - scratchBytes)
    wanted.forEachRun(in: pixels) { form, y, columns, place in
      let width = (columns.count - 1) * c.strideX + c.kernelWidth
      let left = columns.lowerBound * c.strideX - c.padLeft
      for ky in 0..<c.kernelHeight {
        let row = input.row(
          y * c.strideY - c.padTop + ky * c.dilationY, of: form, firstChannel: 0, UnsafePointer(zeros))
        let copy = line.assumingMemoryBound(to: Float.self)
        for i in 0..<width {
          let (pixel, target) = (row[left + i], copy + i * c.inputChannels)
          for channel in 0..<c.inputChannels { target[channel] = pixel[channel] }
        }
        let pointers = scratch.pointers + (ky * scratch.pointerStride + place - pixels.lowerBound)
        for i in 0..<columns.count { pointers[i] = UnsafePointer(copy + i * c.strideX * c.inputChannels) }
        line += 4 * width * c.inputChannels
      }
    }
  }
}

extension Kernels.Pooling {
  /// The rows and columns of the input under one window.
  fileprivate func taps(_ y: Int, _ x: Int) -> (StrideTo<Int>, StrideTo<Int>) {
    func places(_ first: Int, _ dilation: Int, _ kernel: Int, _ extent: Int) -> StrideTo<Int> {
      let inside = Self.inside(first, dilation, kernel, extent)
      return stride(from: first + inside.lowerBound * dilation, to: first + inside.upperBound * dilation, by: dilation)
    }
    return (
      places(y * strideY - padTop, dilationY, kernelHeight, inputHeight),
      places(x * strideX - padLeft, dilationX, kernelWidth, inputWidth)
    )
  }

  fileprivate func paddedCount(_ y: Int, _ x: Int) -> Int {
    Self.inside(y * strideY, dilationY, kernelHeight, inputHeight + padTop + padBottom).upperBound
      * Self.inside(x * strideX, dilationX, kernelWidth, inputWidth + padLeft + padRight).upperBound
  }
}
