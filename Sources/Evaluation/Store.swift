import CSQLite
import Documents
import Tensors

/// A file that keeps records, so that an evaluation that was stopped goes on where it was: an SQLite database with the
/// settings that they are of, and a row for each record, written at once.
final class Store {
  private let database: OpaquePointer
  let path: String

  /// Opens or makes the file. Throws `unsupported` where SQLite is not installed, `io`, or `invalidArgument` where the
  /// file keeps records of other settings.
  init(_ path: String, fingerprint: String, settings: JSON) throws {
    self.path = path
    var opened: OpaquePointer?
    var message = [CChar](repeating: 0, count: Int(LP_SQL_MESSAGE_SIZE))
    let status = lp_sql_open(path.systemName, &opened, &message)
    let reason = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard status != LP_SQL_MISSING else {
      throw Failure(
        .unsupported,
        "the store \(quoted(path)) needs SQLite, which is not on this machine (\(reason)): install it "
          + "(Debian: apt install libsqlite3-0), or keep no store")
    }
    guard status == LP_SQL_OK, let opened else {
      throw Failure(.io, "cannot open the store \(quoted(path)): \(reason)")
    }
    database = opened
    // A row is on the disk, or at least the system's, when its statement returns: the end of the process loses none.
    try run("PRAGMA journal_mode = WAL")
    try run("PRAGMA synchronous = NORMAL")
    try run("CREATE TABLE IF NOT EXISTS settings (name BLOB PRIMARY KEY, value BLOB)")
    try run("CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, stamp BLOB, record BLOB)")
    for (name, value) in [("format", "1"), ("evaluation", fingerprint), ("settings", settings.line)] {
      try run("INSERT OR IGNORE INTO settings VALUES (?, ?)", [Array(name.utf8), Array(value.utf8)])
    }
    try check(fingerprint, settings)
  }

  deinit { lp_sql_close(database) }

  private func check(_ fingerprint: String, _ settings: JSON) throws {
    func stored(_ name: String) throws -> String {
      var value = ""
      try run("SELECT value FROM settings WHERE name = ?", [Array(name.utf8)]) {
        value = String(decoding: $0[0], as: UTF8.self)
      }
      return value
    }
    let format = try stored("format")
    guard format == "1" else {
      throw Failure(
        .unsupported, "the store \(quoted(path)) is of format \(quoted(format)); this version reads format 1")
    }
    guard try stored("evaluation") != fingerprint else { return }
    let old = try JSONReader.document(try stored("settings"))
    let change = Self.difference(old, settings, "").map { ": \($0)" } ?? ""
    throw Failure(
      .invalidArgument,
      "the store \(quoted(path)) keeps an evaluation with other settings\(change); name another store, "
        + "or remove this one")
  }

  /// The first thing that differs, in words.
  private static func difference(_ old: JSON, _ new: JSON, _ place: String) -> String? {
    if old.line == new.line { return nil }
    if let a = old.members, let b = new.members, !a.isEmpty, !b.isEmpty {
      // What is written only where it was chosen is missing in one of them.
      let names = a.map(\.0) + b.map(\.0).filter { name in !a.contains { $0.0 == name } }
      return names.lazy.compactMap { name in
        let inside = place.isEmpty ? name : "\(place).\(name)"
        return difference(old[name] ?? .text("not set"), new[name] ?? .text("not set"), inside)
      }.first
    }
    if let a = old.list, let b = new.list, a.count == b.count {
      return zip(a, b).lazy.compactMap { difference($0, $1, "\(place) \($1["name"]?.string ?? "")".trimmed) }.first
    }
    func short(_ value: JSON) -> String {
      if let names = value.list.map({ $0.compactMap { $0["name"]?.string } }), !names.isEmpty {
        return names.joined(separator: ", ")
      }
      return String(value.line.prefix(120))
    }
    return "\(place) was \(short(old)), and is \(short(new))"
  }

  /// Keeps a record; `stamp` tells whether the image is the same later.
  func put(_ record: Record, stamp: String) throws {
    try run(
      "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", [Array(record.key.utf8), Array(stamp.utf8), record.bytes])
  }

  /// The record of a sample; nil where there is none, or one of another image.
  func record(_ key: String, stamp: String) throws -> [UInt8]? {
    var found: [UInt8]?
    try run("SELECT record FROM records WHERE key = ? AND stamp = ?", [Array(key.utf8), Array(stamp.utf8)]) {
      found = Array($0[0])
    }
    return found
  }

  /// Calls `body` with every record that is kept.
  func forEach(_ body: (_ key: String, _ stamp: String, _ record: UnsafeRawBufferPointer) throws -> Void) throws {
    try run("SELECT key, stamp, record FROM records") { columns in
      try body(String(decoding: columns[0], as: UTF8.self), String(decoding: columns[1], as: UTF8.self), columns[2])
    }
  }

  /// Runs one statement, and `body` on the columns of each row.
  private func run(
    _ statement: String, _ values: [[UInt8]] = [], _ body: ([UnsafeRawBufferPointer]) throws -> Void = { _ in }
  ) throws {
    var message = [CChar](repeating: 0, count: Int(LP_SQL_MESSAGE_SIZE))
    let copies = values.map { bytes in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
      copy.copyBytes(from: bytes)
      return copy
    }
    defer { for copy in copies { copy.deallocate() } }
    let bound = zip(copies, values).map { lp_sql_value(bytes: $0.baseAddress, size: $1.count) }
    let status = try withoutActuallyEscaping(body) { body in
      let rows = Rows(body)
      let status = withExtendedLifetime(rows) {
        lp_sql_run(
          database, statement, bound, bound.count,
          { user, columns, count in
            guard let user, let columns else { return 1 }
            return Unmanaged<Rows>.fromOpaque(user).takeUnretainedValue().take(columns, count)
          }, Unmanaged.passUnretained(rows).toOpaque(), &message)
      }
      if let error = rows.error { throw error }
      return status
    }
    guard status == LP_SQL_OK else {
      let reason = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw Failure(.io, "the store \(quoted(path)): \(reason)")
    }
  }

  /// Hands rows on, and keeps what goes wrong with one.
  private final class Rows {
    private let body: ([UnsafeRawBufferPointer]) throws -> Void
    var error: (any Error)?

    init(_ body: @escaping ([UnsafeRawBufferPointer]) throws -> Void) { self.body = body }

    func take(_ columns: UnsafePointer<lp_sql_value>, _ count: Int) -> Int32 {
      do {
        try body((0..<count).map { UnsafeRawBufferPointer(start: columns[$0].bytes, count: columns[$0].size) })
        return 0
      } catch {
        self.error = error
        return 1
      }
    }
  }
}
