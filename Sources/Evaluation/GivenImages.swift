import Images
import Parallel
import Tensors

/// Images that the caller gave to be evaluated, and that nobody can be asked for again: those that a report may show
/// are kept, as files, until it is made. How many does not depend on how many there are: the best and the worst of each
/// method, and a few drawn ones, of which the report takes the one in the middle.
struct GivenImages {
  /// Where the middle one is looked for.
  static let drawn = 8
  /// Bytes of images between evaluating them and taking their record down, beyond which the oldest are let go.
  private static let mostWaiting = 64 << 20

  /// An image as it was given.
  enum Source {
    case file([UInt8])
    case pixels(Image)

    fileprivate var byteCount: Int {
      switch self {
      case .file(let bytes): bytes.count
      case .pixels(let image): image.pixels.count + 2 * (image.deep?.samples.count ?? 0)
      }
    }

    /// As a file that loses nothing: the report explains what was evaluated.
    var file: File {
      get throws {
        switch self {
        case .file(let bytes): File(bytes: bytes, isDeep: false)
        case .pixels(let image): File(bytes: Array(try image.encodeWhole(.unwatched)), isDeep: image.deep != nil)
        }
      }
    }
  }

  struct File {
    let bytes: [UInt8]
    /// Whether its 16 bits are kept, however files of the data set are read.
    let isDeep: Bool
  }

  /// Samples whose files, which the caller gives, have all bits of arrays of 16, however other files are read.
  var deep: Set<Int> = []
  private var waiting: [(index: Int, source: Source)] = []
  private var files: [Int: File] = [:]

  subscript(index: Int) -> File? { files[index] }
  var indices: [Int] { files.keys.sorted() }

  /// An image that was evaluated.
  mutating func wait(_ index: Int, _ source: Source) {
    waiting.removeAll { $0.index == index }
    waiting.append((index, source))
    var size = waiting.reduce(0) { $0 + $1.source.byteCount }
    while size > Self.mostWaiting, waiting.count > 1 { size -= waiting.removeFirst().source.byteCount }
  }

  /// An image whose record is taken down now; nil where it was let go.
  mutating func take(_ index: Int) -> Source? {
    guard let place = waiting.firstIndex(where: { $0.index == index }) else { return nil }
    return waiting.remove(at: place).source
  }

  /// Keeps it, nil: not, and of the others only `wanted`.
  mutating func keep(_ index: Int, _ file: File?, wanted: Set<Int>) {
    files = files.filter { wanted.contains($0.key) }
    if let file { files[index] = file }
  }
}

extension Evaluation {
  /// Whether the image of a sample can be read, to be shown.
  func isAtHand(_ index: Int) -> Bool {
    guard case .caller? = try? sample(index).source, files == nil else { return true }
    return given.withLock { $0[index] != nil }
  }

  /// An image of a sample that has a record is shown by the report, if its record is one to show. Throws `notFound`
  /// where there is no such sample.
  public func offer(_ index: Int, _ image: Image) throws {
    _ = try sample(index)
    if image.deep != nil { given.withLock { _ = $0.deep.insert(index) } }
    try offer(index, .pixels(image))
  }

  func offer(_ index: Int, _ source: GivenImages.Source) throws {
    guard files == nil, !isPending(index) else { return }
    let known = Set(given.withLock { $0.indices } + [index])
    let drawn = known.sorted { (RandomDraws.key($0), $0) < (RandomDraws.key($1), $1) }.prefix(GivenImages.drawn)
    let wanted = Set(Selection(self, extremesOf: known.sorted()).chosen.map(\.sample) + drawn)
    let file = wanted.contains(index) ? try source.file : nil
    given.withLock { $0.keep(index, file, wanted: wanted) }
  }
}
