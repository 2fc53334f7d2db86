import Documents
import Engine
import Explainers
import Glibc
import Images
import Kernels
import Models
import Parallel
import Tensors

struct Bench: Command {
  static let usage = Usage(
    name: "bench", operands: "MODEL [IMAGE]", operandCount: 1...2,
    summary: "Measure how long a model takes, on an image or on made-up numbers.",
    options: [
      Option("batch", "N", "images that run at once (default 1)"), Option("threads", "N", "threads to use (default 1)"),
      CallOptions.precision,
      Option("rounds", "N", "measurements (default 20), after a first run that is told apart"),
      Option("explain", "METHOD", "also explain the predicted class, turn by turn with classifying"),
      Option(flag: "profile", "where the time goes: operators and the slowest steps, beside the processor's peak"),
      .json,
    ])

  private let path: String
  private let image: String?
  private let givenBatch: Int?
  private let batch: Int
  private let threads: Int
  private let precision: Precision
  private let rounds: Int
  private let method: String?
  private let isProfiled: Bool
  private let isJSON: Bool

  init(_ arguments: Arguments) throws {
    path = arguments.operands[0]
    image = arguments.operands.dropFirst().first
    givenBatch = try arguments.integer("batch", in: 1...65_536)
    batch = givenBatch ?? 1
    threads = try arguments.threads() ?? 1
    precision = try arguments.precision()
    rounds = try arguments.integer("rounds", in: 1...1_000_000) ?? 20
    method = arguments.text("explain")
    isProfiled = arguments.flag("profile")
    isJSON = arguments.flag("json")
  }

  func run() throws {
    let start = now()
    let model = try Model.load(path, threads: threads, precision: precision)
    let load = now() - start
    let method = try method.map { try model.explainer(named: $0).name }
    let sample = try Sample(image, model)
    let line = ProgressLine()
    defer { line.clear() }
    var measured = Measurements(load: load, first: 0, method: method)
    var call = Call()
    call.batchSize = batch
    // Methods that run one image many times choose by themselves how many runs go together, unless a batch is given.
    var explaining = Call()
    explaining.batchSize = givenBatch ?? 0
    try sample.withInput { input in
      let inputs = [ImageInput](repeating: input, count: batch)
      var progress = line.progress("first run")
      func classify() throws -> Double { try Self.seconds { _ = try model.classify(inputs, call, progress) } }
      func explain(_ method: String) throws -> Double {
        try Self.seconds {
          _ = try model.explain(inputs, classes: inputs.map { _ in [nil] }, method: method, explaining, progress)
        }
      }
      func profile() throws {
        let profile = Profile()
        progress = .profiling(profile)
        for _ in 0..<rounds { _ = try method.map(explain) ?? classify() }
        measured.profile = StepTimes(profile, rounds: rounds, peak: model.kernels.measuredPeak)
      }
      measured.first = try classify()
      // The first explanation plans and packs, as the first classification did.
      if let method { _ = try explain(method) }
      for round in 0..<rounds {
        progress = line.progress("measuring").range(round..<round + 1, of: rounds)
        measured.classify.append(try classify())
        if let method { measured.explain.append(try explain(method)) }
      }
      if isProfiled { try profile() }
    }
    line.clear()
    let report = Report(
      path: path, input: sample.description(batch: batch), batch: batch, threads: threads, rounds: rounds,
      kernels: model.kernels, measured: measured)
    try Console.write(isJSON ? report.json.document : report.text)
  }

  private static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = now()
    try body()
    return now() - start
  }
}

/// What is measured on: an image, prepared anew in every run, or numbers that are fed as they are.
private enum Sample {
  case image(Image, path: String)
  case numbers([Float], channels: Int, height: Int, width: Int)

  init(_ path: String?, _ model: Model) throws {
    if let path {
      self = .image(try Image.read(path, model.reading), path: path)
      return
    }
    let size = model.inputSize
    guard let channels = size.channels, let height = size.height, let width = size.width else {
      throw Failure(.unsupported, "the size of the model's input depends on the image; give an image")
    }
    let shape = try Shape(checking: [channels, height, width])
    // Multiples of the golden ratio without their whole part fill an interval evenly, and are the same every time.
    let values = (0..<shape.count).map {
      Float((Double($0) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1))
    }
    self = .numbers(values, channels: channels, height: height, width: width)
  }

