"""Each Keras layer as ONNX nodes.

A function per kind of layer: (graph, layer, inputs) → Value, where `inputs` are the values and
constants the layer was called with, in order. Names are those of Keras's classes.
"""

import numpy as np

from tally_export import layers
from tally_export.errors import Unsupported
from tally_export.graph import Graph, Value


def _array(variable) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable), np.float32)


def _pair(size, axes: int) -> tuple:
    return (size,) * axes if isinstance(size, int) else tuple(size)


def _require_channels_last(layer) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise Unsupported("data_format='channels_first'")


def _activated(graph: Graph, value: Value, layer) -> Value:
    """With the activation that is an argument of the layer."""
    kind = activation_name(layer.activation)
    if kind == "linear":
        return value
    return layers.activation(graph, value, kind, f"{layer.name}/{kind}")


def activation_name(function) -> str:
    import keras

    name = getattr(function, "__name__", None) or type(function).__name__
    try:
        known = keras.activations.get(name)
    except (ValueError, TypeError):
        known = None
    if known is not function:
        raise Unsupported(f"an activation of your own, '{name}'")
    return name


def _bias(graph: Graph, layer, name: str):
    return graph.constant(f"{name}.bias", _array(layer.bias)) if layer.use_bias else None


def _convolve(graph, layer, x, kernel, *, bias, groups, name, **changes) -> Value:
    """`kernel` is [outputs, channels / groups, *sizes]."""
    axes = kernel.ndim - 2
    window = {
        "strides": _pair(layer.strides, axes), "dilations": _pair(layer.dilation_rate, axes),
        "padding": layer.padding, **changes,
    }  # fmt: skip
    weights = graph.constant(f"{name}.weight", kernel)
    return layers.convolution(
        graph, x, weights, bias, outputs=kernel.shape[0], kernel=kernel.shape[2:], groups=groups,
        name=name, **window,
    )  # fmt: skip


def convolution(graph, layer, inputs):
    _require_channels_last(layer)
    # Keras: [*sizes, channels, outputs].
    kernel = np.moveaxis(_array(layer.kernel), (-1, -2), (0, 1))
    bias = _bias(graph, layer, layer.name)
    value = _convolve(
        graph, layer, inputs[0], kernel, bias=bias, groups=layer.groups, name=layer.name
    )
    return _activated(graph, value, layer)


def _depthwise_kernel(variable) -> np.ndarray:
    """[*sizes, channels, multiplier] as [channels · multiplier, 1, *sizes]."""
    kernel = np.moveaxis(_array(variable), (-2, -1), (0, 1))
    return kernel.reshape(-1, 1, *kernel.shape[2:])


def depthwise_convolution(graph, layer, inputs):
    _require_channels_last(layer)
    kernel = _depthwise_kernel(layer.kernel)
    bias = _bias(graph, layer, layer.name)
    value = _convolve(
        graph, layer, inputs[0], kernel, bias=bias, groups=inputs[0].shape[-1], name=layer.name
    )
    return _activated(graph, value, layer)


def separable_convolution(graph, layer, inputs):
    _require_channels_last(layer)
    depthwise = _depthwise_kernel(layer.depthwise_kernel)
    value = _convolve(
        graph, layer, inputs[0], depthwise, bias=None, groups=inputs[0].shape[-1],
        name=f"{layer.name}/depthwise",
    )  # fmt: skip
    pointwise = np.moveaxis(_array(layer.pointwise_kernel), (-1, -2), (0, 1))
    ones = (1,) * (pointwise.ndim - 2)
    bias = _bias(graph, layer, layer.name)
    value = _convolve(
        graph, layer, value, pointwise, bias=bias, groups=1, name=layer.name, strides=ones,
        dilations=ones, padding="valid",
    )  # fmt: skip
    return _activated(graph, value, layer)


def dense(graph, layer, inputs):
    kernel = _array(layer.kernel)
    weights = graph.constant(f"{layer.name}.weight", kernel.T)
    bias = _bias(graph, layer, layer.name)
    value = layers.dense(
        graph, inputs[0], weights, bias, outputs=kernel.shape[1], name=layer.name
    )
    return _activated(graph, value, layer)


