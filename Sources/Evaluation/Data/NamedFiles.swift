import Documents
import Tensors

extension DataFormat {
  /// ConText (Karaoglu et al., 2013), as SCOUTER reads it: the class is what stands before the first "_" of a file's
  /// name. The split is that of scikit-learn's `train_test_split(train_size=0.8, random_state=1)` over the sorted
  /// names.
  static let context = DataFormat(
    name: "context", summary: "ConText: the class is the start of a file's name",
    reads: [.classFile, .split], recognizes: { _ in false },
    read: { request in
      let names = try split(images(below: request.path), request.options.split, state: 1)
      let known = Set(try images(below: request.path).map(prefix)).sorted()
      let (indices, words) = try request.classes(named: known, what: "class")
      let samples = names.map { name in
        Sample(name: name, source: .file(joined(request.path, name)), truth: indices[prefix(name)])
      }
      return DataSet(format: "context", path: request.path, samples: samples, classes: words)
    })

  /// ACRIMA (Diaz-Pinto et al., 2019): "_g_" in the name means glaucoma, class 1. Its split has random_state 29.
  static let acrima = DataFormat(
    name: "acrima", summary: "ACRIMA: \"_g_\" in a file's name is class 1",
    reads: [.classFile, .split],
    recognizes: { path in
      guard isFolder(path), let names = try? visible(path).filter(isImageName) else { return false }
      return !names.isEmpty && names.allSatisfy { $0.contains("_ACRIMA.") }
    },
    read: { request in
      let names = try split(images(below: request.path), request.options.split, state: 29)
      let samples = names.map { name in
        Sample(
          name: name, source: .file(joined(request.path, name)),
          truth: "_\(fileName(name))_".contains("_g_") ? 1 : 0)
      }
      return DataSet(format: "acrima", path: request.path, samples: samples, classes: "glaucoma is 1, normal is 0")
    })

  private static func prefix(_ path: String) -> String {
    String(fileName(path).split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false).first ?? "")
  }

  /// All, or one part of scikit-learn's split, in the order of the names.
  private static func split(_ names: [String], _ part: String?, state: UInt32) -> [String] {
    let names = names.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    guard let part, part != "all" else { return names }
    var generator = MersenneTwister(seed: state)
    let order = generator.permutation(names.count)
    let testCount = names.count - Int(Double(names.count) * 0.8)
    let chosen = part == "test" ? order.prefix(testCount) : order.dropFirst(testCount)
    return chosen.sorted().map { names[$0] }
  }
}

/// MT19937 (Matsumoto & Nishimura, 1998), and permutations as NumPy's `RandomState` draws them: for splits that
/// programs have published by their seed.
struct MersenneTwister {
  private var state = [UInt32](repeating: 0, count: 624)
  private var next = 624

  init(seed: UInt32) {
    state[0] = seed
    for i in 1..<624 { state[i] = 1_812_433_253 &* (state[i - 1] ^ state[i - 1] >> 30) &+ UInt32(i) }
  }

  private mutating func word() -> UInt32 {
    if next == 624 {
      for i in 0..<624 {
        let y = (state[i] & 0x8000_0000) | (state[(i + 1) % 624] & 0x7FFF_FFFF)
        state[i] = state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 == 0 ? 0 : 0x9908_B0DF)
      }
      next = 0
    }
    var y = state[next]
    next += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C_5680
    y ^= (y << 15) & 0xEFC6_0000
    return y ^ y >> 18
  }

  /// Fisher and Yates, from the end; numbers that are too large are drawn again.
  mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    guard count > 1 else { return order }
    for i in (1..<count).reversed() {
      let mask = UInt32.max >> UInt32(UInt32(i).leadingZeroBitCount)
      var j = Int(word() & mask)
      while j > i { j = Int(word() & mask) }
      order.swapAt(i, j)
    }
    return order
  }
}
