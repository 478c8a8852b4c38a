import Foundation
import Testing

@testable import TallyCommand

@Suite("tally plan --select zeroth-order") struct ZerothOrderSearchTests {
  func select(_ box: Sandbox, _ more: String...) -> Sandbox.Outcome {
    box.run(
      [
        "plan", "m.tally", "--select", "zeroth-order", "--data", "d.npz", "--validate", "v.npz",
        "--set", "batch=4", "--set", "learningRate=1", "--json",
      ] + more)
  }

  @Test("tries every kind of coordinates, keeps the least loss, and writes a recipe that trains")
  func chooses() throws {
    let box = try Sandbox()
    let outcome = select(box, "--budget", "64KiB", "--passes", "4000", "-o", "z.json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let trials = try #require(outcome.json["trials"] as? [[String: Any]])
    let words = trials.compactMap { $0["groups"] as? String }
    // fc1 has one Scale for all channels, its output is the head's input, and it is one layer alone.
    #expect(
      Set(words).isSuperset(of: ["fc1 weights", "fc1 nodes", "fc1 gain", "no group"]), "\(words)")
    let rounds = trials.compactMap { $0["round"] as? Int }
    let last = try #require(rounds.max())
    #expect(rounds == rounds.sorted(by: >))
    // Within the last round the losses ascend.
    let losses = trials.filter { $0["round"] as? Int == last }
      .compactMap { Double($0["loss"] as? String ?? "") }
    #expect(losses == losses.sorted() && losses.count >= 2)
    let again = select(box, "--budget", "64KiB", "--passes", "4000", "-o", "y.json")
    #expect(again.output == outcome.output)
    let trained = box.run(
      "train", "m.tally", "--data", "d.npz", "--recipe", "z.json", "-o", "out.tally", "--journal",
      "run.tlj")
    #expect(trained.status == 0, "\(trained.error)")
  }

  @Test("what does not fit the bytes is not tried; too few passes and too few bytes are refused")
  func limits() throws {
    let box = try Sandbox()
    let all = select(box, "--budget", "64KiB", "--passes", "4000")
    let trials = try #require(all.json["trials"] as? [[String: Any]])
    let sizes = trials.compactMap { $0["bytes"] as? Int }
    let largest = try #require(sizes.max())
    #expect(try #require(sizes.min()) < largest)
    let fewer = select(box, "--budget", "\(largest - 1)", "--passes", "4000")
    #expect(fewer.status == 0, "\(fewer.error)")
    let rest = try #require(fewer.json["trials"] as? [[String: Any]])
    #expect(rest.allSatisfy { ($0["bytes"] as? Int ?? .max) < largest })
    #expect(rest.count < trials.count)
    #expect(select(box, "--budget", "100", "--passes", "4000").status == 6)
    #expect(select(box, "--budget", "64KiB", "--passes", "10").status == 2)
    #expect(
      box.run("plan", "m.tally", "--select", "zeroth-order", "--budget", "64KiB").status == 2)
  }
}
