// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Documents
import Evaluation
import Images
import Models
import Parallel
import Tensors

/// What reads only the progress of its options, since settings were given before.
private let running = "running an evaluation"

/// limpid_evaluation: an evaluation, and how it is summed up.
final class EvaluationHandle: Handled {
  let evaluation: Evaluation
  let summary: Summary.Options
  /// Callers borrow them.
  private let paths = Guarded([Int: CText]())

  init(_ evaluation: Evaluation, _ summary: Summary.Options) {
    (self.evaluation, self.summary) = (evaluation, summary)
  }

  func path(_ index: Int) -> UnsafePointer<CChar>? {
    let path = evaluation.data.samples[checked: index]?.file
    return paths.withLock { paths in
      if paths[index] == nil { paths[index] = path.map { CText(name: $0) } }
      return paths[index]
    }?.base
  }
}

extension limpid_evaluation_options {
  fileprivate func dataOptions(_ judged: [String]) throws -> DataSet.Options {
    var options = DataSet.Options()
    options.ofThings = judged.contains(where: MetricUse.judgesWords)
    options.format = try optionalString(format, "format")
    options.images = images.map { String(name: $0) }
    options.classFile = class_file.map { String(name: $0) }
    options.split = try optionalString(split, "split")
    options.firstClasses = Int(clamping: first_classes)
    options.limit = Int(clamping: limit)
    options.draw = Int(clamping: sample)
    options.seed = seed
    return options
  }

  fileprivate func summaryOptions() throws -> Summary.Options {
    var options = Summary.Options()
    if resamples != 0 { options.resamples = Int(max(0, resamples)) }
    if confidence != 0 { options.confidence = confidence }
    options.seed = seed
    try options.check()
    return options
  }

  /// The method or metric of each use, with what its call takes from all runs.
  fileprivate func uses<Use>(
    _ base: UnsafePointer<limpid_use>?, _ count: Int, _ what: StaticString, _ common: Call,
    _ make: (String, Call) throws -> Use
  ) throws -> [Use] {
    try array(base, count, what).map { use in
      let name = try string(use.name, "the name of a use")
      return try locating("\(what) \(quoted(name))") {
        var call = try Call(use.options)
        guard call.output == nil, call.feeds.isEmpty else {
          throw Failure(
            .invalidArgument, "the output and further inputs are those of all runs: limpid_evaluation_options.run")
        }
        (call.output, call.feeds) = (common.output, common.feeds)
        if call.threads == 0 { call.threads = common.threads }
        if call.batchSize == 0 { call.batchSize = common.batchSize }
        return try make(name, call)
      }
    }
  }

  /// Throws where something chooses among what no data set has.
  fileprivate func checkOptionsOfData() throws {
    guard data == nil else { return }
    let given: [(name: String, isGiven: Bool)] = [
      ("format", format != nil), ("images", images != nil), ("class_file", class_file != nil), ("split", split != nil),
      ("first_classes", first_classes != 0), ("limit", limit != 0), ("sample", sample != 0),
    ]
    if let name = given.first(where: \.isGiven)?.name {
      throw Failure(.invalidArgument, "\(name) is of a data set, but there is none (data is NULL); leave it out")
    }
  }

  fileprivate func plan(_ model: Model, _ call: Call, _ data: DataSet) throws -> Plan {
    guard method_count > 0 || explained == nil && class_table_count == 0 else { throw Plan.explainsNothing }
    var target = data.usualTarget
    if let text = try optionalString(explained, "explained") {
      guard class_table_count == 0 else {
        throw Failure(.invalidArgument, "explained and class_table exclude each other")
      }
      target = try Target(text, for: model, output: call.output)
    } else if class_table_count != 0 {
      target = .table(try array(class_table, class_table_count, "class_table").map { Int($0) })
    }
    return try Plan(
      methods: uses(methods, method_count, "methods", call) { try MethodUse($0, $1, for: model) },
      metrics: uses(metrics, metric_count, "metrics", call) { try MetricUse($0, $1) }, target: target, call,
      reading: model.reading.choosing(bits: Int(bits), highByte: high_byte != 0))
  }
}

