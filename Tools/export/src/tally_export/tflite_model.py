"""TensorFlow Lite models as ONNX: float ones as they are, int8 ones as QDQ.

In a QDQ graph every quantised tensor is a float value behind a QuantizeLinear and a
DequantizeLinear with the file's own scale and zero point, and weights and biases are the file's
own integers behind a DequantizeLinear. `tally convert` takes these over unchanged.
"""

import numpy as np

from tally_export.errors import Blockers, ExportError, Unsupported
from tally_export.exported import Exported, axes_words
from tally_export.graph import Graph, Value
from tally_export.libraries import has_library, library
from tally_export.tflite_file import Operator, Tensor, TFLiteModel, read_model
from tally_export.tflite_operators import ADVICE, MOVING_OPERATORS, SHAPE_OPERATORS, WRITERS

INTEGER_TYPES = {"INT8": np.int8, "UINT8": np.uint8}


def export(path: str) -> Exported:
    model = read_model(path)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            304, f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs",
            place=path, note="Tally runs networks with one of each", exit=4,
        )  # fmt: skip
    source = model.tensors[model.inputs[0]]
    if any(size is None for size in source.shape[1:]) or source.shape[:1] != (None,):
        raise ExportError(
            308, f"the input's shape is {source.shape}", place=path,
            note="the first axis must be a batch of 1, the others fixed", exit=4,
        )  # fmt: skip
    writer = _Writer(model)
    output = writer.write()
    writer.blockers.check(
        path, "the operators that are supported are listed in Tools/export/README.md"
    )
    notes = []
    limits = None
    if source.quantization is not None and source.dtype in INTEGER_TYPES:
        kind = np.iinfo(INTEGER_TYPES[source.dtype])
        scale = float(source.quantization.scales[0])
        zero = int(source.quantization.zero_points[0])
        limits = ((kind.min - zero) * scale, (kind.max - zero) * scale)
        offset = f"q + {-zero}" if zero <= 0 else f"q − {zero}"
        notes.append(
            f"the file's input is {source.dtype.lower()}; the ONNX input is its real value, "
            f"({offset}) · {scale:.9g}, from {limits[0]:.6g} to {limits[1]:.6g}"
        )
    if writer.hybrid_layers:
        notes.append(
            f"{writer.hybrid_layers} layers have int8 weights and float values: LiteRT rounds the "
            "values of such layers to 8 bits while it runs; the export does not"
        )
    logits = writer.before_softmax()
    compared = writer.value(logits)
    # The output is put into the source's order; what stands before it may not be.
    moved = compared.channels_first
    if moved:
        logits = model.outputs[0]
    result = model.tensors[logits]
    return Exported(
        writer.graph.model(output),
        lambda inputs: run_interpreter(interpreter(path), source, result, inputs, logits),
        source.shape[1:], axes_words(source.shape[1:], channels_first=False),
        input_limits=limits, compared=None if moved else compared.name, notes=notes,
        rounds=writer.hybrid_layers > 0 or result.dtype in INTEGER_TYPES,
        step=float(result.quantization.scales[0]) if result.dtype in INTEGER_TYPES else None,
    )  # fmt: skip


