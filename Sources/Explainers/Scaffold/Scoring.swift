import Explanations
import Models

extension Scoring {
  /// A parameter of what is scored; `auto` is what `compat` has.
  static func parameter(_ name: String, _ choices: [Quantity], _ fallback: String) -> Parameter {
    Parameter(
      name, choices: ["auto"] + choices.map(\.rawValue), default: "auto",
      "What masked images are scored by; auto: as `compat` has it, by itself \(fallback).")
  }

  /// What the caller chose, else `fallback`.
  init(_ request: ExplanationRequest, _ name: String, else fallback: Quantity) throws {
    self.init(
      head: try request.requiredScores(),
      quantity: Quantity(rawValue: try request.settings.word(name)) ?? fallback)
  }
}
