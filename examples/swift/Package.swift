// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "why",
  dependencies: [.package(name: "limpid", path: "../..")],
  targets: [.executableTarget(name: "why", dependencies: [.product(name: "Limpid", package: "limpid")])])
