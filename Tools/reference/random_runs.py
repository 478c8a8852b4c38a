"""Random small networks, recipes and data, with the journals the reference gives.

    python3 Tools/reference/random_runs.py --seed 42 --count 10 --out FOLDER [--steps 20]

Writes FOLDER/run-SEED-I.{tally,json,npz,tlj} and -trained.tally (see Formats/vectors/README.md,
"Runs"), so that another implementation can be compared byte by byte. Everything follows from the
seed and the number I; the draws come from SPEC 4, purpose 255, which no run uses.
"""

import argparse
import json
import os
import sys

import network
import random_bits
import sparse
import vectors
import vectors_runs
from builder import Builder, channel_scales, fraction
from vector_text import Rule


class Draw:
    """A row of random choices."""

    def __init__(self, seed, number):
        self.stream = random_bits.Stream(seed, 255, number, 0, 0)
        self.position = 0

    def below(self, n):
        self.position += 1
        return self.stream.uniform(self.position - 1, n)

    def of(self, choices):
        return choices[self.below(len(choices))]

    def between(self, low, high):
        return low + self.below(high - low + 1)


def some_rule(draw, low, high):
    return Rule(draw.between(3, 9999) * 2 + 1, draw.below(1000), high - low + 1, low)


def dense_network(draw):
    b = Builder((draw.between(1, 4), draw.between(1, 5), draw.between(1, 3)), fraction(1, 64))
    t = 0
    for i in range(draw.between(0, 3)):
        t = b.dense(t, draw.between(3, 14), relu=draw.below(3) > 0, name=f"dense{i}")
    b.head(t, draw.between(2, 7), name="head")
    return b.initialised(draw.below(1 << 31))


