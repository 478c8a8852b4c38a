import Importers
import Tally
import TallyHost

/// The canonical recipe of a run, from what a user would write.
func recipeBytes(_ text: String, for model: [UInt8]) throws -> [UInt8] {
  let document = try RecipeDocument(Array(text.utf8)[...], file: "runs.txt")
  return try document.resolved(for: LoadedModel(model), hasLabels: true).bytes
}
