"""Formats/vectors/kernels: one file per operation of SPEC 6, and the roundings of 8.4."""

import operations
import scalar
from network import (
    ADD, AVERAGE_POOLING, CONCATENATE, CONVOLUTION, FULLY_CONNECTED, KIND_NAMES, MAX_POOLING, MULTIPLY,
    RESCALE, SLICE_AND_PAD, TABLE, UPSAMPLE, InputMap, Network, Node, add_multipliers, fan_in,
    output_shape,
)
from operations import Draws, Gradient
from scalar import Scale
from vector_text import Block, Rule, blocks, numbers

FULL_RANGE = Rule(37, 11, 256, -128)  # int8 values all over the range
CENTRAL = Rule(7, 3, 251, -125)
WEIGHTS = Rule(29, 5, 255, -127)
BIASES = Rule(7919, 17, 4001, -2000)
GRADIENT = Rule(53, 9, 255, -127)
SPARSE_GRADIENT = Rule(5, 0, 7, 0)
X_SCALE = Scale(1374389535, -5)  # 0.02
W_SCALE = Scale(1717986918, -6)  # 0.0125
G_SCALE = Scale(1518500250, -9)


def tenth(power):
    """Some Scales that are no powers of two: 0.1 * 2^power."""
    return scalar.shifted(Scale(1717986918, -3), power)


class Case:
    """One block: a node whose inputs are given by rules, forward and backward."""

    def __init__(self, name, node, inputs, batch=2, gradient=GRADIENT, weights=WEIGHTS, biases=BIASES,
                 table=None, at=0, stream=(1, 0, 0)):
        """`inputs`: (shape, Scale, zero, low, high, Rule) each; `at`: the node's number."""
        self.name, self.node, self.inputs, self.batch = name, node, inputs, batch
        self.gradient, self.stream = gradient, stream
        self.weight_rule, self.bias_rule, self.table_rules = weights, biases, table
        # The inputs are tensors 0 (and 1); nodes that nobody runs stand before the one under test.
        shape, scale, zero, *_ = inputs[0]
        self.at = max(at, len(inputs) - 1)
        fillers = [Node(RESCALE, [0], *inputs[-1][:5]) for _ in range(self.at)]
        node.inputs = list(range(len(inputs)))
        self.net = Network(shape, scale, zero, fillers + [node], [InputMap(scale, False, 0)])
        first = self.net.tensor(0)
        first.low, first.high = inputs[0][3:5]
        tensors = [self.net.tensor(t) for t in node.inputs]
        expected = output_shape(node, tensors)
        node.shape = tuple(have if want is None else want for want, have in zip(expected, node.shape))
        if node.is_weighted:
            count = fan_in(node, tensors[0]) * node.shape[2]
            node.weights, node.biases = weights.values(count), biases.values(node.shape[2])
        if table:
            node.table = tuple(rule.values(256) for rule in table)

    def block(self):
        node, net, block = self.node, self.net, Block(self.name)
        block.add("operation", KIND_NAMES[node.kind]).add("node", self.at).add("batch", self.batch)
        values = []
        for j, (shape, scale, zero, low, high, rule) in enumerate(self.inputs):
            values.append([scalar.clamp(v, low, high) for v in
                           rule.values(self.batch * shape[0] * shape[1] * shape[2])])
            block.numbers(f"input {j} shape", shape).numbers(f"input {j} scale", scale)
            block.add(f"input {j} zero", zero).numbers(f"input {j} bounds", (low, high))
            block.add(f"input {j} values", rule)
        block.numbers("output shape", node.shape).numbers("output scale", node.scale)
        block.add("output zero", node.zero).numbers("output bounds", (node.low, node.high))
        self.describe(block)
        result = operations.forward(net, self.at, values)
        if node.accumulators:
            block.expect("output", "i", result.values)
        else:
            block.expect("output", "b", result.values)
        if result.mask is not None:
            block.expect("mask", "B", result.mask)
            block.expect("unplaced", "i", result.unplaced)
        g = Gradient(self.gradient.values(len(result.values)), G_SCALE)
        block.add("gradient values", self.gradient).numbers("gradient scale", g.scale)
        if node.per_channel:
            seed, step, micro_batch = self.stream
            block.add("seed", seed).add("step", step).add("micro-batch", micro_batch)
            folded, largest = operations.fold_channels(net, self.at, g, Draws(*self.stream))
            block.expect("folded gradient", "b", folded).numbers("expect folded scale", largest)
        for j, dx in enumerate(operations.backward(net, self.at, values, g, Draws(*self.stream))):
            block.expect(f"input {j} gradient", "i", dx.values)
            block.numbers(f"expect input {j} gradient scale", dx.scale)
        if node.is_weighted:
            dw, db = operations.parameter_gradients(net, node, values, g)
            block.expect("weight gradient", "i", dw.values).numbers("expect weight gradient scale", dw.scale)
            block.expect("bias gradient", "i", db.values).numbers("expect bias gradient scale", db.scale)
        return block

    def describe(self, block):
        """The keys that only some operations have."""
        node = self.node
        if node.kind in (CONVOLUTION, MAX_POOLING, AVERAGE_POOLING):
            block.numbers("kernel", node.kernel).numbers("stride", node.stride)
            block.numbers("padding", node.padding)
        if node.kind == CONVOLUTION:
            block.numbers("dilation", node.dilation).add("groups", node.groups)
        if node.kind == UPSAMPLE:
            block.numbers("factors", node.stride)
        if node.kind == SLICE_AND_PAD:
            block.numbers("start", node.start).numbers("step", node.step).numbers("before", node.before)
        if node.kind == AVERAGE_POOLING:
            block.add("counts padding", int(node.counts_padding))
        if node.is_weighted:
            block.add("accumulators", int(node.accumulators)).add("per channel", int(node.per_channel))
            block.numbers("weight scales", [v for s in node.weight_scales for v in s])
            block.add("weights", self.weight_rule).add("biases", self.bias_rule)
        if node.kind == TABLE:
            block.add("table values", self.table_rules[0]).add("table slopes", self.table_rules[1])
        if node.kind == ADD:
            tensors = [self.net.tensor(t) for t in node.inputs]
            multipliers, f = add_multipliers(tensors, node.scale)
            block.numbers("expect multipliers", multipliers).add("expect fraction bits", f)


