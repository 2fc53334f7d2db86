// swift-tools-version: 6.2
// The targets in layer order, bottom first; imports go down only (scripts/check-layers).
import PackageDescription

let root = Context.packageDirectory

let swift: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// SwiftPM runs this file on the machine that builds, and has no condition for the architecture that is built for.
#if arch(x86_64)
  let host = "x86_64"
#else
  let host = "other"
#endif
let isX86 = (Context.environment["LIMPID_ARCHITECTURE"] ?? host) == "x86_64"

/// Numeric loops are 50 to 100 times slower without optimisation, so they are optimised in debug builds too.
let numeric = swift + [.unsafeFlags(["-O"])]

/// Those of an instruction set of x86-64; elsewhere the target is empty.
func instructions(_ flags: String...) -> [SwiftSetting] {
  swift + [.unsafeFlags(["-O"] + (isX86 ? flags.flatMap { ["-Xcc", $0] } : []))]
}

/// Swift's allocations go where there is a reserve for them (CReserve).
let reserving = ["swift_slowAlloc", "swift_slowDealloc", "malloc_usable_size"].flatMap { ["-Xlinker", "--wrap=\($0)"] }

let package = Package(
  name: "limpid",
  products: [
    .library(name: "limpid", type: .dynamic, targets: ["limpid"]),
    .library(name: "Limpid", targets: ["Limpid"]),
    .executable(name: "limpid-cli", targets: ["limpid-cli"]),
  ],
  targets: [
    // Doors to C and C++.
    .systemLibrary(name: "CLimpid", path: "include"),
    .target(name: "COpenBLAS"),
    .target(name: "CProcessor"),
    .systemLibrary(name: "CVectors"),
    .target(name: "CThread"),
    .target(name: "CFork", dependencies: ["CThread"]),
    .target(name: "CReserve", dependencies: ["CThread"]),
    .target(name: "CSQLite"),
    .target(name: "CONNX"),
    .target(name: "CCodecs", linkerSettings: [.linkedLibrary("png16"), .linkedLibrary("jpeg")]),

    // Shape, element type, storage, failures; no arithmetic.
    .target(name: "Tensors", dependencies: ["CReserve"], swiftSettings: swift),
    // A range split over threads, cancellation, progress.
    .target(name: "Parallel", dependencies: ["Tensors", "CProcessor", "CThread"], swiftSettings: swift),

    // Text: JSON, lines, names of files, and digests that name contents.
    .target(name: "Documents", dependencies: ["Tensors"], swiftSettings: numeric),

    // Numeric loops: generic code, instantiated once per instruction set, chosen at run time.
    .target(name: "KernelCore", dependencies: ["CVectors"], swiftSettings: numeric),
    .target(name: "KernelsPortable", dependencies: ["KernelCore", "CVectors"], swiftSettings: numeric),
    .target(name: "KernelsAVX2", dependencies: ["KernelCore"], swiftSettings: instructions("-mavx2", "-mfma")),
    .target(
      name: "KernelsAVX512", dependencies: ["KernelCore"],
      swiftSettings: instructions(
        "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512")),
    .target(
      name: "KernelsAVX512BFloat16", dependencies: ["KernelCore", "CVectors"],
      swiftSettings: instructions(
        "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mavx512bf16", "-mfma", "-mprefer-vector-width=512")),
    .target(
      name: "KernelsAMX", dependencies: ["KernelCore", "CVectors"],
      swiftSettings: instructions(
        "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mavx512bf16", "-mamx-tile", "-mamx-bf16", "-mfma",
        "-mprefer-vector-width=512")),
    .target(
      name: "Kernels",
      dependencies: [
        "Tensors", "Parallel", "KernelCore", "KernelsPortable", "KernelsAVX2", "KernelsAVX512", "KernelsAVX512BFloat16",
        "KernelsAMX", "COpenBLAS", "CProcessor",
      ],
      swiftSettings: numeric),

    // Nodes, values, attributes; passes over them.
    .target(name: "Graph", dependencies: ["Tensors"], swiftSettings: swift),
    // Bytes to graph: the only place that knows the file format.
    .target(name: "ONNX", dependencies: ["Graph", "Parallel", "Tensors", "CONNX"], swiftSettings: swift),
    // Decode, resize, normalise, colour, overlay, encode.
    .target(name: "Images", dependencies: ["Parallel", "Tensors", "CCodecs"], swiftSettings: numeric),
    // One file per operator family: attributes, shape rule, kernel.
    .target(
      name: "Operators", dependencies: ["Images", "Graph", "Kernels", "Tensors", "Parallel"], swiftSettings: numeric),
    // Graph to graph: differentiation, folding.
    .target(name: "Transforms", dependencies: ["Operators", "Graph", "Tensors"], swiftSettings: swift),
    // Plans: sub-graph, memory, run, taps, batches.
    .target(
      name: "Engine",
      dependencies: ["Transforms", "Operators", "Graph", "Kernels", "Parallel", "Tensors", "CProcessor"],
      swiftSettings: swift),
    // What explaining gives and takes: heat maps, explanations, parameters.
    .target(name: "Explanations", dependencies: ["Images", "Parallel", "Tensors"], swiftSettings: numeric),
    // What was explained and measured, as one page.
    .target(name: "Reports", dependencies: ["Images", "Parallel", "Tensors"], swiftSettings: swift),
    // Model file and metadata: classes, preprocessing, layers, heads.
    .target(
      name: "Models",
      dependencies: [
        "ONNX", "Engine", "Transforms", "Operators", "Explanations", "Images", "Graph", "Kernels", "Parallel",
        "Documents",
        "Tensors",
      ],
      swiftSettings: swift),
    // One file per explanation method.
    .target(
      name: "Explainers",
      dependencies: [
        "Transforms", "Operators", "Models", "Explanations", "Engine", "Images", "Kernels", "Graph", "Parallel",
        "Documents",
        "Tensors",
      ],
      swiftSettings: numeric),
    // One file per metric of explanations.
    .target(
      name: "Metrics",
      dependencies: [
        "Explainers", "Models", "Explanations", "Images", "Parallel", "Tensors",
      ],
      swiftSettings: numeric),
    // Data sets, and what methods and metrics come to over them.
    .target(
      name: "Evaluation",
      dependencies: [
        "Metrics", "Explainers", "Models", "Reports", "Explanations", "Images", "Kernels", "Graph", "Parallel",
        "Documents",
        "Tensors", "CLimpid", "CSQLite",
      ],
      swiftSettings: swift),
    // The C functions, one file per noun of the header.
    .target(
      name: "CABI",
      dependencies: [
        "Evaluation", "Metrics", "Explainers", "Models", "Explanations", "Images", "Engine", "Kernels", "Graph",
        "Parallel",
        "Documents", "Tensors", "CLimpid", "CThread",
      ],
      swiftSettings: swift),

    // What Swift programs import.
    .target(
      name: "Limpid",
      dependencies: ["Explainers", "Models", "Explanations", "Images", "Kernels", "Parallel", "Tensors"],
      swiftSettings: swift),

    // The shipped library: link settings only, so that tests can link CABI without them.
    .target(
      name: "limpid", dependencies: ["CABI", "CFork"], exclude: ["liblimpid.map"], swiftSettings: swift,
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-stdlib", "-use-ld=lld",
            "-Xlinker", "--version-script=\(root)/Sources/limpid/liblimpid.map",
            "-Xlinker", "-soname=liblimpid.so.0",
            // What the library calls of its own is its own, whatever the program defines.
            "-Xlinker", "-Bsymbolic",
            // No fork falls between (CFork).
            "-Xlinker", "--wrap=pthread_mutex_lock", "-Xlinker", "--wrap=pthread_mutex_unlock",
            "-Xlinker", "--wrap=_ZN5swift14threading_impl9once_slowERNS0_6once_tEPFvPvES3_",
            "-Xlinker", "--wrap=__cxa_guard_acquire", "-Xlinker", "--wrap=__cxa_guard_release",
            "-Xlinker", "-z", "-Xlinker", "defs",
            "-Xlinker", "-z", "-Xlinker", "nodelete",
          ] + reserving, .when(configuration: .release))
      ]),
    .executableTarget(
      name: "limpid-cli",
      dependencies: [
        "Evaluation", "Metrics", "Explainers", "Models", "Explanations", "Engine", "Images", "Kernels", "Graph",
        "Parallel",
        "Documents", "Tensors", "CLimpid",
      ],
      swiftSettings: swift,
      linkerSettings: [.unsafeFlags(["-static-stdlib", "-use-ld=lld"] + reserving, .when(configuration: .release))]),

    // Instructions that few processors have, for tests of the kernels that are made of them.
    .target(name: "CEmulatedTiles", path: "Tests/CEmulatedTiles", cSettings: [.unsafeFlags(["-O2"])]),
    .testTarget(
      name: "KernelsTests", dependencies: ["CEmulatedTiles", "CProcessor", "Kernels", "Parallel", "Tensors"],
      swiftSettings: swift),
    .testTarget(
      name: "ImagesTests", dependencies: ["Images", "Graph", "Parallel", "Tensors"], exclude: ["Fixtures"],
      swiftSettings: swift),
    .testTarget(
      name: "ONNXTests", dependencies: ["ONNX", "Graph", "Parallel", "Tensors"], exclude: ["Fixtures"],
      swiftSettings: swift),
    .testTarget(
      name: "EngineTests",
      dependencies: ["Engine", "ONNX", "Operators", "Transforms", "Graph", "Kernels", "Parallel", "Tensors"],
      exclude: ["Fixtures"], swiftSettings: swift),
    .testTarget(
      name: "ModelsTests", dependencies: ["Models", "Graph", "Parallel", "Tensors"], swiftSettings: swift),
    .testTarget(
      name: "ExplainersTests",
      dependencies: ["Explainers", "Explanations", "Models", "Graph", "Images", "Kernels", "Parallel", "Tensors"],
      exclude: ["Fixtures"],
      swiftSettings: swift),
    .testTarget(name: "CABITests", dependencies: ["CABI", "CLimpid"], swiftSettings: swift),
  ],
  cxxLanguageStandard: .cxx17
)
