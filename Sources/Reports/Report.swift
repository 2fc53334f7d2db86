/// What a page says. Whatever is empty is left out of it, so that one explained image and an evaluation of a thousand
/// are the same kind of page. Texts may be anything: the page escapes them.
public struct Report: Sendable {
  public var title: String
  /// Sentences under the title: what was done, and what came out.
  public var summary: [String] = []
  /// In the order of tables and legends; other parts name them.
  public var methods: [Method] = []
  /// In the order of tables.
  public var metrics: [Metric] = []
  public var results: [Result] = []
  public var comparisons: [Comparison] = []
  /// What intervals cover.
  public var confidence = 0.95
  public var charts: [Chart] = []
  /// Of the classifier: "right", "among the first five".
  public var accuracy: [(name: String, estimate: Estimate)] = []
  public var confusion: [Confusion] = []
  /// How to add controls, where none was among the methods: a sentence.
  public var controlHint = ""
  /// Explained images.
  public var cases: [Case] = []
  /// A sentence on how `cases` were chosen, or on what is not shown.
  public var casesNote = ""
  /// What the colours of the maps stand for.
  public var colors: ColorScale?
  public var unread: [Unread] = []
  /// What was set, and which versions ran: names and values.
  public var settings: [(name: String, value: String)] = []
  /// The command line that makes this page again; nil where none does.
  public var command: String?

  public init(title: String) { self.title = title }

  /// An explanation method.
  public struct Method: Sendable {
    public let name: String
    /// One sentence: what its maps show.
    public let summary: String
    /// Parameters and their values as used, layers, seed.
    public let settings: [(name: String, value: String)]
    /// What sentences call it, "a random map", where it knows nothing of the model and others are compared with it.
    public let control: String?

    public init(
      name: String, summary: String, settings: [(name: String, value: String)] = [], control: String? = nil
    ) {
      (self.name, self.summary, self.settings, self.control) = (name, summary, settings, control)
    }
  }

  /// One image with its maps.
  public struct Case: Sendable {
    /// The file.
    public let name: String
    public let image: InlineImage
    /// What the model says to it, most probable first.
    public let predictions: [Prediction]
    /// What it is, where that is known.
    public var truth: String?
    /// Why it is shown: "best insertion of grad-cam".
    public var reasons: [String] = []
    /// By class; of one class, by method.
    public let maps: [Map]

    public init(name: String, image: InlineImage, predictions: [Prediction], maps: [Map]) {
      (self.name, self.image, self.predictions, self.maps) = (name, image, predictions, maps)
    }
  }

  public struct Prediction: Sendable {
    public let label: String
    public let value: Double
    /// Whether `value` is between 0 and 1 and drawn as a bar; else it is a number of any kind.
    public let isProbability: Bool

    public init(label: String, value: Double, isProbability: Bool) {
      (self.label, self.value, self.isProbability) = (label, value, isProbability)
    }
  }

  /// The map of one method for one class.
  public struct Map: Sendable {
    public let method: String
    /// What the map explains: `the class "cat"`.
    public let subject: String
    /// The model's own score of the class.
    public let score: Double
    public let image: InlineImage
    /// What else is to be said: "the map is constant".
    public let note: String
    /// Names of metrics and the values of this map.
    public var values: [(name: String, value: Double)] = []

    public init(method: String, subject: String, score: Double, image: InlineImage, note: String = "") {
      (self.method, self.subject, self.score, self.image, self.note) = (method, subject, score, image, note)
    }
  }

  /// An image that is not in the results, and why.
  public struct Unread: Sendable {
    public let name: String
    public let reason: String

    public init(name: String, reason: String) { (self.name, self.reason) = (name, reason) }
  }

  /// The colours of maps, from the smallest value to the largest: [n, 3], RGB.
  public struct ColorScale: Sendable {
    public let name: String
    public let entries: [UInt8]

    public init(name: String, entries: [UInt8]) { (self.name, self.entries) = (name, entries) }
  }
}
