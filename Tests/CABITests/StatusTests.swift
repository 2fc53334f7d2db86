import CABI
import CLimpid
import Testing

private func lastError() -> String { limpid_last_error().map { String(cString: $0) } ?? "NULL" }

@Test(arguments: 0..<12)
func everyStatusHasAName(status: UInt32) {
  let name = limpid_status_name(limpid_status(rawValue: status)).map { String(cString: $0) }
  #expect(name?.isEmpty == false)
  #expect((name == "unknown status") == (status > 9))
}

/// A file name of 2-byte characters, longer than the room for messages: whichever byte the room ends at.
@Test(arguments: ["", "x"])
func aLongMessageIsCutBetweenCharacters(start: String) {
  var model: OpaquePointer?
  let path = "/" + start + String(repeating: "é", count: 2000)
  #expect(limpid_model_load_file(path, nil, &model) == LIMPID_ERROR_IO)
  let bytes = limpid_last_error().map { Array(UnsafeBufferPointer(start: $0, count: 1024)).prefix { $0 != 0 } } ?? []
  #expect((1022...1023).contains(bytes.count))
  #expect(String(validating: bytes.map(UInt8.init(bitPattern:)), as: UTF8.self)?.hasSuffix("é") == true)
}

@Test func aPathThatIsNotUTF8GoesToTheSystemUnchanged() {
  var model: OpaquePointer?
  let path: [CChar] = [0x2F, -1, -2, 0]
  #expect(limpid_model_load_file(path, nil, &model) == LIMPID_ERROR_NOT_FOUND)
  #expect(lastError().contains("No such file"))
  #expect(model == nil)
}
