#!/usr/bin/env python3
"""Runs the tutorials as they are printed, block after block, and fails where a reader would.

    run.py TALLY [TUTORIAL...]

TALLY is the command. Blocks of ```sh run in one shell per tutorial, stopping at the first error; blocks of ```python run
with Python, or are skipped, which is said, where what they need= is not installed. Standard library only.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Sources/Tally/Tally.docc"
BLOCK = re.compile(r"^```(sh|python)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(text: str) -> str:
    """All blocks as one shell script."""
    parts = ["set -euo pipefail"]
    for kind, words, body in BLOCK.findall(text):
        if kind == "sh":
            parts.append(body)
            continue
        needs = words.strip().removeprefix("needs=").split(",")
        missing = [name for name in needs if name and importlib.util.find_spec(name) is None]
        if missing:
            parts.append(f"echo 'skipped a Python block: no {', '.join(missing)}'")
        else:
            parts.append(f"{sys.executable} - <<'END_OF_BLOCK'\n{body}END_OF_BLOCK")
    return "\n".join(parts)


def main() -> int:
    tally = pathlib.Path(sys.argv[1]).resolve()
    pages = sorted(path for path in FOLDER.glob("*.md") if BLOCK.search(path.read_text()))
    if sys.argv[2:]:
        pages = [path for path in pages if path.stem in sys.argv[2:]]
    failed = 0
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, PATH=f"{tally.parent}{os.pathsep}{os.environ['PATH']}")
            done = subprocess.run(
                ["bash", "-c", script(page.read_text())], cwd=folder, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            good = done.returncode == 0
            failed += not good
            print(f"{page.stem:<24} {'passed' if good else 'FAILED'}")
            for line in done.stdout.splitlines():
                if line.startswith("skipped") or not good:
                    print(f"  {line}")
    return 1 if failed or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
