import Explanations
import Models

/// TAME (Ntrougkas, Gkalelis, Mezaris, ISM 2022, "TAME: Attention Mechanism Based Feature Fusion for Generating
/// Explanation Maps of Convolutional Neural Networks"): attention that was trained on feature maps of a frozen
/// classifier, one map for each class.
///
/// The grid is the attention before its sigmoid, spread over 0…1; the sigmoid has a part in training only. Enlarging
/// comes after, so an enlarged map need not reach 0 and 1. The authors spread all maps of a batch together, which is
/// the same for their batches of one; here each map is spread alone.
struct TAME: Explainer {
  let name = "tame"
  let summary = "TAME's attention, trained to keep what the classifier needs for a class."
  let parameters = ExplanationRequest.classMapParameters

  func canExplain(_ model: Model) -> Bool { model.metadata.parameter("output", of: name) != nil }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] { try request.explainWithClassMaps(of: name) }
}
