import FirmwareBoard
import Tally

/// The image in flash: a model, a recipe, samples to train on and samples to judge by.
///
/// Eleven little-endian words, then the parts, each at a multiple of 64 bytes (Images/FlashImage.swift
/// writes them). The image is part of the program, so its words are trusted; the model and the recipe
/// are validated like any other.
@safe
struct Image {
  private let base: UnsafeRawPointer
  private let words: View<UInt32>

  private enum Word: Int {
    case magic, model, modelByteCount, recipe, recipeByteCount
    case trainingValues, trainingLabels, trainingCount
    case validationValues, validationLabels, validationCount
  }

  init() {
    guard let image = unsafe board_image() else { preconditionFailure("a board has an image") }
    unsafe base = UnsafeRawPointer(image)
    words = unsafe View(base: base, offset: 0, count: 11)
    precondition(word(.magic) == 0x3157_4654, "not an image of this application")
  }

  private func word(_ word: Word) -> Int { Int(truncatingIfNeeded: words[word.rawValue]) }

  private func view<Element: BitwiseCopyable>(
    _ start: Word, _ count: Int, of type: Element.Type
  ) -> View<Element> {
    unsafe View(base: base, offset: word(start), count: count)
  }

  /// The model, validated with its digest, read in place.
  func network() throws(ModelError) -> Network {
    try unsafe Network(
      validating: UnsafeRawBufferPointer(
        start: base + word(.model), count: word(.modelByteCount)))
  }

  var recipe: View<UInt8> { view(.recipe, word(.recipeByteCount), of: UInt8.self) }

  func training(_ network: Network) -> Samples {
    samples(network, .trainingValues, .trainingLabels, word(.trainingCount))
  }

  func validation(_ network: Network) -> Samples {
    samples(network, .validationValues, .validationLabels, word(.validationCount))
  }

  private func samples(_ network: Network, _ values: Word, _ labels: Word, _ count: Int) -> Samples
  {
    Samples(
      values: view(values, count * network.inputShape.count, of: Int8.self),
      labels: view(labels, count, of: Int32.self), targets: nil, count: count)
  }
}
