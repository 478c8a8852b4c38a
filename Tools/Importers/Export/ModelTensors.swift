public import Tally

/// The parameters of a model as named arrays, with everything else in a JSON text beside them: what
/// the npz and the safetensors exports hold.
///
/// | array | type | shape |
/// |---|---|---|
/// | `LAYER.weight` | int8 | [outputs, kernel height, kernel width, inputs per group], or [outputs, inputs] |
/// | `LAYER.bias` | int32 | [outputs], in units of input Scale · weight Scale |
/// | `LAYER.table`, `LAYER.slopes` | int8, int16 | [256], for inputs −128…127; slopes in Q12 |
///
/// Dequantised, weights and biases are float32 and stand for themselves.
public struct ModelTensors: Sendable {
  public var arrays: [(name: String, array: NumericArray)] = []
  /// JSON: input, layers, Scales as exact decimals, geometry; keys in a fixed order.
  public var description: String
  /// The member of an archive that holds it.
  public static let metadataName = "metadata.json"

  /// - Parameters:
  ///   - digest: of the model file, hexadecimal.
  public init(_ network: Network, digest: String, isDequantized: Bool) {
    let model = ModelBuilder(network)
    let names = model.distinctNames
    for (node, name) in zip(model.nodes, names) {
      if let shape = node.operation.weighted {
        var sizes = [shape.output.channels, shape.depth]
        if case .convolution = node.operation {
          let geometry = shape.geometry
          let area = geometry.kernelHeight * geometry.kernelWidth
          sizes = [
            shape.output.channels, geometry.kernelHeight, geometry.kernelWidth, shape.depth / area,
          ]
        }
        let input = model.quantization(node.inputs[0]).scale
        arrays.append(
          (
            "\(name).weight",
            NumericArray(
              shape: sizes,
              storage: isDequantized ? .float32(node.realWeights) : .int8(node.weights))
          ))
        arrays.append(
          (
            "\(name).bias",
            NumericArray(
              shape: [node.biases.count],
              storage: isDequantized ? .float32(node.realBiases(input)) : .int32(node.biases))
          ))
      }
      if let table = node.table {
        arrays.append(("\(name).table", NumericArray(shape: [256], storage: .int8(table.values))))
        arrays.append(("\(name).slopes", NumericArray(shape: [256], storage: .int16(table.slopes))))
      }
    }
    description = ModelDescription(model, names, digest: digest, isDequantized: isDequantized).text
  }

  /// A `.npz`: the arrays and `metadata.json`, nothing compressed. Equal models give equal bytes.
  ///
  /// - Throws: TLY0606 for more layers than an archive holds.
  public func npz() throws(InputError) -> [UInt8] {
    guard arrays.count < 0xFFFE else {
      throw .unsupportedNumber("npz", "\(arrays.count) arrays do not fit one archive")
    }
    var members = [(name: Self.metadataName, bytes: Array(description.utf8))]
    var taken: Set<String> = [Self.metadataName]
    for (name, array) in arrays {
      var member = "\(Self.memberName(name)).npy"
      // Two names may differ only in what a member's name cannot hold.
      while !taken.insert(member).inserted { member = "_" + member }
      members.append((member, try NumpyArray.encoded(array)))
    }
    return ZipArchive.stored(members)
  }

  /// A name without what programs that unpack archives take for folders or refuse.
  private static func memberName(_ name: String) -> String {
    String(
      String.UnicodeScalarView(
        name.unicodeScalars.map { $0 == "/" || $0 == "\\" || $0.value < 32 ? "." : $0 }))
  }

  /// A safetensors file; the JSON is the entry `tally` of its metadata.
  public func safetensors() -> [UInt8] {
    Safetensors.encoded(arrays, metadata: [("format", "tally"), ("tally", description)])
  }
}

extension ModelBuilder.Node {
  /// w·S_w, rounded once to float32.
  var realWeights: [Float] {
    let depth = weights.count / biases.count
    return weights.enumerated().map { index, weight in
      // Eight bits times 31: exact in Double.
      Float(Double(weight) * weightScales[weightScales.count == 1 ? 0 : index / depth].double)
    }
  }

  /// b·S_x·S_w.
  func realBiases(_ input: Scale) -> [Float] {
    biases.enumerated().map { index, bias in
      let scale = weightScales[weightScales.count == 1 ? 0 : index]
      return Float(Double(bias) * (input.double * scale.double))
    }
  }
}
