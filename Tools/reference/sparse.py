"""SPEC 8.11 and 8.12: channel selections, Scales as targets, sparse gradients."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

import random_bits
import scalar
from network import CONVOLUTION, FULLY_CONNECTED, FormatError, fan_in, require
from operations import Gradient, channel_ratios
from scalar import ZERO, clamp, div, from_integer, integer, larger, less, mul, multiplier, shifted

MAGNITUDE, FIRST, RANDOM, LISTED = 1, 2, 3, 4
ONE = 1 << 15
GAIN_LIMIT = 5_368_709  # half a percent of 2^30, rounded down


# ---------------------------------------------------------------------------- 8.11 channel selection


@dataclass
class Selection:
    """A node's entry in a recipe: a rule, m, and the list itself where the rule is LISTED."""

    rule: int
    count: int
    channels: list = field(default_factory=list)


def selectable_channels(node, x):
    """8.11: how many channels there are to select from; None where a selection is refused."""
    if node.kind == FULLY_CONNECTED:
        return x.count
    channels = x.shape[2]
    if node.kind == CONVOLUTION and (node.groups == 1 or is_depthwise(node, x)):
        return channels
    return None


def is_depthwise(node, x):
    """8.11: as many groups as inputs and outputs, more than one."""
    return node.kind == CONVOLUTION and 1 < node.groups == x.shape[2] == node.shape[2]


def channel_of(node, x, index):
    """The selectable channel that weight `index` reads."""
    k = fan_in(node, x)
    if is_depthwise(node, x):
        return index // k
    return index % k if node.kind == FULLY_CONNECTED else index % x.shape[2]


