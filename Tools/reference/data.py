"""SPEC 5.4 and 9.3: data values become int8, samples become a digest. Files: .npz, .npy, idx."""

import gzip
import hashlib
import io
import struct
import zipfile
from dataclasses import dataclass
from fractions import Fraction

from scalar import clamp, sat32


class DataError(Exception):
    """A data file that cannot be used; the sentence says why."""


@dataclass
class Dataset:
    """Samples after 5.4: n_0 int8 values each, and a label or a list of Q16 targets each."""

    samples: list
    labels: list = None
    targets: list = None

    @property
    def count(self):
        return len(self.samples)

    def leaf(self, i):
        """9.3: SHA-256("tally/sample/v1" | values | label or targets, 4 bytes each)."""
        answer = [self.labels[i]] if self.targets is None else self.targets[i]
        return hashlib.sha256(
            b"tally/sample/v1" + struct.pack(f"<{len(self.samples[i])}b", *self.samples[i])
            + struct.pack(f"<{len(answer)}i", *answer)).digest()

    def leaves(self):
        return [self.leaf(i) for i in range(self.count)]


def data_digest(leaves):
    """9.3: SHA-256("tally/data/v1" | count u64 | leaf_0 | leaf_1 ...)."""
    return hashlib.sha256(
        b"tally/data/v1" + struct.pack("<Q", len(leaves)) + b"".join(leaves)).digest()


def batch_digest(leaves):
    """9.3: SHA-256("tally/batch/v1" | leaves of its samples in order)."""
    return hashlib.sha256(b"tally/batch/v1" + b"".join(leaves)).digest()


# ---------------------------------------------------------------------------- 5.4

def quantize(x, input_map):
    """5.4: clamp(floor(+-A x + B 2^-32 + 1/2), -128, 127), exact. x is an int or a Fraction."""
    m, e = input_map.scale
    a = Fraction(-m if input_map.negative else m) * Fraction(2) ** (e - 31)
    exact = a * x + Fraction(input_map.offset, 1 << 32) + Fraction(1, 2)
    return clamp(exact.numerator // exact.denominator, -128, 127)


def quantize_sample(net, values, cache):
    """One sample, from the file's order to NHWC int8. `cache` remembers (channel map, value)."""
    height, width, channels = net.input_shape
    if len(values) != height * width * channels:
        raise DataError(f"a sample has {len(values)} values, the model takes {height * width * channels}")
    if net.channels_first:
        plane = height * width
        values = [values[c * plane + p] for p in range(plane) for c in range(channels)]
    result = []
    for i, x in enumerate(values):
        c = i % channels if len(net.maps) > 1 else 0
        if (c, x) not in cache:
            cache[c, x] = quantize(exact_value(x), net.maps[c])
        result.append(cache[c, x])
    return result


def exact_value(x):
    """An integer, or a floating-point number as the exact rational it stands for."""
    if isinstance(x, float):
        if x != x or x in (float("inf"), float("-inf")):
            raise DataError("the data hold a NaN or an infinity")
        return Fraction(x)
    return x


def target_q16(y):
    """9.3: floor(y * 2^16 + 1/2), saturated."""
    exact = Fraction(exact_value(y)) * (1 << 16) + Fraction(1, 2)
    return sat32(exact.numerator // exact.denominator)


def prepare(net, x, y):
    """A Dataset for a network from arrays x and y (shape, flat values)."""
    (shape, values), (answer_shape, answers) = x, y
    count = shape[0]
    if answer_shape[0] != count:
        raise DataError(f"{count} samples and {answer_shape[0]} answers")
    size = len(values) // count if count else 0
    cache = {}
    samples = [quantize_sample(net, values[i * size:(i + 1) * size], cache) for i in range(count)]
    outputs = net.output.count
    # Formats/data.md: integers, one per sample, are labels, whatever the array's axes.
    if len(answers) == count and all(isinstance(a, int) for a in answers):
        if not all(0 <= a < outputs for a in answers):
            raise DataError(f"a label is outside 0..<{outputs}")
        return Dataset(samples, labels=answers)
    if len(answers) != count * outputs:
        raise DataError(f"targets: {len(answers)} values for {count} samples of {outputs} outputs")
    q16 = [target_q16(a) for a in answers]
    return Dataset(samples, targets=[q16[i * outputs:(i + 1) * outputs] for i in range(count)])


# ---------------------------------------------------------------------------- .npy and .npz

NPY_TYPES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I",
             "i8": "q", "u8": "Q", "f2": "e", "f4": "f", "f8": "d"}


def read_npy(raw):
    """(shape, flat values in C order) of a .npy file."""
    if raw[:6] != b"\x93NUMPY":
        raise DataError("not a .npy file")
    if raw[6] == 1:
        size, start = struct.unpack_from("<H", raw, 8)[0], 10
    else:
        size, start = struct.unpack_from("<I", raw, 8)[0], 12
    header = parse_npy_header(raw[start:start + size].decode("latin-1"))
    order, code = header["descr"][0], header["descr"][1:]
    if code not in NPY_TYPES or order not in "<>|=":
        raise DataError(f"unknown element type {header['descr']}")
    shape = header["shape"]
    count = 1
    for extent in shape:
        count *= extent
    form = f"{'>' if order == '>' else '<'}{count}{NPY_TYPES[code]}"
    body = raw[start + size:]
    if len(body) != struct.calcsize(form):
        raise DataError(f"the array needs {struct.calcsize(form)} bytes and has {len(body)}")
    values = list(struct.unpack(form, body))
    if code == "b1":
        values = [int(v) for v in values]
    if header["fortran_order"] and len(shape) > 1:
        values = from_fortran_order(values, shape)
    return shape, values


def parse_npy_header(text):
    """The header is a Python dictionary of a string, a boolean and a tuple of integers."""
    import ast
    try:
        header = ast.literal_eval(text.strip())
        header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError):
        raise DataError("malformed .npy header") from None
    return header


