#if !hasFeature(Embedded)
  import MicroKernels
#endif

/// SHA-256 of bytes that come in pieces (FIPS 180-4; SPEC §9).
///
///     var hash = SHA256()
///     hash.update(bytes)
///     hash.update(littleEndian: step)
///     let digest = hash.finalize()
///
/// A value: copying it gives a second hash that continues on its own.
public struct SHA256: Sendable {
  private var state: InlineArray<8, UInt32>
  /// The block in progress as big-endian words, and how many of its 64 bytes are filled.
  private var block: InlineArray<16, UInt32>
  private var filled: Int
  /// Bytes so far, modulo 2^61.
  private var byteCount: UInt64

  public init() {
    state = initialState
    block = InlineArray(repeating: 0)
    filled = 0
    byteCount = 0
  }

  /// Appends bytes.
  public mutating func update(_ bytes: RawSpan) {
    byteCount &+= UInt64(truncatingIfNeeded: bytes.byteCount)
    var index = 0
    let count = bytes.byteCount
    while index < count, filled & 3 != 0 {
      push(bytes.u8(at: index))
      index &+= 1
    }
    // On a word boundary of the block (or out of bytes): whole words at once.
    while index <= count &- 4 {
      #if !hasFeature(Embedded)
        if filled == 0, count &- index >= 64 {
          index &+= compressBlocks(of: bytes, from: index)
          continue
        }
      #endif
      pushWord(bytes.u32(at: index).byteSwapped)
      index &+= 4
    }
    while index < count {
      push(bytes.u8(at: index))
      index &+= 1
    }
  }

  public mutating func update(littleEndian value: UInt8) {
    byteCount &+= 1
    push(value)
  }

  /// Appends four bytes, lowest first.
  public mutating func update(littleEndian value: UInt32) {
    byteCount &+= 4
    pushLow4(value)
  }

  /// Appends eight bytes, lowest first.
  public mutating func update(littleEndian value: UInt64) {
    byteCount &+= 8
    pushLow4(UInt32(truncatingIfNeeded: value))
    pushLow4(UInt32(truncatingIfNeeded: value &>> 32))
  }

  /// The digest of everything so far; the hash itself does not change and can go on.
  public func finalize() -> Digest {
    var last = self
    last.push(0x80)
    while last.filled != 56 { last.push(0) }
    let bitCount = byteCount &<< 3
    last.block[14] = UInt32(truncatingIfNeeded: bitCount &>> 32)
    last.block[15] = UInt32(truncatingIfNeeded: bitCount)
    SHA256.compress(&last.block, into: &last.state)
    return Digest(words: last.state)
  }

  private mutating func pushLow4(_ value: UInt32) {
    if filled & 3 == 0 {
      pushWord(value.byteSwapped)
      return
    }
    for index: UInt32 in 0..<4 {
      push(UInt8(truncatingIfNeeded: value &>> (8 &* index)))
    }
  }

  /// - Parameter word: four bytes, highest first; `filled` is a multiple of 4.
  private mutating func pushWord(_ word: UInt32) {
    block[filled &>> 2] = word
    filled &+= 4
    compressIfFull()
  }

  private mutating func push(_ byte: UInt8) {
    let word = filled &>> 2
    block[word] = block[word] &<< 8 | UInt32(byte)
    filled &+= 1
    compressIfFull()
  }

  private mutating func compressIfFull() {
    if filled == 64 {
      SHA256.compress(&block, into: &state)
      filled = 0
    }
  }
}

#if hasFeature(Embedded)
  extension SHA256 {
    fileprivate static func compress(
      _ block: inout InlineArray<16, UInt32>, into state: inout InlineArray<8, UInt32>
    ) {
      compressPlainly(&block, into: &state)
    }
  }
#else
  // Hosts have a microkernel, which uses the CPU's own instructions for SHA-256 where it has them.
  extension SHA256 {
    /// Takes whole blocks where they lie.
    /// - Returns: how many bytes.
    private mutating func compressBlocks(of bytes: RawSpan, from index: Int) -> Int {
      let count = (bytes.byteCount &- index) / 64
      var words = state.mutableSpan
      unsafe words.withUnsafeMutableBufferPointer { words in
        unsafe bytes.withUnsafeBytes { buffer in
          guard let start = buffer.baseAddress else { return }
          // `count` blocks lie behind `index`.
          unsafe tally_sha256_blocks(
            words.baseAddress, (start + index).assumingMemoryBound(to: UInt8.self), count)
        }
      }
      return count &* 64
    }

    fileprivate static func compress(
      _ block: inout InlineArray<16, UInt32>, into state: inout InlineArray<8, UInt32>
    ) {
      for index in 0..<16 { block[index] = block[index].byteSwapped }
      let bytes = block.span
      var words = state.mutableSpan
      unsafe words.withUnsafeMutableBufferPointer { words in
        unsafe bytes.withUnsafeBytes { buffer in
          // The block's 64 bytes.
          unsafe tally_sha256_blocks(
            words.baseAddress, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), 1)
        }
      }
    }
  }
#endif

/// One block into the state: what the microkernel computes, and what boards run.
///
/// - Parameter schedule: the block; afterwards the last sixteen words of the message schedule. Only
///   sixteen words are kept, because word t needs no word older than t − 16.
func compressPlainly(
  _ schedule: inout InlineArray<16, UInt32>, into state: inout InlineArray<8, UInt32>
) {
  var a = state[0]
  var b = state[1]
  var c = state[2]
  var d = state[3]
  var e = state[4]
  var f = state[5]
  var g = state[6]
  var h = state[7]
  for t in 0..<64 {
    if t >= 16 {
      let w15 = schedule[(t &- 15) & 15]
      let w2 = schedule[(t &- 2) & 15]
      let s0 = rotatedRight(w15, 7) ^ rotatedRight(w15, 18) ^ (w15 &>> 3)
      let s1 = rotatedRight(w2, 17) ^ rotatedRight(w2, 19) ^ (w2 &>> 10)
      schedule[t & 15] = schedule[t & 15] &+ s0 &+ schedule[(t &- 7) & 15] &+ s1
    }
    let sum1 = rotatedRight(e, 6) ^ rotatedRight(e, 11) ^ rotatedRight(e, 25)
    let choice = (e & f) ^ (~e & g)
    let t1 = h &+ sum1 &+ choice &+ roundConstants[t] &+ schedule[t & 15]
    let sum0 = rotatedRight(a, 2) ^ rotatedRight(a, 13) ^ rotatedRight(a, 22)
    let majority = (a & b) ^ (a & c) ^ (b & c)
    h = g
    g = f
    f = e
    e = d &+ t1
    d = c
    c = b
    b = a
    a = t1 &+ sum0 &+ majority
  }
  state[0] &+= a
  state[1] &+= b
  state[2] &+= c
  state[3] &+= d
  state[4] &+= e
  state[5] &+= f
  state[6] &+= g
  state[7] &+= h
}

@inline(__always)
private func rotatedRight(_ v: UInt32, _ count: UInt32) -> UInt32 {
  v &>> count | v &<< (32 &- count)
}
