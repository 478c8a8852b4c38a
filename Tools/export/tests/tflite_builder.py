"""Small .tflite files, written with the official schema."""

import flatbuffers
import numpy as np
import tflite

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int16": 7, "int8": 9}

# Those that know int8 with scales per channel, or more options, than the first.
VERSIONS = {
    "ADD": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2, "FULLY_CONNECTED": 4,
    "RELU": 2,
}  # fmt: skip


class Builder:
    """Tensors and operators in order; tensor 0 is the input, the last one made the output."""

    def __init__(self):
        self.tensors = []
        self.operators = []

    def tensor(self, shape, dtype="float32", data=None, scale=None, zero=0, axis=0, name=None):
        """Its index. `scale` is a number, or one per index of `axis`."""
        name = name or f"tensor{len(self.tensors)}"
        scales = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        self.tensors.append((name, tuple(shape), dtype, data, scales, zero, axis))
        return len(self.tensors) - 1

    def constant(self, array, **quantization):
        array = np.asarray(array)
        return self.tensor(array.shape, array.dtype.name, array, **quantization)

    def operator(self, kind: str, inputs, output: int, options: str | None = None, **fields):
        """`options` is the schema's table, "Conv2DOptions", and `fields` its members."""
        self.operators.append((kind, list(inputs), output, options, fields))
        return output

    def build(self) -> bytes:
        b = flatbuffers.Builder(1024)
        kinds = list(dict.fromkeys(kind for kind, *_ in self.operators))
        codes = [self._code(b, kind) for kind in kinds]
        buffers = [self._buffer(b, None)]
        tensors = []
        for entry in self.tensors:
            index = 0
            if entry[3] is not None:
                index = len(buffers)
                buffers.append(self._buffer(b, entry[3]))
            tensors.append(self._tensor(b, entry, index))
        operators = [self._operator(b, kinds, entry) for entry in self.operators]
        tensors, operators = self._offsets(b, tensors), self._offsets(b, operators)
        inputs, outputs = self._integers(b, [0]), self._integers(b, [self.operators[-1][2]])
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operators)
        graph = tflite.SubGraphEnd(b)
        parts = [self._offsets(b, part) for part in (codes, [graph], buffers)]
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, parts[0])
        tflite.ModelAddSubgraphs(b, parts[1])
        tflite.ModelAddBuffers(b, parts[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    @staticmethod
    def _offsets(b, offsets):
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    @staticmethod
    def _integers(b, values):
        return b.CreateNumpyVector(np.asarray(values, np.int32))

    @staticmethod
    def _code(b, kind):
        number = getattr(tflite.BuiltinOperator, kind)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(b, number)
        tflite.OperatorCodeAddVersion(b, VERSIONS.get(kind, 1))
        return tflite.OperatorCodeEnd(b)

    @staticmethod
    def _buffer(b, data):
        content = None
        if data is not None:
            # The interpreter wants tensors aligned.
            raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            b.StartVector(1, len(raw), 16)
            b.head -= len(raw)
            b.Bytes[b.head : b.head + len(raw)] = raw.tobytes()
            content = b.EndVector()
        tflite.BufferStart(b)
        if content is not None:
            tflite.BufferAddData(b, content)
        return tflite.BufferEnd(b)

    def _tensor(self, b, entry, buffer):
        name, shape, dtype, _, scales, zero, axis = entry
        quantization = None
        if scales is not None:
            scale_vector = b.CreateNumpyVector(scales)
            zero_vector = b.CreateNumpyVector(np.full(len(scales), zero, np.int64))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scale_vector)
            tflite.QuantizationParametersAddZeroPoint(b, zero_vector)
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantization = tflite.QuantizationParametersEnd(b)
        sizes, text = self._integers(b, shape), b.CreateString(name)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sizes)
        tflite.TensorAddType(b, TYPES[dtype])
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, text)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    def _operator(self, b, kinds, entry):
        kind, inputs, output, options, fields = entry
        table = None
        if options is not None:
            vectors = {
                key: self._integers(b, value) for key, value in fields.items()
                if isinstance(value, (list, tuple))
            }  # fmt: skip
            getattr(tflite, f"{options}Start")(b)
            for key, value in fields.items():
                getattr(tflite, f"{options}Add{key}")(b, vectors.get(key, value))
            table = getattr(tflite, f"{options}End")(b)
        ins, outs = self._integers(b, inputs), self._integers(b, [output])
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, kinds.index(kind))
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)
