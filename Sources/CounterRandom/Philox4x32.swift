/// Philox4x32-10: 128 random bits as a pure function of a 128-bit counter and a 64-bit key
/// (SPEC §4; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
///
/// Ten rounds of: (hi0, lo0) = 0xD2511F53·c0, (hi1, lo1) = 0xCD9E8D57·c2,
/// c = (hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0). Before every round but the first, the key
/// advances: k0 += 0x9E3779B9, k1 += 0xBB67AE85 (mod 2^32).
@inlinable
public func philox4x32(
  counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
) -> (UInt32, UInt32, UInt32, UInt32) {
  var (c0, c1, c2, c3) = counter
  var (k0, k1) = key
  var round = 0
  while true {
    let product0 = UInt64(c0) &* 0xD251_1F53
    let product1 = UInt64(c2) &* 0xCD9E_8D57
    c0 = UInt32(truncatingIfNeeded: product1 &>> 32) ^ c1 ^ k0
    c1 = UInt32(truncatingIfNeeded: product1)
    c2 = UInt32(truncatingIfNeeded: product0 &>> 32) ^ c3 ^ k1
    c3 = UInt32(truncatingIfNeeded: product0)
    round &+= 1
    if round == 10 { return (c0, c1, c2, c3) }
    k0 &+= 0x9E37_79B9
    k1 &+= 0xBB67_AE85
  }
}
