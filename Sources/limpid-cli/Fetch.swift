import Documents
import Explainers
import Graph
import Images
import Models
import Parallel
import Tensors

struct Fetch: Command {
  static let usage = Usage(
    name: "fetch", operands: "MODEL IMAGE", operandCount: 2...2,
    summary: "Write any values of a model, for one image, as NumPy files.",
    options: [
      Option("names", "A,B,…", "names of the values (see limpid inspect --values); repeat it for more"),
      Option(
        "gradient", "CLASS",
        "the gradients of this class's logit by the values instead: an index, a label, or predicted"),
      Option("output", "PATH", "a folder, or one .npy file (default: the current folder)"),
      CallOptions.preprocess, CallOptions.output, CallOptions.feed,
      CallOptions.highByte, CallOptions.bits, CallOptions.refuseLinks, CallOptions.precision, .json, .threads,
    ])

  private let model: String
  private let image: String
  private let names: [String]
  private let destination: Destination
  private let threads: Int?
  private let isJSON: Bool
  private let gradientClass: String?
  private let options: CallOptions

  init(_ arguments: Arguments) throws {
    model = arguments.operands[0]
    image = arguments.operands[1]
    names = arguments.all("names")
    guard !names.isEmpty else { throw Failure(.invalidArgument, "--names is missing: which values to fetch") }
    destination = try locating("--output") { try Destination(arguments.text("output"), suffix: ".npy") }
    threads = try arguments.threads()
    isJSON = arguments.flag("json")
    gradientClass = arguments.text("gradient")
    options = try CallOptions(arguments)
  }

  func run() throws {
    let model = try Model.load(model, threads: threads, options)
    // A name may contain commas itself.
    let names = names.flatMap { text in
      model.graph.value(named: text) != nil ? [text] : text.split(separator: ",").map(String.init)
    }
    guard !destination.isFile || names.count == 1 else {
      throw Failure(.invalidArgument, "--output names one file, but there are \(names.count) values; give a folder")
    }
    let call = try options.call()
    let choices = try gradientClass.map { text in
      try locating("--gradient") { try ClassChoice.parse(text, for: model, call.output) }
    }
    try destination.prepare()
    var destination = destination
    var table = Table(["value", "type", "shape", "file"])
    var results: [JSON] = []
    try forEachImage([image], options.reading(for: model)) { _, _, image, progress in
      let tensors = try image.withView { view in
        guard let choices else { return try model.fetch(names, for: [.pixels(view)], call, progress) }
        let classes = try choices.flatMap { choice in
          try choice.classes(model, call.output) { Array(try model.classify([.pixels(view)], call, progress.polling)) }
        }
        return try model.gradient([.pixels(view)], classes: [classes], at: names, call, progress)
      }
      for (name, tensor) in zip(names, tensors) {
        let path = destination.path(for: slug(String(name.drop { $0 == "/" })))
        try writeFile(path, tensor.npy())
        table.add(name.printable, "\(tensor.type)", "\(tensor.shape)", path.printable)
        results.append(
          .object([
            ("value", .text(name)), ("type", .text("\(tensor.type)")),
            ("shape", .list(tensor.shape.dimensions.map { .integer($0) })), ("file", .text(path)),
          ]))
      }
    }
    try Console.write(isJSON ? JSON.list(results).document : table.text)
  }
}
