"""Formats/recipe.md: the resolved recipe as canonical bytes."""

import json
import re
import struct
from dataclasses import dataclass, field
from fractions import Fraction

import scalar
import sparse
import zeroth
from network import ArithmeticVersionError, FormatError, require
from scalar import ZERO, Scale

MAGIC = b"TLYR"
MASTERS, INT8 = 1, 2
CONSTANT, COSINE, STEP = 1, 2, 3
BACK_PROPAGATION, ZEROTH_ORDER, HYBRID = 1, 2, 3
UPDATE_WEIGHTS, UPDATE_BIASES, UPDATE_SCALES = 1, 2, 4
BLOCK_SPARSE, BLOCK_ZEROTH, BLOCK_LISTS = 1, 2, 3
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
    updates: list = field(default_factory=list)  # per node: bit 0 weights, bit 1 biases, bit 2 Scales
    selections: list = field(default_factory=list)  # per node: sparse.Selection or None
    sparse: object = None  # sparse.SparseFields, or None for whole gradients
    method: int = BACK_PROPAGATION
    zeroth: object = None  # zeroth.Block, with the other methods

    def selection(self, k):
        return self.selections[k] if self.selections else None

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
    blocks = blocks_of(r)
    scales = (r.rate_weights, r.rate_biases, r.rate_head, r.rate_scales,
              r.decay, r.trust_ratio, r.norm_clip)
    out = FIXED.pack(
        MAGIC, 1, 1, r.seed, r.epochs, r.batch, r.micro_batch, r.method, r.mode, r.loss, r.track,
        *(v for s in scales for v in s), r.clip, r.momentum, r.schedule, 0, r.warm_up,
        r.range_period, r.root_every, len(r.factors), len(r.updates), len(blocks), r.largest_steps, 0)
    out += struct.pack(f"<{len(r.factors)}I", *r.factors)
    out += b"".join(sparse.entry(flags, r.selection(k)) for k, flags in enumerate(r.updates))
    for kind, content in blocks:
        out += struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 4)
    return out


def blocks_of(r):
    """The extension blocks; kinds ascend."""
    blocks = []
    if r.sparse is not None:
        blocks.append((BLOCK_SPARSE, r.sparse.write()))
    if r.zeroth is not None:
        blocks.append((BLOCK_ZEROTH, zeroth.pack(r.zeroth)))
    lists = sparse.write_lists(r.selections)
    if lists:
        blocks.append((BLOCK_LISTS, lists))
    return blocks


def read_blocks(data, offset, count):
    """Bytes by kind."""
    blocks, last = {}, 0
    for _ in range(count):
        require(len(data) >= offset + 8, "a block of the recipe is cut off")
        kind, size = struct.unpack_from("<II", data, offset)
        require(kind in (BLOCK_SPARSE, BLOCK_ZEROTH, BLOCK_LISTS) and kind > last, "unknown extension block")
        end = offset + 8 + size + -size % 4
        require(end <= len(data), "a block of the recipe is cut off")
        blocks[kind] = data[offset + 8:offset + 8 + size]
        require(not any(data[offset + 8 + size:end]), "padding of a block is not zero")
        offset, last = end, kind
    require(len(data) == offset, f"the recipe has {len(data)} bytes and needs {offset}")
    return blocks


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
    require(method in (1, 2, 3), f"unknown method {method}")
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
    require(blocks <= 16, "too many extension blocks")
    size = FIXED.size + 4 * factor_count + 8 * node_count
    require(len(data) >= size, f"the recipe has {len(data)} bytes and needs {size}")
    factors = list(struct.unpack_from(f"<{factor_count}I", data, FIXED.size))
    require(all(f <= 2 << 30 for f in factors), "a factor above 2")
    updates, selections = [], []
    for i in range(node_count):
        flags, selection = sparse.read_entry(data[FIXED.size + 4 * factor_count + 8 * i:][:8])
        updates.append(flags)
        selections.append(selection)
    found = read_blocks(data, size, blocks)
    sparse.read_lists(found.get(BLOCK_LISTS, b""), selections)
    require(BLOCK_LISTS not in found or found[BLOCK_LISTS], "an empty block of channel lists")
    fields = sparse.read_fields(found[BLOCK_SPARSE]) if BLOCK_SPARSE in found else None
    require(any(updates) or epochs == 0 or method != BACK_PROPAGATION, "the recipe updates nothing")
    require((method == BACK_PROPAGATION) == (BLOCK_ZEROTH not in found), "method and block 2 disagree")
    block = None
    if method != BACK_PROPAGATION:
        require(ranges == 0 and momentum == 0 and fields is None,
                "zeroth order with tracked ranges, momentum or sparse gradients")
        block = zeroth.unpack(found[BLOCK_ZEROTH], batch)
    return Recipe(
        seed, epochs, batch, micro_batch, mode, loss, bool(ranges), *scales, clip, momentum,
        schedule, warm_up, range_period, root_every, factors, largest_steps, updates, selections, fields,
        method, block)


def check_against(r, net):
    """recipe.md: flags fit the model."""
    if len(r.updates) != len(net.nodes):
        raise FormatError("the recipe is for another number of nodes")
    for k, (flags, node) in enumerate(zip(r.updates, net.nodes)):
        x = net.tensor(node.inputs[0])
        sparse.check_node(node, x, flags, r.selection(k))
    zeroth.check_against(r, net)


