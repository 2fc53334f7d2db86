/// What was made lately, the last ones first, and is kept for who asks again.
public final class Recent<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private let made = Guarded<[(key: Key, value: Value)]>([])
  private let capacity: Int

  public init(capacity: Int = 8) { self.capacity = capacity }

  /// The value of `key`, made where there is none. Others may ask meanwhile, and make it too.
  public func value(_ key: Key, _ make: () throws -> Value) rethrows -> Value {
    if let known = made.withLock({ made in made.first { $0.key == key }?.value }) { return known }
    let value = try make()
    made.withLock { made in
      made.insert((key, value), at: 0)
      if made.count > capacity { made.removeLast() }
    }
    return value
  }
}
