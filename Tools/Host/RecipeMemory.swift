import Importers
public import Tally

/// A recipe's canonical bytes in memory, validated for a model.
public final class RecipeMemory {
  private let memory: AlignedMemory
  /// A view: this object must outlive it (`AlignedMemory`). Never `RecipeMemory(…).recipe`.
  public let recipe: Recipe

  /// - Throws: `RecipeError` naming the byte.
  public init(_ bytes: [UInt8], _ model: LoadedModel) throws(RecipeError) {
    memory = AlignedMemory(bytes)
    recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
  }

  /// - Throws: `RecipeError` if the fields do not fit the model.
  public convenience init(_ fields: RecipeFields, _ model: LoadedModel) throws(RecipeError) {
    try self.init(fields.bytes, model)
  }
}
