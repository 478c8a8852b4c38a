import Importers
import TallyTestSupport

extension BadInput {
  /// Rows 10 to 17, 37 and 38: safetensors, and networks described beside them.
  static let checkpoints: [BadInput] = [
    BadInput(
      10, "safetensors header longer than the file", 201, 3,
      [255, 255, 0, 0, 0, 0, 0, 0] + text("{}"), "inspect", "bad-header.safetensors"),
    BadInput(
      10, "safetensors header above 100 MB", 201, 3, [0, 0, 0, 0, 1, 0, 0, 0] + text("{}"),
      "inspect", "bad-header.safetensors"),
    BadInput(
      11, "safetensors header that is no JSON", 202, 3, safetensors("{\"a\": nonsense}"), "inspect",
      "bad-json.safetensors"),
    BadInput(
      11, "safetensors header that is not UTF-8", 202, 3,
      [5, 0, 0, 0, 0, 0, 0, 0] + text("{\"") + [0xC3, 0x28] + text("}"), "inspect",
      "bad-text.safetensors"),
    BadInput(
      12, "a tensor named twice", 203, 3,
      safetensors(
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
          + #""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, [0]), "inspect",
      "bad-twice.safetensors"),
    BadInput(
      13, "tensors that overlap", 204, 3,
      safetensors(
        #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"#
          + #""b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, [0, 0, 0]), "inspect",
      "bad-overlap.safetensors"),
    BadInput(
      13, "a hole between tensors", 204, 3,
      safetensors(
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
          + #""b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#, [0, 0, 0]), "inspect",
      "bad-hole.safetensors"),
    BadInput(
      13, "a tensor that ends before it begins", 204, 3,
      safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#, [0]), "inspect",
      "bad-ends.safetensors"),
    BadInput(
      14, "a length that is not shape times type", 205, 3,
      safetensors(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      "inspect", "bad-length.safetensors"),
    BadInput(
      14, "a shape whose product overflows", 205, 3,
      safetensors(
        #"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#,
        [0, 0, 0, 0]), "inspect", "bad-shape.safetensors"),
    BadInput(
      14, "a negative size", 205, 3,
      safetensors(#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      "inspect", "bad-size.safetensors"),
    BadInput(
      15, "an 8-bit float tensor", 206, 4,
      safetensors(#"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#, [0, 0]),
      "inspect", "bad-type.safetensors"),
    BadInput(16, "weights without elements", 207, 4) { box in
      try box.write(described, "n.json")
      try box.write(
        safetensors(#"{"a.weight":{"dtype":"F32","shape":[0,2],"data_offsets":[0,0]}}"#),
        "w.safetensors")
      return box.run(
        "convert", "w.safetensors", "--network", "n.json", "-o", "out.tally", "--calibrate", "none")
    },
    sketch(16, "weights of an ONNX layer without elements", 207, 4) {
      $0.initializers = []
      $0.floats("w", [4, 0], [])
      $0.floats("b", [0], [])
    },
    BadInput(17, "parts of a checkpoint that are not there", 208, 3) { box in
      try box.write(described, "n.json")
      try box.write(
        text(
          #"{"weight_map": {"a.weight": "w-1.safetensors", "a.bias": "w-2.safetensors"}}"#),
        "w-index.json")
      return box.run(
        "convert", "w-index.json", "--network", "n.json", "-o", "out.tally", "--calibrate", "none")
    },
    BadInput(37, "weights whose names do not match the description", 407, 2) { box in
      try box.write(described, "n.json")
      try box.write(
        safetensors(
          #"{"b.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#,
          Array(repeating: 0, count: 8)),
        "w.safetensors")
      return box.run(
        "convert", "w.safetensors", "--network", "n.json", "-o", "out.tally", "--calibrate", "none")
    },
    BadInput(
      38, "weights without a description", 408, 4,
      safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, [0]), "convert",
      "bad-weights.safetensors", "-o", "out.tally", "--calibrate", "none"),
  ]

  /// One layer `a` of two inputs.
  private static let described = text(
    #"{"input": [2], "layers": [{"kind": "fullyConnected", "outputs": 1, "name": "a"}]}"#)
}
