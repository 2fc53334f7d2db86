import Explanations
import Models
import Tensors

/// SCOUTER (Li et al., ICCV 2021, "SCOUTER: Slot Attention-based Classifier for Explainable Image Recognition"):
/// the model's slot attention itself, which is all that its scores are made of.
///
/// The score of class c is e·Σ of the attention-weighted features of its slots (section 3.2), e = +1 for a positive
/// model, −1 for a negative one, whose maps say why the image is *not* that class. The grid is the sum of the
/// attention of the class's slots in the last round, in 0…slots. The range is that over all classes of the image:
/// maps of different classes share one scale, as in the authors' code.
struct Scouter: Explainer {
  let name = "scouter"
  let summary = "Slot attention of a SCOUTER model: the evidence for a class, or against it in a negative model."
  let parameters = [
    Parameter("slot", default: -1, in: -1...1023, "The slot of the class to show, from 0; -1: the sum of all.")
  ]

  func canExplain(_ model: Model) -> Bool { model.metadata.parameter("output", of: name) != nil }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] {
    let model = request.model
    let slot = try request.settings.integer("slot")
    let given = try model.metadata.number("slots_per_class", of: name) ?? 1
    guard let slots = Int(exactly: given), slots >= 1, slots <= 1024 else {
      throw Failure(.invalidModel, "metadata limpid.explain.\(name).slots_per_class is \(given)")
    }
    guard slot < slots else {
      throw Failure(.invalidArgument, "slot \(slot) is out of range; the model has \(slots) slots per class")
    }
    let key = slot >= 0 && slots > 1 ? "slot_output" : "output"
    let output = model.metadata.parameter(key, of: name) ?? (key == "output" ? "attention" : "slot_attention")
    return try request.explainWithOutput(output) { classIndex in
      key == "output" ? classIndex : classIndex * slots + slot
    }
  }
}
