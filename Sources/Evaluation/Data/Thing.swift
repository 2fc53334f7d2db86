import Images
import Tensors

/// Something in an image that people have a name for.
public struct Thing: Sendable {
  /// "dog", "traffic light"
  let name: String
  /// In pixels of the image.
  let box: BoundingBox
  /// Made when it is asked for; nil where only the box is known.
  let mask: (@Sendable () throws -> ObjectMask)?
  /// What `mask` is made of, as text.
  let maskSource: String

  init(
    name: String, box: BoundingBox, maskSource: String = "", mask: (@Sendable () throws -> ObjectMask)? = nil
  ) {
    (self.name, self.box, self.maskSource, self.mask) = (name, box, maskSource, mask)
  }

  /// Each word of the name by itself, as vocabularies have them.
  var words: [String] { name.lowercased().split { $0 == " " || $0 == "_" }.map(String.init) }

  /// Tells it from others.
  var description: String { "\(name) \(box.x1) \(box.y1) \(box.x2) \(box.y2) \(maskSource)" }

  /// 1 for each of `width`×`height` cells over `region` of the image whose centre is in the thing.
  func cells(over region: Region, width: Int, height: Int) throws -> [UInt8] {
    let mask = try mask?()
    return (0..<height).flatMap { row in
      let y = region.y + (Double(row) + 0.5) * region.height / Double(height)
      return (0..<width).map { column -> UInt8 in
        let x = region.x + (Double(column) + 0.5) * region.width / Double(width)
        guard let mask else { return box.x1 <= x && x < box.x2 && box.y1 <= y && y < box.y2 ? 1 : 0 }
        guard x >= 0, y >= 0, x < Double(mask.width), y < Double(mask.height) else { return 0 }
        return mask.values[Int(y) * mask.width + Int(x)] == 0 ? 0 : 1
      }
    }
  }
}
