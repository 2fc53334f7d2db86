// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import CThread

@c @implementation
public func limpid_status_name(_ status: limpid_status) -> UnsafePointer<CChar>? {
  let name: StaticString =
    switch status {
    case LIMPID_OK: "ok"
    case LIMPID_ERROR_INVALID_ARGUMENT: "invalid argument"
    case LIMPID_ERROR_NOT_FOUND: "not found"
    case LIMPID_ERROR_IO: "input or output error"
    case LIMPID_ERROR_INVALID_MODEL: "invalid model"
    case LIMPID_ERROR_INVALID_IMAGE: "invalid image"
    case LIMPID_ERROR_UNSUPPORTED: "unsupported"
    case LIMPID_ERROR_BUFFER_TOO_SMALL: "buffer too small"
    case LIMPID_ERROR_CANCELLED: "cancelled"
    case LIMPID_ERROR_INTERNAL: "internal error"
    default: "unknown status"
    }
  return cString(name)
}

@c @implementation
public func limpid_last_error() -> UnsafePointer<CChar>? { lp_message() }

/// A literal as a C string: literals are NUL-terminated and stay in memory.
func cString(_ literal: StaticString) -> UnsafePointer<CChar> {
  UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
}
