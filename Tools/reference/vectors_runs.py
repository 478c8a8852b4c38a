"""Formats/vectors/runs: whole training runs with every intermediate digest, and journals.

A run NAME is: NAME.tally (the model it begins with), NAME.json (the recipe as a user writes it),
NAME.npz (data), NAME-validation.npz (if any), NAME.tlj (the journal), NAME-trained.tally (the model
it ends with) and NAME.txt (digests of everything in between).

Formats/vectors/checkpoints/NAME-U.tlc: the state of a run NAME when U of its steps are done.
Formats/vectors/traces/NAME-T.tlt: what it computes in step T.
"""

import hashlib
import io
import json
import struct
import zipfile

import checkpoint
import data as data_files
import journal
import network
import recipe as recipes
import scalar
import trace as traces
from builder import Builder, channel_scales, fraction
from network import InputMap
from training import Training
from vector_text import Rule, comment, pack

# ---------------------------------------------------------------------------- data


def npy(kind, shape, values):
    """A .npy file, version 1.0, C order."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    form = {"|u1": "B", "|i1": "b", "<i4": "i", "<f4": "f", "<f8": "d"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack(
        f"<{len(values)}{form}", *values)


def npz(**arrays):
    """A .npz file without compression and with fixed dates, so that it is the same every time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in arrays.items():
            archive.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def pixels(count, size, classes, first=0):
    """Bytes that depend on the label, with some that do not: x (flat) and y."""
    labels = [(i * 5 + i // 3) % classes for i in range(first, first + count)]
    x = []
    for i, label in zip(range(first, first + count), labels):
        x += [(j * (label + 3) * 7 + label * 31) % 180 + (i * j * 13 + i * 7) % 76 for j in range(size)]
    return x, labels


def images(count, shape, classes, first=0):
    x, y = pixels(count, shape[0] * shape[1] * shape[2], classes, first)
    return npz(x=npy("|u1", (count,) + shape, x), y=npy("|u1", (count,), y))


def regression(count, features, outputs):
    """Signed eighths, and targets in sixteenths: floating-point data that are exact rationals."""
    x = [((i * 37 + 11) % 161 - 80) / 8 for i in range(count * features)]
    y = [sum(x[i * features + (o + j) % features] * (j - 1) for j in range(3)) / 16
         for i in range(count) for o in range(outputs)]
    return npz(x=npy("<f4", (count, features), x), y=npy("<f8", (count, outputs), y))


# ---------------------------------------------------------------------------- networks

def mlp(outputs=5, hidden=12, seed=3):
    b = Builder((4, 5, 1), fraction(1, 64))
    b.head(b.dense(0, hidden, relu=True, name="hidden"), outputs, name="head")
    return b.initialised(seed)


def deep_mlp(seed=5):
    """Three hidden layers, one of them not rectified."""
    b = Builder((4, 5, 1), fraction(1, 64))
    t = b.dense(0, 12, relu=True, name="first")
    t = b.dense(t, 10, name="second")
    t = b.dense(t, 8, relu=True, name="third")
    b.head(t, 5, name="head")
    return b.initialised(seed)


def misjudged_ranges():
    """Scales of 8.10 far too coarse (the calibration repeats) and too fine (it grows)."""
    net = deep_mlp()
    for node, k in zip(net.nodes, (13, 9, -7)):
        node.scale = scalar.shifted(node.scale, k)
    return with_head_scale(net)


def biases_in_the_way():
    """The second repetition of a calibration would take a bias above 25 000 000."""
    net = deep_mlp()
    net.nodes[1].scale = scalar.shifted(net.nodes[1].scale, 12)
    net.nodes[2].biases = [100_000, -100_000, 0, 1, -1, 50_000, 7, -90_000]
    return with_head_scale(net)


def wide_weights():
    """Weights of the second layer up to 126: a large sigma cannot move many of them."""
    net = deep_mlp()
    second = net.nodes[1]
    second.weights = [2 * w for w in second.weights]
    second.weight_scales = [scalar.shifted(s, -1) for s in second.weight_scales]
    return net


def with_head_scale(net):
    net.head.scale = scalar.mul(net.tensor(net.head.inputs[0]).scale, net.head.weight_scales[0])
    return net


def residual(seed=9):
    b = Builder((6, 6, 1), fraction(1, 64))
    t = b.convolution(0, 4, padding=(1, 1, 1, 1), relu=True, name="in")
    p = b.max_pool(t, (2, 2), name="pool")
    u = b.convolution(p, 4, padding=(1, 1, 1, 1), relu=True, name="branch")
    u = b.convolution(u, 4, padding=(1, 1, 1, 1), name="branch2")
    t = b.sum(p, u, None, relu=True, name="add")
    b.head(b.average_pool(t, (3, 3)), 4, name="head")
    return b.initialised(seed)


def small_weights(scale):
    return dict(weights=Rule(29, 5, 101, -50), biases=Rule(7919, 17, 401, -200), scale=scale)


def converted_channels():
    """A converted model: per-channel Scales, groups, depthwise, strides; nothing may move."""
    maps = [InputMap(fraction(1, 2), False, -60 << 32), InputMap(fraction(2, 3), True, 80 << 32)]
    b = Builder((7, 6, 2), fraction(1, 50), -3, maps, channels_first=True)
    t = b.convolution(0, 6, (3, 3), stride=(2, 1), padding=(1, 0, 1, 1), relu=True, per_channel=True,
                      weight_scales=channel_scales(6), name="in", **small_weights(fraction(1, 30)))
    t = b.convolution(t, 6, (3, 2), groups=6, padding=(1, 0, 1, 1), relu=True, per_channel=True,
                      weight_scales=channel_scales(6, 1, 60), name="depthwise",
                      **small_weights(fraction(1, 20)))
    t = b.convolution(t, 4, (1, 1), groups=2, name="pointwise", **small_weights(fraction(1, 20)))
    t = b.average_pool(t, (2, 3), (2, 2), padding=(1, 1, 1, 1))
    b.head(t, 4, name="head", weights=Rule(29, 5, 101, -50))
    return b.net


def every_kind():
    """All eleven operations on gradient paths, a tensor read by three nodes, requantized head."""
    b = Builder((6, 6, 2), fraction(1, 40), 4)
    t = b.convolution(0, 4, padding=(1, 1, 1, 1), relu=True, name="convolution",
                      **small_weights(fraction(1, 30)))
    p = b.max_pool(t, (3, 3), (2, 2), padding=(1, 1, 1, 1), name="max pooling")  # 3 x 3
    u = b.upsample(b.slice_and_pad(p, (2, 3, 4), start=(1, 0, 0)), (3, 2))  # 6 x 6
    w = b.slice_and_pad(u, (3, 3, 4), step=(2, 2, 1), before=(0, 1, 0))
    s = b.sum(p, w, fraction(1, 25), name="add")
    a = b.average_pool(s, (3, 3), (1, 1), name="average pooling")
    gate = b.table(a, fraction(1, 128), Rule(1, 0, 256, -128), Rule(3, 1, 4097, 500), name="table")
    m = b.product(s, gate, fraction(1, 60), name="multiply")
    m = b.product(m, m, fraction(1, 50), name="square")
    c = b.concatenation(m, b.rescale(s, fraction(1, 30), zero=3), fraction(1, 30), name="concatenate")
    q = b.average_pool(c, (2, 2), (1, 1), padding=(0, 0, 1, 1), counts_padding=True)
    b.dense(q, 5, zero=-10, low=-120, high=110, name="fully connected",
            weights=Rule(29, 5, 101, -50), scale=fraction(1, 12))
    return b.net


def regressor():
    maps = [InputMap(fraction(6), False, 0)]
    b = Builder((1, 1, 6), fraction(1, 6), 0, maps)
    b.head(b.dense(0, 10, relu=True, name="hidden"), 2, name="head")
    return b.initialised(11)


def two_heads_of_one_tensor():
    """Gradients of three readers merge in one tensor; one weighted node does not reach the output."""
    b = Builder((1, 1, 8), fraction(1, 64))
    t = b.dense(0, 6, relu=True, name="shared", **small_weights(fraction(1, 20)))
    u = b.dense(t, 6, name="left", **small_weights(fraction(1, 20)))
    v = b.dense(t, 6, relu=True, name="right", **small_weights(fraction(1, 20)))
    b.dense(t, 3, name="dead end", **small_weights(fraction(1, 20)))
    s = b.sum(u, v, fraction(1, 12))
    s = b.sum(s, t, fraction(1, 10), relu=True)
    s = b.sum(s, s, fraction(1, 8))
    b.head(s, 3, name="head", weights=Rule(29, 5, 101, -50))
    return b.net


# ---------------------------------------------------------------------------- runs

IMAGES = dict(shape=(4, 5, 1), classes=5)


class Run:
    def __init__(self, text, net, data, recipe, validation=None, trace=True):
        self.text, self.net, self.data, self.recipe = text, net, data, recipe
        self.validation, self.trace = validation, trace


def base(**keys):
    """Recipe keys that make a run of ten steps."""
    recipe = {"epochs": 5, "steps": 10, "batch": 10, "seed": 1, "rootEvery": 1}
    recipe.update(keys)
    return recipe


RUNS = {
    "mlp": lambda: Run(
        "A dense network from 8.10, tracked ranges, cosine decay; neither batch nor micro-batch divides.",
        mlp(), images(23, **IMAGES), base(microBatch=4, learningRate="0.1")),
    "mlp-int8": lambda: Run(
        "int8 weights without masters, constant rate.", mlp(), images(23, **IMAGES),
        base(microBatch=10, weights="int8", learningRate="1/10", schedule={"kind": "constant"})),
    "mlp-momentum": lambda: Run(
        "Masters with momentum, decay and warm-up; three hidden layers.", deep_mlp(), images(20, **IMAGES),
        base(microBatch=5, momentum="0.9", weightDecay="1e-2", learningRate="0.02",
             schedule={"kind": "cosine", "warmup": 3})),
    "mlp-int8-momentum": lambda: Run(
        "int8 weights with momentum and decay; a step schedule.", deep_mlp(), images(20, **IMAGES),
        base(microBatch=3, weights="int8", momentum="0.5", weightDecay="0.05", learningRate="0.05",
             schedule={"kind": "step", "warmup": 1, "factors": ["1", "0.5", "2", "0.1"]})),
    "mlp-one-sample": lambda: Run(
        "Batches of one sample.", mlp(), images(7, **IMAGES), base(batch=1, microBatch=1, learningRate="0.05")),
    "cnn-residual": lambda: Run(
        "Convolutions, max pooling with a residual addition, average pooling; tracked ranges.",
        residual(), images(18, (6, 6, 1), 4), base(batch=8, microBatch=3, learningRate="0.1")),
    "cnn-per-channel": lambda: Run(
        "A converted model with per-channel Scales, NCHW data, trust ratio and norm clip by default.",
        converted_channels(), images(12, (2, 7, 6), 4), base(batch=5, microBatch=2, epochs=4)),
    "every-kind": lambda: Run(
        "All eleven operations between two updated nodes; a requantized head with bounds.",
        every_kind(), images(12, (6, 6, 2), 5), base(batch=6, microBatch=4, learningRate="0.5", normClip="100")),
    "merges": lambda: Run(
        "A tensor read by five nodes, a node that reads one tensor twice, a node that does not reach the output.",
        two_heads_of_one_tensor(), images(12, (1, 1, 8), 3),
        base(batch=6, microBatch=6, weightDecay="0.01", momentum="0.3", trustRatio="0.1")),
    "regression": lambda: Run(
        "Mean squared error with floating-point data and targets.", regressor(), regression(15, 6, 2),
        base(batch=4, microBatch=2, learningRate="0.02")),
    "labels-squared-error": lambda: Run(
        "Mean squared error with class labels.", mlp(4), images(16, (4, 5, 1), 4),
        base(batch=4, loss="meanSquaredError", learningRate="0.2")),
    "bias-and-last": lambda: Run(
        "Biases everywhere and the last layer; validation data after each epoch.", deep_mlp(),
        images(14, **IMAGES), base(update="bias+last", batch=7, microBatch=3, learningRate="0.2",
                                   learningRates={"biases": "0.5", "head": "0.05"}),
        validation=images(9, first=100, **IMAGES)),
    "last-only": lambda: Run(
        "Only the last layer: no gradient leaves it.", residual(), images(10, (6, 6, 1), 4),
        base(update="last", ranges="frozen", batch=5, learningRate="0.2")),
    "middle-layer": lambda: Run(
        "One layer in the middle by name; nothing below it has a gradient.", deep_mlp(), images(12, **IMAGES),
        base(update={"layers": {"second": ["weights", "biases"], "head": ["weights"]}}, batch=6,
             microBatch=5, learningRate="0.3")),
    "ranges": lambda: Run(
        "Seventy steps with a short range period and large rates: Scales grow and shrink.",
        deep_mlp(), images(14, **IMAGES), base(
            epochs=50, steps=70, batch=7, rangePeriod=4, learningRate="3", clip=128, rootEvery=5,
            schedule={"kind": "step", "factors": ["1", "1", "1", "0.5", "1"]}), trace=False),
    "ranges-int8": lambda: Run(
        "The same with int8 weights, momentum and weight decay: weights shrink.",
        residual(), images(8, (6, 6, 1), 4), base(
            epochs=60, batch=8, steps=60, rangePeriod=3, weights="int8", momentum="0.3", learningRate="0.2",
            weightDecay="0.4", rootEvery=7, schedule={"kind": "constant"}), trace=False),
    "calibration": lambda: Run(
        "An initialised model with Scales far off: the calibration repeats and grows.",
        misjudged_ranges(), images(20, **IMAGES), base(batch=10, microBatch=7, learningRate="0.1")),
    "calibration-refused": lambda: Run(
        "A repetition of the calibration is refused because a bias would grow too large.",
        biases_in_the_way(), images(20, **IMAGES), base(batch=10, microBatch=7, learningRate="0.1")),
    "ranges-masters": lambda: Run(
        "Masters with momentum and weight decay: masters, velocities and biases are doubled and halved.",
        residual(), images(8, (6, 6, 1), 4), base(
            epochs=60, batch=8, microBatch=5, steps=60, rangePeriod=3, momentum="0.3", learningRate="0.3",
            weightDecay="0.3", rootEvery=7, schedule={"kind": "constant"}), trace=False),
    "scales": lambda: Run(
        "Scales alone, per layer, with momentum (8.11); frozen and tracked weights beside them.",
        deep_mlp(), images(14, **IMAGES), base(
            update="scales", batch=6, microBatch=4, momentum="0.6", learningRates={"scales": "0.4"})),
    "scales-per-channel": lambda: Run(
        "Scales of every channel, biases, and the last layer's weights; three micro-batches.",
        converted_channels(), images(12, (2, 7, 6), 4), base(
            update="scales+biases+last", batch=5, microBatch=2, ranges="frozen", learningRate="0.1",
            learningRates={"scales": "3"})),
    "last-biases": lambda: Run(
        "Biases of the last two layers.", deep_mlp(), images(12, **IMAGES),
        base(update={"biases": 2}, batch=6, learningRate="0.3")),
    "channels-magnitude": lambda: Run(
        "Shares of the channels of a convolution, a depthwise convolution and a dense layer, with per-channel Scales; "
        "decay, norm clip and trust ratio see the selected weights alone.",
        converted_channels(), images(12, (2, 7, 6), 4), base(
            batch=6, microBatch=4, weightDecay="0.01", trustRatio="0.05", normClip="3", learningRate="0.3",
            update={"layers": {
                "in": {"weights": 1, "biases": True}, "depthwise": {"weights": "1/2", "scales": True},
                "pointwise": ["weights", "biases"], "head": {"weights": "1/4", "biases": True}}})),
    "channels-int8": lambda: Run(
        "Selected channels by number, by lot and listed; int8 weights with momentum; tracked ranges.",
        residual(), images(14, (6, 6, 1), 4), base(
            batch=7, microBatch=7, weights="int8", momentum="0.5", learningRate="0.2", rangePeriod=3, update={"layers": {
                "in": {"weights": "1"}, "branch": {"weights": 2, "rule": "first", "biases": True},
                "branch2": {"channels": [1, 3], "scales": True},
                "head": {"weights": "2/3", "rule": "random", "biases": True}}})),
    "tiny-prop": lambda: Run(
        "TinyProp with damping and decay (8.12); a batch that micro-batches do not divide.",
        deep_mlp(), images(23, **IMAGES), base(
            batch=10, microBatch=4, learningRate="0.1",
            sparseGradients={"minimum": "0.1", "maximum": "0.8", "zeta": "0.7", "decay": 3, "headMinimum": 2}),
        trace=False),
    "tiny-prop-residual": lambda: Run(
        "TinyProp through a residual addition and pooling, Scales and biases from the whole gradient; int8 weights.",
        residual(), images(14, (6, 6, 1), 4), base(
            batch=7, microBatch=3, learningRate="0.1", weights="int8", update={"layers": {
                "branch": ["weights", "biases", "scales"], "branch2": ["scales"], "in": ["biases"], "head": ["weights"]}},
            sparseGradients={"minimum": "0", "maximum": "1", "zeta": "1/2", "headMinimum": 3}), trace=False),
    "top-k-channels": lambda: Run(
        "A fixed top-k with per-channel Scales, groups and selected channels, momentum and decay.",
        converted_channels(), images(12, (2, 7, 6), 4), base(
            batch=5, microBatch=2, momentum="0.5", weightDecay="0.01", learningRate="0.05", update={"layers": {
                "in": ["weights", "biases"], "depthwise": {"channels": [0, 2, 5], "biases": True},
                "head": {"weights": "1/3", "biases": True}}},
            sparseGradients={"kind": "topk", "ratio": "0.4"}), trace=False),
    "top-k-merges": lambda: Run(
        "A fixed top-k where gradients merge and a node does not reach the output.",
        two_heads_of_one_tensor(), images(12, (1, 1, 8), 3), base(
            batch=6, microBatch=6, trustRatio="0.1", sparseGradients={"kind": "topk", "ratio": "1/2"}), trace=False),
    "defaults": lambda: Run(
        "A recipe of one key: everything else by default.", mlp(), images(40, **IMAGES), {"epochs": 2}),
    "zeroth-weights": lambda: Run(
        "Zeroth order: weights and biases of two layers by turns and together, head frozen; replays without data.",
        residual(), images(14, (6, 6, 1), 4), base(
            method="zerothOrder", batch=7, microBatch=3, learningRate="0.5", trustRatio="0.05", zerothOrder={
                "head": "frozen", "queries": 2, "groups": [
                    {"layer": "in", "coordinates": "weights", "steps": 2},
                    {"layer": "branch", "coordinates": "weights", "span": 2}]})),
    "zeroth-weights-int8": lambda: Run(
        "Zeroth order with int8 weights, per-channel Scales, shared directions, forward differences.",
        converted_channels(), images(12, (2, 7, 6), 4), base(
            method="zerothOrder", batch=6, microBatch=6, epochs=5, weights="int8", learningRate="1", zerothOrder={
                "head": "zerothOrder", "directions": "shared", "difference": "forward", "queries": 3, "groups": [
                    {"layer": "in", "coordinates": "weights", "span": 3}]})),
    "zeroth-nodes": lambda: Run(
        "Zeroth order on outputs and on the tensor behind the pooling; closed-form head.",
        residual(), images(14, (6, 6, 1), 4), base(
            method="zerothOrder", batch=7, microBatch=4, learningRate="0.5", zerothOrder={
                "sigma": {"nodes": 3}, "groups": [
                    {"layer": "in", "coordinates": "nodes"}, {"layer": "branch2", "coordinates": "inputs"},
                    {"layer": "branch", "coordinates": "weights"}]})),
    "zeroth-logits": lambda: Run(
        "Zeroth order for everything, the head at its logits, signs of differences, int8 weights.",
        deep_mlp(), images(13, **IMAGES), base(
            method="zerothOrder", batch=5, microBatch=2, weights="int8", learningRate="0.3", zerothOrder={
                "head": "zerothOrder", "sign": True, "queries": 2})),
    "zeroth-gains": lambda: Run(
        "Zeroth order: layer gains, then channel gains, with a closed-form head.",
        converted_channels(), images(12, (2, 7, 6), 4), base(
            method="zerothOrder", batch=5, microBatch=2, epochs=4, learningRate="0.1", zerothOrder={
                "queries": 2, "groups": [
                    {"layer": "in", "coordinates": "gain", "span": 3},
                    {"layer": "in", "coordinates": "channelGains"}]})),
    "zeroth-hybrid": lambda: Run(
        "Zeroth order before back-propagation, both in every step.",
        residual(), images(14, (6, 6, 1), 4), base(
            method="hybrid", batch=7, microBatch=4, learningRate="0.3", weightDecay="0.01",
            update={"layers": {"branch2": ["weights", "biases"], "head": ["weights", "biases"]}},
            zerothOrder={"queries": 1, "groups": [
                {"layer": "in", "coordinates": "weights"}, {"layer": "branch", "coordinates": "gain"}]})),
    "zeroth-sigma": lambda: Run(
        "Adaption of sigma: it grows where differences are 0, shrinks where values leave their range.",
        wide_weights(), images(13, **IMAGES), base(
            epochs=20, steps=48, method="zerothOrder", batch=6, rangePeriod=2, learningRate="0.1", rootEvery=5,
            zerothOrder={"head": "frozen", "adaptSigma": True, "sigma": {"weights": 24, "nodes": 16}, "groups": [
                {"layer": "second", "coordinates": "weights"}, {"layer": "third", "coordinates": "gain"},
                {"layer": "first", "coordinates": "nodes"}]}), trace=False),
    "no-steps": lambda: Run(
        "No epochs: begin and end, nothing between.", mlp(), images(5, **IMAGES), {"epochs": 0}),
}


# Steps done; together they have every part of 9.7.
CHECKPOINTS = {"mlp": 3, "mlp-momentum": 4, "mlp-int8-momentum": 7, "scales": 5, "channels-magnitude": 3, "tiny-prop": 6,
               "ranges": 33, "ranges-int8": 21, "zeroth-weights": 5, "zeroth-gains": 4, "zeroth-sigma": 30}
# The step; together they have every kind of an entry but those of zeroth order.
TRACES = {"mlp-momentum": 3, "scales": 2, "every-kind": 1, "regression": 1, "tiny-prop-residual": 2}


def load(net, content):
    members = data_files.read_npz(content)
    return data_files.prepare(net, members["x"], members["y"])


def run_files(name, run):
    """The files of one run."""
    net = run.net
    model = network.write(net)
    net = network.read(model)
    text = json.dumps(run.recipe, indent=2) + "\n"
    data = load(net, run.data)
    validation = load(net, run.validation) if run.validation else None
    recipe = recipes.resolve(text, net, data.labels is not None)
    lines = [("recipe", recipes.write(recipe).hex()),
             ("data digest", data_files.data_digest(data.leaves()).hex())]

    def trace(what, form, values):
        digest = hashlib.sha256(pack(form, values)).hexdigest()[:16]
        lines.append((what, f"{form} {len(values)} {digest}"))

    training = Training(net, recipe, data, validation, trace if run.trace else None)
    writer = journal.Writer()
    tracer = traces.Tracer(training, TRACES[name]) if name in TRACES else None
    begin, done, links, saved = None, 0, {0: None}, None
    for kind, payload in training.records():
        writer.append(kind, payload)
        begin = begin or payload
        done += kind == journal.STEP
        links[done] = writer.link
        if name in CHECKPOINTS and done == CHECKPOINTS[name]:
            # The last one counts: behind all records of the step.
            saved = checkpoint.write(training, done, writer.link)
        lines.append((journal.RECORD_NAMES[kind], describe(kind, payload)))
    lines.append(("journal sha256", hashlib.sha256(writer.data).hexdigest()))
    header = comment(
        f"{run.text}\n"
        "SPEC 8 and 9. Keys in the order of the run: `recipe` and `data digest`; `step t micro-batch m ...` gives the\n"
        "type (b int8, i int32, q int64), the count and the first 8 bytes of the SHA-256 of the values named;\n"
        "`begin`, `range`, `step`, `root`, `epoch` and `end` give the fields of a record in the order of journal.md."
        + ("\n`differences` ends with D." if recipe.zeroth else ""))
    result = {
        f"runs/{name}.tally": model, f"runs/{name}.json": text.encode(), f"runs/{name}.npz": run.data,
        f"runs/{name}.tlj": bytes(writer.data), f"runs/{name}-trained.tally": network.write(net),
        f"runs/{name}.txt": (header + "".join(f"{k}: {v}\n" for k, v in lines)).encode("ascii"),
    }
    if saved:
        result[f"checkpoints/{name}-{CHECKPOINTS[name]}.tlc"] = saved
    if tracer:
        result[f"traces/{name}-{TRACES[name]}.tlt"] = tracer.file(begin, links[TRACES[name]])
    if run.validation:
        result[f"runs/{name}-validation.npz"] = run.validation
    return result


LAYOUTS = {journal.STEP: journal.STEP_LAYOUT, journal.RANGE: journal.RANGE_LAYOUT,
           journal.ROOT: journal.ROOT_LAYOUT, journal.EPOCH: journal.EPOCH_LAYOUT,
           journal.END: journal.END_LAYOUT, journal.BEGIN: journal.BEGIN_LAYOUT,
           journal.DIFFERENCES: journal.DIFFERENCES_LAYOUT}


def describe(kind, payload):
    if kind == journal.KEPT:
        return " ".join(map(str, struct.unpack(f"<{len(payload) // 4}I", payload)))
    fields = LAYOUTS[kind].unpack_from(payload)
    if kind == journal.DIFFERENCES:
        fields += struct.unpack_from(f"<{(len(payload) - 12) // 4}i", payload, 12)
    return " ".join(f.hex() if isinstance(f, bytes) else str(f) for f in fields)


# ---------------------------------------------------------------------------- journals

def with_notes(data):
    """The same journal with notes between its records; a note is not chained."""
    writer = journal.Writer()
    for i, record in enumerate(journal.read(data)):
        writer.append(record.kind, record.payload)
        if i == 0 or record.kind == journal.EPOCH:
            writer.append(journal.NOTE, "a note, nicht verkettet".encode())
        if i == 1:
            writer.append(journal.NOTE, b"")
    return bytes(writer.data)


def journals(runs):
    """Valid journals that are not simply the output of a run."""
    mlp_journal = runs["runs/mlp.tlj"]
    records = journal.read(mlp_journal)
    third = [r for r in records if r.kind == journal.STEP][3].offset
    return {
        "journals/notes.tlj": with_notes(mlp_journal),
        "journals/unfinished.tlj": mlp_journal[:third],
        "journals/torn-in-payload.tlj": mlp_journal[:third + 20],
        "journals/torn-in-header.tlj": mlp_journal[:third + 2],
        "journals/torn-in-tag.tlj": mlp_journal[:third + 4 + 40 + 5],
        "journals/begin-only.tlj": mlp_journal[:records[1].offset],
    }


JOURNAL_TEXT = """All of these belong to runs/mlp (model runs/mlp.tally, data runs/mlp.npz).
columns: file, records that can be read, whether the file is torn, verdict of a verification
(`reproduced`, or `unfinished`: what is there is reproduced but there is no end)."""


def files():
    result = {}
    for name, make in RUNS.items():
        result.update(run_files(name, make()))
    extra = journals(result)
    rows = []
    for path, content in extra.items():
        try:
            count, torn = len(journal.read(content)), 0
        except journal.TornError as error:
            count, torn = len(error.records), 1
        verdict = "reproduced" if path.endswith("notes.tlj") else "unfinished"
        rows.append(f"{path} {count} {torn} {verdict}\n")
    extra["journals/journals.txt"] = (
        comment(JOURNAL_TEXT) + "# columns: file records torn verdict\n" + "".join(rows)).encode("ascii")
    result.update(extra)
    return result
