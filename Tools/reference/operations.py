"""SPEC 6: operations, forward and backward side by side.

A micro-batch of a tensor is one flat list, sample-major, NHWC (5.2). A forward function returns a
`Forward`; a backward function takes the int8 gradient of the output and returns, for each input, an
`Accumulators` (`dx` before clause 8.4). Where an index lies outside the input it is written -1, and
every sample carries a 0 behind its last element for it to point at.
"""

from functools import lru_cache
from operator import mul as times
from typing import NamedTuple, Optional

import random_bits
import scalar
from network import (
    ADD, AVERAGE_POOLING, CONCATENATE, CONVOLUTION, FULLY_CONNECTED, MAX_POOLING, MULTIPLY,
    RESCALE, SLICE_AND_PAD, TABLE, UPSAMPLE, add_multipliers, fan_in,
)
from scalar import ZERO, Scale, clamp, multiplier, requant


class Forward(NamedTuple):
    """values: int8 outputs (int32 for a head of accumulators); mask: 1 where the value was not
    clamped, None where the operation has none; unplaced: v before Z_y is added (8.9)."""

    values: list
    mask: Optional[list] = None
    unplaced: Optional[list] = None


class Gradient(NamedTuple):
    """8.4: int8 values and their Scale; the Scale is zero if every value is."""

    values: list
    scale: Scale


class Accumulators(NamedTuple):
    """6: int32 dx (or dw, db) and their Scale, before 8.4 makes them int8."""

    values: list
    scale: Scale


class Draws:
    """The lanes of one micro-batch: seed, step t and micro-batch m of clause 4.2."""

    def __init__(self, seed, step, micro_batch):
        self.seed, self.step, self.micro_batch = seed, step, micro_batch

    def lanes(self, purpose, tensor, count):
        return random_bits.Stream(self.seed, purpose, tensor, self.step, self.micro_batch).lanes(count)


def place(node, v):
    """6: clamp(v + Z_y, lo_y, hi_y), the mask, and v itself."""
    zero, low, high = node.zero, node.low, node.high
    values, mask = [], []
    for element in v:
        q = element + zero
        inside = low <= q <= high
        mask.append(1 if inside else 0)
        values.append(q if inside else clamp(q, low, high))
    return Forward(values, mask, v)


def centred(x, values):
    """x^ = x - Z_x."""
    zero = x.zero
    return [q - zero for q in values]


def samples(values, count):
    """The samples of a micro-batch, each with the 0 behind it that index -1 points at."""
    return [values[i:i + count] + [0] for i in range(0, len(values), count)]


# ---------------------------------------------------------------------------- 6.1 windows

@lru_cache(maxsize=256)
def windows(in_shape, out_shape, kernel, stride, padding, dilation, groups):
    """For every output position (r, c) and group: the input indices of its window, in the order
    u, v, i of the weights; -1 outside the input."""
    height, width, channels = in_shape
    rows, columns, _ = out_shape
    per_group = channels // groups
    result = []
    for r in range(rows):
        for c in range(columns):
            for group in range(groups):
                window = []
                for u in range(kernel[0]):
                    row = r * stride[0] - padding[0] + u * dilation[0]
                    for v in range(kernel[1]):
                        column = c * stride[1] - padding[1] + v * dilation[1]
                        inside = 0 <= row < height and 0 <= column < width
                        first = (row * width + column) * channels + group * per_group
                        for i in range(per_group):
                            window.append(first + i if inside else -1)
                result.append(tuple(window))
    return tuple(result)


def windows_of(node, x):
    """6.2: a fully connected node is a convolution with one position that sees the whole input."""
    if node.kind == FULLY_CONNECTED:
        return (tuple(range(x.count)),)
    return windows(x.shape, node.shape, node.kernel, node.stride, node.padding[:2], node.dilation,
                   node.groups)


def weight_rows(node, x):
    """w[o] as lists of K weights."""
    k = fan_in(node, x)
    return [node.weights[o * k:(o + 1) * k] for o in range(node.shape[2])]


# ------------------------------------------------------------ 6.1 convolution, 6.2 fully connected

