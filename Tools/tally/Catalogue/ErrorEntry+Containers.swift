extension ErrorEntry {
  /// 04xx: containers, and checkpoints of other tools. Codes up to 405 come from the exporter.
  static let containers: [ErrorEntry] = [
    ErrorEntry(
      401, exit: "4", "a whole PyTorch model was saved, not its weights",
      "Such a file names Python classes and runs code when it is loaded; it is not loaded.",
      do: "In the program that has the class: torch.save(model.state_dict(), \"weights.pt\")."),
    ErrorEntry(
      402, exit: "3", "the checkpoint wants to run code",
      "It names a function that the safe loader does not allow. Nothing was executed.",
      do: "Do not load it; ask where it comes from."),
    ErrorEntry(
      403, exit: "3", "the checkpoint is damaged", "PyTorch cannot read it to the end.",
      do: "Copy or download it again."),
    ErrorEntry(
      404, exit: "3", "a tensor's storage is missing or too small",
      "The checkpoint's parts do not fit together.", do: "Copy or download it again."),
    ErrorEntry(
      405, exit: "4", "an old or compiled PyTorch file",
      "TorchScript and tar checkpoints are not read.",
      do: "Load it where it was made and save the state_dict."),
    ErrorEntry(
      406, exit: "3", "the zip archive is not a plain one",
      "Encrypted, in several parts, with two entries of one name, paths that leave the folder, a "
        + "bad checksum, or far more content than bytes.",
      do: "Write it with numpy.savez or numpy.savez_compressed."),
    ErrorEntry(
      407, exit: "2", "names or shapes do not match",
      "Tensors of the file and layers of the network description, or arrays of an archive, do not "
        + "find each other; the table has what is missing, what is left and what is near.",
      do: "Correct the names; for arrays write FILE:SAMPLES,LABELS."),
    ErrorEntry(
      408, exit: "4", "weights without a network",
      "A safetensors or npz file holds tensors, not how they are connected.",
      do: "tally convert WEIGHTS --network NETWORK.json (Formats/network.md)."),
    ErrorEntry(
      409, exit: "4", "a checkpoint that another program must export",
      "PyTorch, Keras and TFLite files are read by their own libraries only.",
      do: "Tools/export turns them into ONNX."),
  ]

  /// 10xx: the exporter's own work.
  static let exporterWork: [ErrorEntry] = [
    ErrorEntry(
      1001, exit: "4", "a Python package is missing",
      "The exporter reads each format by its official library.",
      do: "Install what the message names."),
    ErrorEntry(
      1002, exit: "2 or 4", "no network comes out of the module",
      "The factory is not there, fails, or gives something else; or PyTorch's exporter fails.",
      do: "Check MODULE:FACTORY, its arguments and --input."),
    ErrorEntry(
      1006, exit: "1", "the export does not compute what the source computes",
      "Both were run on the same random inputs, and differ by more than rounding.",
      do: "Report the model; --no-check writes the file all the same."),
    ErrorEntry(
      1007, exit: "4", "the export cannot be compared",
      "The library that runs the source does not take the file.",
      do: "--no-check writes the export without the comparison."),
  ]

  /// 05xx: the exporter's, and NumPy.
  static let exporters: [ErrorEntry] = [
    ErrorEntry(
      501, exit: "4", "a Keras layer that is not known",
      "Lambda and custom layers are never imported, because that runs code from the file.",
      do: "Replace the layer by standard ones."),
    ErrorEntry(
      504, exit: "3 or 4", "a Keras or TensorFlow Lite file that its library cannot read",
      "Damaged, of another kind than its name says, or with more than one graph.",
      do: "Save it again, as .keras or .tflite."),
    ErrorEntry(
      505, exit: "3", "a NumPy file that holds no plain array",
      "Object arrays run code when they are loaded and are refused; so are structured types and "
        + "headers that are no literal.",
      do: "Save numbers: numpy.save(path, array.astype(\"float32\"))."),
  ]

  /// 06xx: numbers.
  static let numbers: [ErrorEntry] = [
    ErrorEntry(
      601, exit: "3", "a number is NaN, infinite or has no meaning here",
      "Tensor, index and count are given; nothing is replaced silently.",
      do: "Repair it in the tool that wrote the file."),
    ErrorEntry(
      602, exit: "warning", "a tensor or channel that is constant or all zero",
      "Its Scale follows SPEC's rule; nothing is lost.", do: "Nothing, or remove the channel."),
    ErrorEntry(
      603, exit: "warning", "weights that one Scale serves badly",
      "A few large values leave the others few steps.", do: "--scales per-channel."),
    ErrorEntry(
      604, exit: "3", "a normalization divides by nothing",
      "Variance plus epsilon must be positive.", do: "Train or export the model again."),
    ErrorEntry(
      605, exit: "4", "a layer is beyond what 32-bit sums or Scales hold",
      "The layer and the bound are given (SPEC 3, 5, 8.3).",
      do: "Split the layer, or convert with other calibration data."),
    ErrorEntry(
      606, exit: "3 or 4", "a number that no type here holds",
      "Complex numbers, or values beyond float32.", do: "Save it as float32."),
    ErrorEntry(
      607, exit: "warning", "converted without data",
      "Ranges come from random bytes or from the weights alone: the model runs, accuracy is luck.",
      do: "--calibrate with a few hundred training samples."),
  ]
}
