/// Why bytes are not a model, and where (Formats/model.md).
public struct ModelError: Error, Equatable, Sendable {
  /// What is wrong. Raw values are stable; they are what a board reports.
  public enum Code: UInt8, Sendable {
    case notAModel = 1
    case unsupportedVersion
    case truncated
    case trailingBytes
    case reservedNotZero
    case badFlags
    case badCount
    case badSection
    case badShape
    case badScale
    case badQuantization
    case badKind
    case badInput
    case badOutputShape
    case badGeometry
    case badOffset
    case accumulatorTooLarge
    case badWeight
    case badBias
    case badName
    case badMap
    case badAddition
    case digestMismatch
  }

  public let code: Code
  /// Byte offset from the start of the file.
  public let offset: Int

  public init(_ code: Code, at offset: Int) {
    self.code = code
    self.offset = offset
  }

  /// One sentence for people.
  public var summary: StaticString {
    switch code {
    case .notAModel: "the file does not start with the .tally magic"
    case .unsupportedVersion: "another format or arithmetic version"
    case .truncated: "the file ends early"
    case .trailingBytes: "bytes follow the end of the model"
    case .reservedNotZero: "a reserved or padding byte is not zero"
    case .badFlags: "flags that do not exist or do not belong here"
    case .badCount: "a count is outside its limits"
    case .badSection: "the section table is not canonical"
    case .badShape: "a shape is empty or too large"
    case .badScale: "a Scale is zero, not normalised or out of range"
    case .badQuantization: "bounds or zero point do not fit the operation"
    case .badKind: "an unknown node kind"
    case .badInput: "a node reads a tensor that does not come before it"
    case .badOutputShape: "the stated output shape is not the operation's"
    case .badGeometry: "a kernel, stride, dilation, padding, group or slice is out of range"
    case .badOffset: "an element offset is not the running sum"
    case .accumulatorTooLarge: "too many weights per output for a 32-bit accumulator"
    case .badWeight: "a weight is -128"
    case .badBias: "a bias is beyond ±25,000,000"
    case .badName: "a name or class name is too long or not UTF-8"
    case .badMap: "an input map is malformed"
    case .badAddition: "an addition's input Scale is too large beside its output's"
    case .digestMismatch: "the bytes do not match the digest"
    }
  }
}
