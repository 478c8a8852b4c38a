meta:
  id: tally_trace
  title: Tally trace
  file-extension: tlt
  license: Apache-2.0
  ks-version: 0.9
  endian: le
doc: |
  What one machine computes in some steps of a run. A trace of one step holds all values, one of
  several steps their digests.
doc-ref: Formats/trace.md
seq:
  - id: magic
    contents: [0x54, 0x4c, 0x59, 0x54, 0x52, 0x41, 0x43, 0x0a]
  - id: format_version
    type: u2
    valid: 1
  - id: arithmetic_version
    type: u2
    valid: 1
  - id: has_values
    type: u4
    valid:
      max: 1
  - id: first_step
    type: u4
  - id: step_count
    type: u4
    valid:
      min: 1
  - id: begin_length
    type: u4
    valid:
      min: 113
  - id: reserved
    contents: [0, 0, 0, 0]
  - id: head
    size: 32
    doc: h of the run's chain before the first step's record.
  - id: begin
    size: begin_length
    doc: Payload of the run's begin record (tally_journal).
  - id: begin_padding
    size: -begin_length & 3
  - id: body
    type: body
    size: _io.size - 64 - begin_length - (-begin_length & 3) - 32
  - id: digest
    size: 32
    doc: SHA-256 of everything before.
types:
  body:
    seq:
      - id: entries
        type: entry
        repeat: eos
  entry:
    seq:
      - id: phase
        type: u1
        enum: phase
      - id: kind
        type: u1
        enum: kind
      - id: width
        type: u1
        valid:
          min: 1
          max: 4
        doc: Bytes of a value, 1 or 4.
      - id: reserved
        contents: [0]
      - id: step
        type: u4
      - id: micro_batch
        type: u4
        doc: 0xffffffff for the whole step.
      - id: number
        type: u4
      - id: scale
        type: scale
      - id: count
        type: u4
      - id: reserved_2
        contents: [0, 0, 0, 0]
      - id: digest
        size: 16
        doc: The first bytes of the SHA-256 of the values.
      - id: values_1
        type: s1
        repeat: expr
        repeat-expr: count
        if: _root.has_values == 1 and width == 1
      - id: values_4
        type: s4
        repeat: expr
        repeat-expr: count
        if: _root.has_values == 1 and width == 4
      - id: padding
        size: -(count * width) & 3
        if: _root.has_values == 1
  scale:
    seq:
      - id: mantissa
        type: s4
      - id: exponent
        type: s4
enums:
  phase:
    0: before
    1: during
    2: after
  kind:
    1: weights
    2: biases
    3: weight_scales
    4: masters
    5: weight_velocities
    6: bias_velocities
    7: scale_velocities
    8: tensor_scales
    9: largest_gradient
    16: input
    17: output
    18: loss_gradient
    19: gradient
    20: bias_gradient
    21: weight_gradient
    22: differences
    23: perturbed_logits
    24: labels
    25: targets
