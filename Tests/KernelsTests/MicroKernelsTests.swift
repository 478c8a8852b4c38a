// Every version of every microkernel against a plain Swift loop, on shapes that straddle the tiles
// and at the ends of the ranges. Inputs lie against a page that must not be touched, outputs
// between bytes that must not change.
import Foundation
import MicroKernels
import Testing

/// One after another, because the SIMD level is one number for the process.
@Suite("Microkernels", .serialized)
struct MicroKernels {
  /// The levels this CPU has, the plain one first.
  static let levels: [Int32] = {
    tally_set_simd_level(Int32.max)
    let best = tally_simd_level()
    return best == 3 ? [0, 3] : Array(0...best)
  }()

  /// Runs `body` at each level and returns to the best.
  static func atEachLevel(_ body: (Int32) throws -> Void) rethrows {
    defer { tally_set_simd_level(Int32.max) }
    for level in levels {
      tally_set_simd_level(level)
      try body(level)
    }
  }

  @Test("a level the CPU lacks becomes the best one below it")
  func levels() {
    let best = Self.levels.last!
    for asked in [Int32.min, -1, 0, 1, 2, 3, 4, Int32.max] {
      tally_set_simd_level(asked)
      #expect(tally_simd_level() == (Self.levels.last { $0 <= asked } ?? 0), "asked \(asked)")
    }
    tally_set_simd_level(Int32.max)
    #expect(tally_simd_level() == best)
  }
}

/// Random numbers of a printed seed (SplitMix64). TALLY_SEED repeats a run.
struct MicroKernelsRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ name: String) {
    let asked = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap {
      UInt64($0.hasPrefix("0x") ? String($0.dropFirst(2)) : $0, radix: 16)
    }
    state = asked ?? UInt64.random(in: 0...UInt64.max)
    print("microkernels, \(name): TALLY_SEED=0x\(String(state, radix: 16))")
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  /// Bytes over the whole range, with many at its ends.
  mutating func bytes(_ count: Int) -> [Int8] {
    (0..<count).map { _ in
      let r = next()
      return r >> 8 & 7 == 0 ? (r & 1 == 0 ? -128 : 127) : Int8(truncatingIfNeeded: r)
    }
  }

  /// Words of every magnitude, the ends of the range among them.
  mutating func words(_ count: Int) -> [Int32] {
    (0..<count).map { _ in
      let r = next()
      switch r >> 40 & 31 {
      case 0: return .min
      case 1: return .max
      case 2: return 0
      default: return Int32(truncatingIfNeeded: r) >> Int32(r >> 32 & 31)
      }
    }
  }
}

/// Memory that ends or begins at a page nobody may touch: reading past it stops the test.
final class FencedMemory<Element: BitwiseCopyable> {
  let base: UnsafeMutablePointer<Element>
  let count: Int
  private let map: UnsafeMutableRawPointer
  private let mapSize: Int

  /// `atStart`: the page before the memory is fenced off, else the one behind it.
  init(_ elements: [Element], atStart: Bool = false) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    count = elements.count
    let size = count * MemoryLayout<Element>.stride
    let pages = max(1, (size + page - 1) / page)
    mapSize = (pages + 2) * page
    map = mmap(nil, mapSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)!
    precondition(map != MAP_FAILED)
    mprotect(map, page, PROT_NONE)
    mprotect(map + (pages + 1) * page, page, PROT_NONE)
    let offset = atStart ? page : (pages + 1) * page - size
    base = (map + offset).bindMemory(to: Element.self, capacity: max(count, 1))
    if count > 0 { base.initialize(from: elements, count: count) }
  }

  deinit { munmap(map, mapSize) }

  var array: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

/// An output of `count` elements that starts at an address that is no multiple of anything but its
/// element's size, with eight guards on both sides.
final class GuardedOutput<Element: BitwiseCopyable & Equatable> {
  let base: UnsafeMutablePointer<Element>
  let count: Int
  private let all: UnsafeMutablePointer<Element>
  private let filler: Element
  private static var margin: Int { 9 }

  init(_ count: Int, filledWith filler: Element) {
    self.count = count
    self.filler = filler
    all = .allocate(capacity: count + 2 * Self.margin)
    all.initialize(repeating: filler, count: count + 2 * Self.margin)
    base = all + Self.margin
  }

  deinit { all.deallocate() }

  var array: [Element] { Array(UnsafeBufferPointer(start: base, count: count)) }
  var guardsHold: Bool {
    (0..<Self.margin).allSatisfy { all[$0] == filler && base[count + $0] == filler }
  }
}
