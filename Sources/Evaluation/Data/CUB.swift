import Documents
import Tensors

extension DataFormat {
  /// CUB-200-2011 (Wah et al., 2011): text files of numbered images, their classes from 1 on, a box each, and the
  /// official split, whose test part is taken unless another is named.
  static let cub = DataFormat(
    name: "cub", summary: "CUB-200-2011: images.txt, image_class_labels.txt, bounding_boxes.txt",
    reads: [.images, .split],
    recognizes: { isFile(joined($0, "images.txt")) && isFile(joined($0, "image_class_labels.txt")) },
    read: { request in
      func table(_ name: String, _ count: Int) throws -> [String: [String]] {
        let path = joined(request.path, name)
        var rows: [String: [String]] = [:]
        for (i, line) in try TextFile.lines(path).enumerated() where !line.trimmed.isEmpty {
          let words = line.split(separator: " ", maxSplits: count).map { String($0).trimmed }
          guard words.count == count + 1 else {
            throw Failure(
              .invalidArgument, "\(quoted(name)), line \(i + 1): \(quoted(line)) has not \(count + 1) columns")
          }
          rows[words[0]] = Array(words.dropFirst())
        }
        return rows
      }
      let split = request.options.split ?? "test"
      let images = try table("images.txt", 1)
      let labels = try table("image_class_labels.txt", 1)
      let boxes = try isFile(joined(request.path, "bounding_boxes.txt")) ? table("bounding_boxes.txt", 4) : [:]
      let parts = try split == "all" ? [:] : table("train_test_split.txt", 1)
      let root = request.images(else: joined(request.path, "images"))
      let samples = try images.sorted { (Int($0.key) ?? 0, $0.key) < (Int($1.key) ?? 0, $1.key) }.compactMap {
        id, row in
        if split != "all", parts[id] != [split == "train" ? "1" : "0"] { return Sample?.none }
        guard let label = labels[id].flatMap({ Int($0[0]) }), label >= 1 else {
          throw Failure(.invalidArgument, "image \(id) has no class in \"image_class_labels.txt\"")
        }
        let numbers = boxes[id]?.compactMap { Double($0) }
        guard numbers == nil || numbers?.count == 4 else {
          throw Failure(.invalidArgument, "the box of image \(id) is no box")
        }
        let box = numbers.map { BoundingBox(x1: $0[0], y1: $0[1], x2: $0[0] + $0[2], y2: $0[1] + $0[3]) }
        return Sample(name: row[0], source: .file(joined(root, row[0])), truth: label - 1, boxes: box.map { [$0] })
      }
      return DataSet(
        format: "cub", path: request.path, samples: samples, classes: "by the numbers in image_class_labels.txt, from 1"
      )
    })
}
