import Engine
import Graph
import Operators
public import Tensors

/// What a call feeds beside images: a row of each input for each image, or one for all.
struct FurtherInputs {
  private let feeds: [(declaration: Declaration, name: String, tensor: Tensor)]
  private let batch: Int?
  /// Names of extents that outputs have behind the first axis.
  private let inner: Set<String>

  var values: [ValueID] { feeds.map(\.declaration.value) }

  /// Those of the call's feeds that `fetches` depend on. Throws for names that are no inputs, and for tensors that are
  /// not what the inputs declare.
  init(_ model: Model, _ call: Call, _ fetches: [ValueID]) throws {
    batch = model.declaredBatch
    inner = Set(
      model.graph.outputs.flatMap { $0.dimensions?.dropFirst() ?? [] }.compactMap { dimension in
        if case .named(let name) = dimension { name } else { nil }
      })
    guard !call.feeds.isEmpty else {
      feeds = []
      return
    }
    let graph = model.graph
    let image = try model.imageInput()
    let live = graph.live(for: fetches, known: Set(graph.constants.keys))
    let read = Set(live.flatMap { graph.read(by: graph.nodes[$0]) } + fetches)
    var found: [(declaration: Declaration, name: String, tensor: Tensor)] = []
    for (name, tensor) in call.feeds.sorted(by: { $0.key < $1.key }) {
      guard let input = graph.inputs.first(where: { $0.value != image && graph.name(of: $0.value) == name }) else {
        if graph.name(of: image) == name {
          throw Failure(.invalidArgument, "the input \(quoted(name)) is fed with the image; feed the others only")
        }
        throw Failure(
          .notFound,
          "the model has no input \(quoted(name)) beside the image; its inputs are "
            + graph.inputs.map { quoted(graph.name(of: $0.value)) }.joined(separator: ", "))
      }
      let hasRows = Self.hasRows(input, tensor, batch, inner)
      try input.check(tensor, name, rowsAreOpen: hasRows)
      if hasRows, let images = call.imageCount, ![1, images].contains(tensor.shape[0]) {
        throw Failure(
          .invalidArgument,
          "the feed \(quoted(name)) is of shape \(tensor.shape); give one row, or one for each image, of which there are "
            + "\(images)")
      }
      if read.contains(input.value) { found.append((input, name, tensor)) }
    }
    feeds = found
  }

  /// Whether the first axis counts images: not where its extent is fixed, other than to that of a batch of images, nor
  /// where an output has it as another axis (the names of classes that are fed, say).
  private static func hasRows(_ input: Declaration, _ tensor: Tensor, _ batch: Int?, _ inner: Set<String>) -> Bool {
    guard tensor.shape.rank > 0 else { return false }
    switch input.dimensions?.first {
    case .fixed(let extent)?: return extent == batch
    case .named(let name)?: return !inner.contains(name)
    default: return true
    }
  }

  /// The tensors for a batch of `rows`, the first of which are of `images`; the rest are as the last of them.
  func tensors(for images: [Int?], rows: Int) throws -> [(value: ValueID, tensor: Tensor)] {
    try feeds.map { input, name, tensor in
      guard Self.hasRows(input, tensor, batch, inner) else { return (input.value, tensor) }
      let count = tensor.shape[0]
      let isOneForAll = count == 1
      let numbers = try (0..<rows).map { row -> Int in
        if isOneForAll { return 0 }
        guard let image = images[min(row, images.count - 1)] else {
          throw Failure(
            .unsupported,
            "the feed \(quoted(name)) has \(count) rows; this method takes one for all images: explain them one by one")
        }
        guard image < count else {
          throw Failure(
            .invalidArgument,
            "the feed \(quoted(name)) is of shape \(tensor.shape); give one row, or one for each image")
        }
        return image
      }
      return (input.value, try tensor.rows(numbers))
    }
  }

  /// The types and shapes for a batch of `rows`.
  func operands(rows: Int) throws -> [(value: ValueID, type: ElementType, shape: Shape)] {
    try feeds.map { input, _, tensor in
      guard Self.hasRows(input, tensor, batch, inner) else { return (input.value, tensor.type, tensor.shape) }
      return (input.value, tensor.type, try Shape(checking: [rows] + tensor.shape.dimensions.dropFirst()))
    }
  }
}

extension Declaration {
  /// Throws `invalidArgument` where `tensor` is not what the file declares; `rowsAreOpen`: whatever its first extent,
  /// and of whichever floating-point type.
  func check(_ tensor: Tensor, _ name: String, rowsAreOpen: Bool = false) throws {
    guard tensor.type == type || rowsAreOpen && tensor.type.computed == type.computed else {
      throw Failure(.invalidArgument, "the feed \(quoted(name)) is of \(tensor.type); the model declares \(type)")
    }
    guard let dimensions else { return }
    let fits =
      dimensions.count == tensor.shape.rank
      && zip(dimensions, tensor.shape.dimensions).enumerated().allSatisfy { i, pair in
        if case .fixed(let extent) = pair.0, i > 0 || !rowsAreOpen { extent == pair.1 } else { true }
      }
    guard fits else {
      throw Failure(
        .invalidArgument, "the feed \(quoted(name)) is of shape \(tensor.shape); the model declares \(describedShape)")
    }
  }

  /// "float32 [N×3×224×224]"
  var described: String { "\(type) \(describedShape)" }

  private var describedShape: String {
    guard let dimensions else { return "of any shape" }
    let shown = dimensions.map { dimension in
      switch dimension {
      case .fixed(let extent): "\(extent)"
      case .named(let name): quoted(name)
      case .unknown: "?"
      }
    }
    return "[\(shown.joined(separator: "×"))]"
  }
}

extension Tensor {
  /// The given parts of the first axis, one after the other. Throws `invalidModel` for one that is not there.
  public func rows(_ indices: [Int]) throws -> Tensor {
    guard let count = shape.dimensions.first, indices.allSatisfy({ $0 >= 0 && $0 < count }) else {
      throw Failure(.invalidModel, "a tensor of shape \(shape) has no row \(indices.max() ?? 0)")
    }
    let result = try Tensor(type, Shape(checking: [indices.count] + shape.dimensions.dropFirst()))
    let size = byteCount / count
    for (i, index) in indices.enumerated() {
      (result.data + i * size).copyMemory(from: data + index * size, byteCount: size)
    }
    return result
  }
}
