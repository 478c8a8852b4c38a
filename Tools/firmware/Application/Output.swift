import FirmwareBoard
import Tally

// Text without String: one character at a time.

func put(_ text: StaticString) {
  for index in 0..<text.utf8CodeUnitCount {
    // A static string's bytes are there for the life of the program.
    board_write(unsafe text.utf8Start[index])
  }
}

/// - Parameter number: 0 or more.
func put(number: Int) {
  var power = 1
  while number / power >= 10 { power *= 10 }
  while power > 0 {
    board_write(UInt8(truncatingIfNeeded: number / power % 10) + 0x30)
    power /= 10
  }
}

/// 64 lower-case hexadecimal digits.
func put(digest: Digest) {
  for index in 0..<Digest.byteCount {
    put(digit: digest[index] >> 4)
    put(digit: digest[index] & 15)
  }
}

private func put(digit: UInt8) { board_write(digit < 10 ? digit + 0x30 : digit + 0x57) }

/// A line of a name and a number.
func put(_ name: StaticString, _ value: Int) {
  put(name)
  put(" ")
  put(number: value)
  put("\n")
}

/// A line of a name and a digest.
func put(_ name: StaticString, _ value: Digest) {
  put(name)
  put(" ")
  put(digest: value)
  put("\n")
}

/// Prints what is wrong and gives the exit code for it.
func fail(_ part: StaticString, _ code: Int, at offset: Int) -> Int32 {
  put("error ")
  put(part)
  put(" code ")
  put(number: code)
  put(" at ")
  put(number: offset)
  put("\n")
  return 3
}
