import Importers
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally demo") struct DemoTests {
  @Test("bundled digits and checkpoint are what Resources/README.md says")
  func resources() throws {
    let digits = try DemoData.digits()
    #expect(digits.samples.shape == [1797, 8, 8, 1])
    guard case .uint8(let pixels) = digits.samples.storage else {
      Issue.record("the digits are bytes")
      return
    }
    #expect(pixels.max() == 16)
    #expect(Set(digits.labels ?? []) == Set(0...9))
    #expect(try DemoData.network().parameterCount == 1898)
  }

  @Test("turning by 30° is shifts.py's")
  func rotation() throws {
    // `shifts.rotate(numpy.arange(64).reshape(1, 8, 8), 30)`.
    let image = NumericArray(shape: [1, 8, 8, 1], storage: .uint8(Array(0..<64)))
    let turned = DemoData.rotated(DataSet(source: "ramp", samples: image, targets: .labels([0])))
    let expected: [UInt8] = [
      0, 16, 8, 9, 2, 3, 0, 0,
      0, 24, 17, 18, 11, 12, 4, 5,
      32, 25, 25, 18, 19, 12, 13, 6,
      40, 33, 34, 27, 28, 21, 21, 14,
      49, 42, 42, 35, 36, 29, 30, 23,
      57, 50, 51, 44, 45, 38, 38, 31,
      58, 59, 51, 52, 45, 46, 39, 0,
      0, 0, 60, 61, 54, 55, 47, 0,
    ]
    #expect(turned.samples.storage == .uint8(expected))
    #expect(turned.labels == [0])
  }

  @Test("three steps of it: converted well, adapted, verified, and a changed journal is not")
  func steps() throws {
    let demo = try Demo(recipe: #"{"steps": 3, "batch": 16, "learningRate": "0.1", "seed": 1}"#)
    #expect(demo.float.correct == 342 && demo.float.total == 360)
    // Within a point of the float network: three images.
    #expect(abs(Int(demo.upright.sums.correct) - demo.float.correct) <= 3)
    #expect(demo.before.sums.correct < 180, "the turned digits are foreign to it")
    let (run, journal) = try demo.adapt { _ in }
    #expect(journal.isFinished && journal.stepCount == 3)
    #expect(journal.result?.hexadecimal == run.run.trainer.session.modelDigest.hexadecimal)
    #expect(try demo.verify(journal) == .reproduced(steps: 3))
    var parts = JournalParts((0..<journal.bytes.count).map { journal.bytes[$0] })
    parts.parts[2].payload[9] ^= 1
    parts.rechain()
    guard case .diverged(let step, let difference) = try demo.verify(LoadedJournal(parts.bytes))
    else {
      Issue.record("a changed journal was reproduced")
      return
    }
    #expect(step == 1 && difference.field == .loss)
  }
}
