"""SPEC 8: training. `Training.records()` yields the records of the run's journal (9.4) one by one.

The state of 8.1 lives in the nodes of the network (weights, biases, Scales) and in one
`Parameters` per weighted node (masters, velocities).
"""

import hashlib
import struct
from dataclasses import dataclass

import journal
import loss as losses
import operations
import random_bits
import scalar
import sparse
import zeroth
from data import batch_digest, data_digest
from network import WEIGHTED, fan_in, model_digest, write
from operations import Draws, Forward, Gradient, forward
from ranges import RangeTracker
from recipe import (
    COSINE, INT8, MASTERS, STEP, UPDATE_BIASES, UPDATE_SCALES, UPDATE_WEIGHTS, check_against,
)
from recipe import write as write_recipe
from scalar import ZERO, Scale, clamp, div, from_integer, mul, multiplier, requant, shifted, trunc0

A_LIMIT = 127 << 16
VELOCITY_LIMIT = 1 << 28
BIAS_LIMIT = 25_000_000
# In place of a micro-batch, at the beginning and the end of a step.
WHOLE_STEP = 0xFFFFFFFF


class RecipeError(Exception):
    """A recipe that breaks a bound of 8.3 or 8.7 for this model; refused before the first step."""


# ---------------------------------------------------------------------------- 8.1 state

@dataclass
class Parameters:
    """8.1: the optimiser's state of one weighted node; lists are None where they do not exist."""

    updates_weights: bool
    updates_biases: bool
    masters: list = None
    velocity: list = None
    bias_velocity: list = None
    scale_velocity: list = None  # 8.11
    selected: list = None  # 8.11: the weights that the compact tensor stands for; None for all


def initial_parameters(node, flags, recipe, selected=None):
    """8.1: A = w * 2^16, v = 0; with a selection for the selected weights alone."""
    weights, biases = bool(flags & UPDATE_WEIGHTS), bool(flags & UPDATE_BIASES)
    p = Parameters(weights, biases, selected=selected)
    trained = trained_weights(node, p)
    if weights and recipe.mode == MASTERS:
        p.masters = [w << 16 for w in trained]
    if weights and (recipe.mode == INT8 or recipe.momentum > 0):
        p.velocity = [0] * len(trained)
    if flags & UPDATE_SCALES:
        p.scale_velocity = [0] * len(node.weight_scales)
    if biases:
        p.bias_velocity = [0] * len(node.biases)
    return p


def trained_weights(node, p):
    """8.11: the weights that change, as the compact tensor has them."""
    return node.weights if p.selected is None else [node.weights[i] for i in p.selected]


def set_trained_weights(node, p, values):
    if p.selected is None:
        node.weights = values
    else:
        node.weights = list(node.weights)
        for i, w in zip(p.selected, values):
            node.weights[i] = w


def state_root(net, parameters, sparse_nodes=(), exponents=()):
    """9.5."""
    h = hashlib.sha256(b"tally/state/v1")
    for node, p in zip(net.nodes, parameters):
        if p is None:
            continue
        if p.updates_weights:
            h.update(struct.pack(f"<{len(node.weights)}b", *node.weights))
        for words in (p.masters, p.velocity):
            if words is not None:
                h.update(struct.pack(f"<{len(words)}i", *words))
        if p.updates_biases:
            h.update(struct.pack(f"<{len(node.biases)}i", *node.biases))
        for words in (p.bias_velocity if p.updates_biases else None, p.scale_velocity):
            if words is not None:
                h.update(struct.pack(f"<{len(words)}i", *words))
    for node in net.nodes:
        for s in node.weight_scales:
            h.update(struct.pack("<ii", *s))
    for t in range(len(net.nodes) + 1):
        h.update(struct.pack("<ii", *net.tensor(t).scale))
    for node in sparse_nodes:
        h.update(struct.pack("<ii", *node.largest))
    h.update(struct.pack(f"<{len(exponents)}i", *exponents))  # 8.18, with adaption of sigma
    return h.digest()


# ---------------------------------------------------------------------------- 8.4 which gradients

def gradient_tensors(net, updated):
    """8.4: the tensors on a path from an updated node to the output."""
    reaches_output = {len(net.nodes)}
    for k in reversed(range(len(net.nodes))):
        if k + 1 in reaches_output:
            reaches_output.update(net.nodes[k].inputs)
    below_updated = set()
    for k, node in enumerate(net.nodes):
        if k in updated or any(t in below_updated for t in node.inputs):
            below_updated.add(k + 1)
    return reaches_output & below_updated


