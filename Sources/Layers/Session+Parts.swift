import MicroKernels

/// The samples of a pass in parts that the threads of a host work on at once.
///
/// A thread then reads what it wrote a node before, where calls that are cut by rows make it fetch what
/// another wrote. Parts have workspaces of their own (Tiling), and all that they add up are exact sums: any
/// number of them gives the same bytes (SPEC 11). Boards have one.
extension Session {
  /// How many parts repay themselves.
  ///
  /// - Parameter work: of one sample, in bytes moved or 32 products.
  package func partCount(samples: Int, work: Int) -> Int {
    guard request.partCount > 1, samples > 1 else { return 1 }
    return max(1, min(request.partCount, samples, samples &* work / request.leastPartWork))
  }

  /// Calls `body` for each of `parts` parts of the samples.
  ///
  /// - Parameter body: works on some samples with the workspace of part `part`, beside others.
  /// - Returns: the largest of what it gives.
  @inline(__always) @discardableResult
  package func share(
    _ samples: Int, parts: Int, _ body: (_ samples: Range<Int>, _ part: Int) -> UInt32
  ) -> UInt32 {
    #if !hasFeature(Embedded)
      if parts > 1 { return shareAmongThreads(samples, parts: parts, body) }
    #endif
    return body(0..<samples, 0)
  }

  #if !hasFeature(Embedded)
    private struct Call {
      let samples: Int
      let parts: Int
      let body: (_ samples: Range<Int>, _ part: Int) -> UInt32
    }

    @inline(never)
    package func shareAmongThreads(
      _ samples: Int, parts: Int, _ body: (_ samples: Range<Int>, _ part: Int) -> UInt32
    ) -> UInt32 {
      withoutActuallyEscaping(body) { body in
        var call = Call(samples: samples, parts: parts, body: body)
        // The call ends before `call` does.
        return unsafe withUnsafeMutablePointer(to: &call) { call in
          unsafe tally_share_parts(
            Int32(truncatingIfNeeded: parts),
            { context, part in
              guard let call = unsafe context?.assumingMemoryBound(to: Call.self) else { return 0 }
              let (samples, parts) = unsafe (call.pointee.samples, call.pointee.parts)
              let part = Int(part)
              return unsafe call.pointee.body(
                samples &* part / parts..<samples &* (part &+ 1) / parts, part)
            }, call)
        }
      }
    }
  #endif
}
