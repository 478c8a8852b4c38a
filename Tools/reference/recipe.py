"""Formats/recipe.md: the resolved recipe as canonical bytes."""

import struct
from dataclasses import dataclass, field

import scalar
from network import ArithmeticVersionError, FormatError, require
from scalar import ZERO, Scale

MAGIC = b"TLYR"
MASTERS, INT8 = 1, 2
CONSTANT, COSINE, STEP = 1, 2, 3
UPDATE_WEIGHTS, UPDATE_BIASES = 1, 2
MAXIMUM_MOMENTUM = 32440
FIXED = struct.Struct("<4sHHQIIIBBBB14iIHBBIIIIIIII")
assert FIXED.size == 128


@dataclass
class Recipe:
    """One field per row of the table "Canonical bytes"."""

    seed: int = 1
    epochs: int = 1
    batch: int = 32
    micro_batch: int = 32
    mode: int = MASTERS
    loss: int = 1
    track: bool = False
    rate_weights: Scale = ZERO
    rate_biases: Scale = ZERO
    rate_head: Scale = ZERO
    rate_scales: Scale = ZERO
    decay: Scale = ZERO
    trust_ratio: Scale = ZERO
    norm_clip: Scale = ZERO
    clip: int = 16
    momentum: int = 0
    schedule: int = COSINE
    warm_up: int = 0
    range_period: int = 64
    root_every: int = 64
    factors: list = field(default_factory=list)
    largest_steps: int = 0
    updates: list = field(default_factory=list)  # per node: bit 0 weights, bit 1 biases

    def planned_steps(self, samples):
        """8.2: T."""
        steps = self.epochs * -(-samples // self.batch)
        return min(steps, self.largest_steps) if self.largest_steps else steps


def decimal(numerator, denominator=1):
    """recipe.md: a decimal is an exact fraction, rounded once, half up, to a Scale."""
    if numerator == 0:
        return ZERO
    b = scalar.bitlen(numerator) - scalar.bitlen(denominator)
    for e in (b, b + 1):  # numerator / denominator lies in [2^(b-1), 2^(b+1))
        shift = 31 - e
        scaled = (numerator << max(shift, 0), denominator << max(-shift, 0))
        m = scalar.div_round(*scaled)
        if m == 1 << 31:
            return Scale(1 << 30, e + 1)
        if 1 << 30 <= m < 1 << 31:
            return Scale(m, e)
    raise AssertionError("a positive fraction has a Scale")


def write(r):
    """The canonical bytes of a recipe."""
    scales = (r.rate_weights, r.rate_biases, r.rate_head, r.rate_scales,
              r.decay, r.trust_ratio, r.norm_clip)
    out = FIXED.pack(
        MAGIC, 1, 1, r.seed, r.epochs, r.batch, r.micro_batch, 1, r.mode, r.loss, r.track,
        *(v for s in scales for v in s), r.clip, r.momentum, r.schedule, 0, r.warm_up,
        r.range_period, r.root_every, len(r.factors), len(r.updates), 0, r.largest_steps, 0)
    out += struct.pack(f"<{len(r.factors)}I", *r.factors)
    return out + b"".join(bytes([flags]) + bytes(7) for flags in r.updates)


def read(data):
    """A checked recipe from its canonical bytes."""
    require(len(data) >= FIXED.size, "the recipe is shorter than its fixed part")
    (magic, version, arithmetic, seed, epochs, batch, micro_batch, method, mode, loss, ranges,
     *rest) = FIXED.unpack_from(data, 0)
    require(magic == MAGIC, "the magic is not that of a recipe")
    require(version == 1, f"recipe version {version}")
    if arithmetic != 1:
        raise ArithmeticVersionError(f"recipe of arithmetic version {arithmetic}")
    scales = [Scale(rest[i], rest[i + 1]) for i in range(0, 14, 2)]
    (clip, momentum, schedule, hole0, warm_up, range_period, root_every, factor_count, node_count,
     blocks, largest_steps, hole1) = rest[14:]
    require(epochs <= 1_000_000, "more than 10^6 epochs")
    require(batch >= 1 and 1 <= micro_batch <= batch, "batch and micro-batch")
    require(method == 1, f"unknown method {method}")
    require(mode in (MASTERS, INT8), f"unknown weights mode {mode}")
    require(loss in (1, 2), f"unknown loss {loss}")
    require(ranges in (0, 1), f"unknown ranges mode {ranges}")
    for s in scales:
        require(scalar.is_scale(s) and -512 <= s.e <= 512, "a Scale of the recipe is malformed")
    require(1 <= clip <= 128, "clip outside 1...128")
    require(momentum <= MAXIMUM_MOMENTUM, "momentum above 32440")
    require(schedule in (CONSTANT, COSINE, STEP), f"unknown schedule {schedule}")
    require(hole0 == 0 and hole1 == 0, "reserved bytes of the recipe are not zero")
    require(range_period >= 2, "a range period below 2")
    require(root_every >= 1, "root every 0 steps")
    require((factor_count > 0) == (schedule == STEP), "factors and schedule disagree")
    require(1 <= node_count <= 4096, "node count outside 1...4096")
    require(blocks == 0, "unknown extension block")
    size = FIXED.size + 4 * factor_count + 8 * node_count
    require(len(data) == size, f"the recipe has {len(data)} bytes and needs {size}")
    factors = list(struct.unpack_from(f"<{factor_count}I", data, FIXED.size))
    require(all(f <= 2 << 30 for f in factors), "a factor above 2")
    updates = []
    for i in range(node_count):
        entry = data[FIXED.size + 4 * factor_count + 8 * i:][:8]
        require(entry[0] < 4 and not any(entry[1:]), "unknown update flags")
        updates.append(entry[0])
    return Recipe(
        seed, epochs, batch, micro_batch, mode, loss, bool(ranges), *scales, clip, momentum,
        schedule, warm_up, range_period, root_every, factors, largest_steps, updates)


def check_against(r, net, samples):
    """recipe.md, last line: flags fit the model."""
    if len(r.updates) != len(net.nodes):
        raise FormatError("the recipe is for another number of nodes")
    for flags, node in zip(r.updates, net.nodes):
        require(flags == 0 or node.is_weighted, "update flags on a node without weights")
    require(any(r.updates) or r.planned_steps(samples) == 0, "the recipe updates nothing")
