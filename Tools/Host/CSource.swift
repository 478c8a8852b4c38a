import CTally
public import Importers
import Tally

/// A model, and the recipe it is to be trained by, as constant arrays in C.
///
/// Both files compile as C99 and as C++ on their own; who runs the model adds `tally.h` and the library.
public struct CSource {
  /// The name of the arrays and files.
  public let name: String
  public let header: String
  public let source: String

  /// - Throws: TLY0605, 0804 or 0807 if there is no plan for the model or the recipe.
  public init(name: String, _ model: LoadedModel, _ recipe: RecipeMemory?) throws(InputError) {
    self.name = name
    let prefix = name.uppercased()
    let shape = model.network.inputShape
    var lines = [
      "/* A Tally model as constant arrays, written by `tally export --to c`. */",
      "#ifndef \(prefix)_H", "#define \(prefix)_H", "", "#include <stdint.h>", "",
      "#ifdef __cplusplus", "extern \"C\" {", "#endif", "",
      "/* The .tally file, aligned to 64 bytes. */",
      "#define \(prefix)_BYTES \(model.byteCount)",
      "extern const uint8_t \(name)[\(prefix)_BYTES];",
      "/* Its digest: the file's last 32 bytes. */",
      "#define \(prefix)_DIGEST \"\(model.digest.hexadecimal)\"", "",
      "/* An input is int8 [height, width, channels]. */",
      "#define \(prefix)_HEIGHT \(shape.height)", "#define \(prefix)_WIDTH \(shape.width)",
      "#define \(prefix)_CHANNELS \(shape.channels)", "#define \(prefix)_INPUTS \(shape.count)",
      "/* The int8 that means 0. */",
      "#define \(prefix)_ZERO_POINT (\(model.network.inputQuantization.zeroPoint))",
      "#define \(prefix)_OUTPUTS \(model.network.outputCount)", "",
      "/* Memory for tally_open, aligned to 16 bytes: one sample at a time, without training. */",
      "#define \(prefix)_INFERENCE_BYTES "
        + "\(try CSource.memory(model, SessionRequest(samples: 1, isCompact: true)))",
      "/* Stack that inference uses at most on 32-bit processors. */",
      "#define \(prefix)_INFERENCE_STACK "
        + "\(MemoryPlan.stackByteCount(isTraining: false, pointerByteCount: 4))",
    ]
    if let recipe {
      let bytes = recipe.recipe.bytes
      let request = SessionRequest(
        samples: Int(recipe.recipe.microBatch), isCompact: true, training: recipe.recipe.needs)
      lines += [
        "", "/* The recipe of a run, and the memory and stack that training by it takes. */",
        "#define \(prefix)_RECIPE_BYTES \(bytes.count)",
        "extern const uint8_t \(name)_recipe[\(prefix)_RECIPE_BYTES];",
        "#define \(prefix)_TRAINING_BYTES \(try CSource.memory(model, request))",
        "#define \(prefix)_TRAINING_STACK "
          + "\(MemoryPlan.stackByteCount(isTraining: true, pointerByteCount: 4))",
      ]
    }
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]
    header = lines.joined(separator: "\n")

    var text = """
      /* digest \(model.digest.hexadecimal) */
      #include "\(name).h"

      #if defined(__GNUC__) || defined(__clang__)
      #define ALIGNED(bytes) __attribute__((aligned(bytes)))
      #elif defined(_MSC_VER)
      #define ALIGNED(bytes) __declspec(align(bytes))
      #else
      #define ALIGNED(bytes) _Alignas(bytes)
      #endif


      """
    text += CSource.array("ALIGNED(64) const uint8_t \(name)[\(prefix)_BYTES]", model.bytes)
    if let recipe {
      let view = recipe.recipe.bytes
      text +=
        "\n"
        + CSource.array(
          "ALIGNED(4) const uint8_t \(name)_recipe[\(prefix)_RECIPE_BYTES]",
          (0..<view.count).map { view[$0] })
    }
    source = text
  }

  /// Bytes that an instance takes: as many as on no processor are too few.
  private static func memory(
    _ model: LoadedModel, _ request: SessionRequest
  ) throws(InputError) -> Int {
    let count = MemoryPlan.largestEntryCount(nodeCount: model.network.nodeCount)
    let memory = AlignedMemory(byteCount: count * MemoryLayout<MemoryPlan.Entry>.stride)
    do throws(MemoryPlanError) {
      let plan = try MemoryPlan(
        model.network, request, entries: memory.view(of: MemoryPlan.Entry.self))
      return Int(TALLY_INSTANCE_BYTES)
        + plan.sessionByteCount(nodeCount: model.network.nodeCount)
    } catch {
      throw InputError(error, model)
    }
  }

  private static func array(_ declaration: String, _ bytes: [UInt8]) -> String {
    var text = "\(declaration) = {\n"
    for start in stride(from: 0, to: bytes.count, by: 24) {
      let line = bytes[start..<min(start + 24, bytes.count)].map(String.init)
      text += "    \(line.joined(separator: ",")),\n"
    }
    return text + "};\n"
  }

  /// A name that C takes: what is no letter or digit becomes an underscore; `nil` if nothing is left of
  /// it, or C knows the word already.
  public static func identifier(_ text: String) -> String? {
    var name = String(
      text.unicodeScalars.map { scalar -> Character in
        let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.value < 58)
        return isPlain && scalar.value > 47 ? Character(scalar) : "_"
      })
    if name.first?.isNumber ?? false { name = "model_" + name }
    return name.allSatisfy { $0 == "_" } || reserved.contains(name) ? nil : name
  }

  private static let reserved: Set<String> = [
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "catch", "char", "class", "const",
    "constexpr", "continue", "default", "delete", "do", "double", "else", "enum", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "main", "mutable", "namespace", "new", "nullptr", "operator", "private", "protected", "public",
    "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
    "template", "this", "throw", "true", "try", "typedef", "typename", "typeof", "union",
    "unsigned", "using", "virtual", "void", "volatile", "while", "tally",
  ]
}