def tensor(height, width, channels, scale=X_SCALE, zero=-7, low=-128, high=127, rule=FULL_RANGE):
    return (height, width, channels), scale, zero, low, high, rule


def convolution(outputs, scale, **fields):
    fields.setdefault("weight_scales", [W_SCALE])
    return Node(CONVOLUTION, [0], (0, 0, outputs), scale, **fields)


def channel_scales(count):
    """Per-channel Scales: 0.0125 * 2^-(c mod 4) with varying mantissas."""
    return [Scale((1 << 30) + (c * 298261617) % (1 << 30), -6 - c % 4) for c in range(count)]


def convolutions():
    y = tenth(0)
    asymmetric = dict(kernel=(3, 3), padding=(0, 1, 2, 1))
    return [
        Case("1x1 kernel on 1x1", convolution(1, tenth(-3)), [tensor(1, 1, 1)], batch=1),
        Case("1x1 kernel", convolution(5, y), [tensor(3, 4, 3)]),
        Case("1x1 kernel, stride 2 skips pixels", convolution(4, y, stride=(2, 2)), [tensor(5, 5, 2)]),
        Case("3x3, padding 1", convolution(4, y, kernel=(3, 3), padding=(1, 1, 1, 1)), [tensor(5, 6, 3)]),
        Case("3x3, no padding, odd size", convolution(3, y, kernel=(3, 3)), [tensor(7, 5, 2)]),
        Case("3x3, padding differs on each side", convolution(3, y, **asymmetric), [tensor(4, 5, 2)]),
        Case("3x3, stride 2, padding bottom right only",
             convolution(3, y, kernel=(3, 3), stride=(2, 2), padding=(0, 0, 1, 1)), [tensor(6, 6, 2)]),
        Case("stride larger than kernel", convolution(2, y, kernel=(2, 2), stride=(3, 4)), [tensor(8, 9, 2)]),
        Case("dilation 2 by 3", convolution(2, y, kernel=(3, 2), dilation=(2, 3), padding=(2, 1, 2, 2)),
             [tensor(6, 7, 2)]),
        Case("1x5 and 5x1 in one", convolution(2, y, kernel=(1, 5), padding=(0, 2, 0, 2)), [tensor(3, 9, 3)]),
        Case("padding wider than the input",
             convolution(2, y, kernel=(5, 5), padding=(4, 4, 4, 4)), [tensor(2, 1, 2)], batch=3),
        Case("groups", convolution(6, y, kernel=(3, 3), padding=(1, 1, 1, 1), groups=3), [tensor(4, 4, 6)]),
        Case("depthwise", convolution(5, y, kernel=(3, 3), stride=(2, 1), padding=(1, 1, 1, 1), groups=5),
             [tensor(5, 4, 5)]),
        Case("depthwise with multiplier 2", convolution(6, y, kernel=(2, 3), groups=3), [tensor(4, 5, 3)]),
        Case("rectified output", convolution(4, tenth(-1), zero=-128, low=-128, kernel=(3, 3)),
             [tensor(5, 5, 3)]),
        Case("narrow bounds", convolution(4, tenth(0), zero=5, low=-40, high=60, kernel=(3, 3)),
             [tensor(5, 5, 3)]),
        Case("zero point -128 of the input", convolution(4, tenth(1), kernel=(3, 3), padding=(1, 1, 1, 1)),
             [tensor(4, 4, 4, zero=-128)]),
        Case("zero point 127 of the input", convolution(4, tenth(1), kernel=(3, 3), padding=(1, 1, 1, 1)),
             [tensor(4, 4, 4, zero=127)]),
        Case("scale per channel", convolution(6, tenth(0), per_channel=True, weight_scales=channel_scales(6),
             kernel=(3, 3), padding=(1, 1, 1, 1)), [tensor(4, 5, 3)], at=3, stream=(42, 5, 1)),
        Case("scale per channel, depthwise", convolution(
            7, tenth(-1), per_channel=True, weight_scales=channel_scales(7), kernel=(3, 3), groups=7),
            [tensor(5, 5, 7)], at=1, stream=(7, 0, 0)),
        Case("scale per channel, one channel", convolution(
            1, tenth(-2), per_channel=True, weight_scales=channel_scales(1), kernel=(2, 2)),
            [tensor(3, 3, 2)], stream=(7, 1, 2)),
        Case("accumulators", convolution(
            3, scalar.mul(X_SCALE, W_SCALE), accumulators=True, kernel=(2, 2)), [tensor(2, 2, 3)]),
        Case("large biases", convolution(3, tenth(9)), [tensor(2, 2, 3)],
             biases=Rule(24_999_999, 1, 50_000_001, -25_000_000)),
        Case("wide channels", convolution(33, tenth(0), kernel=(1, 1)), [tensor(3, 3, 65)], batch=1),
        Case("sparse gradient", convolution(3, y, kernel=(3, 3)), [tensor(6, 6, 2)], gradient=SPARSE_GRADIENT),
    ]


