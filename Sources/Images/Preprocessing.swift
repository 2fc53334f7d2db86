// SPDX-License-Identifier: Apache-2.0
import Tensors

/// From pixels to the tensor that a network reads: the metadata entry `limpid.preprocess`, one step a line, or with
/// semicolons between them.
///
/// First come the steps on 8-bit pixels, then `scale`, then `normalize`; the last two may be missing.
public struct Preprocessing: Sendable, Equatable {
  public let steps: [Step]

  /// More steps than any network needs are refused.
  public static let mostSteps = 64

  /// Throws `invalidModel`, naming the step, for one that is none of the forms or in a wrong place.
  public init(parsing text: String) throws {
    var steps: [Step] = []
    let lines = text.split(omittingEmptySubsequences: false) { ["\n", "\r", "\r\n", ";"].contains($0) }
    for line in lines where !line.allSatisfy(\.isWhitespace) {
      guard steps.count < Self.mostSteps else {
        throw Failure(.invalidModel, "the preprocessing has more than \(Self.mostSteps) steps")
      }
      let place = "step \(steps.count + 1) of the preprocessing, \(quoted(String(line)))"
      guard let step = Step(parsing: line) else {
        throw Failure(
          .invalidModel,
          "\(place): it must be one of \(Step.forms); sides are from 1 to \(Image.maximumSide), numbers "
            + "finite, and D and the deviations above 0")
      }
      if let problem = Preprocessing.problem(of: step, after: steps) {
        throw Failure(.invalidModel, "\(place): \(problem)")
      }
      steps.append(step)
    }
    guard !steps.isEmpty else {
      throw Failure(
        .invalidModel, "the preprocessing is empty; each of its lines must be one of \(Step.forms)")
    }
    self.steps = steps
    for channel in 0..<channels {
      guard levels(of: channel).allSatisfy(\.isFinite) else {
        throw Failure(.invalidModel, "the preprocessing makes numbers that are not finite in float32")
      }
    }
  }

  /// What callers give: the name of a usual one, or steps with semicolons or line breaks between them. Throws
  /// `invalidArgument`.
  public init(given text: String) throws {
    do { try self.init(parsing: Self.usual[text] ?? text) } catch let failure as Failure {
      let names = Self.usual.keys.sorted().map(quoted).joined(separator: ", ")
      throw Failure(.invalidArgument, "\(failure.message), or one of the names \(names)")
    }
  }

  /// Of networks that were trained on ImageNet by torchvision's recipe: the middle of the image, or all of it.
  private static let usual = [
    "imagenet": "resize shorter 256 bilinear\ncenter_crop 224 224\n" + imagenetNumbers,
    "imagenet-exact": "resize exact 224 224 bilinear\n" + imagenetNumbers,
  ]
  private static let imagenetNumbers = "scale 1/255\nnormalize mean 0.485 0.456 0.406 std 0.229 0.224 0.225"

  /// The text that it can be parsed from.
  public var description: String { steps.map(\.description).joined(separator: "\n") }

  private static func problem(of step: Step, after steps: [Step]) -> String? {
    let isScaled = steps.contains { if case .scale = $0 { true } else { false } }
    let isNormalized = steps.contains { if case .normalize = $0 { true } else { false } }
    switch step {
    case .scale: return isScaled || isNormalized ? "it must come once, and before \"normalize\"" : nil
    case .normalize(let mean, _, _):
      if isNormalized { return "it must come only once" }
      let channels = Self.channels(after: steps)
      let fits = mean.count == channels || mean.count == 1
      return fits ? nil : "\(mean.count) means for an image of \(channels) channels"
    default: break
    }
    if isScaled || isNormalized { return "it must come before \"scale\" and \"normalize\"" }
    switch step {
    case .bgr where steps.contains(.bgr) || steps.contains(.gray): return "it must come once, and not with \"gray\""
    case .gray where steps.contains(.bgr): return "it must not come with \"bgr\""
    case .alpha where steps.contains(.alpha): return "it must come only once"
    case .depth16 where steps.contains(.depth16): return "it must come only once"
    case .alpha where steps.contains(.depth16), .depth16 where steps.contains(.alpha):
      return "\"alpha\" and \"depth 16\" exclude each other"
    case .pad(let width, let height, _):
      guard let size = fixedSize(after: steps), size.width > width || size.height > height else { return nil }
      return "the image is \(size.width)x\(size.height) there, and pad never cuts"
    default: return nil
    }
  }

  /// Channels of the tensor: 1 after `gray`, else 3; with `alpha` one more.
  public var channels: Int { Self.channels(after: steps) }

  private static func channels(after steps: [Step]) -> Int {
    (steps.contains(.gray) ? 1 : 3) + (steps.contains(.alpha) ? 1 : 0)
  }

  var keepsAlpha: Bool { steps.contains(.alpha) }

  /// How image files are read for it.
  public var reading: Reading { Reading(deep: steps.contains(.depth16) ? .kept : .cut, keepsAlpha: keepsAlpha) }
}

extension Preprocessing: CustomStringConvertible {}
