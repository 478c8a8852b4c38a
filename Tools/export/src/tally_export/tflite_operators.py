"""Each TensorFlow Lite operator as ONNX nodes.

A function per operator: (writer, operator) → Value of its first output before it is quantised.
The writer quantises afterwards what the file has quantised.
"""

import numpy as np

from tally_export import layers
from tally_export.errors import Unsupported
from tally_export.graph import Value

ACTIVATIONS = {0: "linear", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}


def _padding(option) -> str:
    return "same" if option.Padding() == 0 else "valid"


def _fused(writer, value: Value, option, name: str) -> Value:
    kind = ACTIVATIONS[option.FusedActivationFunction()]
    return value if kind == "linear" else layers.activation(
        writer.graph, value, kind, f"{name}/{kind}"
    )  # fmt: skip


def convolution(writer, operator):
    option, x = operator.options, writer.value(operator.inputs[0])
    weights = writer.constant_tensor(operator.inputs[1])
    # [outputs, height, width, channels / groups]
    outputs, *kernel, depth = weights.shape
    name = writer.layer_name(operator, weights)
    value = layers.convolution(
        writer.graph, x, writer.weights(operator, (0, 3, 1, 2), name),
        writer.bias(operator, name), outputs=outputs, kernel=kernel,
        strides=(option.StrideH(), option.StrideW()),
        dilations=(option.DilationHFactor(), option.DilationWFactor()),
        padding=_padding(option), groups=x.shape[-1] // depth, name=name,
    )  # fmt: skip
    return _fused(writer, value, option, name)


def depthwise_convolution(writer, operator):
    option, x = operator.options, writer.value(operator.inputs[0])
    weights = writer.constant_tensor(operator.inputs[1])
    # [1, height, width, channels · multiplier]
    one, *kernel, outputs = weights.shape
    if one != 1 or outputs % x.shape[-1]:
        raise Unsupported(f"weights of shape {weights.shape}")
    name = writer.layer_name(operator, weights)
    value = layers.convolution(
        writer.graph, x, writer.weights(operator, (3, 0, 1, 2), name),
        writer.bias(operator, name), outputs=outputs, kernel=kernel,
        strides=(option.StrideH(), option.StrideW()),
        dilations=(option.DilationHFactor(), option.DilationWFactor()),
        padding=_padding(option), groups=x.shape[-1], name=name,
    )  # fmt: skip
    return _fused(writer, value, option, name)


def fully_connected(writer, operator):
    option, x = operator.options, writer.value(operator.inputs[0])
    if option.WeightsFormat() != 0:
        raise Unsupported("shuffled weights")
    weights = writer.constant_tensor(operator.inputs[1])
    outputs, inputs = weights.shape
    name = writer.layer_name(operator, weights)
    if not (option.KeepNumDims() and x.shape[-1] == inputs):
        x = layers.reshape(writer.graph, x, (inputs,), f"{name}/flat")
    value = layers.dense(
        writer.graph, x, writer.weights(operator, (0, 1), name),
        writer.bias(operator, name), outputs=outputs, name=name,
    )  # fmt: skip
    return _fused(writer, value, option, name)


def arithmetic(kind: str):
    def write(writer, operator):
        name = writer.layer_name(operator)
        left, right = (writer.operand(index) for index in operator.inputs)
        value = layers.arithmetic(writer.graph, kind, left, right, name)
        if operator.options is None:
            return value
        return _fused(writer, value, operator.options, name)

    return write


def pool(kind: str):
    def write(writer, operator):
        option, name = operator.options, writer.layer_name(operator)
        value = layers.pool(
            writer.graph, writer.value(operator.inputs[0]), kind,
            kernel=(option.FilterHeight(), option.FilterWidth()),
            strides=(option.StrideH(), option.StrideW()), padding=_padding(option), name=name,
        )  # fmt: skip
        return _fused(writer, value, option, name)

    return write


def reduction(kind: str):
    """Over height and width: pooling by another name."""

    def write(writer, operator):
        x = writer.value(operator.inputs[0])
        stated = writer.integers(operator.inputs[1])
        axes = sorted({int(axis) % x.rank for axis in stated})
        if axes != list(range(1, x.rank - 1)):
            raise Unsupported(f"over axes {axes} of {x.rank}")
        return layers.global_pool(
            writer.graph, x, kind, keeps_axes=operator.options.KeepDims(),
            name=writer.layer_name(operator),
        )  # fmt: skip

    return write