def fully_connected(outputs, scale, **fields):
    fields.setdefault("weight_scales", [W_SCALE])
    return Node(FULLY_CONNECTED, [0], (1, 1, outputs), scale, **fields)


def fully_connecteds():
    return [
        Case("1 to 1", fully_connected(1, tenth(-3)), [tensor(1, 1, 1)], batch=1),
        Case("vector", fully_connected(7, tenth(0)), [tensor(1, 1, 19)], batch=3),
        Case("reads height, width, channels in order", fully_connected(5, tenth(0)), [tensor(3, 4, 5)]),
        Case("rectified", fully_connected(9, tenth(0), zero=-128, low=-128), [tensor(1, 1, 33)]),
        Case("accumulators", fully_connected(10, scalar.mul(X_SCALE, W_SCALE), accumulators=True),
             [tensor(1, 1, 64)], batch=4),
        Case("scale per channel", fully_connected(6, tenth(0), per_channel=True,
             weight_scales=channel_scales(6)), [tensor(1, 1, 17)], batch=3, at=2, stream=(42, 9, 3)),
        Case("extreme values", fully_connected(3, tenth(7)), [tensor(1, 1, 129, zero=127,
             rule=Rule(0, 0, 1, -128))], weights=Rule(0, 0, 1, -127), gradient=Rule(0, 0, 1, -127)),
        Case("one sample of many", fully_connected(2, tenth(0)), [tensor(1, 1, 31)], batch=9),
    ]


