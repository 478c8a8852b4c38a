"""How golden vectors are written: input rules, digests, table files, block files.

The grammar is documented in Formats/vectors/README.md.
"""

import hashlib
import struct


class Rule:
    """`rule a b c d`: element i = (i*a + b) mod c + d. Floored mod, so it is never negative."""

    def __init__(self, a, b, c, d):
        self.parts = (a, b, c, d)

    def __str__(self):
        return "rule " + " ".join(str(p) for p in self.parts)

    def values(self, count):
        a, b, c, d = self.parts
        return [(i * a + b) % c + d for i in range(count)]


def pack(form, values):
    """Little-endian bytes; form is "b" (int8), "B" (uint8), "i" (int32) or "q" (int64)."""
    return struct.pack(f"<{len(values)}{form}", *values)


def sha256(form, values):
    return hashlib.sha256(pack(form, values)).hexdigest()


def numbers(values):
    """Numbers separated by spaces; `none` for an empty list."""
    return " ".join(str(v) for v in values) or "none"


def comment(text):
    """A text as comment lines."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.strip().split("\n"))


def table(header, columns, rows, extra=()):
    """A table file: comment, `# columns:`, `key: value` lines, then one row per line."""
    out = comment(header) + f"# columns: {columns}\n"
    out += "".join(f"{key}: {value}\n" for key, value in extra)
    width = len(columns.split())
    for row in rows:
        assert len(row) == width, (columns, row)
        out += numbers(row) + "\n"
    return out.encode("ascii")


class Block:
    """A block of `key: value` lines, in the order they are added."""

    def __init__(self, name):
        self.lines = [("name", name)]

    def add(self, key, value):
        self.lines.append((key, value if isinstance(value, str) else str(value)))
        return self

    def numbers(self, key, values):
        return self.add(key, numbers(values))

    def expect(self, what, form, values, first=16):
        """`expect WHAT sha256` over the packed values and `expect WHAT first16`."""
        self.add(f"expect {what} sha256", sha256(form, values))
        self.add(f"expect {what} first{first}", numbers(values[:first]))
        return self

    def __str__(self):
        return "".join(f"{key}: {value}\n" for key, value in self.lines)


def blocks(header, items):
    """A block file: comment, then blocks separated by blank lines."""
    return (comment(header) + "".join("\n" + str(b) for b in items)).encode("ascii")
