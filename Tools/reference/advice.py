"""SPEC 7.4 and 8.13: nearest prototypes, and choosing an update scheme. Advice: no run depends on it."""

import operations
import random_bits
import scalar
import sparse
from data import Dataset
from network import WEIGHTED, fan_in
from operations import Draws
from recipe import UPDATE_WEIGHTS, Recipe
from scalar import ZERO, clamp, div_round, log2, mul, multiplier, requant_wide, sat64, shifted
from training import Training, logits, run_forward, sample_loss

T_LIMIT = (1 << 31) - 1
F_LIMIT = (1 << 63) - 1

# ---------------------------------------------------------------------------- 7.4 prototypes


def prototypes(features, labels, classes):
    """p of every class: a list of D integers, or None for a class without samples."""
    found = []
    for c in range(classes):
        own = [f for f, label in zip(features, labels) if label == c]
        found.append([div_round(sum(column), len(own)) for column in zip(*own)] or None)
    return found


def prototype_logits(prototypes, features):
    """z_c = -sum over d of (f_d - p_c,d)^2; None for a class that takes no part."""
    return [None if p is None else -sum((f - q) ** 2 for f, q in zip(features, p))
            for p in prototypes]


def nearest(z):
    """The lowest index of the largest z."""
    known = [v for v in z if v is not None]
    return z.index(max(known))


def prototype_gradient(prototypes, g, zero):
    """dL/df_d = sum over c of g_c * (p_c,d - Z); Scale of g times 2 S."""
    taking_part = [(p, v) for p, v in zip(prototypes, g) if p is not None]
    return [sum(v * (p[d] - zero) for p, v in taking_part)
            for d in range(len(taking_part[0][0]))]


# ---------------------------------------------------------------------------- 8.13 Fisher potentials


class Potentials:
    """F of the output channels and of the selectable channels of every weighted node, Q40."""

    def __init__(self, net, samples, labels, seed, loss=1):
        self.net = net
        self.weighted = [k for k, node in enumerate(net.nodes) if node.kind in WEIGHTED]
        self.outputs = {k: [0] * net.nodes[k].shape[2] for k in self.weighted}
        self.channels = {k: [0] * (sparse.selectable_channels(net.nodes[k], self.read(k)) or 0)
                         for k in self.weighted}
        updates = [UPDATE_WEIGHTS if k in self.outputs else 0 for k in range(len(net.nodes))]
        recipe = Recipe(seed=seed, updates=updates, loss=loss, batch=1, micro_batch=1)
        self.training = Training(net, recipe, Dataset(samples, labels))
        for number in range(len(samples)):
            self.add_sample(number)

    def read(self, k):
        return self.net.tensor(self.net.nodes[k].inputs[0])

    def add_sample(self, number):
        """Forward, loss, and the gradients of every tensor with beta = B = 1."""
        training, net = self.training, self.net
        tensors = run_forward(net, [training.data.samples[number]])
        z = logits(net, tensors[-1].values)[0]
        g = sample_loss(net, training.recipe, z, training.data, number)[1]
        gradients = {}

        def observe(moment, step, micro_batch, *seen):
            if moment == "gradient":
                gradients[seen[0]] = seen[1]

        training.observe = observe
        list(training.backward(tensors, g, 1, Draws(training.recipe.seed, number, 0), []))
        for k, gradient in gradients.items():
            if k in self.outputs and gradient.scale != ZERO:
                self.add(k, tensors, gradient, z)

    def add(self, k, tensors, g, z):
        net, node, x = self.net, self.net.nodes[k], self.read(k)
        outputs = node.shape[2]
        if node.accumulators:
            gammas = [gradient * value for gradient, value in zip(g.values, z)]
            y_scale = net.output.scale
        else:
            gammas = [sum(v * (q - node.zero) for v, q in zip(
                g.values[c::outputs], tensors[k + 1].values[c::outputs])) for c in range(outputs)]
            y_scale = node.scale
        add_squares(self.outputs[k], gammas, mul(g.scale, y_scale))
        if not self.channels[k]:
            return
        inputs = [tensors[t].values for t in node.inputs]
        dw = operations.parameter_gradients(net, node, inputs, g)[0].values
        size = fan_in(node, x)
        count = len(self.channels[k])
        rho = [1] * outputs
        weight_scale = node.weight_scales[0]
        if node.per_channel:
            largest, rho = operations.channel_ratios(node)
            weight_scale = shifted(largest, -15)
        q = [0] * count
        for o in range(outputs):
            inner = [0] * count
            for i in range(o * size, (o + 1) * size):
                inner[sparse.channel_of(node, x, i)] += node.weights[i] * dw[i]
            if node.per_channel:
                inner = [clamp(v, -(1 << 47), 1 << 47) for v in inner]
            q = [sat64(a + rho[o] * b) for a, b in zip(q, inner)]
        add_squares(self.channels[k], q, mul(mul(weight_scale, x.scale), g.scale))

    def potential(self, k):
        """Q16, or None."""
        total = min(sum(self.outputs[k]), F_LIMIT)
        return log2(total) if total else None

    def score(self, k, selected=None):
        """Q16, or None without potential; `selected` of the node's channels, all if None."""
        node, x, potential = self.net.nodes[k], self.read(k), self.potential(k)
        if potential is None:
            return None
        parameters = fan_in(node, x) * node.shape[2]
        positions = node.shape[0] * node.shape[1]
        if selected is not None:
            parameters = parameters // len(self.channels[k]) * selected
        return potential - log2(parameters) - log2(max(1, parameters * positions))


