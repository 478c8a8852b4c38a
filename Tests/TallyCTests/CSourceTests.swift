import CTally
import Foundation
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("A model as C arrays")
struct CSourceTests {
  private func source(trains: Bool, name: String = "model") throws -> (CInstance, CSource) {
    let instance = try CInstance(
      SmallNetworks.convolutional(), recipe: trains ? TrainTests.recipe : nil)
    let model = try LoadedModel(instance.model)
    let recipe = try instance.recipe.map { try RecipeMemory($0, model) }
    return (instance, try CSource(name: name, model, recipe))
  }

  /// The numbers between the braces of an array.
  private func bytes(of array: String, in text: String) throws -> [UInt8] {
    let start = try #require(text.range(of: " \(array)["))
    let open = try #require(text[start.upperBound...].firstIndex(of: "{"))
    let close = try #require(text[open...].firstIndex(of: "}"))
    return text[text.index(after: open)..<close].split(separator: ",").compactMap {
      UInt8($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }

  /// The number that a macro stands for.
  private func number(_ macro: String, in header: String) throws -> UInt32 {
    let line = try #require(
      header.split(separator: "\n").first { $0.hasPrefix("#define \(macro) ") })
    return try #require(UInt32(line.split(separator: " ")[2]))
  }

  @Test("holds every byte of the model and the recipe")
  func holdsEveryByte() throws {
    let (instance, c) = try source(trains: true)
    #expect(try bytes(of: "model", in: c.source) == instance.model)
    #expect(try bytes(of: "model_recipe", in: c.source) == instance.recipe)
    #expect(try number("MODEL_BYTES", in: c.header) == UInt32(instance.model.count))
    #expect(try number("MODEL_INPUTS", in: c.header) == 36)
    #expect(try number("MODEL_OUTPUTS", in: c.header) == 3)
    let digest = instance.model.suffix(32).map { String(format: "%02x", $0) }.joined()
    #expect(c.header.contains("#define MODEL_DIGEST \"\(digest)\""))
  }

  @Test("states memory that opens the network, and not much more", arguments: [false, true])
  func memoryIsEnough(trains: Bool) throws {
    let (instance, c) = try source(trains: trains)
    let stated = try number(
      trains ? "MODEL_TRAINING_BYTES" : "MODEL_INFERENCE_BYTES", in: c.header)
    #expect(stated >= instance.sizes.memory)
    #expect(stated <= instance.sizes.memory + UInt32(TALLY_INSTANCE_BYTES))
  }

  @Test("without a recipe there is no recipe in it")
  func withoutRecipe() throws {
    let (_, c) = try source(trains: false, name: "digits")
    #expect(!c.header.contains("RECIPE") && !c.source.contains("recipe"))
    #expect(c.source.contains("#include \"digits.h\""))
  }

  @Test(
    "names become identifiers",
    arguments: [
      ("model", "model"), ("my-net.v2", "my_net_v2"), ("8bit", "model_8bit"), ("naïve", "na_ve"),
      ("int", nil), ("---", nil), ("", nil), ("tally", nil),
    ])
  func identifiers(text: String, expected: String?) {
    #expect(CSource.identifier(text) == expected)
  }

  private static let compilers = ["clang", "gcc"].filter {
    FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)")
  }

  @Test(
    "compiles as C99, C11 and C++ without a warning", .enabled(if: !compilers.isEmpty),
    arguments: ["-std=c99", "-std=c11", "-xc++"])
  func compiles(standard: String) throws {
    let (_, c) = try source(trains: true)
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("tally-c-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in [("model.h", c.header), ("model.c", c.source)] {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }
    for compiler in CSourceTests.compilers {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/\(compiler)")
      process.currentDirectoryURL = folder
      process.arguments = [
        standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "model.c", "-o", "model.o",
      ]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(compiler) \(standard)")
    }
  }
}
