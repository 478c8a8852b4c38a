"""PyTorch float32 baselines for the accuracy figures.

    python3 Tools/bench/baselines.py [--json] [--output Tools/bench/baselines.json] [NAME …]

Every figure is the test accuracy after the last epoch, three seeds, one thread, deterministic
kernels; a seed sets both the initialization and the order of the images. Nothing is chosen on the
test images: the recipes are the files the integer runs read, in accuracy/. The learning rate is set
per step, rate · (1 + cos(π · step / steps)) / 2 for the cosine, so the last step's is nearly zero.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import datasets
import floats
import shifts

SEEDS = (0, 1, 2)


def shared_recipe(name: str) -> dict:
    """A recipe that accuracy.py hands to the integer runs as well."""
    return json.loads((Path(__file__).parent / "accuracy" / f"{name}.recipe.json").read_text())


FASHION = shared_recipe("fashion-mlp")
MNIST = shared_recipe("mnist-cnn")
ROTATED = shared_recipe("mnist7-rot45")
RESNET_BIASES = {
    "epochs": 5, "batch": 16, "learningRate": "0.01", "schedule": {"kind": "cosine"},
    "momentum": "0.9", "normClip": "1",
}  # fmt: skip
RESNET_FULL = {**RESNET_BIASES, "learningRate": "0.003"}


def prepared(images: np.ndarray, labels: np.ndarray):
    """Network inputs and labels as tensors."""
    return floats.pixels(images), torch.from_numpy(labels.astype(np.int64))


def from_scratch(build, folder: str, recipe: dict, first: int | None = None) -> dict:
    """Trains a freshly initialized network on MNIST or Fashion-MNIST."""
    images, labels = datasets.read_mnist(folder, "train")
    x, y = prepared(images[:first], labels[:first])
    test = prepared(*datasets.read_mnist(folder, "t10k"))
    accuracies = []
    for seed in SEEDS:
        model = floats.initialize(build(), seed)
        floats.train(model, x, y, recipe, seed)
        accuracies.append(floats.accuracy(model, *test))
    return {"images": len(x), "recipe": recipe, "accuracies": accuracies}


def fine_tuned(load, train_set, test_set, shift: str, recipe: dict, select=None) -> dict:
    """Fine-tunes a published network on shifted images; `select` names the trainable tensors."""
    x, y = prepared(shifts.apply(shift, train_set[0]), train_set[1])
    test = prepared(shifts.apply(shift, test_set[0]), test_set[1])
    accuracies = []
    for seed in SEEDS:
        model = load()
        floats.train(model, x, y, recipe, seed, select(model) if select else None)
        accuracies.append(floats.accuracy(model, *test))
    return {
        "images": len(x),
        "recipe": recipe,
        "original": floats.accuracy(load(), *prepared(*test_set)),
        "unadapted": floats.accuracy(load(), *test),
        "accuracies": accuracies,
    }


def mnist7(shift: str) -> dict:
    """mnist-7 on a shift of the first 2,000 training images; all weights trainable."""
    path = datasets.data_root() / "models/mnist-cntk/mnist-7.onnx"
    images, labels = datasets.read_mnist("mnist", "train")
    return fine_tuned(
        lambda: floats.load_mnist7(path), (images[:2000], labels[:2000]),
        datasets.read_mnist("mnist", "t10k"), shift, ROTATED,
    )  # fmt: skip


def resnet8(shift: str, recipe: dict, select=None) -> dict:
    """ResNet8 on a shift of train_2000, tested on the same shift of test_1800."""
    root = datasets.data_root()
    path = root / "models/resnet8-cifar10/resnet8-cifar10.onnx"
    return fine_tuned(
        lambda: floats.ResNet8(path), datasets.read_cifar(root / "cifar10/train_2000.bin.gz"),
        datasets.read_cifar(root / "cifar10/test_1800.bin.gz"), shift, recipe, select,
    )  # fmt: skip


BASELINES = {
    "fashion-mlp": lambda: from_scratch(floats.build_mlp, "fashion-mnist", FASHION),
    "mnist-cnn": lambda: from_scratch(floats.build_cnn, "mnist", MNIST),
    "mnist-cnn-12000": lambda: from_scratch(floats.build_cnn, "mnist", MNIST, first=12000),
    "mnist7-rot45": lambda: mnist7("rot45"),
    "resnet8-contrast-biases": lambda: resnet8(
        "contrast", RESNET_BIASES, floats.ResNet8.biases_and_head
    ),
    "resnet8-contrast-full": lambda: resnet8("contrast", RESNET_FULL),
    "resnet8-rot15-biases": lambda: resnet8("rot15", RESNET_BIASES, floats.ResNet8.biases_and_head),
    "resnet8-rot15-full": lambda: resnet8("rot15", RESNET_FULL),
}


def commit() -> str:
    """The commit this script ran from; "-modified" when the tree differed from it."""
    def git(*arguments):
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    dirty = git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return git("rev-parse", "--short=12", "HEAD") + ("-modified" if dirty else "")


def markdown(results: dict) -> str:
    """One row per baseline: mean of the seeds in bold, the seeds behind it."""
    lines = ["| baseline | images | unadapted | mean | seeds |", "|---|---|---|---|---|"]
    for name, result in results["baselines"].items():
        unadapted = f"{result['unadapted']:.2f}" if "unadapted" in result else "–"
        seeds = ", ".join(f"{value:.2f}" for value in result["accuracies"])
        cells = [name, f"{result['images']:,}", unadapted, f"**{result['mean']:.2f}**", seeds]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BASELINES)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    unknown = set(options.names) - set(BASELINES)
    if unknown:
        parser.error(f"no such baseline: {', '.join(sorted(unknown))}")

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    results = {"torch": torch.__version__, "commit": commit(), "seeds": SEEDS, "baselines": {}}
    for name in options.names or BASELINES:
        start = time.monotonic()
        result = BASELINES[name]()
        result["mean"] = round(float(np.mean(result["accuracies"])), 4)
        results["baselines"][name] = result
        seconds = time.monotonic() - start
        print(f"{name}: {result['mean']:.2f} % in {seconds:.0f} s", file=sys.stderr)
    text = json.dumps(results, indent=2)
    if options.output:
        options.output.write_text(text + "\n")
    print(text if options.json else markdown(results))


if __name__ == "__main__":
    main()
