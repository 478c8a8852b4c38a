import Foundation
import Importers
import Testing

/// Figures on real data: minutes in a release build, so only on request.
///
///     TALLY_ACCURACY=1 swift test -c release -Xswiftc -enable-testing --filter ConversionAccuracy
@Suite(
  "Accuracy of conversion", .serialized,
  .enabled(
    if: ProcessInfo.processInfo.environment["TALLY_ACCURACY"] != nil && SharedData.has("INDEX.md"),
    "TALLY_ACCURACY is not set, or there is no data at ../shared/data or TALLY_DATA"))
struct ConversionAccuracyTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var model: String
    var calibration: String
    var test: String
    var input = InputPreparation()
    var perLayer: Double
    var perChannel: Double
    var testDescription: String { name }
  }

  static let cases = [
    Case(
      name: "mnist-7", model: "models/mnist-cntk/mnist-7.onnx",
      calibration:
        "@/mnist/train-images-idx3-ubyte.gz,@/mnist/train-labels-idx1-ubyte.gz[0..<1000]",
      test: "@/mnist/t10k-images-idx3-ubyte.gz,@/mnist/t10k-labels-idx1-ubyte.gz",
      input: InputPreparation(scale: ExactRatio(1, 255)!), perLayer: 98.85, perChannel: 98.85),
    Case(
      name: "ResNet8", model: "models/resnet8-cifar10/resnet8-cifar10.onnx",
      calibration: "cifar:@/cifar10/train_2000.bin.gz[0..<256]",
      test: "cifar:@/cifar10/test_1800.bin.gz", perLayer: 87.6, perChannel: 87.8),
    Case(
      name: "ResNet20", model: "models/resnet20-cifar10/resnet20.onnx",
      calibration: "cifar:@/cifar10/train_2000.bin.gz[0..<256]",
      test: "cifar:@/cifar10/test_1800.bin.gz",
      input: InputPreparation(
        scale: ExactRatio(1, 255)!,
        mean: ["0.485", "0.456", "0.406"].map { ExactRatio(parsing: $0)! },
        std: ["0.229", "0.224", "0.225"].map { ExactRatio(parsing: $0)! }),
      perLayer: 92.3, perChannel: 92.3),
    Case(
      name: "DS-CNN", model: "models/dscnn-kws/dscnn-kws.onnx",
      calibration: "@/kws01.npz[0..<100]", test: "@/kws01.npz[100..<1000]", perLayer: 90.3,
      perChannel: 90.5),
  ]

  @Test("reaches the figures of a float network", arguments: cases)
  func figures(_ figure: Case) throws {
    let model = try ONNXModel(contentsOf: SharedData.path(figure.model))
    let network = try FloatNetwork(importing: model)
    let shape = network.inputShape
    func load(_ text: String) throws -> DataSet {
      try DataSet(
        parsing: text.replacing("@", with: SharedData.folder ?? ""),
        expected: SampleShape(height: shape.height, width: shape.width, channels: shape.channels),
        inflate: SlowInflate.inflater)
    }
    let calibration = try load(figure.calibration)
    let test = try load(figure.test)
    let float = network.answers(test, figure.input)
    let labels = test.labels!.map { Int($0) }
    func percent(_ a: [Int], _ b: [Int]) -> Double {
      100 * Double(zip(a, b).count { $0 == $1 }) / Double(a.count)
    }
    print("\(figure.name): float \(percent(float, labels))")
    let methods: [(String, ConversionOptions.Method)] =
      ProcessInfo.processInfo.environment["TALLY_ACCURACY"] == "all"
      ? [
        ("min-max", .minMax), ("99.99 %", .percentile(ExactRatio(9999, 10000)!)),
        ("mse", .meanSquaredError),
      ]
      : [("min-max", .minMax)]
    for (name, method) in methods {
      for scales in [ConversionOptions.WeightScales.perLayer, .perChannel] {
        for (equalizes, corrects) in methods.count == 1
          ? [(false, false)] : [(false, false), (true, false), (false, true), (true, true)]
        {
          let start = Date()
          let result = try FloatConversion.convert(
            network, calibration: .data(calibration),
            options: ConversionOptions(
              weightScales: scales, method: method, equalizesLayers: equalizes,
              correctsBiases: corrects, input: figure.input))
          let seconds = Date().timeIntervalSince(start)
          let answers = try ConvertedModel(result.modelBytes).answers(test)
          let accuracy = percent(answers, labels)
          let agreement = percent(answers, float)
          print(
            "  \(name) \(scales.rawValue)\(equalizes ? " CLE" : "")\(corrects ? " BC" : ""):",
            "accuracy \(accuracy), agreement \(agreement), \(seconds) s")
          if name == "min-max", !equalizes, !corrects {
            for row in result.rows {
              print(
                "    \(row.name) | \(row.kind) | \(row.outputShape) |",
                row.range.map { "\($0.lowerBound)…\($0.upperBound)" } ?? "-", "| \(row.scale) |",
                row.zeroPoint, "|", row.signalToNoise.map { "\(Double($0) / 100)" } ?? "-", "|",
                row.weightSignalToNoise.map { "\(Double($0) / 100)" } ?? "-", "|",
                row.saturated ?? 0, row.notes)
            }
            #expect(accuracy >= (scales == .perLayer ? figure.perLayer : figure.perChannel))
            #expect(agreement >= (scales == .perLayer ? 97 : 97.5))
          }
        }
      }
    }
  }
}