  func withInput(_ body: (ImageInput) throws -> Void) throws {
    switch self {
    case .image(let image, _): try image.withView { try body(.pixels($0)) }
    case .numbers(let values, _, let height, let width):
      try values.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { throw Failure(.unsupported, "the model's input is empty") }
        try body(.planes(base, width: width, height: height))
      }
    }
  }

  func description(batch: Int) -> String {
    switch self {
    case .image(let image, let path): "\(batch) × \(path.printable), \(image.width)×\(image.height) pixels"
    case .numbers(_, let channels, let height, let width): "made-up numbers [\(batch)×\(channels)×\(height)×\(width)]"
    }
  }
}

/// Seconds.
private struct Measurements {
  let load: Double
  var first: Double
  let method: String?
  var classify: [Double] = []
  var explain: [Double] = []
  var profile: StepTimes?

  init(load: Double, first: Double, method: String?) {
    self.load = load
    self.first = first
    self.method = method
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// How many classifications one explanation takes.
  var ratio: Double { Self.median(explain) / Self.median(classify) }
}

private struct Report {
  let path: String
  let input: String
  let batch: Int
  let threads: Int
  let rounds: Int
  let kernels: Kernels
  let measured: Measurements

  /// The most memory that this process has had, in bytes.
  private var peakMemory: Int {
    var usage = rusage()
    return getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 ? usage.ru_maxrss * 1024 : 0
  }

  var text: String {
    var table = Table()
    table.add("model", path.printable)
    table.add("input", input)
    table.add(
      "kernels", "\(kernels.variant) (the processor runs \(Kernels.native.map(\.rawValue).joined(separator: ", ")))")
    table.add("precision", kernels.precisionNote ?? kernels.precision.rawValue)
    table.add("threads", "\(threads) of \(Parallel.available.threads) cores")
    table.add("load", "\(milliseconds(measured.load))")
    table.add("first run", "\(milliseconds(measured.first))")
    table.add("classify", summary(measured.classify))
    if let method = measured.method {
      table.add("explain", summary(measured.explain) + ", \(fixed(measured.ratio, 2)) × classify (\(method))")
    }
    table.add("peak memory", byteSize(peakMemory))
    return table.text + (measured.profile.map { "\n" + $0.text } ?? "")
  }

  var json: JSON {
    var members: [(String, JSON)] = [
      ("model", .text(path)), ("input", .text(input)), ("kernels", .text(kernels.variant.rawValue)),
      ("precision", .text(kernels.precision.rawValue)),
      ("computed_precision", .text(kernels.computedPrecision.rawValue)),
      ("processor", .texts(Kernels.native.map(\.rawValue))), ("cores", .integer(Parallel.available.threads)),
      ("threads", .integer(threads)), ("batch", .integer(batch)), ("rounds", .integer(rounds)),
      ("load_ms", .number(1000 * measured.load)), ("first_run_ms", .number(1000 * measured.first)),
      ("classify_ms", times(measured.classify)),
    ]
    if let method = measured.method {
      members += [
        ("method", .text(method)), ("explain_ms", times(measured.explain)), ("ratio", .number(measured.ratio)),
      ]
    }
    if let profile = measured.profile { members.append(("profile", profile.json)) }
    return .object(members + [("peak_memory_bytes", .integer(peakMemory))])
  }

  private func milliseconds(_ seconds: Double) -> String { fixed(1000 * seconds, 3) + " ms" }

  private func summary(_ seconds: [Double]) -> String {
    "median \(milliseconds(Measurements.median(seconds))), least \(milliseconds(seconds.min() ?? 0)), \(rounds) rounds"
  }

  private func times(_ seconds: [Double]) -> JSON {
    .object([
      ("median", .number(1000 * Measurements.median(seconds))), ("minimum", .number(1000 * (seconds.min() ?? 0))),
    ])
  }
}
