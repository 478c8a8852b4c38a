"""Runs the accuracy figures through the command and prints what was asked and what was reached.

    python3 Tools/bench/accuracy.py --tally .build/release/tally [--json] [NAME …]

Float baselines come from baselines.json (made by baselines.py with the same recipe files). The
test set is read once per run, after the last epoch; calibration sees training images only. Exit
status: 0 when every figure is reached, 1 when one is missed, 2 when the command fails or the data
is not there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import datasets
import shifts

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
MNIST7_FLOAT = 98.90  # mnist-7.onnx on the 10,000 test images, pixel/255, ONNX Runtime and PyTorch
INPUT = ["--input-scale", "1/255"]


class CommandFailed(Exception):
    """The command's exit status was not 0; says which command and what it printed."""


@dataclass
class Tally:
    """The command under test and the folder its files go to."""

    command: Path
    folder: Path

    def run(self, *arguments) -> dict:
        """Runs a verb with --json and returns its result object."""
        # Every file it writes is in its own folder, which is made anew for each call of this script.
        line = [str(self.command), *map(str, arguments), "--json"]
        if arguments[0] in ("init", "convert", "train"):
            line.append("--force")
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(line)}\nexit {done.returncode}\n{done.stderr.strip()}")
        return json.loads(done.stdout)

    def recipe(self, name: str, seed: int, **changes) -> Path:
        """A copy of accuracy/NAME.recipe.json with a seed and other changes."""
        recipe = json.loads((HERE / "accuracy" / f"{name}.recipe.json").read_text())
        path = self.folder / "recipe.json"
        path.write_text(json.dumps({**recipe, **changes, "seed": seed}, indent=2))
        return path

    def train(self, model: Path, data: str, recipe: Path) -> Path:
        """Trains and returns the trained model."""
        trained = self.folder / "trained.tally"
        journal = self.folder / "run.tlj"
        # A journal or model of the run before must not be taken for this run's.
        trained.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)
        self.run(
            "train", model, "--data", data, "--recipe", recipe, "-o", trained, "--journal", journal
        )
        return trained

    def evaluate(self, model: Path, data: str) -> tuple:
        """Test accuracy in percent, and the digest of the model it was measured on."""
        result = self.run("eval", model, "--data", data)
        return 100 * result["correct"] / result["total"], result["modelDigest"]


def idx_pair(folder: str, part: str) -> str:
    """The DATA argument for MNIST or Fashion-MNIST; part is "train" or "t10k"."""
    base = datasets.data_root() / folder
    return f"{base}/{part}-images-idx3-ubyte.gz,{base}/{part}-labels-idx1-ubyte.gz"


def convert_mnist7(tally: Tally, calibration_count: int = 1000) -> Path:
    """mnist-7.onnx converted with per-layer scales, calibrated on the first training images."""
    model = tally.folder / "mnist7.tally"
    calibration = f"{idx_pair('mnist', 'train')}[0..<{calibration_count}]"
    tally.run(
        "convert", datasets.data_root() / "models/mnist-cntk/mnist-7.onnx", "-o", model,
        "--calibrate", calibration, "--scales", "per-layer", *INPUT,
    )  # fmt: skip
    return model


def figure_conversion(tally: Tally) -> list:
    """mnist-7.onnx converted, MNIST test."""
    return [tally.evaluate(convert_mnist7(tally), idx_pair("mnist", "t10k"))]


def figure_from_scratch(tally: Tally, name: str, folder: str, data_range: str = "", **changes):
    """A network of accuracy/ from `init` and `train`, one run per seed."""
    runs = []
    for seed in SEEDS:
        model = tally.folder / f"{name}.tally"
        network = HERE / "accuracy" / f"{name}.network.json"
        tally.run("init", network, "-o", model, "--seed", seed, *INPUT)
        data = idx_pair(folder, "train") + data_range
        trained = tally.train(model, data, tally.recipe(name, seed, **changes))
        runs.append(tally.evaluate(trained, idx_pair(folder, "t10k")))
    return runs


def figure_rotated(tally: Tally, **changes) -> list:
    """mnist-7 converted on upright images, then fine-tuned on 2,000 rotated ones."""
    model = convert_mnist7(tally)
    paths = {}
    for part, count in (("train", 2000), ("t10k", None)):
        images, labels = datasets.read_mnist("mnist", part)
        paths[part] = tally.folder / f"rot45-{part}.npz"
        shifts.write_npz(paths[part], shifts.apply("rot45", images[:count]), labels[:count])
    runs = []
    for seed in SEEDS:
        recipe = tally.recipe("mnist7-rot45", seed, **changes)
        trained = tally.train(model, str(paths["train"]), recipe)
        runs.append(tally.evaluate(trained, str(paths["t10k"])))
    return runs


