#!/usr/bin/env python3
"""Checks the machine code of the core: no allocation, no floating point, few outside names.

    image.py ARCHITECTURE FILE…     armv6m, armv7em, riscv, aarch64, wasm or x86

For boards FILE is the probe: the core and the firmware application, linked without any library, so that
what they call from outside stays undefined and can be listed. For the host (x86) it is every object
file of the core; there only instructions are checked, because Swift's metadata on a host names the
runtime. Exits 0, or 1 with findings.
"""
import re
import sys

from toolchain import report, tool

ALLOCATION = re.compile(
    r"^(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|memalign|_Zn[wa].*|_Zd[la].*"
    r"|swift_.*)$")
# Names of the Arm run-time ABI and of GCC's low-level library, and the C library's mathematics.
SOFT_FLOAT = re.compile(
    r"^(__aeabi_(c?[fdh](add|sub|rsub|mul|div|neg|r?cmp\w*|2\w+)|(i|ui|l|ul)2[fdh])"
    r"|__(add|sub|mul|div|neg|cmp|eq|ne|lt|le|gt|ge|unord|pow)[hsdtx]f\w*"
    r"|__(fix|fixuns|float|floatun|extend|trunc)\w+|__gnu_[hf]2[hf]_ieee"
    r"|(sqrt|exp2?|log(2|10)?|pow|sin|cos|tan|floor|ceil|trunc|l?l?rint|l?l?round|fma|fmod)[fl]?)$")
# What the core may ask of the outside (README): memory movers, integer helpers, and the board.
ALLOWED = re.compile(
    r"^(mem(cpy|move|set|cmp)|__aeabi_mem(cpy|move|set|clr)[48]?"
    r"|__aeabi_(lmul|llsl|llsr|lasr|u?idiv|u?idivmod|u?ldivmod)"
    r"|__(mul|ashl|lshr|ashr|div|udiv|mod|umod)[dst]i3|__multi3|__c[lt]z[sd]i2|board_\w+)$")

# An instruction is floating-point if its name matches and its operands do not match the second pattern.
NEVER = re.compile(r"(?!)")
# Nothing else on these cores begins with v: they have no integer vector unit.
ARM = (re.compile(r"^(v[a-z]|fldm|fstm)"), NEVER)
INSTRUCTIONS = {
    "armv6m": ARM,
    "armv7em": ARM,
    "riscv": (re.compile(r"^(c\.)?f(?!ence)"), NEVER),
    # fmov between registers moves bits; fneg d, d flips the sign bit: compilers make the constant
    # 0x7fff… that way. Neither makes a number out of a number.
    "aarch64": (re.compile(r"^(f(?!neg$)|[su]cvtf)"), re.compile(r"^fmov\s+[^#]*$")),
    # `select` has no type; the disassembler shows an arbitrary one.
    "wasm": (re.compile(r"^f(32|64)(x\d)?\.(?!select)"), NEVER),
    # Vector units move and blend integers with instructions named after floats; arithmetic,
    # comparison and conversion are the line.
    "x86": (
        re.compile(
            r"^(v?(add|sub|addsub|mul|div|sqrt|rsqrt|rcp|min|max|cmp\w*|u?comi|hadd|hsub|round|rndscale"
            r"|dp|fn?m(add|sub)\w*)(ss|sd|ps|pd)|v?cvt\w+|f(add|sub|mul|div|ld|st|i|com|x|abs|chs)\w*)$"),
        NEVER),
}


def symbols(file):
    """(name, whether it is defined) of every symbol."""
    for line in tool("llvm-nm", file).splitlines():
        match = re.search(r"\b([A-Za-z]) (\S+)$", line)
        if match:
            yield match[2], match[1] not in "Uw"


def instructions(file):
    """(function, instruction with operands) of all code."""
    function = "?"
    for line in tool("llvm-objdump", "-d", "--no-show-raw-insn", file).splitlines():
        match = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if match:
            function = match[1]
            continue
        match = re.match(r"^\s*[0-9a-f]+:\s+(.+?)\s*$", line)
        if match and not match[1].startswith("R_"):
            yield function, match[1]


# Thumb-2: Swift passes `self` in r10, which a caller expects back. Swift 6.3.1's compiler can lose that:
# it turns loads from r10 into one that moves r10 on, in a function that does not save it. Thumb-1 cannot
# load from r10 and saves it by way of lower registers.
MOVES_SELF = re.compile(r"^(ldm\S*|stm\S*)\s+r10!|^(ldr|str)\S*\s.*\[r10[^\]]*\](!|,)"
    r"|^(?!cmp|cmn|tst|teq|str|push|stm)\w+(\.w)?\s+r10,")
SAVES_SELF = re.compile(r"^(push|stmdb)\S*\s.*(r10|r[4-9]-r1[01])")


def check_instructions(architecture, files):
    """Findings, and the number of instructions."""
    pattern, exception = INSTRUCTIONS[architecture]
    findings, count, saves = [], 0, {}
    for file in files:
        for function, instruction in instructions(file):
            count += 1
            if pattern.match(instruction.split()[0]) and not exception.match(instruction):
                findings.append(f"floating-point instruction in {function}: {instruction}")
            # Outlined pieces are part of functions that have saved it.
            if architecture != "armv7em" or function.startswith("OUTLINED_FUNCTION"):
                continue
            if SAVES_SELF.match(instruction):
                saves[file, function] = True
            if MOVES_SELF.match(instruction) and (file, function) not in saves:
                findings.append(f"self is not given back by {function}: {instruction}")
    return findings, count


def main():
    architecture, files = sys.argv[1], sys.argv[2:]
    findings, count = check_instructions(architecture, files)
    outside = set()
    for file in files:
        if architecture == "x86":
            continue
        for name, is_defined in symbols(file):
            if ALLOCATION.match(name):
                findings.append(f"allocation: {name}")
            if SOFT_FLOAT.match(name):
                findings.append(f"soft-float helper: {name}")
            if not is_defined:
                outside.add(name)
                if not ALLOWED.match(name):
                    findings.append(f"outside name: {name}")
    if count < 5000:
        findings.append(f"only {count} instructions were found: the probe does not hold the core")
    shared = sorted(name for name in outside if not name.startswith("board_"))
    report(findings, f"{count} instructions; asks for: {' '.join(shared) or 'nothing'}")


if __name__ == "__main__":
    main()
