"""SPEC 9.4 and Formats/journal.md: the `.tlj` journal as bytes."""

import hashlib
import struct
from dataclasses import dataclass

from network import ArithmeticVersionError, FormatError, require

BEGIN, STEP, RANGE, ROOT, EPOCH, END, KEPT, NOTE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x81
RECORD_NAMES = {BEGIN: "begin", STEP: "step", RANGE: "range", ROOT: "root", EPOCH: "epoch",
                END: "end", KEPT: "kept", NOTE: "note"}
TENSOR, WEIGHTS = 1, 2
CALIBRATION = 0xFFFFFFFF

MAGIC = b"TLYJRNL\n"
FILE_HEADER = MAGIC + struct.pack("<HHI", 1, 1, 0)
BEGIN_LAYOUT = struct.Struct("<32s32s32sIIII")
STEP_LAYOUT = struct.Struct("<IIqIIII8s")
RANGE_LAYOUT = struct.Struct("<IIBbHII")
ROOT_LAYOUT = struct.Struct("<I32s")
EPOCH_LAYOUT = struct.Struct("<IIqIIqII")
END_LAYOUT = struct.Struct("<II32s")
SIZES = {STEP: 40, RANGE: 20, ROOT: 36, EPOCH: 40, END: 40}
U32 = (1 << 32) - 1


class ChainError(FormatError):
    """A record whose tag is not the one its content gives."""


class TornError(FormatError):
    """The file ends inside a record; everything before it is good."""


# ---------------------------------------------------------------------------- payloads

def pack_begin(model, data, validation, samples, validation_samples, planned, recipe):
    return BEGIN_LAYOUT.pack(
        model, data, validation, samples, validation_samples, planned, 0) + recipe


def pack_step(t, samples, loss, correct, saturated, clipped, batch):
    return STEP_LAYOUT.pack(
        t, samples, loss, correct, min(saturated, U32), min(clipped, U32), 0, batch)


def pack_range(t, number, kind, k, tail, count):
    return RANGE_LAYOUT.pack(t, number, kind, k, 0, min(tail, U32), min(count, U32))


def pack_epoch(epoch, samples, loss, correct, v_samples, v_loss, v_correct):
    return EPOCH_LAYOUT.pack(epoch, samples, loss, correct, v_samples, v_loss, v_correct, 0)


def pack_end(steps, model):
    return END_LAYOUT.pack(steps, 0, model)


def pack_kept(t, counts):
    """0x08: three counts of each sparse node."""
    words = [min(v, U32) for node in counts for v in node]
    return struct.pack(f"<II{len(words)}I", t, len(counts), *words)


# ---------------------------------------------------------------------------- 9.4 chain

def first_link():
    return hashlib.sha256(b"tally/journal/v1").digest()


def next_link(h, kind, payload):
    """h <- SHA-256("tally/record/v1" | h | type u8 | length u32 | payload)."""
    return hashlib.sha256(
        b"tally/record/v1" + h + struct.pack("<BI", kind, len(payload)) + payload).digest()


class Writer:
    """Appends records to a byte string."""

    def __init__(self):
        self.data = bytearray(FILE_HEADER)
        self.link = first_link()

    def append(self, kind, payload):
        self.data += struct.pack("<I", kind + 256 * len(payload)) + payload
        if kind < 0x80:
            self.link = next_link(self.link, kind, payload)
            self.data += self.link[:8]


def write(records):
    writer = Writer()
    for kind, payload in records:
        writer.append(kind, payload)
    return bytes(writer.data)


# ---------------------------------------------------------------------------- reading

@dataclass
class Record:
    kind: int
    payload: bytes
    tag: bytes
    offset: int

    @property
    def name(self):
        return RECORD_NAMES[self.kind]

    @property
    def step(self):
        """The step number the record speaks of, or None."""
        return struct.unpack_from("<I", self.payload)[0] if self.kind in (STEP, KEPT, RANGE, ROOT) else None


@dataclass
class Begin:
    model: bytes
    data: bytes
    validation: bytes
    samples: int
    validation_samples: int
    planned: int
    recipe: bytes


def read(data, check_chain=True):
    """The records of a journal, checked as journal.md "Duties" says.

    A torn file raises TornError with the good records in `.records`.
    """
    require(len(data) >= 16, "the journal is shorter than its header")
    magic, version, arithmetic, hole = struct.unpack_from("<8sHHI", data, 0)
    require(magic == MAGIC, "the magic is not that of a journal")
    require(version == 1, f"journal format version {version}")
    if arithmetic != 1:
        raise ArithmeticVersionError(f"journal of arithmetic version {arithmetic}")
    require(hole == 0, "reserved header bytes are not zero")
    records, position, link, order = [], 16, first_link(), Order()
    while position < len(data):
        header = data[position:position + 4]
        kind, size = header[0], 0
        require(kind in RECORD_NAMES, f"unknown record type 0x{kind:02x} at offset {position}")
        if len(header) == 4:
            size = struct.unpack("<I", header)[0] >> 8
        end = position + 4 + size + (8 if kind < 0x80 else 0)
        if len(header) == 4 and end > len(data):
            require(not length_is_damaged(data, position, kind, size, link),
                    f"the length of the record at offset {position} passes the end of the file")
        if len(header) < 4 or end > len(data):
            error = TornError(f"the file ends inside a record at offset {position}")
            error.records = records
            raise error
        payload = data[position + 4:position + 4 + size]
        record = Record(kind, payload, data[position + 4 + size:end], position)
        check_payload(record)
        order.check(record)
        if kind < 0x80:
            link = next_link(link, kind, payload)
            if check_chain and record.tag != link[:8]:
                raise ChainError(f"the chain breaks at the {record.name} record at offset {position}")
        records.append(record)
        position = end
    require(records, "the journal has no begin record")
    return records