@c @implementation
public func limpid_evaluation_create(
  _ model: OpaquePointer?, _ options: UnsafePointer<limpid_evaluation_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let model = try ModelHandle.required(model, "model").model
    let out = try required(out, "out")
    let options = try limpid_evaluation_options.read(options)
    let call = try Call(options.run)
    try call.refuseMethodSettings(for: "classifying")
    let judged = try array(options.metrics, options.metric_count, "metrics").map {
      try string($0.name, "the name of a use")
    }
    let classes = try ModelClasses(model, output: call.output, isNeeded: MetricUse.needScores(judged))
    try options.checkOptionsOfData()
    var data =
      try options.data.map { try DataSet(String(name: $0), options.dataOptions(judged), classes: classes) } ?? DataSet()
    if let name = try optionalString(options.data_name, "data_name") { data.path = name }
    let evaluation = try Evaluation(model, options.plan(model, call, data), data)
    evaluation.warn = { log(LIMPID_LOG_WARNING, $0) }
    out.pointee = EvaluationHandle(evaluation, try options.summaryOptions()).handle()
  }
}

@c @implementation
public func limpid_evaluation_add_sample(
  _ evaluation: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ truth: Int32, _ boxes: UnsafePointer<Double>?,
  _ boxCount: Int, _ index: UnsafeMutablePointer<Int>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    let corners = Array(try array(boxes, product(boxCount, 4, "box_count"), "boxes"))
    guard corners.allSatisfy(\.isFinite) else { throw Failure(.invalidArgument, "a box is not finite") }
    guard truth >= -1 else { throw Failure(.invalidArgument, "there is no class \(truth); -1 where it is not known") }
    for i in stride(from: 0, to: corners.count, by: 4)
    where corners[i] > corners[i + 2] || corners[i + 1] > corners[i + 3] {
      throw Failure(
        .invalidArgument,
        "box \(i / 4) ends before it begins; boxes are x1, y1, x2, y2, not a corner with width and height")
    }
    let found = stride(from: 0, to: corners.count, by: 4).map { i in
      BoundingBox(x1: corners[i], y1: corners[i + 1], x2: corners[i + 2], y2: corners[i + 3])
    }
    let sample = Sample(
      name: String(name: try required(name, "name")), source: .caller, truth: truth < 0 ? nil : Int(truth),
      boxes: found.isEmpty ? nil : found)
    let added = try evaluation.add(sample)
    index?.pointee = added
  }
}

@c @implementation
public func limpid_evaluation_name_boxes(
  _ evaluation: OpaquePointer?, _ index: Int, _ words: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    try evaluation.name(index, array(words, count, "words").map { try string($0, "a word") })
  }
}

@c @implementation
public func limpid_evaluation_stamp_sample(
  _ evaluation: OpaquePointer?, _ index: Int, _ stamp: UnsafePointer<CChar>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    try evaluation.stamp(index, string(stamp, "stamp"))
  }
}

@c @implementation
public func limpid_evaluation_set_files(
  _ evaluation: OpaquePointer?, _ files: limpid_file_fn?, _ user: UnsafeMutableRawPointer?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    evaluation.files = files.map { FileSource(give: $0, user: user).file }
  }
}

/// The caller's way to a file. Workers ask it one at a time; whether any thread may, is the caller's to know.
private struct FileSource: @unchecked Sendable {
  let give: limpid_file_fn
  let user: UnsafeMutableRawPointer?

  @Sendable func file(_ index: Int) throws -> [UInt8]? {
    var data: UnsafeRawPointer?
    var size = 0
    guard calling({ give(user, index, &data, &size) }) == 0, size >= 0 else {
      throw Failure(.io, "the caller cannot give its file")
    }
    return data.map { Array(UnsafeRawBufferPointer(start: $0, count: size)) }
  }
}

@c @implementation
public func limpid_evaluation_count(_ evaluation: OpaquePointer?) -> Int {
  EvaluationHandle.object(evaluation)?.evaluation.data.samples.count ?? 0
}

@c @implementation
public func limpid_evaluation_sample_path(_ evaluation: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  EvaluationHandle.object(evaluation)?.path(index)
}

@c @implementation
public func limpid_evaluation_is_done(_ evaluation: OpaquePointer?, _ index: Int) -> Int32 {
  EvaluationHandle.object(evaluation)?.evaluation.isPending(index) == false ? 1 : 0
}