def convolution(b, draw, t, channels, name, **fields):
    size = draw.of([(1, 1), (3, 3), (3, 3), (2, 3)])
    padding = (size[0] // 2, size[1] // 2, size[0] // 2, size[1] // 2) if draw.below(3) else (0, 0, 0, 0)
    height, width, _ = b.net.tensor(t).shape
    if height + 2 * padding[0] < size[0] or width + 2 * padding[1] < size[1]:
        size, padding = (1, 1), (0, 0, 0, 0)
    return b.convolution(t, channels, size, padding=padding, name=name, **fields)


def convolutional_network(draw, converted):
    """Convolutions, one of pooling, stride or residual addition, and a head."""
    b = Builder((draw.between(3, 8), draw.between(3, 8), draw.between(1, 3)), fraction(1, 64),
                draw.between(-10, 10) if converted else 0, channels_first=bool(draw.below(2)))

    def fields(channels):
        if not converted:
            return dict(relu=draw.below(3) > 0)
        result = dict(relu=draw.below(3) > 0, weights=some_rule(draw, -90, 90), biases=some_rule(draw, -300, 300),
                      scale=fraction(1, draw.between(10, 60)))
        if draw.below(2):
            result.update(per_channel=True, weight_scales=channel_scales(channels, 1, draw.between(60, 300)))
        return result
    channels = draw.between(2, 5)
    t = convolution(b, draw, 0, channels, "first", **fields(channels))
    for i in range(draw.between(1, 2)):
        height, width, _ = b.net.tensor(t).shape
        choice = draw.below(4)
        if choice == 0 and height >= 2 and width >= 2:
            t = b.max_pool(t, (2, 2), draw.of([(1, 1), (2, 2)]), name=f"pool{i}")
        elif choice == 1:
            u = b.convolution(t, channels, (3, 3), padding=(1, 1, 1, 1), name=f"branch{i}", **fields(channels))
            t = b.sum(t, u, fraction(1, 12), relu=bool(draw.below(2)), name=f"add{i}")
        elif choice == 2:
            t = b.convolution(t, channels, (3, 3), padding=(1, 1, 1, 1), stride=draw.of([(1, 1), (2, 1)]),
                              groups=channels, name=f"depthwise{i}", **fields(channels))
        else:
            channels = draw.between(2, 5)
            t = convolution(b, draw, t, channels, f"more{i}", **fields(channels))
    height, width, _ = b.net.tensor(t).shape
    if draw.below(2):
        t = b.average_pool(t, (height, width), name="average")
    outputs = draw.between(2, 6)
    if converted:
        b.head(t, outputs, name="head", weights=some_rule(draw, -90, 90), biases=some_rule(draw, -300, 300))
        return b.net
    b.head(t, outputs, name="head")
    return b.initialised(draw.below(1 << 31))


def random_recipe(draw, net, steps):
    batch = draw.between(1, 12)
    recipe = {
        "epochs": 1000, "steps": steps, "batch": batch, "microBatch": draw.between(1, batch),
        "seed": draw.below(1 << 31) << 32 | draw.below(1 << 31), "rootEvery": 1, "rangePeriod": draw.between(2, 9),
        "weights": draw.of(["masters", "masters", "int8"]), "learningRate": draw.of(["0.02", "0.1", "1/7"]),
        "clip": draw.of([1, 16, 64]), "schedule": draw.of([
            {"kind": "cosine"}, {"kind": "cosine", "warmup": 3}, {"kind": "constant"},
            {"kind": "step", "factors": ["1", "0.3", "1.5"], "warmup": 1}]),
    }
    if draw.below(2):
        recipe["momentum"] = draw.of(["0.5", "0.9", "0.99"])
    if draw.below(3) == 0:
        recipe["weightDecay"] = "0.01"
    if draw.below(3) == 0:
        recipe["trustRatio"] = draw.of(["0.01", "0.1", "0"])
    if draw.below(3) == 0:
        recipe["normClip"] = draw.of(["0.5", "5", "0"])
    if draw.below(4) == 0:
        recipe["loss"] = "meanSquaredError"
    if draw.below(4) == 0:
        recipe["update"] = draw.of(["last", "biases", "bias+last"])
    elif draw.below(3) == 0:
        recipe["update"] = random_layers(draw, net)
    if draw.below(3) == 0:
        recipe["learningRates"] = {"scales": draw.of(["0.1", "1", "9"])}
    if draw.below(3) == 0:
        recipe["sparseGradients"] = draw.of([
            {}, {"minimum": "0", "maximum": "1", "zeta": "0.5", "decay": draw.below(9)},
            {"minimum": "0.2", "maximum": "0.6", "headMinimum": 3}, {"kind": "topk", "ratio": "1/3"}])
    return recipe


def random_layers(draw, net):
    """Scales and shares of the channels, layer by layer; the last one's biases at least."""
    layers = {}
    for node in net.nodes:
        if not node.is_weighted:
            continue
        parts = {"biases": bool(draw.below(2)) or node is net.head}
        if not node.accumulators and draw.below(2):
            parts["scales"] = True
        if sparse.selectable_channels(node, net.tensor(node.inputs[0])) is None or draw.below(3) == 0:
            parts["weights"] = bool(draw.below(2))
        else:
            parts["weights"] = draw.of(["1/2", "1/3", "1", "1/8"])
            parts["rule"] = draw.of(["magnitude", "first", "random"])
        layers[node.name] = parts
    return {"layers": layers}


def random_run(seed, number, steps):
    draw = Draw(seed, number)
    kind = draw.below(3)
    net = dense_network(draw) if kind == 0 else convolutional_network(draw, converted=kind == 2)
    shape, count = net.input_shape, draw.between(3, 20)
    if net.channels_first:
        shape = (shape[2], shape[0], shape[1])
    data = vectors_runs.images(count, shape, net.output.count)
    return vectors_runs.Run(f"seed {seed}, number {number}", net, data, random_recipe(draw, net, steps))


def main(arguments):
    parser = argparse.ArgumentParser(description="Random runs for comparison with other implementations.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", required=True)
    options = parser.parse_args(arguments)
    for number in range(options.count):
        run = random_run(options.seed, number, options.steps)
        name = f"run-{options.seed}-{number}"
        files = vectors_runs.run_files(name, run)
        vectors.write({path.split("/")[1]: content for path, content in files.items()}, options.out)
        kinds = ", ".join(network.KIND_NAMES[node.kind] for node in run.net.nodes)
        print(f"{name}: {kinds}; {json.dumps(run.recipe)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
