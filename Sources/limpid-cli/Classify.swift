import Documents
import Images
import Models
import Tensors

struct Classify: Command {
  static let usage = Usage(
    name: "classify", operands: "MODEL IMAGE…", operandCount: 2...Int.max,
    summary: "Say what images show: their most probable classes.",
    options: [
      Option("top", "N", "classes to show for each image (default 5)"),
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      CallOptions.highByte, CallOptions.bits, CallOptions.refuseLinks, CallOptions.precision, .json,
      .threads,
    ])

  private let model: String
  private let images: [String]
  private let top: Int
  private let options: CallOptions
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    top = try arguments.integer("top", in: 1...Int.max) ?? 5
    options = try CallOptions(arguments)
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    let call = try options.call()
    let head = try model.requiredScores(call.output)
    let images = try imageFiles(images)
    var table = Table(["file", "rank", "class", "label", head.kind == .values ? "value" : "probability"])
    var results: [JSON] = []
    let outcome = Result {
      try forEachImage(images, options.reading(for: model)) { i, path, image, progress in
        let probabilities = try model.probabilities(image, call.forImage(i, of: images.count), progress)
        let best = Scores.best(top, of: probabilities)
        for (rank, c) in best.enumerated() {
          table.add(
            path.printable, "\(rank + 1)", "\(c)", model.label(of: c)?.printable ?? "-",
            fixed(Double(probabilities[c]), 4))
        }
        let classes = best.map { c in
          JSON.object([
            ("class", .integer(c)), ("label", .optional(model.label(of: c))),
            ("probability", .number(probabilities[c])),
          ])
        }
        results.append(.object([("file", .text(path)), ("classes", .list(classes))]))
      }
    }
    let scores = JSON.object([("output", .text(head.name)), ("kind", .text(head.kind.rawValue))])
    let document = JSON.object([("model", .text(self.model)), ("scores", scores), ("images", .list(results))])
    try Console.write(isJSON ? document.document : table.text)
    try outcome.get()
  }
}
