import Explanations

/// Whose numbers are wanted: our documented ones, or those of another program, its faults included.
enum Compat: String, CaseIterable {
  case none
  /// pytorch-grad-cam 1.5.
  case gradCAM = "grad-cam"
  /// The copy of torchcam 0.1.2 that SCOUTER's evaluation uses.
  case scouter
  case caStream = "ca-stream"
  case tame
  case captum
  /// The RISE authors' program.
  case rise
  /// TorchRay, which SCOUTER's evaluation uses too.
  case torchray
  /// The Score-CAM authors' program.
  case authors
  case yiskw713
  /// torchcam 0.5.
  case torchcam
  /// OpenVINO XAI 1.1.
  case openvino
  /// The IBA authors' program.
  case iba
  /// The I-GOS authors' program.
  case iGOS = "i-gos"

  /// What is added to the extent by which a map is divided.
  var spreadEpsilon: Float {
    switch self {
    case .gradCAM: 1e-7
    case .torchcam: 1e-8
    case .caStream: 0x1p-52
    default: 0
    }
  }

  static let summary = "Whose numbers are wanted, to the last step: another program's, or (none) our documented ones."
}

extension Heatmap {
  /// Values below 0 as 0.
  var rectified: Heatmap { Heatmap(values.map { max($0, 0) }, width: width, height: height) }
}

extension Explanation {
  /// The explanation in its place, its map brought to the range that `compat` ends with.
  func finished(_ compat: Compat, in field: Field) -> Explanation {
    let (grid, range): (Heatmap, ClosedRange<Float>)
    switch compat {
    case .gradCAM, .scouter, .caStream, .tame, .torchcam:
      (grid, range) = (self.grid.spread(adding: compat.spreadEpsilon), 0...1)
    default: (grid, range) = (self.grid, self.range)
    }
    var finished = Explanation(
      image: image, classIndex: classIndex, score: score, grid: grid, range: range, field: field, details: details)
    finished.isSpreadWhenEnlarged = compat == .gradCAM || compat == .tame
    return finished
  }
}
