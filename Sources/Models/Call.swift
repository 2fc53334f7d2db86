public import Parallel

/// How one call is to run: what all long calls have in common.
public struct Call {
  /// Values of the method's parameters that differ from their defaults.
  public var parameters: [String: Double] = [:]
  /// The value that the method taps; nil: the model's first choice.
  public var layer: String?
  public var seed: UInt64 = 0
  public var progress = Progress()
  /// 0: as the model was loaded.
  public var threads = 0
  /// Images that run at once; 0: `defaultBatchSize`.
  public var batchSize = 0

  public static let defaultBatchSize = 8

  public init() {}
}
