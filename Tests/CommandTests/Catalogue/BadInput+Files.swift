import Foundation
import Importers

extension BadInput {
  /// Rows 1 to 9: any file.
  static let files: [BadInput] = [
    BadInput(1, "no such file", 101, 5) { $0.run("inspect", "none.npz") },
    BadInput(1, "a folder", 101, 5) { $0.run("inspect", $0.folder) },
    BadInput(1, "a path through a file", 101, 5) { $0.run("inspect", $0.path("d.npz/x.npy")) },
    BadInput(2, "empty file", 102, 3, [], "inspect", "bad-empty.bin"),
    BadInput(3, "unknown magic", 103, 3, [1, 2, 3, 4, 5, 6, 7, 8, 9], "inspect", "bad-magic.bin"),
    BadInput(4, "a name that contradicts the content", 104, 0) { box in
      try box.write(box.bytes("d.npz"), "d.csv")
      return box.run("eval", "m.tally", "--data", "d.csv")
    },
    BadInput(
      5, "Git LFS pointer", 105, 3,
      text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "inspect",
      "bad-pointer.onnx"),
    BadInput(
      5, "web page", 105, 3, text("<!DOCTYPE html><html><body>Sign in</body></html>"), "inspect",
      "bad-page.onnx"),
    BadInput(6, "a model cut in half", 106, 3) { box in
      let whole = try box.bytes("m.tally")
      try box.write(Array(whole.prefix(whole.count / 2)), "bad-cut.tally")
      return box.run("eval", "bad-cut.tally", "--data", "d.npz")
    },
    BadInput(6, "a NumPy array cut short", 106, 3) { box in
      let array = try NumpyArray.encoded(goodInputs)
      try box.write(array.dropLast(5), "bad-cut.npy")
      return box.run("eval", "m.tally", "--data", "bad-cut.npy")
    },
    BadInput(
      6, "safetensors cut short", 106, 3,
      safetensors(#"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#, [1, 2, 3]), "inspect",
      "bad-cut.safetensors"),
    BadInput(7, "bytes behind a model", 107, 3) { box in
      try box.write(box.bytes("m.tally") + [0], "bad-tail.tally")
      return box.run("inspect", "bad-tail.tally")
    },
    BadInput(
      7, "bytes behind safetensors", 107, 3,
      safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, [0, 80, 75, 3, 4]),
      "inspect", "bad-tail.safetensors"),
    fixture(7, "bytes behind an ONNX model", 107, 0, "mlp-legacy") { $0 += [0, 0, 0] },
    BadInput(9, "a pipe", 109, 5) { box in
      mkfifo(box.path("bad-pipe.npz"), 0o644)
      return box.run("inspect", "bad-pipe.npz")
    },
    BadInput(9, "a device", 109, 5) { $0.run("inspect", "/dev/zero") },
    BadInput(9, "a file above 2 GiB", 109, 5) { box in
      try box.write([], "bad-large.npz")
      // Sparse: it takes no room on the disk.
      truncate(box.path("bad-large.npz"), 2 << 30 + 1)
      return box.run("inspect", "bad-large.npz")
    },
    BadInput(9, "links in a circle", 109, 5) { box in
      let files = FileManager.default
      for (name, other) in [("a.npz", "b.npz"), ("b.npz", "a.npz")] {
        try files.createSymbolicLink(
          atPath: box.path(name), withDestinationPath: box.path(other))
      }
      return box.run("inspect", "a.npz")
    },
  ]
}