def reshape(writer, operator):
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the file states the shape of what comes out."""
    target = writer.tensor(operator.outputs[0]).shape
    x = writer.value(operator.inputs[0])
    if not target or target[0] is not None:
        raise Unsupported(f"to {target}, which does not begin with the batch")
    return layers.reshape(writer.graph, x, target[1:], writer.layer_name(operator))


def transpose(writer, operator):
    permutation = [int(axis) for axis in writer.integers(operator.inputs[1])]
    x = writer.value(operator.inputs[0])
    return layers.transpose(writer.graph, x, permutation, writer.layer_name(operator))


def pad(writer, operator):
    amounts = writer.integers(operator.inputs[1])
    x = writer.value(operator.inputs[0])
    if len(operator.inputs) > 2 and np.any(writer.real(operator.inputs[2]) != 0):
        raise Unsupported("padding with another value than 0")
    if amounts.shape != (x.rank, 2) or amounts[0].any():
        raise Unsupported("padding of the batch")
    pads = [(int(before), int(after)) for before, after in amounts[1:]]
    return layers.pad(writer.graph, x, pads, writer.layer_name(operator))


def concatenation(writer, operator):
    values = [writer.value(index) for index in operator.inputs]
    name = writer.layer_name(operator)
    value = layers.concatenate(writer.graph, values, operator.options.Axis(), name)
    return _fused(writer, value, operator.options, name)


def resize_nearest(writer, operator):
    option, x = operator.options, writer.value(operator.inputs[0])
    if option.AlignCorners() or option.HalfPixelCenters():
        raise Unsupported("aligned corners or half-pixel centres")
    sizes = writer.integers(operator.inputs[1])
    factors = [int(size) // old for size, old in zip(sizes, x.shape[1:-1])]
    if [f * old for f, old in zip(factors, x.shape[1:-1])] != [int(size) for size in sizes]:
        raise Unsupported(f"from {x.shape[1:-1]} to {sizes.tolist()}: not a whole factor")
    return layers.upsample(writer.graph, x, factors, writer.layer_name(operator))


def activation(kind: str):
    return lambda writer, operator: layers.activation(
        writer.graph, writer.value(operator.inputs[0]), kind, writer.layer_name(operator)
    )


def softmax(writer, operator):
    if operator.options.Beta() != 1:
        raise Unsupported(f"beta {operator.options.Beta()}")
    return activation("softmax")(writer, operator)


def leaky_relu(writer, operator):
    x = writer.value(operator.inputs[0])
    return writer.graph.like(
        x, "LeakyRelu", name=writer.layer_name(operator), alpha=operator.options.Alpha()
    )


def parametric_relu(writer, operator):
    x = writer.graph.channels_first(writer.value(operator.inputs[0]))
    slope = writer.real(operator.inputs[1])
    if any(size != 1 for size in slope.shape[:-1]):
        raise Unsupported("a slope per position")
    shape = (-1, *[1] * (x.rank - 2)) if x.channels_first else (-1,)
    name = writer.layer_name(operator)
    constant = writer.graph.constant(f"{name}.slope", slope.reshape(shape))
    return writer.graph.like(x, "PRelu", constant, name=name)


def passed_on(writer, operator):
    """QUANTIZE and DEQUANTIZE: the value stays real; the output's own quantisation follows."""
    return writer.value(operator.inputs[0])


WRITERS = {
    "ADD": arithmetic("Add"),
    "AVERAGE_POOL_2D": pool("average"),
    "CONCATENATION": concatenation,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise_convolution,
    "DEQUANTIZE": passed_on,
    "DIV": arithmetic("Div"),
    "EXPAND_DIMS": reshape,
    "FULLY_CONNECTED": fully_connected,
    "GELU": activation("gelu"),
    "HARD_SWISH": activation("hard_swish"),
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": activation("sigmoid"),
    "LOG_SOFTMAX": activation("log_softmax"),
    "MAX_POOL_2D": pool("max"),
    "MEAN": reduction("average"),
    "MUL": arithmetic("Mul"),
    "PAD": pad,
    "PADV2": pad,
    "PRELU": parametric_relu,
    "QUANTIZE": passed_on,
    "REDUCE_MAX": reduction("max"),
    "RELU": activation("relu"),
    "RELU6": activation("relu6"),
    "RELU_0_TO_1": activation("relu_0_to_1"),
    "RELU_N1_TO_1": activation("relu_n1_to_1"),
    "RESHAPE": reshape,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "SOFTMAX": softmax,
    "SQUEEZE": reshape,
    "SUB": arithmetic("Sub"),
    "TANH": activation("tanh"),
    "TRANSPOSE": transpose,
}

# What these read besides their first input are sizes, which the output's shape states too.
SHAPE_OPERATORS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")

# These give some of the integers they were given.
MOVING_OPERATORS = (*SHAPE_OPERATORS, "MAX_POOL_2D", "REDUCE_MAX", "PAD", "TRANSPOSE",
                    "RESIZE_NEAREST_NEIGHBOR")  # fmt: skip

ADVICE = {
    "TRANSPOSE_CONV": "use nearest-neighbour upsampling and a convolution",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "recurrent layers are not supported",
    "WHILE": "recurrent layers are not supported",
    "BATCH_MATMUL": "attention is not supported",
    "RESIZE_BILINEAR": "use nearest-neighbour interpolation",
    "FlexConv2D": "convert without SELECT_TF_OPS",
}
