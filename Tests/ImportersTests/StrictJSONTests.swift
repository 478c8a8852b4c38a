import Foundation
import Importers
import Testing

@Suite("Strict JSON")
struct StrictJSONTests {
  private func parse(_ text: String, options: JSONDocument.Options = []) throws -> JSONValue {
    try JSONDocument(ascii(text)[...], file: "f", options: options).root
  }

  @Test("numbers stay the text that was written")
  func numbers() throws {
    let texts = [
      "0", "-0", "1", "-12", "0.1", "1e3", "1E+3", "-0.5e-10", "123456789012345678901234",
    ]
    guard case .array(let values) = try parse("[\(texts.joined(separator: ","))]").content else {
      Issue.record("not an array")
      return
    }
    let found = values.map { value -> String in
      if case .number(let text) = value.content { text } else { "" }
    }
    #expect(found == texts)
  }

  @Test("strings and their escapes")
  func strings() throws {
    let text = #""a\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\uD83D\ude00é€😀\u0000""#
    guard case .string(let value) = try parse(text).content else {
      Issue.record("not a string")
      return
    }
    #expect(value == "a\"\\/\u{8}\u{c}\n\r\tAé€😀é€😀\0")
  }

  @Test(
    "every fault has its line and column",
    arguments: [
      ("{\n  \"a\": 1,\n  \"b\" 2}", "f:3:7", "colon"),
      ("[1,]", "f:1:3", "comma before the closing"),
      ("[1 2]", "f:1:4", "comma or a closing"),
      ("[1", "f:1:3", "ends inside"),
      ("", "f:1:1", "ends where"),
      ("[\"é\", x]", "f:1:7", "value is due"),  // columns count characters, not bytes
      ("[\"a\nb\"]", "f:1:4", "control character"),
      ("[\"a", "f:1:4", "ends inside a string"),
      ("[\"\\q\"]", "f:1:3", "unknown escape"),
      ("[\"\\u12g4\"]", "f:1:3", "hexadecimal"),
      ("[\"\\u+123\"]", "f:1:3", "hexadecimal"),
      ("[\"\\udc00\"]", "f:1:3", "surrogate"),
      ("[\"\\ud800\\u0041\"]", "f:1:3", "surrogate"),
      ("[1.]", "f:1:4", "after the point"), ("[.5]", "f:1:2", "value is due"),
      ("[1e]", "f:1:4", "exponent"), ("[-]", "f:1:3", "digit is due"),
      ("[+1]", "f:1:2", "value is due"), ("[00]", "f:1:4", "leading zero"),
      ("[NaN]", "f:1:2", "value is due"), ("[tru]", "f:1:2", "value is due"),
      ("[nullx]", "f:1:6", "comma or a closing"), ("{a:1}", "f:1:2", "double quotes"),
      ("// c\n1", "f:1:1", "value is due"), ("1 2", "f:1:3", "after the end"),
      ("\u{feff}1", "f:1:1", "value is due"),
    ])
  func faults(_ text: String, _ place: String, _ words: String) throws {
    let error = try #require(
      fault { () throws(InputError) in
        _ = try JSONDocument(ascii(text)[...], file: "f")
      }, "accepted")
    #expect(error.code == 202 && error.place == place, "\(error)")
    #expect(error.message.contains(words), "\(error)")
  }

  @Test("comments and trailing commas only where the user writes")
  func options() throws {
    let text = "// a\n{ /* b\n */ \"a\": [1, 2,], \"b\": {\"c\": \"//\",}, } // end"
    _ = try parse(text, options: .userWritten)
    #expect(throws: InputError.self) { try parse(text) }
    #expect(throws: InputError.self) { try parse(text, options: .comments) }
    #expect(throws: InputError.self) { try parse("[,]", options: .userWritten) }
    #expect(throws: InputError.self) { try parse("[1,,]", options: .userWritten) }
    #expect(throws: InputError.self) { try parse("[1 / 2]", options: .userWritten) }
  }

  @Test("keys are compared after their escapes, and as characters")
  func duplicates() throws {
    for text in [#"{"a":1,"a":1}"#, #"{"a":1,"\u0061":2}"#, #"{"é":1,"e\u0301":2}"#] {
      let error = try #require(
        fault { () throws(InputError) in
          _ = try JSONDocument(ascii(text)[...], file: "f")
        }, "accepted \(text)")
      #expect(error.code == 203 && error.place == "f:1:8")
    }
    _ = try parse(#"{"a":{"a":1},"b":{"a":1}}"#)
  }

  @Test("64 levels are read, 65 are not")
  func depth() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try parse(nested(64))
    #expect(throws: InputError.self) { try parse(nested(65)) }
  }

  /// The second definition: whatever Foundation writes must be read back as the same value.
  @Test("reads what JSONSerialization writes")
  func foundation() throws {
    let object: [String: Any] = [
      "text": "a\"b\\c/é😀\u{1}", "list": [1, -2, true, false, NSNull()],
      "nested": ["x": ["y": ["z"]]],
    ]
    for options in [[.sortedKeys], [.sortedKeys, .prettyPrinted]]
      as [JSONSerialization.WritingOptions]
    {
      let data = try JSONSerialization.data(withJSONObject: object, options: options)
      let root = try JSONDocument(Array(data)[...], file: "f").root
      #expect(
        render(root) == #"{list:[1,-2,true,false,null],nested:{x:{y:["z"]}},text:"a"b\c/é😀"#
          + "\u{1}\"}")
    }
  }

  private func render(_ value: JSONValue) -> String {
    switch value.content {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .number(let text): text
    case .string(let text): "\"\(text)\""
    case .array(let values): "[\(values.map(render).joined(separator: ","))]"
    case .object(let members):
      "{\(members.map { "\($0.key):\(render($0.value))" }.joined(separator: ","))}"
    }
  }
}

