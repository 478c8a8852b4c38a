#!/usr/bin/env python3
"""Reads Tally's event files with TensorBoard's own reader, and holds them against the JSON lines.

    tensorboard_events.py --tally .build/debug/tally

Trains the bundled digits for a few steps with --tensorboard and --log, and makes the event file again from the journal with
`tally report`. Exits 1 if a tag, a step or a value differs; says so and exits 0 where TensorBoard is not installed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETWORK = ROOT / "Tools/examples/network.json"
DIGITS = ROOT / "Tools/tally/Resources/digits.npz"


def expected(lines: list[dict]) -> dict[str, list[tuple[int, float]]]:
    """Tag → (step, value), from the log: epochs stand at their number, counted from 1."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        if line["event"] == "step":
            for tag in ("loss", "accuracy", "saturated", "clipped"):
                found.setdefault(tag, []).append((line["step"], float(line[tag])))
    return found


def read(folder: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", required=True)
    tally = pathlib.Path(parser.parse_args().tally).resolve()
    try:
        import tensorboard
    except ModuleNotFoundError:
        print("skipped: TensorBoard is not installed")
        return 0

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def run(*arguments: str) -> None:
            subprocess.run([tally, *arguments], cwd=folder, check=True, capture_output=True)

        run("init", str(NETWORK), "-o", "m.tally", "--data", str(DIGITS))
        run("train", "m.tally", "--data", f"{DIGITS}[0..<640]", "--set", "epochs=2", "--set", "batch=16",
            "--validate", f"{DIGITS}[640..<800]", "-o", "out.tally", "--journal", "run.tlj",
            "--log", "run.jsonl", "--tensorboard", "live")
        run("report", "run.tlj", "--tensorboard", "later")
        lines = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
        wanted = expected(lines)
        faults = 0
        for place in ("live", "later"):
            found = read(folder / place)
            for tag, points in wanted.items():
                same = len(found.get(tag, [])) == len(points) and all(
                    a == b and abs(x - y) <= 1e-4 * max(1, abs(y))
                    for (a, x), (b, y) in zip(found[tag], points)
                )
                faults += not same
                if not same:
                    print(f"{place}: {tag} differs")
            epochs = {tag: points for tag, points in found.items() if tag.startswith("epoch/")}
            if not epochs or any(len(points) != 2 for points in epochs.values()):
                faults += 1
                print(f"{place}: not two points per epoch's tag: {sorted(epochs)}")
            count = sum(len(points) for points in found.values())
            print(f"{place}: {count} values under {len(found)} tags, TensorBoard {tensorboard.__version__}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
