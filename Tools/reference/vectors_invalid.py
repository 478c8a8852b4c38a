"""Formats/vectors/invalid: one fault per file; the file's name is the fault.

Except where the digest, the chain or the length itself is the fault, digests and chain tags are
made to fit again, so that nothing but the fault is wrong.
"""

import hashlib
import struct

import journal
import network
import recipe as recipes
from builder import Builder, channel_scales, fraction
from network import (
    ADD, AVERAGE_POOLING, CONCATENATE, CONVOLUTION, FULLY_CONNECTED, MAX_POOLING, MULTIPLY,
    NO_TENSOR, InputMap, Node,
)
from scalar import Scale
from vector_text import Rule

# ---------------------------------------------------------------------------- models

LITTLE = dict(weights=Rule(29, 5, 101, -50), biases=Rule(7, 1, 40, -20))


def base(channels=2):
    """The model the faults are put into; itself valid (invalid/valid-base.tally)."""
    maps = [InputMap(fraction(1, 2), False, -60 << 32)] * channels
    b = Builder((4, 4, channels), fraction(1, 50), -3, maps)
    b.net.class_names = ["no", "yes"]
    t = b.convolution(0, 2, padding=(1, 1, 1, 1), relu=True, per_channel=True,
                      weight_scales=channel_scales(2), scale=fraction(1, 8), name="conv", **LITTLE)
    t = b.max_pool(t, (2, 2), name="pool")
    u = b.table(t, fraction(1, 60), Rule(91, 13, 256, -128), Rule(9, 7, 65536, -32768), name="table")
    t = b.sum(u, u, fraction(1, 30), name="sum")
    b.head(t, 2, name="größe", **LITTLE)
    return b.net


# Offsets of model.md.
HEADER = {"format version": (8, "H"), "arithmetic version": (10, "H"), "section count": (12, "I"),
          "file length": (16, "I"), "node count": (20, "I"), "flags": (24, "I"), "height": (28, "I"),
          "width": (32, "I"), "channels": (36, "I"), "m": (40, "i"), "e": (44, "i"), "reserved": (49, "B"),
          "last reserved": (63, "B")}
ENTRY = {"kind": (0, "I"), "count": (4, "I"), "offset": (8, "I"), "length": (12, "I")}
NODE = {"kind": (0, "B"), "flags": (1, "B"), "zero": (2, "b"), "low": (3, "b"), "high": (4, "b"),
        "reserved 5": (5, "B"), "reserved 7": (7, "B"), "first": (8, "I"), "second": (12, "I"),
        "height": (16, "I"), "width": (20, "I"), "channels": (24, "I"), "m": (28, "i"), "e": (32, "i"),
        "first weight": (36, "I"), "first bias": (40, "I"), "first scale": (44, "I"), "table": (48, "I"),
        "kernel h": (52, "H"), "kernel w": (54, "H"), "stride h": (56, "H"), "stride w": (58, "H"),
        "dilation h": (60, "H"), "dilation w": (62, "H"), "top": (64, "H"), "left": (66, "H"),
        "bottom": (68, "H"), "right": (70, "H"), "groups": (72, "I"), "start h": (76, "H"),
        "start c": (80, "H"), "step h": (82, "H"), "step c": (86, "H"), "before h": (88, "H"),
        "before c": (92, "H"), "reserved 94": (94, "H"), "name offset": (96, "I"), "name length": (100, "I"),
        "reserved 104": (104, "B"), "reserved 127": (127, "B")}


class Image:
    """A model's bytes with fields that can be overwritten."""

    def __init__(self, data):
        self.data = bytearray(data)

    def put(self, offset, form, value):
        struct.pack_into("<" + form, self.data, offset, value)
        return self

    def header(self, name, value):
        return self.put(HEADER[name][0], HEADER[name][1], value)

    def entry(self, index, name, value):
        return self.put(64 + 16 * index + ENTRY[name][0], ENTRY[name][1], value)

    def section(self, kind):
        """(index in the table, offset, length)."""
        for i in range(struct.unpack_from("<I", self.data, 12)[0]):
            k, _, offset, length = struct.unpack_from("<IIII", self.data, 64 + 16 * i)
            if k == kind:
                return i, offset, length
        raise KeyError(kind)

    def node(self, index, name, value):
        return self.put(self.section(1)[1] + 128 * index + NODE[name][0], NODE[name][1], value)

    def inside(self, kind, position, form, value):
        return self.put(self.section(kind)[1] + position, form, value)

    def finish(self):
        """The bytes with the digest made to fit."""
        body = bytes(self.data[:-32])
        return body + hashlib.sha256(body).digest()


