import Documents
import Glibc
import Tensors

/// Exit statuses: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
func status(of words: ArraySlice<String>) -> Int32 {
  do {
    guard let name = words.first else {
      Console.error(Commands.help)
      return 2
    }
    // What stands before "--" may ask for help at any place.
    let asksForHelp = words.prefix { $0 != "--" }.contains { $0 == "--help" || $0 == "-h" }
    let topic = name == "help" ? words.dropFirst().first : name
    guard let command = Commands.named(["--version", "-V"].contains(name) ? "version" : topic ?? "") else {
      if asksForHelp || words.count == 1 && name == "help" {
        try Console.write(Commands.help)
        return 0
      }
      let meant = suggestion(for: topic ?? name, among: Commands.all.map { $0.usage.name })
      Console.error("limpid: there is no command \(quoted(topic ?? name)); \(meant)see limpid --help\n")
      return 2
    }
    if asksForHelp || name == "help" {
      try Console.write(command.usage.help)
      return 0
    }
    return try run(command, words.dropFirst())
  } catch {
    Console.error("limpid: \(error)\n")
    return 1
  }
}

func run(_ command: any Command.Type, _ words: ArraySlice<String>) throws -> Int32 {
  let job: any Command
  do {
    job = try command.init(Arguments(words, for: command.usage))
  } catch {
    Console.error("limpid: \(error)\nusage: \(command.usage.line)\n")
    return 2
  }
  do {
    try job.run()
    return 0
  } catch let failure as Failure where failure.kind == .cancelled {
    Console.error("limpid: interrupted\n")
    return 130
  }
}

let words = (0..<Int(CommandLine.argc)).compactMap { CommandLine.unsafeArgv[$0].map { String(name: $0) } }
exit(status(of: words.dropFirst()))
