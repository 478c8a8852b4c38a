"""SPEC 8.14 to 8.19: zeroth order. Losses of perturbed networks become steps of parameters."""

import copy
import struct
from dataclasses import dataclass, field

import journal
import operations
import random_bits
import scalar
from network import FormatError, fan_in, require
from operations import Draws, forward
from scalar import ZERO, Scale, clamp, div, from_integer, integer, mul, multiplier, shifted

WEIGHTS, NODES, INPUTS, GAIN, CHANNEL_GAINS = 1, 2, 3, 4, 5
KINDS = {"weights": WEIGHTS, "nodes": NODES, "inputs": INPUTS, "gain": GAIN,
         "channelGains": CHANNEL_GAINS}
FIXED = struct.Struct("<HBBBBBBiiiiHH")
GROUP = struct.Struct("<IBBH")
A_LIMIT = 127 << 16
BIAS_LIMIT = 25_000_000


# ---------------------------------------------------------------------------- recipe.md, block 2

@dataclass
class Group:
    node: int
    kind: int
    steps: int = 1
    span: int = 1

    @property
    def of_tensor(self):
        return self.kind in (NODES, INPUTS)

    @property
    def of_gains(self):
        return self.kind in (GAIN, CHANNEL_GAINS)


@dataclass
class Block:
    """One field per row of the table of block 2."""

    queries: int = 1
    shared: bool = False
    forward: bool = False
    sign: bool = False
    adapts: bool = False
    weight_sigma: int = 4
    node_sigma: int = 8
    gain_sigma: Scale = ZERO
    logit_sigma: Scale = ZERO
    groups: list = field(default_factory=list)


def pack(block):
    return FIXED.pack(
        block.queries, block.shared, block.forward, block.sign, block.adapts, block.weight_sigma,
        block.node_sigma, *block.gain_sigma, *block.logit_sigma, len(block.groups), 0) + b"".join(
            GROUP.pack(g.node, g.kind, g.steps, g.span) for g in block.groups)


def unpack(raw, batch):
    """A block, checked as far as it can be without the model."""
    require(len(raw) >= FIXED.size, "block 2 is shorter than its fixed part")
    (queries, shared, difference, sign, adapts, weight_sigma, node_sigma, gm, ge, zm, ze, count,
     hole) = FIXED.unpack_from(raw)
    require(queries >= 1 and queries * batch <= 1 << 16, "queries times batch outside 1...2^16")
    require(max(shared, difference, sign, adapts) <= 1, "block 2: a flag that is not 0 or 1")
    require(1 <= weight_sigma <= 63 and 1 <= node_sigma <= 63, "block 2: sigma outside 1...63")
    gain, logit = Scale(gm, ge), Scale(zm, ze)
    for s in (gain, logit):
        require(scalar.is_scale(s) and s != ZERO and abs(s.e) <= 512, "block 2: a malformed Scale")
    require(scalar.less(gain, scalar.power_of_two(-1)), "block 2: the sigma of gains reaches 1/2")
    require(count >= 1 and hole == 0, "block 2: no groups, or reserved bytes that are not zero")
    require(len(raw) == FIXED.size + GROUP.size * count, "block 2: another length than its groups")
    groups = [Group(*GROUP.unpack_from(raw, FIXED.size + GROUP.size * j)) for j in range(count)]
    for g in groups:
        require(1 <= g.kind <= 5 and g.steps >= 1 and g.span >= 1, "block 2: a malformed group")
    return Block(queries, bool(shared), bool(difference), bool(sign), bool(adapts), weight_sigma,
                 node_sigma, gain, logit, groups)


# ---------------------------------------------------------------------------- 8.14 coordinates

def span(net, group):
    """The nodes of a group of kind 1, 4 or 5."""
    weighted = [k for k in range(group.node, len(net.nodes)) if net.nodes[k].is_weighted]
    return weighted[:group.span]


def perturbed_tensor(net, group):
    """The tensor of a group of kind 2 or 3."""
    best = t = group.node + 1
    while group.kind == INPUTS:
        readers = [k for k, node in enumerate(net.nodes) for i in node.inputs if i == t]
        if len(readers) != 1:
            break
        node = net.nodes[readers[0]]
        if node.is_weighted or len(node.inputs) != 1:
            break
        t = readers[0] + 1
        if net.tensor(t).count < net.tensor(best).count:
            best = t
    return best


