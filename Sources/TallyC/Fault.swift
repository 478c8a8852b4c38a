import CTally
import Journals
import Layers
import ModelFormat
import Training

/// What is wrong with what the caller gave.
struct Fault: Error {
  let status: Int32
  var code: Int32 = 0
  var place: Int = 0

  init(_ status: Int32, code: Int32 = 0, place: Int = 0) {
    self.status = status
    self.code = code
    self.place = place
  }

  init(_ error: ModelError) {
    self.init(TALLY_BAD_MODEL, code: Int32(error.code.rawValue), place: error.offset)
  }

  init(_ error: RecipeError) {
    self.init(TALLY_BAD_RECIPE, code: Int32(error.code.rawValue), place: error.offset)
  }

  init(_ error: MemoryPlanError) {
    switch error {
    case .microBatchTooLarge(let node, _): self.init(TALLY_NO_PLAN, code: 1, place: node)
    case .inputGradientTooDeep(let node): self.init(TALLY_NO_PLAN, code: 2, place: node)
    case .arenaTooLarge: self.init(TALLY_NO_PLAN, code: 3)
    }
  }

  static var badArgument: Fault { Fault(TALLY_BAD_ARGUMENT) }
}

/// Does something that can go wrong; says what did.
func reporting(
  to fault: UnsafeMutablePointer<tally_fault>?, _ body: () throws(Fault) -> Void
) -> tally_status {
  var report = tally_fault(status: TALLY_OK, code: 0, place: 0)
  do throws(Fault) {
    try body()
  } catch {
    report = tally_fault(
      status: error.status, code: error.code, place: UInt32(truncatingIfNeeded: error.place))
  }
  if let fault = unsafe fault { unsafe fault.pointee = report }
  return report.status
}
