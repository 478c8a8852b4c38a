"""Parses the golden files by the Kaitai definitions, and compares with the reference's readers.

    python3 Tools/reference/check_ksy.py

Stands in for the Kaitai compiler where that cannot be installed: it interprets the part of the
language that Formats/*.ksy use (seq, instances, repeat, if, size, contents, valid, enums,
switch-on). It needs PyYAML; without it, it says so and checks nothing (exit 0).
"""

import os
import re
import struct
import sys

import checkpoint
import journal
import network
import trace

try:
    import yaml
except ImportError:
    yaml = None

FORMATS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Formats")
NUMBERS = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "s1": "b", "s2": "h", "s4": "i", "s8": "q"}
# Every key of the language that the definitions may use: a misspelt one must not pass silently.
FIELD_KEYS = {"id", "type", "size", "size-eos", "contents", "repeat", "repeat-expr", "if", "enum", "valid",
              "doc", "doc-ref", "pos", "io", "value"}
TYPE_KEYS = {"meta", "doc", "doc-ref", "seq", "instances", "types", "enums"}


class KsyError(Exception):
    """A file that does not fit the definition, or a definition that is not understood."""


class Io:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, size):
        if size < 0 or self.position + size > len(self.data):
            raise KsyError("the field leaves its stream")
        self.position += size
        return self.data[self.position - size:self.position]

    @property
    def size(self):
        return len(self.data)

    @property
    def at_end(self):
        return self.position == len(self.data)


class Value:
    """A parsed type: fields are attributes; instances are computed when asked for."""

    def __init__(self, definition, io, root, parent):
        self._definition, self._io, self._parent = definition, io, parent
        self._root = root or self

    def __getattr__(self, name):
        instances = self._definition.body.get("instances", {})
        if name.startswith("__") or name not in instances:
            raise AttributeError(name)
        spec = instances[name]
        if "value" in spec:
            value = self._definition.with_enum(spec, evaluate(spec["value"], self))
        else:
            io = evaluate(spec["io"], self) if "io" in spec else self._io
            saved, io.position = io.position, evaluate(spec["pos"], self)
            value = self._definition.field(spec, io, self)
            io.position = saved
        setattr(self, name, value)
        return value


class Scope(dict):
    """The names an expression of a type may use."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def __missing__(self, name):
        return getattr(self.value, name)


def evaluate(expression, value):
    """An integer, or an expression in the subset Kaitai shares with Python."""
    if not isinstance(expression, str):
        return expression
    if not re.fullmatch(r"[\w\s.+\-*%&<>=()]+", expression):
        raise KsyError(f"expression {expression!r}")
    return eval(compile(expression, "ksy", "eval"), {"__builtins__": {}}, Scope(value))


class Definition:
    """One type of a .ksy file."""

    def __init__(self, body, top=None):
        self.body, self.top = body, top or self
        if not set(body) <= TYPE_KEYS:
            raise KsyError(f"unknown keys {set(body) - TYPE_KEYS}")
        if top is None:
            self.types = {name: Definition(part, self) for name, part in body.get("types", {}).items()}
        fields = body.get("seq", []) + list(body.get("instances", {}).values())
        for spec in fields:
            if not set(spec) <= FIELD_KEYS:
                raise KsyError(f"unknown keys {set(spec) - FIELD_KEYS}")

    def parse(self, io, root=None, parent=None):
        value = Value(self, io, root, parent)
        for spec in self.body.get("seq", []):
            setattr(value, spec["id"], self.repeated(spec, io, value))
        return value

    def repeated(self, spec, io, value):
        if "if" in spec and not evaluate(spec["if"], value):
            return None
        if spec.get("repeat") == "expr":
            return [self.field(spec, io, value) for _ in range(evaluate(spec["repeat-expr"], value))]
        if spec.get("repeat") == "eos":
            items = []
            while not io.at_end:
                items.append(self.field(spec, io, value))
            return items
        return self.field(spec, io, value)

    def field(self, spec, io, value):
        try:
            return self.checked(spec, self.raw_field(spec, io, value))
        except KsyError as error:
            raise KsyError(f"{spec.get('id', 'instance')}: {error}") from None

    def raw_field(self, spec, io, value):
        if "contents" in spec:
            expected = bytes(spec["contents"])
            if io.take(len(expected)) != expected:
                raise KsyError("not the contents expected")
            return expected
        kind = spec.get("type")
        if isinstance(kind, dict):
            on = evaluate(kind["switch-on"], value)
            kind = kind["cases"].get(f"{on[0]}::{on[1]}" if isinstance(on, tuple) else on)
        if kind in NUMBERS:
            return struct.unpack("<" + NUMBERS[kind], io.take(struct.calcsize(NUMBERS[kind])))[0]
        if "size" in spec or spec.get("size-eos"):
            size = evaluate(spec["size"], value) if "size" in spec else len(io.data) - io.position
            content = io.take(size)
            if kind is None:
                return content
            if kind == "str":
                return content.decode("utf-8")
            inner = Io(content)
            result = self.top.types[kind].parse(inner, value._root, value)
            if not inner.at_end:
                raise KsyError(f"{kind} does not fill its size")
            return result
        return self.top.types[kind].parse(io, value._root, value)

    def checked(self, spec, result):
        valid = spec.get("valid")
        if valid is not None:
            low, high = (valid.get("min"), valid.get("max")) if isinstance(valid, dict) else (valid, valid)
            if (low is not None and result < low) or (high is not None and result > high):
                raise KsyError(f"{result} is not valid")
        return self.with_enum(spec, result)

    def with_enum(self, spec, result):
        if "enum" not in spec:
            return result
        names = self.top.body["enums"][spec["enum"]]
        if result not in names:
            raise KsyError(f"{result} is not in {spec['enum']}")
        return spec["enum"], names[result]


def load(name):
    with open(os.path.join(FORMATS, name), encoding="utf-8") as file:
        return Definition(yaml.safe_load(file))


def parse(definition, data):
    io = Io(data)
    return definition.parse(io), io


# ---------------------------------------------------------------------------- comparisons

def check_model(definition, data):
    """Every field of the node records and every array, against the reference's reader."""
    value, _ = parse(definition, data)
    net = network.read(data)
    bodies = {entry.kind[1]: entry.body for entry in value.entries}
    nodes = bodies["nodes"].nodes
    same(len(nodes), value.header.node_count)
    same(value.digest, data[-32:])
    same((value.header.height, value.header.width, value.header.channels), net.input_shape)
    names = bodies["names"].text.encode() if "names" in bodies else b""
    for got, node in zip(nodes, net.nodes):
        same(got.kind[1].replace("_", " "), network.KIND_NAMES[node.kind])
        same((got.zero_point, got.low, got.high), (node.zero, node.low, node.high))
        same((got.height, got.width, got.channels), node.shape)
        same((got.output_scale.mantissa, got.output_scale.exponent), tuple(node.scale))
        same(tuple(got.kernel + got.stride + got.dilation), node.kernel + node.stride + node.dilation)
        same((tuple(got.padding), got.groups), (node.padding, node.groups))
        same(tuple(got.slice_start + got.slice_step + got.slice_before), node.start + node.step + node.before)
        same(names[got.name_offset:got.name_offset + got.name_length].decode(), node.name)
    same(bodies["weights"].weights if "weights" in bodies else [], [w for n in net.nodes for w in n.weights])
    same(bodies["biases"].biases if "biases" in bodies else [], [b for n in net.nodes for b in n.biases])
    same([(t.values, t.slopes) for t in bodies["tables"].tables] if "tables" in bodies else [],
         [n.table for n in net.nodes if n.table])
    same([(m.sign, m.offset) for m in bodies["input_maps"].maps], [(m.negative, m.offset) for m in net.maps])
    same([c.text for c in bodies["class_names"].names] if "class_names" in bodies else [], net.class_names)


