package import FixedPoint
package import Tensors

/// The bookkeeping of a session inside its arena: where buffers lie, current Scales, gradient Scales,
/// counters. One row per tensor (BufferPurpose).
package struct SessionTable {
  /// All of it; where its parts lie is computed, because sessions are copied often.
  private let memory: View<Int32>
  private let tensorCount: Int

  private static var purposeCount: Int { BufferPurpose.count }
  private static var wordsPerTensor: Int { 8 }
  private static var counterCount: Int { 4 }

  /// Y_max, and the largest gradient of the step: two Scales (SPEC 8.12).
  package static var largestGradientByteCount: Int { 16 }
  /// Three counts of a sparse node (SPEC 8.12).
  package static var keptCountByteCount: Int { 12 }

  /// Seven numbers of 64 bits for a group of coordinates (SPEC 8.18).
  package static var perturbationByteCount: Int { 7 * 8 }

  /// 33 counts of 64 bits (SPEC 8.9).
  package static var histogramByteCount: Int { 33 * 8 }

  package static func byteCount(tensorCount: Int) -> Int {
    8 * counterCount + tensorCount * 4 * (purposeCount + wordsPerTensor) + tensorCount
  }

  package init(_ arena: Arena, offset: Int, tensorCount: Int) {
    let byteCount = SessionTable.byteCount(tensorCount: tensorCount)
    memory = arena.view(offset, (byteCount + 3) / 4, of: Int32.self)
    self.tensorCount = tensorCount
  }

  private var counters: View<Int64> {
    memory.bytes.part(0, SessionTable.counterCount, of: Int64.self)
  }
  private var offsets: View<Int32> {
    memory.slice(2 &* SessionTable.counterCount, tensorCount &* SessionTable.purposeCount)
  }
  /// Per tensor: current Scale (mantissa, exponent), gradient Scale (mantissa, exponent), gradient present
  /// (0 or 1), range history (two words, SPEC 8.9), weight range history.
  private var words: View<Int32> {
    memory.slice(
      2 &* SessionTable.counterCount &+ tensorCount &* SessionTable.purposeCount,
      tensorCount &* SessionTable.wordsPerTensor)
  }
  package var path: View<UInt8> {
    memory.bytes.part(
      8 &* SessionTable.counterCount &+ 4 &* tensorCount
        &* (SessionTable.purposeCount &+ SessionTable.wordsPerTensor),
      tensorCount, of: UInt8.self)
  }

  package func clear() {
    offsets.fill(-1)
    words.fill(0)
    counters.fill(0)
  }

  /// The arena offset of a buffer, or −1.
  package func offset(_ row: Int, _ purpose: BufferPurpose) -> Int {
    Int(offsets[row &* SessionTable.purposeCount &+ purpose.rawValue])
  }

  package func setOffset(_ row: Int, purpose: Int, _ offset: Int32) {
    offsets[row &* SessionTable.purposeCount &+ purpose] = offset
  }

  // MARK: Scales

  package func scale(_ tensor: Int) -> Scale { stored(tensor, 0) }
  package func setScale(_ tensor: Int, _ scale: Scale) { store(tensor, 0, scale) }
  /// The eight bytes of a tensor's Scale as a file holds them.
  package func scaleBytes(_ tensor: Int) -> View<UInt8> {
    scaleWords(tensor).bytes
  }
  /// Mantissa and exponent as they stand, which need not be a Scale's.
  package func scaleWords(_ tensor: Int) -> View<Int32> {
    words.slice(tensor * SessionTable.wordsPerTensor, 2)
  }
  package func gradientScale(_ tensor: Int) -> Scale { stored(tensor, 2) }

  /// Records that a tensor has a gradient in this micro-batch, and its Scale.
  package func setGradientScale(_ tensor: Int, _ scale: Scale) {
    store(tensor, 2, scale)
    words[tensor &* SessionTable.wordsPerTensor &+ 4] = 1
  }

  package func hasGradient(_ tensor: Int) -> Bool {
    words[tensor &* SessionTable.wordsPerTensor &+ 4] != 0
  }

  package func forgetGradient(_ tensor: Int) {
    words[tensor &* SessionTable.wordsPerTensor &+ 4] = 0
  }

  private func stored(_ tensor: Int, _ field: Int) -> Scale {
    let index = tensor &* SessionTable.wordsPerTensor &+ field
    return storedScale(words[index], words[index &+ 1])
  }

  private func store(_ tensor: Int, _ field: Int, _ scale: Scale) {
    let index = tensor &* SessionTable.wordsPerTensor &+ field
    words[index] = scale.mantissa
    words[index &+ 1] = scale.exponent
  }

  // MARK: Range history (SPEC 8.9)

  /// What the tracker remembers of a tensor, or of the weights of the node that writes it.
  package enum History: Int { case tensorChange = 5, tensorWish = 6, weightChange = 7 }

  package func history(_ tensor: Int, _ field: History) -> Int32 {
    words[tensor &* SessionTable.wordsPerTensor &+ field.rawValue]
  }

  package func setHistory(_ tensor: Int, _ field: History, _ value: Int32) {
    words[tensor &* SessionTable.wordsPerTensor &+ field.rawValue] = value
  }

  /// The three words of a tensor's history.
  package func historyBytes(_ tensor: Int) -> View<UInt8> {
    words.slice(tensor * SessionTable.wordsPerTensor + History.tensorChange.rawValue, 3).bytes
  }

  // MARK: Counters

  package enum Counter: Int { case saturated, clipped }

  package func counter(_ counter: Counter) -> Int64 { counters[counter.rawValue] }
  package func add(_ count: Int, to counter: Counter) {
    counters[counter.rawValue] &+= Int64(truncatingIfNeeded: count)
  }
  package func reset(_ counter: Counter) { counters[counter.rawValue] = 0 }
}
