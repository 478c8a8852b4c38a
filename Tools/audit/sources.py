#!/usr/bin/env python3
"""Checks that the sources of the runtime name no floating-point type and import no host library.

    sources.py FOLDER     normally Sources

Comments and string literals may say what they like. Exits 0, or 1 with findings.
"""
import os
import re
import sys

from toolchain import report

TOKENS = re.compile(
    r"\b(Float(16|32|64|80)?|Double|CGFloat|Foundation|Glibc|Musl|Darwin|float|double|_Float16|__m\d+d"
    r"|math\.h|tgmath\.h)\b"
    # 1.5 and 1e3, but not x.0.1 (a tuple's element) or 0x1e3.
    r"|(?<![\w.])\d[\d_]*(\.\d[\d_]*([eE][+-]?\d+)?|[eE][+-]?\d+)\b")
IGNORED = re.compile(r'//[^\n]*|/\*.*?\*/|"(\\.|[^"\\\n])*"', re.DOTALL)


def main():
    findings, count = [], 0
    for folder, _, names in os.walk(sys.argv[1]):
        for name in names:
            if not name.endswith((".swift", ".c", ".h", ".S", ".def", ".inc")):
                continue
            count += 1
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            # Blanks keep the line numbers.
            code = IGNORED.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
            for match in TOKENS.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                findings.append(f"{path}:{line}: {match[0]}")
    if count == 0:
        findings.append(f"no sources in {sys.argv[1]}")
    report(findings, f"{count} files, no floating-point token, no host library")


if __name__ == "__main__":
    main()
