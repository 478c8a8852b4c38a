import TallyTestSupport
import Testing

@Suite("Golden vectors as a whole") struct CoverageTests {
  @Test("every file in Formats/vectors is read by a test, and every file a test reads is there")
  func everyFile() {
    let present = Set(VectorFolder.files())
    #expect(present.count > 400)
    var read: Set<String> = ["README.md"]
    read.formUnion(Golden.checks.keys)
    read.formUnion(["models", "checkpoints", "traces"].flatMap { VectorFolder.files($0) })
    read.formUnion(RunVectors.names.flatMap(RunVectors.files))
    read.formUnion(VectorFolder.files("journals"))
    read.formUnion(InvalidVectors.files)
    #expect(present.subtracting(read).sorted() == [], "files that no test reads")
    // Few runs have validation data; what a run lacks otherwise, its tests miss.
    let missing = read.subtracting(present).filter { !$0.hasSuffix("-validation.npz") }
    #expect(missing.sorted() == [], "files that tests read and that are not there")
  }
}
