/// CRC-32C (Castagnoli), the check of bytes that may be torn, not forged (SPEC §9).
///
/// Reflected polynomial 0x82F63B78, start and final complement; "123456789" gives 0xE3069283.
/// A table of sixteen entries (64 bytes of flash) does four bits at a time.
public struct CRC32C: Equatable, Sendable {
  private var register: UInt32 = 0xFFFF_FFFF

  public init() {}

  public mutating func update(_ bytes: RawSpan) {
    for index in 0..<bytes.byteCount {
      register ^= UInt32(bytes.u8(at: index))
      register = (register &>> 4) ^ nibbleTable[Int(truncatingIfNeeded: register & 15)]
      register = (register &>> 4) ^ nibbleTable[Int(truncatingIfNeeded: register & 15)]
    }
  }

  /// The check value of all bytes so far; more may follow.
  public var value: UInt32 { ~register }
}

/// Entry i is the register after four shifts of i through the polynomial.
private let nibbleTable: InlineArray<16, UInt32> = [
  0x0000_0000, 0x105E_C76F, 0x20BD_8EDE, 0x30E3_49B1, 0x417B_1DBC, 0x5125_DAD3, 0x61C6_9362,
  0x7198_540D, 0x82F6_3B78, 0x92A8_FC17, 0xA24B_B5A6, 0xB215_72C9, 0xC38D_26C4, 0xD3D3_E1AB,
  0xE330_A81A, 0xF36E_6F75,
]
