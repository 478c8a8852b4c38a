import Journals
import Layers
import Training

// What `tally *` points at: the first bytes of the caller's memory hold these two values, the session's
// arena follows. They are plain data: the memory is free again as soon as the caller says so.

/// An open network.
struct Instance {
  let session: Session
  let recipe: Recipe?
  /// Whether the `RunState` behind it has been initialised.
  var hasRun = false
}

/// Its run, after `tally_train`.
struct RunState {
  var run: Run
  var writer: JournalWriter<CallbackSink>
  /// Whether the end record is written.
  var isEnded = false
}

/// The instance behind a pointer that `tally_open` gave out.
@safe
struct InstancePointer {
  private let base: UnsafeMutableRawPointer

  private static var run: Int { Arena.aligned(MemoryLayout<Instance>.stride) }

  /// Where the arena starts, in bytes from the start of the memory.
  static func arena(hasRecipe: Bool) -> Int {
    hasRecipe ? run + Arena.aligned(MemoryLayout<RunState>.stride) : run
  }

  /// `nil` for NULL; any other pointer is the caller's word.
  init?(_ pointer: OpaquePointer?) {
    guard let pointer = unsafe pointer else { return nil }
    unsafe base = UnsafeMutableRawPointer(pointer)
  }

  /// Puts a new instance at the start of memory.
  @unsafe
  init(initializing memory: UnsafeMutableRawPointer, to instance: Instance) {
    unsafe base = unsafe memory
    unsafe memory.assumingMemoryBound(to: Instance.self).initialize(to: instance)
  }

  @unsafe var opaque: OpaquePointer { unsafe OpaquePointer(base) }

  /// Read and changed where it lies: a copy would cost stack.
  var value: Instance {
    unsafeAddress { unsafe UnsafePointer(base.assumingMemoryBound(to: Instance.self)) }
    nonmutating unsafeMutableAddress { unsafe base.assumingMemoryBound(to: Instance.self) }
  }

  /// - Precondition: `value.hasRun`.
  var state: RunState {
    unsafeAddress {
      unsafe UnsafePointer((base + InstancePointer.run).assumingMemoryBound(to: RunState.self))
    }
    nonmutating unsafeMutableAddress {
      unsafe (base + InstancePointer.run).assumingMemoryBound(to: RunState.self)
    }
  }

  /// - Precondition: the instance has a recipe, and so room for a run.
  func begin(_ state: RunState) {
    unsafe (base + InstancePointer.run).assumingMemoryBound(to: RunState.self)
      .initialize(to: state)
    value.hasRun = true
  }
}