def max_poolings():
    def pool(**fields):
        return Node(MAX_POOLING, [0], (0, 0, 0), X_SCALE, zero=-7, **fields)
    few = Rule(5, 2, 7, -3)  # many equal values: ties
    return [
        Case("2x2, stride 2", pool(kernel=(2, 2), stride=(2, 2)), [tensor(4, 6, 3)]),
        Case("odd size drops the last row", pool(kernel=(2, 2), stride=(2, 2)), [tensor(5, 5, 2)]),
        Case("3x3, stride 1, overlapping", pool(kernel=(3, 3)), [tensor(5, 5, 2)]),
        Case("3x3, stride 2, padding 1", pool(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1)),
             [tensor(7, 6, 3)]),
        Case("padding differs on each side", pool(kernel=(3, 2), stride=(2, 1), padding=(2, 0, 1, 1)),
             [tensor(5, 4, 2)]),
        Case("stride larger than kernel", pool(kernel=(2, 1), stride=(3, 2)), [tensor(8, 5, 2)]),
        Case("ties go to the first position", pool(kernel=(3, 3), stride=(1, 2), padding=(1, 1, 1, 1)),
             [tensor(6, 6, 2, rule=few)]),
        Case("all equal", pool(kernel=(2, 2), stride=(1, 1)), [tensor(4, 4, 1, rule=Rule(0, 0, 1, -128))]),
        Case("all -128 with padding", pool(kernel=(3, 3), stride=(3, 3), padding=(1, 1, 1, 1)),
             [tensor(4, 4, 1, rule=Rule(0, 0, 1, -128))]),
        Case("1x1", pool(), [tensor(3, 3, 2)]),
        Case("the whole input", pool(kernel=(4, 5)), [tensor(4, 5, 3)]),
    ]