def choose(net, k, selection, seed):
    """8.11: i_0 < i_1 < ..., from the w and S_w of the model file."""
    node = net.nodes[k]
    x = net.tensor(node.inputs[0])
    count = selectable_channels(node, x)
    if selection.rule == LISTED:
        return list(selection.channels)
    if selection.rule == FIRST:
        keys = [-i for i in range(count)]
    elif selection.rule == RANDOM:
        stream = random_bits.Stream(seed, random_bits.CHANNELS, 4 * k, 0, 0)
        keys = [stream.word(i) for i in range(count)]
    else:
        size = fan_in(node, x)
        rho = channel_ratios(node)[1] if node.per_channel else [1] * node.shape[2]
        keys = [0] * count
        for index, w in enumerate(node.weights):
            keys[channel_of(node, x, index)] += rho[index // size] ** 2 * w * w
    order = sorted(range(count), key=lambda i: (-keys[i], i))
    return sorted(order[: selection.count])


def selected_weights(node, x, channels):
    """8.11: the weight that each element of the compact tensor stands for."""
    size = fan_in(node, x)
    if is_depthwise(node, x):
        return [i * size + tap for i in channels for tap in range(size)]
    inputs = size if node.kind == FULLY_CONNECTED else x.shape[2]
    taps = size // inputs
    return [(o * taps + tap) * inputs + i
            for o in range(node.shape[2]) for tap in range(taps) for i in channels]


# ---------------------------------------------------------------------------- 8.11 Scales


def gain_gradient(node, y, g):
    """gamma: of every channel, or their sum with one weight Scale."""
    outputs = node.shape[2]
    gammas = [0] * outputs
    for index, (value, gradient) in enumerate(zip(y, g)):
        gammas[index % outputs] += gradient * (value - node.zero)
    return gammas if node.per_channel else [sum(gammas)]


def gain_contribution(gammas, rate, g_scale, y_scale, micro_batches):
    """d: clamp(requantWide(gamma, eta * S_g * S_y * 2^30), +-floor(2^30 / ceil(B / beta)))."""
    mult = multiplier(shifted(mul(mul(rate, g_scale), y_scale), 30))
    bound = (1 << 30) // micro_batches
    return [clamp(scalar.requant_wide(gamma, mult), -bound, bound) for gamma in gammas]


def gain_step(scale, velocity):
    """S_w[c] at the end of a step."""
    if velocity == 0:
        return scale
    new = shifted(mul(scale, from_integer((1 << 30) - velocity)), -30)
    return new if -512 <= new.e <= 512 else scale


# ---------------------------------------------------------------------------- 8.12 sparse gradients


class SparseFields(NamedTuple):
    """The recipe's block 1."""

    minimum: int
    maximum: int
    zeta: int
    head_minimum: int
    decay: int

    def write(self):
        return struct.pack("<HHHHB3x", *self)


def read_fields(data):
    require(len(data) == 12, "a block of sparse gradients of another length")
    fields = SparseFields(*struct.unpack_from("<HHHHB", data))
    require(data[9:] == bytes(3), "reserved bytes of a block are not zero")
    require(fields.minimum <= fields.maximum <= ONE, "S_min and S_max are not in order")
    require(fields.zeta <= ONE and fields.head_minimum >= 2 and fields.decay <= 30,
            "a field of the sparse gradients is out of range")
    return fields


class SparseNode:
    """8.12 for one sparse node: Y_max, and the sums of the step."""

    def __init__(self, training, k, position):
        self.fields, self.position = training.recipe.sparse, position
        self.channels = training.net.nodes[k].shape[2]
        self.size = training.net.nodes[k].count
        self.is_head = k == training.last_weighted
        self.largest = ZERO  # Y_max
        self.begin()

    def begin(self):
        self.step_largest, self.counts = ZERO, [0, 0, 0]

    def finish(self):
        d = self.fields.decay
        if d:
            self.largest = shifted(mul(self.largest, from_integer((1 << d) - 1)), -d)
        self.largest = larger(self.largest, self.step_largest)

    def kept_count(self, size, reference):
        """k_b for Y_b = size, Y^ = reference."""
        f, half = self.fields, 1 << 14
        rho = integer(div(size, reference), 15)
        r = f.minimum + ((rho * (f.maximum - f.minimum) + half) >> 15)
        zeta = ONE
        for _ in range(self.position):
            zeta = (zeta * f.zeta + half) >> 15
        r = (r * zeta + half) >> 15
        low = min(f.head_minimum, self.channels) if self.is_head else 1
        return clamp((self.channels * r + half) >> 15, low, self.channels)

    def thin(self, g, step, step_samples):
        """The gradient that is left of a micro-batch's."""
        channels, left, magnitudes, sizes = self.channels, [], [], []
        for first in range(0, len(g.values), self.size):
            sample = g.values[first:first + self.size]
            v = [sum(abs(e) for e in sample[c::channels]) for c in range(channels)]
            magnitudes.append((sample, v))
            sizes.append(mul(mul(from_integer(sum(v)), g.scale), from_integer(step_samples)))
        reference = self.largest
        for size in sizes:
            reference = larger(reference, size)
            self.step_largest = larger(self.step_largest, size)
        for (sample, v), size in zip(magnitudes, sizes):
            k = 0 if size == ZERO else self.kept_count(size, reference)
            start = step % channels
            order = sorted(range(channels), key=lambda c: (-v[c], (c - start) % channels))
            kept = set(order[:k])
            active = sum(1 for value in v if value)
            self.counts = [a + b for a, b in zip(self.counts, (k, min(k, active), active))]
            left += [e if i % channels in kept else 0 for i, e in enumerate(sample)]
        return Gradient(left, g.scale)


# ---------------------------------------------------------------------------- recipe bytes


def entry(flags, selection):
    """The 8 bytes of a node."""
    if selection is None:
        return struct.pack("<BBHI", flags, 0, 0, 0)
    return struct.pack("<BBHI", flags, selection.rule, selection.count, 0)


def read_entry(data):
    """(flags, Selection or None); lists follow in block 3."""
    flags, rule, count, hole = struct.unpack("<BBHI", data)
    require(flags < 8 and rule <= LISTED and hole == 0, "unknown update flags or rule")
    if rule == 0:
        require(count == 0, "a number of channels without a rule")
        return flags, None
    require(flags & 1 and count >= 1, "a selection without weights or channels")
    return flags, Selection(rule, count)


def write_lists(selections):
    """Block 3: the channels of the nodes with rule 4, in order."""
    words = [c for s in selections if s and s.rule == LISTED for c in s.channels]
    return struct.pack(f"<{len(words)}H", *words)


def read_lists(data, selections):
    listed = [s for s in selections if s and s.rule == LISTED]
    require(len(data) == 2 * sum(s.count for s in listed) and bool(data) == bool(listed),
            "channel lists that do not fit the selections")
    offset = 0
    for s in listed:
        s.channels = list(struct.unpack_from(f"<{s.count}H", data, offset))
        require(s.channels == sorted(set(s.channels)), "channels that do not ascend")
        offset += 2 * s.count


def check_node(node, x, flags, selection):
    """recipe.md: flags and selection fit the node."""
    require(flags == 0 or node.is_weighted, "update flags on a node without weights")
    if flags & 4 and node.accumulators:
        raise FormatError("a head with accumulators has no Scale to change")
    if selection is not None:
        most = selectable_channels(node, x)
        require(most is not None and selection.count <= most, "a selection that the node cannot have")
        require(all(c < most for c in selection.channels), "a channel that does not exist")
