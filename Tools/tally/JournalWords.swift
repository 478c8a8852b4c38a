import Importers
import Tally

extension Difference.Field {
  /// What differs, for people.
  var words: String {
    switch self {
    case .model: "the model the run began with"
    case .data: "the data"
    case .validationData: "the validation data"
    case .recipe: "the recipe"
    case .counts: "the number of samples or of planned steps"
    case .loss: "the loss"
    case .correct: "the number of right answers"
    case .saturated: "the number of saturated elements"
    case .clipped: "the number of clipped updates"
    case .batch: "the samples of the batch"
    case .range: "a change of a Scale"
    case .kept: "the counts of kept gradients"
    case .differences: "the loss differences of the step"
    case .root: "the parameters (state root)"
    case .epoch: "the sums of the epoch"
    case .result: "the trained model"
    case .sequence: "the order of the records"
    case .chain: "the record is not the one the chain was made with"
    }
  }
}

extension JournalError {
  var words: String {
    switch code {
    case .notAJournal: "the file does not start as a journal"
    case .unsupportedVersion: "another format or arithmetic version"
    case .torn: "the file ends inside a record"
    case .badRecord: "a record is malformed"
    case .badOrder: "a record is out of order"
    case .chainBroken: "the record is not the one the chain was made with"
    case .trailingBytes: "bytes follow the end of the journal"
    }
  }
}

extension InputError {
  /// What is wrong with a journal file, in the words of the catalogue.
  init(_ error: JournalError, file: String) {
    let (code, exit): (Int, Int32) =
      switch error.code {
      case .notAJournal: (103, 3)
      case .unsupportedVersion: (901, 4)
      case .torn: (106, 3)
      case .badRecord, .trailingBytes: (902, 3)
      case .badOrder, .chainBroken: (904, 1)
      }
    self.init(
      code, "not a good journal: \(error.words)", place: "\(file), offset \(error.offset)",
      exit: exit)
  }
}
