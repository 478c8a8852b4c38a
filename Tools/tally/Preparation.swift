import Importers

/// The options that say how numbers in data files become the network's real input, shared by
/// `convert`, `init` and the float side of `eval`.
extension ArgumentList {
  static let preparationOptions: [Option] = [
    .value("--input-scale", nil, "R", "real = (x·R − mean) / std: \"1/255\", \"0.5\" (default 1)"),
    .value("--input-mean", nil, "A,B,C", "one mean, or one per channel (default 0)"),
    .value("--input-std", nil, "A,B,C", "one deviation, or one per channel (default 1)"),
    .value("--layout", nil, "ORDER", "axes of the data: nhwc (default) or nchw"),
  ]

  /// - Throws: TLY0802 for what is not an exact number or not a layout.
  func preparation() throws(InputError) -> InputPreparation {
    var preparation = InputPreparation()
    if let scale = try ratios("--input-scale") {
      guard scale.count == 1 else {
        throw InputError(802, "one scale serves all channels", place: "--input-scale", exit: 2)
      }
      preparation.scale = scale[0]
    }
    preparation.mean = try ratios("--input-mean") ?? []
    preparation.std = try ratios("--input-std") ?? []
    if let text = self["--layout"] {
      guard let layout = DataLayout(rawValue: text.lowercased()) else {
        throw InputError(
          802, "\u{2018}\(text)\u{2019} is not nhwc or nchw", place: "--layout", exit: 2)
      }
      preparation.layout = layout
    }
    return preparation
  }

  private func ratios(_ option: String) throws(InputError) -> [ExactRatio]? {
    guard let text = self[option] else { return nil }
    var ratios: [ExactRatio] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let ratio = ExactRatio(parsing: String(part)) else {
        throw InputError(
          802, "\u{2018}\(part)\u{2019} is not a number that 64 bits hold exactly", place: option,
          help: "write a decimal or a ratio: 0.5, 1e-3, 1/255", exit: 2)
      }
      ratios.append(ratio)
    }
    return ratios
  }
}
