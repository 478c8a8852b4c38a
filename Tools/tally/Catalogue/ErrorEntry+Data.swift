extension ErrorEntry {
  /// 07xx: data sets.
  static let data: [ErrorEntry] = [
    ErrorEntry(
      701, exit: "3", "a label that is missing, negative, fractional or too large",
      "The sample is named. Labels are integers from 0 to outputs - 1.",
      do: "Correct the labels, or the number of outputs."),
    ErrorEntry(
      702, exit: "2, or 3 for a file at odds with itself", "shapes do not match",
      "The data's samples are not what the model takes.",
      do: "--layout nhwc or nchw where only the order of the axes differs."),
    ErrorEntry(
      703, exit: "2 or 3", "no samples", "The file, or the range in brackets, holds none.",
      do: "tally inspect DATA says how many there are."),
    ErrorEntry(
      704, exit: "3", "a CSV file with ragged rows, quotes or decimal commas",
      "Line and column are given.", do: "Write plain numbers with commas between them."),
    ErrorEntry(
      705, exit: "warning", "samples are trained on and counted on",
      "Figures on samples that the model has been trained on say too much.",
      do: "Give ranges that do not overlap: DATA[0..<N]."),
    ErrorEntry(
      706, exit: "3", "an idx file at odds with itself",
      "Its type byte, sizes and bytes, or images and labels, do not match.",
      do: "Download it again."),
    ErrorEntry(
      707, exit: "3", "a damaged or hostile gzip file",
      "Bad checksum or length, several members, trailing bytes, or far more content than bytes.",
      do: "Download it again."),
    ErrorEntry(
      708, exit: "3", "not a CIFAR batch",
      "Its size is no multiple of 3,073 (CIFAR-10) or 3,074 bytes (CIFAR-100).",
      do: "Use the binary version of the data set."),
  ]

  /// 08xx: what the user wrote.
  static let usage: [ErrorEntry] = [
    ErrorEntry(
      801, exit: "2", "an unknown verb, option or key",
      "Names that look alike are offered; nothing unknown is passed over.",
      do: "tally VERB --help, or Formats/recipe.md."),
    ErrorEntry(
      802, exit: "2", "a value that is not allowed", "The allowed ones are in the message.",
      do: "Choose one of them."),
    ErrorEntry(
      803, exit: "2", "a layer's name matches nothing", "The names there are, are listed.",
      do: "tally inspect MODEL.tally lists layers."),
    ErrorEntry(
      804, exit: "6", "over the budget",
      "Not even the smallest scheme fits; what that one needs is said.",
      do: "Raise the budget, or take a smaller micro-batch."),
    ErrorEntry(
      805, exit: "2", "something is missing, twice, or in conflict",
      "An option without its value, two that exclude each other, or a missing argument.",
      do: "tally VERB --help."),
    ErrorEntry(
      806, exit: "5", "an output cannot be written",
      "It exists, is an input too, its folder is missing or read-only, or the disk is full. The old "
        + "file is untouched; there is never half a file.",
      do: "--force replaces an existing file."),
    ErrorEntry(
      807, exit: "2", "a number of samples or threads that makes no run",
      "The allowed range is in the message.", do: "Choose a number in it."),
    ErrorEntry(
      808, exit: "2", "a network description that does not hang together",
      "Unknown layer kind, dangling name, cycle, or shapes that do not fit; the place is a path in "
        + "the JSON.",
      do: "Formats/network.md has every key."),
    ErrorEntry(
      809, exit: "2", "a fraction that would be read through floating point",
      "0.1 is no binary fraction; which one a reader makes of it would decide bytes.",
      do: "Write \"0.1\" or \"1/10\", as a string."),
  ]

  /// 09xx: models and journals.
  static let records: [ErrorEntry] = [
    ErrorEntry(
      901, exit: "4", "written by a newer version",
      "The format or the arithmetic is one that this program does not know.", do: "Update Tally."),
    ErrorEntry(
      902, exit: "3, or 1 in verify", "a model file that breaks the format",
      "A digest, an offset, an alignment or a field is not what Formats/model.md demands.",
      do: "Copy it again, or make it again from its checkpoint."),
    ErrorEntry(
      903, exit: "2, or 1 in verify", "the journal is of another run",
      "It binds the digests of model, data and recipe; one of them is not this one.",
      do: "tally inspect RUN.tlj prints them."),
    ErrorEntry(
      904, exit: "1", "the journal's chain breaks, or the run does not come out as it says",
      "Records were changed, moved or lost, or the run was not made by this arithmetic.",
      do: "tally bisect finds where two runs part."),
    ErrorEntry(
      905, exit: "1", "results that do not follow from the run",
      "The journal's figures are not those of its own records.", do: "Do not rely on them."),
    ErrorEntry(
      906, exit: "4", "it cannot be checked", "Data, validation data or records are missing.",
      do: "Give what the message names."),
    ErrorEntry(
      907, exit: "2", "two runs that were never meant to be the same",
      "Their journals bind different models, data or recipes, so where they part says nothing.",
      do: "Compare runs of one recipe on one model and data."),
    ErrorEntry(
      999, exit: "101", "internal error", "A fault of this program.",
      do: "Report it with the command line."),
  ]
}