def patched(*changes):
    """The base model with fields overwritten; a change is (method, arguments...)."""
    image = Image(network.write(base()))
    for method, *arguments in changes:
        getattr(image, method)(*arguments)
    return image.finish()


def rebuilt(change, make=base):
    """The base model with its nodes changed before it is written."""
    net = make()
    change(net)
    return network.write(net)


def without_section(kind):
    """The base model without one section: table, offsets, length and digest fit."""
    return assembled([s for s in sections_of(base()) if s[0] != kind])


def sections_of(net):
    data = network.write(net)
    image, result = Image(data), []
    for i in range(struct.unpack_from("<I", data, 12)[0]):
        kind, count, offset, length = struct.unpack_from("<IIII", data, 64 + 16 * i)
        result.append((kind, count, data[offset:offset + length]))
    return result


def assembled(sections, gap=0, head=None):
    """A file of the sections given, laid out as model.md says; `gap` bytes behind the first."""
    front = bytearray(head or network.write(base())[:64])
    start = network.aligned(64 + 16 * len(sections))
    entries, body = b"", b""
    for i, (kind, count, content) in enumerate(sections):
        entries += struct.pack("<IIII", kind, count, start + len(body), len(content))
        body += content + bytes(network.aligned(len(content)) - len(content))
        body += bytes(gap if i == 0 else 0)
    struct.pack_into("<I", front, 12, len(sections))
    struct.pack_into("<I", front, 16, start + len(body) + 32)
    data = bytes(front) + entries
    data += bytes(start - len(data)) + body
    return data + hashlib.sha256(data).digest()


def replaced(kind, count=None, content=None):
    """The base model with another content of one section."""
    sections = []
    for k, n, c in sections_of(base()):
        sections.append((k, count if k == kind and count is not None else n,
                         content(c) if k == kind and content else c))
    return assembled(sections)


def one_node(node, shape=(4, 4, 2), scale=fraction(1, 50), zero=-3):
    """A network of one node whose output shape is right unless the fault says otherwise."""
    b = Builder(shape, scale, zero)
    b.net.nodes.append(node)
    return network.write(b.net)


def pooling(kind, kernel, stride, padding, shape, out, **fields):
    return one_node(Node(kind, [0], out, fraction(1, 50), zero=-3, kernel=kernel, stride=stride,
                         padding=padding, **fields), shape)


def too_many_weights():
    node = Node(FULLY_CONNECTED, [0], (1, 1, 1), fraction(1, 50), weights=[1] * 65537, biases=[0],
                weight_scales=[fraction(1, 400)])
    return one_node(node, (1, 1, 65537))


def repeated_multiply():
    b = Builder((258, 258, 1), fraction(1, 50), 0)
    a = b.average_pool(0, (258, 258))
    b.product(0, a, fraction(1, 50))
    return network.write(b.net)


def small_scale_sum():
    """Input Scale 2^21 times the output's: F = 21 - 21 = 0."""
    b = Builder((2, 2, 2), Scale(1 << 30, 10), 0)
    b.sum(0, 0, Scale(1 << 30, -11))
    return network.write(b.net)


def two_inputs(kind, second_shape, out):
    """A two-input node over tensors of shapes (4, 4, 2) and `second_shape`."""
    b = Builder((4, 4, 2), fraction(1, 50), -3)
    t = b.slice_and_pad(0, second_shape)
    b.net.nodes.append(Node(kind, [0, t], out, fraction(1, 50)))
    return network.write(b.net)


def late_accumulators():
    b = Builder((1, 1, 4), fraction(1, 50))
    t = b.head(0, 3, **LITTLE)
    b.head(t, 2, **LITTLE)
    return network.write(b.net)


def name_that_is(text):
    def change(net):
        net.nodes[1].name = text
    return rebuilt(change)


