"""Layers with channels last, as Keras and TensorFlow Lite define them, written as ONNX nodes.

Every function takes and gives a `Value`. Weights and biases are names of constants or of
dequantised ones; sizes are (height, width) in 2-D and (length,) in 1-D.
"""

import math

import numpy as np

from tally_export.errors import Unsupported
from tally_export.graph import Graph, Value


def window_pads(sizes, kernel, strides, dilations, padding) -> list:
    """(before, after) per axis. "same" is TensorFlow's: the output has ⌈size / stride⌉ elements
    and the odd one of the padding comes after."""
    if not isinstance(padding, str):
        return [tuple(pair) for pair in padding]
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    pads = []
    for size, count, stride, dilation in zip(sizes, kernel, strides, dilations):
        extent = (count - 1) * dilation + 1
        if padding == "causal":
            pads.append((extent - 1, 0))
            continue
        if padding != "same":
            raise Unsupported(f"padding '{padding}'")
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def _window(x: Value, kernel, strides, dilations, padding):
    """ONNX attributes of a window, and the sizes of what it gives."""
    sizes = x.shape[1:-1]
    if len(sizes) != len(kernel):
        raise Unsupported(f"a window of {len(kernel)} axes on an input of {len(sizes)}")
    if any(size is None for size in sizes):
        raise Unsupported("the input's height or width is open")
    pads = window_pads(sizes, kernel, strides, dilations, padding)
    out = []
    for size, count, stride, dilation, pad in zip(sizes, kernel, strides, dilations, pads):
        out.append((size + sum(pad) - ((count - 1) * dilation + 1)) // stride + 1)
    if min(out) < 1:
        raise Unsupported(f"the window {tuple(kernel)} does not fit the input {tuple(sizes)}")
    attributes = {
        "kernel_shape": list(kernel), "strides": list(strides),
        "pads": [pad[0] for pad in pads] + [pad[1] for pad in pads],
    }  # fmt: skip
    return attributes, tuple(out)


def convolution(
    graph: Graph, x: Value, weights: str, bias: str | None, *, outputs: int, kernel, strides,
    dilations, padding, groups: int, name: str,
) -> Value:  # fmt: skip
    """Weights [outputs, channels / groups, *kernel]."""
    attributes, sizes = _window(x, kernel, strides, dilations, padding)
    x = graph.channels_first(x)
    return graph.node(
        "Conv", [x.name, weights] + ([bias] if bias else []), (x.shape[0], *sizes, outputs),
        name=name, channels_first=True, dilations=list(dilations), group=groups, **attributes,
    )  # fmt: skip


def pool(graph: Graph, x: Value, kind: str, *, kernel, strides, padding, name: str) -> Value:
    """kind is "max" or "average"; padding is never counted."""
    attributes, sizes = _window(x, kernel, strides, [1] * len(kernel), padding)
    x = graph.channels_first(x)
    return graph.node(
        "MaxPool" if kind == "max" else "AveragePool", [x.name],
        (x.shape[0], *sizes, x.shape[-1]), name=name, channels_first=True, **attributes,
    )  # fmt: skip


def global_pool(graph: Graph, x: Value, kind: str, *, keeps_axes: bool, name: str) -> Value:
    x = graph.channels_first(x)
    shape = (x.shape[0], *[1] * (x.rank - 2), x.shape[-1])
    pooled = graph.node(
        "GlobalMaxPool" if kind == "max" else "GlobalAveragePool", [x.name], shape, name=name,
        channels_first=True,
    )  # fmt: skip
    if keeps_axes:
        return pooled
    return reshape(graph, pooled, (x.shape[-1],), name=f"{name}/vector")


def dense(graph: Graph, x: Value, weights: str, bias: str | None, *, outputs, name) -> Value:
    """Weights [outputs, inputs], applied along the last axis."""
    x = graph.channels_last(x)
    shape = (*x.shape[:-1], outputs)
    if x.rank == 2:
        inputs = [x.name, weights] + ([bias] if bias else [])
        return graph.node("Gemm", inputs, shape, name=name, transB=1)
    matrix = graph.node("Transpose", [weights], (None, None), name=f"{name}/weights", perm=[1, 0])
    product = graph.node("MatMul", [x.name, matrix.name], shape, name=name)
    return graph.like(product, "Add", bias, name=f"{name}/bias") if bias else product


def batch_normalization(graph: Graph, x: Value, gamma, beta, mean, variance, epsilon, name):
    """All four [channels]."""
    x = graph.channels_first(x)
    parts = ("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)
    constants = [
        graph.constant(f"{name}.{part}", np.asarray(array, np.float32)) for part, array in parts
    ]
    return graph.like(x, "BatchNormalization", *constants, name=name, epsilon=float(epsilon))


def pad(graph: Graph, x: Value, pads: list, name: str) -> Value:
    """Zeros around; (before, after) per axis behind the batch, channels last; negative cuts."""
    if all(pair == (0, 0) for pair in pads):
        return x
    shape = (
        x.shape[0],
        *(size + before + after for size, (before, after) in zip(x.shape[1:], pads)),
    )
    if min(shape[1:]) < 1:
        raise Unsupported(f"nothing is left of {x.shape[1:]}")
    x = graph.channels_first(x)
    pairs = [(0, 0)] + (pads[-1:] + pads[:-1] if x.channels_first else pads)
    flat = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    amounts = graph.constant(f"{name}.pads", np.array(flat, np.int64))
    return graph.node(
        "Pad", [x.name, amounts], shape, name=name, channels_first=x.channels_first
    )


def reshape(graph: Graph, x: Value, shape: tuple, name: str) -> Value:
    """To `shape` behind the batch; elements keep the source's order."""
    if math.prod(shape) != math.prod(x.shape[1:]):
        raise Unsupported(f"from {x.shape[1:]} to {tuple(shape)}")
    if tuple(shape) == x.shape[1:]:
        return x
    x = graph.channels_last(x)
    target = graph.constant(f"{name}.shape", np.array([0, *shape], np.int64))
    return graph.node("Reshape", [x.name, target], (x.shape[0], *shape), name=name)


def transpose(graph: Graph, x: Value, permutation: list, name: str) -> Value:
    x = graph.channels_last(x)
    if permutation[0] != 0:
        raise Unsupported("moves the batch")
    shape = tuple(x.shape[axis] for axis in permutation)
    return graph.node("Transpose", [x.name], shape, name=name, perm=list(permutation))


def concatenate(graph: Graph, values: list, axis: int, name: str) -> Value:
    rank = values[0].rank
    axis = axis % rank
    if axis == 0:
        raise Unsupported("joins along the batch")
    values = [graph.channels_first(value) for value in values]
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    is_first = values[0].channels_first
    onnx_axis = axis if not is_first else (1 if axis == rank - 1 else axis + 1)
    return graph.node(
        "Concat", [value.name for value in values], tuple(shape), name=name,
        channels_first=is_first, axis=onnx_axis,
    )  # fmt: skip


def upsample(graph: Graph, x: Value, factors, name: str) -> Value:
    """Every element repeated: nearest neighbour by whole factors."""
    shape = (x.shape[0], *(s * f for s, f in zip(x.shape[1:-1], factors)), x.shape[-1])
    x = graph.channels_first(x)
    scales = graph.constant(f"{name}.scales", np.array([1, 1, *factors], np.float32))
    return graph.node(
        "Resize", [x.name, "", scales], shape, name=name, channels_first=True, mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


def arithmetic(graph: Graph, operator: str, left, right, name: str) -> Value:
    """Add, Sub, Mul or Div of two values, or of a value and an array that broadcasts."""
    if isinstance(left, Value) and isinstance(right, Value):
        # Channels first where both can be; a vector for all positions needs its axes.
        rank = max(left.rank, right.rank)
        left, right = (_widened(graph, value, rank, name) for value in (left, right))
        left, right = graph.channels_first(left), graph.channels_first(right)
        shape = _broadcast(left.shape, right.shape)
        return graph.node(
            operator, [left.name, right.name], shape, name=name,
            channels_first=left.channels_first,
        )  # fmt: skip
    value, array = (left, right) if isinstance(left, Value) else (right, left)
    array = np.asarray(array, np.float32)
    if array.ndim > value.rank:
        raise Unsupported(f"a constant of shape {array.shape}")
    shape = _broadcast(value.shape, (1,) * (value.rank - array.ndim) + array.shape)
    if shape != value.shape:
        raise Unsupported(f"a constant of shape {array.shape} for a value of {value.shape[1:]}")
    if value.channels_first and array.ndim > 0:
        array = array.reshape((1,) * (value.rank - array.ndim) + array.shape)
        array = np.moveaxis(array, -1, 1)
    constant = graph.constant(f"{name}.constant", array)
    names = [value.name, constant] if value is left else [constant, value.name]
    return graph.node(
        operator, names, value.shape, name=name, channels_first=value.channels_first
    )


def _widened(graph: Graph, value: Value, rank: int, name: str) -> Value:
    if value.rank == rank:
        return value
    return reshape(graph, value, (1,) * (rank - value.rank) + value.shape[1:], f"{name}/wide")


def _broadcast(left: tuple, right: tuple) -> tuple:
    shape = []
    for a, b in zip(left, right):
        if a != b and 1 not in (a, b):
            raise Unsupported(f"values of {left[1:]} and {right[1:]}")
        shape.append(b if a == 1 else a)
    return tuple(shape)


def clip(graph: Graph, x: Value, low: float | None, high: float | None, name: str) -> Value:
    bounds = [
        graph.constant(f"{name}.{word}", np.array(bound, np.float32)) if bound is not None else ""
        for word, bound in (("low", low), ("high", high))
    ]
    return graph.like(x, "Clip", *bounds, name=name)


def activation(graph: Graph, x: Value, kind: str, name: str) -> Value:
    """An activation by the name both libraries know it by; "linear" is nothing."""
    if kind == "linear":
        return x
    if kind in SIMPLE:
        operator, attributes = SIMPLE[kind]
        return graph.like(x, operator, name=name, **attributes)
    if kind in CLIPS:
        return clip(graph, x, *CLIPS[kind], name)
    if kind in ("softmax", "log_softmax"):
        x = graph.channels_last(x)
        operator = "Softmax" if kind == "softmax" else "LogSoftmax"
        return graph.like(x, operator, name=name, axis=-1)
    if kind in ("silu", "swish"):
        gate = graph.like(x, "Sigmoid", name=f"{name}/gate")
        return graph.like(x, "Mul", gate.name, name=name)
    if kind == "gelu":
        # x·(1 + erf(x/√2))/2: the operator of its own came after operator set 17.
        inner = arithmetic(graph, "Mul", x, math.sqrt(0.5), f"{name}/scaled")
        erf = graph.like(inner, "Erf", name=f"{name}/erf")
        gate = arithmetic(graph, "Add", erf, 1.0, f"{name}/gate")
        product = graph.like(x, "Mul", gate.name, name=f"{name}/product")
        return arithmetic(graph, "Mul", product, 0.5, name)
    raise Unsupported(f"activation '{kind}'")


_HARD_SIGMOID = ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5})

SIMPLE = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "hard_sigmoid": _HARD_SIGMOID,
    "hard_silu": ("HardSwish", {}),
    "hard_swish": ("HardSwish", {}),
}

CLIPS = {"relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0), "relu_0_to_1": (0.0, 1.0)}
