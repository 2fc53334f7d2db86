import Evaluation
import Explainers
import Explanations
import Models
import Tensors

extension GivenSettings {
  /// The methods of these names, "a,b" standing for two and "a@few" for another use of a, each with what it reads of
  /// the settings; no name: the first method that can explain the model. `common` has what every call of the model
  /// takes. Throws where something is read by none.
  func uses(of given: [String], _ model: Model, _ common: Call) throws -> [MethodUse] {
    var known = Set<String>()
    let names = given.flatMap { $0.split(separator: ",").map(String.init) }.filter { known.insert($0).inserted }
    let methods =
      try names.isEmpty
      ? [model.explainer(named: nil)].map { (name: $0.name, what: $0) }
      : names.map { (name: $0, what: try model.explainer(named: MethodUse.base(of: $0))) }
    if let seed, methods.count > 1, !methods.contains(where: { $0.what.drawsNumbers }) {
      throw Failure(
        .invalidArgument,
        "none of \(names.joined(separator: ", ")) draws random numbers, but the seed \(seed) was given; "
          + "leave it out")
    }
    return try methods.indices.map { i in
      // What one alone does not read is refused in its own words.
      var own = try methods.count == 1 ? call() : call(for: i, of: methods.map { ($0.name, $0.what) })
      (own.output, own.feeds) = (common.output, common.feeds)
      return try MethodUse(methods[i].name, own, for: model)
    }
  }
}
