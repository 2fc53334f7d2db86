import Documents
import Explainers
import Models
import Parallel
import Tensors

struct Estimate: Command {
  static let usage = Usage(
    name: "estimate", operands: "MODEL IMAGE…", operandCount: 2...Int.max,
    summary: "Find what is usual for a layer over some hundred images, for methods that measure by it (iba).",
    options: [
      Option("layer", "NAME", "the value or module (default: found)"),
      Option("output", "FILE", "where it is kept (default: MODEL.statistics.safetensors, where methods find it)"),
      CallOptions.preprocess, CallOptions.feed, CallOptions.refuseLinks, CallOptions.precision, .json, .threads,
    ])

  private let model: String
  private let images: [String]
  private let layer: String?
  private let file: String?
  private let options: CallOptions
  private let threads: Int?
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    images = Array(arguments.operands.dropFirst())
    layer = arguments.text("layer")
    file = arguments.text("output")
    options = try CallOptions(arguments)
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    var call = try options.call()
    call.layers = layer.map { [$0] } ?? []
    let line = ProgressLine()
    defer { line.clear() }
    let shelf = Shelf(try imageFiles(images), model.reading, line)
    let statistics = try model.statistics(of: shelf.images, call, line.progress("of the images"))
    let file = try model.store(statistics, at: file)
    line.clear()
    let count = shelf.count - shelf.unread.count
    if isJSON {
      let document = JSON.object([
        ("layer", .text(statistics.layer)), ("shape", .list(statistics.mean.shape.dimensions.map { .integer($0) })),
        ("images", .integer(count)), ("file", .text(file)),
      ])
      try Console.write(document.document)
    } else {
      var table = Table(["layer", "shape", "images", "file"])
      table.add(statistics.layer.printable, "\(statistics.mean.shape)", "\(count)", file.printable)
      try Console.write(table.text)
    }
    try shelf.refuseUnread()
  }
}
