import Graph
import Parallel
import Tensors

/// Resize and Upsample: each axis in turn, by the coordinates and weights of `ResizeAxis`.
enum Resize {
  static let definitions = [
    OperatorDefinition("Resize") { request in
      let (rule, axes) = try resizing(request)
      return try plan(request, rule, axes)
    }.gradient(gradient).local { try $0.locality(along: Array(resizing($0).1.keys)) },
    OperatorDefinition("Upsample") { request in
      let (rule, axes) = try upsampling(request)
      return try plan(request, rule, axes)
    }.gradient(gradient).local { try $0.locality(along: Array(upsampling($0).1.keys)) },
  ]

  private static func upsampling(_ request: Request) throws -> (ResizeRule, [Int: ResizeAxis]) {
    let x = try request.input(0)
    let scales = try request.node.floats("scales") ?? numbers(request.constant(1)) ?? []
    let mode = try request.node.string("mode", default: "nearest")
    let rule = ResizeRule(
      mode: mode == "bilinear" ? "linear" : mode, coordinates: "asymmetric", rounding: "floor")
    return (rule, try axes(x.shape, Array(0..<x.shape.rank), scales: scales, rule))
  }

  private static func resizing(_ request: Request) throws -> (ResizeRule, [Int: ResizeAxis]) {
    let x = try request.input(0)
    let node = request.node
    var rule = ResizeRule(mode: try node.string("mode", default: "nearest"))
    guard ["nearest", "linear", "cubic"].contains(rule.mode) else {
      throw Failure(.invalidModel, "mode is \(quoted(rule.mode)); expected nearest, linear or cubic")
    }
    let isOld = request.opset < 11
    rule.coordinates = try node.string("coordinate_transformation_mode", default: isOld ? "asymmetric" : "half_pixel")
    rule.rounding = try node.string("nearest_mode", default: isOld ? "floor" : "round_prefer_floor")
    rule.cubicCoefficient = try node.float("cubic_coeff_a", default: -0.75)
    rule.excludesOutside = try node.flag("exclude_outside")
    rule.extrapolation = try node.float("extrapolation_value", default: 0)
    rule.isAntialiased = try node.flag("antialias")

    let listed = try node.ints("axes").map { try request.axes($0, rank: x.shape.rank) } ?? Array(0..<x.shape.rank)
    let scales = try request.constant(isOld ? 1 : 2).flatMap { $0.count == 0 ? nil : $0 }
    let sizes = try isOld ? nil : request.constant(3).flatMap { $0.count == 0 ? nil : $0 }
    if rule.coordinates == "tf_crop_and_resize" {
      guard let regions = try request.constant(1), regions.type == .float32, regions.count == 2 * listed.count else {
        throw Failure(.invalidModel, "tf_crop_and_resize needs \(2 * listed.count) numbers in roi")
      }
      let places = regions.array(of: Float.self)
      guard places.allSatisfy({ $0.magnitude <= Float(Extent.limit) }) else {
        throw Failure(.invalidModel, "roi is \(places)")
      }
      rule.regions = places
    }
    if let scales = try numbers(scales) { return (rule, try axes(x.shape, listed, scales: scales, rule)) }
    guard let sizes = try sizes?.integers() else { throw Failure(.invalidModel, "neither scales nor sizes are given") }
    let policy = try node.string("keep_aspect_ratio_policy", default: "stretch")
    return (rule, try axes(x.shape, listed, sizes: sizes, policy, rule))
  }

  private static func numbers(_ scales: Tensor?) throws -> [Float]? {
    guard let scales else { return nil }
    guard scales.type == .float32 else { throw Failure(.invalidModel, "the scales are \(scales.type)") }
    return scales.array(of: Float.self)
  }

  private static func axes(
    _ x: Shape, _ listed: [Int], scales: [Float], _ rule: ResizeRule
  ) throws -> [Int: ResizeAxis] {
    guard scales.count == listed.count, scales.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw Failure(.invalidModel, "the scales \(scales); expected \(listed.count) positive numbers")
    }
    var result: [Int: ResizeAxis] = [:]
    for (i, (axis, scale)) in zip(listed, scales).enumerated() where scale != 1 || rule.region(i) != nil {
      let region = rule.region(i)
      let length = Double(x[axis]) * Double((region?.end ?? 1) - (region?.start ?? 0)) * Double(scale)
      let count = try ResizeAxis.count(max(0, length))
      result[axis] = ResizeAxis(extent: x[axis], count: count, scale: Double(scale), region: region)
    }
    return result
  }

  private static func axes(
    _ x: Shape, _ listed: [Int], sizes: [Int], _ policy: String, _ rule: ResizeRule
  ) throws -> [Int: ResizeAxis] {
    guard sizes.count == listed.count, sizes.allSatisfy({ $0 >= 0 && $0 <= Extent.limit }),
      listed.allSatisfy({ x[$0] > 0 })
    else { throw Failure(.invalidModel, "the sizes \(sizes) for an input \(x)") }
    var scales = zip(listed, sizes).map { Double($1) / Double(x[$0]) }
    var sizes = sizes
    if policy != "stretch", let least = scales.min(), let most = scales.max() {
      guard policy == "not_larger" || policy == "not_smaller" else {
        throw Failure(.invalidModel, "keep_aspect_ratio_policy is \(quoted(policy))")
      }
      let scale = policy == "not_larger" ? least : most
      scales = scales.map { _ in scale }
      sizes = try listed.map { try ResizeAxis.count((scale * Double(x[$0])).rounded()) }
    }
    var result: [Int: ResizeAxis] = [:]
    // A rounded size may be the old one though the scale is another, and moves what is between.
    for (i, axis) in listed.enumerated() where sizes[i] != x[axis] || scales[i] != 1 || rule.region(i) != nil {
      result[axis] = ResizeAxis(extent: x[axis], count: sizes[i], scale: scales[i], region: rule.region(i))
    }
    return result
  }

  // MARK: Planning

  private static func plan(_ request: Request, _ rule: ResizeRule, _ axes: [Int: ResizeAxis]) throws -> Step {
    let x = try request.input(0)
    let rank = x.shape.rank
    if let empty = axes.keys.first(where: { x.shape[$0] == 0 }) {
      throw Failure(.invalidModel, "axis \(empty) of \(x.shape) is empty")
    }
    try Extent.check((0..<rank).map { axes[$0]?.count ?? x.shape[$0] })
    for axis in axes.values { try Extent.check(table: max(axis.extent, axis.count)) }
    if rule.mode == "nearest", rule.regions == nil {
      return try request.selecting((0..<rank).map { axis in try axes[axis].map { try $0.nearest(rule) } })
    }
    if x.type.isInteger, x.type.byteCount < 4, !axes.isEmpty {
      guard !rule.isAntialiased else {
        throw Failure(.unsupported, "antialias for elements of type \(x.type) is not supported")
      }
      return try request.planInFloat { try plan($0, rule, axes) }
    }
    try request.require(0, .float32)
    return try AxisFilters.plan(request, filters(rule, axes), extrapolation: rule.extrapolation)
  }

  private static func filters(_ rule: ResizeRule, _ axes: [Int: ResizeAxis]) throws -> [Int: [ResizeFilter]] {
    try axes.mapValues { try $0.filters(rule) }
  }

  private static let gradient = GradientRule.unary { e, node, dy in
    let request = try e.request(node)
    let (rule, axes) = node.operation == "Upsample" ? try upsampling(request) : try resizing(request)
    return try e.transposing(filters(rule, axes), dy, to: e.shape(e.input(node, 0)))
  }
}
