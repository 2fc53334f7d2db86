public import Models

/// Pictures that need not be in memory at once.
public struct PictureSet {
  public typealias Loan = [(index: Int, picture: Picture)]

  public let count: Int
  /// How many may be lent at once; 0: any number.
  let limit: Int
  /// Lends the pictures of the given indices for the length of a call; those that cannot be had are left out.
  let lend: (_ indices: [Int], _ body: (Loan) throws -> Void) throws -> Void

  public init(
    count: Int, limit: Int = 0, lend: @escaping (_ indices: [Int], _ body: (Loan) throws -> Void) throws -> Void
  ) {
    self.count = count
    self.limit = limit
    self.lend = lend
  }

  public init(_ pictures: [Picture]) {
    self.init(count: pictures.count) { indices, body in try body(indices.map { ($0, pictures[$0]) }) }
  }
}