def add_squares(potentials, values, unit):
    """F <- min(F + T^2, 2^63 - 1), T the real value in Q20."""
    mult = multiplier(shifted(unit, 20))
    for i, value in enumerate(values):
        t = clamp(requant_wide(value, mult), -T_LIMIT, T_LIMIT)
        potentials[i] = min(potentials[i] + t * t, F_LIMIT)


# ---------------------------------------------------------------------------- 8.13 search

SHARES = 4
POPULATION, PARENTS, GENERATIONS = 32, 8, 40


class Search:
    """`gains`: of k last layers' biases and Scales, for k = 0…n; `weights`: per layer the gains of its
    shares 1, 1/2, 1/4, 1/8. `fits(genome)` knows the budget, and shares that a node cannot have."""

    def __init__(self, seed, gains, weights, fits):
        self.seed, self.gains, self.weights, self.fits = seed, gains, weights, fits
        self.values = [len(gains)] + [SHARES + 1] * len(weights)

    def value(self, genome):
        total = self.gains[genome[0]]
        for gains, gene in zip(self.weights, genome[1:]):
            total += gains[SHARES - gene] or 0 if gene else 0
        return total

    def run(self):
        members = [self.first(m) for m in range(POPULATION)]
        for generation in range(1, GENERATIONS):
            parents = self.best(members)
            members = parents + [self.child(generation, m, parents) for m in range(len(parents), POPULATION)]
        return self.best(members)[0]

    def best(self, members):
        order = sorted(range(len(members)), key=lambda m: (-self.value(members[m]), m))
        best = []
        for m in order:
            if members[m] not in best:
                best.append(members[m])
        return best[:PARENTS]

    def stream(self, generation, member):
        return random_bits.Stream(self.seed, random_bits.SEARCH, 0, generation, member)

    def first(self, member):
        draws = self.stream(0, member)
        return self.repaired([draws.uniform(j, n) for j, n in enumerate(self.values)])

    def child(self, generation, member, parents):
        draws = self.stream(generation, member)
        pair = [parents[draws.uniform(j, len(parents))] for j in range(2)]
        genome = []
        for j, n in enumerate(self.values):
            lot = draws.uniform(2 + 2 * j, 8)
            genome.append(draws.uniform(3 + 2 * j, n) if lot == 7 else pair[lot % 2][j])
        return self.repaired(genome)

    def repaired(self, genome):
        while not self.fits(genome):
            shares = genome[1:]
            if any(shares):
                genome = list(genome)
                genome[1 + shares.index(max(shares))] -= 1
            else:
                genome = [genome[0] - 1] + shares
        return genome
