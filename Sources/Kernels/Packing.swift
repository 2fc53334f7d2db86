import KernelCore
public import Parallel
import Tensors

/// The form in which weights wait for the kernels: which numbers, in which order, how many bytes.
///
/// It follows from the kernels and the shape of a layer, never from the batch or the threads. Whatever holds weights
/// keeps them by their packing's description. A form that some processor wants is one case more, here and where
/// products are made of it.
public struct Packing: Sendable, Hashable, CustomStringConvertible {
  public enum Numbers: String, Sendable {
    case float32
    /// Rounded to the nearest; of two neighbouring channels, the first is the lower half of a word.
    case bfloat16
    /// The nearest of bfloat16, and what it lacks, likewise: in each panel all of the first, then all of the second.
    /// Only of whole steps of AMX.
    case splitBFloat16
  }

  enum Order: Sendable, Hashable, CustomStringConvertible {
    /// Panel after panel of neighbouring columns, each [taps, words of the channels, panel width]; the last is filled
    /// up with zeros.
    case panels
    /// One panel as wide as the matrix, as OpenBLAS has it.
    case rows
    /// Values of kernels at the points of Winograd's algorithm; each point as panels of one tap.
    case points(Patch)
    /// A kernel for each channel: [taps, channels].
    case byChannel

    var description: String {
      switch self {
      case .panels: "panels"
      case .rows: "rows"
      case .points(let patch): "points \(patch.rows)x\(patch.columns)"
      case .byChannel: "byChannel"
      }
    }
  }

  public let numbers: Numbers
  let order: Order
  let groups: Int
  /// Of one group; the depth of a matrix is channels of one tap.
  let taps, channels, columns: Int
  /// The columns of the last panel as memory has them.
  fileprivate let lastPanel: Int
  fileprivate let panel: Int

  /// Words that have the channels of one tap and column.
  var words: Int { numbers == .bfloat16 ? (channels + 1) / 2 : channels }
  /// Words that are made of each row's operand of one tap; 0 where operands are read where they lie.
  var roundedWords: Int { numbers == .float32 ? 0 : words }

  /// Words of one group.
  var groupCount: Int {
    let columns = columns / panel * panel + lastPanel
    return switch order {
    case .panels, .rows: taps * words * columns
    case .points(let patch): patch.pointCount * channels * columns
    case .byChannel: taps * columns
    }
  }

  public var byteCount: Int { 4 * groups * groupCount }

  /// Names that are written down: reflection takes more stack than threads of some hosts have.
  public var description: String {
    "\(numbers.rawValue) \(order) of \(panel), \(groups)x\(taps)x\(channels)x\(columns)"
  }
}

extension Kernels {
  /// For the weights of a convolution [outputs, channels of a group, kernelHeight, kernelWidth]. `known`: whether they
  /// are there when the model is planned; what a run brings is multiplied in float32.
  public func packing(_ c: Convolution, known: Bool) -> Packing {
    let (channels, columns) = (c.inputChannels / c.groups, c.outputChannels / c.groups)
    let taps = c.kernelHeight * c.kernelWidth
    if c.isDepthwise {
      return Packing(
        numbers: .float32, order: .byChannel, groups: 1, taps: taps, channels: 1, columns: c.outputChannels,
        lastPanel: 0, panel: 1)
    }
    let numbers = known ? numbers(channels: channels, columns: columns) : .float32
    if let patch = patch(c), !isFaster(numbers, than: patch) {
      return packing(.float32, .points(patch), groups: c.groups, taps: taps, channels: channels, columns: columns)
    }
    return packing(numbers, .panels, groups: c.groups, taps: taps, channels: channels, columns: columns)
  }

  /// For a matrix of `depth` rows, each a row of as many columns.
  public func packing(depth: Int, columns: Int, known: Bool) -> Packing {
    let numbers = known ? numbers(channels: depth, columns: columns) : .float32
    return packing(numbers, .panels, groups: 1, taps: 1, channels: depth, columns: columns)
  }

  private func packing(
    _ numbers: Packing.Numbers, _ order: Packing.Order, groups: Int, taps: Int, channels: Int, columns: Int
  ) -> Packing {
    let isOneMatrix = variant == .openblas
    let panel = isOneMatrix ? max(1, columns) : panelWidth
    let rest = columns % panel
    return Packing(
      numbers: numbers, order: isOneMatrix ? .rows : order, groups: groups, taps: taps, channels: channels,
      columns: columns, lastPanel: rest == 0 ? 0 : table.panelWidth(rest), panel: panel)
  }

  /// Floats in a matrix of `depth` rows and `columns` columns, packed as float32.
  func packedCount(depth: Int, columns: Int) -> Int {
    packing(.float32, .panels, groups: 1, taps: 1, channels: depth, columns: columns).groupCount
  }

