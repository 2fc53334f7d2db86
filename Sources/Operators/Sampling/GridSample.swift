import Graph
import Parallel
import Tensors

/// GridSample over two spatial axes: the input read at the places that a grid [N, H, W, 2] names as (x, y).
enum GridSample {
  static let definitions = [
    OperatorDefinition("GridSample", plan: plan).gradient(gradient),
    OperatorDefinition("GridSampleInputGradient", domain: "limpid", plan: planInputGradient),
    OperatorDefinition("GridSampleGridGradient", domain: "limpid", plan: planGridGradient),
  ]

  private static func plan(_ request: Request) throws -> Step {
    try request.require(0, .float32)
    let x = try request.input(0).shape
    let sampler = try sampler(request)
    let grid = try request.input(1).shape
    let output = try Shape(checking: [x[0], x[1], grid[1], grid[2]])
    let pixels = grid[1] * grid[2]
    return Step(
      inputs: [.channelsLast, .standard], outputs: [Operand(.float32, output, layout: .channelsLast)]
    ) { run in
      let (source, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(0), run.output())
      let places: UnsafePointer<Float> = run.input(1)
      run.parallel.forEach(x[0] * pixels, grain: 64) { range in
        for pixel in range {
          sampler.sample(
            source + pixel / pixels * x[1] * x[2] * x[3], places[2 * pixel], places[2 * pixel + 1],
            into: target + pixel * sampler.channels)
        }
      }
    }
  }

  /// From the attributes, for input 0 [N, C, H, W] and input 1, the grid.
  private static func sampler(_ request: Request) throws -> GridSampler {
    try request.require(1, .float32)
    let (x, grid) = (try request.input(0).shape, try request.input(1).shape)
    guard x.rank == 4, grid.rank == 4, grid[0] == x[0], grid[3] == 2, x[2] > 0, x[3] > 0 else {
      throw Failure(.unsupported, "input \(x) and grid \(grid); supported: [N, C, H, W] and [N, height, width, 2]")
    }
    let modes: [String: GridSampler.Mode] = [
      "bilinear": .linear, "linear": .linear, "nearest": .nearest, "bicubic": .cubic, "cubic": .cubic,
    ]
    let name = try request.node.string("mode", default: "linear")
    let border = try request.node.string("padding_mode", default: "zeros")
    guard let mode = modes[name], let padding = GridSampler.Padding(rawValue: border) else {
      throw Failure(.invalidModel, "mode \(quoted(name)) with padding_mode \(quoted(border))")
    }
    return GridSampler(
      height: x[2], width: x[3], channels: x[1], mode: mode, padding: padding,
      alignsCorners: try request.node.flag("align_corners"))
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
    let grid = try request.input(1).shape
    let pixels = grid[1] * grid[2]
    try check(request, [x[0], x[1], grid[1], grid[2]])
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
            gradient + pixel * sampler.channels, places[2 * pixel], places[2 * pixel + 1],
            into: target + pixel / pixels * x[1] * x[2] * x[3])
        }
      }
    }
  }

  /// Inputs: x, the grid, the result's gradient; how the result changes as each place moves.
  private static func planGridGradient(_ request: Request) throws -> Step {
    let x = try request.input(0).shape
    let sampler = try sampler(request)
    let grid = try request.input(1).shape
    let pixels = grid[1] * grid[2]
    try check(request, [x[0], x[1], grid[1], grid[2]])
    return Step(inputs: [.channelsLast, .standard, .channelsLast], outputs: [Operand(.float32, grid)]) { run in
      let (source, places): (UnsafePointer<Float>, UnsafePointer<Float>) = (run.input(0), run.input(1))
      let (gradient, target): (UnsafePointer<Float>, UnsafeMutablePointer<Float>) = (run.input(2), run.output())
      run.parallel.forEach(x[0] * pixels, grain: 64) { range in
        for pixel in range {
          (target[2 * pixel], target[2 * pixel + 1]) = sampler.slopes(
            source + pixel / pixels * x[1] * x[2] * x[3], gradient + pixel * sampler.channels, places[2 * pixel],
            places[2 * pixel + 1])
        }
      }
    }
  }

  private static func check(_ request: Request, _ expected: [Int]) throws {
    try request.require(0, .float32)
    try request.require(2, .float32)
    guard try request.input(2).shape.dimensions == expected else {
      throw Failure(.internal, "the gradient must have the shape \(expected)")
    }
  }
}