# ---------------------------------------------------------------------------- inference

def run_forward(net, batch, tracker=None):
    """6: every tensor of a micro-batch, as a list of `Forward`; tensor 0 is the input."""
    tensors = [Forward([q for sample in batch for q in sample])]
    for k, node in enumerate(net.nodes):
        inputs = [tensors[t].values for t in node.inputs]
        result = forward(net, k, inputs)
        if tracker is not None:
            result = tracker.observe(k, result, lambda: forward(net, k, inputs))
        tensors.append(result)
    return tensors


def logits(net, output):
    """5.7: z of every sample of a micro-batch."""
    zero = 0 if net.head.accumulators else net.head.zero
    size = net.output.count
    return [[q - zero for q in output[i:i + size]] for i in range(0, len(output), size)]


def sample_loss(net, recipe, z, data, i):
    """7: (loss, gradient of the logits) of sample i."""
    scale = net.output.scale
    if recipe.loss == losses.CROSS_ENTROPY:
        value, _, g = losses.softmax_cross_entropy(z, data.labels[i], scale)
        return value, g
    targets = data.targets[i] if data.targets is not None else losses.one_hot(data.labels[i], len(z))
    return losses.mean_squared_error(z, targets, scale)


def is_correct(z, data, i):
    """journal.md: the predicted class is the label; 0 without labels."""
    return data.targets is None and operations.predicted_class(z) == data.labels[i]


def evaluate(net, recipe, data):
    """journal.md, record `epoch`: (loss, correct) over a data set."""
    total = correct = 0
    for i, sample in enumerate(data.samples):
        z = logits(net, run_forward(net, [sample])[-1].values)[0]
        total += sample_loss(net, recipe, z, data, i)[0]
        correct += is_correct(z, data, i)
    return total, correct


# ---------------------------------------------------------------------------- 8 training

