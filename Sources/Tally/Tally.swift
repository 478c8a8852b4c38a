/// Tally: training neural networks in integers, with the same bytes everywhere.
///
/// This module re-exports the runtime. See Sources/README.md for what lies where.
@_exported public import Bytes
@_exported public import CounterRandom
@_exported public import FixedPoint
@_exported public import Journals
@_exported public import Kernels
@_exported public import Layers
@_exported public import ModelFormat
@_exported public import Tensors
@_exported public import Training
