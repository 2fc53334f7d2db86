// SPDX-License-Identifier: Apache-2.0
import Glibc
import Graph
import ONNX
import Parallel
import Tensors
import Testing

/// The path of a file that scripts/make-onnx-fixtures wrote.
func fixture(_ name: String, in folder: String = #filePath) -> String {
  folder.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    + "/Fixtures/" + name
}

func load(_ name: String) throws -> Graph { try ONNXLoader.load(path: fixture(name), .unwatched) }

func contents(of name: String) throws -> [UInt8] {
  let file = try MappedFile(path: fixture(name))
  return withExtendedLifetime(file) { Array(file.bytes) }
}

/// Loads a copy of `bytes`.
func load(_ bytes: [UInt8]) throws -> Graph {
  try bytes.withUnsafeBytes { try ONNXLoader.load(bytes: $0, owner: nil, .unwatched) }
}

/// The names of the models in a folder of fixtures, without suffix.
func onnxFiles(in folder: String) throws -> [String] {
  let directory = try #require(opendir(fixture(folder)))
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name.hasSuffix(".onnx") { names.append(String(name.dropLast(5))) }
  }
  return names
}

/// The failure that loading ends with.
func refusal(at location: SourceLocation = #_sourceLocation, _ body: () throws -> Graph) -> Failure? {
  do {
    _ = try body()
    Issue.record("it loads", sourceLocation: location)
  } catch let failure as Failure {
    return failure
  } catch {
    Issue.record("not a Failure: \(error)", sourceLocation: location)
  }
  return nil
}

extension Graph {
  func constant(_ name: String) throws -> Tensor {
    try #require(value(named: name).flatMap { constants[$0] })
  }

  func names(_ values: [ValueID?]) -> [String?] { values.map { $0.map(name(of:)) } }

  /// What is wrong with a graph that the loader returned, which promises to keep some rules.
  func brokenPromise(within outer: Graph? = nil) -> String? {
    var known = Set(inputs.map(\.value)).union(constants.keys).union(unreadable.keys)
    if known.count != inputs.count + constants.count + unreadable.count { return "an input is a constant" }
    let made = Set(nodes.flatMap(\.outputs).compactMap(\.self))
    func isKnown(_ value: ValueID) -> Bool {
      known.contains(value) || !made.contains(value) && outer?.value(named: name(of: value)) != nil
    }
    for node in nodes {
      for case let input? in node.inputs where !isKnown(input) { return "\(node.title) runs too early" }
      for case .graph(let inner) in node.attributes.values {
        if let problem = inner.brokenPromise(within: self) { return problem }
      }
      for case let output? in node.outputs where !known.insert(output).inserted { return "\(node.title) overwrites" }
    }
    for output in outputs where !isKnown(output.value) { return "an output is never made" }
    for tensor in constants.values {
      // Every byte must be there to be read.
      withExtendedLifetime(tensor) { blackHole(tensor.bytes.reduce(UInt8(0)) { $0 ^ $1 }) }
    }
    return nil
  }
}

@inline(never) private func blackHole(_ byte: UInt8) {}
