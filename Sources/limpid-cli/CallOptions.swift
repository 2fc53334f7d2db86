import Models
import Tensors

/// What commands that run a model on images take: which output has the scores, and what is fed beside the image.
struct CallOptions {
  static let output = Option("scores", "NAME", "the output that holds the scores, where several could")
  static let feed = Option(
    "feed", "NAME=FILE.npy", "an input beside the image, one row or a row for each image; repeat it for several")

  private let output: String?
  private let feeds: [(name: String, value: String)]

  init(_ arguments: Arguments) throws {
    output = arguments.text("scores")
    feeds = try arguments.pairs("feed", like: "table=table.npy")
  }

  /// The call; files are read only now.
  func call(_ call: Call = Call()) throws -> Call {
    var call = call
    call.output = output
    for (name, path) in feeds { call.feeds[name] = try Tensor(npy: path) }
    return call
  }
}

extension Call {
  /// What classifying reads of it.
  var forScores: Call {
    var call = Call()
    (call.output, call.feeds) = (output, feeds)
    return call
  }
}
