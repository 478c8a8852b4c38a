"""Formats/trace.md: what a machine computes in some steps of a run.

`Tracer` writes a trace of a run by back-propagation; `read` takes any trace apart.
"""

import hashlib
import struct
from dataclasses import dataclass

from checkpoint import gain_nodes
from network import WEIGHTED, FormatError
from scalar import ZERO
from training import WHOLE_STEP

MAGIC = b"TLYTRAC\n"
HEADER = struct.Struct("<8sHHIIIII32s")
ENTRY = struct.Struct("<BBBBIIIiiII16s")
BEFORE, DURING, AFTER = range(3)
(WEIGHTS, BIASES, WEIGHT_SCALES, MASTERS, WEIGHT_VELOCITIES, BIAS_VELOCITIES, SCALE_VELOCITIES,
 TENSOR_SCALES, LARGEST_GRADIENT) = range(1, 10)
(INPUT, OUTPUT, LOSS_GRADIENT, GRADIENT, BIAS_GRADIENT, WEIGHT_GRADIENT, DIFFERENCES, PERTURBED_LOGITS,
 LABELS, TARGETS) = range(16, 26)
KINDS = {*range(1, 10), *range(16, 26)}


@dataclass
class Entry:
    phase: int
    kind: int
    step: int
    micro_batch: int
    number: int
    scale: tuple
    count: int
    width: int
    digest: bytes
    values: list  # None in a trace of digests


@dataclass
class Trace:
    first: int
    steps: int
    link: bytes
    begin: bytes
    entries: list


def padded(data):
    return data + bytes(-len(data) % 4)


# ---------------------------------------------------------------------------- writing

class Tracer:
    """Given to a Training as its observer, writes down steps `first`, …"""

    def __init__(self, training, first, steps=1):
        if training.recipe.zeroth:
            raise ValueError("steps of zeroth order are not traced here")
        self.training, self.net = training, training.net
        self.steps = range(first, first + steps)
        self.has_values = steps == 1
        self.entries = bytearray()
        self.place = 0, WHOLE_STEP
        training.observe = self.observe

    def file(self, begin, link):
        """`link`: h before the first step's record."""
        content = HEADER.pack(MAGIC, 1, 1, self.has_values, self.steps.start, len(self.steps), len(begin),
                              0, link) + padded(begin) + bytes(self.entries)
        return content + hashlib.sha256(content).digest()

    def observe(self, moment, step, micro_batch, *seen):
        if step in self.steps:
            self.place = step, micro_batch
            getattr(self, moment)(*seen)

    def put(self, kind, number, form, values, scale=ZERO, phase=DURING):
        if values is None:
            return
        data = struct.pack(f"<{len(values)}{form}", *values)
        self.entries += ENTRY.pack(
            phase, kind, struct.calcsize(form), 0, *self.place, number, *scale, len(values), 0,
            hashlib.sha256(data).digest()[:16])
        if self.has_values:
            self.entries += padded(data)

    # Moments of a step, in their order.

    def begun(self):
        self.state(BEFORE)

    def computed(self, tensors, chosen):
        """The tensors of a micro-batch's forward pass, and its sample numbers."""
        data = self.training.data
        self.put(INPUT, 0, "b", tensors[0].values, self.net.tensor(0).scale)
        if data.labels is not None:
            self.put(LABELS, 0, "i", [data.labels[i] for i in chosen])
        else:
            self.put(TARGETS, 0, "i", [v for i in chosen for v in data.targets[i]])
        for k, node in enumerate(self.net.nodes):
            form = "i" if node.accumulators else "b"
            self.put(OUTPUT, k + 1, form, tensors[k + 1].values, self.net.tensor(k + 1).scale)

    def loss(self, gradient):
        self.put(LOSS_GRADIENT, len(self.net.nodes), "i", gradient)

    def gradient(self, k, g):
        self.put(GRADIENT, k + 1, "b", g.values, g.scale)

    def parameters(self, k, dw, db):
        if k in self.training.sparse or db.scale == ZERO:
            return
        p = self.training.parameters[k]
        if p.updates_weights or p.updates_biases:
            self.put(BIAS_GRADIENT, k, "i", db.values)
        if p.updates_weights:
            self.put(WEIGHT_GRADIENT, k, "i", dw.values)

    def contributed(self, k):
        self.pending(k, DURING)

    def applied(self):
        self.state(AFTER)

    # The state.

    def pending(self, k, phase):
        p = self.training.parameters[k]
        if p is None:
            return
        for kind, values in ((MASTERS, p.masters), (WEIGHT_VELOCITIES, p.velocity),
                             (BIAS_VELOCITIES, p.bias_velocity), (SCALE_VELOCITIES, p.scale_velocity)):
            self.put(kind, k, "i", values, phase=phase)

    def state(self, phase):
        training, tracks = self.training, self.training.tracker is not None
        with_gains = gain_nodes(training)
        for k, node in enumerate(self.net.nodes):
            if node.kind not in WEIGHTED:
                continue
            p = training.parameters[k]
            self.pending(k, phase)
            self.put(WEIGHTS, k, "b", node.weights if p and p.updates_weights else None, phase=phase)
            self.put(BIASES, k, "i", node.biases if p and p.updates_biases or tracks else None, phase=phase)
            if p and p.scale_velocity is not None or k in with_gains or tracks:
                self.put(WEIGHT_SCALES, k, "i", [word for s in node.weight_scales for word in s], phase=phase)
            if k in training.sparse:
                self.put(LARGEST_GRADIENT, k, "i", training.sparse[k].largest, phase=phase)
        scales = [word for t in range(len(self.net.nodes) + 1) for word in self.net.tensor(t).scale]
        self.put(TENSOR_SCALES, 0, "i", scales, phase=phase)


# ---------------------------------------------------------------------------- reading

def require(condition, words):
    if not condition:
        raise FormatError(words)


def read(data):
    require(len(data) >= HEADER.size + 32, "the trace ends inside its header")
    magic, version, arithmetic, has_values, first, steps, size, reserved, link = HEADER.unpack_from(data)
    require(magic == MAGIC, "not a trace")
    require((version, arithmetic) == (1, 1), "another format or arithmetic version")
    require(hashlib.sha256(data[:-32]).digest() == data[-32:], "the digest is not that of the bytes")
    require(has_values == (steps == 1) and steps > 0 and reserved == 0, "the header is malformed")
    end, position = len(data) - 32, HEADER.size + size + -size % 4
    begin = data[HEADER.size:HEADER.size + size]
    require(position <= end and size > 112, "the begin payload passes the end")
    entries = []
    while position < end:
        require(end - position >= ENTRY.size, f"the entry at offset {position} passes the end")
        phase, kind, width, zero, step, batch, number, m, e, count, hole, digest = ENTRY.unpack_from(
            data, position)
        require(phase <= AFTER and kind in KINDS and width in (1, 4) and zero == hole == 0,
                f"the entry at offset {position} is malformed")
        position += ENTRY.size
        values = None
        if has_values:
            content = data[position:position + count * width]
            position += len(padded(content))
            require(len(content) == count * width and position <= end,
                    f"the entry before offset {position} passes the end")
            require(hashlib.sha256(content).digest()[:16] == digest,
                    f"the values before offset {position} are not those of their digest")
            values = list(struct.unpack(f"<{count}{'b' if width == 1 else 'i'}", content))
        entries.append(Entry(phase, kind, step, batch, number, (m, e), count, width, digest, values))
    return Trace(first, steps, link, begin, entries)