def model_faults():
    """File name -> bytes."""
    valid = network.write(base())
    image = Image(valid)
    weights_at, names_at = image.section(2)[1], image.section(7)[1]
    maps_at, classes_at = image.section(6)[1], image.section(8)[1]
    assert weights_at and names_at and maps_at and classes_at
    last_end = image.section(8)[1] + image.section(8)[2]
    assert last_end % 64 != 0, "the base model must end in padding"
    seven = without_section(8)  # with seven sections the table is followed by padding
    assert (64 + 16 * 7) % 64 != 0

    f = {}
    # the whole file
    f["empty"] = b""
    f["truncated-in-header"] = valid[:40]
    f["truncated-in-section-table"] = valid[:100]
    f["truncated-in-weights"] = valid[:weights_at + 7]
    f["truncated-in-digest"] = valid[:-1]
    f["trailing-byte"] = valid + b"\0"
    f["digest-wrong"] = valid[:-1] + bytes([valid[-1] ^ 1])
    f["weight-changed-without-digest"] = bytes(Image(valid).inside(2, 3, "b", 77).data)
    f["magic-wrong"] = patched(("put", 0, "B", 0x74))
    f["magic-line-ending-translated"] = valid[:5] + valid[6:]
    # header
    f["format-version-2"] = patched(("header", "format version", 2))
    f["format-version-0"] = patched(("header", "format version", 0))
    f["arithmetic-version-2"] = patched(("header", "arithmetic version", 2))
    f["section-count-zero"] = patched(("header", "section count", 0))
    f["section-count-too-small"] = patched(("header", "section count", len(sections_of(base())) - 1))
    f["section-count-too-large"] = patched(("header", "section count", 0x10000001))
    f["file-length-too-small"] = patched(("header", "file length", len(valid) - 64))
    f["file-length-too-large"] = patched(("header", "file length", len(valid) + 64))
    f["file-length-of-2-31"] = patched(("header", "file length", 1 << 31))
    f["node-count-zero"] = patched(("header", "node count", 0))
    f["node-count-too-large"] = patched(("header", "node count", 4097))
    f["node-count-disagrees-with-section"] = patched(("header", "node count", 4))
    f["header-flag-unknown"] = patched(("header", "flags", 4))
    f["header-reserved-set"] = patched(("header", "reserved", 1))
    f["header-last-reserved-set"] = patched(("header", "last reserved", 1))
    f["input-height-zero"] = patched(("header", "height", 0))
    f["input-width-zero"] = patched(("header", "width", 0))
    f["input-channels-zero"] = patched(("header", "channels", 0))
    f["input-too-large"] = patched(("header", "height", (1 << 21) + 1))
    f["input-shape-product-overflows"] = patched(("header", "height", 1 << 31), ("header", "width", 1 << 31))
    f["input-scale-zero"] = patched(("header", "m", 0), ("header", "e", 0))
    f["input-scale-not-normalised"] = patched(("header", "m", (1 << 30) - 1))
    f["input-scale-negative"] = patched(("header", "m", -(1 << 30)))
    f["input-scale-exponent-too-large"] = patched(("header", "e", 513))
    f["input-scale-exponent-too-small"] = patched(("header", "e", -513))
    # section table
    f["section-kind-zero"] = patched(("entry", 0, "kind", 0))
    f["section-kind-unknown"] = patched(("entry", 7, "kind", 9))
    f["section-kind-repeated"] = patched(("entry", 2, "kind", 2))
    f["sections-out-of-order"] = assembled(
        [s for s in sections_of(base()) if s[0] != 3] + [s for s in sections_of(base()) if s[0] == 3])
    f["section-without-elements"] = assembled(
        sections_of(base())[:7] + [(8, 0, b"")])
    f["section-offset-not-aligned"] = patched(("entry", 3, "offset", image.section(4)[1] + 8))
    f["sections-overlap"] = patched(("entry", 4, "offset", image.section(4)[1]))
    f["section-beyond-the-end"] = patched(("entry", 7, "offset", len(valid) + 64))
    f["section-offset-overflows"] = patched(("entry", 7, "offset", 0xFFFFFFC0))
    f["section-length-disagrees-with-count"] = patched(("entry", 2, "count", 5))
    f["gap-between-sections"] = assembled(sections_of(base()), gap=64)
    f["padding-behind-section-table-set"] = Image(seven).put(64 + 16 * 7, "B", 1).finish()
    f["padding-between-sections-set"] = patched(("put", image.section(4)[1] - 1, "B", 1))
    f["padding-behind-last-section-set"] = patched(("put", last_end, "B", 1))
    f["nodes-section-missing"] = without_section(1)
    f["weights-section-missing"] = without_section(2)
    f["biases-section-missing"] = without_section(3)
    f["weight-scales-section-missing"] = without_section(4)
    f["tables-section-missing"] = without_section(5)
    f["maps-section-missing"] = without_section(6)
    f["names-section-missing"] = without_section(7)
    f["weights-left-over"] = replaced(2, len(base().nodes[0].weights + base().nodes[4].weights) + 1,
                                      lambda c: c + b"\1")
    f["biases-left-over"] = replaced(3, 5, lambda c: c + bytes(4))
    f["weight-scales-left-over"] = replaced(4, 4, lambda c: c + c[:8])
    f["tables-left-over"] = replaced(5, 2, lambda c: c + c)
    f["names-left-over"] = replaced(7, len(sections_of(base())[6][2]) + 1, lambda c: c + b"x")
    # node records
    f["node-kind-zero"] = patched(("node", 1, "kind", 0))
    f["node-kind-unknown"] = patched(("node", 1, "kind", 12))
    f["node-flag-unknown"] = patched(("node", 0, "flags", 2 | 8))
    f["node-reserved-5-set"] = patched(("node", 2, "reserved 5", 1))
    f["node-reserved-7-set"] = patched(("node", 2, "reserved 7", 1))
    f["node-reserved-94-set"] = patched(("node", 2, "reserved 94", 1))
    f["node-reserved-104-set"] = patched(("node", 2, "reserved 104", 1))
    f["node-reserved-127-set"] = patched(("node", 2, "reserved 127", 1))
    f["low-above-high"] = patched(("node", 3, "low", 5), ("node", 3, "high", 4))
    f["reads-its-own-output"] = patched(("node", 2, "first", 3))
    f["reads-a-later-tensor"] = patched(("node", 1, "first", 5))
    f["second-input-is-a-later-tensor"] = patched(("node", 3, "second", 4))
    f["second-input-missing"] = patched(("node", 3, "second", NO_TENSOR))
    f["second-input-superfluous"] = patched(("node", 2, "second", 0))
    f["input-is-no-tensor"] = patched(("node", 0, "first", NO_TENSOR))
    f["output-height-zero"] = patched(("node", 1, "height", 0))
    f["output-width-wrong"] = patched(("node", 1, "width", 3))
    f["output-channels-wrong"] = patched(("node", 2, "channels", 3))
    f["output-of-fully-connected-not-a-vector"] = patched(("node", 4, "height", 2))
    f["shape-product-overflows"] = one_node(Node(
        network.SLICE_AND_PAD, [0], (1 << 31, 1 << 31, 4), fraction(1, 50), zero=-3))
    f["output-too-large"] = one_node(Node(
        network.SLICE_AND_PAD, [0], (4096, 4096, 2), fraction(1, 50), zero=-3))
    f["output-scale-zero"] = patched(("node", 2, "m", 0), ("node", 2, "e", 0))
    f["output-scale-not-normalised"] = patched(("node", 2, "m", (1 << 30) - 1))
    f["output-scale-exponent-too-large"] = patched(("node", 2, "e", 513))
    f["output-scale-zero-mantissa-with-exponent"] = patched(("node", 2, "m", 0), ("node", 2, "e", 1))
    f["first-weight-not-running-sum"] = patched(("node", 4, "first weight", 0))
    f["first-weight-of-pooling-not-running-sum"] = patched(("node", 1, "first weight", 0))
    f["first-weight-overflows"] = patched(("node", 4, "first weight", 0xFFFFFFFF))
    f["first-bias-not-running-sum"] = patched(("node", 4, "first bias", 1))
    f["first-weight-scale-not-running-sum"] = patched(("node", 4, "first scale", 1))
    f["table-not-running-sum"] = patched(("node", 4, "table", 0))
    f["kernel-zero"] = patched(("node", 1, "kernel h", 0))
    f["kernel-too-large"] = patched(("node", 1, "kernel w", 4096))
    f["kernel-where-none-is"] = patched(("node", 2, "kernel h", 2))
    f["stride-zero"] = patched(("node", 1, "stride w", 0))
    f["stride-where-none-is"] = patched(("node", 3, "stride h", 2))
    f["dilation-zero"] = patched(("node", 0, "dilation h", 0))
    f["dilation-of-pooling"] = patched(("node", 1, "dilation w", 2))
    f["padding-where-none-is"] = patched(("node", 2, "right", 1))
    f["padding-as-large-as-kernel"] = pooling(
        AVERAGE_POOLING, (2, 2), (1, 1), (2, 0, 0, 0), (4, 4, 2), (5, 3, 2), counts_padding=True)
    f["kernel-larger-than-padded-input"] = pooling(
        MAX_POOLING, (5, 5), (1, 1), (0, 0, 0, 0), (4, 4, 2), (1, 1, 2))
    f["padding-of-convolution-as-large-as-kernel"] = one_node(Node(
        CONVOLUTION, [0], (1, 1, 1), fraction(1, 50), kernel=(3, 3), weights=[1] * 18, biases=[0],
        weight_scales=[fraction(1, 400)], padding=(3, 1, 0, 1)), (1, 1, 2))
    f["groups-zero"] = patched(("node", 0, "groups", 0))
    f["groups-do-not-divide-channels"] = patched(("node", 0, "groups", 3))
    f["groups-where-none-are"] = patched(("node", 4, "groups", 2))
    f["slice-step-zero"] = one_node(Node(
        network.SLICE_AND_PAD, [0], (2, 2, 2), fraction(1, 50), zero=-3, step=(1, 0, 1)))
    f["slice-start-where-none-is"] = patched(("node", 0, "start h", 1))
    f["slice-before-where-none-is"] = patched(("node", 2, "before c", 1))
    f["slice-step-where-none-is"] = patched(("node", 2, "step h", 2))
    f["accumulators-not-last"] = late_accumulators()
    f["accumulators-of-pooling"] = pooling(
        MAX_POOLING, (2, 2), (2, 2), (0, 0, 0, 0), (4, 4, 2), (2, 2, 2), accumulators=True)
    f["accumulators-with-zero-point"] = patched(("node", 4, "zero", 1))
    f["accumulators-with-bounds"] = patched(("node", 4, "low", 0))
    f["accumulators-with-another-scale"] = patched(("node", 4, "m", 1 << 30))

    def per_channel_head(net):
        net.nodes[4].per_channel = True
        net.nodes[4].weight_scales *= 2
    f["accumulators-with-scale-per-channel"] = rebuilt(per_channel_head)
    f["scale-per-channel-of-pooling"] = patched(("node", 1, "flags", 2))
    f["counts-padding-of-max-pooling"] = patched(("node", 1, "flags", 4))
    f["pooling-with-another-scale"] = patched(("node", 1, "e", 0))
    f["pooling-with-another-zero-point"] = patched(("node", 1, "zero", 0))
    f["pooling-with-other-bounds"] = patched(("node", 1, "high", 126))
    f["pooling-window-too-large"] = pooling(
        AVERAGE_POOLING, (1025, 1024), (1, 1), (0, 0, 0, 0), (1025, 1024, 1), (1, 1, 1))
    f["unequal-pooling-window-too-large"] = pooling(
        AVERAGE_POOLING, (19, 27), (1, 1), (1, 0, 0, 0), (19, 27, 1), (2, 1, 1))
    f["add-of-different-shapes"] = two_inputs(ADD, (4, 4, 1), (4, 4, 2))
    f["add-without-fraction-bits"] = small_scale_sum()
    f["multiply-of-different-shapes"] = two_inputs(MULTIPLY, (1, 4, 2), (4, 4, 2))
    f["multiply-repeats-over-too-many-positions"] = repeated_multiply()
    f["concatenate-of-different-sizes"] = two_inputs(CONCATENATE, (4, 3, 2), (4, 4, 4))
    f["too-many-weights-per-output"] = too_many_weights()
    # parameters
    f["weight-of-minus-128"] = patched(("inside", 2, 5, "b", -128))
    f["bias-too-large"] = patched(("inside", 3, 4, "i", 25_000_001))
    f["bias-too-small"] = patched(("inside", 3, 4, "i", -25_000_001))
    f["weight-scale-zero"] = patched(("inside", 4, 8, "i", 0), ("inside", 4, 12, "i", 0))
    f["weight-scale-not-normalised"] = patched(("inside", 4, 8, "i", 12345))
    f["weight-scale-exponent-too-small"] = patched(("inside", 4, 12, "i", -513))
    # input maps
    f["map-scale-zero"] = patched(("inside", 6, 0, "i", 0), ("inside", 6, 4, "i", 0))
    f["map-scale-not-normalised"] = patched(("inside", 6, 24, "i", 1))
    f["map-sign-of-two"] = patched(("inside", 6, 8, "I", 2))
    f["map-reserved-set"] = patched(("inside", 6, 12, "I", 1))
    f["map-count-neither-one-nor-channels"] = assembled(
        [s if s[0] != 6 else (6, 3, s[2] + s[2][:24]) for s in sections_of(base())])
    # names
    f["name-offset-not-running-sum"] = patched(("node", 1, "name offset", 3))
    f["name-beyond-section"] = patched(("node", 4, "name length", 8))
    f["name-not-utf8"] = patched(("inside", 7, 1, "B", 0xFF))
    f["name-ends-inside-a-character"] = rebuilt_names(
        [b"conv", b"pool", b"table", b"sum\xc3", b"\xb6"])
    f["name-too-long"] = name_that_is("n" * 1025)
    f["name-overlong-utf8"] = rebuilt_names([b"conv", b"\xc0\x80", b"table", b"sum", b"head"])
    f["name-surrogate-utf8"] = rebuilt_names([b"conv", b"\xed\xa0\x80", b"table", b"sum", b"head"])
    f["class-name-beyond-section"] = patched(("inside", 8, 0, "I", 0xFFFFFFFF))
    f["class-name-not-utf8"] = patched(("inside", 8, 4, "B", 0xFF))
    f["class-name-too-long"] = replaced(8, 1, lambda c: struct.pack("<I", 1025) + b"c" * 1025)
    f["class-names-do-not-fill-section"] = replaced(8, None, lambda c: c + b"\0\0\0\0")
    f["class-name-count-too-large"] = replaced(8, 3, None)
    return {f"invalid/{name}.tally": data for name, data in f.items()}


