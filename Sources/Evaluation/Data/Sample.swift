public import Images
import Documents
import Parallel
import Tensors

/// A box in pixels of an image: x1, y1 inside, x2, y2 outside.
public struct BoundingBox: Sendable, Equatable {
  public let x1, y1, x2, y2: Double

  public init(x1: Double, y1: Double, x2: Double, y2: Double) {
    (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2)
  }
}

/// Where the object of a sample is, row by row: not 0 inside.
public struct ObjectMask: Sendable {
  public let width: Int
  public let height: Int
  public let values: [UInt8]
}

/// One image of a data set, and what is true of it.
public struct Sample: Sendable {
  public enum Source: Sendable {
    /// A PNG, JPEG or WebP file.
    case file(String)
    /// Pixels that the data set holds otherwise.
    case pixels(@Sendable () throws -> Image)
    /// The caller has the bytes.
    case caller
  }

  /// How results call it: where it lies in the data set.
  public let name: String
  public let source: Source
  /// The true class; nil where it is not known.
  public let truth: Int?
  /// The file that its pixels are in, also where that holds others.
  public let file: String?
  /// Of the objects of the true class, in pixels of the image; nil where the data set has none for it.
  public let boxes: [BoundingBox]?
  /// Made when it is asked for; nil where the data set has none.
  public let mask: (@Sendable () throws -> ObjectMask)?
  /// What `mask` is made of, as text; "" where there is none.
  let maskSource: String
  /// All that is named in the image; nil where the data set names nothing.
  public internal(set) var things: [Thing]?
  /// What the caller says of the file's contents; nil where the file itself tells.
  var givenStamp: String?

  public init(
    name: String, source: Source, truth: Int?, file: String? = nil, boxes: [BoundingBox]? = nil,
    maskSource: String = "",
    mask: (@Sendable () throws -> ObjectMask)? = nil, things: [Thing]? = nil
  ) {
    self.things = things
    self.name = name
    self.source = source
    self.truth = truth
    if case .file(let path) = source { self.file = path } else { self.file = file }
    self.boxes = boxes
    self.maskSource = maskSource
    self.mask = mask
  }

  /// Tells this sample from others, and from itself with other annotations.
  var key: String {
    guard boxes != nil || !maskSource.isEmpty || things != nil else {
      return "\(truth.map(String.init) ?? "-") \(name)"
    }
    var digest = Digest()
    for thing in things ?? [] { digest.update(thing.description) }
    for box in boxes ?? [] { digest.update("\(box.x1) \(box.y1) \(box.x2) \(box.y2)") }
    digest.update(maskSource)
    return "\(truth.map(String.init) ?? "-")/\(digest.text.prefix(16)) \(name)"
  }

  /// Tells whether its image is the same later: the size of the file, and when it was written; "" without one.
  var stamp: String {
    if let givenStamp { return givenStamp }
    guard let path = file, let status = FileStatus(path) else { return "" }
    return "\(status.size) \(status.modified)"
  }

  func image(_ reading: Reading, _ progress: Progress, warn: (String) -> Void) throws -> Image {
    switch source {
    case .file(let path):
      let file = try Storage(path: path.systemName)
      return try locating(quoted(path)) {
        try file.withBytes { bytes in
          try Image.decode(bytes, as: reading, progress) { warn("\(quoted(path)): \($0)") }
        }
      }
    case .pixels(let make): return try locating(quoted(name)) { try make() }
    case .caller: throw Failure(.invalidArgument, "\(quoted(name)) has no file; give its bytes")
    }
  }
}
