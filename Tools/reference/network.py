"""SPEC 5 and Formats/model.md: networks, and `.tally` files as bytes.

`read` checks everything model.md's "Duties" lists before it returns; `write` gives the one byte
string of a network. A network that `read` returned and nobody changed is written back to the same
bytes.
"""

import hashlib
import struct
from dataclasses import dataclass, field

import scalar
from scalar import Scale

# Node kinds, model.md "Node record".
CONVOLUTION = 1
FULLY_CONNECTED = 2
MAX_POOLING = 3
AVERAGE_POOLING = 4
ADD = 5
MULTIPLY = 6
CONCATENATE = 7
TABLE = 8
RESCALE = 9
SLICE_AND_PAD = 10
UPSAMPLE = 11

KIND_NAMES = {
    1: "convolution", 2: "fully connected", 3: "max pooling", 4: "average pooling", 5: "add",
    6: "multiply", 7: "concatenate", 8: "table", 9: "rescale", 10: "slice and pad", 11: "upsample",
}
WEIGHTED = (CONVOLUTION, FULLY_CONNECTED)
TWO_INPUTS = (ADD, MULTIPLY, CONCATENATE)
WINDOWED = (CONVOLUTION, MAX_POOLING, AVERAGE_POOLING)
# Kinds that repeat Scale, zero point and bounds of their input (6.3, 6.10, 6.11).
REPEATS_INPUT = (MAX_POOLING, SLICE_AND_PAD, UPSAMPLE)
# Kinds whose output has a mask (6): those that end in `place`.
PLACED = (CONVOLUTION, FULLY_CONNECTED, ADD, MULTIPLY, CONCATENATE, RESCALE)

MAXIMUM_ELEMENTS = 1 << 24
MAXIMUM_BIAS = 25_000_000
MAXIMUM_FAN_IN = 65_536
MAXIMUM_POSITIONS = 66_311
NO_TENSOR = 0xFFFFFFFF


class FormatError(Exception):
    """A file that breaks a rule of Formats/; the sentence says which."""


class ArithmeticVersionError(FormatError):
    """1.5: a file of another arithmetic version."""


# ---------------------------------------------------------------------------- 5.1-5.5

@dataclass
class Tensor:
    """5.2, 5.3: what an operation has to know of a tensor."""

    shape: tuple
    scale: Scale
    zero: int
    low: int
    high: int

    @property
    def count(self):
        height, width, channels = self.shape
        return height * width * channels


@dataclass
class InputMap:
    """5.4: q = clamp(floor(+-A x + B 2^-32 + 1/2), -128, 127)."""

    scale: Scale
    negative: bool
    offset: int  # Q32


@dataclass
class Node:
    kind: int
    inputs: list
    shape: tuple
    scale: Scale
    zero: int = 0
    low: int = -128
    high: int = 127
    accumulators: bool = False
    per_channel: bool = False
    counts_padding: bool = False
    weights: list = field(default_factory=list)
    biases: list = field(default_factory=list)
    weight_scales: list = field(default_factory=list)
    table: tuple = None  # (256 values, 256 slopes in Q12)
    kernel: tuple = (1, 1)
    stride: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: tuple = (0, 0, 0, 0)  # top, left, bottom, right
    groups: int = 1
    start: tuple = (0, 0, 0)
    step: tuple = (1, 1, 1)
    before: tuple = (0, 0, 0)
    name: str = ""

    @property
    def is_weighted(self):
        return self.kind in WEIGHTED

    @property
    def count(self):
        height, width, channels = self.shape
        return height * width * channels

    def weight_scale(self, o):
        """5.5: S_w, or S_w[o] with one weight Scale per output channel."""
        return self.weight_scales[o if self.per_channel else 0]


@dataclass
class Network:
    input_shape: tuple
    input_scale: Scale
    input_zero: int
    nodes: list
    maps: list
    initialised: bool = False
    channels_first: bool = False  # data arrive as NCHW
    class_names: list = field(default_factory=list)

    def tensor(self, t):
        """5.1: tensor 0 is the input, node i produces tensor i + 1."""
        if t == 0:
            return Tensor(self.input_shape, self.input_scale, self.input_zero, -128, 127)
        n = self.nodes[t - 1]
        return Tensor(n.shape, n.scale, n.zero, n.low, n.high)

    @property
    def output(self):
        return self.tensor(len(self.nodes))

    @property
    def head(self):
        return self.nodes[-1]


