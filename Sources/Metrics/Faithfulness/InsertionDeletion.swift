import Explainers
import Explanations
import Models
import Tensors

/// Insertion and deletion (Petsiuk, Das & Saenko, BMVC 2018, "RISE", section 4.1): how fast the class's score rises
/// where pixels are put into a blurred image, the largest values of the map first, or falls where they are taken away.
///
/// Point i of the curve is the score after i steps; point 0 is the start, the last one the complete end image. The
/// value is the area under it, (Σ − first/2 − last/2) / steps. The map is enlarged bilinearly to the model's input.
/// `compat`: the blur and the steps of each program; "scouter" also orders bytes, enlarged as Pillow does, by a key
/// that wraps, so that pixels of value 0 come first; "i-gos" is `CellCurves`. (Their default sort is not stable; our
/// rule for ties is `order`.)
struct InsertionDeletion: Metric {
  let name: String
  let summary: String
  let isInsertion: Bool
  var better: Direction { isInsertion ? .more : .less }

  static let insertion = InsertionDeletion(
    name: "insertion",
    summary: "Area under the class's score while pixels are put into a blurred image, most important first; more is "
      + "better.",
    isInsertion: true)
  static let deletion = InsertionDeletion(
    name: "deletion",
    summary: "Area under the class's score while pixels are taken away, most important first; less is better.",
    isInsertion: false)

  enum Compat: String, CaseIterable {
    case none, rise, scouter
    case caStream = "ca-stream"
    case iGOS = "i-gos"
  }

  /// All but I-GOS's program, which goes by cells of the map.
  private static let byPixels = Compat.allCases.filter { $0 != .iGOS }.map(\.rawValue)

  let draws = [MeasurementRequest.rangeDraw]
  let parameters = [
    Parameter(
      "step", default: 0, in: 0...100_000_000, "Pixels a step; 0: a row of them, 8 rows with compat ca-stream."),
    Parameter("kernel", default: 0, in: 0...999, "Side of the blur, odd; 0: 11, with compat ca-stream 5.")
      .read(with: "compat", Self.byPixels),
    Parameter("sigma", default: 5.0, in: 0.01...1000, "Of the blur's Gaussian, in pixels.")
      .read(with: "compat", Self.byPixels),
    Parameter(
      "order", default: Ranking.auto,
      "Which of equal pixels goes first: the last, or the first; wrapped: value 0, then 255 to 1; auto: stable-last, "
        + "with compat scouter wrapped."
    ).read(with: "compat", Self.byPixels),
    Score.parameter(else: "softmax"),
    Parameter(
      "end", default: Filling.auto,
      "What pixels show that are away; auto: insertion starts from the blur, deletion ends at zero as fed."
    ).read(with: "compat", Self.byPixels),
    Parameter("compat", default: Compat.none, Score.compatSummary),
  ]

  func measure(_ request: MeasurementRequest) throws -> Measurement {
    if try request.settings.choice("compat", Compat.self) == .iGOS { return try measureCells(request) }
    let plan = try Plan(request, isInsertion: isInsertion)
    var curves = Curves(count: request.count)
    var untouched = 0.0
    let quantity = try Score.quantity(request.settings, else: .softmax)
    try request.forEachVariant(quantity, count: plan.steps, prepare: plan.writer) { scored in
      if scored.variant == 0 { untouched = scored.score }
      if !isInsertion || scored.variant > 0 { curves.append(scored.score, to: scored.index) }
      if isInsertion, scored.variant == scored.variants { curves.append(untouched, to: scored.index) }
    }
    let areas = curves.points.map { Curves.area($0) / Double(max(1, $0.count - 1)) }
    return Measurement(
      areas, curve: try curves.tensor(),
      chosen: plan.chosen.merging(["score": .text(quantity.rawValue)]) { $1 })
  }