def length_is_damaged(data, position, kind, size, link):
    """Whether a record that passes the end of the file is no torn one (journal.md, "Duties")."""
    if kind in SIZES:
        return size != SIZES[kind]
    first = position + 4
    for length in range(len(data) - first):
        tag = first + length
        after = tag + 8 if kind < 0x80 else tag
        if after < len(data) and data[after] not in RECORD_NAMES:
            continue
        if kind < 0x80:
            if next_link(link, kind, data[first:tag])[:8] == data[tag:tag + 8]:
                return True
        elif follows(data, tag, link):
            return True
    return False


def follows(data, position, link):
    """Whether a chained record that follows from the chain begins at a place."""
    if len(data) - position < 4:
        return False
    kind, size = data[position], struct.unpack_from("<I", data, position)[0] >> 8
    end = position + 4 + size
    if kind >= 0x80 or kind not in RECORD_NAMES or end + 8 > len(data):
        return False
    return next_link(link, kind, data[position + 4:end])[:8] == data[end:end + 8]


def parse_begin(payload):
    model, data, validation, samples, validation_samples, planned, hole = (
        BEGIN_LAYOUT.unpack_from(payload))
    require(hole == 0, "begin: reserved bytes are not zero")
    return Begin(model, data, validation, samples, validation_samples, planned,
                 payload[BEGIN_LAYOUT.size:])


def check_payload(record):
    """Lengths, reserved zeros, closed sets."""
    kind, payload, at = record.kind, record.payload, f"{record.name} at offset {record.offset}"
    if kind == BEGIN:
        require(len(payload) >= BEGIN_LAYOUT.size, f"{at}: too short")
        begin = parse_begin(payload)
        require(begin.validation_samples > 0 or begin.validation == bytes(32),
                f"{at}: a validation digest without validation samples")
    elif kind == NOTE:
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError(f"{at}: the text is not UTF-8") from None
    elif kind == KEPT:
        count = struct.unpack_from("<I", payload, 4)[0] if len(payload) >= 8 else -1
        require(len(payload) == 8 + 12 * count, f"{at}: {len(payload)} bytes for {count} nodes")
    else:
        require(len(payload) == SIZES[kind], f"{at}: {len(payload)} bytes instead of {SIZES[kind]}")
    if kind == STEP:
        require(STEP_LAYOUT.unpack(payload)[6] == 0, f"{at}: reserved bytes are not zero")
    if kind == RANGE:
        _, _, what, k, hole, _, _ = RANGE_LAYOUT.unpack(payload)
        require(what in (TENSOR, WEIGHTS), f"{at}: unknown kind {what}")
        require(hole == 0, f"{at}: reserved bytes are not zero")
        require(k != 0, f"{at}: a change by 0")
    if kind == EPOCH:
        require(EPOCH_LAYOUT.unpack(payload)[7] == 0, f"{at}: reserved bytes are not zero")
    if kind == END:
        require(END_LAYOUT.unpack(payload)[1] == 0, f"{at}: reserved bytes are not zero")


class Order:
    """begin; ranges of the calibration; for each step: step, kept, its ranges, root if due, epoch; end."""

    def __init__(self):
        self.last = None  # kind of the last chained record
        self.steps = 0  # step records so far
        self.epochs = 0

    def check(self, record):
        kind, last, at = record.kind, self.last, f"{record.name} at offset {record.offset}"
        require((last is None) == (kind == BEGIN), f"{at}: out of order")
        require(last != END, f"{at}: behind the end record")
        if kind == NOTE:
            return
        if kind == STEP:
            require(record.step == self.steps, f"{at}: step {record.step} instead of {self.steps}")
            self.steps += 1
        if kind == KEPT:
            require(last == STEP and record.step == self.steps - 1, f"{at}: out of order")
        if kind == RANGE:
            require(last in (BEGIN, STEP, KEPT, RANGE), f"{at}: out of order")
            t = record.step
            require(t == (self.steps - 1 if self.steps else CALIBRATION), f"{at}: of another step")
        if kind == ROOT:
            require(last in (STEP, KEPT, RANGE) and self.steps > 0, f"{at}: out of order")
            require(record.step == self.steps - 1, f"{at}: of another step")
        if kind == EPOCH:
            require(last in (STEP, KEPT, RANGE, ROOT) and self.steps > 0, f"{at}: out of order")
            epoch = EPOCH_LAYOUT.unpack(record.payload)[0]
            require(epoch == self.epochs, f"{at}: epoch {epoch} instead of {self.epochs}")
            self.epochs += 1
        if kind == END:
            steps = END_LAYOUT.unpack(record.payload)[0]
            require(steps == self.steps, f"{at}: {steps} steps instead of {self.steps}")
        self.last = kind
