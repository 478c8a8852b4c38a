"""Runs the reference on what another implementation has run, and compares every byte.

    python3 Tools/reference/compare.py FOLDER [FOLDER ...]

A folder holds model.tally (what the run began with), recipe.bin (canonical bytes), data.npz, perhaps
validation.npz, and the other implementation's run.tlj and trained.tally. Prints one sentence per
folder. Exit status: 0 all equal, 1 some differ, 4 some cannot be run.
"""

import os
import sys

import data as data_files
import journal
import network
import recipe as recipes
import verify
from network import FormatError
from scalar import ArithmeticFault
from training import RecipeError, Training

EQUAL, DIFFERENT, CANNOT_RUN = 0, 1, 4


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def start(folder):
    """A Training at its beginning."""
    net = network.read(content(folder, "model.tally"))
    recipe = recipes.read(content(folder, "recipe.bin"))
    data = data_files.load(net, os.path.join(folder, "data.npz"))
    path = os.path.join(folder, "validation.npz")
    validation = data_files.load(net, path) if os.path.exists(path) else None
    return Training(net, recipe, data, validation)


def compare(folder):
    """(exit status, sentence)."""
    theirs = content(folder, "run.tlj")
    try:
        training = start(folder)
        records = list(training.records())
        ours = journal.write(records)
    except (FormatError, data_files.DataError, RecipeError, ArithmeticFault) as error:
        return CANNOT_RUN, f"the reference cannot run it: {error}"
    if ours != theirs:
        chained = [r for r in journal.read(theirs, check_chain=False) if r.kind < 0x80]
        return DIFFERENT, verify.compare(start(folder), chained, None)[1]
    if network.write(training.net) != content(folder, "trained.tally"):
        return DIFFERENT, "the journals are equal, the trained models are not"
    return EQUAL, f"equal: {training.planned} steps, {events(records)}"


def events(records):
    """What happened in a run, so that a comparison of runs in which nothing happens is seen for it."""
    steps = [journal.STEP_LAYOUT.unpack(p) for kind, p in records if kind == journal.STEP]
    losses, roots = {s[2] for s in steps}, {p[4:] for kind, p in records if kind == journal.ROOT}
    changes = sum(kind == journal.RANGE for kind, _ in records)
    return (f"{changes} range changes, {sum(s[4] for s in steps)} elements saturated, "
            f"{sum(s[5] for s in steps)} updates clipped, {len(losses)} losses, {len(roots)} roots")


def main(folders):
    if not folders:
        print(__doc__)
        return 2
    worst = EQUAL
    for folder in folders:
        status, sentence = compare(folder)
        print(f"{os.path.basename(os.path.normpath(folder))}: {sentence}", flush=True)
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
