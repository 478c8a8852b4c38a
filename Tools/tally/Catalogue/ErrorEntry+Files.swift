extension ErrorEntry {
  /// 01xx: any file.
  static let files: [ErrorEntry] = [
    ErrorEntry(
      101, exit: "5", "a file cannot be read",
      "It is not there, is a folder, may not be read, or its name is not one the system takes.",
      do: "Check the path; names in the same folder that look alike are listed."),
    ErrorEntry(
      102, exit: "3", "the file is empty",
      "It has 0 bytes: a download that did not start, or a program that was stopped before it "
        + "wrote.",
      do: "Make or fetch it again."),
    ErrorEntry(
      103, exit: "3", "the format is not known, or not the one wanted here",
      "A file's kind is told by its first bytes, never by its name; these belong to no format that "
        + "is read, or to one that this verb has no use for.",
      do: "tally inspect FILE says what a file is. CIFAR batches have no mark of their own: "
        + "write cifar:FILE."),
    ErrorEntry(
      104, exit: "warning", "the name says one format, the content another",
      "The content is believed.", do: "Rename the file."),
    ErrorEntry(
      105, exit: "3", "a pointer or a web page stands where the file should be",
      "Git LFS leaves a small text file until the content is fetched; a download link without "
        + "permission gives an HTML page.",
      do: "git lfs pull, or download the file itself."),
    ErrorEntry(
      106, exit: "3", "the file ends too early",
      "A length in the file reaches beyond its end.", do: "Copy or download it again."),
    ErrorEntry(
      107, exit: "3, a warning for ONNX", "bytes follow the end of the data",
      "A file that is two things at once can hide one of them, so it is refused.",
      do: "Write it again with the tool that made it."),
    ErrorEntry(
      108, exit: "5", "the file changed while it was read",
      "Its size or time differs from before, so its digest would stand for nothing.",
      do: "Wait until it is written, then try again."),
    ErrorEntry(
      109, exit: "5", "the input is no regular file of at most 2 GiB",
      "Pipes, devices and larger files are not read.", do: "Store it as a file first."),
  ]

  /// 02xx: safetensors, and JSON wherever it stands.
  static let checkpoints: [ErrorEntry] = [
    ErrorEntry(
      201, exit: "3", "the header of a safetensors file has an impossible length",
      "It is larger than the file or than 100 MB.", do: "Copy or download the file again."),
    ErrorEntry(
      202, exit: "2 for a recipe or network, 3 for a file's header", "not valid JSON",
      "The place is given as line and column. Recipes and networks may hold comments and trailing "
        + "commas.",
      do: "Correct the text there."),
    ErrorEntry(
      203, exit: "2 or 3", "a key stands twice in one object",
      "Readers disagree about which of the two counts.", do: "Keep one of them."),
    ErrorEntry(
      204, exit: "3", "tensors overlap, leave holes, or reach beyond the data",
      "safetensors demands that tensors cover the data exactly once.",
      do: "Write the file again with the safetensors library."),
    ErrorEntry(
      205, exit: "3", "a tensor's bytes do not fit its shape",
      "Shape times size of an element must be the length that is declared, and a shape has no "
        + "negative or fractional sizes.",
      do: "Write the file again with the safetensors library."),
    ErrorEntry(
      206, exit: "4", "a tensor's type is not read",
      "Read are F64, F32, F16, BF16, I8 to I64, U8 to U64 and BOOL.", do: "Save it as F32 or F16."),
    ErrorEntry(
      207, exit: "4", "a parameter has no elements",
      "One of its sizes is 0, so there is nothing to convert.", do: "Remove the layer."),
    ErrorEntry(
      208, exit: "3", "parts of a split checkpoint are missing",
      "The index names files that are not beside it.", do: "Copy every part into the same folder."),
  ]
}
