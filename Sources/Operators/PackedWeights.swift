import Synchronization
public import Tensors

/// Weights in the form that the kernels read, made once per model and shared by its plans.
public final class PackedWeights: Sendable {
  private let entries = Mutex<[Key: Entry]>([:])

  private struct Key: Hashable {
    let addresses: [Int]
    let form: String
  }

  private struct Entry {
    let packed: Storage
    /// Kept so that no other tensor comes to lie at an address in the key.
    let sources: [Storage]
  }

  public init() {}

  /// The packed form of `sources`, made by `pack` where it is asked for the first time. `form` tells apart the
  /// forms that one tensor may be packed into.
  public func packed(_ sources: [Tensor], as form: String, _ pack: () throws -> Storage) throws -> Storage {
    let key = Key(addresses: sources.map { Int(bitPattern: $0.data) }, form: form)
    if let known = entries.withLock({ $0[key] }) { return known.packed }
    let made = try pack()
    // Large weights would else be in memory twice, here and as pages of the file.
    for source in sources { source.release() }
    return entries.withLock { entries in
      if let known = entries[key] { return known.packed }
      entries[key] = Entry(packed: made, sources: sources.map(\.storage))
      return made
    }
  }
}
