// SPDX-License-Identifier: Apache-2.0
public import CLimpid
import Kernels
import Parallel

let version = "\(LIMPID_VERSION_MAJOR).\(LIMPID_VERSION_MINOR).\(LIMPID_VERSION_PATCH)"
private let versionText = CText(version)

private let buildInfo = CText(
  "limpid \(version), kernels \((try? Kernels.selected())?.variant.rawValue ?? "invalid LIMPID_KERNELS"), "
    + "\(architecture), Swift \(swiftVersion)")

private var architecture: String {
  #if arch(x86_64)
    "x86_64"
  #elseif arch(arm64)
    "aarch64"
  #else
    "unknown processor"
  #endif
}

private var swiftVersion: String {
  #if compiler(>=6.4)
    "6.4 or later"
  #elseif compiler(>=6.3)
    "6.3"
  #else
    "before 6.3"
  #endif
}

@c @implementation
public func limpid_version() -> UnsafePointer<CChar>? { versionText.base }

@c @implementation
public func limpid_version_number() -> UInt32 {
  UInt32(LIMPID_VERSION_MAJOR * 1_000_000 + LIMPID_VERSION_MINOR * 1000 + LIMPID_VERSION_PATCH)
}

@c @implementation
public func limpid_build_info() -> UnsafePointer<CChar>? { buildInfo.base }

private struct LogHandler: @unchecked Sendable {
  var function: limpid_log_fn?
  var user: UnsafeMutableRawPointer?
  var level = LIMPID_LOG_ERROR
}

private let logHandler = Guarded(LogHandler())

@c @implementation
public func limpid_set_log_handler(
  _ handler: limpid_log_fn?, _ user: UnsafeMutableRawPointer?, _ level: limpid_log_level
) {
  logHandler.withLock { $0 = LogHandler(function: handler, user: user, level: level) }
}

/// Sends a message to the caller's handler, if it wants messages of this level. `message` is made only then.
func log(_ level: limpid_log_level, _ message: @autoclosure () -> String) {
  // The handler is called outside of the lock, so that it may set another one.
  let handler = logHandler.withLock { $0 }
  guard let function = handler.function, level.rawValue <= handler.level.rawValue else { return }
  message().withCString { text in calling { function(handler.user, level, text) } }
}
