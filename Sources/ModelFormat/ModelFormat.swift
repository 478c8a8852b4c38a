/// Numbers of the `.tally` layout (Formats/model.md).
public enum ModelFormat {
  /// "TALLY", CR, LF, SUB, read as a little-endian integer.
  public static var magic: UInt64 { 0x1A0A_0D59_4C4C_4154 }
  public static var formatVersion: UInt16 { 1 }
  /// SPEC 1.5.
  public static var arithmeticVersion: UInt16 { 1 }
  public static var headerByteCount: Int { 64 }
  public static var sectionEntryByteCount: Int { 16 }
  public static var alignment: Int { 64 }
  public static var digestByteCount: Int { 32 }
  public static var largestNodeCount: Int { 4096 }
  public static var largestNameByteCount: Int { 1024 }
  public static var largestDepth: Int { 65_536 }
  public static var largestPoolingArea: Int { 1 << 20 }
  /// Where windows divide by different counts (SPEC 5.6).
  public static var largestUnevenPoolingArea: Int { 512 }
  /// Positions a per-channel factor may be repeated over (SPEC 5.6).
  public static var largestRepeatedPositions: Int { 66_311 }
  public static var largestWindowExtent: Int { 4095 }

  public enum Section: UInt32, Sendable {
    case nodes = 1
    case weights, biases, weightScales, tables, inputMaps, names, classNames
  }

  /// The next multiple of the section alignment.
  public static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }
}
