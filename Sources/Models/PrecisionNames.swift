public import Kernels
import Tensors

extension Precision {
  /// The names, for those who gave another.
  public static var known: String { allCases.map(\.rawValue).joined(separator: ", ") }

  /// Throws `invalidArgument` for a text that is none of the names; `what` says where it stands.
  public init(named text: String, _ what: String) throws {
    guard let precision = Precision(rawValue: text) else {
      throw Failure(.invalidArgument, "\(what) is \(quoted(text)); it must be one of \(Self.known)")
    }
    self = precision
  }
}