def from_fortran_order(values, shape):
    """The first index varies fastest in the file; give C order."""
    strides, step = [], 1
    for extent in shape:
        strides.append(step)
        step *= extent
    offsets = [0]
    for extent, stride in zip(shape, strides):
        offsets = [o + i * stride for o in offsets for i in range(extent)]
    return [values[o] for o in offsets]


def read_npz(raw):
    """Array name -> (shape, values)."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                arrays[name[:-4]] = read_npy(archive.read(name))
    return arrays


# ---------------------------------------------------------------------------- idx

IDX_TYPES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


def read_idx(raw):
    """(shape, flat values) of an idx file: 0, 0, type, rank, extents (u32 big-endian), values."""
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] not in IDX_TYPES:
        raise DataError("not an idx file")
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    count = 1
    for extent in shape:
        count *= extent
    form = f">{count}{IDX_TYPES[raw[2]]}"
    body = raw[4 + 4 * raw[3]:]
    if len(body) != struct.calcsize(form):
        raise DataError("an idx file of the wrong length")
    return shape, list(struct.unpack(form, body))


# ---------------------------------------------------------------------------- a DATA argument

def read_bytes(path):
    with open(path, "rb") as file:
        raw = file.read()
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def load_arrays(argument):
    """x and y from `FILE.npz`, `x.npy,y.npy` or `images.idx[.gz],labels.idx[.gz]`, with an optional
    range `[a..<b]` behind."""
    spec, first, last = argument, 0, None
    if argument.endswith("]") and "[" in argument:
        spec, _, part = argument[:-1].rpartition("[")
        low, _, high = part.partition("..<")
        first, last = int(low or 0), int(high) if high else None
    arrays = []
    for path in spec.split(","):
        raw = read_bytes(path)
        if raw[:2] == b"PK":
            members = read_npz(raw)
            if "x" not in members or "y" not in members:
                raise DataError(f"{path} has no arrays named x and y")
            arrays += [members["x"], members["y"]]
        elif raw[:6] == b"\x93NUMPY":
            arrays.append(read_npy(raw))
        else:
            arrays.append(read_idx(raw))
    if len(arrays) != 2:
        raise DataError("data are one array of samples and one of answers")
    return tuple(cut(shape, values, first, last) for shape, values in arrays)


def cut(shape, values, first, last):
    last = shape[0] if last is None else last
    if not 0 <= first <= last <= shape[0]:
        raise DataError(f"the range leaves 0..<{shape[0]}")
    size = len(values) // shape[0] if shape[0] else 0
    return (last - first,) + tuple(shape[1:]), values[first * size:last * size]


def load(net, argument):
    return prepare(net, *load_arrays(argument))
