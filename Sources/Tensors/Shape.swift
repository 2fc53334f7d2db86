/// The extents of a tensor's axes, outermost first. Extents are never negative and their product fits in `Int`.
public struct Shape: Sendable, Hashable, CustomStringConvertible, ExpressibleByArrayLiteral {
  public let dimensions: [Int]
  /// The number of elements.
  public let count: Int

  public static let scalar = Shape(trusted: [])

  /// For extents that the program itself computed. Use `init(checking:)` for anything from outside.
  public init(trusted dimensions: [Int]) {
    self.dimensions = dimensions
    self.count = dimensions.reduce(1, *)
  }

  public init(arrayLiteral elements: Int...) { self.init(trusted: elements) }

  /// Refuses negative extents and more than 2^48 elements (or 64 axes), so that no later product can overflow. The
  /// other extents of an empty tensor, which need no memory, must come to at most 2^32, so that loops over them end.
  public init(checking dimensions: [Int]) throws {
    guard dimensions.count <= 64 else {
      throw Failure(.unsupported, "a tensor of \(dimensions.count) axes; at most 64 are supported")
    }
    var count = 1
    var isEmpty = false
    for d in dimensions {
      guard d >= 0 else { throw Failure(.invalidModel, "the shape \(dimensions) has a negative extent") }
      if d == 0 {
        isEmpty = true
        continue
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: d)
      guard !overflow, product <= 1 << 48 else {
        throw Failure(.unsupported, "the shape \(dimensions) has too many elements")
      }
      count = product
    }
    guard !isEmpty || count <= 1 << 32 else {
      throw Failure(.unsupported, "the shape \(dimensions) of an empty tensor has too large extents")
    }
    self.dimensions = dimensions
    self.count = isEmpty ? 0 : count
  }

  public var rank: Int { dimensions.count }
  public subscript(axis: Int) -> Int { dimensions[axis] }

  /// Distance in elements between neighbours along each axis of a dense row-major tensor.
  public var strides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    var axis = rank - 1
    while axis > 0 {
      strides[axis - 1] = strides[axis] * dimensions[axis]
      axis -= 1
    }
    return strides
  }

  public var description: String { "[" + dimensions.map(String.init).joined(separator: "×") + "]" }
}

extension Int {
  @inlinable
  public func roundedUp(to multiple: Int) -> Int { (self + multiple - 1) / multiple * multiple }
}
