import MicroKernels

/// The samples of a pass, or rows of them, in parts that the threads of a host work on at once.
///
/// A thread then reads what it wrote a node before, where calls that are cut by rows make it fetch what
/// another wrote. Parts have workspaces of their own (Tiling), and all that they add up are exact sums: any
/// number of them gives the same bytes (SPEC 11). Boards have one.
extension Session {
  /// How many parts repay themselves.
  ///
  /// - Parameters:
  ///   - units: samples, or rows of them, that are not cut.
  ///   - work: of all of them, in bytes moved or 32 products.
  ///   - fetched: bytes that every part but the first must fetch from where they were just written.
  @inline(__always)
  package func partCount(units: Int, work: Int, fetched: Int = 0) -> Int {
    guard request.partCount > 1, units > 1 else { return 1 }
    let most = min(request.partCount, units)
    guard request.leastPartWork > 0 else { return most }
    return max(1, min(most, work / (request.leastPartWork &+ fetched)))
  }

  /// Calls `body` for each of `parts` parts of `units` samples, or rows of them.
  ///
  /// - Parameter body: works on some units with the workspace of part `part`, beside others.
  /// - Returns: the largest of what it gives.
  @inline(__always) @discardableResult
  package func share(
    _ units: Int, parts: Int, _ body: (_ units: Range<Int>, _ part: Int) -> UInt32
  ) -> UInt32 {
    #if !hasFeature(Embedded)
      if parts > 1 { return shareAmongThreads(units, parts: parts, body) }
    #endif
    return body(0..<units, 0)
  }

  #if !hasFeature(Embedded)
    private struct Call {
      let units: Int
      let parts: Int
      let body: (_ units: Range<Int>, _ part: Int) -> UInt32
    }

    @inline(never)
    private func shareAmongThreads(
      _ units: Int, parts: Int, _ body: (_ units: Range<Int>, _ part: Int) -> UInt32
    ) -> UInt32 {
      withoutActuallyEscaping(body) { body in
        var call = Call(units: units, parts: parts, body: body)
        // The call ends before `call` does.
        return unsafe withUnsafeMutablePointer(to: &call) { call in
          unsafe tally_share(
            Int32(truncatingIfNeeded: parts),
            { context, part in
              guard let call = unsafe context?.assumingMemoryBound(to: Call.self) else { return 0 }
              let (units, parts) = unsafe (call.pointee.units, call.pointee.parts)
              let part = Int(part)
              return unsafe call.pointee.body(
                units &* part / parts..<units &* (part &+ 1) / parts, part)
            }, call)
        }
      }
    }
  #endif
}
