import Explanations
import Models

/// L-CAM (Gkartzonika, Gkalelis, Mezaris, ECCV Workshops 2022, "Learning Visual Explanations for DCNN-Based Image
/// Classifiers Using an Attention Mechanism"): one 1×1 convolution, trained on the last feature maps of a frozen
/// classifier, gives a map for each class.
///
/// The grid is what `TAME` has: the attention before its sigmoid, spread over 0…1.
struct LCAM: Explainer {
  let name = "lcam"
  let summary = "L-CAM's attention on the last feature maps, trained to keep what the classifier needs for a class."
  let parameters = ExplanationRequest.classMapParameters

  func canExplain(_ model: Model) -> Bool { model.metadata.parameter("output", of: name) != nil }

  func explain(_ request: ExplanationRequest) throws -> [Explanation] { try request.explainWithClassMaps(of: name) }
}
