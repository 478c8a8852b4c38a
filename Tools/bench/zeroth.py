"""Zeroth-order figures through the command: test accuracy per seed, against what was asked.

    python3 Tools/bench/zeroth.py --tally .build/release/tally [--seeds 0 1 2] [NAME …]

Data are shifted copies of MNIST and CIFAR-10 in a temporary folder. A pass is one sample evaluated
once: a step of B samples and Q antithetic queries takes B·(2Q + 1). Exit status: 0 when every
figure is reached, 1 when one is missed, 2 when the command fails or the data is not there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import shifts


def group(layer: str, coordinates: str, span: int = 1) -> dict:
    return {"layer": layer, "coordinates": coordinates, "span": span}


def zeroth_order(head: str, *groups, **changes) -> dict:
    return {"method": "zerothOrder", "zerothOrder": {"head": head, "groups": list(groups), **changes}}


CONVOLUTIONS = (group("Convolution28", "weights"), group("Convolution110", "inputs"))
# 32 samples, base and two perturbed evaluations.
PASSES_PER_STEP = 96

FIGURES = {
    # name: (model, shift, recipe, at least)
    "head": ("mnist7", "rot30", {"update": "last", "epochs": 5, "batch": 16, "learningRate": "1"}, 96.0),
    "zo-only": (
        "mnist7", "rot30",
        {**zeroth_order("zerothOrder", *CONVOLUTIONS), "epochs": 25, "learningRate": "0.1",
         "steps": 150_000 // PASSES_PER_STEP, "trustRatio": "0.03"}, 95.0),
    "frozen": (
        "mnist7", "rot30",
        {**zeroth_order("frozen", *CONVOLUTIONS), "epochs": 90, "learningRate": "0.1",
         "steps": 500_000 // PASSES_PER_STEP, "trustRatio": "0.03"}, 92.5),
    "gains": (
        "resnet8", "contrast",
        {**zeroth_order("closedForm", group("conv2d", "gain", 9)), "epochs": 4, "batch": 8,
         "steps": 1000, "learningRate": "0.3", "trustRatio": "0.03"}, 85.0),
    "rot15": (
        "resnet8-channels", "rot15",
        {**zeroth_order("closedForm", group("conv2d", "channelGains")), "epochs": 4, "batch": 8,
         "steps": 1000, "learningRate": "0.3", "trustRatio": "0.03"}, 67.0),
}  # fmt: skip


def run(tally: str, *arguments) -> dict:
    """Runs a verb with --json and returns its result object."""
    done = subprocess.run([tally, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(2)
    return json.loads(done.stdout)


def data(folder: Path, model: str, shift: str) -> tuple:
    """Paths of the shifted training (2,000 samples) and test sets."""
    root = datasets.data_root()
    paths = []
    for part in ("train", "test"):
        if model == "mnist7":
            images, labels = datasets.read_mnist("mnist", "train" if part == "train" else "t10k")
            count = 2000 if part == "train" else None
            images, labels = images[:count], labels[:count]
        else:
            name = "train_2000" if part == "train" else "test_1800"
            images, labels = datasets.read_cifar(root / f"cifar10/{name}.bin.gz")
        path = folder / f"{model}-{shift}-{part}.npz"
        if not path.exists():
            shifts.write_npz(path, shifts.apply(shift, images), labels)
        paths.append(path)
    return tuple(paths)


def converted(tally: str, folder: Path, model: str) -> Path:
    """The checkpoint converted, calibrated on images without a shift."""
    path = folder / f"{model}.tally"
    if path.exists():
        return path
    models = datasets.data_root() / "models"
    if model == "mnist7":
        images, labels = datasets.read_mnist("mnist", "train")
        checkpoint, options = models / "mnist-cntk/mnist-7.onnx", ["--input-scale", "1/255"]
        images, labels = images[:1000], labels[:1000]
    else:
        checkpoint = models / "resnet8-cifar10/resnet8-cifar10.onnx"
        kind = "per-channel" if model.endswith("channels") else "per-layer"
        options = ["--scales", kind]
        images, labels = datasets.read_cifar(datasets.data_root() / "cifar10/train_2000.bin.gz")
        images, labels = images[:500], labels[:500]
    calibration = folder / f"{model}-calibration.npz"
    shifts.write_npz(calibration, images, labels)
    run(tally, "convert", checkpoint, "-o", path, "--calibrate", calibration, *options)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []])
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for figure in options.names or FIGURES:
            model, shift, recipe, asked = FIGURES[figure]
            train, test = data(folder, model, shift)
            start = converted(options.tally, folder, model)
            reached = []
            for seed in options.seeds:
                path = folder / "recipe.json"
                path.write_text(json.dumps({**recipe, "seed": seed}))
                trained = folder / "trained.tally"
                run(options.tally, "train", start, "--data", train, "--recipe", path, "-o", trained,
                    "--journal", folder / "run.tlj", "--force")  # fmt: skip
                result = run(options.tally, "eval", trained, "--data", test)
                reached.append(100 * result["correct"] / result["total"])
            mean = sum(reached) / len(reached)
            missed = missed or mean < asked
            each = " ".join(f"{value:.2f}" for value in reached)
            print(f"{figure:10} mean {mean:.2f}  asked {asked:.1f}  seeds {each}", flush=True)
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