  private func measureCells(_ request: MeasurementRequest) throws -> Measurement {
    let cells = try CellCurves(request, isInsertion: isInsertion, step: try request.settings.integer("step"))
    let quantity = try Score.quantity(request.settings, else: .softmax)
    var curves = Curves(count: request.count)
    try request.forEachVariant(quantity, count: { _ in cells.points }, prepare: cells.writer) { scored in
      if scored.variant > 0 { curves.append(scored.score, to: scored.index) }
    }
    let chosen: [String: ParameterValue] = [
      "step": .number(Double(cells.cellsPerStep)), "kernel": 51, "sigma": 50,
      "order": .text(Ranking.stableFirst.rawValue),
      "score": .text(quantity.rawValue), "end": .text(Filling.blur.rawValue),
    ]
    return Measurement(
      curves.points.map { Curves.area($0) / Double(max(1, $0.count - 1)) }, curve: try curves.tensor(), chosen: chosen)
  }
}

/// What is done to the images.
private struct Plan {
  let isInsertion: Bool
  let model: Model
  let compat: InsertionDeletion.Compat
  let step: Int
  let kernel: Int
  let blur: Blur
  let filling: Filling
  let ranker: Ranker

  init(_ request: MeasurementRequest, isInsertion: Bool) throws {
    let settings = request.settings
    self.isInsertion = isInsertion
    model = try request.model()
    compat = try settings.choice("compat")
    step = try settings.integer("step")
    let asked = try settings.integer("kernel")
    kernel = asked > 0 ? asked : compat == .caStream ? 5 : 11
    guard kernel % 2 == 1 else {
      throw Failure(.invalidArgument, "the parameter \"kernel\" is \(kernel); it must be odd")
    }
    blur = Blur(kernel: kernel, sigma: try settings.number("sigma"))
    let end: Filling = try settings.choice("end")
    filling = end != .auto ? end : isInsertion ? .blur : .zero
    ranker = try Ranker(request, compat)
  }

  /// The parameters whose values were left open; the step too where it is one for all images.
  var chosen: [String: ParameterValue] {
    var chosen: [String: ParameterValue] = [
      "kernel": .number(Double(kernel)), "end": .text(filling.rawValue), "order": .text(ranker.ranking.rawValue),
    ]
    if let width = model.inputSize.width { chosen["step"] = .number(Double(pixelsPerStep(width))) }
    return chosen
  }

  private func pixelsPerStep(_ width: Int) -> Int { step > 0 ? step : compat == .caStream ? 8 * width : width }

  func steps(_ shape: Shape) -> Int {
    let pixels = pixelsPerStep(shape[2])
    return (shape[1] * shape[2] + pixels - 1) / pixels
  }

  func writer(_ subject: Subject) throws -> VariantWriter {
    let places = Ranking.places(in: try ranker.order(for: subject))
    let away = try filling.values(of: subject, model, blur: blur)
    let (size, pixels) = (subject.pixels, pixelsPerStep(subject.width))
    return { variant, target in
      // Form i of an insertion is the start after i − 1 steps: after all of them it is the image itself.
      let done = (isInsertion ? variant - 1 : variant) * pixels
      withExtendedLifetime(subject.input) {
        for i in 0..<subject.count {
          target[i] = (places[i % size] < done) == isInsertion ? subject.start[i] : away[i]
        }
      }
    }
  }
}

/// The order of an image's pixels by its map.
private struct Ranker {
  let maps: Maps
  let ranking: Ranking
  let ranges: [Float]?
  /// Whether maps become bytes, which are enlarged as Pillow does.
  let areBytes: Bool
  let request: MeasurementRequest

  init(_ request: MeasurementRequest, _ compat: InsertionDeletion.Compat) throws {
    maps = try request.maps()
    ranges = try request.ranges()
    let asked: Ranking = try request.settings.choice("order")
    ranking = asked != .auto ? asked : compat == .scouter ? .wrapped : .stableLast
    areBytes = compat == .scouter || ranking == .wrapped
    self.request = request
  }

  func order(for subject: Subject) throws -> [Int] {
    let map = maps[subject.index]
    guard areBytes else {
      return ranking.order(of: try map.resized(height: subject.height, width: subject.width).flat)
    }
    let bytes = try map.bytes(range: request.range(of: subject.index, ranges))
    let enlarged = try Map.enlarged(
      bytes, height: map.height, width: map.width, to: (subject.height, subject.width))
    return ranking == .wrapped ? Ranking.wrappedOrder(of: enlarged) : ranking.order(of: enlarged.map { Float($0) })
  }
}