def weighted_forward(net, node, inputs):
    x, outputs, groups = net.tensor(node.inputs[0]), node.shape[2], node.groups
    per_group = outputs // groups
    rows, biases = weight_rows(node, x), node.biases
    accumulators = []
    for sample in samples(centred(x, inputs[0]), x.count):
        for number, window in enumerate(windows_of(node, x)):
            patch = [sample[i] for i in window]
            first = number % groups * per_group
            for o in range(first, first + per_group):
                accumulators.append(biases[o] + sum(map(times, rows[o], patch)))
    if node.accumulators:
        return Forward(accumulators)
    # Scale: mul, then div.
    mults = [multiplier(scalar.div(scalar.mul(x.scale, node.weight_scale(o)), node.scale))
             for o in range(outputs)]
    v = [requant(acc, mults[i % outputs]) for i, acc in enumerate(accumulators)]
    return place(node, v)


def fold_channels(net, k, g, draws):
    """6.1, per-channel Scales: g^ = clamp(SR(g * rho_c, 15, lane), +-127) and S_M."""
    node = net.nodes[k]
    largest, rho = channel_ratios(node)
    lanes = draws.lanes(random_bits.MERGE, 4 * k + 3, len(g.values))
    outputs = node.shape[2]
    folded = [clamp(scalar.stochastic(value * rho[i % outputs], 15, lanes[i]), -127, 127)
              for i, value in enumerate(g.values)]
    return folded, largest


def channel_ratios(node):
    """6.1: S_M, the largest S_w[c], and rho_c = integer(S_w[c] / S_M, 15)."""
    largest = node.weight_scales[0]
    for s in node.weight_scales:
        largest = scalar.larger(largest, s)
    return largest, [scalar.integer(scalar.div(s, largest), 15) for s in node.weight_scales]


