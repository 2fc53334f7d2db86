// SPDX-License-Identifier: Apache-2.0
import Glibc
import ONNX
import Tensors
import Testing

@Suite struct BadModels {
  /// Each model in `Fixtures/bad`, and what its refusal must say.
  static let cases: KeyValuePairs = [
    "empty": "this is not an ONNX model: it is empty",
    "text": "this is not an ONNX model: unreadable data at byte 0",
    "lfs-pointer": "this is not an ONNX model: it is a Git LFS pointer",
    "no-graph": "this is not an ONNX model: it has no graph",
    "no-opset": "no opset import",
    "opset-twice": "two versions of the operators of domain \"\"",
    "opset-negative": "the opset import of domain \"\" has version -1",
    "unknown-domain": "node Relu \"r\": the model has no opset import for its domain \"elsewhere\"",
    "undefined-input": "node Add \"the_y\": its input \"w\" is not defined",
    "defined-twice": "node Neg \"again\": value \"y\" is defined twice",
    "input-twice": "value \"x\" is defined twice",
    "cycle": "node Add \"the_a\" uses, through others or itself, its own output",
    "self-cycle": "node Add \"the_y\" uses, through others or itself, its own output",
    "branch-cycle": "node If \"the_y\" uses, through others or itself, its own output",
    "missing-output": "no node makes the output \"z\"",
    "no-output": "the graph has no outputs",
    "negative-extent": "input \"x\": its extent -2 is not possible",
    "absurd-extent": "input \"x\": its extent 4611686018427387904 is not possible",
    "absurd-weights": "tensor \"w\": the shape [4611686018427387904, 4611686018427387904] has too many elements",
    "overflowing-weights": "tensor \"w\": the shape [4294967296, 4294967296] has too many elements",
    "negative-weights": "tensor \"w\": the shape [-2, -3] has a negative extent",
    "many-axes": "tensor \"w\": a tensor of 65 axes",
    "weights-short": "tensor \"w\": float32 of shape [2×3] takes 24 bytes, but the file holds 23",
    "weights-long": "tensor \"w\": float32 of shape [2×3] takes 24 bytes, but the file holds 25",
    "weights-absent": "tensor \"w\": float32 of shape [2×3] takes 6 elements, but the file holds 0",
    "typed-short": "tensor \"w\": float32 of shape [2×3] takes 6 elements, but the file holds 1",
    "typed-elsewhere": "tensor \"w\": float32 of shape [1] takes 1 elements, but the file holds 0",
    "unknown-type": "tensor \"w\": unknown element type 99",
    "untyped": "tensor \"w\": it has no element type",
    "weights-twice": "value \"w\" is defined twice",
    "weights-unnamed": "an initializer has no name",
    "sparse-outside": "tensor \"w\": a sparse tensor of shape [2×3] has the index 6",
    "sparse-negative": "tensor \"w\": a sparse tensor of shape [2×3] has the index -1",
    "sparse-few-indices": "tensor \"w\": the indices of a sparse tensor are int64 [2], for 3 values",
    "sparse-types": "tensor \"w\": the indices of a sparse tensor are float32 [3], for 3 values",
    "function-of-itself": "node Twice \"call\": node Twice \"inner\": its function calls itself",
    "function-inputs": "node Twice \"call\": 2 inputs and 1 outputs, where its function has 1 and 1",
    "function-output": "node Twice \"call\": no node makes the output \"b\" of its function",
    "name-not-utf8": "the graph's name is not valid UTF-8: \"sma\u{FFFD}l\"",
    "metadata-not-utf8": "the metadata \"key\" is not valid UTF-8",
    "long-name": "its input \"\(String(repeating: "n", count: 80))…\" is not defined",
    "operator-missing": "it names no operator",
    "attribute-twice": "node Relu \"the_y\": attribute \"axis\" is given twice",
    "attribute-unset": "attribute \"nothing\": it has no value",
    "attribute-tensor-missing": "attribute \"t\": the tensor is missing",
    "attribute-reference": "attribute \"axis\": it refers to \"other\" of a function",
    "constant-empty": "node Constant \"the_k\": it must have exactly one attribute",
    "nested-33": "the model nests graphs more than 32 deep",
    "external-absolute": "in a file in the model's folder or below, not \"/etc/hostname\"",
    "external-parent": "in a file in the model's folder or below, not \"../bad/empty.onnx\"",
    "external-dots": "in a file in the model's folder or below, not \"..\"",
    "external-unnamed": "in a file in the model's folder or below, not \"\"",
    "external-backslash": "in a file in the model's folder or below, not \"..\\weights.data\"",
    "external-parent-below": "in a file in the model's folder or below, not \"folder/../../bad/empty.onnx\"",
    "external-gap": "in a file in the model's folder or below, not \"folder//placeholder\"",
    "external-unlocated": "its external data has no location",
    "external-beyond": "its 24 bytes at 8 lie outside of the external data file \"weights.data\", which has 28",
    "external-huge-offset": "lie outside of the external data file \"weights.data\", which has 28",
    "external-overflow": "the offset of its external data is not a number of bytes: \"18446744073709551616\"",
    "external-signed": "the offset of its external data is not a number of bytes: \"+4\"",
    "external-negative": "the offset of its external data is not a number of bytes: \"-4\"",
    "external-hexadecimal": "the offset of its external data is not a number of bytes: \"0x4\"",
    "external-length": "tensor \"w\": float32 of shape [2×3] takes 24 bytes, but the file holds 20",
  ]

