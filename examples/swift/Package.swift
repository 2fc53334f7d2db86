// swift-tools-version: 6.2
import PackageDescription

/// With these a release build of the program comes to a status where the system has no memory for Swift's own containers, as
/// `liblimpid.so` does, in place of its end: Swift's runtime is inside the program, and its allocations go where Limpid has a
/// reserve for them. Without them everything else is the same.
let reserving: [String] =
  ["-static-stdlib", "-use-ld=lld"]
  + ["swift_slowAlloc", "swift_slowDealloc", "malloc_usable_size"].flatMap { ["-Xlinker", "--wrap=\($0)"] }

let package = Package(
  name: "why",
  dependencies: [.package(name: "limpid", path: "../..")],
  targets: [
    .executableTarget(
      name: "why", dependencies: [.product(name: "Limpid", package: "limpid")],
      linkerSettings: [.unsafeFlags(reserving, .when(configuration: .release))])
  ])
