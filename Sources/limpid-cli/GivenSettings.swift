import Evaluation
import Explainers
import Explanations
import Models
import Tensors

/// What a caller sets of methods, or of metrics: parameters, draws, layers, a seed.
///
/// Where several are used, "rise.masks" is `masks` for `rise` alone, and "masks" for each that has it.
struct GivenSettings {
  /// Those of methods.
  static let options = [
    Option("parameter", "NAME=VALUE", "of each method that has it; METHOD.NAME=VALUE of one; repeat it for several"),
    Option("draw", "NAME=FILE.npy", "random draws or another array that the method reads; repeat it for several"),
    Option("layer", "NAME", "a value or module that the method taps (default: found); repeat it for several"),
    Option("seed", "N", "of random numbers (default 0)"),
  ]
  /// Those of metrics.
  static let metricOptions = [
    Option(
      "metric-parameter", "NAME=VALUE", "of each metric that has it; METRIC.NAME=VALUE of one; repeat it for several"),
    Option("metric-draw", "NAME=FILE.npy", "an array that a metric reads, [images, …]; repeat it for several"),
  ]

  let parameters: [(name: String, value: ParameterValue)]
  /// Names and files.
  let draws: [(name: String, value: String)]
  let layers: [String]
  let seed: UInt64?
  /// "metric-" for metrics.
  private let prefix: String

  init(_ arguments: Arguments, ofMetrics: Bool = false) throws {
    prefix = ofMetrics ? "metric-" : ""
    parameters = try arguments.pairs(prefix + "parameter", like: ofMetrics ? "step=224" : "samples=10").map {
      ($0.name, Double($0.value).map { .number($0) } ?? .text($0.value))
    }
    draws = try arguments.pairs(prefix + "draw", like: ofMetrics ? "boxes=boxes.npy" : "noise=noise.npy")
    layers = ofMetrics ? [] : arguments.all("layer")
    seed = try arguments.integer("seed", in: 0...Int.max).map { UInt64($0) }
  }

  /// For the only method; files are read only now.
  func call() throws -> Call {
    var call = Call()
    for (name, value) in parameters { call.parameters[name] = value }
    for (name, path) in draws { call.draws[name] = try Tensor(npy: path) }
    call.layers = layers
    call.seed = seed
    return call
  }

  /// What is set for `uses[i]`, of several, each with the method or metric that it is a use of. Throws `notFound` for
  /// what none of them has.
  func call(for i: Int, of uses: [(name: String, what: any Configurable)]) throws -> Call {
    let names = uses.map(\.name)
    let what = uses[i].what
    func read(_ name: String, _ option: String, _ has: (any Configurable, String) -> Bool) throws -> String? {
      // The longest name, where one is the start of another.
      let owner = names.filter { name.hasPrefix($0 + ".") }.max { $0.count < $1.count }
      if let owner { return owner == names[i] ? String(name.dropFirst(owner.count + 1)) : nil }
      guard uses.contains(where: { has($0.what, name) }) else {
        throw Failure(.notFound, "--\(prefix)\(option): none of \(names.joined(separator: ", ")) has \(quoted(name))")
      }
      return has(what, name) ? name : nil
    }
    var call = Call()
    // What is meant for one goes before what is meant for all.
    for isScoped in [false, true] {
      for (name, value) in parameters {
        let own = try read(name, "parameter") { $0.parameters.map(\.name).contains($1) }
        if let own, (own != name) == isScoped { call.parameters[own] = value }
      }
      for (name, path) in draws {
        let own = try read(name, "draw") { $0.draws.map(\.name).contains($1) }
        if let own, (own != name) == isScoped { call.draws[own] = try Tensor(npy: path) }
      }
    }
    let own = try layers.compactMap { layer in
      try read(layer, "layer") { what, _ in what.tapsLayers }.map { (name: $0, isScoped: $0 != layer) }
    }
    let isScoped = own.contains(where: \.isScoped)
    call.layers = own.filter { $0.isScoped == isScoped }.map(\.name)
    call.seed = what.drawsNumbers ? seed : nil
    return call
  }
}
