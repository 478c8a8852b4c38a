"""A .tflite file through the official schema (the packages `tflite` and `flatbuffers`)."""

import struct
from dataclasses import dataclass, field

import numpy as np

from tally_export.errors import ExportError
from tally_export.libraries import library
from tally_export.output import read_file

PURPOSE = "to read .tflite files"


@dataclass
class Quantization:
    """real = (integer − zero point) · scale, per tensor or along one axis."""

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def is_per_tensor(self) -> bool:
        return len(self.scales) == 1


@dataclass
class Tensor:
    name: str
    # The batch is open (None) if it is 1 and the tensor is computed.
    shape: tuple
    dtype: str
    # The content of a constant.
    data: np.ndarray | None = None
    quantization: Quantization | None = None


@dataclass
class Operator:
    index: int
    kind: str
    inputs: list
    outputs: list
    # The operator's option table, or None.
    options: object = None


@dataclass
class TFLiteModel:
    tensors: list
    operators: list
    inputs: list
    outputs: list
    problems: list = field(default_factory=list)


DTYPES = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "UINT8": np.uint8,
    "INT64": np.int64, "INT16": np.int16, "INT8": np.int8, "BOOL": np.bool_,
    "FLOAT64": np.float64, "UINT32": np.uint32,
}  # fmt: skip


def read_model(path: str) -> TFLiteModel:
    """Raises TLY0504 for what is no .tflite file (exit 3) or has several graphs (exit 4)."""
    tflite = library("tflite", purpose=PURPOSE, also=("flatbuffers", "ai-edge-litert"))
    library("flatbuffers", purpose=PURPOSE)
    content = read_file(path)
    if content[4:8] != b"TFL3":
        raise ExportError(
            504, "this is not a TensorFlow Lite model", place=path,
            note="bytes 4 to 8 are not 'TFL3'", exit=3,
        )  # fmt: skip
    try:
        return _read(tflite, content, path)
    except (IndexError, struct.error, ValueError, TypeError, UnicodeDecodeError, KeyError) as error:
        raise ExportError(
            504, "the file is damaged", place=path, note=f"{type(error).__name__}: {error}",
            help="copy or download it again", exit=3,
        ) from None  # fmt: skip


def _read(tflite, content: bytes, path: str) -> TFLiteModel:
    model = tflite.Model.GetRootAsModel(content, 0)
    if model.SubgraphsLength() != 1:
        raise ExportError(
            504, f"the file holds {model.SubgraphsLength()} graphs", place=path,
            note="control flow and training signatures have graphs of their own", exit=4,
        )  # fmt: skip
    graph = model.Subgraphs(0)
    types = _names(tflite.TensorType)
    tensors = [
        _tensor(model, graph.Tensors(index), types, path) for index in range(graph.TensorsLength())
    ]
    kinds = _names(tflite.BuiltinOperator)
    options = {
        name: getattr(tflite, name) for name in _names(tflite.BuiltinOptions).values()
        if hasattr(tflite, name)
    }  # fmt: skip
    option_names = _names(tflite.BuiltinOptions)
    operators = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # Files from before 2020 have the short field only.
        kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if kind == "CUSTOM":
            kind = f"CUSTOM {code.CustomCode().decode()}"
        table = operator.BuiltinOptions()
        option = None
        if table is not None and option_names[operator.BuiltinOptionsType()] in options:
            option = options[option_names[operator.BuiltinOptionsType()]]()
            option.Init(table.Bytes, table.Pos)
        operators.append(
            Operator(
                index, kind,
                [operator.Inputs(i) for i in range(operator.InputsLength())],
                [operator.Outputs(i) for i in range(operator.OutputsLength())], option,
            )
        )  # fmt: skip
    result = TFLiteModel(
        tensors, operators, [graph.Inputs(i) for i in range(graph.InputsLength())],
        [graph.Outputs(i) for i in range(graph.OutputsLength())],
    )  # fmt: skip
    _check(result)
    return result


def _names(enumeration) -> dict:
    """Number → name of one of the schema's enumerations."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _check(model: TFLiteModel) -> None:
    count = len(model.tensors)
    for operator in model.operators:
        if any(not -1 <= index < count for index in operator.inputs + operator.outputs):
            raise IndexError(f"operator {operator.index} names a tensor that is not there")


def _tensor(model, tensor, types: dict, path: str) -> Tensor:
    name = tensor.Name().decode()
    shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
    dtype = types[tensor.Type()]
    if tensor.Sparsity() is not None:
        raise ExportError(309, "a sparse tensor", place=f"{path}, tensor '{name}'", exit=4)
    buffer = model.Buffers(tensor.Buffer())
    if buffer.DataLength() == 0 and getattr(buffer, "Offset", int)() > 1:
        raise ExportError(
            309, "weights outside of the flatbuffer", place=f"{path}, tensor '{name}'",
            note="only models above 2 GB have them", exit=4,
        )  # fmt: skip
    data = None
    if buffer.DataLength() > 0 and dtype in DTYPES:
        raw = buffer.DataAsNumpy().tobytes()
        data = np.frombuffer(raw, np.dtype(DTYPES[dtype]).newbyteorder("<")).reshape(shape)
    elif shape and shape[0] == 1:
        shape = (None, *shape[1:])
    return Tensor(name, shape, dtype, data, _quantization(tensor))


def _quantization(tensor) -> Quantization | None:
    stated = tensor.Quantization()
    if stated is None or stated.ScaleLength() == 0:
        return None
    count = stated.ScaleLength()
    scales = np.array([stated.Scale(i) for i in range(count)], np.float32)
    points = [stated.ZeroPoint(i) for i in range(stated.ZeroPointLength())] or [0] * count
    if len(points) == 1:
        points = points * count
    if len(points) != count or not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ValueError(f"the quantization of '{tensor.Name().decode()}'")
    return Quantization(scales, np.array(points, np.int64), stated.QuantizedDimension())
