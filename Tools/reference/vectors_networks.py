"""Formats/vectors/models and inference: `.tally` files of every node kind, and what they answer."""

import network
import operations
import training
from builder import Builder, channel_scales, fraction
from data import quantize_sample
from fractions import Fraction
from network import InputMap
from scalar import Scale
from vector_text import Block, Rule, blocks, numbers

SAMPLE = (6, 7, 3)


def three_channels(**fields):
    """A 6 x 7 x 3 input with a map per channel, one of them negative."""
    maps = [InputMap(fraction(1, 2), False, -60 << 32), InputMap(fraction(2, 3), True, (1 << 38) + 12345),
            InputMap(fraction(1, 3), False, -(1 << 37) - (1 << 31))]
    return Builder(SAMPLE, fraction(1, 50), -3, maps, **fields)


def single(add, then_head=True):
    """A model whose first nodes are made by `add(builder)`; a head of four classes behind."""
    b = three_channels()
    t = add(b)
    if then_head:
        b.head(t, 4, name="head")
    return b.net


def convolution(b):
    return b.convolution(0, 5, scale=fraction(1, 8), padding=(1, 1, 1, 1), name="conv")


def convolution_strided(b):
    return b.convolution(0, 4, (3, 2), scale=fraction(1, 8), stride=(2, 1), dilation=(1, 2),
                         padding=(1, 0, 2, 1), relu=True)


def convolution_per_channel(b):
    return b.convolution(0, 6, scale=fraction(1, 8), per_channel=True, weight_scales=channel_scales(6))


def depthwise(b):
    t = b.convolution(0, 6, scale=fraction(1, 12), groups=3, padding=(1, 1, 1, 1), relu=True)
    return b.convolution(t, 6, scale=fraction(1, 20), groups=6, stride=(2, 2), relu=True)


def grouped_pointwise(b):
    t = b.convolution(0, 8, (1, 1), scale=fraction(1, 20))
    return b.convolution(t, 4, (1, 1), groups=2, scale=fraction(1, 20))


def dense(b):
    t = b.dense(0, 9, scale=fraction(1, 4), relu=True, name="hidden")
    return b.dense(t, 5, scale=fraction(1, 10), per_channel=True, weight_scales=channel_scales(5))


def pool_max(b):
    return b.max_pool(0, (3, 3), (2, 2), padding=(1, 1, 1, 1))


