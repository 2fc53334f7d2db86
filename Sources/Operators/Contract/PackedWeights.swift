import Parallel
public import Tensors

/// Weights in the form that the kernels read, made once per model and shared by its plans.
///
/// What is packed of the model's own weights stays as long as the model. What is packed of values that a plan computed
/// (weights that were transposed or dequantised) stays as long as some plan uses it: every plan computes its own.
public final class PackedWeights: Sendable {
  private struct Key: Hashable {
    let addresses: [Int]
    let form: String
  }

  private struct Entry {
    weak var packed: Storage?
    /// Keeps the packed form where it shall last.
    let lasting: Storage?
    /// Kept so that no other tensor comes to lie at an address in the key.
    let sources: [Storage]
    let byteCount: Int
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var byteCount = 0
    /// Where the model's own weights lie, and the packed forms that last, which may be packed further.
    var lasting: Set<ObjectIdentifier>
    /// How many entries there may be before those are looked for that nothing uses any more.
    var pruningCount = 64

    mutating func prune() {
      entries = entries.filter { $0.value.packed != nil }
      byteCount = entries.values.reduce(0) { $0 + $1.byteCount }
      pruningCount = 2 * entries.count + 64
    }
  }

  private let state: Guarded<State>
  private let limit: Int
  private let packs: Bool

  /// `limit` bounds the bytes of all packed forms together; `lasting` is where the model's own weights lie.
  public init(limit: Int, lasting: [Storage]) {
    self.limit = limit
    packs = true
    state = Guarded(State(lasting: Set(lasting.map { ObjectIdentifier($0) })))
  }

  /// For steps that are planned for the shapes of their results and never run: nothing is packed.
  public static let unpacked = PackedWeights()

  private init() {
    limit = 0
    packs = false
    state = Guarded(State(lasting: []))
  }

  /// The packed form of `sources`, made by `pack` where it is asked for the first time. `form` tells apart the
  /// forms that one tensor may be packed into.
  ///
  /// Throws `unsupported` before anything is packed where `byteCount` more bytes are beyond the memory limit.
  public func packed(
    _ sources: [Tensor], as form: String, byteCount: Int, _ pack: () throws -> Storage
  ) throws -> Storage {
    guard packs else { return try Storage(byteCount: 0) }
    let key = Key(addresses: sources.map { Int(bitPattern: $0.data) }, form: form)
    if let known = state.withLock({ $0.entries[key]?.packed }) { return known }
    try reserve(byteCount)
    let made = try pack()
    // Large weights would else be in memory twice, here and as pages of the file.
    for source in sources { source.release() }
    let storages = sources.map(\.storage)
    return state.withLock { state in
      if let known = state.entries[key]?.packed { return known }
      let stays = storages.allSatisfy { state.lasting.contains(ObjectIdentifier($0)) }
      if stays { state.lasting.insert(ObjectIdentifier(made)) }
      if state.entries.count >= state.pruningCount { state.prune() }
      state.byteCount += made.byteCount - (state.entries[key]?.byteCount ?? 0)
      state.entries[key] = Entry(
        packed: made, lasting: stays ? made : nil, sources: storages, byteCount: made.byteCount)
      return made
    }
  }

  private func reserve(_ byteCount: Int) throws {
    let total = state.withLock { state in
      if byteCount > limit - state.byteCount { state.prune() }
      return state.byteCount
    }
    guard byteCount <= limit - total else {
      throw Failure(
        .unsupported,
        "packed weights of \(byteSize(total + min(byteCount, 1 << 60), .up)); the memory limit is \(byteSize(limit, .down))"
      )
    }
  }

  /// Bytes of the packed forms that are kept.
  public var byteCount: Int {
    state.withLock { state in
      state.prune()
      return state.byteCount
    }
  }
}
