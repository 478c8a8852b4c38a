"""SPEC 9.7 and Formats/checkpoint.md: the state of a run between two steps."""

import hashlib
import struct
from dataclasses import dataclass

import journal
import zeroth
from network import WEIGHTED, FormatError

MAGIC = b"TLYCHKP\n"
HEADER = struct.Struct("<8sHHIII32s")


@dataclass
class Checkpoint:
    steps: int
    link: bytes  # h of the journal's chain behind the last record of step `steps` - 1
    state: bytes


def write(training, steps, link):
    """The file of a run of which `steps` steps are done and recorded."""
    state = state_bytes(training)
    content = HEADER.pack(MAGIC, 1, 1, 0, steps, len(state), link) + state
    return content + hashlib.sha256(content).digest()


def read(data):
    """Checks everything but whether the state is one of a run."""
    if len(data) < HEADER.size + 32:
        raise FormatError("the checkpoint ends inside its header")
    magic, version, arithmetic, reserved, steps, size, link = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("not a checkpoint")
    if (version, arithmetic) != (1, 1):
        raise FormatError("another format or arithmetic version")
    if reserved or HEADER.size + size + 32 != len(data):
        raise FormatError("reserved bytes are not zero, or the length is another")
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise FormatError("the digest is not that of the bytes")
    return Checkpoint(steps, link, data[HEADER.size:-32])


# ---------------------------------------------------------------------------- 9.7

def state_bytes(training):
    net, recipe, tracker = training.net, training.recipe, training.tracker
    out = bytearray()

    def add(form, values):
        if values is not None:
            out.extend(struct.pack(f"<{len(values)}{form}", *values))

    with_gains = gain_nodes(training)
    for k, node in enumerate(net.nodes):
        if node.kind not in WEIGHTED:
            continue
        p = training.parameters[k]
        add("b", node.weights if p and p.updates_weights else None)
        add("i", p and p.masters)
        add("i", p and p.velocity)
        add("i", node.biases if p and p.updates_biases or tracker else None)
        add("i", p and p.bias_velocity)
        if p and p.scale_velocity is not None or k in with_gains or tracker:
            add("i", [word for s in node.weight_scales for word in s])
        add("i", p and p.scale_velocity)
        if k in training.sparse:
            add("i", training.sparse[k].largest)
    for t in range(len(net.nodes) + 1):
        add("i", net.tensor(t).scale)
    if recipe.zeroth and recipe.zeroth.adapts:
        for s in training.zeroth.groups:
            add("q", (s.exponent, s.visits, s.n, s.z, s.m, s.c, s.base))
    if tracker:
        for t in tracker.tracked:
            add("q", tracker.histogram[t])
        for t in range(len(net.nodes) + 1):
            add("I", (tracker.last_change.get((journal.TENSOR, t), 0), tracker.small_before.get(t, False),
                      tracker.last_change.get((journal.WEIGHTS, t - 1), 0)))
    return bytes(out)


def gain_nodes(training):
    """The nodes whose Scales a group of gains changes (8.14)."""
    if not training.zeroth:
        return set()
    return {k for group in training.recipe.zeroth.groups if group.of_gains
            for k in zeroth.span(training.net, group)}