# ---------------------------------------------------------------------------- shapes of 6

def fan_in(node, x):
    """5.6: K, the weights per output."""
    if node.kind == FULLY_CONNECTED:
        return x.count
    return node.kernel[0] * node.kernel[1] * (x.shape[2] // node.groups)


def window_extent(node):
    """The extent of the kernel on each axis: dilation * (kernel - 1) + 1."""
    return tuple(d * (k - 1) + 1 for d, k in zip(node.dilation, node.kernel))


def output_shape(node, inputs):
    """The shape SPEC 6 gives the output; None for the axes the file states freely (channels of
    weighted nodes, all of slice and pad)."""
    x = inputs[0]
    height, width, channels = x.shape
    if node.kind in WINDOWED:
        top, left, bottom, right = node.padding
        rows = (height + top + bottom - window_extent(node)[0]) // node.stride[0] + 1
        columns = (width + left + right - window_extent(node)[1]) // node.stride[1] + 1
        return rows, columns, None if node.kind == CONVOLUTION else channels
    if node.kind == FULLY_CONNECTED:
        return 1, 1, None
    if node.kind == CONCATENATE:
        return height, width, channels + inputs[1].shape[2]
    if node.kind == UPSAMPLE:
        return height * node.stride[0], width * node.stride[1], channels
    if node.kind == SLICE_AND_PAD:
        return None, None, None
    return x.shape  # add, multiply, table, rescale


def windows_inside(size, kernel, stride, padding, dilation, outputs):
    """For each output position of one axis, how many kernel positions lie inside the input."""
    counts = []
    for r in range(outputs):
        positions = range(r * stride - padding, r * stride - padding + kernel * dilation, dilation)
        counts.append(sum(1 for p in positions if 0 <= p < size))
    return counts


# ---------------------------------------------------------------------------- writing

SECTION_NODES, SECTION_WEIGHTS, SECTION_BIASES, SECTION_SCALES = 1, 2, 3, 4
SECTION_TABLES, SECTION_MAPS, SECTION_NAMES, SECTION_CLASSES = 5, 6, 7, 8
MAGIC = b"TALLY\r\n\x1a"
HEADER_BYTES, ENTRY_BYTES, NODE_BYTES, MAP_BYTES = 64, 16, 128, 24
NODE_LAYOUT = struct.Struct("<BBbbb3sIIIIIiiIIII6H4HI9HHII24s")
HEADER_LAYOUT = struct.Struct("<8sHHIIIIIIIiib15s")
MAP_LAYOUT = struct.Struct("<iiIIq")
assert NODE_LAYOUT.size == NODE_BYTES and HEADER_LAYOUT.size == HEADER_BYTES
assert MAP_LAYOUT.size == MAP_BYTES


def aligned(n):
    return (n + 63) // 64 * 64


def model_digest(data):
    """9.2: SHA-256 of the model file without its last 32 bytes."""
    return hashlib.sha256(data[:-32]).digest()


def write(net):
    """The one byte string of a network (model.md)."""
    records, weights, biases, scales, tables, names = [], [], [], [], [], b""
    for node in net.nodes:
        name = node.name.encode("utf-8")
        flags = node.accumulators | node.per_channel << 1 | node.counts_padding << 2
        second = node.inputs[1] if len(node.inputs) == 2 else NO_TENSOR
        check_scale(node.scale, "output Scale")
        records.append(NODE_LAYOUT.pack(
            node.kind, flags, node.zero, node.low, node.high, bytes(3), node.inputs[0], second,
            *node.shape, *node.scale, len(weights), len(biases), len(scales), len(tables),
            *node.kernel, *node.stride, *node.dilation, *node.padding, node.groups,
            *node.start, *node.step, *node.before, 0, len(names), len(name), bytes(24)))
        weights += node.weights
        biases += node.biases
        scales += node.weight_scales
        if node.table is not None:
            tables.append(node.table)
        names += name
    classes = b"".join(struct.pack("<I", len(c.encode())) + c.encode() for c in net.class_names)
    for s in scales:
        check_scale(s, "weight Scale")
    sections = [
        (SECTION_NODES, len(records), b"".join(records)),
        (SECTION_WEIGHTS, len(weights), struct.pack(f"<{len(weights)}b", *weights)),
        (SECTION_BIASES, len(biases), struct.pack(f"<{len(biases)}i", *biases)),
        (SECTION_SCALES, len(scales), b"".join(struct.pack("<ii", *s) for s in scales)),
        (SECTION_TABLES, len(tables),
         b"".join(struct.pack("<256b256h", *values, *slopes) for values, slopes in tables)),
        (SECTION_MAPS, len(net.maps),
         b"".join(MAP_LAYOUT.pack(*m.scale, m.negative, 0, m.offset) for m in net.maps)),
        (SECTION_NAMES, len(names), names),
        (SECTION_CLASSES, len(net.class_names), classes),
    ]
    sections = [s for s in sections if s[1] > 0]
    entries, body = b"", b""
    start = aligned(HEADER_BYTES + ENTRY_BYTES * len(sections))
    for kind, count, content in sections:
        entries += struct.pack("<IIII", kind, count, start + len(body), len(content))
        body += content + bytes(aligned(len(content)) - len(content))
    length = start + len(body) + 32
    header = HEADER_LAYOUT.pack(
        MAGIC, 1, 1, len(sections), length, len(net.nodes),
        net.initialised | net.channels_first << 1, *net.input_shape, *net.input_scale,
        net.input_zero, bytes(15))
    front = header + entries
    data = front + bytes(start - len(front)) + body
    return data + hashlib.sha256(data).digest()


# ---------------------------------------------------------------------------- reading

def require(condition, sentence):
    if not condition:
        raise FormatError(sentence)


def check_scale(s, what, may_be_zero=False):
    require(scalar.is_scale(s), f"{what}: the mantissa is not normalised (SPEC 3.2)")
    require(may_be_zero or s.m != 0, f"{what} is zero")
    require(-512 <= s.e <= 512, f"{what}: the exponent is outside -512...512")


def check_text(raw, what):
    require(len(raw) <= 1024, f"{what} is longer than 1024 bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"{what} is not UTF-8") from None


def read_sections(data, count, length):
    """The section table: kind -> (element count, bytes)."""
    table_end = HEADER_BYTES + ENTRY_BYTES * count
    require(count <= 8, "more sections than kinds")
    require(table_end <= length - 32, "the section table does not fit in the file")
    sections, last_kind, position = {}, 0, table_end
    for i in range(count):
        kind, elements, offset, size = struct.unpack_from("<IIII", data, HEADER_BYTES + 16 * i)
        require(1 <= kind <= 8, f"unknown section kind {kind}")
        require(kind > last_kind, "section kinds do not ascend")
        require(elements > 0, f"section {kind} has no elements")
        require(offset == aligned(position), f"section {kind} does not start at the next multiple of 64")
        require(offset + size <= length - 32, f"section {kind} leaves the file")
        width = {1: 128, 2: 1, 3: 4, 4: 8, 5: 768, 6: 24, 7: 1}.get(kind)
        require(width is None or size == width * elements,
                f"section {kind}: byte length and element count disagree")
        require(not any(data[position:offset]), f"padding before section {kind} is not zero")
        sections[kind] = (elements, data[offset:offset + size])
        last_kind, position = kind, offset + size
    require(aligned(position) == length - 32, "the digest does not follow the last section")
    require(not any(data[position:length - 32]), "padding after the last section is not zero")
    return sections


def read_class_names(elements, raw):
    names, position = [], 0
    for _ in range(elements):
        require(position + 4 <= len(raw), "class names leave their section")
        size = struct.unpack_from("<I", raw, position)[0]
        require(position + 4 + size <= len(raw), "class names leave their section")
        names.append(check_text(raw[position + 4:position + 4 + size], "a class name"))
        position += 4 + size
    require(position == len(raw), "the class names do not fill their section")
    return names


class RunningSums:
    """Weights, biases, Scales, tables and names lie in node order without gaps."""

    def __init__(self, sections):
        self.sections = sections
        self.used = {kind: 0 for kind in (2, 3, 4, 5, 7)}

    def take(self, kind, first, count, what):
        require(first == self.used[kind], f"{what}: offset is not the running sum")
        elements, raw = self.sections.get(kind, (0, b""))
        require(first + count <= elements, f"{what}: beyond the end of section {kind}")
        self.used[kind] += count
        width = len(raw) // elements if elements else 0
        return raw[first * width:(first + count) * width]

    def finish(self):
        for kind, used in self.used.items():
            elements = self.sections.get(kind, (0, b""))[0]
            require(used == elements, f"section {kind} has elements that no node uses")


def read_node(net, index, raw, sums):
    """One node record, checked against model.md and SPEC 5 and 6."""
    (kind, flags, zero, low, high, hole0, first, second, height, width, channels, m, e,
     first_weight, first_bias, first_scale, table, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, groups,
     start_h, start_w, start_c, step_h, step_w, step_c, before_h, before_w, before_c, hole1,
     name_first, name_size, hole2) = NODE_LAYOUT.unpack(raw)
    at = f"node {index}"
    require(kind in KIND_NAMES, f"{at}: unknown kind {kind}")
    require(flags < 8, f"{at}: unknown flags")
    require(not any(hole0) and hole1 == 0 and not any(hole2), f"{at}: reserved bytes are not zero")
    require(low <= high, f"{at}: low is above high")
    require(first <= index, f"{at}: reads tensor {first}, which does not exist yet")
    if kind in TWO_INPUTS:
        require(second <= index, f"{at}: reads tensor {second}, which does not exist yet")
    else:
        require(second == NO_TENSOR, f"{at}: a second input where the kind has one")
    require(height >= 1 and width >= 1 and channels >= 1, f"{at}: an empty output")
    require(height * width * channels <= MAXIMUM_ELEMENTS, f"{at}: more than 2^24 elements")
    scale = Scale(m, e)
    check_scale(scale, f"{at}: output Scale")
    node = Node(
        kind=kind, inputs=[first] if second == NO_TENSOR else [first, second],
        shape=(height, width, channels), scale=scale, zero=zero, low=low, high=high,
        accumulators=bool(flags & 1), per_channel=bool(flags & 2), counts_padding=bool(flags & 4),
        kernel=(kh, kw), stride=(sh, sw), dilation=(dh, dw), padding=(pt, pl, pb, pr), groups=groups,
        start=(start_h, start_w, start_c), step=(step_h, step_w, step_c),
        before=(before_h, before_w, before_c))
    inputs = [net.tensor(t) for t in node.inputs]
    check_fields(node, at)
    check_shape(node, inputs, at)
    read_parameters(node, inputs[0], at, sums, first_weight, first_bias, first_scale, table)
    check_quantization(node, inputs, at)
    node.name = check_text(sums.take(7, name_first, name_size, f"{at}: name"), f"{at}: name")
    return node


def check_fields(node, at):
    """Fields that a kind does not have hold their neutral value; those it has are in range."""
    geometry = node.kernel + node.stride + node.dilation
    require(all(1 <= v <= 4095 for v in geometry),
            f"{at}: kernel, stride or dilation outside 1...4095")
    if node.kind not in WINDOWED:
        require(node.kernel == (1, 1), f"{at}: a kernel where the kind has none")
        require(node.padding == (0, 0, 0, 0), f"{at}: padding where the kind has none")
    if node.kind not in WINDOWED + (UPSAMPLE,):
        require(node.stride == (1, 1), f"{at}: strides where the kind has none")
    if node.kind != CONVOLUTION:
        require(node.dilation == (1, 1), f"{at}: dilation where the kind has none")
        require(node.groups == 1, f"{at}: groups where the kind has none")
    extent = window_extent(node)
    top, left, bottom, right = node.padding
    require(max(top, bottom) < extent[0] and max(left, right) < extent[1],
            f"{at}: padding is not smaller than the kernel's extent")
    if node.kind != SLICE_AND_PAD:
        require(node.start == (0, 0, 0) and node.step == (1, 1, 1) and node.before == (0, 0, 0),
                f"{at}: slice fields where the kind has none")
    require(all(s >= 1 for s in node.step), f"{at}: a slice step of 0")
    require(node.kind == AVERAGE_POOLING or not node.counts_padding,
            f"{at}: 'counts padding' where the kind has no padding to count")
    require(node.is_weighted or not (node.accumulators or node.per_channel),
            f"{at}: a flag of weighted nodes on another kind")
    require(not (node.accumulators and node.per_channel),
            f"{at}: accumulators with one weight Scale per channel")
    if node.kind == AVERAGE_POOLING:
        require(node.kernel[0] * node.kernel[1] <= 1 << 20, f"{at}: window above 2^20 elements")


def check_shape(node, inputs, at):
    if node.kind == CONVOLUTION:
        require(node.groups >= 1 and inputs[0].shape[2] % node.groups == 0
                and node.shape[2] % node.groups == 0, f"{at}: groups do not divide the channels")
    if node.kind == ADD:
        require(inputs[0].shape == inputs[1].shape, f"{at}: inputs of different shapes")
    if node.kind == MULTIPLY:
        require(inputs[1].shape in (inputs[0].shape, (1, 1, inputs[0].shape[2])),
                f"{at}: the second input's shape does not fit")
        repeated = inputs[1].shape != inputs[0].shape
        require(not repeated or inputs[0].shape[0] * inputs[0].shape[1] <= MAXIMUM_POSITIONS,
                f"{at}: a repeated input over more than 66311 positions")
    if node.kind == CONCATENATE:
        require(inputs[0].shape[:2] == inputs[1].shape[:2], f"{at}: inputs of different sizes")
    if node.kind in WINDOWED:
        top, left, bottom, right = node.padding
        extent = window_extent(node)
        require(inputs[0].shape[0] + top + bottom >= extent[0]
                and inputs[0].shape[1] + left + right >= extent[1],
                f"{at}: the kernel is larger than the padded input")
    expected = output_shape(node, inputs)
    require(all(want is None or want == have for want, have in zip(expected, node.shape)),
            f"{at}: the output shape is not the one SPEC 6 gives")


def read_parameters(node, x, at, sums, first_weight, first_bias, first_scale, table):
    weights = biases = scales = tables = 0
    if node.is_weighted:
        k, outputs = fan_in(node, x), node.shape[2]
        require(k <= MAXIMUM_FAN_IN, f"{at}: more than 65536 weights per output")
        weights, biases, scales = k * outputs, outputs, outputs if node.per_channel else 1
    if node.kind == TABLE:
        tables = 1
    raw = sums.take(2, first_weight, weights, f"{at}: weights")
    node.weights = list(struct.unpack(f"<{weights}b", raw))
    require(-128 not in node.weights, f"{at}: a weight of -128")
    raw = sums.take(3, first_bias, biases, f"{at}: biases")
    node.biases = list(struct.unpack(f"<{biases}i", raw))
    require(all(abs(b) <= MAXIMUM_BIAS for b in node.biases), f"{at}: a bias beyond 25 000 000")
    raw = sums.take(4, first_scale, scales, f"{at}: weight Scales")
    node.weight_scales = [Scale(*struct.unpack_from("<ii", raw, 8 * i)) for i in range(scales)]
    for s in node.weight_scales:
        check_scale(s, f"{at}: weight Scale")
    raw = sums.take(5, table, tables, f"{at}: table")
    if tables:
        values = struct.unpack("<256b256h", raw)
        node.table = (list(values[:256]), list(values[256:]))


def check_quantization(node, inputs, at):
    x = inputs[0]
    if node.accumulators:
        require((node.zero, node.low, node.high) == (0, -128, 127),
                f"{at}: accumulators with a zero point or bounds")
        require(node.scale == scalar.mul(x.scale, node.weight_scales[0]),
                f"{at}: the output Scale of accumulators is not S_x * S_w")
    if node.kind in REPEATS_INPUT:
        require((node.scale, node.zero, node.low, node.high) == (x.scale, x.zero, x.low, x.high),
                f"{at}: Scale, zero point and bounds are not the input's")
    if node.kind == ADD:
        try:
            add_multipliers(inputs, node.scale)
        except scalar.ArithmeticFault as fault:
            raise FormatError(f"{at}: {fault}") from None


def add_multipliers(inputs, output_scale):
    """6.5: M_1, M_2 and F."""
    ratios = [scalar.div(x.scale, output_scale) for x in inputs]
    f = 21 - max(0, max(scalar.ceil_log2(r) for r in ratios))
    if f < 1:
        raise scalar.ArithmeticFault("add: F is below 1 (SPEC 6.5)")
    return [scalar.integer(r, f) for r in ratios], f


def read(data):
    """A checked network from the bytes of a `.tally` file."""
    require(len(data) >= HEADER_BYTES + 32, "the file is shorter than a header and a digest")
    (magic, version, arithmetic, section_count, length, node_count, flags, height, width, channels,
     m, e, zero, hole) = HEADER_LAYOUT.unpack_from(data, 0)
    require(magic == MAGIC, "the magic is not that of a .tally file")
    require(version == 1, f"format version {version}")
    if arithmetic != 1:
        raise ArithmeticVersionError(f"arithmetic version {arithmetic}")
    require(length < 1 << 31, "file length of 2^31 or more")
    require(length == len(data), f"the header says {length} bytes, the file has {len(data)}")
    require(1 <= node_count <= 4096, "node count outside 1...4096")
    require(flags < 4, "unknown header flags")
    require(height >= 1 and width >= 1 and channels >= 1, "an empty input")
    require(height * width * channels <= MAXIMUM_ELEMENTS, "input of more than 2^24 elements")
    check_scale(Scale(m, e), "input Scale")
    require(not any(hole), "reserved header bytes are not zero")
    require(data[-32:] == model_digest(data), "the digest does not match the content")
    sections = read_sections(data, section_count, length)
    require(1 in sections and sections[1][0] == node_count, "section 1 does not hold the nodes")
    require(6 in sections and sections[6][0] in (1, channels),
            "input maps: neither one nor one per channel")
    maps = []
    for i in range(sections[6][0]):
        am, ae, sign, hole, offset = MAP_LAYOUT.unpack_from(sections[6][1], MAP_BYTES * i)
        check_scale(Scale(am, ae), f"input map {i}")
        require(sign in (0, 1), f"input map {i}: the sign is neither 0 nor 1")
        require(hole == 0, f"input map {i}: reserved bytes are not zero")
        maps.append(InputMap(Scale(am, ae), bool(sign), offset))
    net = Network((height, width, channels), Scale(m, e), zero, [], maps,
                  initialised=bool(flags & 1), channels_first=bool(flags & 2))
    sums = RunningSums(sections)
    for i in range(node_count):
        raw = sections[1][1][NODE_BYTES * i:NODE_BYTES * (i + 1)]
        net.nodes.append(read_node(net, i, raw, sums))
    sums.finish()
    for i, node in enumerate(net.nodes):
        require(not node.accumulators or i == node_count - 1,
                f"node {i}: accumulators on a node that is not the last")
        require_inside(net, node, f"node {i}")
    if 8 in sections:
        net.class_names = read_class_names(*sections[8])
    return net


def require_inside(net, node, at):
    """6.3: every window MUST hold a position inside the input (6.4 divides by their number).
    5.6: where the windows of an average differ in n, the kernel is at most 512."""
    if node.kind not in (MAX_POOLING, AVERAGE_POOLING):
        return
    x = net.tensor(node.inputs[0])
    differ = False
    for axis in (0, 1):
        counts = windows_inside(x.shape[axis], node.kernel[axis], node.stride[axis],
                                node.padding[axis], node.dilation[axis], node.shape[axis])
        require(min(counts) > 0, f"{at}: a window with no position inside the input")
        differ = differ or min(counts) != max(counts)
    if node.kind == AVERAGE_POOLING and differ and not node.counts_padding:
        require(node.kernel[0] * node.kernel[1] <= 512,
                f"{at}: averages over unequal windows of more than 512 elements")