  /// Models that ONNX allows and Limpid does not do.
  static let unsupported: KeyValuePairs = [
    "function-twice": "the model defines the function \"Twice\" twice",
    "own-domain": "node Conv \"own\": the domain \"limpid\" is for the runtime's own operators",
    "only-strings": "output \"label\": elements of type string are not supported",
    "attribute-tensors": "attribute \"many\": a list of tensors is not supported",
    "attribute-type": "attribute \"kind\": types are not supported",
    "sequence": "input \"x\": it is not a tensor",
  ]

  @Test("What ONNX allows and Limpid does not do is told apart", arguments: unsupported.map { ($0.key, $0.value) })
  func unsupportedModel(_ name: String, _ expected: String) throws {
    let failure = try #require(refusal { try load("bad/\(name).onnx") })
    #expect(failure.kind == .unsupported)
    #expect(failure.message.contains(expected), "it says: \(failure.message)")
  }

  @Test("A wrong model is refused with what is wrong", arguments: cases.map { ($0.key, $0.value) })
  func wrongModel(_ name: String, _ expected: String) throws {
    let failure = try #require(refusal { try load("bad/\(name).onnx") })
    #expect(failure.kind == .invalidModel)
    #expect(failure.message.contains(expected), "it says: \(failure.message)")
    #expect(failure.message.utf8.count < 300)
  }

  @Test("External data that cannot be opened is an input error, told with the system's reason")
  func unreadableExternalData() throws {
    let missing = try #require(refusal { try load("bad/external-missing.onnx") })
    #expect(missing.kind == .notFound)
    #expect(missing.message.contains("\"nowhere.data\": No such file or directory"))
    let folder = try #require(refusal { try load("bad/external-folder.onnx") })
    #expect(folder.kind == .io)
    #expect(folder.message.contains("it is a directory"))
  }

  @Test("External data is refused where a model is loaded from memory")
  func externalDataFromMemory() throws {
    let bytes = try contents(of: "good/external.onnx")
    let failure = try #require(refusal { try load(bytes) })
    #expect(failure.kind == .invalidModel)
    #expect(failure.message.contains("tensor \"w\": its data is in another file"))
  }

  @Test("A missing file and a folder are told apart from a wrong model")
  func files() throws {
    #expect(try #require(refusal { try load("nowhere.onnx") }).kind == .notFound)
    #expect(try #require(refusal { try load("bad") }).kind == .io)
  }

  @Test("A small file of a great many messages is refused before they are parsed")
  func tooManyMessages() throws {
    // 1 000 001 empty nodes in a graph, two bytes each.
    let nodes = [UInt16](repeating: 0x000a, count: 1_000_001).withUnsafeBytes(Array.init)
    let length: [UInt8] = [0x3a, 0x82, 0x89, 0x7a]
    let failure = try #require(refusal { try load(length + nodes) })
    #expect(failure.message.contains("more than 1000000 nodes"))
  }

  @Test("Every wrong model that is there is tested")
  func completeness() throws {
    let apart = ["external-missing", "external-folder"]
    #expect(Set(try onnxFiles(in: "bad")) == Set(Self.cases.map(\.key) + Self.unsupported.map(\.key) + apart))
  }
}