def rebuilt_names(names):
    """The base model with raw name bytes; offsets and lengths are running sums."""
    sections = sections_of(base())
    nodes, position = bytearray(sections[0][2]), 0
    for k, name in enumerate(names):
        struct.pack_into("<II", nodes, 128 * k + 96, position, len(name))
        position += len(name)
    content = b"".join(names)
    return assembled([(1, len(names), bytes(nodes))]
                     + [s if s[0] != 7 else (7, len(content), content) for s in sections[1:]])


# ---------------------------------------------------------------------------- journals

def chained(records):
    """A journal of (type, payload) with a good chain."""
    return journal.write(records)


def journal_faults(valid):
    """Faults put into a valid journal (invalid/valid-base.tlj)."""
    parsed = journal.read(valid)
    records = [(r.kind, r.payload) for r in parsed]
    where = {name: [i for i, r in enumerate(parsed) if r.kind == kind] for name, kind in (
        ("begin", journal.BEGIN), ("step", journal.STEP), ("range", journal.RANGE), ("root", journal.ROOT),
        ("epoch", journal.EPOCH), ("end", journal.END))}

    def edited(index, offset, form, value):
        kind, payload = records[index]
        payload = bytearray(payload)
        struct.pack_into("<" + form, payload, offset, value)
        return chained(records[:index] + [(kind, bytes(payload))] + records[index + 1:])

    def resized(index, payload):
        return chained(records[:index] + [(records[index][0], payload)] + records[index + 1:])

    def raw(offset, form, value):
        data = bytearray(valid)
        struct.pack_into("<" + form, data, offset, value)
        return bytes(data)

    def swapped(i, j):
        order = list(records)
        order[i], order[j] = order[j], order[i]
        return chained(order)

    step, range_, root = where["step"][2], where["range"][0], where["root"][2]
    epoch, end = where["epoch"][1], where["end"][0]
    calibration = records[range_]
    late_range = (journal.RANGE, calibration[1])
    f = {}
    f["empty"] = b""
    f["truncated-in-header"] = valid[:15]
    f["header-only"] = valid[:16]
    f["magic-wrong"] = raw(0, "B", 0x74)
    f["magic-line-ending-translated"] = valid[:7] + b"\r\n" + valid[8:]
    f["format-version-2"] = raw(8, "H", 2)
    f["arithmetic-version-2"] = raw(10, "H", 2)
    f["header-reserved-set"] = raw(12, "I", 1)
    f["begin-missing"] = chained(records[1:])
    f["begin-repeated"] = chained(records[:1] + records)
    f["begin-too-short"] = resized(0, records[0][1][:100])
    f["begin-reserved-set"] = edited(0, 108, "I", 1)
    f["begin-validation-digest-without-samples"] = edited(0, 64, "B", 1)
    f["record-type-unknown"] = chained(records[:3] + [(0x07, b"")] + records[3:])
    f["record-type-zero"] = chained(records[:3] + [(0x00, b"")] + records[3:])
    f["record-type-unknown-unchained"] = chained(records[:3] + [(0x80, b"")] + records[3:])
    f["step-too-short"] = resized(step, records[step][1][:-1])
    f["step-too-long"] = resized(step, records[step][1] + b"\0")
    f["step-reserved-set"] = edited(step, 28, "I", 1)
    f["step-skipped"] = chained(records[:where["step"][1]] + records[where["step"][2]:])
    f["step-repeated"] = chained(records[:step + 1] + records[step:])
    f["first-step-not-zero"] = edited(where["step"][0], 0, "I", 1)
    f["step-and-root-swapped"] = swapped(step, step + 1)
    f["range-too-short"] = resized(range_, records[range_][1][:-4])
    f["range-kind-unknown"] = edited(range_, 8, "B", 4)
    f["range-change-of-zero"] = edited(range_, 9, "b", 0)
    f["range-reserved-set"] = edited(range_, 10, "H", 1)
    f["range-of-calibration-names-a-step"] = edited(range_, 0, "I", 0)
    f["range-of-calibration-behind-a-step"] = chained(
        records[:where["step"][0] + 1] + [late_range] + records[where["step"][0] + 1:])
    f["range-behind-root"] = chained(
        records[:root + 1] + [(journal.RANGE, records[root][1][:4] + calibration[1][4:])] + records[root + 1:])
    f["root-too-long"] = resized(root, records[root][1] + bytes(4))
    f["root-of-another-step"] = edited(root, 0, "I", 1)
    f["root-repeated"] = chained(records[:root + 1] + records[root:])
    f["root-before-first-step"] = chained(records[:2] + [records[root]] + records[2:])
    f["epoch-too-short"] = resized(epoch, records[epoch][1][:-4])
    f["epoch-reserved-set"] = edited(epoch, 36, "I", 1)
    f["epoch-out-of-order"] = edited(epoch, 0, "I", 0)
    f["epoch-repeated"] = chained(records[:epoch + 1] + records[epoch:])
    f["end-too-short"] = resized(end, records[end][1][:-1])
    f["end-reserved-set"] = edited(end, 4, "I", 1)
    f["end-with-wrong-step-count"] = edited(end, 0, "I", 9)
    f["end-repeated"] = chained(records + [records[end]])
    f["step-behind-end"] = chained(records + [records[step]])
    f["note-behind-end"] = chained(records + [(journal.NOTE, b"too late")])
    f["note-before-begin"] = chained([(journal.NOTE, b"too early")] + records)
    f["note-not-utf8"] = chained(records[:2] + [(journal.NOTE, b"\xff")] + records[2:])
    # lengths that pass the end of the file, where no torn file could have them
    for name, index in (("begin", 0), ("step", step), ("end", end)):
        f[f"{name}-length-passes-the-end"] = raw(parsed[index].offset + 3, "B", 0x40)
    noted = bytearray(chained(records[:3] + [(journal.NOTE, b"on a Monday")] + records[3:]))
    noted[parsed[3].offset + 3] = 0x40
    f["note-length-passes-the-end"] = bytes(noted)
    # the chain
    f["chain-tag-wrong"] = raw(parsed[step].offset + 4 + len(parsed[step].payload), "B",
                               parsed[step].tag[0] ^ 1)
    f["chain-last-tag-wrong"] = raw(len(valid) - 1, "B", valid[-1] ^ 1)
    f["chain-payload-changed"] = raw(parsed[step].offset + 4 + 16, "I", 7)
    first, second = parsed[where["epoch"][0]], parsed[where["epoch"][0] + 1]
    f["chain-begin-changed"] = raw(parsed[0].offset + 4, "B", valid[parsed[0].offset + 4] ^ 1)
    f["chain-epoch-removed-at-the-end"] = (
        valid[:parsed[where["epoch"][-1]].offset] + valid[parsed[end].offset:])
    assert first.offset < second.offset
    return {f"invalid/{name}.tlj": data for name, data in f.items()}


