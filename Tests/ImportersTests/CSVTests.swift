import Importers
import Testing

@Suite("CSV")
struct CSVTests {
  private func read(_ text: String, label: CSV.LabelColumn = .last) throws -> CSV {
    try CSV(ascii(text)[...], label: label, file: "t.csv")
  }

  private func decimals(_ texts: String...) -> NumericArray.Storage {
    .decimal(texts.map { ExactDecimal(parsing: $0)! })
  }

  @Test("features are exact, words become classes in order of first appearance")
  func classes() throws {
    let csv = try read("5.1,3.50,b\n-4.9,1e-3,a\n0,7,b\n")
    #expect(csv.header == nil)
    #expect(csv.features.shape == [3, 2])
    #expect(csv.features.storage == decimals("5.1", "3.5", "-4.9", "0.001", "0", "7"))
    #expect(csv.labels == .classes([0, 1, 0], names: ["b", "a"]))
  }

  @Test("a header, a byte-order mark, CRLF, blank lines, spaces, and no line end at the end")
  func spellings() throws {
    let plain = try read("h,w,kind\n1,2,0\n3,4,1\n")
    let dressed = try read("\u{feff}h, w ,kind\r\n\r\n 1,\t2 ,0\r\n  \r\n3,4,1")
    for csv in [plain, dressed] {
      #expect(csv.header == ["h", "w", "kind"])
      #expect(csv.features.storage == decimals("1", "2", "3", "4"))
      #expect(csv.labels == .integers([0, 1]))
    }
  }

  @Test("numbers that are not all integers are values; 3.0 is an integer")
  func values() throws {
    #expect(
      try read("1,0.5\n2,3\n").labels
        == .values([ExactDecimal(parsing: "0.5")!, ExactDecimal(3)]))
    #expect(try read("1,3.0\n2,-3\n").labels == .integers([3, -3]))
  }

  @Test("the label column by name, by index, or none")
  func labelColumn() throws {
    let text = "kind,h,w\na,1,2\nb,3,4\n"
    for label in [CSV.LabelColumn.named("kind"), .index(0)] {
      let csv = try read(text, label: label)
      #expect(csv.labels == .classes([0, 1], names: ["a", "b"]))
      #expect(csv.features.storage == decimals("1", "2", "3", "4"))
    }
    let none = try read("1,2\n3,4\n", label: .none)
    #expect(none.labels == nil && none.features.shape == [2, 2])
    #expect(try read("h\n1\n2\n", label: .none).features.shape == [2, 1])
  }

  @Test(
    "a fault has its line and column",
    arguments: [
      ("1,2,0\n1,0\n", "t.csv:2:1"), ("1,2,0\n1,x,0\n", "t.csv:2:3"),
      ("a,b,c\n\n1, x,0\n", "t.csv:3:3"), ("1,2,\"0\"\n", "t.csv:1:5"),
      ("1;2;0\n", "t.csv:1:1"), ("1,2.O,0\n1,2,0\n", "t.csv:1:3"),
      ("0,1,label\n5,6,1\n7,8,0\n", "t.csv:1:5"), ("1,2,0\r3,4,0\r", "t.csv:1:6"),
    ])
  func places(_ text: String, _ place: String) throws {
    let error = try #require(
      fault { () throws(InputError) in _ = try CSV(ascii(text)[...], file: "t.csv") }, "accepted")
    #expect(error.code == 704 && error.place == place, "\(error)")
  }

  @Test("bytes that are not UTF-8")
  func notUTF8() {
    let error = fault { () throws(InputError) in
      _ = try CSV((ascii("1,2,") + [0xe9, 10])[...], file: "t.csv")
    }
    #expect(error?.code == 704 && error?.place == "t.csv:1:5")
  }
}
