"""Small networks for golden vectors and tests: shapes and quantization follow from the inputs."""

import scalar
import training
from network import (
    ADD, AVERAGE_POOLING, CONCATENATE, CONVOLUTION, FULLY_CONNECTED, MAX_POOLING, MULTIPLY,
    REPEATS_INPUT, RESCALE, SLICE_AND_PAD, TABLE, UPSAMPLE, InputMap, Network, Node, fan_in,
    output_shape,
)
from scalar import Scale
from vector_text import Rule

WEIGHTS = Rule(29, 5, 255, -127)
BIASES = Rule(7919, 17, 4001, -2000)


def fraction(numerator, denominator=1):
    """A Scale near a fraction (SPEC 3.2: div)."""
    return scalar.div(scalar.from_integer(numerator), scalar.from_integer(denominator))


class Builder:
    """Adds nodes one by one; every method returns the number of the tensor it made."""

    def __init__(self, shape, scale=fraction(1, 64), zero=0, maps=None, **fields):
        maps = maps or [InputMap(fraction(1, 2), False, -64 << 32)]
        self.net = Network(shape, scale, zero, [], maps, **fields)

    def add(self, kind, inputs, scale=None, shape=None, **fields):
        net = self.net
        tensors = [net.tensor(t) for t in inputs]
        x = tensors[0]
        if kind in REPEATS_INPUT:
            fields.update(zero=x.zero, low=x.low, high=x.high)
            scale = x.scale
        node = Node(kind, list(inputs), shape or (0, 0, 0), scale or x.scale, **fields)
        expected = output_shape(node, tensors)
        node.shape = tuple(have if want is None else want for want, have in zip(expected, node.shape))
        if not node.name:
            node.name = f"node{len(net.nodes)}"
        net.nodes.append(node)
        return len(net.nodes)

    def weighted(self, kind, x, outputs, scale, weight_scales, weights, biases, relu, fields):
        if relu:
            fields.update(zero=-128, low=-128)
        t = self.add(kind, [x], scale, (0, 0, outputs), **fields)
        node = self.net.nodes[-1]
        count = fan_in(node, self.net.tensor(x)) * outputs
        node.weights, node.biases = weights.values(count), biases.values(outputs)
        node.weight_scales = weight_scales or [fraction(1, 400)]
        if node.accumulators:
            node.scale = scalar.mul(self.net.tensor(x).scale, node.weight_scales[0])
        return t

    def convolution(self, x, outputs, kernel=(3, 3), scale=None, weight_scales=None, weights=WEIGHTS,
                    biases=BIASES, relu=False, **fields):
        fields["kernel"] = kernel
        return self.weighted(CONVOLUTION, x, outputs, scale, weight_scales, weights, biases, relu, fields)

    def dense(self, x, outputs, scale=None, weight_scales=None, weights=WEIGHTS, biases=BIASES,
              relu=False, **fields):
        return self.weighted(
            FULLY_CONNECTED, x, outputs, scale, weight_scales, weights, biases, relu, fields)

    def head(self, x, outputs, **fields):
        return self.dense(x, outputs, accumulators=True, **fields)

    def max_pool(self, x, size, stride=None, **fields):
        return self.add(MAX_POOLING, [x], kernel=size, stride=stride or size, **fields)

    def average_pool(self, x, size, stride=None, **fields):
        zero = self.net.tensor(x)
        for key in ("zero", "low", "high"):
            fields.setdefault(key, getattr(zero, key))
        return self.add(AVERAGE_POOLING, [x], kernel=size, stride=stride or size, **fields)

    def sum(self, a, b, scale, relu=False, **fields):
        if relu:
            fields.update(zero=-128, low=-128)
        return self.add(ADD, [a, b], scale, **fields)

    def product(self, a, b, scale, **fields):
        return self.add(MULTIPLY, [a, b], scale, **fields)

    def concatenation(self, a, b, scale, **fields):
        return self.add(CONCATENATE, [a, b], scale, **fields)

    def table(self, x, scale, values, slopes, **fields):
        return self.add(TABLE, [x], scale, table=(values.values(256), slopes.values(256)), **fields)

    def rescale(self, x, scale, **fields):
        return self.add(RESCALE, [x], scale, **fields)

    def slice_and_pad(self, x, shape, **fields):
        return self.add(SLICE_AND_PAD, [x], shape=shape, **fields)

    def upsample(self, x, factors, **fields):
        return self.add(UPSAMPLE, [x], stride=factors, **fields)

    def initialised(self, seed):
        """8.10: weights, biases and Scales of an initialised model; header flag bit 0."""
        net = self.net
        for k, node in enumerate(net.nodes):
            scales = [net.tensor(t).scale for t in node.inputs]
            if node.is_weighted:
                training.initialise_weights(net, k, seed)
            elif node.kind == ADD:
                node.scale = training.initial_add_scale(scales)
            elif node.kind in REPEATS_INPUT + (AVERAGE_POOLING,):
                node.scale = scales[0]
        net.initialised = True
        return net


def channel_scales(count, numerator=1, denominator=200):
    """Different Scales, one per channel."""
    return [fraction(numerator * (3 + c % 5), denominator * (4 + c % 3)) for c in range(count)]


MINUS_A_THIRD = Scale(1431655765, -1)
