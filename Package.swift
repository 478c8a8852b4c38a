// swift-tools-version: 6.2
import PackageDescription

/// Settings of everything under Sources/: what a board can run.
let core: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .treatWarning("EmbeddedRestrictions", as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

/// Settings of the command, the importers and the tests.
let host: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

/// The runtime, for those who import its umbrella. All modules are named, because SwiftPM rebuilds a
/// target only when a module it names has changed: with the umbrella alone, an incremental build would
/// keep code compiled against the old layout of a type.
let runtime: [Target.Dependency] = [
  "Tally", "Journals", "Training", "ModelFormat", "Layers", "Kernels", "Tensors", "Bytes",
  "CounterRandom", "FixedPoint",
]

let package = Package(
  name: "tally",
  products: [
    .library(name: "Tally", targets: ["Tally"]),
    .library(name: "TallyC", type: .static, targets: ["TallyC"]),
    .library(name: "TallyHost", targets: ["TallyHost", "Importers"]),
    .executable(name: "tally", targets: ["TallyCommand"]),
  ],
  targets: [
    // Sources/: arrows point down this list only (Sources/README.md).
    .target(name: "FixedPoint", swiftSettings: core),
    .target(name: "CounterRandom", swiftSettings: core),
    .target(name: "MicroKernels"),
    .target(name: "Bytes", dependencies: ["MicroKernels"], swiftSettings: core),
    .target(name: "Tensors", dependencies: ["FixedPoint"], swiftSettings: core),
    .target(
      name: "Kernels", dependencies: ["Tensors", "FixedPoint", "CounterRandom", "MicroKernels"],
      swiftSettings: core),
    .target(
      name: "Layers", dependencies: ["Kernels", "Tensors", "FixedPoint", "CounterRandom"],
      swiftSettings: core),
    .target(
      name: "ModelFormat", dependencies: ["Layers", "Kernels", "Tensors", "FixedPoint", "Bytes"],
      swiftSettings: core),
    .target(
      name: "Training",
      dependencies: [
        "ModelFormat", "Layers", "Kernels", "Tensors", "FixedPoint", "CounterRandom", "Bytes",
      ],
      swiftSettings: core),
    .target(
      name: "Journals",
      dependencies: [
        "Training", "ModelFormat", "Layers", "Kernels", "Tensors", "FixedPoint", "CounterRandom",
        "Bytes",
      ],
      swiftSettings: core),
    .target(
      name: "Tally",
      dependencies: [
        "Journals", "Training", "ModelFormat", "Layers", "Kernels", "Tensors", "Bytes",
        "CounterRandom", "FixedPoint",
      ],
      swiftSettings: core),
    .systemLibrary(name: "CTally"),
    .target(
      name: "TallyC",
      dependencies: [
        "CTally", "Journals", "Training", "ModelFormat", "Layers", "Kernels", "Tensors", "Bytes",
      ],
      swiftSettings: core),

    // Tools/: everything that runs beside the runtime.
    .target(name: "TallyThreads", dependencies: ["MicroKernels"], path: "Tools/Threads"),
    .target(name: "Platform", path: "Tools/Platform", swiftSettings: host),
    .systemLibrary(name: "CZlib", path: "Tools/CZlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "Importers", dependencies: runtime + ["Platform"], path: "Tools/Importers",
      swiftSettings: host),
    .target(
      name: "TallyHost",
      dependencies: runtime + ["Importers", "Platform", "TallyThreads", "CTally", "CZlib"],
      path: "Tools/Host",
      swiftSettings: host),
    .executableTarget(
      name: "TallyCommand", dependencies: runtime + ["Importers", "TallyHost", "Platform"],
      path: "Tools/tally",
      exclude: ["Resources/README.md"],
      resources: [
        .embedInCode("Resources/digits.npz"), .embedInCode("Resources/digits.onnx"),
      ],
      swiftSettings: host),

    // Tools/firmware: the application that boards run, and the images they have in flash.
    .systemLibrary(name: "FirmwareBoard", path: "Tools/firmware/Board"),
    .target(
      name: "FirmwareApplication", dependencies: runtime + ["FirmwareBoard"],
      path: "Tools/firmware/Application", swiftSettings: core),
    .executableTarget(
      name: "FirmwareImages",
      dependencies: runtime + ["Importers", "TallyHost", "TallyTestSupport"],
      path: "Tools/firmware/Images", swiftSettings: host),

    // Tests/: one target per module, and the support they share.
    .target(
      name: "TallyTestSupport",
      dependencies: runtime + ["MicroKernels", "Importers", "TallyHost"],
      path: "Tests/TallyTestSupport", swiftSettings: host),
    .testTarget(name: "FixedPointTests", dependencies: ["FixedPoint"], swiftSettings: host),
    .testTarget(name: "CounterRandomTests", dependencies: ["CounterRandom"], swiftSettings: host),
    .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: host),
    .testTarget(
      name: "KernelsTests", dependencies: runtime + ["MicroKernels", "TallyTestSupport"],
      swiftSettings: host),
    .testTarget(
      name: "TrainingTests", dependencies: runtime + ["TallyHost", "TallyTestSupport"],
      swiftSettings: host),
    .testTarget(
      name: "TallyCTests",
      dependencies: runtime + ["TallyC", "CTally", "Importers", "TallyHost", "TallyTestSupport"],
      swiftSettings: host),
    .testTarget(
      name: "GoldenTests",
      dependencies: runtime + ["MicroKernels", "Importers", "TallyHost", "TallyTestSupport"],
      swiftSettings: host),
    .testTarget(
      name: "ImportersTests", dependencies: runtime + ["Importers", "TallyTestSupport"],
      exclude: ["Fixtures"], swiftSettings: host),
    .testTarget(
      name: "CommandTests",
      dependencies: runtime + ["TallyCommand", "Importers", "TallyHost", "TallyTestSupport"],
      exclude: ["Golden"], swiftSettings: host),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)

// Tools/fuzz needs libFuzzer, which brings its own runtime: only built when it is asked for.
if Context.environment["TALLY_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "TallyFuzz", dependencies: runtime + ["Importers", "TallyHost"],
      path: "Tools/fuzz/Sources", swiftSettings: host))
}