@c @implementation
public func limpid_evaluation_open_store(_ evaluation: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    try evaluation.open(store: String(name: required(path, "path")))
  }
}

@c @implementation
public func limpid_evaluation_run(
  _ evaluation: OpaquePointer?, _ options: UnsafePointer<limpid_run_options>?
) -> limpid_status { limpid_evaluation_run_with(evaluation, 1, options) }

@c @implementation
public func limpid_evaluation_run_with(
  _ evaluation: OpaquePointer?, _ workers: Int32, _ options: UnsafePointer<limpid_run_options>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    guard (1...1024).contains(workers) else {
      throw Failure(.invalidArgument, "\(workers) workers; there must be between 1 and 1024")
    }
    try evaluation.run(workers: Int(workers), Progress(options, only: running))
  }
}

@c @implementation
public func limpid_evaluation_evaluate(
  _ evaluation: OpaquePointer?, _ index: Int, _ data: UnsafeRawPointer?, _ size: Int,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    let out = try required(out, "out")
    guard size >= 0 else { throw Failure(.invalidArgument, "size is out of range") }
    let bytes = data.map { UnsafeRawBufferPointer(start: $0, count: size) }
    out.pointee = BytesHandle(
      try Buffer(evaluation.evaluate(index, bytes: bytes, Progress(options, only: running)).bytes)
    ).handle()
  }
}

@c @implementation
public func limpid_evaluation_evaluate_image(
  _ evaluation: OpaquePointer?, _ index: Int, _ image: UnsafePointer<limpid_image_view>?,
  _ options: UnsafePointer<limpid_run_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    let image = try Image(copying: required(image, "image").pointee.pixelView())
    let out = try required(out, "out")
    let record = try evaluation.evaluate(index, image, Progress(options, only: running))
    out.pointee = BytesHandle(try Buffer(record.bytes)).handle()
  }
}

@c @implementation
public func limpid_evaluation_show_image(
  _ evaluation: OpaquePointer?, _ index: Int, _ image: UnsafePointer<limpid_image_view>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    let image = try Image(copying: required(image, "image").pointee.pixelView())
    try evaluation.offer(index, image)
  }
}

@c @implementation
public func limpid_evaluation_fail(
  _ evaluation: OpaquePointer?, _ index: Int, _ reason: UnsafePointer<CChar>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    let out = try required(out, "out")
    out.pointee = BytesHandle(try Buffer(evaluation.failure(index, string(reason, "reason")).bytes)).handle()
  }
}

@c @implementation
public func limpid_evaluation_add(
  _ evaluation: OpaquePointer?, _ record: UnsafeRawPointer?, _ size: Int
) -> limpid_status {
  boundary {
    let evaluation = try EvaluationHandle.required(evaluation, "evaluation").evaluation
    guard size >= 0 else { throw Failure(.invalidArgument, "size is out of range") }
    try evaluation.add(bytes: UnsafeRawBufferPointer(start: required(record, "record"), count: size))
  }
}

@c @implementation
public func limpid_evaluation_document(
  _ evaluation: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> limpid_status {
  boundary {
    let handle = try EvaluationHandle.required(evaluation, "evaluation")
    let out = try required(out, "out")
    out.pointee = BytesHandle(try Buffer(handle.evaluation.file(named: string(name, "name"), handle.summary))).handle()
  }
}

@c @implementation
public func limpid_evaluation_write(_ evaluation: OpaquePointer?, _ folder: UnsafePointer<CChar>?) -> limpid_status {
  limpid_evaluation_write_with(evaluation, folder, nil)
}

@c @implementation
public func limpid_evaluation_write_with(
  _ evaluation: OpaquePointer?, _ folder: UnsafePointer<CChar>?, _ options: UnsafePointer<limpid_run_options>?
) -> limpid_status {
  boundary {
    let handle = try EvaluationHandle.required(evaluation, "evaluation")
    let evaluation = handle.evaluation
    try evaluation.write(
      to: String(name: required(folder, "folder")), evaluation.summary(handle.summary), Evaluation.Source(),
      Progress(options, only: "writing results"))
  }
}

@c @implementation
public func limpid_evaluation_free(_ evaluation: OpaquePointer?) { EvaluationHandle.free(evaluation) }
