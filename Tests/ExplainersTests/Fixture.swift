import Glibc
import Tensors

/// Named arrays from a text file of Fixtures, a line each: "name extents : numbers".
struct Fixture {
  private let lines: [String: (shape: [Int], values: [Double])]

  init(_ name: String) throws {
    let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let file = try MappedFile(path: "\(folder)/Fixtures/\(name).txt")
    lines = Dictionary(
      String(decoding: file.bytes, as: UTF8.self).split(separator: "\n").map { line in
        let parts = line.split(separator: ":").map { $0.split(separator: " ") }
        return (String(parts[0][0]), (parts[0].dropFirst().compactMap { Int($0) }, parts[1].compactMap { Double($0) }))
      }, uniquingKeysWith: { first, _ in first })
  }

  func doubles(_ name: String) -> [Double] { lines[name]?.values ?? [] }
  func floats(_ name: String) -> [Float] { doubles(name).map { Float($0) } }
  func integers(_ name: String) -> [Int] { doubles(name).map { Int($0) } }
  func shape(_ name: String) -> [Int] { lines[name]?.shape ?? [] }
  var names: [String] { Array(lines.keys) }

  /// The slices of `name` along its first axis.
  func rows(_ name: String) -> [ArraySlice<Double>] {
    let (shape, values) = lines[name] ?? ([0], [])
    guard let count = shape.first, count > 0 else { return [] }
    let size = values.count / count
    return (0..<count).map { values[$0 * size..<($0 + 1) * size] }
  }
}