class _Writer:
    """Writes the operators that the output depends on."""

    def __init__(self, model: TFLiteModel):
        self.model = model
        self.graph = Graph("tflite")
        self.blockers = Blockers()
        self.hybrid_layers = 0
        self._values = {}

    def before_softmax(self) -> int:
        """The tensor that the last layer gives before its softmax, if it has one."""
        output = self.model.outputs[0]
        for operator in self.model.operators:
            if output in operator.outputs and operator.kind in ("SOFTMAX", "QUANTIZE"):
                return operator.inputs[0] if operator.kind == "SOFTMAX" else output
        return output

    def write(self) -> Value:
        source = self.tensor(self.model.inputs[0])
        value = self.graph.input(source.name, source.shape)
        try:
            value = self._quantized(value, source)
        except Unsupported as reason:
            self.blockers.add("input", source.name, reason)
        self._values[self.model.inputs[0]] = value
        for operator in self._needed():
            self._values[operator.outputs[0]] = self._operator(operator)
        output = self.model.outputs[0]
        if output not in self._values:
            raise ExportError(504, "no operator makes the model's output", exit=3)
        return self._values[output]

    def _needed(self) -> list:
        """In the file's order; shapes that are computed are not looked at."""
        wanted, needed = {self.model.outputs[0]}, []
        for operator in reversed(self.model.operators):
            if not wanted.intersection(operator.outputs):
                continue
            if operator.kind == "DEQUANTIZE" and self.tensor(operator.inputs[0]).data is not None:
                continue  # a constant, see constant_tensor
            needed.append(operator)
            is_shape = operator.kind in SHAPE_OPERATORS
            wanted.update(operator.inputs[:1] if is_shape else operator.inputs)
        return needed[::-1]

    def _operator(self, operator: Operator) -> Value:
        output = self.tensor(operator.outputs[0])
        try:
            if operator.kind not in WRITERS:
                raise Unsupported(ADVICE.get(operator.kind, "no form in ONNX is known here"))
            if len(operator.outputs) != 1:
                raise Unsupported(f"{len(operator.outputs)} outputs")
            value = WRITERS[operator.kind](self, operator)
            if value.shape != output.shape:
                raise Unsupported(f"gives {value.shape}, the file says {output.shape}")
            moved = operator.kind in MOVING_OPERATORS
            if moved and self._same_integers(operator.inputs[0], operator.outputs[0]):
                return value
            return self._quantized(value, output)
        except Unsupported as reason:
            self.blockers.add(operator.kind, output.name, reason)
            return Value("unsupported", output.shape)

    def _same_integers(self, first: int, second: int) -> bool:
        a, b = self.tensor(first), self.tensor(second)
        if a.quantization is None or b.quantization is None:
            return False
        return a.dtype == b.dtype and all(
            np.array_equal(getattr(a.quantization, part), getattr(b.quantization, part))
            for part in ("scales", "zero_points")
        )

    # Tensors as operators see them

    def tensor(self, index: int) -> Tensor:
        return self.model.tensors[index]

    def value(self, index: int) -> Value:
        """A computed operand."""
        if index not in self._values:
            raise Unsupported("an operand is constant or missing")
        return self._values[index]

    def operand(self, index: int):
        """A computed operand, or the real values of a constant one."""
        return self._values[index] if index in self._values else self.real(index)

    def constant_tensor(self, index: int) -> Tensor:
        """A constant; 16-bit floats that the file widens when it runs are constants too."""
        tensor = self.tensor(index)
        if tensor.data is not None:
            return tensor
        for operator in self.model.operators:
            if operator.outputs[:1] == [index] and operator.kind == "DEQUANTIZE":
                origin = self.tensor(operator.inputs[0])
                if origin.data is not None:
                    return origin
        raise Unsupported(f"'{tensor.name}' is computed from the data")

    def integers(self, index: int) -> np.ndarray:
        return np.atleast_1d(self.constant_tensor(index).data)

    def real(self, index: int) -> np.ndarray:
        """The real values of a constant."""
        tensor = self.constant_tensor(index)
        data = tensor.data.astype(np.float32)
        if tensor.quantization is None:
            return data
        shape = [1] * data.ndim
        if not tensor.quantization.is_per_tensor:
            shape[tensor.quantization.axis] = -1
        zero = tensor.quantization.zero_points.astype(np.float32).reshape(shape)
        return (data - zero) * tensor.quantization.scales.reshape(shape)

    def weights(self, operator: Operator, permutation: tuple, layer: str) -> str:
        """The name of an operator's weights with their axes moved: floats, or the file's integers
        behind a DequantizeLinear."""
        tensor, name = self.constant_tensor(operator.inputs[1]), f"{layer}.weight"
        data = tensor.data.transpose(permutation)
        if tensor.quantization is None:
            if data.dtype not in (np.float32, np.float16):
                raise Unsupported(f"weights of type {tensor.dtype}")
            return self.graph.constant(name, data.astype(np.float32))
        if tensor.dtype not in INTEGER_TYPES:
            raise Unsupported(f"weights of type {tensor.dtype}")
        if self.tensor(operator.inputs[0]).quantization is None:
            self.hybrid_layers += 1
        axis = permutation.index(tensor.quantization.axis)
        return self._dequantized(tensor, data, axis, name)

    def bias(self, operator: Operator, layer: str) -> str | None:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return None
        tensor, name = self.constant_tensor(operator.inputs[2]), f"{layer}.bias"
        if tensor.quantization is None:
            return self.graph.constant(name, tensor.data.astype(np.float32))
        if tensor.dtype != "INT32":
            raise Unsupported(f"biases of type {tensor.dtype}")
        return self._dequantized(tensor, tensor.data, 0, name)

    def _dequantized(self, tensor: Tensor, data: np.ndarray, axis: int, name: str) -> str:
        stated = tensor.quantization
        scales, zero = stated.scales, stated.zero_points.astype(data.dtype)
        if stated.is_per_tensor:
            scales, zero = scales.reshape(()), zero.reshape(())
        inputs = [self.graph.constant(name, data), self.graph.constant(f"{name}_scale", scales)]
        if tensor.dtype in INTEGER_TYPES:
            inputs.append(self.graph.constant(f"{name}_zero_point", zero))
        attributes = {} if stated.is_per_tensor else {"axis": axis}
        return self.graph.node(
            "DequantizeLinear", inputs, data.shape, name=f"{name}_dequantized", **attributes
        ).name

    def _quantized(self, value: Value, tensor: Tensor) -> Value:
        """The value as the file's integers hold it."""
        if tensor.quantization is None:
            if tensor.dtype != "FLOAT32":
                raise Unsupported(f"a value of type {tensor.dtype}")
            return value
        if tensor.dtype not in INTEGER_TYPES:
            raise Unsupported(
                f"a value of type {tensor.dtype}: quantise to int8, without 16-bit activations"
            )
        if not tensor.quantization.is_per_tensor:
            raise Unsupported("a value with a scale per channel")
        kind = INTEGER_TYPES[tensor.dtype]
        scale = self.graph.constant(f"{value.name}_scale", tensor.quantization.scales[0])
        zero = self.graph.constant(
            f"{value.name}_zero_point", kind(tensor.quantization.zero_points[0])
        )
        integers = self.graph.like(
            value, "QuantizeLinear", scale, zero, name=f"{value.name}_quantized"
        )
        return self.graph.like(
            integers, "DequantizeLinear", scale, zero, name=f"{value.name}_real"
        )

    def layer_name(self, operator: Operator, weights: Tensor | None = None) -> str:
        """What the layer was called before it was converted, as far as the file still says:
        "model/conv2d_1/Conv2D;…" is conv2d_1."""
        name = (weights or self.tensor(operator.outputs[0])).name.split(";")[0]
        parts = [part for part in name.split("/") if part]
        while len(parts) > 1 and parts[-1].rstrip("0123456789") in OPERATION_WORDS:
            parts.pop()
        return self.graph.unique(parts[-1] if parts else operator.kind.lower())


