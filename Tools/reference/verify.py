"""SPEC 9.6: verifies a journal by running it again.

    python3 Tools/reference/verify.py RUN.tlj --model M.tally --data D.npz [--validate V.npz]

Prints one sentence. Exit status: 0 reproduced, 1 diverged, 4 cannot check.
"""

import argparse
import struct
import sys

import data as data_files
import journal
import network
import recipe as recipes
from network import FormatError
from scalar import ArithmeticFault
from training import RecipeError, Training

REPRODUCED, DIVERGED, CANNOT_CHECK = 0, 1, 4

FIELDS = {
    journal.BEGIN: (journal.BEGIN_LAYOUT, (
        "model digest", "data digest", "validation data digest", "samples", "validation samples",
        "planned steps", "reserved")),
    journal.STEP: (journal.STEP_LAYOUT, (
        "t", "samples", "loss", "correct", "saturated", "clipped", "reserved", "batch digest")),
    journal.RANGE: (journal.RANGE_LAYOUT, (
        "t", "number", "kind", "k", "reserved", "tail", "count")),
    journal.ROOT: (journal.ROOT_LAYOUT, ("t", "state root")),
    journal.EPOCH: (journal.EPOCH_LAYOUT, (
        "epoch", "samples", "loss", "correct", "validation samples", "validation loss",
        "validation correct", "reserved")),
    journal.END: (journal.END_LAYOUT, ("steps done", "reserved", "final model digest")),
}


def show(value):
    return value.hex() if isinstance(value, bytes) else str(value)


def difference(kind, ours, theirs):
    """The first field in which two payloads of one record type differ."""
    layout, names = FIELDS[kind]
    for name, a, b in zip(names, layout.unpack_from(ours), layout.unpack_from(theirs)):
        if a != b:
            return f"{name} is {show(b)} in the journal and {show(a)} in the replay"
    return "the recipe differs"


def place_of(kind, payload, step):
    name = journal.RECORD_NAMES[kind]
    if kind == journal.EPOCH:
        return f"the {name} record of epoch {struct.unpack_from('<I', payload)[0]}"
    return f"the {name} record" + (f" of step {step}" if step is not None else "")


def verify(journal_bytes, model_bytes, data_argument, validation_argument=None, load=data_files.load):
    """(exit status, sentence)."""
    torn = None
    try:
        records = journal.read(journal_bytes, check_chain=False)
    except journal.TornError as error:
        torn, records = str(error), error.records
        if not records:
            return CANNOT_CHECK, f"cannot check: {error}"
    except FormatError as error:
        return CANNOT_CHECK, f"cannot check: journal: {error}"
    begin = journal.parse_begin(records[0].payload)
    try:
        net = network.read(model_bytes)
        recipe = recipes.read(begin.recipe)
        if network.model_digest(model_bytes) != begin.model:
            return CANNOT_CHECK, "cannot check: the run began with another model"
        data = load(net, data_argument)
        validation = load(net, validation_argument) if validation_argument else None
        if begin.validation_samples and validation is None:
            return CANNOT_CHECK, "cannot check: the run had validation data; name them"
        if not begin.validation_samples:
            validation = None
        training = Training(net, recipe, data, validation)
    except (FormatError, data_files.DataError, RecipeError, ArithmeticFault) as error:
        return CANNOT_CHECK, f"cannot check: {error}"
    if data_files.data_digest(training.leaves) != begin.data:
        return CANNOT_CHECK, "cannot check: the run used other data"
    if validation and data_files.data_digest(validation.leaves()) != begin.validation:
        return CANNOT_CHECK, "cannot check: the run used other validation data"
    return compare(training, [r for r in records if r.kind < 0x80], torn)


def compare(training, records, torn):
    link, t, steps = journal.first_link(), None, 0
    expected = iter(records)
    for kind, payload in training.records():
        if kind == journal.STEP:
            t, steps = struct.unpack_from("<I", payload)[0], steps + 1
        record = next(expected, None)
        if record is None:
            return CANNOT_CHECK, (
                f"cannot check to the end: {torn or 'the journal has no end record'}; "
                f"the {len(records)} records before it are reproduced")
        at = "before step 0" if t is None else f"at step {t}"
        if record.kind != kind:
            return DIVERGED, (f"diverged {at}: the journal has {place_of(record.kind, record.payload, record.step)} "
                              f"where the replay has {place_of(kind, payload, t)}")
        if record.payload != payload:
            return DIVERGED, (f"diverged {at}: {record.name} record: "
                              f"{difference(kind, payload, record.payload)}")
        link = journal.next_link(link, kind, payload)
        if record.tag != link[:8]:
            return DIVERGED, f"diverged {at}: the chain tag of the {record.name} record is wrong"
    return REPRODUCED, (f"reproduced: {steps} steps, final model {payload[8:].hex()[:16]}, "
                        f"chain {link.hex()[:16]}")


def main(arguments):
    parser = argparse.ArgumentParser(description="Verifies a Tally journal by running it again.")
    parser.add_argument("journal")
    parser.add_argument("--model", required=True, help="the model the run began with")
    parser.add_argument("--data", required=True, help="FILE.npz, or samples,answers; [a..<b] behind")
    parser.add_argument("--validate", help="validation data")
    options = parser.parse_args(arguments)
    try:
        with open(options.journal, "rb") as file:
            journal_bytes = file.read()
        with open(options.model, "rb") as file:
            model_bytes = file.read()
        status, sentence = verify(journal_bytes, model_bytes, options.data, options.validate)
    except OSError as error:
        status, sentence = CANNOT_CHECK, f"cannot check: {error}"
    print(sentence)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
