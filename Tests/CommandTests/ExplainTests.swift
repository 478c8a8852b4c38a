import Foundation
import Importers
import TallyTestSupport
import Testing

@testable import TallyCommand

@Suite("tally explain and help") struct ExplainTests {
  @Test("every code has one entry, in order, in words")
  func entries() {
    let codes = ErrorEntry.all.map(\.code)
    #expect(codes == codes.sorted() && Set(codes).count == codes.count)
    for entry in ErrorEntry.all {
      #expect(entry.title.first?.isLowercase ?? false, "\(entry.name)")
      #expect(entry.meaning.hasSuffix("."), "\(entry.name)")
      #expect(entry.remedy.hasSuffix("."), "\(entry.name)")
    }
  }

  /// The sources are read for the numbers they throw, so that a new code without words fails here.
  @Test("every code that the sources throw is explained")
  func complete() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let tools = root.appending(path: "Tools")
    let files = try #require(
      FileManager.default.enumerator(at: tools, includingPropertiesForKeys: nil))
    let pattern = /(?:InputError|InputWarning)\(\s*(?:code:\s*)?(\d{2,4})\b/
    var thrown: Set<Int> = []
    for case let file as URL in files where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: pattern) { thrown.insert(Int(match.1) ?? 0) }
    }
    #expect(thrown.count > 40)
    for code in thrown.sorted() { #expect(ErrorEntry.find(code) != nil, "\(code)") }
  }

  /// The libraries have no voice: what they find, they throw or return.
  @Test("nothing in the libraries prints")
  func silent() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let pattern =
      /\b(?:print|debugPrint|dump|fputs|puts|printf|NSLog)\(|FileHandle\.standard|STD(?:OUT|ERR)_FILENO/
    var count = 0
    for folder in ["Sources", "Tools/Host", "Tools/Importers"] {
      let files = try #require(
        FileManager.default.enumerator(
          at: root.appending(path: folder), includingPropertiesForKeys: nil))
      for case let file as URL in files where ["swift", "c", "h"].contains(file.pathExtension) {
        let text = try String(contentsOf: file, encoding: .utf8)
        count += 1
        #expect(text.firstMatch(of: pattern) == nil, "\(file.lastPathComponent)")
      }
    }
    #expect(count > 200)
    #expect("  print(1)".firstMatch(of: pattern) != nil)
  }

  @Test("codes are found however they are written; others are refused with the nearest")
  func lookup() throws {
    let box = try Sandbox()
    for text in ["TLY0307", "tly0307", "307", "0307"] {
      let outcome = box.run("explain", text)
      #expect(outcome.status == 0 && outcome.output.hasPrefix("TLY0307: "), "\(text)")
      #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }
    #expect(box.run("explain", "307", "--json").json["code"] as? String == "TLY0307")
    let unknown = box.run("explain", "TLY0397")
    #expect(unknown.status == 2 && unknown.error.contains("TLY0801"))
    let list = box.run("explain").output.split(separator: "\n")
    #expect(list.count == ErrorEntry.all.count)
  }

  @Test("topics and verbs have help; near names are offered")
  func topics() throws {
    let box = try Sandbox()
    for topic in HelpTopic.all {
      let outcome = box.run("help", topic.name)
      #expect(outcome.status == 0 && outcome.output == topic.text + "\n")
      #expect(topic.text.split(separator: "\n").allSatisfy { $0.count <= 96 }, "\(topic.name)")
      #expect(box.run("help").output.contains(topic.name))
    }
    #expect(box.run("help", "recipe").error.contains("recipes"))
  }

  @Test("completions name every verb and option")
  func completions() throws {
    let box = try Sandbox()
    for shell in ["bash", "zsh", "fish"] {
      let script = box.run("completions", shell).output
      for verb in Command.verbs {
        #expect(script.contains(verb.name))
        for option in verb.allOptions {
          #expect(script.contains(option.name.dropFirst(2)), "\(shell) \(verb.name) \(option.name)")
        }
      }
    }
    #expect(box.run("completions", "csh").status == 2)
  }

  @Test(
    "the bash script is good bash",
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/bash")))
  func bash() throws {
    let box = try Sandbox()
    let script =
      box.run("completions", "bash").output
      + "COMP_WORDS=(tally tr); COMP_CWORD=1; _tally; echo ${COMPREPLY[*]}\n"
      + "COMP_WORDS=(tally verify --mo); COMP_CWORD=2; _tally; echo ${COMPREPLY[*]}\n"
    try box.write(Array(script.utf8), "complete.sh")
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = [box.path("complete.sh")]
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(output == "train\n--model\n")
  }
}
