import Tally

/// What the readers say of each file of Formats/vectors/invalid. The faults are the files' names; the
/// codes are the runtime's, and stable.
enum InvalidFaults {
  static let models: [(code: ModelError.Code, files: [String])] = [
    (
      .notAModel,
      [
        "magic-line-ending-translated", "magic-wrong",
      ]
    ),
    (
      .unsupportedVersion,
      [
        "arithmetic-version-2", "format-version-0", "format-version-2",
      ]
    ),
    (
      .truncated,
      [
        "empty", "file-length-too-large", "truncated-in-digest", "truncated-in-header",
        "truncated-in-section-table", "truncated-in-weights",
      ]
    ),
    (
      .trailingBytes,
      [
        "file-length-too-small", "section-count-too-small", "trailing-byte",
      ]
    ),
    (
      .reservedNotZero,
      [
        "header-last-reserved-set", "header-reserved-set", "node-reserved-104-set",
        "node-reserved-127-set", "node-reserved-5-set", "node-reserved-7-set",
        "node-reserved-94-set", "padding-behind-last-section-set",
        "padding-behind-section-table-set", "padding-between-sections-set",
      ]
    ),
    (
      .badFlags,
      [
        "accumulators-not-last", "accumulators-of-pooling",
        "accumulators-with-scale-per-channel", "counts-padding-of-max-pooling",
        "header-flag-unknown", "node-flag-unknown", "scale-per-channel-of-pooling",
      ]
    ),
    (
      .badCount,
      [
        "file-length-of-2-31", "node-count-too-large", "node-count-zero",
        "section-count-too-large", "section-count-zero",
      ]
    ),
    (
      .badSection,
      [
        "gap-between-sections", "maps-section-missing", "node-count-disagrees-with-section",
        "nodes-section-missing", "section-beyond-the-end", "section-kind-repeated",
        "section-kind-unknown", "section-kind-zero", "section-length-disagrees-with-count",
        "section-offset-not-aligned", "section-offset-overflows", "section-without-elements",
        "sections-out-of-order", "sections-overlap",
      ]
    ),
    (
      .badShape,
      [
        "input-channels-zero", "input-height-zero", "input-shape-product-overflows",
        "input-too-large", "input-width-zero", "output-height-zero", "output-too-large",
        "shape-product-overflows",
      ]
    ),
    (
      .badScale,
      [
        "accumulators-with-another-scale", "input-scale-exponent-too-large",
        "input-scale-exponent-too-small", "input-scale-negative", "input-scale-not-normalised",
        "input-scale-zero", "map-scale-not-normalised", "map-scale-zero",
        "output-scale-exponent-too-large", "output-scale-not-normalised", "output-scale-zero",
        "output-scale-zero-mantissa-with-exponent", "weight-scale-exponent-too-small",
        "weight-scale-not-normalised", "weight-scale-zero",
      ]
    ),
    (
      .badQuantization,
      [
        "accumulators-with-bounds", "accumulators-with-zero-point", "low-above-high",
        "pooling-with-another-scale", "pooling-with-another-zero-point",
        "pooling-with-other-bounds",
      ]
    ),
    (
      .badKind,
      [
        "node-kind-unknown", "node-kind-zero",
      ]
    ),
    (
      .badInput,
      [
        "input-is-no-tensor", "reads-a-later-tensor", "reads-its-own-output",
        "second-input-is-a-later-tensor", "second-input-missing", "second-input-superfluous",
      ]
    ),
    (
      .badOutputShape,
      [
        "add-of-different-shapes", "concatenate-of-different-sizes",
        "groups-do-not-divide-channels", "kernel-larger-than-padded-input",
        "multiply-of-different-shapes", "multiply-repeats-over-too-many-positions",
        "output-channels-wrong", "output-of-fully-connected-not-a-vector", "output-width-wrong",
        "pooling-window-too-large", "unequal-pooling-window-too-large",
      ]
    ),
    (
      .badGeometry,
      [
        "dilation-of-pooling", "dilation-zero", "groups-where-none-are", "groups-zero",
        "kernel-too-large", "kernel-where-none-is", "kernel-zero", "padding-as-large-as-kernel",
        "padding-of-convolution-as-large-as-kernel", "padding-where-none-is",
        "slice-before-where-none-is", "slice-start-where-none-is", "slice-step-where-none-is",
        "slice-step-zero", "stride-where-none-is", "stride-zero",
      ]
    ),
    (
      .badOffset,
      [
        "biases-left-over", "biases-section-missing", "first-bias-not-running-sum",
        "first-weight-not-running-sum", "first-weight-of-pooling-not-running-sum",
        "first-weight-overflows", "first-weight-scale-not-running-sum", "names-left-over",
        "table-not-running-sum", "tables-left-over", "tables-section-missing",
        "weight-scales-left-over", "weight-scales-section-missing", "weights-left-over",
        "weights-section-missing",
      ]
    ),
    (
      .accumulatorTooLarge,
      [
        "too-many-weights-per-output"
      ]
    ),
    (
      .badWeight,
      [
        "weight-of-minus-128"
      ]
    ),
    (
      .badBias,
      [
        "bias-too-large", "bias-too-small",
      ]
    ),
    (
      .badName,
      [
        "class-name-beyond-section", "class-name-count-too-large", "class-name-not-utf8",
        "class-name-too-long", "class-names-do-not-fill-section", "name-beyond-section",
        "name-ends-inside-a-character", "name-not-utf8", "name-offset-not-running-sum",
        "name-overlong-utf8", "name-surrogate-utf8", "name-too-long", "names-section-missing",
      ]
    ),
    (
      .badMap,
      [
        "map-count-neither-one-nor-channels", "map-reserved-set", "map-sign-of-two",
      ]
    ),
    (
      .badAddition,
      [
        "add-without-fraction-bits"
      ]
    ),
    (
      .digestMismatch,
      [
        "digest-wrong", "weight-changed-without-digest",
      ]
    ),
  ]

