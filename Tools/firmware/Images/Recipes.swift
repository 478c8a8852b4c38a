import Importers
import Tally
import TallyTestSupport

/// The canonical recipe of a run, from its JSON.
func recipeBytes(_ text: String, for network: ModelBuilder) throws -> [UInt8] {
  var recipe = RecipeBytes(updates: network.nodes.map { $0.weights.isEmpty ? 0 : 3 })
  recipe.tracks = network.isInitialized
  var object = try JSONElement.userWritten(ArraySlice(text.utf8), file: "runs.txt").object()
  func count(_ key: String, _ field: WritableKeyPath<RecipeBytes, UInt32>) throws {
    if let value = try object.take(key)?.integer(in: 0...Int64(UInt32.max)) {
      recipe[keyPath: field] = UInt32(value)
    }
  }
  try count("epochs", \.epochs)
  try count("batch", \.batch)
  recipe.microBatch = recipe.batch
  try count("microBatch", \.microBatch)
  if let rate = try object.take("learningRate")?.ratio() {
    recipe.rate = Scale(UInt64(rate.numerator)) / Scale(UInt64(rate.denominator))
  }
  if let weights = try object.take("weights")?.string() {
    recipe.weights = weights == "int8" ? .int8 : .masters
  }
  try object.finish()
  return recipe.bytes
}
