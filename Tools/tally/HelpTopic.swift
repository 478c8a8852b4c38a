/// What `tally help TOPIC` says beyond the verbs.
struct HelpTopic: Sendable {
  let name: String
  let summary: String
  let text: String

  static let all: [HelpTopic] = [
    models, data, recipes, memory, reproducing, status,
  ]

  private static let models = HelpTopic(
    name: "models", summary: "where a model comes from: checkpoints, descriptions, preparation",
    text: """
      tally convert reads ONNX (also with external data, also quantized) and, with --network,
      safetensors in one file or by the index of many. PyTorch, Keras and TensorFlow Lite files are
      turned into ONNX by Tools/export, with those formats' own libraries. tally inspect FILE says
      what is in any of them and what stands in the way of converting it.

      --calibrate DATA gives the ranges of activations: a few hundred training samples. What turns
      the file's numbers into the network's input is said once and kept in the model:

        --input-scale 1/255 --input-mean 0.485,0.456,0.406 --input-std 0.229,0.224,0.225

      stands for real = (x * scale - mean) / std. tally init makes an untrained network from a
      description in JSON; --data looks at what it will be trained on. Formats/network.md has the
      keys, Formats/model.md the bytes.
      """)

  private static let data = HelpTopic(
    name: "data", summary: "how samples are named, and which files are read",
    text: """
      DATA is one string, the same for every verb:

        digits.npz                      arrays x and y of an archive
        w.npz:images,labels             arrays of other names
        images.idx.gz,labels.idx.gz     MNIST's format, gzipped or not
        table.csv                       last column the label
        cifar:test_batch.bin            CIFAR-10 and CIFAR-100, binary version
        train.npz[0..<1437]             a range of samples, behind any of these

      A file's kind is told by its content. Labels are integers from 0; a y of several numbers
      per sample is a target. What the model wants done to the numbers (scale, mean, order of
      axes) was said when it was converted and is in the model. Formats/data.md has the rest.
      """)

  private static let recipes = HelpTopic(
    name: "recipes", summary: "what a recipe says, and its usual keys",
    text: """
      A recipe is JSON; comments and trailing commas are fine, and every key has a default:

        {"epochs": 5, "batch": 16, "learningRate": "0.05", "update": "all", "seed": 1}

      Fractions are strings ("0.05" or "1/20"), so that every machine reads the same number.
      microBatch bounds memory and is part of the arithmetic; update says what may change: all,
      last, biases, biases+last, scales, or layers by name. --set KEY=VALUE puts a value over the
      file's. tally train --dry-run prints the recipe as it is resolved, with its digest: that is
      what the journal binds. Formats/recipe.md has every key.
      """)

  private static let memory = HelpTopic(
    name: "memory", summary: "what a plan counts, and how to make it smaller",
    text: """
      tally plan says to the byte what a run will use: the arena is the plan, and the run asserts
      it. Flash is the model file, read in place; weights that a recipe does not change stay there.

      Smaller, in the order of what it saves: --set microBatch=1, an update scheme that stops
      early (biases+last, last), --set weights=int8, which drops the 32-bit masters. --budget
      256KiB makes the verb exit with 6 where it does not fit.
      """)

  private static let reproducing = HelpTopic(
    name: "reproducing", summary: "journals, verification and what is promised",
    text: """
      The same model, data, recipe and version of the arithmetic give the same bytes for every
      weight, logged number and counter after every step, on any processor.

      tally train writes a journal: a chain of hashes over every step. tally verify does the run
      again and compares. 0 means reproduced, 1 that it came out otherwise (and at which step),
      4 that something to check it with is missing. A journal that was cut, by a crash or by
      Ctrl-C, is good up to its last whole record, and tally train --resume goes on from there.
      """)

  private static let status = HelpTopic(
    name: "status", summary: "exit statuses, errors and output for programs",
    text: """
        0    done, or verified
        1    the check says no
        2    usage or recipe
        3    a file is malformed
        4    valid but unsupported, or cannot be checked
        5    input or output: exists, permission, disk full
        6    over the budget
        101  internal error
        130  interrupted by Ctrl-C, 143 by SIGTERM; the journal is whole

      Errors have a code: tally explain TLY0806 says more. --json prints exactly one object on
      standard output, for errors too; everything else is on standard error. Outputs are written
      beside their place and renamed, so there is never half a file, and nothing is replaced
      without --force. NO_COLOR and TERM=dumb are honoured.
      """)
}