class Training:
    """One run: a network (changed in place), a resolved recipe, data, validation data or None.

    `trace(text, form, values)`, if given, sees intermediate values; `form` is a struct code.
    `observe(moment, step, micro_batch, ...)` may be set to one who looks at each moment of a step (trace.py).
    """

    def __init__(self, net, recipe, data, validation=None, trace=None):
        check_against(recipe, net)
        self.net, self.recipe, self.data, self.validation = net, recipe, data, validation
        self.trace = trace or (lambda text, form, values: None)
        self.observe = lambda moment, step, micro_batch, *seen: None
        self.samples = data.count
        self.planned = recipe.planned_steps(self.samples)
        self.steps_per_epoch = -(-self.samples // recipe.batch)
        self.largest_micro_batches = -(-recipe.batch // recipe.micro_batch)
        self.leaves = data.leaves()
        self.initial_digest = model_digest(write(net))
        self.parameters = [
            initial_parameters(node, flags, recipe, self.selected(k)) if flags else None
            for k, (node, flags) in enumerate(zip(net.nodes, recipe.updates))]
        self.updated = [k for k, p in enumerate(self.parameters) if p is not None]
        self.gradients = gradient_tensors(net, self.updated)
        self.zeroth = zeroth.Measuring(self) if recipe.zeroth else None
        if self.zeroth:
            self.add_measured_parameters()
        weighted = [k for k, node in enumerate(net.nodes) if node.kind in WEIGHTED]
        self.last_weighted = weighted[-1] if weighted else None
        self.check_bounds()
        self.sparse = {}
        if recipe.sparse is not None:
            nodes = [k for k in weighted if k + 1 in self.gradients]
            self.sparse = {k: sparse.SparseNode(self, k, len(nodes) - 1 - i)
                           for i, k in enumerate(nodes)}
        self.tracker = None
        if recipe.track:
            if not net.initialised:
                raise RecipeError("the recipe tracks ranges of a model without flag bit 0 (8.9)")
            self.tracker = RangeTracker(net, self.parameters, recipe.range_period, self.planned)

    def add_measured_parameters(self):
        """8.1, 9.5: the state of nodes that groups change; kind 1 has no velocities (8.16)."""
        for group in self.recipe.zeroth.groups:
            if group.of_tensor:
                self.parameters[group.node] = initial_parameters(
                    self.net.nodes[group.node], UPDATE_WEIGHTS | UPDATE_BIASES, self.recipe)
        groups = [g for g in self.recipe.zeroth.groups if not g.of_tensor]
        for group in sorted(groups, key=lambda g: g.of_gains):
            for k in zeroth.span(self.net, group):
                if self.parameters[k] is None:
                    p = self.parameters[k] = Parameters(not group.of_gains, True)
                    if p.updates_weights and self.recipe.mode == MASTERS:
                        p.masters = [w << 16 for w in self.net.nodes[k].weights]

    def root(self):
        """9.5."""
        return state_root(self.net, self.parameters, self.sparse.values(),
                          self.zeroth.exponents() if self.zeroth else ())

    def selected(self, k):
        """8.11: the weights that change where the recipe selects channels."""
        selection, node = self.recipe.selection(k), self.net.nodes[k]
        if selection is None:
            return None
        channels = sparse.choose(self.net, k, selection, self.recipe.seed)
        return sparse.selected_weights(node, self.net.tensor(node.inputs[0]), channels)

    def check_bounds(self):
        """8.3, 8.7, and that loss and data fit."""
        recipe, net = self.recipe, self.net
        if recipe.loss == losses.CROSS_ENTROPY and self.data.labels is None:
            raise RecipeError("cross-entropy needs labels")
        if self.largest_micro_batches > 1024:
            raise RecipeError("more than 1024 micro-batches in a step (8.3)")
        if (self.largest_micro_batches * recipe.clip) << 16 > 1 << 30:
            raise RecipeError("micro-batches times clip above 2^14 (8.7)")
        for k, node in enumerate(net.nodes):
            if node.kind not in WEIGHTED:
                continue
            positions = node.shape[0] * node.shape[1]
            if k in self.updated and recipe.micro_batch * positions > 66_311:
                raise RecipeError(f"node {k}: too many positions in a micro-batch (8.3)")
            reach = node.kernel[0] * node.kernel[1] * node.shape[2] // node.groups
            if node.inputs[0] in self.gradients and reach > 133_140:
                raise RecipeError(f"node {k}: too many weights reach one input (8.3)")

    # ------------------------------------------------------------------------ 8.2 steps

    def begin_record(self):
        """journal.md 0x01."""
        validation = self.validation
        return journal.BEGIN, journal.pack_begin(
            self.initial_digest, data_digest(self.leaves),
            data_digest(validation.leaves()) if validation else bytes(32),
            self.samples, validation.count if validation else 0, self.planned,
            write_recipe(self.recipe))

    def records(self):
        yield self.begin_record()
        if self.planned and self.tracker:
            for change in self.tracker.calibrate(
                    lambda: run_forward(self.net, self.first_micro_batch(), self.tracker)):
                yield journal.RANGE, change
        totals = [0, 0, 0]  # samples, loss, correct of the epoch
        for t in range(self.planned):
            epoch, s = divmod(t, self.steps_per_epoch)
            record, counts, measured = self.step(t, epoch, s)
            yield journal.STEP, record
            if measured:
                yield journal.DIFFERENCES, measured.record()
                change = measured.state.decide(t)
                if change:
                    yield journal.RANGE, change
            if self.recipe.sparse is not None:
                yield journal.KEPT, journal.pack_kept(t, [n.counts for n in self.sparse.values()])
            totals = [a + b for a, b in zip(totals, counts)]
            if self.tracker:
                for change in self.tracker.decide(t):
                    yield journal.RANGE, change
            last = t + 1 == self.planned
            if (t + 1) % self.recipe.root_every == 0 or last:
                yield journal.ROOT, struct.pack("<I", t) + self.root()
            if s + 1 == self.steps_per_epoch or last:
                yield journal.EPOCH, self.epoch_record(epoch, totals)
                totals = [0, 0, 0]
        yield journal.END, journal.pack_end(self.planned, model_digest(write(self.net)))

    def order(self, epoch, s):
        """8.2: the sample numbers of step s of an epoch."""
        batch, n = self.recipe.batch, self.samples
        permutation = random_bits.SampleOrder(self.recipe.seed, epoch, n)
        return [permutation[i] for i in range(s * batch, min((s + 1) * batch, n))]

    def first_micro_batch(self):
        return [self.data.samples[i] for i in self.order(0, 0)[:self.recipe.micro_batch]]

    def epoch_record(self, epoch, totals):
        """journal.md 0x05."""
        samples, loss, correct = totals
        loss = scalar.sat64(loss)  # 7.3; of numbers >= 0 it does not matter when
        if self.validation is None:
            return journal.pack_epoch(epoch, samples, loss, correct, 0, 0, 0)
        v_loss, v_correct = evaluate(self.net, self.recipe, self.validation)
        return journal.pack_epoch(
            epoch, samples, loss, correct, self.validation.count, scalar.sat64(v_loss), v_correct)

    def step(self, t, epoch, s):
        """8.2, one step: the payload of the step record; (samples, loss, correct); what 8.15 measured."""
        net, recipe = self.net, self.recipe
        order = self.order(epoch, s)
        micro_batches = [order[i:i + recipe.micro_batch]
                         for i in range(0, len(order), recipe.micro_batch)]
        factor = rate_factor(recipe, t, epoch, self.planned)
        updates = [Update(self, k, factor, len(micro_batches)) for k in self.updated]
        measured = estimated = None
        if self.zeroth:
            measured = zeroth.Step(self.zeroth, t, factor, len(order))
            if measured.group.of_tensor:
                estimated = Update(self, measured.group.node, factor, len(micro_batches))
        self.observe("begun", t, WHOLE_STEP)
        for u in updates:
            u.begin()
        for node in self.sparse.values():
            node.begin()
        loss_sum = correct = saturated = clipped = 0
        for m, chosen in enumerate(micro_batches):
            positions = range(m * recipe.micro_batch, m * recipe.micro_batch + len(chosen))
            for i, p in zip(chosen, positions if measured else ()):
                measured.measure(i, p)
            tensors = run_forward(net, [self.data.samples[i] for i in chosen], self.tracker)
            self.observe("computed", t, m, tensors, chosen)
            saturated += count_saturated(net, tensors)
            output = logits(net, tensors[-1].values)
            gradient = []
            for i, z, p in zip(chosen, output, positions):
                value, g = sample_loss(net, recipe, z, self.data, i)
                loss_sum += value
                gradient += g
                if measured:
                    measured.note_base(p, value)
                correct += is_correct(z, self.data, i)
            self.trace(f"step {t} micro-batch {m} logits", "i", [v for z in output for v in z])
            self.observe("loss", t, m, gradient)
            draws = Draws(recipe.seed, t, m)
            for u, dw, db, gains in self.backward(tensors, gradient, len(order), draws, updates):
                clipped += u.contribute(dw, db, draws, gains)
                self.observe("contributed", t, m, u.k)
            if estimated:
                clipped += measured.tensor_gradient(tensors, positions, draws, estimated)
        for u in updates + ([estimated] if estimated else []):
            u.finish(t)
        if measured:
            measured.count_differences()
            clipped += measured.apply()
        for node in self.sparse.values():
            node.finish()
        self.observe("applied", t, WHOLE_STEP)
        record = journal.pack_step(
            t, len(order), scalar.sat64(loss_sum), correct, saturated, clipped,
            batch_digest([self.leaves[i] for i in order])[:8])
        return record, (len(order), loss_sum, correct), measured

    def loss_of(self, net, output, i):
        """8.15: the loss of sample i whose head gave `output`, in a network that may be perturbed."""
        return sample_loss(net, self.recipe, logits(net, output)[0], self.data, i)[0]

    # ------------------------------------------------------------------------ 8.4, 8.5 backward

    def backward(self, tensors, loss_gradient, step_samples, draws, updates):
        """Yields (update, dw, db, gamma) of each updated node, from last to first."""
        net, n = self.net, len(self.net.nodes)
        if n not in self.gradients:
            return
        by_node = {u.k: u for u in updates}
        scale = (losses.cross_entropy_scale(step_samples)
                 if self.recipe.loss == losses.CROSS_ENTROPY
                 else losses.mean_squared_error_scale(net.output.scale, step_samples, net.output.count))
        gradients = {n: self.treat(n, loss_gradient, scale, tensors, draws, 4 * n)}
        for k in reversed(range(self.updated[0], n)):
            if k + 1 not in gradients:
                continue
            node, g = net.nodes[k], gradients.pop(k + 1)
            self.trace(f"step {draws.step} micro-batch {draws.micro_batch} gradient of tensor {k + 1} "
                       f"scale {g.scale.m} {g.scale.e}", "b", g.values)
            self.observe("gradient", draws.step, draws.micro_batch, k, g)
            inputs = [tensors[i].values for i in node.inputs]
            dense = g
            if k in self.sparse and g.scale != ZERO:
                g = self.sparse[k].thin(g, draws.step, step_samples)
            if k in by_node:
                # 8.5: db and gamma from all of the gradient, dw from what is left.
                db = operations.parameter_gradients(net, node, inputs, dense)[1]
                dw = operations.parameter_gradients(net, node, inputs, g)[0]
                p = self.parameters[k]
                if p.selected is not None:
                    dw = operations.Accumulators([dw.values[i] for i in p.selected], dw.scale)
                gains = (sparse.gain_gradient(node, tensors[k + 1].values, dense.values)
                         if p.scale_velocity is not None else None)
                self.trace(f"step {draws.step} micro-batch {draws.micro_batch} dw of node {k}",
                           "i", dw.values)
                self.trace(f"step {draws.step} micro-batch {draws.micro_batch} db of node {k}",
                           "i", db.values)
                self.observe("parameters", draws.step, draws.micro_batch, k, dw, db)
                yield by_node[k], dw, db, gains
            if not any(i in self.gradients for i in node.inputs):
                continue
            for slot, dx in enumerate(operations.backward(net, k, inputs, g, draws)):
                i = node.inputs[slot]
                if i not in self.gradients:
                    continue
                new = self.treat(i, dx.values, dx.scale, tensors, draws, 4 * k + slot)
                if i in gradients:
                    new = operations.merge(
                        gradients[i], new,
                        lambda: draws.lanes(random_bits.MERGE, 4 * k + slot, len(new.values)))
                gradients[i] = new

    def treat(self, t, dx, scale, tensors, draws, stream_tensor):
        """8.4 steps 1 to 3."""
        if tensors[t].mask is not None:
            dx = [v if inside else 0 for v, inside in zip(dx, tensors[t].mask)]
        return operations.round_gradient(
            dx, scale, lambda: draws.lanes(random_bits.GRADIENT, stream_tensor, len(dx)))


def count_saturated(net, tensors):
    """journal.md: elements equal to 127 in the outputs of all nodes whose bounds have high = 127."""
    return sum(tensors[k + 1].values.count(127) for k, node in enumerate(net.nodes)
               if node.high == 127 and not node.accumulators)


# ---------------------------------------------------------------------------- 8.8 learning rate

def rate_factor(recipe, t, epoch, planned):
    """f of step t, Q30."""
    warm_up = recipe.warm_up
    if t < warm_up:
        return ((t + 1) << 30) // warm_up
    if recipe.schedule == COSINE:
        return scalar.half_cosine(((t - warm_up) << 24) // (planned - warm_up))
    if recipe.schedule == STEP:
        return recipe.factors[min(epoch, len(recipe.factors) - 1)]
    return 1 << 30


def rate(eta, factor):
    """eta * f."""
    return ZERO if factor == 0 else shifted(mul(eta, from_integer(factor)), -30)


# ---------------------------------------------------------------------------- 8.6, 8.7 updates

def norm(values):
    """sqrt(fromInteger(sum of squares)); the sum is exact."""
    return scalar.sqrt(from_integer(sum(v * v for v in values)))


class Update:
    """8.6 and 8.7 for one node and one step."""

    def __init__(self, training, k, factor, micro_batches):
        recipe, net = training.recipe, training.net
        self.k, self.recipe, self.micro_batches = k, recipe, micro_batches
        self.node, self.p = net.nodes[k], training.parameters[k]
        self.x, self.y = net.tensor(self.node.inputs[0]), net.tensor(k + 1)
        head = k == training.last_weighted
        self.weight_rate = rate(recipe.rate_head if head else recipe.rate_weights, factor)
        self.bias_rate = rate(recipe.rate_head if head else recipe.rate_biases, factor)
        self.scale_rate = rate(recipe.rate_scales, factor)
        self.largest_micro_batches = training.largest_micro_batches
        self.largest_bias_clip = min(1 << 23, (1 << 30) // training.largest_micro_batches)
        self.weight_norm = weight_norm(self.node, self.p) if self.p.updates_weights else ZERO

    # Scales and weights are those of the start of the step: finish() alone changes weights.

    def begin(self):
        """8.2 item 1: velocities, then decay."""
        p, recipe = self.p, self.recipe
        if p.velocity is not None:
            p.velocity = [trunc0(v * recipe.momentum, 1 << 15) for v in p.velocity]
        if p.bias_velocity is not None:
            p.bias_velocity = [trunc0(v * recipe.momentum, 1 << 15) for v in p.bias_velocity]
        if p.scale_velocity is not None:
            p.scale_velocity = [trunc0(v * recipe.momentum, 1 << 15) for v in p.scale_velocity]
        if p.updates_weights and recipe.decay != ZERO:
            mult = multiplier(mul(self.weight_rate, recipe.decay))
            masters = p.masters
            if masters is None:
                masters = [w << 16 for w in trained_weights(self.node, p)]
            self.enter([requant(a, mult) for a in masters])

    def enter(self, d):
        """8.7: a contribution D to the weights."""
        p = self.p
        if self.recipe.mode == MASTERS and self.recipe.momentum == 0:
            p.masters = [a - v for a, v in zip(p.masters, d)]
        else:
            p.velocity = [a + v for a, v in zip(p.velocity, d)]

    def contribute(self, dw, db, draws, gains=None):
        """One micro-batch; how many D the clip changed."""
        clipped = 0
        if db.scale == ZERO:  # 8.5: the Scale of g
            return clipped
        if self.p.updates_weights:
            d, clipped = self.weight_update(dw, db.scale, draws)
            if d is not None:
                self.enter(d)
        if self.p.updates_biases:
            d = self.bias_update(db, draws)
            self.p.bias_velocity = [a + v for a, v in zip(self.p.bias_velocity, d)]
        if gains is not None:
            d = sparse.gain_contribution(
                gains, self.scale_rate, db.scale, self.y.scale, self.largest_micro_batches)
            self.p.scale_velocity = [a + v for a, v in zip(self.p.scale_velocity, d)]
        return clipped

    def weight_update(self, dw, g_scale, draws):
        """8.6 Weights: (D, how many the clip changed)."""
        recipe, node = self.recipe, self.node
        if not any(dw.values):
            return None, 0
        units = [shifted(div(mul(mul(self.weight_rate, self.x.scale), g_scale), s), 16)
                 for s in node.weight_scales]
        nu = mul(mul(self.x.scale, g_scale), norm(dw.values))
        if recipe.norm_clip != ZERO and scalar.less(recipe.norm_clip, nu):
            units = [mul(u, div(recipe.norm_clip, nu)) for u in units]
            nu = recipe.norm_clip
        if recipe.trust_ratio != ZERO and self.weight_norm != ZERO:
            step = mul(self.weight_rate, nu)
            limit = div(mul(recipe.trust_ratio, self.weight_norm), from_integer(self.micro_batches))
            if scalar.less(limit, step):
                units = [mul(u, div(limit, step)) for u in units]
        mults = [multiplier(u) for u in units]
        k = len(node.weights) // len(node.biases)
        places = range(len(dw.values)) if self.p.selected is None else self.p.selected
        lanes = draws.lanes(random_bits.UPDATE, 4 * self.k, len(dw.values))
        bound, d, clipped = recipe.clip << 16, [], 0
        for i, v, lane in zip(places, dw.values, lanes):
            exact = scalar.requant_stochastic(v, mults[i // k if node.per_channel else 0], lane)
            d.append(clamp(exact, -bound, bound))
            clipped += d[-1] != exact
        return d, clipped

    def bias_update(self, db, draws):
        """8.6 Biases: D_b."""
        recipe, node = self.recipe, self.node
        ratio = None
        if recipe.norm_clip != ZERO:
            nu = mul(db.scale, norm(db.values))
            if scalar.less(recipe.norm_clip, nu):
                ratio = div(recipe.norm_clip, nu)
        lanes = draws.lanes(random_bits.UPDATE, 4 * self.k + 1, len(db.values))
        d = []
        for o, (v, lane) in enumerate(zip(db.values, lanes)):
            unit_of_bias = mul(self.x.scale, node.weight_scale(o))
            unit = div(mul(self.bias_rate, db.scale), unit_of_bias)
            if ratio is not None:
                unit = mul(unit, ratio)
            bound = self.largest_bias_clip
            if not node.accumulators:
                bound = clamp(scalar.integer(div(shifted(self.y.scale, 1), unit_of_bias), 0), 1, bound)
            d.append(clamp(scalar.requant_stochastic(v, multiplier(unit), lane), -bound, bound))
        return d

    def finish(self, t):
        """8.7: at the end of the step."""
        p, node, recipe = self.p, self.node, self.recipe
        if p.updates_weights:
            if p.velocity is not None:
                p.velocity = [clamp(v, -VELOCITY_LIMIT, VELOCITY_LIMIT) for v in p.velocity]
            if recipe.mode == MASTERS:
                if recipe.momentum > 0:
                    p.masters = [a - v for a, v in zip(p.masters, p.velocity)]
                p.masters = [clamp(a, -A_LIMIT, A_LIMIT) for a in p.masters]
                set_trained_weights(node, p, [(a + (1 << 15)) >> 16 for a in p.masters])
            else:
                lanes = Draws(recipe.seed, t, self.micro_batches).lanes(
                    random_bits.UPDATE, 4 * self.k, len(p.velocity))
                set_trained_weights(node, p, [
                    clamp(w - scalar.stochastic(v, 16, lane), -127, 127)
                    for w, v, lane in zip(trained_weights(node, p), p.velocity, lanes)])
                if recipe.momentum == 0:
                    p.velocity = [0] * len(p.velocity)
        if p.updates_biases:
            p.bias_velocity = [clamp(v, -VELOCITY_LIMIT, VELOCITY_LIMIT) for v in p.bias_velocity]
            node.biases = [clamp(b - v, -BIAS_LIMIT, BIAS_LIMIT)
                           for b, v in zip(node.biases, p.bias_velocity)]
            if recipe.momentum == 0:
                p.bias_velocity = [0] * len(p.bias_velocity)
        if p.scale_velocity is not None:
            limit = sparse.GAIN_LIMIT
            p.scale_velocity = [clamp(v, -limit, limit) for v in p.scale_velocity]
            node.weight_scales = [sparse.gain_step(s, v)
                                  for s, v in zip(node.weight_scales, p.scale_velocity)]
            if recipe.momentum == 0:
                p.scale_velocity = [0] * len(p.scale_velocity)


def weight_norm(node, p):
    """8.6: ||W|| = S_w * sqrt(N); per channel S_M * sqrt(sum of rho_o^2 N_o) * 2^-15."""
    if not node.per_channel:
        return mul(node.weight_scales[0], norm(trained_weights(node, p)))
    largest, rho = operations.channel_ratios(node)
    k = len(node.weights) // len(node.biases)
    places = range(len(node.weights)) if p.selected is None else p.selected
    total = sum((rho[i // k] * node.weights[i]) ** 2 for i in places)
    return shifted(mul(largest, scalar.sqrt(from_integer(total))), -15)


# ---------------------------------------------------------------------------- 8.10 initial weights

def initialise_weights(net, k, seed):
    """8.10: w, b and S_w of a weighted node; then S_y unless it is a head with accumulators."""
    node = net.nodes[k]
    x = net.tensor(node.inputs[0])
    size = fan_in(node, x)
    root = scalar.sqrt(div(from_integer(6), from_integer(size)))
    weight_scale = shifted(div(root, from_integer(127)), 1)
    stream = random_bits.Stream(seed, random_bits.INITIAL, 4 * k, 0, 0)
    node.weight_scales = [weight_scale]
    node.weights = [stream.uniform(j, 127) - 63 for j in range(size * node.shape[2])]
    node.biases = [0] * node.shape[2]
    if node.accumulators:
        node.scale = mul(x.scale, weight_scale)
    else:
        wanted = scalar.product(from_integer(64), scalar.sqrt(from_integer(size)), x.scale, weight_scale)
        node.scale = next_power_of_two(wanted)


def initial_add_scale(scales):
    """8.10: the larger S_j, doubled, then the power of two at or above."""
    return next_power_of_two(shifted(scalar.larger(*scales), 1))


def next_power_of_two(s):
    """8.10: m = 2^30: the Scale itself; else powerOfTwo(e)."""
    return s if s.m == 1 << 30 else scalar.power_of_two(s.e)
