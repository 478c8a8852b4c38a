#!/usr/bin/env python3
"""Checks the compiler's intermediate code (LLVM IR) for floating-point types and calls that allocate.

    intermediate.py --modules BUILD     all modules of the core, as SwiftPM compiled them in BUILD
    intermediate.py FILE…               files of IR

The linked probe shows what the application reaches; this shows every function there is, and floats on
processors whose hardware would hide them. Exits 0, or 1 with findings.
"""
import glob
import json
import os
import re
import sys
import tempfile

from toolchain import report, tool

CORE = ["Bytes", "CounterRandom", "FixedPoint", "Tensors", "Kernels", "Layers", "ModelFormat",
        "Training", "Journals", "Tally", "TallyC", "FirmwareApplication"]
FLOAT = re.compile(r"(?<![\w.%@$])(half|bfloat|float|double|fp128|x86_fp80)(?![\w.])")
ALLOCATES = re.compile(
    r"^(malloc|calloc|realloc|free|posix_memalign"
    r"|swift_(alloc|slowAlloc|slowDealloc|dealloc|retain|release|initStackObject|bridgeObject)\w*)$")
# Swift's library and runtime come along in every module, as functions that the linker drops when the
# core does not reach them: swift_…, $es… (or $ss…), and nameless pieces of them.
LIBRARY = re.compile(r"^(_?swift_|\$[es]s|\d+$)")


def functions(text):
    """(name, lines) of every function in IR; the name is None for what lies between them."""
    name, lines = None, []
    for line in text.splitlines():
        if line.startswith("define "):
            yield None, lines
            name, lines = re.search(r'@"?([^"(]+)"?\(', line)[1], []
        lines.append(line)
        if line == "}":
            yield name, lines
            name, lines = None, []
    yield None, lines


def check(text, module):
    """Findings in one file of IR."""
    calls = {}
    for name, lines in functions(text):
        called = calls.setdefault(name, set())
        for line in lines:
            if line.startswith(("!", ";", "attributes", "source_filename")):
                continue
            # Quoted names and attributes hold words, not types.
            code = re.sub(r'"[^"]*"', '""', line).split(" ;")[0]
            if FLOAT.search(code):
                yield f"{module}, {name or 'a global'}: {code.strip()[:90]}"
            if re.search(r"\b(call|invoke)\b", code):
                called.update(re.findall(r'@"?([^"(),\s]+)"?\(', line))
    # From the allocator outward: whoever calls what allocates, allocates.
    allocating = {name for called in calls.values() for name in called if ALLOCATES.match(name)}
    while True:
        more = {n for n, called in calls.items() if n not in allocating and called & allocating}
        if not more:
            break
        allocating |= more
    for name in allocating & calls.keys():
        if name and not LIBRARY.match(name):
            reached = sorted(calls[name] & allocating)
            yield f"{module}, {name}: calls {' '.join(reached)}"


def command(build, module):
    """SwiftPM's own arguments for a module, without what makes other outputs."""
    with open(os.path.join(build, "description.json")) as file:
        for entry in json.load(file)["swiftCommands"].values():
            if entry["moduleName"] == module:
                break
        else:
            return None
    arguments = [a for a in entry["otherArguments"] if a != "-parseable-output"]
    if "-emit-objc-header-path" in arguments:
        at = arguments.index("-emit-objc-header-path")
        arguments[at:at + 2] = []
        arguments.remove("-emit-objc-header")
    if "-num-threads" in arguments:
        # One thread, so that all of the module comes out as one file.
        arguments[arguments.index("-num-threads") + 1] = "0"
    return ["-module-name", module, "-I", entry["importPath"], *arguments,
            "@" + entry["fileList"]]


def modules(build):
    """(name, IR) of every module of the core."""
    sources = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Sources/MicroKernels")
    with tempfile.TemporaryDirectory() as folder:
        for module in CORE:
            arguments = command(build, module)
            # TallyC is a product of its own: a build of the application has no module of it.
            if arguments is None:
                continue
            path = os.path.join(folder, module + ".ll")
            tool("swiftc", *arguments, "-emit-ir", "-o", path)
            with open(path) as file:
                yield module, file.read()
        triple = arguments_after(command(build, "Bytes"), "-target")
        for source in sorted(glob.glob(os.path.join(sources, "*.c"))):
            yield os.path.basename(source), tool(
                "clang", f"--target={triple}", "-std=c11", "-O2", "-ffreestanding", "-S",
                "-emit-llvm", "-I", os.path.join(sources, "include"), source, "-o", "-")


def arguments_after(arguments, flag):
    return arguments[arguments.index(flag) + 1]


def main():
    findings, count = [], 0
    if sys.argv[1] == "--modules":
        texts = modules(sys.argv[2])
    else:
        texts = ((os.path.basename(path), open(path).read()) for path in sys.argv[1:])
    for name, text in texts:
        count += len(re.findall(r"^define ", text, re.MULTILINE))
        findings += check(text, name)
    if count == 0:
        findings.append("no function was found")
    report(findings, f"{count} functions, no floating-point type, no call that allocates")


if __name__ == "__main__":
    main()
