"""Formats/vectors/advice: SPEC 7.4 and 8.13."""

import advice
import network
import random_bits
import vectors_networks
from vector_text import Block, Rule, blocks

# ---------------------------------------------------------------------------- 7.4


def prototype_case(name, count, labels, classes, zero, rule, g):
    features = rule.values(len(labels) * count)
    rows = [features[i:i + count] for i in range(0, len(features), count)]
    found = advice.prototypes(rows, labels, classes)
    query = [clamped + 1 if clamped < 127 else -128 for clamped in rows[0]]
    z = advice.prototype_logits(found, query)
    block = Block(name).add("features", rule).add("count", count).add("classes", classes)
    block.numbers("labels", labels).add("zero", zero).numbers("gradient", g)
    for c, p in enumerate(found):
        if p is not None:
            block.expect(f"prototype {c}", "i", p)
            block.add(f"expect logit {c}", z[c])
    block.add("expect class", advice.nearest(z))
    return block.expect("feature gradient", "i", advice.prototype_gradient(found, g, zero))


def prototypes():
    items = [
        prototype_case("means that round half up", 3, [0, 0, 1, 1], 2, -3, Rule(1, 0, 7, -3), [5, -5]),
        prototype_case("a class without samples", 17, [0, 2, 2, 0, 2], 3, 11, Rule(37, 5, 251, -128),
                       [32768, 0, -32768]),
        prototype_case("one sample", 40, [1], 2, -128, Rule(91, 7, 256, -128), [0, 0]),
        prototype_case("two equal prototypes: the lower class", 5, [1, 0, 1, 0], 2, 0,
                       Rule(0, 9, 100, -50), [1, -1]),
        prototype_case("the farthest that can be", 33_025, [0, 1], 2, -128, Rule(255, 0, 510, -128),
                       [16384, -16384]),
        prototype_case("ten classes", 64, [c % 10 for c in range(70)], 10, 4, Rule(7919, 3, 256, -128),
                       [-30000, 1, 2, 3, 4, 29000, 900, 80, 9, 1]),
    ]
    return blocks(
        "SPEC 7.4. `features` are those of the labelled samples, one behind the other, `count` each. The query has\n"
        "the features of the first sample plus 1 (127 becomes -128). Classes without samples have no line.\n"
        "`gradient` is g of every class; zero is Z.", items)


# ---------------------------------------------------------------------------- 8.13


MODELS = ["convolution-per-channel", "convolution-strided", "depthwise", "every-kind", "fully-connected",
          "grouped-pointwise", "initialised-mlp", "initialised-residual", "multiply", "pooled-head",
          "quantized-head", "smallest"]


def potentials(models):
    items = []
    for i, name in enumerate(MODELS):
        net = network.read(models[f"models/{name}.tally"])
        size, count, seed = net.tensor(0).count, 3, 5 + i
        rule = Rule(7919, 31 * i, 256, -128)
        values = rule.values(count * size)
        labels = [(2 * s + i) % net.output.count for s in range(count)]
        found = advice.Potentials(
            net, [values[s:s + size] for s in range(0, len(values), size)], labels, seed)
        block = Block(name).add("model", f"models/{name}.tally").add("values", rule)
        block.numbers("labels", labels).add("seed", seed)
        for k in found.weighted:
            block.expect(f"outputs of {k}", "q", found.outputs[k])
            block.expect(f"channels of {k}", "q", found.channels[k])
            score = found.score(k)
            if score is not None:
                block.add(f"expect potential of {k}", found.potential(k))
                block.add(f"expect score of {k}", score)
                if found.channels[k]:
                    half = max(1, (len(found.channels[k]) + 1) // 2)
                    block.add(f"expect score of {k} for {half}", found.score(k, half))
        items.append(block)
    return blocks(
        "SPEC 8.13, Fisher potentials: of the samples of `values`, one behind the other, with `labels`, by a recipe\n"
        "with this seed and cross-entropy. For each weighted node F of its output channels and of its selectable\n"
        "channels (Q40, int64), and the score (Q16) of all its weights and of those of so many channels.", items)


def search_case(name, seed, layers, budget):
    """Gains and costs by the rule of `uniform`; a share that a node cannot have is -1 in costs."""
    draws = random_bits.Stream(seed, random_bits.INITIAL, 0, 0, 0)
    word = iter(range(1 << 20))

    def draw(n):
        return draws.uniform(next(word), n)

    gains = [0] + [draw(60) - 10 for _ in range(layers + 1)]
    costs = [0]
    for _ in range(layers + 1):
        costs.append(costs[-1] + 1 + draw(5))
    parts, shares = [], []
    for _ in range(layers):
        parts.append([draw(80) - 20 for _ in range(4)])
        whole = 8 + draw(40)
        shares.append([whole, whole // 2, whole // 4, whole // 8])
        if draw(6) == 0:
            parts[-1][1:], shares[-1][1:] = [0] * 3, [-1] * 3

    def fits(genome):
        chosen = [share[4 - gene] for share, gene in zip(shares, genome[1:]) if gene]
        return -1 not in chosen and costs[genome[0]] + sum(chosen) <= budget

    search = advice.Search(seed, gains, parts, fits)
    best = search.run()
    block = Block(name).add("seed", seed).add("budget", budget)
    block.numbers("gains", gains).numbers("costs", costs)
    for j, (part, share) in enumerate(zip(parts, shares)):
        block.numbers(f"gains of {j}", part).numbers(f"costs of {j}", share)
    return block.numbers("expect genome", best).add("expect value", search.value(best))


def searches():
    items = [search_case(f"{layers} layers, budget {budget}", seed, layers, budget)
             for seed, (layers, budget) in enumerate(
                 [(1, 30), (2, 0), (3, 60), (9, 80), (9, 500), (20, 120), (20, 300)], 1)]
    return blocks(
        "SPEC 8.13, search. `gains` and `costs` are of the biases and Scales of the last k layers, k from 0; `gains of j`\n"
        "and `costs of j` of the shares 1, 1/2, 1/4 and 1/8 of the weights of the j-th layer; -1 is a share that the\n"
        "node cannot have. A genome fits if its costs are at most the budget.", items)


def files():
    models = vectors_networks.files()
    return {
        "advice/prototypes.txt": prototypes(),
        "advice/potentials.txt": potentials(models),
        "advice/search.txt": searches(),
    }