def weighted_backward(net, k, inputs, g, draws):
    """6.1: dx[b,row,column,i'] = sum of w[o,u,v,i] * g[b,r,c,o] over all that reach it."""
    node = net.nodes[k]
    x, outputs, groups = net.tensor(node.inputs[0]), node.shape[2], node.groups
    per_group = outputs // groups
    if node.per_channel:
        values, weight_scale = fold_channels(net, k, g, draws)
    else:
        values, weight_scale = g.values, node.weight_scales[0]
    rows = weight_rows(node, x)
    columns = [list(zip(*rows[q * per_group:(q + 1) * per_group])) for q in range(groups)]
    dx, position = [], 0
    for _ in range(len(values) // node.count):
        sample = [0] * (x.count + 1)
        for number, window in enumerate(windows_of(node, x)):
            part = values[position:position + per_group]
            position += per_group
            if any(part):
                for i, column in zip(window, columns[number % groups]):
                    sample[i] += sum(map(times, column, part))
        dx += sample[:-1]
    return [Accumulators(dx, scalar.mul(weight_scale, g.scale))]


def parameter_gradients(net, node, inputs, g):
    """6.1: dw[o,u,v,i] = sum of x^ * g[b,r,c,o] (the g before the fold) and db[o] = sum of g."""
    x, outputs, groups = net.tensor(node.inputs[0]), node.shape[2], node.groups
    per_group = outputs // groups
    patches = [[] for _ in range(groups)]  # per group: one window's x^ per (b, r, c)
    for sample in samples(centred(x, inputs[0]), x.count):
        for number, window in enumerate(windows_of(node, x)):
            patches[number % groups].append([sample[i] for i in window])
    columns = [list(zip(*p)) for p in patches]
    dw, db = [], []
    for o in range(outputs):
        gradient = g.values[o::outputs]
        dw += [sum(map(times, gradient, column)) for column in columns[o // per_group]]
        db.append(sum(gradient))
    return Accumulators(dw, scalar.mul(x.scale, g.scale)), Accumulators(db, g.scale)


# ---------------------------------------------------------------------------- 6.3 max pooling

@lru_cache(maxsize=256)
def pooling_windows(in_shape, out_shape, kernel, stride, padding):
    """For every output element: the input indices of its window that lie inside, in order u, v."""
    result = []
    for window in windows(in_shape, out_shape, kernel, stride, padding, (1, 1), 1):
        channels = in_shape[2]
        for channel in range(channels):
            result.append(tuple(i for i in window[channel::channels] if i >= 0))
    return tuple(result)


def pooling_windows_of(node, x):
    return pooling_windows(x.shape, node.shape, node.kernel, node.stride, node.padding[:2])


def max_pooling_forward(net, node, inputs):
    x = net.tensor(node.inputs[0])
    table = pooling_windows_of(node, x)
    values = []
    for sample in samples(inputs[0], x.count):
        values += [max([sample[i] for i in window]) for window in table]
    return Forward(values)


def max_pooling_backward(net, k, inputs, g, draws):
    """6.3: g goes to the first position, in order of u then v, that holds the maximum."""
    node = net.nodes[k]
    x = net.tensor(node.inputs[0])
    table = pooling_windows_of(node, x)
    dx, gradient = [], iter(g.values)
    for sample in samples(inputs[0], x.count):
        part = [0] * x.count
        for window in table:
            part[max(window, key=sample.__getitem__)] += next(gradient)  # the first of equals
        dx += part
    return [Accumulators(dx, g.scale)]


# ---------------------------------------------------------------------------- 6.4 average pooling

def average_divisors(node, table):
    """6.4: n of every output element."""
    if node.counts_padding:
        return [node.kernel[0] * node.kernel[1]] * len(table)
    return [len(window) for window in table]


def average_pooling_forward(net, node, inputs):
    x = net.tensor(node.inputs[0])
    table = pooling_windows_of(node, x)
    divisors = average_divisors(node, table)
    mults = {n: multiplier(scalar.div(x.scale, scalar.mul(node.scale, scalar.from_integer(n))))
             for n in set(divisors)}
    values = []
    for sample in samples(centred(x, inputs[0]), x.count):
        for window, n in zip(table, divisors):
            q = requant(sum([sample[i] for i in window]), mults[n]) + node.zero
            values.append(clamp(q, node.low, node.high))
    return Forward(values)


def average_pooling_backward(net, k, inputs, g, draws):
    node = net.nodes[k]
    x = net.tensor(node.inputs[0])
    table = pooling_windows_of(node, x)
    divisors = average_divisors(node, table)
    area = node.kernel[0] * node.kernel[1]
    if len(set(divisors)) == 1:
        factors = [1] * len(table)
        scale = scalar.div(g.scale, scalar.from_integer(divisors[0]))
    else:
        factors = [(128 * area + n) // (2 * n) for n in divisors]
        scale = scalar.div(g.scale, scalar.from_integer(64 * area))
    dx, gradient = [], iter(g.values)
    for _ in range(len(inputs[0]) // x.count):
        part = [0] * x.count
        for window, factor in zip(table, factors):
            value = next(gradient) * factor
            for i in window:
                part[i] += value
        dx += part
    return [Accumulators(dx, scale)]


# ---------------------------------------------------------------------------- 6.5 add

def add_forward(net, node, inputs):
    x1, x2 = (net.tensor(t) for t in node.inputs)
    (m1, m2), f = add_multipliers([x1, x2], node.scale)
    half = 1 << (f - 1)
    v = [((q1 - x1.zero) * m1 + (q2 - x2.zero) * m2 + half) >> f for q1, q2 in zip(*inputs)]
    return place(node, v)


def add_backward(net, k, inputs, g, draws):
    return [Accumulators(g.values, g.scale), Accumulators(g.values, g.scale)]


# ---------------------------------------------------------------------------- 6.6 multiply

def repeat_channels(net, node, values):
    """The second input, repeated over rows and columns where it is 1 x 1 x C."""
    x1, x2 = (net.tensor(t) for t in node.inputs)
    positions = x1.count // x2.count
    return [q for i in range(0, len(values), x2.count) for q in values[i:i + x2.count] * positions]


def multiply_forward(net, node, inputs):
    x1, x2 = (net.tensor(t) for t in node.inputs)
    mult = multiplier(scalar.div(scalar.mul(x1.scale, x2.scale), node.scale))
    second = repeat_channels(net, node, centred(x2, inputs[1]))
    v = [requant(a * b, mult) for a, b in zip(centred(x1, inputs[0]), second)]
    return place(node, v)


def multiply_backward(net, k, inputs, g, draws):
    node = net.nodes[k]
    x1, x2 = (net.tensor(t) for t in node.inputs)
    first = centred(x1, inputs[0])
    second = repeat_channels(net, node, centred(x2, inputs[1]))
    dx1 = list(map(times, g.values, second))
    every = list(map(times, g.values, first))
    dx2 = []
    for start in range(0, len(every), x1.count):
        sample = every[start:start + x1.count]
        dx2 += [sum(sample[i::x2.count]) for i in range(x2.count)]
    return [Accumulators(dx1, scalar.mul(g.scale, x2.scale)),
            Accumulators(dx2, scalar.mul(g.scale, x1.scale))]


# ---------------------------------------------------------------------------- 6.7 concatenate

def concatenate_forward(net, node, inputs):
    parts = []
    for t, values in zip(node.inputs, inputs):
        x = net.tensor(t)
        mult = multiplier(scalar.div(x.scale, node.scale))
        parts.append([requant(q, mult) for q in centred(x, values)])
    c1, c2 = (net.tensor(t).shape[2] for t in node.inputs)
    v = []
    for position in range(len(parts[0]) // c1):
        v += parts[0][position * c1:(position + 1) * c1]
        v += parts[1][position * c2:(position + 1) * c2]
    return place(node, v)


def concatenate_backward(net, k, inputs, g, draws):
    c1, c2 = (net.tensor(t).shape[2] for t in net.nodes[k].inputs)
    dx1, dx2 = [], []
    for start in range(0, len(g.values), c1 + c2):
        dx1 += g.values[start:start + c1]
        dx2 += g.values[start + c1:start + c1 + c2]
    return [Accumulators(dx1, g.scale), Accumulators(dx2, g.scale)]


# ---------------------------------------------------------------------------- 6.8 table

def table_forward(net, node, inputs):
    values, _ = node.table
    return Forward([values[q + 128] for q in inputs[0]])


def table_backward(net, k, inputs, g, draws):
    _, slopes = net.nodes[k].table
    dx = [gradient * slopes[q + 128] for gradient, q in zip(g.values, inputs[0])]
    return [Accumulators(dx, scalar.shifted(g.scale, -12))]


# ---------------------------------------------------------------------------- 6.9 rescale

def rescale_forward(net, node, inputs):
    x = net.tensor(node.inputs[0])
    mult = multiplier(scalar.div(x.scale, node.scale))
    return place(node, [requant(q, mult) for q in centred(x, inputs[0])])


def rescale_backward(net, k, inputs, g, draws):
    return [Accumulators(g.values, g.scale)]


# ---------------------------------------------------------------------------- 6.10 slice and pad

@lru_cache(maxsize=256)
def slice_sources(in_shape, out_shape, start, step, before):
    """The input index of every output element, -1 where it is padding."""
    axes = []
    for axis in range(3):
        sources = []
        for j in range(out_shape[axis]):
            source = start[axis] + step[axis] * (j - before[axis])
            sources.append(source if j >= before[axis] and source < in_shape[axis] else -1)
        axes.append(sources)
    _, width, channels = in_shape
    return tuple(-1 if min(r, c, i) < 0 else (r * width + c) * channels + i
                 for r in axes[0] for c in axes[1] for i in axes[2])


def sources_of(node, x):
    if node.kind == UPSAMPLE:
        return upsample_sources(x.shape, node.shape, node.stride)
    return slice_sources(x.shape, node.shape, node.start, node.step, node.before)


def copy_forward(net, node, inputs):
    x = net.tensor(node.inputs[0])
    sources = sources_of(node, x)
    values = []
    for start in range(0, len(inputs[0]), x.count):
        sample = inputs[0][start:start + x.count] + [x.zero]
        values += [sample[i] for i in sources]
    return Forward(values)


def copy_backward(net, k, inputs, g, draws):
    """6.10, 6.11: each source receives the sum over its copies; sources never copied receive 0."""
    node = net.nodes[k]
    x = net.tensor(node.inputs[0])
    sources = sources_of(node, x)
    dx, gradient = [], iter(g.values)
    for _ in range(len(inputs[0]) // x.count):
        part = [0] * (x.count + 1)
        for i in sources:
            part[i] += next(gradient)
        dx += part[:-1]
    return [Accumulators(dx, g.scale)]


# ---------------------------------------------------------------------------- 6.11 upsample

@lru_cache(maxsize=256)
def upsample_sources(in_shape, out_shape, factors):
    """y[r, c] = x[r div fh, c div fw]."""
    _, width, channels = in_shape
    return tuple((r // factors[0] * width + c // factors[1]) * channels + i
                 for r in range(out_shape[0]) for c in range(out_shape[1]) for i in range(channels))


# ---------------------------------------------------------------------------- all of 6

FORWARD = {
    CONVOLUTION: weighted_forward, FULLY_CONNECTED: weighted_forward,
    MAX_POOLING: max_pooling_forward, AVERAGE_POOLING: average_pooling_forward, ADD: add_forward,
    MULTIPLY: multiply_forward, CONCATENATE: concatenate_forward, TABLE: table_forward,
    RESCALE: rescale_forward, SLICE_AND_PAD: copy_forward, UPSAMPLE: copy_forward,
}
BACKWARD = {
    CONVOLUTION: weighted_backward, FULLY_CONNECTED: weighted_backward,
    MAX_POOLING: max_pooling_backward, AVERAGE_POOLING: average_pooling_backward, ADD: add_backward,
    MULTIPLY: multiply_backward, CONCATENATE: concatenate_backward, TABLE: table_backward,
    RESCALE: rescale_backward, SLICE_AND_PAD: copy_backward, UPSAMPLE: copy_backward,
}


def forward(net, k, inputs):
    """Node k on a micro-batch; `inputs` are the flat lists of the tensors it reads."""
    return FORWARD[net.nodes[k].kind](net, net.nodes[k], inputs)


def backward(net, k, inputs, g, draws):
    """The Accumulators of each input of node k; g is the Gradient of its output."""
    return BACKWARD[net.nodes[k].kind](net, k, inputs, g, draws)


# ---------------------------------------------------------------------------- 8.4, 8.4 merge

def round_gradient(values, scale, lanes):
    """8.4 steps 2 and 3: s = max(0, bitlen(max|dx|) - 7), g = clamp(SR(dx, s, lane), +-127).

    The lanes are asked for only where they are used: with s = 0 nothing is rounded, and 7 bits
    fit, so the clamp does nothing either.
    """
    largest = max(max(values), -min(values))
    if largest == 0 or scale == ZERO:
        return Gradient([0] * len(values), ZERO)
    s = max(0, scalar.bitlen(largest) - 7)
    if s == 0:
        return Gradient(list(values), scale)
    r = lanes()
    if s <= 16:
        low = (1 << s) - 1
        rounded = [(v + (lane & low)) >> s for v, lane in zip(values, r)]
    else:
        rounded = [((v >> (s - 16)) + lane) >> 16 for v, lane in zip(values, r)]
    return Gradient([clamp(v, -127, 127) for v in rounded], scalar.shifted(scale, s))


def merge(g1, g2, lanes):
    """8.4 merge: a zero Scale loses; else both are brought to the larger Scale, added, rounded."""
    if g2.scale == ZERO:
        return g1
    if g1.scale == ZERO:
        return g2
    largest = scalar.larger(g1.scale, g2.scale)
    m1, m2 = (scalar.integer(scalar.div(g.scale, largest), 15) for g in (g1, g2))
    acc = [a * m1 + b * m2 for a, b in zip(g1.values, g2.values)]
    return round_gradient(acc, scalar.shifted(largest, -15), lanes)


def predicted_class(logits):
    """5.7: the lowest index of the largest z."""
    return max(range(len(logits)), key=logits.__getitem__)
