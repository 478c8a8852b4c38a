#!/usr/bin/env python3
"""Code size of a linked program, per module.

    sizes.py PROGRAM           a table of modules: bytes of code, bytes of constants
    sizes.py --flash PROGRAM   one number: bytes of flash (code, constants, initial values)

A symbol belongs to the module its mangled name begins with; `tally_…` are the C microkernels; what is
neither is the compiler's (outlined pieces, integer helpers) or the start-up code's.
"""
import collections
import re
import sys

from toolchain import tool


def flash_bytes(program):
    total = 0
    for line in tool("llvm-objdump", "-h", program).splitlines():
        # index, name, size, address, …, type; a program's sections that are loaded are TEXT or DATA.
        match = re.match(r"\s*\d+ \S+\s+([0-9a-f]{8})\s.*\b(?:TEXT|DATA)\s*$", line)
        if match:
            total += int(match[1], 16)
    return total


def module(symbol):
    match = re.match(r"\$[es](\d+)", symbol)
    if match:
        start = len(match[0])
        return symbol[start:start + int(match[1])]
    if symbol.startswith(("$es", "$ss", "$eS", "$sS", "_swift", "swift_")):
        return "Swift's own"
    if symbol.startswith("tally_"):
        return "MicroKernels"
    if symbol.startswith(("board_", "firmware_", "image")):
        return "FirmwareApplication"
    return "compiler's"


def table(program):
    code, constants = collections.Counter(), collections.Counter()
    for line in tool("llvm-nm", "--print-size", program).splitlines():
        fields = line.split(maxsplit=3)
        if len(fields) < 4:
            continue
        size, kind, symbol = int(fields[1], 16), fields[2].lower(), fields[3]
        if kind in "tw":
            code[module(symbol)] += size
        elif kind in "rd":
            constants[module(symbol)] += size
    return code, constants


def print_table(program):
    code, constants = table(program)
    for name in sorted(set(code) | set(constants), key=lambda n: -code[n]):
        print(f"  {name:22} {code[name]:8} {constants[name]:8}")
    print(f"  {'all':22} {sum(code.values()):8} {sum(constants.values()):8}")


def main():
    if sys.argv[1] == "--flash":
        print(flash_bytes(sys.argv[2]))
    else:
        print_table(sys.argv[1])


if __name__ == "__main__":
    main()
