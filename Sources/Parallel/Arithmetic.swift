import CThread

/// Runs what a host calls. Meanwhile its thread rounds and reports exceptions of arithmetic as a program begins to,
/// however the host has set it: results do not depend on that, and nothing ends the process.
public func computing<R>(_ body: () throws -> R) rethrows -> R {
  let outer = lp_enter_arithmetic()
  defer { lp_leave_arithmetic(outer) }
  return try body()
}

/// Calls one of the host's functions, whose thread computes meanwhile as the host has set it.
public func calling<R>(_ body: () throws -> R) rethrows -> R {
  lp_to_host()
  defer { lp_from_host() }
  return try body()
}
