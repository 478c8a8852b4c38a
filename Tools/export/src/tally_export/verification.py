"""Holds an exported model against its source on random inputs."""

from dataclasses import dataclass

import numpy as np

from tally_export.errors import ExportError
from tally_export.exported import Exported

COUNT = 8
# Largest difference, of the largest output: float kernels add in other orders.
FLOAT_TOLERANCE = 1e-4
# Root mean square of the differences, of the outputs' deviation. Integer kernels may round a tie to
# either side in every layer; measured are 1 to 3 % here, and 30 % and more for a wrong export.
INTEGER_TOLERANCE = 0.15


@dataclass
class Verdict:
    """How far the export is from its source on some inputs."""

    inputs: int
    largest: float  # absolute output of the source
    difference: float  # largest
    relative: float  # root mean square, of the outputs' deviation
    step: float | None  # of quantised outputs
    rounds: bool

    @property
    def passed(self) -> bool:
        if self.rounds:
            return self.relative <= INTEGER_TOLERANCE
        return self.difference <= FLOAT_TOLERANCE * max(self.largest, 1e-6)

    def __str__(self) -> str:
        text = (
            f"largest difference from the source on {self.inputs} random inputs: "
            f"{self.difference:.3g}, outputs up to {self.largest:.3g}"
        )
        if self.step is not None:
            text += f"; in steps of int8 {self.difference / self.step:.0f}"
        if self.rounds:
            text += f"; root mean square {100 * self.relative:.1f} % of the deviation"
        return text


def random_inputs(exported: Exported, seed: int) -> np.ndarray:
    """Half of them normal, half of them like bytes; of a quantised input all that it can hold."""
    generator = np.random.default_rng(seed)
    shape = (COUNT // 2, *exported.input_shape)
    if exported.input_limits is not None:
        low, high = exported.input_limits
        parts = [generator.uniform(low, high, shape) for _ in range(2)]
    else:
        parts = [generator.standard_normal(shape), generator.uniform(0, 255, shape)]
    return np.concatenate(parts).astype(np.float32)


def run_onnx(
    model, inputs: np.ndarray, *, batch: int | None = None, value: str | None = None
) -> np.ndarray:
    """The model's output, or the named value, by onnxruntime, node by node: nothing is fused, so
    that quantised values are rounded where the file says."""
    import onnx
    import onnxruntime

    if value is not None:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        del copy.graph.output[:]
        copy.graph.output.append(onnx.ValueInfoProto(name=value))
        model = copy

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    size = batch or len(inputs)
    outputs = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        full = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])
        outputs.append(session.run(None, {name: full})[0][: len(part)])
    return np.concatenate(outputs)


def verify(exported: Exported, seed: int = 1) -> Verdict:
    """Runs both; TLY1006 (exit 1) if they differ by more than rounding explains."""
    inputs = random_inputs(exported, seed)
    expected = np.asarray(exported.reference(inputs), np.float64)
    found = run_onnx(
        exported.model, inputs, batch=exported.batch, value=exported.compared
    ).astype(np.float64)
    if expected.shape != found.shape:
        raise ExportError(
            1006, f"the export gives {found.shape}, the source {expected.shape}", exit=1
        )
    if not np.isfinite(expected).all():
        raise ExportError(
            1006, "the source model gives NaN or infinity on random inputs", exit=1,
            help="check the checkpoint; --no-check writes the file all the same",
        )  # fmt: skip
    distance = expected - found
    deviation = max(float(expected.std()), 1e-12)
    verdict = Verdict(
        inputs=len(inputs), largest=float(np.abs(expected).max()),
        difference=float(np.abs(distance).max()),
        relative=float(np.sqrt((distance**2).mean())) / deviation,
        step=exported.step, rounds=exported.rounds,
    )  # fmt: skip
    if not verdict.passed:
        raise ExportError(
            1006, "the export does not compute what the source computes",
            note=str(verdict), exit=1,
            help="please report the model; --no-check writes the file all the same",
        )  # fmt: skip
    return verdict
