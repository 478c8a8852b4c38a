"""What a front end hands over: the ONNX model, and the source to hold it against."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Exported:
    model: Any  # onnx.ModelProto
    # float32 [count, *input_shape] → the source model's float32 [count, …].
    reference: Callable
    # Of one sample, as the file's input has it.
    input_shape: tuple
    # The meaning of those axes, such as "height, width, channels".
    axes: str
    # Real values the source's quantised input can hold, or None for a float model.
    input_limits: tuple | None = None
    # What to compare, where it is not the output: the name of a value in the model, which the
    # reference then gives. Softmax would hide differences, and magnify those of one step.
    compared: str | None = None
    # The step of a quantised value that is compared, or None for a float one.
    step: float | None = None
    # Whether the source rounds values to 8 bits while it runs.
    rounds: bool = False
    # The file fixes its batch at this many samples; None where it is open.
    batch: int | None = None
    notes: list = field(default_factory=list)


def axes_words(shape: tuple, *, channels_first: bool) -> str:
    """What the axes of a sample are called."""
    words = {3: ["height", "width", "channels"], 2: ["length", "channels"], 1: ["features"]}
    names = words.get(len(shape), [])
    if channels_first:
        names = names[-1:] + names[:-1]
    return ", ".join(names)
