import Tensors

/// One end of a stream of numbers, long enough for a quantile of all of them, which it gives exactly
/// (interpolating linearly between neighbours, as NumPy does).
struct Tail {
  private let quantile: Double
  private let keepsLargest: Bool
  private let capacity: Int
  /// How many numbers there were.
  private var count = 0
  /// A heap whose root is the first to go. Numbers are negated where the smallest are kept.
  private var heap: [Float] = []

  /// `total` is how many numbers may come.
  init(quantile: Double, of total: Int) {
    self.quantile = quantile
    keepsLargest = quantile >= 0.5
    capacity = Self.capacity(quantile, total)
  }

  /// How many numbers are kept.
  static func capacity(_ quantile: Double, _ total: Int) -> Int {
    min(total, Int((min(quantile, 1 - quantile) * Double(total)).rounded(.up)) + 2)
  }

  mutating func add(_ values: UnsafeBufferPointer<Float>) {
    for value in values where !value.isNaN {
      count += 1
      let key = keepsLargest ? value : -value
      if heap.count < capacity {
        heap.append(key)
        rise(from: heap.count - 1)
      } else if let root = heap.first, key > root {
        heap[0] = key
        sink()
      }
    }
  }

  /// nil where there were no numbers.
  var value: Double? {
    guard count > 0 else { return nil }
    let position = quantile * Double(count - 1)
    let lower = Int(position)
    let sorted = heap.map { keepsLargest ? $0 : -$0 }.sorted()
    let first = keepsLargest ? count - sorted.count : 0
    func at(_ rank: Int) -> Double { Double(sorted[max(0, min(rank - first, sorted.count - 1))]) }
    let (a, b) = (at(lower), at(min(lower + 1, count - 1)))
    return a + (b - a) * (position - Double(lower))
  }

  private mutating func rise(from index: Int) {
    var child = index
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func sink() {
    var parent = 0
    while 2 * parent + 1 < heap.count {
      var child = 2 * parent + 1
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < heap[parent] else { return }
      heap.swapAt(child, parent)
      parent = child
    }
  }
}

/// `values` as a sample: the number below which the share `quantile` of them lies, interpolated linearly.
public func quantile(_ quantile: Double, of values: [Float]) -> Double? {
  var tail = Tail(quantile: quantile, of: values.count)
  values.withUnsafeBufferPointer { tail.add($0) }
  return tail.value
}