# ---------------------------------------------------------------------------- recipes

def recipe_faults():
    """Faults put into canonical recipe bytes (invalid/valid-base.recipe.bin)."""
    half = recipes.decimal(1, 2)
    plain = recipes.Recipe(rate_weights=half, rate_biases=half, rate_head=half, rate_scales=half,
                           updates=[3, 0, 3])
    stepped = recipes.Recipe(rate_weights=half, schedule=recipes.STEP, factors=[1 << 30, 1 << 29],
                             updates=[3, 0, 3])
    valid, valid_step = recipes.write(plain), recipes.write(stepped)

    def put(offset, form, value, data=valid):
        data = bytearray(data)
        struct.pack_into("<" + form, data, offset, value)
        return bytes(data)

    f = {
        "empty": b"", "truncated": valid[:127], "truncated-in-nodes": valid[:-1],
        "trailing-byte": valid + b"\0", "magic-wrong": put(0, "B", 0x74),
        "recipe-version-2": put(4, "H", 2), "arithmetic-version-2": put(6, "H", 2),
        "epochs-too-many": put(16, "I", 1_000_001), "batch-zero": put(20, "I", 0),
        "micro-batch-zero": put(24, "I", 0), "micro-batch-above-batch": put(24, "I", 33),
        "method-zero": put(28, "B", 0), "method-unknown": put(28, "B", 9),
        "weights-mode-zero": put(29, "B", 0), "weights-mode-unknown": put(29, "B", 3),
        "loss-zero": put(30, "B", 0), "loss-unknown": put(30, "B", 3), "ranges-unknown": put(31, "B", 2),
        "rate-not-normalised": put(32, "i", 1), "rate-negative": put(40, "i", -(1 << 30)),
        "trust-ratio-zero-mantissa-with-exponent": put(76, "i", 1), "decay-exponent-too-large":
            put(64, "i", 1 << 30, put(68, "i", 513)),
        "clip-zero": put(88, "I", 0), "clip-too-large": put(88, "I", 129),
        "momentum-too-large": put(92, "H", 32441), "schedule-zero": put(94, "B", 0),
        "schedule-unknown": put(94, "B", 4), "reserved-95-set": put(95, "B", 1),
        "range-period-of-one": put(100, "I", 1), "root-every-zero": put(104, "I", 0),
        "step-schedule-without-factors": put(94, "B", recipes.STEP),
        "factors-without-step-schedule": put(94, "B", recipes.CONSTANT, valid_step),
        "factor-above-two": put(128, "I", (2 << 30) + 1, valid_step),
        "factor-count-overflows": put(108, "I", 0x40000000, valid_step),
        "node-count-zero": put(112, "I", 0, valid[:128]),
        "node-count-too-large": put(112, "I", 4097) + bytes(8 * 4094),
        "extension-block-unknown": put(116, "I", 1) + struct.pack("<III", 0xFFFFFFFF, 4, 0),
        "extension-count-without-blocks": put(116, "I", 1), "reserved-124-set": put(124, "I", 1),
        "update-flag-unknown": put(128, "B", 128), "update-reserved-set": put(129, "B", 1),
        "update-last-reserved-set": put(135, "B", 1),
        "updates-nothing": put(128, "B", 0, put(144, "B", 0)),
        "batch-too-large": put(20, "I", (1 << 24) + 1, put(24, "I", 1 << 24)),
        "too-many-micro-batches": put(20, "I", 1025, put(24, "I", 1, put(88, "I", 1))),
        "micro-batches-times-clip-too-large": put(20, "I", 1000, put(24, "I", 1, put(88, "I", 17))),
        "warm-up-too-long": put(96, "I", (1 << 30) + 1),
        "range-period-too-long": put(100, "I", (1 << 24) + 1),
        "rate-of-weights-times-decay-above-one": put(64, "i", (1 << 30) + 1, put(68, "i", 2)),
        "rate-of-head-times-decay-above-one": put(64, "i", 1 << 30, put(68, "i", 2, put(52, "i", 1))),
    }
    result = {f"invalid/{name}.recipe.bin": data for name, data in f.items()}
    result["invalid/valid-base.recipe.bin"] = valid
    result["invalid/valid-base-step.recipe.bin"] = valid_step
    return result


def files(valid_journal):
    result = model_faults()
    result["invalid/valid-base.tally"] = network.write(base())
    result.update(journal_faults(valid_journal))
    result["invalid/valid-base.tlj"] = valid_journal
    result.update(recipe_faults())
    return result
