extension ErrorEntry {
  /// 03xx: ONNX.
  static let graphs: [ErrorEntry] = [
    ErrorEntry(
      301, exit: "3", "malformed protobuf",
      "The bytes at the offset are no ONNX model: damaged, or another kind of file.",
      do: "Export or download it again."),
    ErrorEntry(
      302, exit: "3", "weights are in a second file that is not there",
      "PyTorch writes model.onnx and model.onnx.data; both belong together.",
      do: "Copy both, or export with external_data=False."),
    ErrorEntry(
      303, exit: "3", "the place of the external data is refused for safety",
      "Only a regular file in the model's own folder is read: no absolute path, no \"..\", no "
        + "symbolic or hard link, and the range must lie in the file.",
      do: "Export with external_data=False."),
    ErrorEntry(
      304, exit: "4", "operators that Tally does not run",
      "Every blocking node is listed once with its layer. Attention, recurrent layers and run-time "
        + "normalization are not in the arithmetic (SPEC 6).",
      do: "tally inspect MODEL lists what blocks; export after model.eval() so that normalization "
        + "folds away."),
    ErrorEntry(
      305, exit: "4", "an operator is supported, but not with this attribute",
      "The note says which value is allowed.", do: "Change the layer, or export it another way."),
    ErrorEntry(
      306, exit: "4", "the operator set or IR version is not supported",
      "Read are ai.onnx 7 to 23; other domains are refused by name.",
      do: "Export with opset_version=17."),
    ErrorEntry(
      307, exit: "3, or 2 where an output must be chosen", "the graph does not hang together",
      "It has a cycle, an input that nothing makes, two makers of one tensor, or several outputs.",
      do: "Name the output with --tensor, or check the model with onnx.checker."),
    ErrorEntry(
      308, exit: "2", "a size of the input is open",
      "Only the batch may stay open; memory is planned to the byte.",
      do: "Give it: --shape input=1,3,32,32."),
    ErrorEntry(
      309, exit: "3", "a tensor's elements do not fit its shape or type",
      "Too many or too few bytes, two places for the elements at once, or a type that holds no "
        + "numbers.",
      do: "Export it again."),
    ErrorEntry(
      310, exit: "warning", "exported in training mode",
      "Dropout is removed and normalization folded with the stored statistics.",
      do: "Call model.eval() before the export."),
    ErrorEntry(
      311, exit: "4", "the graph branches or loops, or calls functions of its own",
      "If, Loop and model-local functions are not run.",
      do: "Export the branch that you need, with the functions inlined."),
    ErrorEntry(
      312, exit: "4", "a quantized graph that int8 cannot hold exactly",
      "The scales of a quantized graph are kept as they are, so its weights must be int8 around 0 "
        + "and its activations 8 bits.",
      do: "Quantize it with symmetric int8 weights, or convert the float model."),
  ]
}
