import Foundation
import Importers
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally export") struct ExportTests {
  @Test("every format: written once, replaced only by force, told by its content")
  func formats() throws {
    let box = try Sandbox()
    for (name, format) in [
      ("onnx", "ONNX"), ("safetensors", "safetensors"), ("npz", "numpy archive"),
    ] {
      let outcome = box.run("export", "m.tally", "--to", name, "--json")
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(outcome.json["paths"] as? [String] == ["m.\(name)"])
      let bytes = try box.bytes("m.\(name)")
      #expect(outcome.json["bytes"] as? Int == bytes.count)
      let again = box.run("export", "m.tally", "--to", name)
      #expect(again.status == 5 && again.error.contains("TLY0806"), "\(again.error)")
      let forced = box.run("export", "m.tally", "--to", name, "--force", "--dequantize")
      #expect(forced.status == 0, "\(forced.error)")
      #expect(try box.bytes("m.\(name)") != bytes)
      try box.write(bytes, "x.bin")
      let inspected = box.run("inspect", "x.bin", "--json")
      #expect(inspected.status == 0, "\(inspected.error)")
      #expect(inspected.json["format"] as? String == format, "\(inspected.json)")
    }
    #expect(box.files.filter { $0.contains("tmp") }.isEmpty)
  }

  @Test("the exported ONNX file converts back to the model, without calibration data")
  func convertsBack() throws {
    let box = try Sandbox()
    try box.write(PackageResources.digits_onnx, "digits.onnx")
    #expect(
      box.run(
        "convert", "digits.onnx", "-o", "a.tally", "--calibrate", "random", "--input-scale", "1/16"
      ).status == 0)
    #expect(box.run("export", "a.tally", "--to", "onnx", "-o", "b.onnx").status == 0)
    let outcome = box.run("convert", "b.onnx", "-o", "b.tally")
    #expect(outcome.status == 0 && !outcome.error.contains("warning"), "\(outcome.error)")
    #expect(try box.bytes("a.tally") == box.bytes("b.tally"))
  }

  @Test("an unknown format, a missing one and a file that is no model are refused")
  func refusals() throws {
    let box = try Sandbox()
    let unknown = box.run("export", "m.tally", "--to", "tflite")
    #expect(unknown.status == 2 && unknown.error.contains("one of onnx"), "\(unknown.error)")
    #expect(box.run("export", "m.tally").status == 2)
    let data = box.run("export", "d.npz", "--to", "onnx", "-o", "x.onnx")
    #expect(data.status == 3 && data.error.contains("TLY0104"), "\(data.error)")
    let same = box.run("export", "m.tally", "--to", "npz", "-o", "m.tally", "--force")
    #expect(same.status == 5 && same.error.contains("TLY0806"), "\(same.error)")
    #expect(!box.exists("x.onnx"))
  }
}