# What TensorFlow puts behind a layer's name: the operation it is made of. A number may follow.
OPERATION_WORDS = {
    "AvgPool", "BiasAdd", "Conv", "Conv2D", "Const", "depthwise", "FusedBatchNormV", "MatMul",
    "MaxPool", "Mean", "Pad", "ReadVariableOp", "Relu", "Reshape", "resource", "separable_conv",
    "Softmax",
}  # fmt: skip


def interpreter(path: str):
    """LiteRT's own kernels on one thread, from whichever official package is there; values
    between the layers can be read."""
    if has_library("ai_edge_litert") or not has_library("tensorflow"):
        purpose = "to hold the export against its source"
        module = library("ai_edge_litert.interpreter", purpose=purpose)
        kinds = module.OpResolverType
    else:
        module = library("tensorflow", purpose="to run .tflite files").lite
        kinds = module.experimental.OpResolverType
    try:
        runner = module.Interpreter(
            model_path=path, num_threads=1, experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )  # fmt: skip
        runner.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ExportError(
            1007, "LiteRT does not run the file, so nothing can be compared", place=path,
            note=str(error).splitlines()[0], help="--no-check writes the export all the same",
            exit=4,
        ) from None  # fmt: skip
    return runner


def run_interpreter(
    runner, source: Tensor, result: Tensor, inputs: np.ndarray, index: int | None = None
) -> np.ndarray:
    """Real inputs through LiteRT, one by one; the real values of its output or of another tensor,
    `result`, at `index`."""
    feed = runner.get_input_details()[0]["index"]
    fetch = runner.get_output_details()[0]["index"] if index is None else index
    outputs = []
    for sample in inputs:
        runner.set_tensor(feed, _to_integers(sample, source)[None])
        runner.invoke()
        outputs.append(_to_real(runner.get_tensor(fetch)[0], result))
    return np.stack(outputs)


def _to_integers(real: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Rounded to nearest, ties to even: as QuantizeLinear does."""
    if tensor.dtype not in INTEGER_TYPES:
        return real.astype(np.float32)
    kind = INTEGER_TYPES[tensor.dtype]
    stated = tensor.quantization
    rounded = np.rint(real.astype(np.float32) / stated.scales[0]) + stated.zero_points[0]
    return np.clip(rounded, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)


def _to_real(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    if tensor.dtype not in INTEGER_TYPES:
        return values
    stated = tensor.quantization
    return (values.astype(np.float32) - stated.zero_points[0]) * stated.scales[0]
