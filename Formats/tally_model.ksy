meta:
  id: tally_model
  title: Tally model file
  file-extension: tally
  license: Apache-2.0
  ks-version: 0.9
  endian: le
  encoding: UTF-8
doc: |
  A neural network in integers: header, section table, sections at multiples of 64, SHA-256.
  This definition gives the layout; the rules that tie fields together (running sums, shapes,
  bounds) are in the prose.
doc-ref: Formats/model.md
seq:
  - id: header
    type: header
  - id: entries
    type: entry
    repeat: expr
    repeat-expr: header.section_count
instances:
  digest:
    pos: header.file_length - 32
    size: 32
    doc: SHA-256 of all bytes before it (SPEC 9.2).
types:
  scale:
    doc: m * 2^(e - 31); zero, or 2^30 <= m < 2^31.
    doc-ref: SPEC.md 3.2
    seq:
      - id: mantissa
        type: s4
      - id: exponent
        type: s4
        valid:
          min: -512
          max: 512
  header:
    doc-ref: Formats/model.md, Header
    seq:
      - id: magic
        contents: [0x54, 0x41, 0x4c, 0x4c, 0x59, 0x0d, 0x0a, 0x1a]
      - id: format_version
        type: u2
        valid: 1
      - id: arithmetic_version
        type: u2
        valid: 1
      - id: section_count
        type: u4
        valid:
          min: 2
          max: 8
      - id: file_length
        type: u4
        valid:
          max: 0x7fffffff
      - id: node_count
        type: u4
        valid:
          min: 1
          max: 4096
      - id: flags
        type: u4
        valid:
          max: 3
        doc: bit 0 initialised model; bit 1 data arrive as NCHW.
      - id: height
        type: u4
        valid:
          min: 1
      - id: width
        type: u4
        valid:
          min: 1
      - id: channels
        type: u4
        valid:
          min: 1
      - id: input_scale
        type: scale
      - id: input_zero_point
        type: s1
      - id: reserved
        contents: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  entry:
    doc-ref: Formats/model.md, Section table
    seq:
      - id: kind
        type: u4
        enum: section_kind
      - id: element_count
        type: u4
        valid:
          min: 1
      - id: offset
        type: u4
      - id: byte_length
        type: u4
    instances:
      body:
        io: _root._io
        pos: offset
        size: byte_length
        type:
          switch-on: kind
          cases:
            'section_kind::nodes': node_section
            'section_kind::weights': weight_section
            'section_kind::biases': bias_section
            'section_kind::weight_scales': scale_section
            'section_kind::tables': table_section
            'section_kind::input_maps': map_section
            'section_kind::names': name_section
            'section_kind::class_names': class_name_section
  node_section:
    seq:
      - id: nodes
        type: node
        repeat: eos
  node:
    doc-ref: Formats/model.md, Node record
    seq:
      - id: kind
        type: u1
        enum: node_kind
      - id: flags
        type: u1
        valid:
          max: 7
        doc: bit 0 accumulators; bit 1 one weight Scale per output channel; bit 2 average pooling counts padding.
      - id: zero_point
        type: s1
      - id: low
        type: s1
      - id: high
        type: s1
      - id: reserved_5
        contents: [0, 0, 0]
      - id: first_input
        type: u4
      - id: second_input
        type: u4
        doc: 0xFFFFFFFF where the kind has one input.
      - id: height
        type: u4
      - id: width
        type: u4
      - id: channels
        type: u4
      - id: output_scale
        type: scale
      - id: first_weight
        type: u4
      - id: first_bias
        type: u4
      - id: first_weight_scale
        type: u4
      - id: table
        type: u4
      - id: kernel
        type: u2
        repeat: expr
        repeat-expr: 2
      - id: stride
        type: u2
        repeat: expr
        repeat-expr: 2
      - id: dilation
        type: u2
        repeat: expr
        repeat-expr: 2
      - id: padding
        type: u2
        repeat: expr
        repeat-expr: 4
        doc: top, left, bottom, right.
      - id: groups
        type: u4
        valid:
          min: 1
      - id: slice_start
        type: u2
        repeat: expr
        repeat-expr: 3
      - id: slice_step
        type: u2
        repeat: expr
        repeat-expr: 3
      - id: slice_before
        type: u2
        repeat: expr
        repeat-expr: 3
      - id: reserved_94
        contents: [0, 0]
      - id: name_offset
        type: u4
      - id: name_length
        type: u4
        valid:
          max: 1024
      - id: reserved_104
        contents: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  weight_section:
    seq:
      - id: weights
        type: s1
        repeat: eos
        doc: -127 to 127.
  bias_section:
    seq:
      - id: biases
        type: s4
        repeat: eos
        doc: -25 000 000 to 25 000 000.
  scale_section:
    seq:
      - id: scales
        type: scale
        repeat: eos
  table_section:
    seq:
      - id: tables
        type: table
        repeat: eos
  table:
    doc-ref: SPEC.md 6.8
    seq:
      - id: values
        type: s1
        repeat: expr
        repeat-expr: 256
      - id: slopes
        type: s2
        repeat: expr
        repeat-expr: 256
        doc: Q12.
  map_section:
    seq:
      - id: maps
        type: input_map
        repeat: eos
  input_map:
    doc-ref: Formats/model.md, Input map; SPEC.md 5.4
    seq:
      - id: scale
        type: scale
      - id: sign
        type: u4
        valid:
          max: 1
        doc: 1 for negative.
      - id: reserved
        contents: [0, 0, 0, 0]
      - id: offset
        type: s8
        doc: Q32.
  name_section:
    seq:
      - id: text
        type: str
        size-eos: true
        doc: The names of all nodes, one behind the other.
  class_name_section:
    seq:
      - id: names
        type: class_name
        repeat: eos
  class_name:
    seq:
      - id: length
        type: u4
        valid:
          max: 1024
      - id: text
        type: str
        size: length
enums:
  section_kind:
    1: nodes
    2: weights
    3: biases
    4: weight_scales
    5: tables
    6: input_maps
    7: names
    8: class_names
  node_kind:
    1: convolution
    2: fully_connected
    3: max_pooling
    4: average_pooling
    5: add
    6: multiply
    7: concatenate
    8: table
    9: rescale
    10: slice_and_pad
    11: upsample