  /// The columns of a full panel.
  var panelWidth: Int { table.panelWidth(.max) }

  /// Packs the weights of a convolution. `source` may be misaligned; output channel m is multiplied by `scale[m]`.
  public func pack(
    _ source: UnsafeRawPointer, as packing: Packing, scale: [Float]? = nil, into target: UnsafeMutableRawPointer,
    _ parallel: Parallel
  ) {
    let (taps, channels) = (packing.taps, packing.channels)
    pack(
      source, as: packing,
      Places(group: packing.columns * channels * taps, tap: 1, channel: taps, column: channels * taps), scale: scale,
      into: target, parallel)
  }

  /// Packs a matrix: element (row, column) lies `4 * (row * rowStride + column * columnStride)` bytes after `source`,
  /// which may be misaligned; each column is multiplied by `scale[column]` where given.
  public func pack(
    _ source: UnsafeRawPointer, as packing: Packing, rowStride: Int, columnStride: Int, scale: [Float]? = nil,
    into target: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    pack(
      source, as: packing, Places(group: 0, tap: 0, channel: rowStride, column: columnStride), scale: scale,
      into: target, parallel)
  }

  /// From one element of the source to the next, in floats.
  private struct Places {
    let group, tap, channel, column: Int
  }

  private func pack(
    _ source: UnsafeRawPointer, as packing: Packing, _ places: Places, scale: [Float]?,
    into target: UnsafeMutableRawPointer, _ parallel: Parallel
  ) {
    // There may be more groups than anybody waits for, of nothing.
    guard packing.byteCount > 0 else { return }
    let target = target.assumingMemoryBound(to: Float.self)
    func packAll(_ scale: UnsafePointer<Float>?) {
      for group in 0..<packing.groups {
        let first = source + 4 * group * places.group
        let scale = scale.map { $0 + group * packing.columns }
        let target = target + group * packing.groupCount
        switch packing.order {
        case .panels, .rows: packPanels(first, packing, places, scale, into: target, parallel)
        case .points(let patch):
          packAtPoints(
            patch, first, channels: packing.channels, columns: packing.columns, scale: scale, into: target, parallel)
        case .byChannel: packByChannel(first, packing, scale, into: target)
        }
      }
    }
    if let scale { scale.withUnsafeBufferPointer { packAll($0.baseAddress) } } else { packAll(nil) }
  }

  private func packPanels(
    _ source: UnsafeRawPointer, _ packing: Packing, _ places: Places, _ scale: UnsafePointer<Float>?,
    into packed: UnsafeMutablePointer<Float>, _ parallel: Parallel
  ) {
    let (columns, panel) = (packing.columns, packing.panel)
    parallel.forEach((columns + panel - 1) / panel) { panels in
      for i in panels {
        let first = i * panel
        let count = min(panel, columns - first)
        let width = count == panel ? panel : packing.lastPanel
        var row = packed + packing.taps * packing.words * first
        func weight(_ tap: Int, _ channel: Int, _ n: Int) -> Float {
          let place = tap * places.tap + channel * places.channel + (first + n) * places.column
          return source.loadUnaligned(fromByteOffset: 4 * place, as: Float.self) * (scale?[first + n] ?? 1)
        }
        func fill(_ rows: Int, _ word: (_ tap: Int, _ row: Int, _ column: Int) -> Float) {
          for tap in 0..<packing.taps {
            for i in 0..<rows {
              for n in 0..<count { row[n] = word(tap, i, n) }
              for n in count..<width { row[n] = 0 }
              row += width
            }
          }
        }
        func pairs(_ part: @escaping (Float) -> UInt16) -> (Int, Int, Int) -> Float {
          { tap, word, n in
            let upper = 2 * word + 1 < packing.channels ? part(weight(tap, 2 * word + 1, n)) : 0
            return Float(bitPattern: UInt32(upper) << 16 | UInt32(part(weight(tap, 2 * word, n))))
          }
        }
        let words = (packing.channels + 1) / 2
        switch packing.numbers {
        case .float32: fill(packing.channels, weight)
        case .bfloat16: fill(words, pairs { $0.bfloat16Bits })
        case .splitBFloat16:
          fill(words, pairs { $0.bfloat16Bits })
          fill(words, pairs { $0.bfloat16Rest })
        }
      }
    }
  }

  /// [channels, taps] to [taps, channels].
  private func packByChannel(
    _ source: UnsafeRawPointer, _ packing: Packing, _ scale: UnsafePointer<Float>?,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let (taps, count) = (packing.taps, packing.columns)
    for channel in 0..<count {
      for tap in 0..<taps {
        let weight = source.loadUnaligned(fromByteOffset: 4 * (channel * taps + tap), as: Float.self)
        packed[tap * count + channel] = weight * (scale?[channel] ?? 1)
      }
    }
  }
}
