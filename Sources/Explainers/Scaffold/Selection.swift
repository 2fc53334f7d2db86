extension Array where Element == Float {
  /// The number that would stand at place `rank` of the sorted array, in time proportional to the count (Hoare's
  /// selection). There must be no NaN.
  func selected(rank: Int) -> Float {
    var values = self
    return values.withUnsafeMutableBufferPointer { values in
      var (low, high) = (0, values.count - 1)
      while low < high {
        // The middle of three: sorted and constant arrays are common.
        let pivot = Swift.max(
          Swift.min(values[low], values[high]),
          Swift.min(Swift.max(values[low], values[high]), values[(low + high) / 2]))
        var (i, j) = (low, high)
        while i <= j {
          while values[i] < pivot { i += 1 }
          while values[j] > pivot { j -= 1 }
          guard i <= j else { break }
          values.swapAt(i, j)
          i += 1
          j -= 1
        }
        if rank <= j { high = j } else if rank >= i { low = i } else { return values[rank] }
      }
      return values[rank]
    }
  }
}
