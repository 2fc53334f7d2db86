import Explanations
import Parallel
import Tensors

/// What went wrong: what, where, and what to do.
public struct LimpidError: Error, Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    case invalidArgument, notFound, io, invalidModel, invalidImage, unsupported, cancelled
    /// A defect of the library.
    case `internal`
  }

  public let kind: Kind
  public let description: String

  init(_ failure: Failure) {
    description = "\(failure)"
    kind =
      switch failure.kind {
      case .invalidArgument, .bufferTooSmall: .invalidArgument
      case .notFound: .notFound
      case .io: .io
      case .invalidModel: .invalidModel
      case .invalidImage: .invalidImage
      case .unsupported: .unsupported
      case .cancelled: .cancelled
      case .internal: .internal
      }
  }
}

/// The library's failures, as `LimpidError`.
func translated<R>(_ body: () throws -> R) throws -> R {
  do {
    return try computing(body)
  } catch let failure as Failure {
    throw LimpidError(failure)
  }
}

/// What a parameter of a method is given: a number, or a word.
public enum Setting: Sendable, Hashable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByStringLiteral
{
  case number(Double)
  case text(String)

  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(stringLiteral value: String) { self = .text(value) }

  var value: ParameterValue {
    switch self {
    case .number(let number): .number(number)
    case .text(let text): .text(text)
    }
  }
}

extension Progress {
  /// `report` is told the part that is done, and answers whether to go on.
  init(_ report: ((Double) -> Bool)?) {
    guard let report else {
      self = .unwatched
      return
    }
    self.init { done, total in calling { report(total > 0 ? Double(done) / Double(total) : 1) } }
  }
}
