"""An ONNX graph under construction, for sources that keep channels last.

Keras and TensorFlow Lite count axes as batch, height, width, channels; ONNX convolves with the
channels behind the batch. A `Value` therefore knows its shape as the source counts it and whether
the ONNX value has its channels first; a Transpose is written only where the two orders meet.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Value:
    """A computed value."""

    name: str
    # As the source counts: the batch, open (None), first; the channels last.
    shape: tuple
    channels_first: bool = False

    @property
    def rank(self) -> int:
        return len(self.shape)


class Graph:
    """Collects nodes and constants; every name is made unique."""

    def __init__(self, name: str):
        self.name = name
        self._names = set()
        self._nodes = []
        self._constants = []
        self._inputs = []
        self._moved = {}

    def unique(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self._names:
            candidate, number = f"{name}_{number}", number + 1
        self._names.add(candidate)
        return candidate

    def input(self, name: str, shape: tuple) -> Value:
        """The network's float32 input; its batch is open."""
        name = self.unique(name)
        dimensions = ["batch", *shape[1:]]
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions))
        return Value(name, tuple(shape))

    def constant(self, name: str, array) -> str:
        name = self.unique(name)
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(
        self, operator: str, inputs: list, shape: tuple, *, name: str, channels_first=False,
        **attributes,
    ) -> Value:  # fmt: skip
        """Appends a node with one output, named after the layer `name`."""
        output = self.unique(name)
        path = self.unique(f"{name}/{operator}")
        self._nodes.append(helper.make_node(operator, inputs, [output], name=path, **attributes))
        return Value(output, tuple(shape), channels_first)

    def like(self, value: Value, operator: str, *constants, name: str, **attributes) -> Value:
        """A node whose output has the shape and order of its first input."""
        return self.node(
            operator, [value.name, *constants], value.shape, name=name,
            channels_first=value.channels_first, **attributes,
        )  # fmt: skip

    def channels_first(self, value: Value) -> Value:
        """The value with its channels behind the batch."""
        if value.channels_first or value.rank < 3:
            return value
        return self._transposed(value, [0, value.rank - 1, *range(1, value.rank - 1)], True)

    def channels_last(self, value: Value) -> Value:
        """The value with its axes as the source counts them."""
        if not value.channels_first:
            return value
        return self._transposed(value, [0, *range(2, value.rank), 1], False)

    def _transposed(self, value: Value, permutation: list, channels_first: bool) -> Value:
        if value.name not in self._moved:
            order = "channels_first" if channels_first else "channels_last"
            moved = self.node(
                "Transpose", [value.name], value.shape, name=f"{value.name}/{order}",
                channels_first=channels_first, perm=permutation,
            )  # fmt: skip
            self._moved[value.name] = moved
            self._moved[moved.name] = value
        return self._moved[value.name]

    def model(self, output: Value, *, name: str = "output") -> onnx.ModelProto:
        """The finished model; its output has the source's order of axes."""
        output = self.channels_last(output)
        last = self.node("Identity", [output.name], output.shape, name=name)
        dimensions = ["batch", *output.shape[1:]]
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs,
            [helper.make_tensor_value_info(last.name, TensorProto.FLOAT, dimensions)],
            self._constants,
        )  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="tally-export",
        )  # fmt: skip
        return model
