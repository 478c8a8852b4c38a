import Foundation
import Importers
import Testing

/// Published checkpoints of ../shared/data, with onnxruntime's logits (1.31.1) for an input by rule.
struct SharedModel: Sendable, CustomTestStringConvertible {
  var path: String
  var shape: TensorShape
  var layout: DataLayout
  /// The input is ((7 i + 13 k + 3) mod 251) · scale / 255, in the file's order.
  var scale: Float = 1
  /// The value to compare: the logits, also where the file ends in a Softmax.
  var output: String?
  var parameterCount: Int
  var layers: Int
  var logits: [[Float]]

  var testDescription: String { path }

  static let all = [
    SharedModel(
      path: "models/mnist-cntk/mnist-7.onnx",
      shape: TensorShape(height: 28, width: 28, channels: 1), layout: .nchw, parameterCount: 5994,
      layers: 3,
      logits: [
        [
          -1.39993, -0.359777, 0.944606, 1.88249, -1.74719, 0.566572, -0.49308, 0.345035, 0.573992,
          -0.617053,
        ],
        [
          -1.37095, -0.552551, 0.810326, 1.63734, -1.87045, 0.537367, -0.379366, 0.222992,
          0.656433, -0.564519,
        ],
      ]),
    SharedModel(
      path: "models/resnet8-cifar10/resnet8-cifar10.onnx",
      shape: TensorShape(height: 32, width: 32, channels: 3), layout: .nhwc, scale: 255,
      output: "dense_out_lin", parameterCount: 77706, layers: 10,
      logits: [
        [
          -30.4864, -15.5101, -7.83842, 14.4283, -30.1599, -31.6202, 3.30676, -25.8495, -1.33603,
          -25.111,
        ],
        [
          -25.1902, -15.8071, -0.794563, 13.9681, -25.5333, -29.9121, 2.80342, -27.2414, -2.70198,
          -22.4138,
        ],
      ]),
    SharedModel(
      path: "models/resnet20-cifar10/resnet20.onnx",
      shape: TensorShape(height: 32, width: 32, channels: 3), layout: .nchw,
      parameterCount: 269034, layers: 20,
      logits: [
        [
          5.37006, 0.0104785, -2.52293, -6.06052, 1.97668, -5.67375, 3.34152, -3.70387, 1.61463,
          5.67372,
        ]
      ]),
    SharedModel(
      path: "models/dscnn-kws/dscnn-kws.onnx",
      shape: TensorShape(height: 49, width: 10, channels: 1), layout: .nhwc, output: "logits",
      parameterCount: 22604, layers: 10,
      logits: [
        [
          -0.758402, -0.805945, -1.43787, -1.84511, -1.32867, -0.199937, -1.57424, -1.80671,
          -1.21649, -1.82734, -4.94786, 2.75044,
        ]
      ]),
  ]
}

@Suite(
  "Published ONNX checkpoints",
  .enabled(if: SharedData.has("models"), "no data at ../shared/data or TALLY_DATA"))
struct ONNXSharedModelTests {
  @Test("gives onnxruntime's logits", arguments: SharedModel.all)
  func logits(_ model: SharedModel) throws {
    let file = try ONNXModel(contentsOf: SharedData.path(model.path))
    let network = try FloatNetwork(
      importing: file, options: ONNXImportOptions(output: model.output))
    #expect(network.inputShape == model.shape)
    #expect(network.inputLayout == model.layout)
    #expect(network.parameterCount == model.parameterCount)
    #expect(network.nodes.filter(\.operation.hasWeights).count == model.layers)
    let executor = FloatExecutor(network)
    for (sample, expected) in model.logits.enumerated() {
      let input = (0..<model.shape.count).map {
        Float(($0 * 7 + 13 * sample + 3) % 251) / 255 * model.scale
      }
      let found = executor.run(channelsLast(input, model.shape, model.layout))
      #expect(relativeError(found, expected) < 1e-4)
    }
  }

  @Test("ends where the file ends: softmax as the last node", arguments: SharedModel.all)
  func heads(_ model: SharedModel) throws {
    let network = try FloatNetwork(
      importing: ONNXModel(contentsOf: SharedData.path(model.path)))
    #expect(network.output == network.nodes.count)
    let hasSoftmax =
      if case .softmax = network.nodes[network.nodes.count - 1].operation { true } else { false }
    #expect(hasSoftmax == (model.output != nil))
    #expect(network.warnings.isEmpty)
  }
}
