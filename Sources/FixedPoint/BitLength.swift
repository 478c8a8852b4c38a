/// Number of bits up to and including the highest set bit; 0 for 0 (SPEC §3).
@inlinable
public func bitLength(_ v: UInt32) -> Int32 {
  32 &- Int32(truncatingIfNeeded: v.leadingZeroBitCount)
}

/// Number of bits up to and including the highest set bit; 0 for 0 (SPEC §3).
@inlinable
public func bitLength(_ v: UInt64) -> Int32 {
  64 &- Int32(truncatingIfNeeded: v.leadingZeroBitCount)
}