def check_journal(definition, data):
    value, _ = parse(definition, data)
    records = journal.read(data)
    same(len(value.records), len(records))
    for got, record in zip(value.records, records):
        same(got.kind[1], record.name)
        same(got.tag or b"", record.tag)
        if record.kind == journal.STEP:
            p = got.payload
            same((p.step, p.samples, p.loss, p.correct, p.saturated, p.clipped, 0, p.batch_digest),
                 journal.STEP_LAYOUT.unpack(record.payload))
        if record.kind == journal.DIFFERENCES:
            same(struct.pack(f"<III{len(got.payload.differences)}i", got.payload.step, got.payload.group,
                             got.payload.samples, *got.payload.differences), record.payload)
        if record.kind == journal.BEGIN:
            begin = journal.parse_begin(record.payload)
            same((got.payload.samples, got.payload.planned_steps), (begin.samples, begin.planned))
            same(len(got.payload.recipe.updates), got.payload.recipe.node_count)


def check_checkpoint(definition, data):
    value, io = parse(definition, data)
    same(io.at_end, True)
    same((value.steps_done, value.head, value.state, value.digest),
         (*vars(checkpoint.read(data)).values(), data[-32:]))


def check_trace(definition, data):
    value, io = parse(definition, data)
    same(io.at_end, True)
    read = trace.read(data)
    same((value.first_step, value.step_count, value.head, value.begin),
         (read.first, read.steps, read.link, read.begin))
    same(len(value.body.entries), len(read.entries))
    for got, entry in zip(value.body.entries, read.entries):
        same((got.step, got.micro_batch, got.number, got.count, got.width, got.digest),
             (entry.step, entry.micro_batch, entry.number, entry.count, entry.width, entry.digest))
        same((got.scale.mantissa, got.scale.exponent), entry.scale)
        same(getattr(trace, got.kind[1].upper()), entry.kind)
        same(got.values_1 if got.width == 1 else got.values_4, entry.values)


def same(a, b):
    if a != b:
        raise KsyError(f"{a} is not {b}")


def main():
    if yaml is None:
        print("skipped: PyYAML is not installed")
        return 0
    vectors, count, faults = os.path.join(FORMATS, "vectors"), 0, 0
    checks = {".tally": (load("tally_model.ksy"), check_model), ".tlj": (load("tally_journal.ksy"), check_journal),
              ".tlc": (load("tally_checkpoint.ksy"), check_checkpoint), ".tlt": (load("tally_trace.ksy"), check_trace)}
    for folder, _, names in sorted(os.walk(vectors)):
        for name in sorted(names):
            extension = os.path.splitext(name)[1]
            valid = os.path.basename(folder) != "invalid" or name.startswith("valid-base")
            if extension not in checks or not valid or name.startswith("torn"):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            definition, check = checks[extension]
            count += 1
            try:
                check(definition, data)
            except (KsyError, UnicodeDecodeError) as error:
                faults += 1
                print(f"{name}: {error}")
    print(f"{count} files, {faults} do not fit their definition")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main())
