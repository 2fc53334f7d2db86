/// The manual page, limpid(1), from the tables of the help.
struct Manual: Command {
  static let usage = Usage(
    name: "manual", operands: "", operandCount: 0...0, summary: "Write the manual page, for man.", options: [])

  init(_ arguments: Arguments) {}

  func run() throws {
    var page = """
      .TH LIMPID 1
      .SH NAME
      limpid \\- classify images, and show why
      .SH SYNOPSIS
      .B limpid
      .I COMMAND
      \\&...
      .SH COMMANDS

      """
    for usage in Commands.usages {
      page += ".SS \(Self.plain(usage.line))\n\(Self.plain(usage.summary))\n"
      for option in usage.options {
        let value = option.value.map { " \\fI\(Self.plain($0))\\fR" } ?? ""
        page += ".TP\n\\fB\\-\\-\(Self.plain(option.name))\\fR\(value)\n\(Self.plain(option.summary))\n"
      }
    }
    page += """
      .SH EXIT STATUS
      0 done, 1 failed, 2 called wrongly, 130 interrupted.

      """
    try Console.write(page)
  }

  /// As text of a page: what begins a request, and hyphens, would mean something else.
  private static func plain(_ text: String) -> String {
    let escaped = text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\e")
      .split(separator: "-", omittingEmptySubsequences: false).joined(separator: "\\-")
    return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
  }
}
