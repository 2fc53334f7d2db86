import Graph
import Parallel
import Tensors

/// GridSample over two or three spatial axes: the input read at the places that a grid [N, H, W, 2] names as (x, y), or
/// [N, D, H, W, 3] as (x, y, z).
enum GridSample {
  private static let name = "GridSample"

  static let definitions = [
    OperatorDefinition(name, plan: plan).gradient(gradient).local(.image),
    // With places in pixels.
    OperatorDefinition(name, domain: "limpid", plan: plan).gradient(gradient),
    OperatorDefinition("GridSampleInputGradient", domain: "limpid", plan: planInputGradient),
    OperatorDefinition("GridSampleGridGradient", domain: "limpid", plan: planGridGradient),
  ]

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    let sampler = try sampler(request)
    let output = try sampled(request)
    let pixels = try places(request)
    return Step(
      inputs: [.channelsLast, .standard], outputs: [Operand(.float32, output, layout: .channelsLast)]
    ) { run in
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      let places: UnsafePointer<Float> = run.input(1)
      run.parallel.forEach(x[0] * pixels, grain: 64) { range in
        for pixel in range {
          sampler.sample(
            source + pixel / pixels * sampler.count, places + sampler.axes * pixel,
            into: target + pixel * sampler.channels)
        }
      }
    }
  }

  /// The shape of what is read.
  private static func sampled(_ request: Request) throws -> Shape {
    let (x, grid) = (try request.input(0).shape, try request.input(1).shape)
    return try Shape(checking: [x[0], x[1]] + grid.dimensions[1..<grid.rank - 1])
  }

  /// Places that a grid names in each image.
  private static func places(_ request: Request) throws -> Int {
    try request.input(1).shape.dimensions.dropFirst().dropLast().reduce(1, *)
  }

  /// From the attributes, for input 0 [N, C, H, W] or [N, C, D, H, W] and input 1, the grid.
  private static func sampler(_ request: Request) throws -> GridSampler {
    try request.require(1, .float32)
    let (x, grid) = (try request.input(0).shape, try request.input(1).shape)
    let rank = x.rank
    guard rank == 4 || rank == 5, grid.rank == rank, grid[0] == x[0], grid[rank - 1] == rank - 2,
      x.dimensions[2...].allSatisfy({ $0 > 0 })
    else {
      throw Failure(
        .unsupported,
        "input \(x) and grid \(grid); supported: [N, C, H, W] and [N, height, width, 2], or three axes and 3")
    }
    let modes: [String: GridSampler.Mode] = [
      "bilinear": .linear, "linear": .linear, "nearest": .nearest, "bicubic": .cubic, "cubic": .cubic,
    ]
    let name = try request.node.string("mode", default: "linear")
    let border = try request.node.string("padding_mode", default: "zeros")
    guard let mode = modes[name], let padding = GridSampler.Padding(rawValue: border) else {
      throw Failure(.invalidModel, "mode \(quoted(name)) with padding_mode \(quoted(border))")
    }
    guard rank == 4 || mode != .cubic else {
      throw Failure(.unsupported, "mode \(quoted(name)) over three axes is not defined")
    }
    return GridSampler(
      depth: rank == 5 ? x[2] : nil, height: x[rank - 2], width: x[rank - 1], channels: x[1], mode: mode,
      padding: padding,
      unit: try unit(request.node))
  }

  private static func unit(_ node: Node) throws -> GridSampler.Unit {
    if node.domain == "limpid", try node.flag("pixels") { return .pixels }
    return try node.flag("align_corners") ? .middles : .edges
  }

  // MARK: Gradients

  private static let gradient = GradientRule.emitted { e, node, gradients in
    guard let dy = gradients.first ?? nil else { return [] }
    let (x, grid) = (try e.input(node, 0), try e.input(node, 1))
    func part(_ e: inout Emitter, _ operation: String) throws -> ValueID {
      try e(operation, x, grid, dy, domain: "limpid", attributes: node.attributes)
    }
    return [
      try e.isActive(node, 0) ? part(&e, "GridSampleInputGradient") : nil,
      try e.isActive(node, 1) ? part(&e, "GridSampleGridGradient") : nil,
    ]
  }

  /// Inputs: x (for its shape), the grid, the result's gradient; each pixel's goes to what it was made of.
  private static func planInputGradient(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    let sampler = try sampler(request)
    let pixels = try places(request)
    try check(request)
    return Step(
      inputs: [.channelsLast, .standard, .channelsLast], outputs: [Operand(.float32, x, layout: .channelsLast)]
    ) { run in
      let (places, gradient): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(1), run.input(2))
      let target: UnsafeMutablePointer<Float> = run.output()
      target.update(repeating: 0, count: x.count)
      // Pixels share what they are made of, so an image is one thread's.
      run.parallel.forEach(x[0]) { images in
        for pixel in images.lowerBound * pixels..<images.upperBound * pixels {
          sampler.scatter(
            gradient + pixel * sampler.channels, places + sampler.axes * pixel,
            into: target + pixel / pixels * sampler.count)
        }
      }
    }
  }

  /// Inputs: x, the grid, the result's gradient; how the result changes as each place moves.
  private static func planGridGradient(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    let sampler = try sampler(request)
    let grid = try request.input(1).shape
    let pixels = try places(request)
    try check(request)
    return Step(inputs: [.channelsLast, .standard, .channelsLast], outputs: [Operand(.float32, grid)]) { run in
      let (source, places): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(0), run.input(1))
      let (gradient, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(2), run.output())
      run.parallel.forEach(x[0] * pixels, grain: 64) { range in
        for pixel in range {
          sampler.slopes(
            source + pixel / pixels * sampler.count, gradient + pixel * sampler.channels, places + sampler.axes * pixel,
            into: target + sampler.axes * pixel)
        }
      }
    }
  }

  private static func check(_ request: Request) throws {
    try request.require(0, .float32)
    try request.require(2, .float32)
    let expected = try sampled(request)
    guard try request.input(2).shape == expected else {
      throw Failure(.internal, "the gradient must have the shape \(expected)")
    }
  }
}
