import Engine
import Graph
import Kernels
import Parallel
import Tensors
import Testing

/// A convolution and all that may be fused into it.
struct FusedConvolution: Sendable, CustomTestStringConvertible {
  var channels = 6
  var outputs = 8
  var groups = 1
  var kernel = [3, 3]
  var strides = [1, 1]
  var dilations = [1, 1]
  var pads = [1, 1, 1, 1]
  var hasBias = false
  var isNormalized = false
  var hasResidual = false
  var isRectified = false
  var areWeightsFed = false

  let batch = 2
  let size = [9, 7]

  var testDescription: String {
    "\(channels)→\(outputs)/\(groups) \(kernel) by \(strides), \(dilations), \(pads)"
      + (hasBias ? " bias" : "") + (isNormalized ? " norm" : "") + (hasResidual ? " residual" : "")
      + (isRectified ? " relu" : "") + (areWeightsFed ? " fed" : "")
  }

  var extents: [Int] {
    (0..<2).map { (size[$0] + pads[$0] + pads[$0 + 2] - (kernel[$0] - 1) * dilations[$0] - 1) / strides[$0] + 1 }
  }

  /// Inputs x, w, b, scale, shift, mean, variance, residual.
  func operands() throws -> [Tensor?] {
    let vector: Shape = [outputs]
    func random(_ seed: UInt64, _ shape: Shape, from low: Float = -1) throws -> Tensor {
      var state = seed &* 0x9e37_79b9_7f4a_7c15
      return try Tensor(
        (0..<shape.count).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return low + (1 - low) * Float(state >> 40) / Float(1 << 24)
        }, shape)
    }
    let norm = try isNormalized
      ? [random(4, vector), random(5, vector), random(6, vector), random(7, vector, from: 0.5)]
      : [Tensor?](repeating: nil, count: 4)
    let x = try random(1, [batch, channels, size[0], size[1]])
    let w = try random(2, [outputs, channels / groups, kernel[0], kernel[1]])
    return [x, w, hasBias ? try random(3, vector) : nil] + norm
      + [hasResidual ? try random(8, [batch, outputs, extents[0], extents[1]]) : nil]
  }

  /// By the definition, in double.
  func expected(_ operands: [Tensor?]) -> [Double] {
    let values = operands.map { $0?.array(of: Float.self).map(Double.init) }
    let (x, w) = (values[0]!, values[1]!)
    let (own, perGroup) = (channels / groups, outputs / groups)
    var result: [Double] = []
    for n in 0..<batch {
      for m in 0..<outputs {
        for y in 0..<extents[0] {
          for column in 0..<extents[1] {
            var sum = values[2]?[m] ?? 0
            for c in 0..<own {
              for ky in 0..<kernel[0] {
                for kx in 0..<kernel[1] {
                  let iy = y * strides[0] - pads[0] + ky * dilations[0]
                  let ix = column * strides[1] - pads[1] + kx * dilations[1]
                  guard iy >= 0, iy < size[0], ix >= 0, ix < size[1] else { continue }
                  let channel = m / perGroup * own + c
                  sum += x[((n * channels + channel) * size[0] + iy) * size[1] + ix]
                    * w[((m * own + c) * kernel[0] + ky) * kernel[1] + kx]
                }
              }
            }
            if let scale = values[3], let shift = values[4], let mean = values[5], let variance = values[6] {
              sum = (sum - mean[m]) / (variance[m] + 1e-3).squareRoot() * scale[m] + shift[m]
            }
            sum += values[7]?[result.count] ?? 0
            result.append(isRectified ? max(0, sum) : sum)
          }
        }
      }
    }
    return result
  }

  func run(_ operands: [Tensor?], _ kernels: Kernels.Variant, threads: Int) throws -> [Float] {
    var graph = SmallGraph()
    let names = operands.indices.map { operands[$0] == nil ? nil : "input\($0)" }
    for case (let i, (let name?, let tensor?)) in zip(names, operands).enumerated() {
      if i == 0 || i == 7 || areWeightsFed && i < 3 {
        graph.feed(name, tensor)
      } else {
        graph.constant(name, tensor)
      }
    }
    var attributes: [String: Attribute] = [
      "strides": .ints(strides), "dilations": .ints(dilations), "pads": .ints(pads), "group": .int(groups),
      "epsilon": .float(1e-3),
    ]
    if isRectified { attributes["activation"] = .string("Relu") }
    graph.node("Conv", domain: "limpid", names, ["output"], attributes)
    return try graph.run(fetch: ["output"], Kernels(kernels), threads: threads)[0].array(of: Float.self)
  }

  static let all: [FusedConvolution] = [
    FusedConvolution(),
    FusedConvolution(kernel: [1, 1], pads: [0, 0, 0, 0], hasBias: true, isNormalized: true),
    FusedConvolution(strides: [2, 2], isNormalized: true, hasResidual: true, isRectified: true),
    FusedConvolution(kernel: [5, 3], dilations: [1, 2], pads: [2, 1, 0, 3], hasBias: true, isRectified: true),
    FusedConvolution(groups: 2, hasBias: true, isNormalized: true, hasResidual: true),
    FusedConvolution(channels: 8, groups: 8, strides: [2, 1], isNormalized: true, isRectified: true),
    FusedConvolution(channels: 4, groups: 4, hasBias: true, hasResidual: true),
    FusedConvolution(hasBias: true, areWeightsFed: true),
    FusedConvolution(channels: 8, groups: 8, hasBias: true, areWeightsFed: true),
  ]
}

@Test(arguments: FusedConvolution.all)
func aFusedConvolutionIsTheSumOfItsParts(convolution: FusedConvolution) throws {
  let operands = try convolution.operands()
  let expected = convolution.expected(operands)
  for variant in Kernels.available {
    let found = try convolution.run(operands, variant, threads: 2)
    #expect(found.count == expected.count)
    let error = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? 1
    #expect(error < 1e-5, "\(variant)")
    #expect(try convolution.run(operands, variant, threads: 1) == found, "\(variant): other bits with one thread")
  }
}