# ---------------------------------------------------------------------------- JSON

class RecipeTextError(Exception):
    """A recipe a user wrote that recipe.md does not allow."""


KEYS = {
    "epochs", "steps", "batch", "microBatch", "seed", "learningRate", "learningRates", "schedule",
    "momentum", "weightDecay", "trustRatio", "normClip", "clip", "weights", "loss", "ranges",
    "rangePeriod", "rootEvery", "update", "sparseGradients", "method", "zerothOrder",
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
    method = {"backPropagation": 1, "zerothOrder": 2, "hybrid": 3}[get("method", "backPropagation")]
    forward_only = method != BACK_PROPAGATION
    flags, selections = update_scheme(get("update", "last" if forward_only else "full"), net)
    block = None
    if forward_only:
        block = zeroth.resolve(get("zerothOrder", {}), net, flags, scale_of)
    return Recipe(
        seed=get("seed", 1), epochs=get("epochs", 1), batch=batch,
        micro_batch=get("microBatch", batch),
        mode={"masters": MASTERS, "int8": INT8}[get("weights", "masters")],
        loss={"crossEntropy": 1, "meanSquaredError": 2}[
            get("loss", "crossEntropy" if has_labels else "meanSquaredError")],
        track={"track": True, "frozen": False}[
            get("ranges", "track" if net.initialised and not forward_only else "frozen")],
        rate_weights=scale_of(rates.get("weights", eta)),
        rate_biases=scale_of(rates.get("biases", eta)), rate_head=scale_of(rates.get("head", eta)),
        rate_scales=scale_of(rates.get("scales", "1/100" if forward_only else eta)), decay=scale_of(get("weightDecay", "0")),
        trust_ratio=scale_of(get("trustRatio", trust)),
        norm_clip=scale_of(get("normClip", "0" if net.initialised else "1")),
        clip=get("clip", 16), momentum=momentum,
        schedule={"constant": CONSTANT, "cosine": COSINE, "step": STEP}[schedule["kind"]],
        warm_up=schedule.get("warmup", 0), range_period=get("rangePeriod", 64),
        root_every=get("rootEvery", 64),
        factors=[fixed_point(f, 30) for f in schedule.get("factors", [])],
        largest_steps=get("steps", 0), updates=flags, selections=selections, method=method, zeroth=block,
        sparse=sparse_fields(written["sparseGradients"]) if "sparseGradients" in written else None)


def sparse_fields(written):
    """The key `sparseGradients`."""
    share = lambda key, default: fixed_point(written.get(key, default), 15)  # noqa: E731
    head = written.get("headMinimum", 2)
    if written.get("kind", "tinyprop") == "topk":
        ratio = fixed_point(written["ratio"], 15)
        return sparse.SparseFields(ratio, ratio, sparse.ONE, head, 0)
    return sparse.SparseFields(
        share("minimum", "0.15"), share("maximum", "1"), share("zeta", "1"), head, written.get("decay", 0))


def update_scheme(update, net):
    """Per node: flags (bit 0 weights, bit 1 biases, bit 2 Scales), and its selection or None."""
    weighted = [k for k, node in enumerate(net.nodes) if node.is_weighted]
    flags, selections = [0] * len(net.nodes), [None] * len(net.nodes)
    if isinstance(update, dict):
        for k in weighted[-update["biases"]:] if "biases" in update else []:
            flags[k] = UPDATE_BIASES
        for name, parts in update.get("layers", {}).items():
            named = [k for k, node in enumerate(net.nodes) if node.name == name]
            if len(named) != 1 or named[0] not in weighted:
                raise RecipeTextError(f"{name} does not name one weighted node")
            k = named[0]
            if isinstance(parts, dict):
                selections[k] = written_selection(parts, net, k)
                parts = [part for part in PARTS
                         if parts.get(part) or part == "weights" and selections[k] is not None]
            for part in parts:
                flags[k] |= PARTS[part]
        return flags, selections
    for k in weighted:
        last = k == weighted[-1]
        scales = 0 if net.nodes[k].accumulators else UPDATE_SCALES
        bias_and_last = UPDATE_BIASES | UPDATE_WEIGHTS * last
        flags[k] = {"full": 3, "last": 3 * last, "biases": UPDATE_BIASES, "bias+last": bias_and_last,
                    "scales": scales, "scales+biases+last": scales | bias_and_last}[update]
    return flags, selections


PARTS = {"weights": UPDATE_WEIGHTS, "biases": UPDATE_BIASES, "scales": UPDATE_SCALES}


def written_selection(parts, net, k):
    """A layer's object: `weights` a share or a number with a `rule`, or `channels`; None for all."""
    if "channels" in parts:
        return sparse.Selection(sparse.LISTED, len(parts["channels"]), list(parts["channels"]))
    weights = parts.get("weights", False)
    if isinstance(weights, bool):
        return None
    if isinstance(weights, str):
        node = net.nodes[k]
        share = fraction(weights) * sparse.selectable_channels(node, net.tensor(node.inputs[0]))
        weights = max(1, scalar.div_round(share.numerator, share.denominator))
    rule = {"magnitude": sparse.MAGNITUDE, "first": sparse.FIRST, "random": sparse.RANDOM}
    return sparse.Selection(rule[parts.get("rule", "magnitude")], weights)
