meta:
  id: tally_journal
  title: Tally run journal
  file-extension: tlj
  license: Apache-2.0
  ks-version: 0.9
  endian: le
  encoding: UTF-8
doc: |
  What went into a training run, every step and the result, in a hash chain. A file that ends
  inside a record is torn; its good prefix is valid. The chain itself (SPEC 9.4) and the order of
  records are in the prose.
doc-ref: Formats/journal.md
seq:
  - id: magic
    contents: [0x54, 0x4c, 0x59, 0x4a, 0x52, 0x4e, 0x4c, 0x0a]
  - id: format_version
    type: u2
    valid: 1
  - id: arithmetic_version
    type: u2
    valid: 1
  - id: reserved
    contents: [0, 0, 0, 0]
  - id: records
    type: record
    repeat: eos
types:
  record:
    seq:
      - id: head
        type: u4
        doc: type + 256 * length of the payload.
      - id: payload
        size: length
        type:
          switch-on: kind
          cases:
            'record_kind::begin': begin
            'record_kind::kept': kept
            'record_kind::differences': differences
            'record_kind::step': step
            'record_kind::range': range
            'record_kind::root': root
            'record_kind::epoch': epoch
            'record_kind::end': end
            'record_kind::note': note
      - id: tag
        size: 8
        if: chained
        doc: First 8 bytes of the chain value behind this record.
    instances:
      kind:
        value: head & 0xff
        enum: record_kind
      length:
        value: head >> 8
      chained:
        value: (head & 0xff) < 0x80
  begin:
    doc-ref: Formats/journal.md, 0x01
    seq:
      - id: model_digest
        size: 32
      - id: data_digest
        size: 32
      - id: validation_digest
        size: 32
        doc: Zeros if there are no validation data.
      - id: samples
        type: u4
      - id: validation_samples
        type: u4
      - id: planned_steps
        type: u4
      - id: reserved
        contents: [0, 0, 0, 0]
      - id: recipe
        type: recipe
        size-eos: true
  recipe:
    doc-ref: Formats/recipe.md, Canonical bytes
    seq:
      - id: magic
        contents: [0x54, 0x4c, 0x59, 0x52]
      - id: recipe_version
        type: u2
        valid: 1
      - id: arithmetic_version
        type: u2
        valid: 1
      - id: seed
        type: u8
      - id: epochs
        type: u4
        valid:
          max: 1000000
      - id: batch
        type: u4
        valid:
          min: 1
      - id: micro_batch
        type: u4
        valid:
          min: 1
      - id: method
        type: u1
        enum: method
      - id: weights
        type: u1
        enum: weights_mode
      - id: loss
        type: u1
        enum: loss
      - id: ranges
        type: u1
        enum: ranges_mode
      - id: learning_rates
        type: scale
        repeat: expr
        repeat-expr: 4
        doc: weights, biases, head, scales.
      - id: weight_decay
        type: scale
      - id: trust_ratio
        type: scale
      - id: norm_clip
        type: scale
      - id: clip
        type: u4
        valid:
          min: 1
          max: 128
      - id: momentum
        type: u2
        valid:
          max: 32440
        doc: Q15.
      - id: schedule
        type: u1
        enum: schedule
      - id: reserved_95
        contents: [0]
      - id: warm_up
        type: u4
      - id: range_period
        type: u4
        valid:
          min: 2
      - id: root_every
        type: u4
        valid:
          min: 1
      - id: factor_count
        type: u4
      - id: node_count
        type: u4
        valid:
          min: 1
          max: 4096
      - id: block_count
        type: u4
      - id: largest_steps
        type: u4
      - id: reserved_124
        contents: [0, 0, 0, 0]
      - id: factors
        type: u4
        repeat: expr
        repeat-expr: factor_count
        doc: Q30.
      - id: updates
        type: update
        repeat: expr
        repeat-expr: node_count
      - id: blocks
        type: block
        repeat: expr
        repeat-expr: block_count
  scale:
    doc-ref: SPEC.md 3.2
    seq:
      - id: mantissa
        type: s4
      - id: exponent
        type: s4
  update:
    seq:
      - id: flags
        type: u1
        valid:
          max: 7
        doc: bit 0 weights; bit 1 biases; bit 2 Scales.
      - id: rule
        type: u1
        enum: selection_rule
      - id: selected_channels
        type: u2
      - id: reserved
        contents: [0, 0, 0, 0]
  block:
    seq:
      - id: kind
        type: u4
        enum: block_kind
      - id: byte_length
        type: u4
      - id: body
        size: byte_length
        type:
          switch-on: kind
          cases:
            'block_kind::sparse_gradients': sparse_gradients
            'block_kind::zeroth_order': zeroth_order
            'block_kind::channel_lists': channel_lists
      - id: padding
        size: (4 - byte_length % 4) % 4
  sparse_gradients:
    doc-ref: Formats/recipe.md, block 1
    seq:
      - id: minimum
        type: u2
      - id: maximum
        type: u2
      - id: zeta
        type: u2
        doc: Q15, like minimum and maximum.
      - id: head_minimum
        type: u2
        valid:
          min: 2
      - id: decay
        type: u1
        valid:
          max: 30
      - id: reserved
        contents: [0, 0, 0]
  zeroth_order:
    doc-ref: Formats/recipe.md, block 2
    seq:
      - id: queries
        type: u2
        valid:
          min: 1
      - id: directions
        type: u1
        enum: directions
      - id: difference
        type: u1
        enum: difference
      - id: sign
        type: u1
        valid:
          max: 1
      - id: adapts_sigma
        type: u1
        valid:
          max: 1
      - id: sigma_weights
        type: u1
        valid:
          min: 1
          max: 63
      - id: sigma_nodes
        type: u1
        valid:
          min: 1
          max: 63
      - id: sigma_gains
        type: scale
      - id: sigma_logits
        type: scale
      - id: group_count
        type: u2
        valid:
          min: 1
      - id: reserved
        contents: [0, 0]
      - id: groups
        type: group
        repeat: expr
        repeat-expr: group_count
  group:
    seq:
      - id: node
        type: u4
      - id: coordinates
        type: u1
        enum: coordinates
      - id: steps
        type: u1
        valid:
          min: 1
      - id: span
        type: u2
        valid:
          min: 1
  channel_lists:
    doc-ref: Formats/recipe.md, block 3
    seq:
      - id: channels
        type: u2
        repeat: eos
        doc: Of one node after the other; each node's selected_channels says how many.
  kept:
    doc-ref: Formats/journal.md, 0x08
    seq:
      - id: step
        type: u4
      - id: node_count
        type: u4
      - id: nodes
        type: kept_node
        repeat: expr
        repeat-expr: node_count
  kept_node:
    seq:
      - id: selected
        type: u4
      - id: touched
        type: u4
      - id: active
        type: u4
  differences:
    doc-ref: Formats/journal.md, 0x09
    seq:
      - id: step
        type: u4
      - id: group
        type: u4
        valid:
          max: 65535
      - id: samples
        type: u4
      - id: differences
        type: s4
        repeat: eos
  step:
    doc-ref: Formats/journal.md, 0x02
    seq:
      - id: step
        type: u4
      - id: samples
        type: u4
      - id: loss
        type: s8
        doc: Sum, Q16.
      - id: correct
        type: u4
      - id: saturated
        type: u4
      - id: clipped
        type: u4
      - id: reserved
        contents: [0, 0, 0, 0]
      - id: batch_digest
        size: 8
  range:
    doc-ref: Formats/journal.md, 0x03
    seq:
      - id: step
        type: u4
        doc: 0xFFFFFFFF for the calibration.
      - id: number
        type: u4
      - id: kind
        type: u1
        enum: range_kind
      - id: change
        type: s1
      - id: reserved
        contents: [0, 0]
      - id: tail
        type: u4
      - id: count
        type: u4
  root:
    doc-ref: Formats/journal.md, 0x04
    seq:
      - id: step
        type: u4
      - id: state_root
        size: 32
  epoch:
    doc-ref: Formats/journal.md, 0x05
    seq:
      - id: epoch
        type: u4
      - id: samples
        type: u4
      - id: loss
        type: s8
      - id: correct
        type: u4
      - id: validation_samples
        type: u4
      - id: validation_loss
        type: s8
      - id: validation_correct
        type: u4
      - id: reserved
        contents: [0, 0, 0, 0]
  end:
    doc-ref: Formats/journal.md, 0x06
    seq:
      - id: steps
        type: u4
      - id: reserved
        contents: [0, 0, 0, 0]
      - id: model_digest
        size: 32
  note:
    doc-ref: Formats/journal.md, 0x81
    seq:
      - id: text
        type: str
        size-eos: true
enums:
  record_kind:
    1: begin
    2: step
    3: range
    4: root
    5: epoch
    6: end
    8: kept
    9: differences
    129: note
  range_kind:
    1: tensor
    2: weights
    3: sigma
  method:
    1: back_propagation
    2: zeroth_order
    3: hybrid
  selection_rule:
    0: all
    1: magnitude
    2: first
    3: random
    4: listed
  block_kind:
    1: sparse_gradients
    2: zeroth_order
    3: channel_lists
  directions:
    0: per_sample
    1: shared
  difference:
    0: antithetic
    1: forward
  coordinates:
    1: weights
    2: nodes
    3: inputs
    4: gain
    5: channel_gains
  weights_mode:
    1: masters
    2: int8
  loss:
    1: cross_entropy
    2: mean_squared_error
  ranges_mode:
    0: frozen
    1: track
  schedule:
    1: constant
    2: cosine
    3: step