def dimension(net, group):
    """d."""
    if group.of_tensor:
        return net.tensor(perturbed_tensor(net, group)).count
    nodes = [net.nodes[k] for k in span(net, group)]
    if group.kind == WEIGHTS:
        return sum(len(node.weights) + len(node.biases) for node in nodes)
    return len(nodes) if group.kind == GAIN else sum(len(node.weight_scales) for node in nodes)


def check_against(recipe, net):
    """8.14: what a recipe with methods 2 and 3 may say of this model."""
    block = recipe.zeroth
    if block is None:
        return
    weighted = [k for k, node in enumerate(net.nodes) if node.is_weighted]
    flagged = [k for k, flags in enumerate(recipe.updates) if flags]
    require(recipe.method == 3 or all(k == weighted[-1] for k in flagged),
            "method 2 back-propagates more than the last weighted node")
    for group in block.groups:
        require(group.node in weighted, "a group of a node without weights")
        nodes = span(net, group)
        require(len(nodes) == group.span, "a span beyond the last weighted node")
        require(not set(nodes) & set(flagged), "a node with flags in a group")
        if group.of_gains:
            require(not any(net.nodes[k].accumulators for k in nodes), "gains of a head of accumulators")
        if group.kind == CHANNEL_GAINS:
            require(all(net.nodes[k].per_channel for k in nodes), "channel gains without channel Scales")
        if group.of_tensor:
            require(group.span == 1, "a span of a group of tensors")
            tensor = perturbed_tensor(net, group)
            require(all(k >= tensor for k in flagged), "flags before the perturbed tensor")


