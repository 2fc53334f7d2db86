// SPDX-License-Identifier: Apache-2.0
import Graph
import ONNX
import Tensors
import Testing

/// Whatever the bytes are, loading ends with a graph that keeps its promises or with a `Failure`.
@Suite struct DamagedModels {
  /// Small models that together use every kind of message.
  static let seeds = ["raw", "types", "attributes", "branches", "constants", "symbolic", "external", "unknown-fields"]

  /// Whether the bytes load; records an issue where they do neither.
  private func loads(_ bytes: [UInt8], _ what: @autoclosure () -> String) -> Bool {
    do {
      if let problem = try load(bytes).brokenPromise() { Issue.record("\(what()): \(problem)") }
      return true
    } catch {
      if let failure = error as? Failure {
        #expect(failure.kind == .invalidModel || failure.kind == .unsupported, "\(what()): \(failure)")
      } else {
        Issue.record("\(what()): not a Failure: \(error)")
      }
      return false
    }
  }

  @Test("A model cut anywhere is refused or loads", arguments: seeds)
  func truncation(_ seed: String) throws {
    let bytes = try contents(of: "good/\(seed).onnx")
    var refusals = 0
    for count in bytes.indices where !loads(Array(bytes[..<count]), "\(seed) cut at \(count)") { refusals += 1 }
    // Only cuts behind the graph and the opset import can leave a model.
    #expect(refusals > bytes.count / 2)
  }

  @Test("A model with random damage is refused or loads", arguments: seeds)
  func mutation(_ seed: String) throws {
    let bytes = try contents(of: "good/\(seed).onnx")
    var random = Generator(state: seed.utf8.reduce(1) { $0 &* 31 &+ UInt64($1) })
    var refusals = 0
    for round in 0..<500 {
      var damaged = bytes
      for _ in 0...Int.random(in: 0..<4, using: &random) { damage(&damaged, &random) }
      if !loads(damaged, "\(seed) in round \(round)") { refusals += 1 }
    }
    #expect(refusals > 0)
  }

  private func damage(_ bytes: inout [UInt8], _ random: inout Generator) {
    let index = Int.random(in: bytes.indices, using: &random)
    switch Int.random(in: 0..<5, using: &random) {
    case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[index] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
    case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
    case 3 where bytes.count > 1: bytes.remove(at: index)
    default:
      let source = Int.random(in: bytes.indices, using: &random)
      let count = min(Int.random(in: 1...16, using: &random), bytes.count - max(index, source))
      bytes.replaceSubrange(index..<index + count, with: Array(bytes[source..<source + count]))
    }
  }
}

/// xorshift64*: the same damage in every run.
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}