@Suite("User-written JSON")
struct JSONElementTests {
  private func object(_ text: String) throws -> JSONObject {
    try JSONElement.userWritten(ascii(text)[...], file: "r.json").object()
  }

  @Test("a recipe is read exactly")
  func recipe() throws {
    var recipe = try object(
      """
      { // five passes
        "epochs": 5, "learningRate": "0.05", "momentum": "9/10", "decay": 0, "resume": true,
        "name": "try", "update": [{"layer": "fc", "share": "1e-3"}],
      }
      """)
    #expect(try recipe.require("epochs").integer(in: 0...100) == 5)
    #expect(try recipe.require("learningRate").ratio() == ExactRatio(1, 20))
    #expect(try recipe.require("momentum").ratio() == ExactRatio(9, 10))
    #expect(try recipe.require("decay").ratio() == ExactRatio(0))
    #expect(try recipe.require("resume").bool())
    #expect(try recipe.require("name").string() == "try")
    #expect(recipe.take("absent") == nil)
    let update = try recipe.require("update").array()
    var first = try update[0].object()
    #expect(try first.require("share").ratio() == ExactRatio(1, 1000))
    let error = try #require(fault { () throws(InputError) in try first.finish() })
    #expect(error.code == 801 && error.place == "r.json:3:30, $.update[0]", "\(error)")
    try recipe.finish()
  }

  @Test(
    "what is wrong is said with its code and its place",
    arguments: [
      (#"{"epochs": 5.0}"#, 802, "r.json:1:12, $.epochs", "write 5"),
      (#"{"epochs": 1e3}"#, 802, "r.json:1:12, $.epochs", "write 1000"),
      (#"{"epochs": 101}"#, 802, "r.json:1:12, $.epochs", "0 to 100"),
      (#"{"epochs": 99999999999999999999}"#, 802, "r.json:1:12, $.epochs", "out of range"),
      (#"{"epochs": "5"}"#, 802, "r.json:1:12, $.epochs", "an integer is due here, not a string"),
      (#"{"epochs": null}"#, 802, "r.json:1:12, $.epochs", "not null"),
      (#"{}"#, 805, "r.json:1:1, $", "‘epochs’ is missing"),
      (#"{"epochs": 5, "rate": 0.1}"#, 809, "r.json:1:23, $.rate", #"write "0.1" or "1/10""#),
      (#"{"epochs": 5, "rate": 1e-3}"#, 809, "r.json:1:23, $.rate", #"write "1e-3" or "1/1000""#),
      (#"{"epochs": 5, "rate": "0,1"}"#, 802, "r.json:1:23, $.rate", "0.1"),
      (#"{"epochs": 5, "rate": 99999999999999999999}"#, 802, "r.json:1:23, $.rate", "64 bits"),
      (#"{"epochs": 5, "rtae": "0.1"}"#, 801, "r.json:1:15, $", "did you mean ‘rate’?"),
      (#"{"epochs": 5, "zzzzzz": 1}"#, 801, "r.json:1:15, $", "known here: ‘epochs’, ‘rate’"),
      (#"[]"#, 802, "r.json:1:1, $", "an object is due here, not an array"),
    ])
  func faults(_ text: String, _ code: Int, _ place: String, _ words: String) throws {
    let error = try #require(
      fault { () throws(InputError) in
        var recipe = try JSONElement.userWritten(ascii(text)[...], file: "r.json").object()
        _ = try recipe.require("epochs").integer(in: 0...100)
        _ = try recipe.take("rate")?.ratio()
        try recipe.finish()
      }, "accepted")
    #expect(error.code == code && error.exit == 2 && error.place == place, "\(error)")
    #expect(error.description.contains(words), "\(error)")
  }
}
