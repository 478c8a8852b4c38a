meta:
  id: tally_checkpoint
  title: Tally checkpoint
  file-extension: tlc
  license: Apache-2.0
  ks-version: 0.9
  endian: le
doc: |
  The state of a training run between two steps. How long its parts are, model and recipe say
  (SPEC 9.7), so the state is one field here.
doc-ref: Formats/checkpoint.md
seq:
  - id: magic
    contents: [0x54, 0x4c, 0x59, 0x43, 0x48, 0x4b, 0x50, 0x0a]
  - id: format_version
    type: u2
    valid: 1
  - id: arithmetic_version
    type: u2
    valid: 1
  - id: reserved
    contents: [0, 0, 0, 0]
  - id: steps_done
    type: u4
  - id: state_length
    type: u4
  - id: head
    size: 32
    doc: h of the journal's chain behind the last record of step steps_done - 1.
  - id: state
    size: state_length
  - id: digest
    size: 32
    doc: SHA-256 of everything before.
