import Foundation
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally verify") struct VerifyTests {
  /// A trained sandbox.
  func trained(_ more: [String] = []) throws -> Sandbox {
    let box = try Sandbox()
    let outcome = box.train("out.tally", "run.tlj", more)
    try #require(outcome.status == 0, "\(outcome.error)")
    return box
  }

  @Test("a good journal is reproduced")
  func good() throws {
    let box = try trained()
    let outcome = box.verify()
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.json["verdict"] as? String == "reproduced")
    #expect(outcome.json["step"] as? Int == 10)
    let text = box.run("verify", "run.tlj", "--model", "m.tally", "--data", "d.npz")
    #expect(text.output.hasPrefix("reproduced: 10 steps, every record the same\nmodel    "))
  }

  @Test("a changed byte of a record breaks the chain at its step")
  func recordedBytes() throws {
    let box = try trained()
    let journal = JournalParts(try box.bytes("run.tlj"))
    // One byte of every kind of field, and of the tag.
    let places: [UInt8: [Int]] = [
      1: [0, 40, 70, 96, 104, 112, 150, 239], 2: [0, 4, 8, 16, 20, 24, 32],
      3: [0, 4, 8, 9, 12, 16],
      4: [0, 4, 35], 5: [0, 4, 8, 16], 6: [8, 39],
    ]
    var kinds: Set<UInt8> = []
    for (index, part) in journal.parts.enumerated() {
      kinds.insert(part.type)
      // The step a record belongs to is the last one begun.
      let steps = journal.steps(before: index)
      let step = part.type == 2 ? steps : max(steps - 1, 0)
      for place in places[part.type] ?? [] {
        var bytes = journal.bytes
        bytes[part.offset + 4 + place] ^= 0x10
        try expectDivergence(box, bytes, "record \(index) type \(part.type) byte \(place)", step)
      }
      var bytes = journal.bytes
      bytes[part.offset + part.byteCount - 1] ^= 1
      try expectDivergence(box, bytes, "record \(index) tag", step)
    }
    #expect(kinds == [1, 2, 3, 4, 5, 6], "the run makes every kind of record")
  }

  private func expectDivergence(
    _ box: Sandbox, _ bytes: [UInt8], _ what: String, _ step: Int
  ) throws {
    try box.write(bytes, "bad.tlj")
    let outcome = box.verify("bad.tlj")
    #expect(outcome.status == 1, "\(what): \(outcome)")
    #expect(outcome.json["verdict"] as? String == "diverged", "\(what)")
    // A changed step number cannot say which step it was.
    let found = outcome.json["step"] as? Int
    #expect(
      found == step || (found == step - 1 && what.hasSuffix("type 2 byte 0")),
      "\(what): \(found ?? -1)")
  }

  @Test("a changed field with the chain made anew is named")
  func rechained() throws {
    let box = try trained(["--validate", "v.npz"])
    let whole = JournalParts(try box.bytes("run.tlj"))
    let fields: [(type: UInt8, byte: Int, words: String)] = [
      (2, 8, "the loss"), (2, 16, "right answers"), (2, 20, "saturated"), (2, 24, "clipped"),
      (2, 33, "samples of the batch"), (3, 9, "a change of a Scale"), (4, 10, "state root"),
      (5, 8, "sums of the epoch"), (5, 24, "sums of the epoch"), (6, 8, "the trained model"),
      (1, 64, "validation data"), (1, 96, "number of samples"), (1, 104, "planned steps"),
    ]
    for (type, byte, words) in fields {
      for index in whole.parts.indices where whole.parts[index].type == type {
        var journal = whole
        journal.parts[index].payload[byte] ^= 1
        journal.rechain()
        try box.write(journal.bytes, "bad.tlj")
        let outcome = box.verify("bad.tlj", ["--validate", "v.npz"])
        #expect(outcome.status == 1, "type \(type) byte \(byte): \(outcome)")
        let reason = outcome.json["reason"] as? String ?? ""
        #expect(reason.contains(words), "type \(type) byte \(byte): \(reason)")
        let steps = whole.steps(before: index)
        #expect(outcome.json["step"] as? Int == (type == 2 ? steps : max(0, steps - 1)))
      }
    }
  }

  @Test("validation figures are compared only with the data they were made on")
  func validation() throws {
    let box = try trained(["--validate", "v.npz"])
    #expect(box.verify("run.tlj", ["--validate", "v.npz"]).status == 0)
    let without = box.verify()
    #expect(without.status == 0)
    #expect((without.json["reason"] as? String ?? "").contains("not recomputed"))
    #expect(box.verify("run.tlj", ["--validate", "d.npz"]).status == 1)
  }

  @Test("a changed model is another model, or none at all")
  func model() throws {
    let box = try trained()
    var bytes = try box.bytes("m.tally")
    let weights = LoadedModelBytes.weights(bytes)
    bytes[weights] ^= 1
    try box.write(bytes, "m.tally")
    let damaged = box.verify()
    #expect(damaged.status == 1 && damaged.json["step"] as? Int == 0)
    #expect((damaged.json["reason"] as? String ?? "").contains("damaged"))
    try box.write(LoadedModelBytes.sealed(bytes), "m.tally")
    let other = box.verify()
    #expect(other.status == 1 && other.json["step"] as? Int == 0)
    #expect((other.json["reason"] as? String ?? "").contains("not the one"))
  }

  @Test("a changed image shows at the first step that uses it")
  func data() throws {
    let box = try trained()
    let order = SampleOrder(key: RandomKey(seed: 7), count: 18, epoch: 0)
    for sample in 0..<18 {
      try box.write(Sandbox.data(count: 18, changing: (sample, sample % 12)), "bad.npz")
      let outcome = box.verify(data: "bad.npz")
      let position = (0..<UInt32(18)).first { order[$0] == UInt32(sample) }
      #expect(outcome.status == 1)
      #expect(outcome.json["step"] as? Int == position.map { Int($0 / 4) })
      #expect((outcome.json["reason"] as? String ?? "").hasSuffix("the data is not the run's"))
    }
    #expect(box.verify(data: "v.npz").status == 1, "fewer samples")
  }

  @Test("a changed image that no step used is found all the same")
  func unusedData() throws {
    let box = try trained(["--set", "steps=2"])
    let order = SampleOrder(key: RandomKey(seed: 7), count: 18, epoch: 0)
    let unused = Int(order[17])
    try box.write(Sandbox.data(count: 18, changing: (unused, 3)), "bad.npz")
    let outcome = box.verify(data: "bad.npz")
    #expect(outcome.status == 1 && outcome.json["code"] as? String == "TLY0903", "\(outcome)")
  }

  @Test("without data the chain alone is checked")
  func withoutData() throws {
    let box = try trained()
    let whole = box.run("verify", "run.tlj", "--model", "m.tally", "--json")
    #expect(whole.status == 4 && whole.json["code"] as? String == "TLY0906")
    #expect((whole.json["reason"] as? String ?? "").contains("chain of 10 steps is whole"))
    var bytes = try box.bytes("run.tlj")
    bytes[bytes.count / 2] ^= 4
    try box.write(bytes, "run.tlj")
    #expect(box.run("verify", "run.tlj", "--model", "m.tally", "--json").status == 1)
  }

  @Test(
    "a journal cut at any record boundary, one before or one after, cannot be checked to its end")
  func truncated() throws {
    let box = try trained()
    let whole = try box.bytes("run.tlj")
    let journal = JournalParts(whole)
    let ends = [16] + journal.parts.map { $0.offset + $0.byteCount }
    for end in ends {
      for cut in [end - 1, end, end + 1] where cut < whole.count {
        try box.write(Array(whole.prefix(cut)), "bad.tlj")
        let outcome = box.verify("bad.tlj")
        #expect(outcome.status == 4, "cut at \(cut): \(outcome)")
        let steps = journal.parts.filter { $0.type == 2 && $0.offset + $0.byteCount <= cut }.count
        #expect(outcome.json["step"] as? Int == steps, "cut at \(cut): \(outcome)")
      }
    }
    for cut in 1..<16 {
      try box.write(Array(whole.prefix(cut)), "bad.tlj")
      #expect(box.verify("bad.tlj").status == 4, "cut at \(cut)")
    }
    try box.write([], "bad.tlj")
    #expect(box.verify("bad.tlj").status == 3)
  }

  @Test("records moved, repeated, left out or added are found")
  func sequence() throws {
    let box = try trained()
    let whole = JournalParts(try box.bytes("run.tlj"))
    let steps = whole.parts.indices.filter { whole.parts[$0].type == 2 }
    var edits: [(String, JournalParts)] = []
    func edit(_ name: String, _ change: (inout JournalParts) -> Void) {
      var journal = whole
      change(&journal)
      edits.append((name, journal))
      journal.rechain()
      edits.append(("\(name), rechained", journal))
    }
    edit("two steps swapped") { $0.parts.swapAt(steps[2], steps[3]) }
    edit("a step twice") { $0.parts.insert($0.parts[steps[2]], at: steps[2]) }
    edit("a step left out") { $0.parts.remove(at: steps[4]) }
    edit("a root left out") { $0.parts.remove(at: $0.parts.firstIndex { $0.type == 4 }!) }
    edit("the end early") { $0.parts.insert($0.parts.last!, at: steps[5]) }
    edit("bytes behind the end") { $0.parts.append($0.parts[steps[0]]) }
    for (name, journal) in edits {
      try box.write(journal.bytes, "bad.tlj")
      let outcome = box.verify("bad.tlj")
      #expect(outcome.status == 1, "\(name): \(outcome)")
    }
  }

  @Test("notes are not verified")
  func notes() throws {
    let box = try trained()
    var journal = JournalParts(try box.bytes("run.tlj"))
    journal.parts.insert(
      .init(type: 0x81, payload: Array("made on a Monday".utf8), tag: [], offset: 0, byteCount: 0),
      at: 3)
    try box.write(journal.bytes, "noted.tlj")
    #expect(box.verify("noted.tlj").status == 0)
    #expect(box.run("inspect", "noted.tlj").output.contains("made on a Monday"))
  }

  @Test("no byte of a journal can change unseen")
  func everyByte() throws {
    let box = try trained(["--set", "steps=2"])
    let whole = try box.bytes("run.tlj")
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= 0x21
      try box.write(bytes, "bad.tlj")
      let outcome = box.verify("bad.tlj")
      // The header says what the file is; all else belongs to the run.
      let status = index < 8 || 12..<16 ~= index ? 3 : 8..<12 ~= index ? 4 : 1
      #expect(outcome.status == Int32(status), "byte \(index): \(outcome)")
    }
  }

  @Test("a length that passes the end of the file is damage, not a torn end")
  func damagedLengths() throws {
    let box = try trained()
    var journal = JournalParts(try box.bytes("run.tlj"))
    let note = JournalParts.Part(
      type: 0x81, payload: Array("made on a Monday".utf8), tag: [], offset: 0, byteCount: 0)
    // One alone, and one before another.
    for place in [4, 7, 7] { journal.parts.insert(note, at: place) }
    let whole = JournalParts(journal.bytes)
    for part in whole.parts {
      for (place, mask) in [(3, 0x80), (3, 0x01), (2, 0x80), (1, 0x80), (1, 0x01)] {
        var bytes = whole.bytes
        bytes[part.offset + place] ^= UInt8(mask)
        try box.write(bytes, "bad.tlj")
        let outcome = box.verify("bad.tlj")
        #expect(outcome.status == 1, "type \(part.type) byte \(place) mask \(mask): \(outcome)")
      }
      // Cut behind the damaged record as well: what its type says gives it away.
      guard part.type != 0x81 else { continue }
      var bytes = Array(whole.bytes.prefix(part.offset + part.byteCount))
      bytes[part.offset + 3] ^= 0x40
      try box.write(bytes, "bad.tlj")
      #expect(box.verify("bad.tlj").status == 1, "type \(part.type) at the end")
    }
  }

  @Test("what is left of a torn record must be the beginning of the record that the run makes")
  func damagedTears() throws {
    let box = try trained(["--set", "steps=2"])
    let whole = JournalParts(try box.bytes("run.tlj"))
    for part in whole.parts.dropFirst() {
      for cut in [1, 3, 4, 5, 13, part.byteCount - 8, part.byteCount - 1] where cut < part.byteCount
      {
        let torn = Array(whole.bytes.prefix(part.offset + cut))
        try box.write(torn, "torn.tlj")
        let outcome = box.verify("torn.tlj")
        #expect(outcome.status == 4, "type \(part.type) cut after \(cut): \(outcome)")
        for place in 0..<cut {
          var bytes = torn
          bytes[part.offset + place] ^= 0x04
          try box.write(bytes, "bad.tlj")
          let found = box.verify("bad.tlj")
          #expect(
            found.status == 1, "type \(part.type) cut after \(cut), byte \(place): \(found)")
          #expect(found.json["reason"] is String)
        }
      }
    }
  }

  @Test("what is no journal, no model or no data is said to be so")
  func otherFiles() throws {
    let box = try trained()
    let model = box.verify("m.tally")
    #expect(model.status == 3 && model.error.contains("not a .tlj journal"), "\(model)")
    let journal = box.run("verify", "run.tlj", "--model", "run.tlj", "--data", "d.npz")
    #expect(journal.status == 3 && journal.error.contains("not a .tally model"), "\(journal)")
    #expect(box.verify(data: "none.npz").status == 5)
    #expect(box.run("verify", "run.tlj", "--data", "d.npz").status == 2, "the model is not given")
  }
}

/// A model file by the offsets of Formats/model.md.
enum LoadedModelBytes {
  private static func u32(_ bytes: [UInt8], _ offset: Int) -> Int {
    (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
  }

  /// Where the weights begin: the section of kind 2.
  static func weights(_ bytes: [UInt8]) -> Int {
    let entries = (0..<u32(bytes, 12)).map { 64 + 16 * $0 }
    return u32(bytes, entries.first { u32(bytes, $0) == 2 }! + 8)
  }

  /// The bytes with the digest made anew.
  static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(Array(bytes.dropLast(32)).span.bytes)
    let digest = hash.finalize()
    return bytes.dropLast(32) + (0..<32).map { digest[$0] }
  }
}
