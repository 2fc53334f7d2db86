import Images
import Kernels
import Models
import Tensors

/// What commands that run a model on images take: how these are prepared, which output has the scores, and what is fed
/// beside the image.
struct CallOptions {
  static let preprocess = Option(
    "preprocess", "STEPS", "how images are prepared, instead of as the file says: imagenet, imagenet-exact, or steps")
  static let output = Option("scores", "NAME", "the output that holds the scores, where several could")
  static let feed = Option(
    "feed", "NAME=FILE.npy", "an input beside the image, one row or a row for each image; repeat it for several")

  static let highByte = Option(
    flag: "high-byte", "of gray PNG files of 16 bits keep the high byte; else they are cut off at 255, as by Pillow")
  static let bits = Option(
    "bits", "8|16", "with 16 of PNG files of 16 bits all bits are kept (default: as the model's preprocessing says)")
  static let refuseLinks = Option(
    flag: "refuse-links", "refuse a model whose weights lie in files behind symbolic links")

  static let precision = Option(
    "precision", "NAME", "a bound on the error of the scores: float32 (default), fast (1e-4), bfloat16 (2e-2)")

  let precision: Precision
  /// nil: as the file says.
  let preprocessing: Preprocessing?
  private let keepsHighByte: Bool
  /// 0: as the model says.
  private let bits: Int
  let refusesLinks: Bool
  private let output: String?
  private let feeds: [(name: String, value: String)]

  init(_ arguments: Arguments) throws {
    preprocessing = try arguments.text("preprocess").map { text in
      try locating("--preprocess") { try Preprocessing(given: text) }
    }
    precision = try arguments.precision()
    keepsHighByte = arguments.flag("high-byte")
    bits = try arguments.integer("bits", in: 8...16) ?? 0
    refusesLinks = arguments.flag("refuse-links")
    output = arguments.text("scores")
    feeds = try arguments.pairs("feed", like: "table=table.npy")
  }

  /// How image files are read for `model`.
  func reading(for model: Model) throws -> Reading {
    try locating("--bits") { try model.reading.choosing(bits: bits, highByte: keepsHighByte) }
  }

  /// The call; files are read only now.
  func call(_ call: Call = Call()) throws -> Call {
    var call = call
    call.output = output
    for (name, path) in feeds { call.feeds[name] = try Tensor(npy: path) }
    return call
  }
}
