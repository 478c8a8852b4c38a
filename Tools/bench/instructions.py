"""Counts the instructions of training steps under callgrind and holds them against a stored baseline.

    python3 Tools/bench/instructions.py --tally .build/release/tally [--update] [--tolerance 2]

Counts do not depend on what else the machine does, so a change of two per cent is a change of the code. Each
step is the difference of two runs of a different number of steps, so that start-up does not count. Valgrind
has no AVX-512: the versions counted are plain C and AVX2. A step may not allocate: the longer run must call the
allocator as often as the shorter one. The digest of the state is part of the baseline: a
count without the same result is no count. `--update` writes the baseline (instructions.json), which belongs
into the same commit as the change that moved it.

Exit status: 0 within the tolerance, 1 above it, with another digest or an allocation in a step, 2 when a command fails.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).with_name("instructions.json")
# Network, SIMD level, steps of the shorter and of the longer run.
CASES = [("mlp", "plain", 2, 6), ("mlp", "avx2", 4, 12), ("mnist-7", "plain", 1, 3), ("mnist-7", "avx2", 2, 6),
         ("ds-cnn", "avx2", 1, 3), ("resnet8", "avx2", 1, 3)]


ALLOCATES = re.compile(r"(malloc|calloc|realloc|aligned_alloc|posix_memalign|memalign)(@@.*)?$")


class CommandFailed(Exception):
    """Says which command failed and what it printed."""


def run(tally: Path, network: str, level: str, steps: int, folder: str) -> tuple[int, int, str]:
    """Instructions of a whole run, calls of the allocator, and the digest of its state."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(tally), "bench", "--only",
               network, "--simd", level, "--steps", str(steps), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise CommandFailed(f"{' '.join(command)}: {done.stderr[-400:]}")
    return int(found[1]), allocations(Path(folder) / "out"), json.loads(done.stdout)["digest"]


def allocations(profile: Path) -> int:
    """Calls of the C library's allocator, which is Swift's too, in callgrind's profile."""
    names, called, count = {}, "", 0
    for line in profile.read_text().splitlines():
        if match := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line):
            if match[3]:
                names[match[2]] = match[3]
            if match[1] == "cfn":
                called = names[match[2]]
        elif match := re.match(r"calls=(\d+)", line):
            count += int(match[1]) if ALLOCATES.match(called) else 0
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tally", type=Path, required=True, help="the command, a release build")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--tolerance", type=float, default=2, help="per cent above the baseline that pass")
    arguments = parser.parse_args()
    baseline = {} if arguments.update else json.loads(BASELINE.read_text())
    counts, failed = {}, False
    with tempfile.TemporaryDirectory() as folder:
        # Valgrind stumbles over the debug information of Swift programs.
        tally = Path(folder) / "tally"
        subprocess.run(["strip", "-s", "-o", tally, arguments.tally], check=True)
        for network, level, few, many in CASES:
            try:
                first, allocated, _ = run(tally, network, level, few, folder)
                second, allocated_later, digest = run(tally, network, level, many, folder)
            except CommandFailed as error:
                print(error, file=sys.stderr)
                return 2
            name, count = f"{network}/{level}", (second - first) // (many - few)
            counts[name] = {"instructions": count, "digest": digest}
            line = f"{name:16} {count:>12,} instructions a step"
            if before := baseline.get(name):
                change = 100 * (count / before["instructions"] - 1)
                line += f", {change:+.2f} %"
                if change > arguments.tolerance:
                    line, failed = line + "  MORE THAN ALLOWED", True
                if digest != before["digest"]:
                    line, failed = line + "  ANOTHER DIGEST", True
            if allocated == 0:
                line, failed = line + "  NO ALLOCATION IS SEEN", True
            if allocated_later != allocated:
                line, failed = line + f"  {allocated_later - allocated} ALLOCATIONS IN THE STEPS", True
            print(line)
    if arguments.update:
        BASELINE.write_text(json.dumps(counts, indent=1) + "\n")
    elif missing := {f"{network}/{level}" for network, level, *_ in CASES} ^ set(baseline):
        print(f"not in both the baseline and the cases: {', '.join(sorted(missing))}")
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
