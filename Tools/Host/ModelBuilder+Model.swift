public import Importers
import Tally

extension ModelBuilder {
  /// What a model file says, taken out of it; `bytes()` gives the same file again.
  public init(_ model: LoadedModel) {
    // The network reads the model's memory.
    self = withExtendedLifetime(model) { ModelBuilder(model.network) }
  }
}
