"""int8 .tflite models of published shapes with seeded random weights, for timing alone.

Written for the Tally project; no third-party code. Needs: pip install ai-edge-litert flatbuffers numpy
Quantised as the format's converter does it: activations per tensor, convolutions' weights per channel, those of fully
connected layers per tensor, int32 biases. Weights have He's variance, so that activations neither vanish nor saturate.
"""
import numpy as np

from _bench import require

require("flatbuffers", "flatbuffers")
import flatbuffers  # noqa: E402
schema = require("ai_edge_litert.schema_py_generated", "ai-edge-litert")


class Writer:
    """A chain of layers. `here` is the tensor that the next layer reads, `shape` its shape without the batch."""

    STEP = 1 / 48  # of every activation: 0…5.3 behind a rectifier, -2.7…2.6 elsewhere

    def __init__(self, shape):
        self.random = np.random.default_rng(0)
        self.graph, self.buffers, self.codes = schema.SubGraphT(), [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []
        self.here = self.activation(shape, is_rectified=False)
        self.graph.inputs = [self.here]

    # ---- Tensors

    def tensor(self, shape, kind, scales=None, zero=0, data=None, axis=0) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), kind, f"t{len(self.graph.tensors)}"
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(scales).astype(np.float32)
            tensor.quantization.zeroPoint = np.full(np.size(scales), zero, np.int64)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def activation(self, shape, is_rectified) -> int:
        self.shape, self.zero = tuple(shape), -128 if is_rectified else 0
        return self.tensor((1, *shape), schema.TensorType.INT8, self.STEP, self.zero)

    def parameters(self, shape, depth, channels, axis, per_channel) -> list[int]:
        """Weights whose products of `depth` terms keep the activations' magnitude, and biases."""
        weights = self.random.integers(-127, 128, shape).astype(np.int8)
        scales = np.sqrt(2 / depth) / 73  # 73: of uniform integers in -127…127, the root of the mean square
        if per_channel:
            scales = scales * self.random.uniform(0.7, 1.3, channels)
        biases = self.random.integers(-500, 500, channels).astype(np.int32)
        return [self.tensor(shape, schema.TensorType.INT8, scales, 0, weights, axis),
                self.tensor((channels,), schema.TensorType.INT32, self.STEP * scales, 0, biases)]

    # ---- Layers

    def operator(self, name, inputs, output, options, version=1):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = version
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.codes), inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator.builtinOptions = options
        self.codes.append(code)
        self.graph.operators.append(operator)
        self.here = output

    def options(self, kind, relu=False, stride=None, **values):
        options = getattr(schema, kind + "T")()
        if stride:
            options.strideH = options.strideW = stride
        if hasattr(options, "fusedActivationFunction"):
            options.fusedActivationFunction = getattr(schema.ActivationFunctionType, "RELU" if relu else "NONE")
        for name, value in values.items():
            setattr(options, name, value)
        return options

    def convolution(self, filters, kernel, stride=1):
        height, width, channels = self.shape
        shape = (filters, kernel, kernel, channels)
        inputs = [self.here, *self.parameters(shape, kernel * kernel * channels, filters, 0, True)]
        self.operator("CONV_2D", inputs, self.activation((-(-height // stride), -(-width // stride), filters), True),
                      self.options("Conv2DOptions", True, stride, padding=schema.Padding.SAME,
                                   dilationHFactor=1, dilationWFactor=1), 3)

    def depthwise(self, kernel, stride):
        height, width, channels = self.shape
        inputs = [self.here, *self.parameters((1, kernel, kernel, channels), kernel * kernel, channels, 3, True)]
        self.operator("DEPTHWISE_CONV_2D", inputs,
                      self.activation((-(-height // stride), -(-width // stride), channels), True),
                      self.options("DepthwiseConv2DOptions", True, stride, padding=schema.Padding.SAME,
                                   depthMultiplier=1, dilationHFactor=1, dilationWFactor=1), 3)

    def pool(self, name, size):
        height, width, channels = self.shape
        self.operator(name, [self.here], self.activation((height // size, width // size, channels), True),
                      self.options("Pool2DOptions", False, size, padding=schema.Padding.VALID,
                                   filterHeight=size, filterWidth=size), 2)

    def fully_connected(self, outputs, relu=True):
        depth = int(np.prod(self.shape))
        inputs = [self.here, *self.parameters((outputs, depth), depth, outputs, 0, False)]
        self.operator("FULLY_CONNECTED", inputs, self.activation((outputs,), relu),
                      self.options("FullyConnectedOptions", relu), 4)

    def flatten(self):
        shape = np.array([1, np.prod(self.shape)], np.int32)
        inputs = [self.here, self.tensor((2,), schema.TensorType.INT32, data=shape)]
        self.operator("RESHAPE", inputs, self.activation(shape[1:], True),
                      self.options("ReshapeOptions", newShape=shape))

    def file(self) -> bytes:
        model = schema.ModelT()
        model.version, model.description = 3, "seeded random weights"
        model.subgraphs, model.buffers, model.operatorCodes = [self.graph], self.buffers, self.codes
        self.graph.outputs = [self.here]
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def autoencoder() -> Writer:
    """MLPerf Tiny's anomaly detection."""
    net = Writer((640,))
    for outputs in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        net.fully_connected(outputs)
    net.fully_connected(640, relu=False)
    return net


def mobile_net() -> Writer:
    """MLPerf Tiny's visual wake words: MobileNetV1 of width 1/4."""
    net = Writer((96, 96, 3))
    net.convolution(8, 3, 2)
    for stride, filters in ((1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *5 * [(1, 128)], (2, 256), (1, 256)):
        net.depthwise(3, stride)
        net.convolution(filters, 1)
    net.pool("AVERAGE_POOL_2D", 3)
    net.flatten()
    net.fully_connected(2, relu=False)
    return net


def mnist7() -> Writer:
    """The convolutional network of the ONNX model zoo."""
    net = Writer((28, 28, 1))
    net.convolution(8, 5)
    net.pool("MAX_POOL_2D", 2)
    net.convolution(16, 5)
    net.pool("MAX_POOL_2D", 3)
    net.flatten()
    net.fully_connected(10, relu=False)
    return net


SHAPES = {"ad-autoencoder": autoencoder, "vww-mobilenet": mobile_net, "mnist-7": mnist7}
