import Explanations
import Models

/// The parameters that several metrics have.
enum Score {
  static let compatSummary =
    "Whose numbers are wanted, faults included: another program's, or (none) our documented ones."

  static func parameter(_ name: String = "score", else fallback: String) -> Parameter {
    Parameter(
      name, choices: ["auto"] + Scoring.Quantity.allCases.map(\.rawValue), default: "auto",
      "What of the class is measured; auto: \(fallback).")
  }

  /// What the caller chose, else `fallback`.
  static func quantity(
    _ settings: Settings, _ name: String = "score", else fallback: Scoring.Quantity
  ) throws -> Scoring.Quantity {
    Scoring.Quantity(rawValue: try settings.word(name)) ?? fallback
  }
}
