"""Writes the golden vectors of Formats/vectors, or checks that they are what this code writes.

    python3 Tools/reference/vectors.py            # write
    python3 Tools/reference/vectors.py --check    # exit 1 and name every file that differs

Nothing here reads the vectors back: they follow from the reference alone.
"""

import argparse
import os
import sys
import tempfile

import vectors_advice
import vectors_arithmetic
import vectors_invalid
import vectors_kernels
import vectors_networks
import vectors_runs
import vectors_training

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "..", "Formats", "vectors")
WRITTEN_BY_HAND = {"README.md"}


def make():
    """Path below Formats/vectors -> bytes."""
    files = {}
    for group in (vectors_arithmetic, vectors_kernels, vectors_training, vectors_networks, vectors_runs,
                  vectors_advice):
        files.update(group.files())
    files.update(vectors_invalid.files(files["runs/mlp.tlj"]))
    return files


def write(files, folder):
    for path, content in files.items():
        target = os.path.join(folder, *path.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)


def present(folder):
    """The paths of all files below a folder, with `/`."""
    found = set()
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(root, name), folder).replace(os.sep, "/")
            if path not in WRITTEN_BY_HAND:
                found.add(path)
    return found


def check(files, folder):
    """Sentences about every file that is missing, superfluous or different."""
    faults = []
    with tempfile.TemporaryDirectory() as fresh:
        write(files, fresh)
        ours, theirs = present(fresh), present(folder)
        faults += [f"missing: {path}" for path in sorted(ours - theirs)]
        faults += [f"not written by the reference: {path}" for path in sorted(theirs - ours)]
        for path in sorted(ours & theirs):
            with open(os.path.join(fresh, path), "rb") as a, open(os.path.join(folder, path), "rb") as b:
                if a.read() != b.read():
                    faults.append(f"differs: {path}")
    return faults


def main(arguments):
    parser = argparse.ArgumentParser(description="Writes or checks Formats/vectors.")
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    options = parser.parse_args(arguments)
    files = make()
    size = sum(len(content) for content in files.values())
    if options.check:
        faults = check(files, FOLDER)
        for fault in faults:
            print(fault)
        print(f"{len(files)} files, {size} bytes: {'differences' if faults else 'no difference'}")
        return 1 if faults else 0
    for path in present(FOLDER) - set(files):
        os.remove(os.path.join(FOLDER, *path.split("/")))
    write(files, FOLDER)
    print(f"{len(files)} files, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
