import Graph
public import Models
public import Parallel
public import Tensors

/// What is usual for each value of a layer over many images: what IBA measures information by.
public struct LayerStatistics: Sendable {
  /// The layer's value.
  public let layer: String
  /// [channels, rows, columns] each: the mean; the standard deviation (n − 1); 1 where more than 0.01 of the images
  /// have a value other than 0.
  public let mean: Tensor
  public let std: Tensor
  public let active: Tensor
}

extension Model {
  /// Of the layer that `call` names, else the model's own choice. Images go by one batch at a time; those that cannot
  /// be had are left out.
  ///
  /// Throws `invalidArgument` for fewer than two images, and for images of different sizes at the model's input.
  public func statistics(of images: ImageSet, _ call: Call, _ progress: Progress) throws -> LayerStatistics {
    let owner = "estimating a layer's statistics"
    try call.refuse(parametersOf: owner)
    guard call.layers.count < 2 else { throw Failure(.invalidArgument, "\(owner) takes one layer") }
    let stream = stream(images, 0..<images.count, progress)
    var first: Shape?
    for i in 0..<stream.count where first == nil { first = try stream.shape(i) }
    guard let shape = first else { throw Failure(.invalidArgument, "\(owner) needs at least two images") }
    let analysis = try analysis(for: shape, requiredScores(call.output), call)
    let named = try call.layers.first.map { name in
      try locating("layer") { try analysis.layer(tappedValue(named: name), named: name) }
    }
    guard let layer = named ?? analysis.defaultLayer else {
      throw Failure(
        .invalidArgument, "no layer of this model has feature maps with a place in the image; name one (`layer`)")
    }
    var moments: Moments?
    try forEachBatch(of: stream, fetch: [layer.value], call, progress) { batch in
      for row in 0..<batch.count {
        let maps = try LayerMaps(layer, batch.tensors[0], row: row)
        var known = moments ?? Moments(count: maps.values.count)
        moments = nil
        try known.add(maps.values)
        moments = known
      }
    }
    guard let moments, moments.images > 1 else {
      throw Failure(.invalidArgument, "\(owner) needs at least two images")
    }
    return try moments.statistics(
      graph.name(of: layer.value), Shape(checking: [layer.channels, layer.grid.rows, layer.grid.columns]))
  }
}

extension Call {
  fileprivate func refuse(parametersOf owner: String) throws {
    if let name = parameters.keys.min() {
      throw Failure(.notFound, "\(owner) has no parameter \(quoted(name)); it has none")
    }
    try refuse(layers: false, seed: true, draws: [], for: owner)
  }
}

/// Running mean and sum of squared differences from it (Welford, 1962).
private struct Moments {
  private(set) var images = 0
  private var means: [Double]
  private var squares: [Double]
  private var nonzero: [Int]

  init(count: Int) {
    means = [Double](repeating: 0, count: count)
    squares = means
    nonzero = [Int](repeating: 0, count: count)
  }

  mutating func add(_ values: [Float]) throws {
    guard values.count == means.count else {
      throw Failure(.invalidArgument, "the images have different sizes at the model's input; bring them to one")
    }
    images += 1
    for (i, value) in values.enumerated() {
      let difference = Double(value) - means[i]
      means[i] += difference / Double(images)
      squares[i] += difference * (Double(value) - means[i])
      if value != 0 { nonzero[i] += 1 }
    }
  }

  func statistics(_ layer: String, _ shape: Shape) throws -> LayerStatistics {
    LayerStatistics(
      layer: layer, mean: try Tensor(means.map { Float($0) }, shape),
      std: try Tensor(squares.map { Float(($0 / Double(images - 1)).squareRoot()) }, shape),
      active: try Tensor(nonzero.map { Double($0) > 0.01 * Double(images) ? Float(1) : 0 }, shape))
  }
}
