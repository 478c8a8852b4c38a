import Importers
public import Tally

/// A checkpoint file in memory.
public final class LoadedCheckpoint {
  private let memory: AlignedMemory
  /// A view: this object must outlive it (`AlignedMemory`).
  public let checkpoint: Checkpoint

  public init(_ bytes: [UInt8]) throws(CheckpointError) {
    memory = AlignedMemory(bytes)
    checkpoint = try Checkpoint(validating: memory.view(of: UInt8.self))
  }

  public var step: UInt32 { checkpoint.step }
}

extension TrainingRun {
  /// The file of the state that the run is in.
  ///
  /// - Parameter chain: where its journal stands.
  public func checkpointBytes(_ chain: Chain) -> [UInt8] {
    var sink = MemorySink()
    Checkpoint.write(run, chain, to: &sink)
    return sink.bytes
  }

  /// Whether the run is in a checkpoint's state.
  public func hasState(of checkpoint: LoadedCheckpoint) -> Bool {
    let state = checkpoint.checkpoint.state
    guard run.trainer.stateByteCount == state.count else { return false }
    var isSame = run.trainer.step == checkpoint.step
    var offset = 0
    run.trainer.forEachStatePart { part in
      for index in 0..<part.count where part[index] != state[offset + index] { isSame = false }
      offset += part.count
    }
    return isSame
  }

  /// Goes on from a checkpoint, in place of `begin`.
  ///
  /// - Returns: whether it is a state of this run; if not, this object is to be used no more.
  public func resume(_ checkpoint: LoadedCheckpoint, at place: LoadedJournal.Place) -> Bool {
    run.resume(checkpoint.checkpoint, epoch: place.epoch)
  }
}