  static let journals: [(code: JournalError.Code, files: [String])] = [
    (
      .notAJournal,
      [
        "magic-line-ending-translated", "magic-wrong",
      ]
    ),
    (
      .unsupportedVersion,
      [
        "arithmetic-version-2", "format-version-2",
      ]
    ),
    (
      .torn,
      [
        "empty", "header-only", "truncated-in-header",
      ]
    ),
    (
      .badRecord,
      [
        "begin-length-passes-the-end", "begin-reserved-set", "begin-too-short",
        "begin-validation-digest-without-samples", "end-length-passes-the-end",
        "end-reserved-set", "end-too-short", "epoch-reserved-set", "epoch-too-short",
        "header-reserved-set", "note-length-passes-the-end", "note-not-utf8",
        "range-change-of-zero", "range-kind-unknown",
        "range-reserved-set", "range-too-short", "record-type-unknown",
        "record-type-unknown-unchained", "record-type-zero", "root-too-long",
        "step-length-passes-the-end", "step-reserved-set", "step-too-long", "step-too-short",
      ]
    ),
    (
      .badOrder,
      [
        "begin-missing", "begin-repeated", "end-with-wrong-step-count", "epoch-out-of-order",
        "epoch-repeated", "first-step-not-zero", "note-before-begin", "range-behind-root",
        "range-of-calibration-behind-a-step", "range-of-calibration-names-a-step",
        "root-before-first-step", "root-of-another-step", "root-repeated",
        "step-and-root-swapped", "step-repeated", "step-skipped",
      ]
    ),
    (
      .chainBroken,
      [
        "chain-begin-changed", "chain-epoch-removed-at-the-end", "chain-last-tag-wrong",
        "chain-payload-changed", "chain-tag-wrong",
      ]
    ),
    (
      .trailingBytes,
      [
        "end-repeated", "note-behind-end", "step-behind-end",
      ]
    ),
  ]

  /// A recipe's fields stand at fixed places, so the offset says which one is refused.
  static let recipes: [(file: String, code: RecipeError.Code, offset: Int)] = [
    ("empty", .truncated, 0),
    ("magic-wrong", .notARecipe, 0),
    ("arithmetic-version-2", .unsupportedVersion, 4),
    ("recipe-version-2", .unsupportedVersion, 4),
    ("epochs-too-many", .badField, 16),
    ("batch-too-large", .badField, 20),
    ("batch-zero", .badField, 20),
    ("micro-batch-above-batch", .badField, 24),
    ("micro-batch-zero", .badField, 24),
    ("too-many-micro-batches", .badField, 24),
    ("method-unknown", .badField, 28),
    ("method-zero", .badField, 28),
    ("weights-mode-unknown", .badField, 29),
    ("weights-mode-zero", .badField, 29),
    ("loss-unknown", .badField, 30),
    ("loss-zero", .badField, 30),
    ("ranges-unknown", .badField, 31),
    ("rate-not-normalised", .badField, 32),
    ("rate-negative", .badField, 40),
    ("decay-exponent-too-large", .badField, 64),
    ("rate-of-head-times-decay-above-one", .badField, 64),
    ("rate-of-weights-times-decay-above-one", .badField, 64),
    ("trust-ratio-zero-mantissa-with-exponent", .badField, 72),
    ("clip-too-large", .badField, 88),
    ("clip-zero", .badField, 88),
    ("micro-batches-times-clip-too-large", .badField, 88),
    ("momentum-too-large", .badField, 92),
    ("schedule-unknown", .badField, 94),
    ("schedule-zero", .badField, 94),
    ("reserved-95-set", .badField, 95),
    ("warm-up-too-long", .badField, 96),
    ("range-period-of-one", .badField, 100),
    ("range-period-too-long", .badField, 100),
    ("root-every-zero", .badField, 104),
    ("factor-count-overflows", .badField, 108),
    ("factors-without-step-schedule", .badField, 108),
    ("step-schedule-without-factors", .badField, 108),
    ("node-count-too-large", .badField, 112),
    ("node-count-zero", .badField, 112),
    ("reserved-124-set", .badField, 124),
    ("truncated", .truncated, 127),
    ("factor-above-two", .badField, 128),
    ("update-flag-unknown", .badField, 128),
    ("update-last-reserved-set", .badField, 128),
    ("update-reserved-set", .badField, 128),
    ("updates-nothing", .badField, 128),
    ("truncated-in-nodes", .truncated, 151),
    ("extension-block-unknown", .badField, 152),
    ("extension-count-without-blocks", .truncated, 152),
    ("trailing-byte", .trailingBytes, 152),
  ]
}