def average_poolings():
    def pool(scale=X_SCALE, zero=-7, **fields):
        return Node(AVERAGE_POOLING, [0], (0, 0, 0), scale, zero=zero, **fields)
    padded = dict(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    return [
        Case("2x2, stride 2", pool(kernel=(2, 2), stride=(2, 2)), [tensor(4, 6, 3)]),
        Case("the whole input", pool(kernel=(4, 5)), [tensor(4, 5, 7)]),
        Case("overlapping", pool(kernel=(3, 3)), [tensor(5, 5, 2)]),
        Case("padding not counted", pool(**padded), [tensor(6, 7, 2)]),
        Case("padding counted", pool(counts_padding=True, **padded), [tensor(6, 7, 2)]),
        Case("padding differs on each side, not counted",
             pool(kernel=(3, 4), stride=(1, 2), padding=(2, 0, 1, 3)), [tensor(4, 5, 2)]),
        Case("padding differs on each side, counted", pool(
            kernel=(3, 4), stride=(1, 2), padding=(2, 0, 1, 3), counts_padding=True), [tensor(4, 5, 2)]),
        Case("padding present but every window alike", pool(kernel=(3, 1), stride=(3, 1), padding=(1, 0, 1, 0)),
             [tensor(1, 4, 2)]),
        Case("another output scale and zero point", pool(tenth(-2), 20, kernel=(2, 2), stride=(2, 2)),
             [tensor(4, 4, 3)]),
        Case("clamped to bounds", pool(tenth(-4), -128, low=-128, high=100, kernel=(2, 2)), [tensor(4, 4, 3)]),
        Case("stride larger than kernel", pool(kernel=(2, 2), stride=(3, 3)), [tensor(8, 8, 1)]),
        Case("1x1", pool(), [tensor(3, 3, 2)]),
    ]


def two(first, second):
    return [first, second]


def adds():
    def add(scale, **fields):
        return Node(ADD, [0, 1], (0, 0, 0), scale, **fields)
    other = tensor(3, 4, 5, tenth(-1), 12, rule=CENTRAL)
    same = tensor(3, 4, 5, X_SCALE, -7, rule=CENTRAL)
    return [
        Case("two scales", add(tenth(0)), two(tensor(3, 4, 5), other)),
        Case("equal scales", add(X_SCALE), two(tensor(3, 4, 5), same)),
        Case("output scale is a power of two times the inputs'", add(scalar.shifted(X_SCALE, 1)),
             two(tensor(3, 4, 5), same)),
        Case("rectified", add(tenth(-1), zero=-128, low=-128), two(tensor(3, 4, 5), other)),
        Case("one input a thousand times the other", add(tenth(0)), two(
            tensor(2, 2, 3, tenth(0)), tensor(2, 2, 3, tenth(-10), 3, rule=CENTRAL))),
        Case("inputs much larger than the output", add(tenth(-12)), two(
            tensor(2, 2, 3, tenth(3)), tensor(2, 2, 3, tenth(2), 3, rule=CENTRAL))),
        Case("inputs much smaller than the output", add(tenth(4)), two(
            tensor(2, 2, 3, tenth(0)), tensor(2, 2, 3, tenth(-1), 3, rule=CENTRAL))),
        Case("1x1", add(tenth(0)), two(tensor(1, 1, 1), tensor(1, 1, 1, tenth(-2), 0))),
    ]


def multiplies():
    def product(scale, **fields):
        return Node(MULTIPLY, [0, 1], (0, 0, 0), scale, **fields)
    return [
        Case("same shape", product(tenth(0)), two(tensor(3, 4, 5), tensor(3, 4, 5, tenth(-1), 12, rule=CENTRAL))),
        Case("second repeated over rows and columns", product(tenth(0)), two(
            tensor(3, 4, 5), tensor(1, 1, 5, tenth(-2), -128, rule=CENTRAL))),
        Case("1x1 both", product(tenth(-1)), two(tensor(1, 1, 6), tensor(1, 1, 6, tenth(-3), 1, rule=CENTRAL))),
        Case("rectified and saturated", product(tenth(-2), zero=-128, low=-128), two(
            tensor(2, 3, 4), tensor(2, 3, 4, tenth(0), 12, rule=CENTRAL))),
        Case("one channel repeated", product(tenth(0)), two(
            tensor(5, 3, 1), tensor(1, 1, 1, tenth(-2), 3, rule=CENTRAL)), batch=4),
    ]


def concatenates():
    def join(scale, **fields):
        return Node(CONCATENATE, [0, 1], (0, 0, 0), scale, **fields)
    return [
        Case("two scales", join(tenth(-2)), two(tensor(3, 4, 2), tensor(3, 4, 5, tenth(-3), 12, rule=CENTRAL))),
        Case("equal quantization copies", join(X_SCALE, zero=-7), two(
            tensor(3, 4, 3), tensor(3, 4, 1, rule=CENTRAL))),
        Case("clamped", join(tenth(-4), zero=3, low=-100, high=90), two(
            tensor(2, 2, 3), tensor(2, 2, 2, tenth(-3), 12, rule=CENTRAL))),
        Case("vectors", join(tenth(-2)), two(tensor(1, 1, 9), tensor(1, 1, 4, tenth(-3), 0)), batch=3),
    ]


def tables():
    def look_up(scale, **fields):
        return Node(TABLE, [0], (0, 0, 0), scale, **fields)
    return [
        Case("every input value", look_up(tenth(-3)), [tensor(4, 4, 16)], batch=1,
             table=(Rule(91, 13, 256, -128), Rule(509, 7, 65536, -32768))),
        Case("constant slope one", look_up(X_SCALE, zero=4), [tensor(2, 3, 5)],
             table=(Rule(1, 0, 256, -128), Rule(0, 0, 1, 4096))),
    ]


def rescales():
    def rescale(scale, **fields):
        return Node(RESCALE, [0], (0, 0, 0), scale, **fields)
    return [
        Case("finer", rescale(tenth(-4), zero=9), [tensor(3, 4, 5)]),
        Case("coarser, ties half up", rescale(scalar.shifted(X_SCALE, 1)), [tensor(3, 4, 5)]),
        Case("same scale, another zero point", rescale(X_SCALE, zero=0), [tensor(3, 4, 5)]),
        Case("narrow bounds", rescale(X_SCALE, zero=-7, low=-7, high=50), [tensor(3, 4, 5)]),
    ]


def slices():
    def cut(shape, **fields):
        return Node(SLICE_AND_PAD, [0], shape, X_SCALE, zero=-7, **fields)
    return [
        Case("every second row and column, channels padded on both sides (ResNet shortcut)",
             cut((3, 3, 8), step=(2, 2, 1), before=(0, 0, 2)), [tensor(6, 6, 4)]),
        Case("crop", cut((2, 3, 2), start=(1, 2, 1)), [tensor(4, 6, 4)]),
        Case("pad all around", cut((6, 7, 3), before=(1, 2, 0)), [tensor(4, 4, 3)]),
        Case("start, step and padding together", cut((4, 5, 3), start=(1, 0, 1), step=(2, 3, 2), before=(1, 1, 1)),
             [tensor(5, 7, 4)]),
        Case("everything is padding", cut((2, 2, 2), start=(9, 9, 9)), [tensor(2, 2, 2)]),
        Case("copy", cut((3, 2, 2)), [tensor(3, 2, 2)]),
    ]


def upsamples():
    def enlarge(factors):
        return Node(UPSAMPLE, [0], (0, 0, 0), X_SCALE, zero=-7, stride=factors)
    return [
        Case("2 by 2", enlarge((2, 2)), [tensor(3, 4, 5)]),
        Case("1 by 3", enlarge((1, 3)), [tensor(3, 2, 1)]),
        Case("4 by 1 of one pixel", enlarge((4, 1)), [tensor(1, 1, 3)]),
        Case("1 by 1", enlarge((1, 1)), [tensor(2, 2, 2)]),
    ]


# ---------------------------------------------------------------------------- 8.4

def round_gradients():
    items = []
    cases = [
        ("zero", Rule(0, 0, 1, 0), 20), ("7 bits fit", Rule(37, 1, 255, -127), 40),
        ("8 bits", Rule(37, 1, 511, -255), 300), ("a power of two, 2^7", Rule(64, 0, 192, -64), 9),
        ("12 bits", Rule(1237, 5, 8191, -4095), 100), ("23 bits, s = 16", Rule(1237123, 5, 16777213, -8388606), 100),
        ("24 bits, s = 17", Rule(2474246, 5, 33554429, -16777214), 100),
        ("31 bits", Rule(398765432, 77, 4294967291, -2147483645), 100),
        ("the largest rounds up past 127", Rule(1, 1022, 1024, 0), 3),
    ]
    for i, (name, rule, count) in enumerate(cases):
        values, draws, stream = rule.values(count), Draws(42, i, 3), 4 * i + 1
        g = operations.round_gradient(values, G_SCALE, lambda: draws.lanes(0, stream, count))
        block = Block(name).add("values", rule).add("count", count).numbers("scale", G_SCALE)
        block.add("seed", 42).add("purpose", 0).add("tensor", stream).add("step", i).add("query", 3)
        items.append(block.expect("gradient", "b", g.values).numbers("expect scale", g.scale))
    return blocks(
        "SPEC 8.4 steps 2 and 3: int32 accumulators of a gradient become int8 with one Scale.\n"
        "`scale` is the Scale of the accumulators; lanes 0, 1, 2 ... of the stream named.", items)


def merges():
    items = []
    zero = Gradient([0] * 30, scalar.ZERO)
    a = Gradient(GRADIENT.values(30), G_SCALE)
    cases = [
        ("equal scales", GRADIENT, G_SCALE, CENTRAL, G_SCALE),
        ("second larger", GRADIENT, G_SCALE, CENTRAL, scalar.shifted(tenth(0), -3)),
        ("first much larger", GRADIENT, tenth(3), CENTRAL, scalar.shifted(tenth(0), -9)),
        ("ratio below 2^-16", GRADIENT, tenth(3), CENTRAL, tenth(-17)),
        ("second zero", GRADIENT, G_SCALE, None, scalar.ZERO),
        ("first zero", None, scalar.ZERO, GRADIENT, G_SCALE),
        ("they cancel", Rule(1, 0, 100, 0), G_SCALE, Rule(-1, 0, 100, -99), G_SCALE),
        ("exact opposites", Rule(0, 0, 1, 100), G_SCALE, Rule(0, 0, 1, -100), G_SCALE),
    ]
    for i, (name, rule1, scale1, rule2, scale2) in enumerate(cases):
        g1 = Gradient(rule1.values(30), scale1) if rule1 else zero
        g2 = Gradient(rule2.values(30), scale2) if rule2 else zero
        draws, stream = Draws(42, i, 1), 4 * i + 1
        g = operations.merge(g1, g2, lambda: draws.lanes(6, stream, 30))
        nothing = Rule(0, 0, 1, 0)
        block = Block(name).add("count", 30)
        block.add("values 0", rule1 or nothing).numbers("scale 0", g1.scale)
        block.add("values 1", rule2 or nothing).numbers("scale 1", g2.scale)
        block.add("seed", 42).add("purpose", 6).add("tensor", stream).add("step", i).add("query", 1)
        items.append(block.expect("gradient", "b", g.values).numbers("expect scale", g.scale))
    return blocks("SPEC 8.4 Merge: two gradients of one tensor become one.", items)


HEADER = """SPEC {clause}: {what}, forward and backward. Keys: Formats/vectors/README.md, "Kernels".
Values come from rules: `rule a b c d` means element i = (i*a + b) mod c + d, then clamped to the
bounds of its tensor. `gradient values` is the int8 gradient g of the output; what is expected of the
backward pass are the accumulators and Scales of SPEC 6, before 8.4 rounds them."""


def files():
    kinds = [
        ("convolution", "6.1", convolutions()), ("fully_connected", "6.2", fully_connecteds()),
        ("max_pooling", "6.3", max_poolings()), ("average_pooling", "6.4", average_poolings()),
        ("add", "6.5", adds()), ("multiply", "6.6", multiplies()),
        ("concatenate", "6.7", concatenates()), ("table", "6.8", tables()),
        ("rescale", "6.9", rescales()), ("slice_and_pad", "6.10", slices()),
        ("upsample", "6.11", upsamples()),
    ]
    result = {
        f"kernels/{name}.txt": blocks(
            HEADER.format(clause=clause, what=name.replace("_", " ")), [c.block() for c in cases])
        for name, clause, cases in kinds}
    result["kernels/round_gradient.txt"] = round_gradients()
    result["kernels/merge_gradients.txt"] = merges()
    return result
