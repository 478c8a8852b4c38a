// swift-tools-version: 6.2
import PackageDescription

// A package like any other that uses Tally: by path here, by URL elsewhere.
let package = Package(
  name: "tally-examples",
  dependencies: [.package(name: "tally", path: "../..")],
  targets: [
    // The five sketches use the runtime only.
    .target(name: "Sketches", dependencies: [.product(name: "Tally", package: "tally")]),
    // Files, JSON and data sets are the host library's.
    .executableTarget(
      name: "Examples",
      dependencies: ["Sketches", .product(name: "TallyHost", package: "tally")]),
  ],
  swiftLanguageModes: [.v6]
)
