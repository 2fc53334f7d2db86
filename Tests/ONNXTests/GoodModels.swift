// SPDX-License-Identifier: Apache-2.0
import Graph
import ONNX
import Parallel
import Tensors
import Testing

@Suite struct GoodModels {
  private let quarters: [Float] = [0, 0.25, 0.5, 0.75, 1, 1.25]

  @Test(
    "Weights inside the file, in typed fields and in other files are the same",
    arguments: [
      "raw", "typed", "initializer-listed-as-input", "opset-22", "unknown-fields", "misaligned", "external",
      "external-defaults", "external-dot", "external-below", "external-dots-within", "external-link",
    ])
  func weights(_ name: String) throws {
    let graph = try load("good/\(name).onnx")
    let w = try graph.constant("w")
    #expect(w.type == .float32)
    #expect(w.shape == [2, 3])
    #expect(w.array(of: Float.self) == quarters)
    #expect(graph.inputs.map { graph.name(of: $0.value) } == ["x"])
    #expect(graph.outputs.map { graph.name(of: $0.value) } == ["y"])
    #expect(graph.nodes.map(\.operation) == ["Add"])
    #expect(graph.names(graph.nodes[0].inputs) == ["x", "w"])
    #expect(graph.nodes[0].name == "the_y")
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Weights in the file are borrowed, typed ones are copied")
  func borrowing() throws {
    #expect(try load("good/raw.onnx").constant("w").storage.isBorrowed)
    #expect(try load("good/external.onnx").constant("w").storage.isBorrowed)
    #expect(try !load("good/typed.onnx").constant("w").storage.isBorrowed)
  }

  @Test("Weights at an odd address are not aligned, and can be")
  func misaligned() throws {
    let w = try load("good/misaligned.onnx").constant("w")
    #expect(!w.isAligned)
    #expect(try w.aligned().array(of: Float.self) == quarters)
  }

  @Test("Bytes in memory are copied without an owner, and kept alive with one")
  func memory() throws {
    let bytes = try contents(of: "good/raw.onnx")
    #expect(try load(bytes).constant("w").array(of: Float.self) == quarters)
    let file = try MappedFile(path: fixture("good/raw.onnx"))
    let borrowed = try ONNXLoader.load(bytes: file.bytes, owner: file, .unwatched).constant("w")
    #expect(file.bytes.contains(address: borrowed.data))
    #expect(borrowed.array(of: Float.self) == quarters)
  }

  @Test("Metadata and opset versions are those of the file")
  func metadata() throws {
    let graph = try load("good/raw.onnx")
    #expect(graph.metadata == ["limpid.format": "1", "limpid.labels": "cat\ndog\néléphant"])
    #expect(graph.opsets == ["": 13])
    #expect(try load("good/opset-22.onnx").opsets == ["": 22])
    #expect(try load("good/attributes.onnx").opsets == ["": 13, "test": 3])
  }

  @Test("Every element type is read from raw and from typed fields")
  func types() throws {
    let graph = try load("good/types.onnx")
    func expect<T: Equatable>(_ name: String, _ type: ElementType, _ values: [T]) throws {
      for encoding in ["raw", "typed"] {
        let tensor = try graph.constant("\(encoding)_\(name)")
        #expect(tensor.type == type)
        #expect(tensor.array(of: T.self) == values, "\(encoding) \(name)")
      }
    }
    try expect("float", .float32, [0, 1, 2, 3, 100, -7] as [Float])
    try expect("double", .float64, [0, 1, 2, 3, 100, -7] as [Double])
    // The bits of 0, 1, 2, 3, 100, -7.
    try expect("float16", .float16, [0, 0x3c00, 0x4000, 0x4200, 0x5640, 0xc700] as [UInt16])
    try expect("bfloat16", .bfloat16, [0x3f80, 0xc020, 0x4040] as [UInt16])
    try expect("int8", .int8, [0, 1, 2, 3, 100, -7] as [Int8])
    try expect("int16", .int16, [0, 1, 2, 3, 100, -7] as [Int16])
    try expect("int32", .int32, [0, 1, 2, 3, 100, -7] as [Int32])
    try expect("int64", .int64, [0, 1, 2, 3, 100, -7] as [Int64])
    try expect("uint8", .uint8, [0, 1, 2, 3, 100, 7] as [UInt8])
    try expect("uint16", .uint16, [0, 1, 2, 3, 100, 7] as [UInt16])
    try expect("uint32", .uint32, [0, 1, 2, 3, 100, 7] as [UInt32])
    try expect("uint64", .uint64, [0, 1, 2, 3, 100, 7] as [UInt64])
    try expect("bool", .bool, [1, 0, 1] as [UInt8])
  }

  @Test("Attributes of every kind are read, and optional inputs and outputs are nil")
  func attributes() throws {
    let graph = try load("good/attributes.onnx")
    let node = try #require(graph.nodes.first)
    #expect(node.domain == "test")
    #expect(graph.names(node.inputs) == ["x", nil, "x"])
    #expect(graph.names(node.outputs) == ["y", nil])
    #expect(node.attributes.count == 7)
    #expect(try node.int("i") == -5)
    #expect(try node.float("f") == 0.5)
    #expect(try node.string("s") == "text")
    #expect(try node.tensor("t")?.array(of: Float.self) == quarters)
    #expect(try node.ints("ints") == [1, -2, 1 << 40])
    #expect(try node.floats("floats") == [0.25, -1])
    #expect(try node.strings("strings") == ["a", "é"])
  }

  @Test("Constant nodes become constants")
  func constants() throws {
    let graph = try load("good/constants.onnx")
    #expect(graph.nodes.map(\.operation) == ["Sum", "Sum"])
    #expect(try graph.constant("t").array(of: Float.self) == quarters)
    #expect(try graph.constant("f").array(of: Float.self) == [0.5])
    #expect(try graph.constant("f").shape == .scalar)
    #expect(try graph.constant("fs").array(of: Float.self) == [0.5, 1.5])
    #expect(try graph.constant("i").array(of: Int64.self) == [-3])
    #expect(try graph.constant("i").shape == .scalar)
    #expect(try graph.constant("is").array(of: Int64.self) == [4, 5, 6])
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Graphs in nodes see the values around them, which are then made before")
  func branches() throws {
    let graph = try load("good/branches.onnx")
    #expect(graph.nodes.map(\.operation) == ["Relu", "If"])
    #expect(graph.inputs.map(\.type) == [.float32, .bool])
    let then = try #require(try graph.nodes[1].graph("then_branch"))
    #expect(then.inputs.isEmpty)
    #expect(then.constants.isEmpty)
    let inner = try #require(try then.nodes[0].graph("then_branch"))
    #expect(inner.names(inner.nodes[0].inputs) == ["h", "w"])
    #expect(then.value(named: "h") != nil)
    let other = try #require(try graph.nodes[1].graph("else_branch"))
    #expect(other.nodes.isEmpty)
    #expect(try other.constant("else_y").array(of: Float.self) == quarters)
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Graphs may be nested 32 deep")
  func nesting() throws {
    #expect(try load("good/nested-32.onnx").brokenPromise() == nil)
  }

  @Test("Extents are numbers, names or unknown")
  func symbolic() throws {
    let graph = try load("good/symbolic.onnx")
    #expect(graph.inputs[0].dimensions == [.named("batch"), .fixed(3), .unknown, .fixed(0)])
    #expect(graph.outputs[0].dimensions == nil)
  }

  @Test("An extent of -1 stands for any")
  func anyExtent() throws {
    #expect(try load("good/any-extent.onnx").inputs[0].dimensions == [.unknown, .fixed(3)])
  }

  @Test("Sparse weights get their zeros", arguments: ["sparse-by-number", "sparse-by-axes", "sparse-constant"])
  func sparse(_ name: String) throws {
    let w = try load("good/\(name).onnx").constant("w")
    #expect(w.shape == [2, 3])
    #expect(w.array(of: Float.self) == [0, 0.25, 0, 0.75, 1, 0])
  }

  @Test(
    "Elements that Limpid does not compute with are no reason to refuse a model that only has them",
    arguments: [
      "strings": "elements of type string", "complex64": "elements of type complex64",
      "segment": "tensors in segments", "value-string": "elements of type string",
      "value-strings": "elements of type string", "sparse-huge": "3 elements is too sparse",
    ])
  func unreadable(_ name: String, _ reason: String) throws {
    let graph = try load("good/\(name).onnx")
    let w = try #require(graph.value(named: "w"))
    #expect(graph.constants[w] == nil)
    #expect(graph.unreadable[w]?.contains(reason) == true, "\(graph.unreadable)")
  }

  @Test("Floating-point numbers of 8 bits and fewer are read")
  func shortFloats() throws {
    let first: [ElementType: [Float]] = [
      .float8e4m3fn: [0.5625, 0.625], .float8e8m0: [0x1p-78, 0x1p-77], .float4e2m1: [0.5, 1.5],
    ]
    for (type, expected) in first {
      let w = try load("good/\(type).onnx").constant("w")
      #expect(w.type == type)
      #expect(w.shape == [type == .float4e2m1 ? 16 : 8])
      #expect(try Array(w.floats().array(of: Float.self).prefix(2)) == expected)
    }
  }

  @Test("Outputs that are no numbers stand back behind those that are")
  func outputOfStrings() throws {
    let graph = try load("good/output-of-strings.onnx")
    #expect(graph.outputs.map { graph.name(of: $0.value) } == ["y"])
    #expect(graph.value(named: "label") != nil)
  }

  @Test("Calls of a model's own functions become their nodes")
  func functions() throws {
    let graph = try load("good/function.onnx")
    #expect(graph.nodes.map(\.operation) == ["Add", "Identity"])
    #expect(graph.names(graph.nodes[0].inputs) == ["x", "x"])
    #expect(graph.names(graph.nodes[0].outputs) == ["call/b"])
    #expect(graph.names(graph.nodes[1].outputs) == ["y"])
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Attributes of a call reach its nodes; what it leaves out is left out, or as the function says")
  func functionAttributes() throws {
    let graph = try load("good/function-attributes.onnx")
    #expect(graph.nodes.map(\.operation) == ["LeakyRelu", "Elu", "Celu", "Clip", "Neg", "Identity"])
    #expect(try graph.nodes[0].float("alpha") == 0.5)
    #expect(try graph.nodes[1].float("alpha") == 0.25)
    #expect(graph.nodes[2].attributes.isEmpty)
    #expect(graph.names(graph.nodes[3].inputs) == ["call/c", nil, "x"])
    #expect(graph.nodes.prefix(5).map { graph.opset(of: $0) } == [17, 17, 17, 17, 17])
    #expect(graph.opset(of: graph.nodes[5]) == 13)
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Functions may call others, and have graphs in their nodes")
  func functionInFunction() throws {
    let graph = try load("good/function-in-function.onnx")
    #expect(graph.nodes.map(\.operation) == ["Add", "Identity", "If", "Add", "Identity", "Identity"])
    let then = try #require(try graph.nodes[2].graph("then_branch"))
    #expect(then.names(then.nodes[0].inputs) == ["outer/t"])
    let otherwise = try #require(try graph.nodes[2].graph("else_branch"))
    #expect(otherwise.names(otherwise.nodes[0].inputs) == ["x"])
    #expect(graph.brokenPromise() == nil)
  }

  @Test("Nodes are put into an order in which they can run")
  func order() throws {
    let graph = try load("good/out-of-order.onnx")
    #expect(graph.nodes.map(\.operation) == ["Relu", "Neg", "Add"])
    #expect(graph.brokenPromise() == nil)
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func contains(address: UnsafeMutableRawPointer) -> Bool {
    guard let start = baseAddress else { return false }
    return UnsafeRawPointer(address) >= start && UnsafeRawPointer(address) < start + count
  }
}