@dataclass
class Figure:
    """What is asked: a fixed percentage, or a distance below the float baseline."""

    title: str
    run: object
    baseline: str | None = None  # name in baselines.json
    at_least: float | None = None
    margin: float | None = None

    def float_accuracy(self, baselines: dict) -> float:
        return baselines[self.baseline]["mean"] if self.baseline else MNIST7_FLOAT

    def asked(self, baselines: dict) -> float:
        if self.at_least is not None:
            return self.at_least
        return self.float_accuracy(baselines) - self.margin


FIGURES = {
    "conversion": Figure(
        "mnist-7 converted per-layer, MNIST test", figure_conversion, at_least=98.80
    ),
    "fashion-mlp": Figure(
        "Fashion-MNIST MLP 784-128-10 from scratch",
        lambda tally: figure_from_scratch(tally, "fashion-mlp", "fashion-mnist"),
        baseline="fashion-mlp", margin=0.3,
    ),
    "fashion-mlp-int8": Figure(
        "the same, int8-only weights",
        lambda tally: figure_from_scratch(tally, "fashion-mlp", "fashion-mnist", weights="int8"),
        baseline="fashion-mlp", margin=1.5,
    ),
    "mnist-cnn": Figure(
        "MNIST CNN from scratch, 3 epochs",
        lambda tally: figure_from_scratch(tally, "mnist-cnn", "mnist"),
        baseline="mnist-cnn", margin=0.3,
    ),
    "mnist-cnn-12000": Figure(
        "MNIST CNN from scratch, first 12,000 images",
        lambda tally: figure_from_scratch(tally, "mnist-cnn", "mnist", "[0..<12000]"),
        baseline="mnist-cnn-12000", margin=0.3,
    ),
    "mnist7-rot45": Figure(
        "mnist-7 fine-tuned on rot45", figure_rotated, baseline="mnist7-rot45", at_least=95.5
    ),
    "mnist7-rot45-int8": Figure(
        "the same, int8-only weights",
        lambda tally: figure_rotated(tally, weights="int8"),
        baseline="mnist7-rot45", at_least=95.3,
    ),
}  # fmt: skip


def measure(figure: Figure, tally: Tally, baselines: dict) -> dict:
    """Runs one figure and sets it beside what is asked."""
    start = time.monotonic()
    runs = figure.run(tally)
    accuracies = [round(accuracy, 4) for accuracy, _ in runs]
    # Both sides at four decimals, so that float noise cannot decide a tie.
    reached = round(sum(accuracies) / len(accuracies), 4)
    asked = round(figure.asked(baselines), 4)
    return {
        "figure": figure.title,
        "asked": asked,
        "reached": reached,
        "float": figure.float_accuracy(baselines),
        "passed": reached >= asked,
        "accuracies": accuracies,
        "modelDigests": [digest for _, digest in runs],
        "seconds": round(time.monotonic() - start, 1),
    }


def markdown(results: list) -> str:
    """One row per figure, the runs behind it and their models' digests (first 12 digits)."""
    header = ["figure", "asked", "reached", "float", "", "runs", "models", "seconds"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for result in results:
        cells = [
            result["figure"], f"{result['asked']:.2f}", f"**{result['reached']:.2f}**",
            f"{result['float']:.2f}", "reached" if result["passed"] else "MISSED",
            ", ".join(f"{accuracy:.2f}" for accuracy in result["accuracies"]),
            ", ".join(digest[:12] for digest in result["modelDigests"]), f"{result['seconds']:.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--tally", type=Path, required=True, help="the built command")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    unknown = set(options.names) - set(FIGURES)
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    if not options.tally.is_file():
        parser.error(f"no command at {options.tally}; build it with swift build -c release")

    baselines = json.loads((HERE / "baselines.json").read_text())["baselines"]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        tally = Tally(options.tally.resolve(), Path(folder))
        for name in options.names or FIGURES:
            try:
                results.append(measure(FIGURES[name], tally, baselines))
            except CommandFailed as failure:
                print(f"{name}: {failure}", file=sys.stderr)
                raise SystemExit(2)
            print(f"{name}: {results[-1]['reached']:.2f} %", file=sys.stderr)
    print(json.dumps(results, indent=2) if options.json else markdown(results))
    raise SystemExit(0 if all(result["passed"] for result in results) else 1)


if __name__ == "__main__":
    main()
