// SPDX-License-Identifier: Apache-2.0
internal import CONNX
import Tensors

private func utf8(_ text: lp_onnx_text) -> UnsafeBufferPointer<UInt8> {
  let bytes = UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : text.count)
  return bytes.assumingMemoryBound(to: UInt8.self)
}

/// The text as a `String`; throws where it is not UTF-8. `what` says what the text is.
func string(_ text: lp_onnx_text, _ what: @autoclosure () -> String) throws -> String {
  guard let string = String(validating: utf8(text), as: UTF8.self) else {
    throw Failure(.invalidModel, "\(what()) is not valid UTF-8: \(shown(text))")
  }
  return string
}

/// The text as messages show it, repaired where it is not UTF-8.
func shown(_ text: lp_onnx_text) -> String {
  // quoted() shows 80 characters; more bytes than those can take need not be decoded.
  quoted(String(decoding: utf8(text).prefix(400), as: UTF8.self))
}