def draw_signs(stream, count):
    """u of a stream, as a list."""
    signs = []
    for number in range((count + 127) // 128):
        for word in stream.block(number):
            signs += [-1 if word >> bit & 1 else 1 for bit in range(32)]
    return signs[:count]


# ---------------------------------------------------------------------------- a run's measurements

class Measuring:
    """What a run keeps for zeroth order: e of each group and its counts since the last decision."""

    def __init__(self, training):
        self.training, self.net = training, training.net
        self.recipe, self.block = training.recipe, training.recipe.zeroth
        self.groups = [State(self, j) for j in range(len(self.block.groups))]

    def group_of(self, t):
        """8.18: the state of the group that step t visits."""
        rest = t % sum(g.steps for g in self.block.groups)
        for state in self.groups:
            if rest < state.group.steps:
                return state
            rest -= state.group.steps
        raise AssertionError("the groups fill their period")

    def exponents(self):
        """For the state root, 9.5."""
        return [state.exponent for state in self.groups] if self.block.adapts else []


class State:
    """One group over the whole run."""

    def __init__(self, measuring, number):
        self.measuring, self.number = measuring, number
        self.net, self.block = measuring.net, measuring.block
        self.group = self.block.groups[number]
        self.exponent = self.visits = 0
        self.n = self.z = self.m = self.c = 0
        self.base = 0  # 9.7: the sum of L0 of the group's last step, with shared directions

    # 8.18: sizes

    def scaled(self, sigma):
        e = self.exponent
        if isinstance(sigma, Scale):
            return shifted(sigma, e)
        return min(sigma << e, 63) if e >= 0 else max((sigma + (1 << (-e - 1))) >> -e, 1)

    @property
    def weight_sigma(self):
        return self.scaled(self.block.weight_sigma)

    def bias_sigma(self, k):
        x = self.net.tensor(self.net.nodes[k].inputs[0])
        return clamp(integer(div(from_integer(self.weight_sigma), x.scale), 0), 1, 1 << 20)

    @property
    def is_of_logits(self):
        return self.group.of_tensor and self.net.nodes[self.tensor - 1].accumulators

    @property
    def tensor(self):
        return perturbed_tensor(self.net, self.group)

    @property
    def tensor_sigma(self):
        if not self.is_of_logits:
            return self.scaled(self.block.node_sigma)
        ratio = div(self.scaled(self.block.logit_sigma), self.net.tensor(self.tensor).scale)
        return clamp(integer(ratio, 0), 1, 1 << 24)

    # 8.18: decisions

    def decide(self, t):
        """After the updates of step t: a range record, or None."""
        if not self.block.adapts:
            return None
        self.visits += 1
        if self.visits % self.measuring.recipe.range_period:
            return None
        if self.group.kind == WEIGHTS:
            for k in span(self.net, self.group):
                movable = [abs(w) for w in self.net.nodes[k].weights if abs(w) < 127]
                self.m += len(movable)
                self.c += sum(w > 127 - self.weight_sigma for w in movable)
        n, z, m, c = self.n, self.z, self.m, self.c
        self.n = self.z = self.m = self.c = 0
        if 2 * z > n:
            return self.change(t, 1, z, n)
        if 20 * c > m and 4 * z < n:
            return self.change(t, -1, c, m)
        return None

    def change(self, t, k, tail, count):
        allowed = abs(self.exponent + k) <= 5
        if self.group.of_gains:
            grown = shifted(self.block.gain_sigma, self.exponent + 1)
            allowed = allowed and (k < 0 or scalar.less(grown, scalar.power_of_two(-2)))
        elif not self.is_of_logits:
            sigma = self.weight_sigma if self.group.kind == WEIGHTS else self.tensor_sigma
            allowed = allowed and (2 * sigma <= 32 if k > 0 else sigma >= 2)
        if not allowed:
            return None
        self.exponent += k
        return journal.pack_range(t, self.number, journal.PERTURBATION, k, tail, count)


class Step:
    """8.15 and 8.16 for one step."""

    def __init__(self, measuring, t, factor, step_samples):
        self.training, self.net = measuring.training, measuring.net
        self.recipe, self.block = measuring.recipe, measuring.block
        self.t, self.factor, self.step_samples = t, factor, step_samples
        self.state = measuring.group_of(t)
        self.group = self.state.group
        self.per_sample = self.group.of_tensor or not self.block.shared
        self.sums = [0] * (self.block.queries * (step_samples if self.per_sample else 1))
        self.base = [0] * step_samples  # L0 of each position
        d = dimension(self.net, self.group)
        effective = self.block.queries * (step_samples if self.per_sample else 1)
        self.phi = div(from_integer(effective), from_integer(effective + d - 1))

    def entry(self, p, q):
        return self.block.queries * p + q if self.per_sample else q

    def stream(self, target, entry):
        """8.14: the directions of entry k of D, `target` the tensor number of the stream."""
        return random_bits.Stream(self.recipe.seed, random_bits.PERTURBATION, target, self.t, entry)

    # ------------------------------------------------------------------------ 8.14 perturbed values

    def perturbed(self, entry, s):
        """The network with theta + s * sigma * u; a tensor's perturbation is made by `loss`."""
        if self.group.of_tensor:
            return self.net
        net = copy.copy(self.net)
        net.nodes = list(self.net.nodes)
        for k in span(self.net, self.group):
            node = net.nodes[k] = copy.copy(self.net.nodes[k])
            if self.group.kind == WEIGHTS:
                sigma, bias_sigma = self.state.weight_sigma, self.state.bias_sigma(k)
                u = draw_signs(self.stream(4 * k, entry), len(node.weights))
                node.weights = [w + s * sigma * v if abs(w) + sigma <= 127 else w
                                for w, v in zip(node.weights, u)]
                u = draw_signs(self.stream(4 * k + 1, entry), len(node.biases))
                node.biases = [b + s * bias_sigma * v if abs(b) + bias_sigma <= BIAS_LIMIT else b
                               for b, v in zip(node.biases, u)]
            else:
                delta = integer(self.state.scaled(self.block.gain_sigma), 30)
                u = draw_signs(self.stream(4 * k + 3, entry), len(node.weight_scales))
                if self.group.kind == GAIN:
                    u = [u[0]] * len(u)
                scales = [shifted(mul(scale, from_integer((1 << 30) + s * v * delta)), -30)
                          for scale, v in zip(node.weight_scales, u)]
                node.biases = rescaled_biases(node, scales)
                node.weight_scales = scales
        return net

    def loss(self, i, entry, s):
        """L of sample i with sign s."""
        net = self.perturbed(entry, s)
        tensors = [self.training.data.samples[i]]
        for k, node in enumerate(net.nodes):
            values = forward(net, k, [tensors[j] for j in node.inputs]).values
            if self.group.of_tensor and k + 1 == self.state.tensor:
                u = draw_signs(self.stream(4 * k + 2, entry), len(values))
                sigma = s * self.state.tensor_sigma
                values = [y + sigma * v if moved else y
                          for y, v, moved in zip(values, u, self.moved(values))]
            tensors.append(values)
        return self.training.loss_of(net, tensors[-1], i)

    def moved(self, values):
        """8.14: which elements of the perturbed tensor (unperturbed `values`) a direction moves."""
        if self.state.is_of_logits:
            return [True] * len(values)
        node, sigma = self.net.nodes[self.state.tensor - 1], self.state.tensor_sigma
        low, high = self.net.tensor(self.state.tensor).low, self.net.tensor(self.state.tensor).high
        return [low + sigma <= y <= high - sigma for y in values]

    # ------------------------------------------------------------------------ 8.15 differences

    def measure(self, i, p):
        """All D of sample i at position p of the step, before `base`."""
        for q in range(self.block.queries):
            entry = self.entry(p, q)
            self.sums[entry] += self.cut(self.loss(i, entry, 1))
            if not self.block.forward:
                self.sums[entry] -= self.cut(self.loss(i, entry, -1))

    def note_base(self, p, value):
        """L0 of the sample at position p."""
        self.base[p] = value
        if self.block.forward:
            for q in range(self.block.queries):
                self.sums[self.entry(p, q)] -= self.cut(value)

    def cut(self, value):
        return min(value, ((1 << 30) - 1) // (1 if self.per_sample else self.step_samples))

    def difference(self, entry):
        d = self.sums[entry] * (2 if self.block.forward else 1)
        return ((d > 0) - (d < 0)) << 12 if self.block.sign else d

    @property
    def differences(self):
        return [self.difference(entry) for entry in range(len(self.sums))]

    def record(self):
        d = self.differences
        return journal.pack_differences(self.t, self.state.number, self.step_samples, d)

    def sums_of(self, target, count, entries):
        """a_i over some entries of D, before coordinates that do not move are set to 0."""
        a = [0] * count
        for entry in entries:
            d = self.difference(entry)
            if d:
                u = draw_signs(self.stream(target, entry), count)
                a = [v + d * sign for v, sign in zip(a, u)]
        return [scalar.sat32(v) for v in a]

    def scale(self, unit, sigma):
        """S_a."""
        moved = mul(unit, from_integer(sigma * self.block.queries * self.step_samples))
        return shifted(div(self.phi, moved), -17)

    # ------------------------------------------------------------------------ 8.16 kinds 2 and 3

    def tensor_gradient(self, tensors, positions, draws, update):
        """The step's tensor estimate for a micro-batch, carried back to node l; the number clipped."""
        net, t, l = self.net, self.state.tensor, self.group.node
        size = net.tensor(t).count
        a = []
        for slot, p in enumerate(positions):
            own = self.sums_of(4 * (t - 1) + 2, size,
                               [self.entry(p, q) for q in range(self.block.queries)])
            values = tensors[t].values[slot * size:(slot + 1) * size]
            if self.block.adapts and not self.state.is_of_logits:
                low, high = net.tensor(t).low, net.tensor(t).high
                inside = [low < y < high for y in values]
                self.state.m += sum(inside)
                self.state.c += sum(i and not m for i, m in zip(inside, self.moved(values)))
            a += [v if moved else 0 for v, moved in zip(own, self.moved(values))]
        scale = self.scale(net.tensor(t).scale, self.state.tensor_sigma)
        g = self.training.treat(t, a, scale, tensors, draws, 4 * len(net.nodes) + 1)
        for k in reversed(range(l + 1, t)):
            node = net.nodes[k]
            dx = operations.backward(net, k, [tensors[i].values for i in node.inputs], g, draws)[0]
            g = self.training.treat(node.inputs[0], dx.values, dx.scale, tensors, draws, 4 * k)
        node = net.nodes[l]
        dw, db = operations.parameter_gradients(net, node, [tensors[i].values for i in node.inputs], g)
        return update.contribute(dw, db, draws)

    # ------------------------------------------------------------------------ 8.16 kinds 1, 4, 5

    def count_differences(self):
        """8.18: n and z."""
        if not self.block.adapts:
            return
        self.state.base = 0 if self.per_sample else sum(self.base)
        for entry, total in enumerate(self.sums):
            if self.per_sample:
                counts = self.base[entry // self.block.queries] > 64
            else:
                counts = sum(self.base) > 64 * self.step_samples
            self.state.n += counts
            self.state.z += counts and total == 0

    def apply(self):
        """The step of kinds 1, 4 and 5; the number of updates the clip changed."""
        if self.group.kind == WEIGHTS:
            return sum(self.step_weights(k) for k in span(self.net, self.group))
        if self.group.of_gains:
            self.step_gains()
        return 0

    def rate(self, k, of_all, of_head):
        from training import rate
        return rate(of_head if k == self.training.last_weighted else of_all, self.factor)

    def step_weights(self, k):
        from training import norm, weight_norm
        recipe, node, p = self.recipe, self.net.nodes[k], self.training.parameters[k]
        sigma, everything = self.state.weight_sigma, range(len(self.sums))
        a = self.sums_of(4 * k, len(node.weights), everything)
        a = [v if abs(w) + sigma <= 127 else 0 for v, w in zip(a, node.weights)]
        biases = self.bias_step(k, everything)
        clipped = 0
        if any(a) or not (recipe.norm_clip != ZERO or recipe.trust_ratio != ZERO):
            eta = self.rate(k, recipe.rate_weights, recipe.rate_head)
            units = [shifted(div(mul(eta, self.scale(s, sigma)), s), 16) for s in node.weight_scales]
            largest = node.weight_scales[0]
            for s in node.weight_scales:
                largest = scalar.larger(largest, s)
            nu = mul(self.scale(largest, sigma), norm(a))
            if recipe.norm_clip != ZERO and scalar.less(recipe.norm_clip, nu):
                units = [mul(u, div(recipe.norm_clip, nu)) for u in units]
                nu = recipe.norm_clip
            size = weight_norm(node, p)
            if recipe.trust_ratio != ZERO and size != ZERO:
                limit, length = div(mul(recipe.trust_ratio, size), from_integer(1)), mul(eta, nu)
                if scalar.less(limit, length):
                    units = [mul(u, div(limit, length)) for u in units]
            clipped = self.enter(k, a, [multiplier(u) for u in units])
        node.biases = biases
        return clipped

    def enter(self, k, a, mults):
        node, p, bound = self.net.nodes[k], self.training.parameters[k], self.recipe.clip << 16
        depth = len(a) // len(node.biases)
        lanes = Draws(self.recipe.seed, self.t, 0).lanes(random_bits.UPDATE, 4 * k, len(a))
        exact = [scalar.requant_stochastic(v, mults[i // depth if node.per_channel else 0], lane)
                 for i, (v, lane) in enumerate(zip(a, lanes))]
        d = [clamp(v, -bound, bound) for v in exact]
        if p.masters is not None:
            p.masters = [clamp(m - v, -A_LIMIT, A_LIMIT) for m, v in zip(p.masters, d)]
            node.weights = [(m + (1 << 15)) >> 16 for m in p.masters]
        else:
            lanes = Draws(self.recipe.seed, self.t, 1).lanes(random_bits.UPDATE, 4 * k, len(a))
            node.weights = [clamp(w - scalar.stochastic(v, 16, lane), -127, 127)
                            for w, v, lane in zip(node.weights, d, lanes)]
        return sum(v != w for v, w in zip(d, exact))

    def bias_step(self, k, entries):
        """The new biases."""
        from training import norm
        recipe, node, sigma = self.recipe, self.net.nodes[k], self.state.bias_sigma(k)
        x, y = self.net.tensor(node.inputs[0]), self.net.tensor(k + 1)
        eta = self.rate(k, recipe.rate_biases, recipe.rate_head)
        a = self.sums_of(4 * k + 1, len(node.biases), entries)
        a = [v if abs(b) + sigma <= BIAS_LIMIT else 0 for v, b in zip(a, node.biases)]
        largest = node.weight_scales[0]
        for s in node.weight_scales:
            largest = scalar.larger(largest, s)
        ratio = None
        nu = mul(self.scale(mul(x.scale, largest), sigma), norm(a))
        if recipe.norm_clip != ZERO and scalar.less(recipe.norm_clip, nu):
            ratio = div(recipe.norm_clip, nu)
        lanes = Draws(recipe.seed, self.t, 0).lanes(random_bits.UPDATE, 4 * k + 1, len(a))
        most = min(1 << 23, (1 << 30) // self.training.largest_micro_batches)
        biases = []
        for o, (v, b, lane) in enumerate(zip(a, node.biases, lanes)):
            unit_of_bias = mul(x.scale, node.weight_scale(o))
            unit = div(mul(eta, self.scale(unit_of_bias, sigma)), unit_of_bias)
            if ratio is not None:
                unit = mul(unit, ratio)
            bound = most
            if not node.accumulators:
                bound = clamp(integer(div(shifted(y.scale, 1), unit_of_bias), 0), 1, most)
            step = clamp(scalar.requant_stochastic(v, multiplier(unit), lane), -bound, bound)
            biases.append(clamp(b - step, -BIAS_LIMIT, BIAS_LIMIT))
        return biases

    def step_gains(self):
        from training import norm, rate
        nodes = span(self.net, self.group)
        a = {k: self.sums_of(
            4 * k + 3, 1 if self.group.kind == GAIN else len(self.net.nodes[k].weight_scales),
            range(len(self.sums))) for k in nodes}
        everything = [v for k in nodes for v in a[k]]
        if not any(everything):
            return
        eta = rate(self.recipe.rate_scales, self.factor)
        root = scalar.sqrt(from_integer(len(everything)))
        mult = multiplier(shifted(div(mul(eta, root), norm(everything)), 30))
        for k in nodes:
            node = self.net.nodes[k]
            steps = [clamp(scalar.requant(v, mult), -(1 << 26), 1 << 26) for v in a[k]]
            if self.group.kind == GAIN:
                steps = steps * len(node.weight_scales)
            scales = [stepped(s, v) for s, v in zip(node.weight_scales, steps)]
            node.biases = rescaled_biases(node, scales)
            node.weight_scales = scales


def rescaled_biases(node, scales):
    """8.14, 8.16: biases that keep their real values under new weight Scales."""
    mults = [multiplier(div(old, new)) for old, new in zip(node.weight_scales, scales)]
    return [clamp(scalar.requant(b, mults[o if node.per_channel else 0]), -BIAS_LIMIT, BIAS_LIMIT)
            for o, b in enumerate(node.biases)]


def stepped(s, v):
    """8.16: S_w after a step v, or S_w where it stays."""
    new = shifted(mul(s, from_integer((1 << 30) - v)), -30)
    return s if v == 0 or abs(new.e) > 512 else new


# ---------------------------------------------------------------------------- 8.19 replay

def replay(training, records, last=None):
    """Rebuilds the parameters of a run from its records, without data; yields (root, recorded)."""
    block, net = training.recipe.zeroth, training.net
    require(not any(training.recipe.updates) and not any(g.of_tensor for g in block.groups),
            "this journal does not hold all of its run (SPEC 8.19)")
    t = 0
    for record in records:
        if record.kind == journal.STEP and last is not None and record.step >= last:
            return
        if record.kind == journal.DIFFERENCES:
            _, number, samples, *d = struct.unpack(f"<III{(len(record.payload) - 12) // 4}i", record.payload)
            epoch = t // training.steps_per_epoch
            from training import rate_factor
            step = Step(training.zeroth, t, rate_factor(training.recipe, t, epoch, training.planned), samples)
            require(step.state.number == number and len(step.sums) == len(d), "differences of another run")
            step.difference = d.__getitem__
            step.apply()
            t += 1
        elif record.kind == journal.RANGE:
            _, number, what, k, _, _, _ = journal.RANGE_LAYOUT.unpack(record.payload)
            require(what == journal.PERTURBATION, "a range of a run that has none")
            training.zeroth.groups[number].exponent += k
        elif record.kind == journal.ROOT:
            yield training.root(), record.payload[4:]


# ---------------------------------------------------------------------------- JSON

def resolve(written, net, updates, scale_of):
    """recipe.md, `zerothOrder`: the block; `updates` is changed where the key `head` says so."""
    weighted = [k for k, node in enumerate(net.nodes) if node.is_weighted]
    names = [node.name for node in net.nodes]
    get, sigma = written.get, written.get("sigma", {})
    head = get("head")
    if head is not None:
        updates[weighted[-1]] = 3 if head == "closedForm" else 0
    block = Block(
        queries=get("queries", 1), shared=get("directions", "sample") == "shared",
        forward=get("difference", "antithetic") == "forward", sign=get("sign", False),
        adapts=get("adaptSigma", False), weight_sigma=sigma.get("weights", 4),
        node_sigma=sigma.get("nodes", 8), gain_sigma=scale_of(sigma.get("gains", "1/20")),
        logit_sigma=scale_of(sigma.get("logits", "1/16")))
    groups = get("groups", "auto")
    if groups == "auto":
        first = min([k for k, flags in enumerate(updates) if flags], default=len(net.nodes))
        for k in weighted[:-1]:
            if updates[k]:
                continue
            choices = [Group(k, kind) for kind in (WEIGHTS, NODES, INPUTS)]
            choices = [g for g in choices if not g.of_tensor or perturbed_tensor(net, g) <= first]
            block.groups.append(min(choices, key=lambda g: dimension(net, g)))
    else:
        block.groups = [Group(names.index(g["layer"]), KINDS[g["coordinates"]], g.get("steps", 1),
                              g.get("span", 1)) for g in groups]
    if head == "zerothOrder" and weighted[-1] not in [g.node for g in block.groups]:
        block.groups.append(Group(weighted[-1], NODES))
    return block
