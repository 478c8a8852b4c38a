"""Formats/recipe.md: the resolved recipe as canonical bytes."""

import json
import re
import struct
from dataclasses import dataclass, field
from fractions import Fraction

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
    require(1 <= batch <= 1 << 24, "batch outside 1...2^24")
    require(1 <= micro_batch <= batch, "micro-batch outside 1...batch")
    micro_batches = -(-batch // micro_batch)
    require(micro_batches <= 1024, "more than 1024 micro-batches in a step (SPEC 8.3)")
    require(method == 1, f"unknown method {method}")
    require(mode in (MASTERS, INT8), f"unknown weights mode {mode}")
    require(loss in (1, 2), f"unknown loss {loss}")
    require(ranges in (0, 1), f"unknown ranges mode {ranges}")
    for s in scales:
        require(scalar.is_scale(s) and -512 <= s.e <= 512, "a Scale of the recipe is malformed")
    require(1 <= clip <= 128, "clip outside 1...128")
    require(micro_batches * clip <= 1 << 14, "micro-batches times clip above 2^14 (SPEC 8.7)")
    one, (weights_rate, _, head_rate, _, decay, _, _) = scalar.power_of_two(0), scales
    require(not scalar.less(one, scalar.mul(weights_rate, decay))
            and not scalar.less(one, scalar.mul(head_rate, decay)),
            "learning rate times weight decay above 1 (SPEC 8.6)")
    require(momentum <= MAXIMUM_MOMENTUM, "momentum above 32440")
    require(schedule in (CONSTANT, COSINE, STEP), f"unknown schedule {schedule}")
    require(hole0 == 0 and hole1 == 0, "reserved bytes of the recipe are not zero")
    require(warm_up <= 1 << 30, "a warm-up above 2^30")
    require(2 <= range_period <= 1 << 24, "range period outside 2...2^24")
    require(root_every >= 1, "root every 0 steps")
    require((factor_count > 0) == (schedule == STEP), "factors and schedule disagree")
    require(factor_count <= 1_000_000, "more than 10^6 factors")
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
    require(any(updates) or epochs == 0, "the recipe updates nothing")
    return Recipe(
        seed, epochs, batch, micro_batch, mode, loss, bool(ranges), *scales, clip, momentum,
        schedule, warm_up, range_period, root_every, factors, largest_steps, updates)


def check_against(r, net):
    """recipe.md: flags fit the model."""
    if len(r.updates) != len(net.nodes):
        raise FormatError("the recipe is for another number of nodes")
    for flags, node in zip(r.updates, net.nodes):
        require(flags == 0 or node.is_weighted, "update flags on a node without weights")


# ---------------------------------------------------------------------------- JSON

class RecipeTextError(Exception):
    """A recipe a user wrote that recipe.md does not allow."""


KEYS = {
    "epochs", "steps", "batch", "microBatch", "seed", "learningRate", "learningRates", "schedule",
    "momentum", "weightDecay", "trustRatio", "normClip", "clip", "weights", "loss", "ranges",
    "rangePeriod", "rootEvery", "update",
}


def plain_json(text):
    """The text without comments and trailing commas; strings are left alone."""
    out, i = [], 0
    while i < len(text):
        if text[i] == '"':
            end = i + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            out.append(text[i:end + 1])
            i = end + 1
        elif text.startswith("//", i):
            while i < len(text) and text[i] != "\n":
                i += 1
        elif text.startswith("/*", i):
            end = text.find("*/", i + 2)
            if end < 0:
                raise RecipeTextError("a comment has no end")
            i = end + 2
        else:
            if text[i] in "]}":
                while out and out[-1].isspace():
                    out.pop()
                if out and out[-1] == ",":
                    out.pop()
            out.append(text[i])
            i += 1
    return "".join(out)


def unique_keys(pairs):
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise RecipeTextError("a repeated key")
    return dict(pairs)


def fraction(text):
    """`"0.05"`, `"5e-2"`, `"1/20"` as an exact fraction."""
    if not isinstance(text, str) or not re.fullmatch(
            r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?|[0-9]+/[0-9]+", text):
        raise RecipeTextError(f"not a decimal: {text!r}")
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise RecipeTextError(f"not a decimal: {text!r}") from None


def scale_of(text):
    value = fraction(text)
    return decimal(value.numerator, value.denominator)


def fixed_point(text, bits):
    """A decimal as an integer with `bits` bits behind the point, half up."""
    value = fraction(text) * (1 << bits)
    return scalar.div_round(value.numerator, value.denominator)


def resolve(text, net, has_labels):
    """The recipe a JSON text means for a model and for data with or without labels."""
    written = json.loads(plain_json(text), object_pairs_hook=unique_keys)
    if not set(written) <= KEYS:
        raise RecipeTextError(f"unknown key {sorted(set(written) - KEYS)[0]}")
    get = written.get
    momentum = fixed_point(get("momentum", "0"), 15)
    rates = get("learningRates", {})
    eta = get("learningRate", "0.05")
    schedule = get("schedule", {"kind": "cosine"})
    trust = "0" if net.initialised else "0.0003" if momentum else "0.01"
    batch = get("batch", 32)
    return Recipe(
        seed=get("seed", 1), epochs=get("epochs", 1), batch=batch,
        micro_batch=get("microBatch", batch),
        mode={"masters": MASTERS, "int8": INT8}[get("weights", "masters")],
        loss={"crossEntropy": 1, "meanSquaredError": 2}[
            get("loss", "crossEntropy" if has_labels else "meanSquaredError")],
        track={"track": True, "frozen": False}[
            get("ranges", "track" if net.initialised else "frozen")],
        rate_weights=scale_of(rates.get("weights", eta)),
        rate_biases=scale_of(rates.get("biases", eta)), rate_head=scale_of(rates.get("head", eta)),
        rate_scales=scale_of(rates.get("scales", eta)), decay=scale_of(get("weightDecay", "0")),
        trust_ratio=scale_of(get("trustRatio", trust)),
        norm_clip=scale_of(get("normClip", "0" if net.initialised else "1")),
        clip=get("clip", 16), momentum=momentum,
        schedule={"constant": CONSTANT, "cosine": COSINE, "step": STEP}[schedule["kind"]],
        warm_up=schedule.get("warmup", 0), range_period=get("rangePeriod", 64),
        root_every=get("rootEvery", 64),
        factors=[fixed_point(f, 30) for f in schedule.get("factors", [])],
        largest_steps=get("steps", 0), updates=update_flags(get("update", "full"), net))


def update_flags(update, net):
    """Per node: bit 0 weights, bit 1 biases."""
    weighted = [k for k, node in enumerate(net.nodes) if node.is_weighted]
    flags = [0] * len(net.nodes)
    if isinstance(update, dict):
        for name, parts in update["layers"].items():
            named = [k for k, node in enumerate(net.nodes) if node.name == name]
            if len(named) != 1 or named[0] not in weighted:
                raise RecipeTextError(f"{name} does not name one weighted node")
            for part in parts:
                flags[named[0]] |= {"weights": UPDATE_WEIGHTS, "biases": UPDATE_BIASES}[part]
        return flags
    for k in weighted:
        last = k == weighted[-1]
        flags[k] = {"full": 3, "last": 3 * last, "biases": UPDATE_BIASES,
                    "bias+last": UPDATE_BIASES | UPDATE_WEIGHTS * last}[update]
    return flags
