#!/usr/bin/env python3
"""What a library holds and what it asks for.

    report.py ARCHITECTURE OBJECT UNSTRIPPED

UNSTRIPPED still has the build attributes that a disassembler reads. Prints bytes of code and constants
per module and the outside names; exits 1 if there is a floating-point instruction, an allocation, or an
outside name that is no memory mover and no integer helper of a compiler.
"""
import os
import sys

AUDIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../audit")
sys.path.insert(0, AUDIT)
import image  # noqa: E402
import sizes  # noqa: E402

# How compilers' run-time libraries tell programs on x86 what the processor can do.
PROCESSOR = {"__cpu_model", "__cpu_indicator_init", "__cpu_features2"}


def main():
    architecture, path, unstripped = sys.argv[1:]
    sizes.print_table(path)
    outside = sorted(name for name, is_defined in image.symbols(path) if not is_defined)
    print(f"  asks for: {' '.join(outside)}")
    findings = [f"outside name: {name}" for name in outside
                if not image.ALLOWED.match(name) and name not in PROCESSOR]
    findings += [name for name in outside if name.startswith("board_")]
    findings += image.check_instructions(architecture, [unstripped])[0]
    for finding in findings:
        print(f"  {finding}", file=sys.stderr)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