def batch_normalization(graph, layer, inputs):
    x = inputs[0]
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis % x.rank != x.rank - 1:
        raise Unsupported(f"axis {axis}, which is not the channels")
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    gamma = _array(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = _array(layer.beta) if layer.center else np.zeros_like(mean)
    return layers.batch_normalization(
        graph, x, gamma, beta, mean, variance, layer.epsilon, layer.name
    )


def pooling(kind: str):
    def write(graph, layer, inputs):
        _require_channels_last(layer)
        x, axes = inputs[0], inputs[0].rank - 2
        kernel, strides = _pair(layer.pool_size, axes), _pair(layer.strides, axes)
        if kind == "average":
            _require_even_padding(x, kernel, strides, layer.padding)
        return layers.pool(
            graph, x, kind, kernel=kernel, strides=strides, padding=layer.padding, name=layer.name
        )

    return write


def _require_even_padding(x: Value, kernel, strides, padding: str) -> None:
    """Keras's PyTorch backend repeats the border where a mean's padding is uneven; the others leave
    the padding out of the mean, as ONNX does."""
    import keras

    pads = layers.window_pads(x.shape[1:-1], kernel, strides, [1] * len(kernel), padding)
    if keras.backend.backend() == "torch" and any(before != after for before, after in pads):
        raise Unsupported(
            "padding='same' is uneven here, which Keras computes otherwise on PyTorch than on "
            "TensorFlow: set KERAS_BACKEND=tensorflow or jax"
        )


def global_pooling(kind: str):
    def write(graph, layer, inputs):
        _require_channels_last(layer)
        return layers.global_pool(
            graph, inputs[0], kind, keeps_axes=layer.keepdims, name=layer.name
        )

    return write


def arithmetic(operator: str):
    """Of a merging layer, or of the operator that `x + y` becomes."""

    def write(graph, layer, inputs):
        value = inputs[0]
        for number, other in enumerate(inputs[1:]):
            name = layer.name if number == len(inputs) - 2 else f"{layer.name}/{number}"
            value = layers.arithmetic(graph, operator, value, other, name)
        return value

    return write


def average(graph, layer, inputs):
    total = arithmetic("Add")(graph, layer, inputs)
    return layers.arithmetic(graph, "Mul", total, 1 / len(inputs), f"{layer.name}/mean")


def concatenate(graph, layer, inputs):
    if not all(isinstance(value, Value) for value in inputs):
        raise Unsupported("joins values and constants")
    return layers.concatenate(graph, inputs, layer.axis, layer.name)


def relu(graph, layer, inputs):
    x = inputs[0]
    limit = getattr(layer, "max_value", None)
    slope = float(np.max(getattr(layer, "negative_slope", 0) or 0))
    if getattr(layer, "threshold", 0):
        raise Unsupported(f"threshold {float(layer.threshold)}")
    if slope == 0:
        if limit is None:
            return layers.activation(graph, x, "relu", layer.name)
        return layers.clip(graph, x, 0.0, float(limit), layer.name)
    value = graph.like(x, "LeakyRelu", name=layer.name, alpha=slope)
    return value if limit is None else layers.clip(
        graph, value, None, float(limit), f"{layer.name}/limit"
    )  # fmt: skip


def parametric_relu(graph, layer, inputs):
    slope = _array(layer.alpha)
    if any(size != 1 for size in slope.shape[:-1]):
        raise Unsupported("a slope per position")
    x = graph.channels_first(inputs[0])
    shape = (-1, *[1] * (x.rank - 2)) if x.channels_first else (-1,)
    return graph.like(
        x, "PRelu", graph.constant(f"{layer.name}.slope", slope.reshape(shape)), name=layer.name
    )


def activation(graph, layer, inputs):
    return layers.activation(
        graph, inputs[0], activation_name(layer.activation), layer.name
    )


def named_activation(kind: str):
    return lambda graph, layer, inputs: layers.activation(graph, inputs[0], kind, layer.name)


def softmax(graph, layer, inputs):
    if layer.axis not in (-1, inputs[0].rank - 1):
        raise Unsupported(f"axis {layer.axis}")
    return layers.activation(graph, inputs[0], "softmax", layer.name)


def flatten(graph, layer, inputs):
    count = int(np.prod(inputs[0].shape[1:]))
    return layers.reshape(graph, inputs[0], (count,), layer.name)


def reshape(graph, layer, inputs):
    shape = list(layer.target_shape)
    if -1 in shape:
        known = -int(np.prod(shape))
        shape[shape.index(-1)] = int(np.prod(inputs[0].shape[1:])) // max(known, 1)
    return layers.reshape(graph, inputs[0], tuple(shape), layer.name)


def permute(graph, layer, inputs):
    return layers.transpose(graph, inputs[0], [0, *layer.dims], layer.name)


def _pairs(amounts) -> list:
    """Keras gives ((top, bottom), (left, right)) in 2-D and (left, right) in 1-D."""
    first = amounts[0]
    return [tuple(pair) for pair in amounts] if not isinstance(first, int) else [tuple(amounts)]


def zero_padding(graph, layer, inputs):
    _require_channels_last(layer)
    return layers.pad(graph, inputs[0], [*_pairs(layer.padding), (0, 0)], layer.name)


def cropping(graph, layer, inputs):
    _require_channels_last(layer)
    pads = [(-before, -after) for before, after in _pairs(layer.cropping)]
    return layers.pad(graph, inputs[0], [*pads, (0, 0)], layer.name)


def up_sampling(graph, layer, inputs):
    _require_channels_last(layer)
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise Unsupported(f"interpolation='{layer.interpolation}'")
    factors = _pair(layer.size, inputs[0].rank - 2)
    return layers.upsample(graph, inputs[0], factors, layer.name)


def rescaling(graph, layer, inputs):
    x = layers.arithmetic(graph, "Mul", inputs[0], layer.scale, f"{layer.name}/scale")
    return layers.arithmetic(graph, "Add", x, layer.offset, layer.name)


def normalization(graph, layer, inputs):
    """(x − mean) / max(√variance, ε), or its inverse."""
    from keras import backend

    mean, deviation = _array(layer.mean), np.sqrt(_array(layer.variance))
    deviation = np.maximum(deviation, backend.epsilon())
    if layer.invert:
        x = layers.arithmetic(graph, "Mul", inputs[0], deviation, f"{layer.name}/scale")
        return layers.arithmetic(graph, "Add", x, mean, layer.name)
    x = layers.arithmetic(graph, "Sub", inputs[0], mean, f"{layer.name}/mean")
    return layers.arithmetic(graph, "Mul", x, 1 / deviation, layer.name)


def nothing(graph, layer, inputs):
    """Does something while training only."""
    return inputs[0]


WRITERS = {
    "Activation": activation,
    "Add": arithmetic("Add"),
    "Average": average,
    "AveragePooling1D": pooling("average"),
    "AveragePooling2D": pooling("average"),
    "BatchNormalization": batch_normalization,
    "Concatenate": concatenate,
    "Conv1D": convolution,
    "Conv2D": convolution,
    "Cropping1D": cropping,
    "Cropping2D": cropping,
    "Dense": dense,
    "DepthwiseConv1D": depthwise_convolution,
    "DepthwiseConv2D": depthwise_convolution,
    "Divide": arithmetic("Div"),
    "Flatten": flatten,
    "GlobalAveragePooling1D": global_pooling("average"),
    "GlobalAveragePooling2D": global_pooling("average"),
    "GlobalMaxPooling1D": global_pooling("max"),
    "GlobalMaxPooling2D": global_pooling("max"),
    "LeakyReLU": relu,
    "MaxPooling1D": pooling("max"),
    "MaxPooling2D": pooling("max"),
    "Multiply": arithmetic("Mul"),
    "Normalization": normalization,
    "PReLU": parametric_relu,
    "Permute": permute,
    "ReLU": relu,
    "Relu": named_activation("relu"),
    "Relu6": named_activation("relu6"),
    "Rescaling": rescaling,
    "Reshape": reshape,
    "SeparableConv1D": separable_convolution,
    "SeparableConv2D": separable_convolution,
    "Sigmoid": named_activation("sigmoid"),
    "Silu": named_activation("silu"),
    "Softmax": softmax,
    "Subtract": arithmetic("Sub"),
    "Tanh": named_activation("tanh"),
    "TrueDivide": arithmetic("Div"),
    "UpSampling1D": up_sampling,
    "UpSampling2D": up_sampling,
    "ZeroPadding1D": zero_padding,
    "ZeroPadding2D": zero_padding,
} | dict.fromkeys(
    (
        "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
        "Identity", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip",
        "RandomRotation", "RandomTranslation", "RandomZoom", "SpatialDropout1D",
        "SpatialDropout2D",
    ), nothing,
)  # fmt: skip

ADVICE = {
    "Conv2DTranspose": "use UpSampling2D and Conv2D",
    "Conv1DTranspose": "use UpSampling1D and Conv1D",
    "LSTM": "recurrent layers are not supported",
    "GRU": "recurrent layers are not supported",
    "SimpleRNN": "recurrent layers are not supported",
    "Bidirectional": "recurrent layers are not supported",
    "MultiHeadAttention": "attention is not supported",
    "LayerNormalization": "use BatchNormalization",
    "GroupNormalization": "use BatchNormalization",
    "Lambda": "use layers of Keras instead of code in the model",
}