def pool_average(b):
    t = b.average_pool(0, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    t = b.average_pool(t, (2, 2), (1, 1), padding=(0, 1, 1, 0), counts_padding=True)
    return b.average_pool(t, (3, 4), scale=fraction(1, 100), zero=11)


def residual(b):
    t = b.convolution(0, 4, scale=fraction(1, 10), padding=(1, 1, 1, 1), relu=True, name="in")
    u = b.convolution(t, 4, scale=fraction(1, 10), padding=(1, 1, 1, 1), name="branch")
    return b.sum(t, u, fraction(1, 7), relu=True, name="add")


def gate(b):
    t = b.convolution(0, 4, (1, 1), scale=fraction(1, 30), name="features")
    u = b.average_pool(t, (6, 7), name="squeeze")
    v = b.table(u, fraction(1, 128), Rule(1, 0, 256, -128), Rule(3, 1, 4097, 0), zero=-128, name="excite")
    t = b.product(t, v, fraction(1, 40), name="gate")
    return b.product(t, t, fraction(1, 20), zero=-128, low=-128, name="square")


def concatenation(b):
    t = b.convolution(0, 2, (1, 1), scale=fraction(1, 30))
    u = b.convolution(0, 3, (1, 1), scale=fraction(1, 17), relu=True)
    return b.concatenation(t, u, fraction(1, 15), zero=-20, low=-120, high=100)


def look_up(b):
    return b.table(0, fraction(1, 60), Rule(91, 13, 256, -128), Rule(509, 7, 65536, -32768), zero=3)


def rescaling(b):
    t = b.rescale(0, fraction(1, 33), zero=9)
    return b.rescale(t, fraction(1, 20), zero=-30, low=-30, high=44)


def cutting(b):
    t = b.slice_and_pad(0, (3, 4, 5), step=(2, 2, 1), before=(0, 0, 1))
    return b.slice_and_pad(t, (4, 4, 2), start=(0, 1, 1), step=(1, 1, 2), before=(1, 0, 0))


def enlarging(b):
    return b.upsample(b.max_pool(0, (3, 7)), (2, 3))


def every_kind(b):
    t = b.convolution(0, 4, scale=fraction(1, 10), padding=(1, 1, 1, 1), relu=True, name="convolution")
    p = b.max_pool(t, (2, 2), name="max pooling")  # 3 x 3
    u = b.upsample(b.slice_and_pad(p, (2, 3, 4), start=(1, 0, 0)), (3, 2))  # 6 x 6
    w = b.slice_and_pad(u, (3, 3, 4), step=(2, 2, 1))
    s = b.sum(p, w, fraction(1, 8), name="add")
    a = b.average_pool(s, (3, 3), (1, 1), name="average pooling")  # 1 x 1
    m = b.product(s, b.table(a, fraction(1, 128), Rule(1, 0, 256, -128), Rule(3, 1, 4097, 0)),
                  fraction(1, 12), name="multiply")
    c = b.concatenation(m, b.rescale(s, fraction(1, 9)), fraction(1, 11), name="concatenate")
    return b.dense(c, 6, scale=fraction(1, 12), relu=True, name="fully connected")


def quantized_head():
    """The head is requantized: logits are q - Z (5.7)."""
    b = three_channels()
    b.dense(0, 5, scale=fraction(1, 4), zero=17, low=-100, high=120)
    return b.net


def pooled_head():
    """The head is a node without weights."""
    b = three_channels()
    t = b.convolution(0, 7, (1, 1), scale=fraction(1, 20), zero=-50)
    b.average_pool(t, (6, 7))
    return b.net


def smallest():
    """One input value, one weight."""
    b = Builder((1, 1, 1), fraction(1, 64), 5, [InputMap(fraction(1), False, 0)])
    b.head(0, 1, weights=Rule(0, 0, 1, -127), biases=Rule(0, 0, 1, 25_000_000), name="x")
    b.net.nodes[0].name = ""
    return b.net


def without_weights():
    """No weights, biases or Scales at all: their sections are left out."""
    b = Builder((4, 4, 1))
    b.max_pool(0, (2, 2))
    return b.net


def named():
    """Node names and class names in UTF-8; data arrive as NCHW."""
    b = three_channels(channels_first=True)
    b.net.class_names = ["zero", "größer", "三", ""]
    t = b.convolution(0, 3, scale=fraction(1, 8), name="エッジ")
    b.head(t, 4, name="tête")
    return b.net


def initialised_mlp():
    b = Builder((8, 8, 1), fraction(1, 64))
    t = b.dense(0, 32, relu=True, name="hidden")
    b.head(t, 10, name="head")
    return b.initialised(7)


def initialised_residual():
    b = Builder((8, 8, 1), fraction(1, 64))
    t = b.convolution(0, 6, padding=(1, 1, 1, 1), relu=True, name="in")
    t = b.max_pool(t, (2, 2))
    u = b.convolution(t, 6, padding=(1, 1, 1, 1), name="branch")
    t = b.sum(t, u, None, relu=True)
    b.head(b.average_pool(t, (4, 4)), 10, name="head")
    return b.initialised(7)


MODELS = {
    "convolution": lambda: single(convolution),
    "convolution-strided": lambda: single(convolution_strided),
    "convolution-per-channel": lambda: single(convolution_per_channel),
    "depthwise": lambda: single(depthwise),
    "grouped-pointwise": lambda: single(grouped_pointwise),
    "fully-connected": lambda: single(dense),
    "max-pooling": lambda: single(pool_max),
    "average-pooling": lambda: single(pool_average),
    "add": lambda: single(residual),
    "multiply": lambda: single(gate),
    "concatenate": lambda: single(concatenation),
    "table": lambda: single(look_up),
    "rescale": lambda: single(rescaling),
    "slice-and-pad": lambda: single(cutting),
    "upsample": lambda: single(enlarging),
    "every-kind": lambda: single(every_kind),
    "quantized-head": quantized_head,
    "pooled-head": pooled_head,
    "smallest": smallest,
    "without-weights": without_weights,
    "named": named,
    "initialised-mlp": initialised_mlp,
    "initialised-residual": initialised_residual,
}

RAW = Rule(73, 19, 257, 0)


def inference(name, net, samples=3, raw=RAW, denominator=1):
    """One block: raw data by a rule, quantized by 5.4, through the network, to logits."""
    size = net.tensor(0).count
    values = raw.values(samples * size)
    exact = [v if denominator == 1 else Fraction(v, denominator) for v in values]
    cache = {}
    batch = [quantize_sample(net, exact[i * size:(i + 1) * size], cache) for i in range(samples)]
    tensors = training.run_forward(net, batch)
    block = Block(f"{name}{'' if denominator == 1 else ', fractions'}").add("model", f"models/{name}.tally")
    block.add("samples", samples).add("raw values", raw).add("denominator", denominator)
    block.expect("input", "b", tensors[0].values)
    for t, result in enumerate(tensors[1:-1], 1):
        block.expect(f"tensor {t}", "b", result.values, first=4)
    z = training.logits(net, tensors[-1].values)
    block.expect("logits", "i", [v for sample in z for v in sample])
    block.numbers("expect classes", [operations.predicted_class(sample) for sample in z])
    return block.numbers("expect logit scale", net.output.scale)


def files():
    result, simple, whole = {}, [], []
    for name, make in MODELS.items():
        net = make()
        data = network.write(net)
        assert network.write(network.read(data)) == data
        result[f"models/{name}.tally"] = data
        target = whole if len(net.nodes) > 3 else simple
        target.append(inference(name, net))
    whole.append(inference("every-kind", MODELS["every-kind"](), raw=Rule(739, 19, 2053, -500), denominator=8))
    simple.append(inference("convolution", MODELS["convolution"](), raw=Rule(739, 19, 2053, -3),
                            denominator=1024))
    header = ("SPEC 5.4, 6 forward and 5.7: raw data value i is (rule element i) / denominator, in the order in\n"
              "which data arrive (NHWC, or NCHW where the model says so). `input` is what 5.4 makes of it, int8 NHWC;\n"
              "`tensor t` are the int8 tensors between; `logits` are z of 5.7 as int32, sample-major.")
    result["inference/small.txt"] = blocks(header, simple)
    result["inference/whole.txt"] = blocks(header, whole)
    return result
