"""Zeroth-order figures through the command: accuracy, memory, time of a query, replay.

    python3 Tools/bench/zeroth.py --tally .build/release/tally [--seeds 0 1 2] [--json FILE] [NAME …]
    python3 Tools/bench/zeroth.py --tally .build/release/tally --tune [NAME …]

Data are shifted copies of MNIST and CIFAR-10 in a temporary folder: 2,000 training samples. A pass is
one sample evaluated once, whole or in part: a step of B samples and Q antithetic queries takes
B·(2Q + 1). Settings were chosen with --tune, which tries the grid of a figure on 1,600 of the training
samples and scores it on the other 400, another 400 for each seed; the test set is used once, with
what was chosen.
Exit status: 0 when every figure is reached, 1 when one is missed, 2 when the command fails or the
data is not there.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import datasets
import shifts

# The trainable layers of the two networks, in order.
MNIST_LAYERS = ("Convolution28", "Convolution110")
RESNET_FIRST, RESNET_CONVOLUTIONS = "conv2d", 9


def group(layer: str, coordinates: str, span: int = 1) -> dict:
    return {"layer": layer, "coordinates": coordinates, "span": span}


def zeroth_order(head: str, *groups, **changes) -> dict:
    """A recipe of forward passes only."""
    return {"method": "zerothOrder", "zerothOrder": {"head": head, "groups": list(groups), **changes}}


def hybrid(update: dict, *groups) -> dict:
    return {"method": "hybrid", "update": {"layers": update}, "zerothOrder": {"groups": list(groups)}}


CONVOLUTIONS = (group(MNIST_LAYERS[0], "weights"), group(MNIST_LAYERS[1], "inputs"))
WEIGHTS = tuple(group(layer, "weights") for layer in MNIST_LAYERS)
NODES = tuple(group(layer, "nodes") for layer in MNIST_LAYERS)
GAINS = group(RESNET_FIRST, "gain", RESNET_CONVOLUTIONS)
STEM = group(RESNET_FIRST, "channelGains")
BOTH = ["weights", "biases"]
LATE_BIASES = {**{f"conv2d_{i}": ["biases"] for i in range(3, 9)}, "dense": BOTH}


class Figure:
    """A recipe, what it is tried on, and the least accuracy.

    passes: forward passes of the run; queries: per sample (0: one pass for each sample).
    grid: values that --tune tries, by key of the recipe ("zerothOrder.sigma" style paths go deeper).
    """

    def __init__(self, text, model, shift, recipe, at_least, passes, batch, grid=None, **settings):
        self.text, self.model, self.shift, self.at_least, self.passes = text, model, shift, at_least, passes
        self.recipe = {**recipe, "batch": batch, **settings}
        self.grid = grid or {}

    def resolved(self, seed: int, changes: dict | None = None) -> dict:
        recipe = {**self.recipe, "seed": seed, **(changes or {})}
        order = recipe.get("zerothOrder")
        evaluations = 1 if order is None else 1 + 2 * order.get("queries", 1)
        steps = max(1, self.passes // (recipe["batch"] * evaluations))
        return {**recipe, "steps": steps, "epochs": steps * recipe["batch"] // 1600 + 2}


RATES = {"learningRate": ["0.03", "0.1", "0.3"], "batch": [16, 32]}
FREE = {"trustRatio": "0", "normClip": "0"}
FIGURES = {
    "head": Figure(
        "mnist-7 rot30, head in closed form", "mnist7", "rot30", {"update": "last"}, 96.0, 10_000, 16,
        {"learningRate": ["0.1", "0.3", "1"]}, learningRate="0.3", **FREE),
    "zo-only": Figure(
        "mnist-7 rot30, ZO for all, adaptive", "mnist7", "rot30",
        zeroth_order("zerothOrder", *CONVOLUTIONS), 95.0, 150_000, 16, RATES, learningRate="0.1", **FREE),
    "zo-weights": Figure(
        "the same, weights only", "mnist7", "rot30",
        zeroth_order("frozen", *WEIGHTS, group("Times212", "weights")), None, 150_000, 16, RATES,
        learningRate="0.1", **FREE),
    "zo-nodes": Figure(
        "the same, nodes only", "mnist7", "rot30", zeroth_order("zerothOrder", *NODES), None, 150_000, 16,
        RATES, learningRate="0.1", **FREE),
    "zo-model": Figure(
        "the same, model-wise weights", "mnist7", "rot30",
        zeroth_order("frozen", group(MNIST_LAYERS[0], "weights", 3)), None, 150_000, 16, RATES,
        learningRate="0.1", **FREE),
    "frozen": Figure(
        "mnist-7 rot30, head frozen", "mnist7", "rot30", zeroth_order("frozen", *CONVOLUTIONS), 92.5,
        500_000, 16, RATES, learningRate="0.1", **FREE),
    "frozen-beyond": Figure(
        "the same with the sign of each difference and batches of 8", "mnist7", "rot30",
        zeroth_order("frozen", *CONVOLUTIONS, sign=True), 93.24, 500_000, 8,
        {"learningRate": ["0.3", "0.5", "1", "2"], "batch": [8, 16, 32]}, learningRate="1", **FREE),
    "gains": Figure(
        "ResNet8 contrast/4, layer gains + head", "resnet8", "contrast",
        zeroth_order("closedForm", GAINS), 85.0, 24_000, 8,
        {"learningRate": ["0.1", "0.3"], "learningRates": [{"scales": s} for s in ("0.003", "0.01", "0.03")]},
        learningRate="0.3", learningRates={"scales": "0.01"}, **FREE),
    "rot15": Figure(
        "ResNet8 rot15, stem channel gains + head", "resnet8-channels", "rot15",
        zeroth_order("closedForm", STEM), 67.0, 24_000, 8,
        {"learningRate": ["0.1", "0.3"], "learningRates": [{"scales": s} for s in ("0.003", "0.01", "0.03")]},
        learningRate="0.1", learningRates={"scales": "0.01"}, **FREE),
    "rot15-head": Figure(
        "ResNet8 rot15, head alone", "resnet8-channels", "rot15", {"update": "last"}, None, 24_000, 8,
        {"learningRate": ["0.1", "0.3"]}, learningRate="0.3", **FREE),
    "rot15-beyond": Figure(
        "ResNet8 rot15, biases of the late stages + ZO stem channel gains", "resnet8-channels", "rot15",
        hybrid(LATE_BIASES, STEM), None, 24_000, 8, {"learningRate": ["0.03", "0.1"]}, learningRate="0.1"),
    "rot15-beyond-bp": Figure(
        "the same without ZO, as many samples", "resnet8-channels", "rot15", {"update": {"layers": LATE_BIASES}}, None, 8_000,
        8, {"learningRate": ["0.03", "0.1"]}, learningRate="0.1"),
    "hybrid-resnet": Figure(
        "ResNet8 contrast/4, biases of the late stages + ZO gains before them", "resnet8", "contrast",
        hybrid(LATE_BIASES, group(RESNET_FIRST, "gain", 3)), 86.0, 24_000, 8,
        {"learningRate": ["0.03", "0.1"]}, learningRate="0.1"),
    "hybrid-resnet-bp": Figure(
        "the same without ZO", "resnet8", "contrast", {"update": {"layers": LATE_BIASES}}, None, 24_000, 8,
        {"learningRate": ["0.03", "0.1"]}, learningRate="0.1"),
    "hybrid-mnist": Figure(
        "mnist-7 rot45, ZO conv1 + BP conv2 and head", "mnist7", "rot45",
        hybrid({MNIST_LAYERS[1]: BOTH, "Times212": BOTH}, group(MNIST_LAYERS[0], "weights")), 95.3, 40_000,
        16, {"learningRate": ["0.03", "0.1"]}, learningRate="0.1", **FREE),
    "hybrid-mnist-head": Figure(
        "mnist-7 rot45, head alone", "mnist7", "rot45", {"update": "last"}, None, 20_000, 16,
        {"learningRate": ["0.1", "0.3"]}, learningRate="0.3", **FREE),
    "low-precision": Figure(
        "mnist-7 rot30, int8 only, batch 1, Q 8: nodes of conv2, logits", "mnist7-6bit", "rot30",
        zeroth_order("zerothOrder", NODES[1], queries=8, sign=True), 92.0, 100_000, 1,
        {"learningRate": ["0.001", "0.003", "0.01", "0.03"],
         "learningRates": [{"head": h} for h in ("0.03", "0.05", "0.07")]},
        learningRate="0.003", learningRates={"head": "0.05"}, weights="int8", **FREE),
    "low-precision-all": Figure(
        "the same, every layer", "mnist7-6bit", "rot30",
        zeroth_order("zerothOrder", *CONVOLUTIONS, queries=8, sign=True), None, 100_000, 1,
        {"learningRate": ["0.01", "0.03", "0.05"], "learningRates": [{"head": "0.05"}]},
        learningRate="0.03", learningRates={"head": "0.05"}, weights="int8", **FREE),
    "low-precision-bp": Figure(
        "the same by back-propagation, 6,000 samples", "mnist7-6bit", "rot30", {"update": "full"}, None,
        6_000, 1, {"learningRate": ["0.003", "0.01", "0.03"]}, learningRate="0.03", weights="int8", **FREE),
}  # fmt: skip


def coarser(model: bytes, bits: int) -> bytes:
    """The model with weights on a grid 2^bits coarser: int8 storage, fewer values."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
    import network
    import scalar

    net = network.read(model)
    half = 1 << (bits - 1)
    for node in net.nodes:
        if not node.is_weighted:
            continue
        node.weights = [(w + half) >> bits for w in node.weights]
        node.biases = [(b + half) >> bits for b in node.biases]
        node.weight_scales = [scalar.shifted(s, bits) for s in node.weight_scales]
        if node.accumulators:
            node.scale = scalar.shifted(node.scale, bits)
    return network.write(net)


def quieter(features: np.ndarray) -> np.ndarray:
    """Speech from farther away: the first coefficient, the level, 10 lower."""
    shifted = features.copy()
    shifted[:, :, 0] -= 10
    return shifted


class Bench:
    """The command, and a folder of what it works on."""

    def __init__(self, tally: str, folder: Path):
        self.tally, self.folder = tally, folder

    def run(self, *arguments) -> dict:
        """Runs a verb with --json and returns its result object."""
        done = subprocess.run([self.tally, *map(str, arguments), "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            raise SystemExit(2)
        return json.loads(done.stdout)

    def data(self, model: str, shift: str) -> tuple:
        """Paths of the shifted training (2,000 samples) and test sets."""
        root = datasets.data_root()
        network = model.split("-")[0]
        paths = []
        for part in ("train", "test"):
            path = self.folder / f"{network}-{shift}-{part}.npz"
            paths.append(path)
            if path.exists():
                continue
            if network == "dscnn":
                items, labels = datasets.read_npz(root / "kws01.npz")
                items = items[:500] if part == "train" else items[500:]
                labels = labels[:500] if part == "train" else labels[500:]
                np.savez(path, x=quieter(items), y=labels)
                continue
            if network == "mnist7":
                images, labels = datasets.read_mnist("mnist", "train" if part == "train" else "t10k")
                count = 2000 if part == "train" else None
                images, labels = images[:count], labels[:count]
            else:
                name = "train_2000" if part == "train" else "test_1800"
                images, labels = datasets.read_cifar(root / f"cifar10/{name}.bin.gz")
            shifts.write_npz(path, shifts.apply(shift, images), labels)
        return tuple(paths)

    def converted(self, model: str) -> Path:
        """The checkpoint converted, calibrated on images without a shift."""
        path = self.folder / f"{model}.tally"
        if path.exists():
            return path
        models = datasets.data_root() / "models"
        network, _, kind = model.partition("-")
        if network == "dscnn":
            self.run("convert", models / "dscnn-kws/dscnn-kws.onnx", "-o", path, "--calibrate",
                     f"{datasets.data_root()}/kws01.npz[0..<100]")  # fmt: skip
            return path
        if kind == "6bit":
            path.write_bytes(coarser(self.converted(network).read_bytes(), bits=2))
            return path
        if network == "mnist7":
            images, labels = datasets.read_mnist("mnist", "train")
            images, labels = images[:1000], labels[:1000]
            checkpoint, options = models / "mnist-cntk/mnist-7.onnx", ["--input-scale", "1/255"]
        else:
            images, labels = datasets.read_cifar(datasets.data_root() / "cifar10/train_2000.bin.gz")
            images, labels = images[:500], labels[:500]
            checkpoint = models / "resnet8-cifar10/resnet8-cifar10.onnx"
            options = ["--scales", "per-channel" if kind == "channels" else "per-layer"]
        calibration = self.folder / f"{network}-calibration.npz"
        if not calibration.exists():
            shifts.write_npz(calibration, images, labels)
        self.run("convert", checkpoint, "-o", path, "--calibrate", calibration, *options)
        return path

    def fold(self, train: Path, seed: int) -> Path:
        """The training samples with another fifth of them at the end for each seed."""
        path = self.folder / f"{train.stem}-fold{seed % 5}.npz"
        if not path.exists():
            with np.load(train) as arrays:
                images, labels = (np.roll(arrays[name], 400 * (seed % 5), axis=0) for name in "xy")
            shifts.write_npz(path, images, labels)
        return path

    def accuracy(self, figure: Figure, recipe: dict, tuning: bool) -> float:
        """Trains and evaluates; per cent."""
        train, test = self.data(figure.model, figure.shift)
        fold = self.fold(train, recipe["seed"]) if tuning else train
        source = f"{fold}[0..<1600]" if tuning else train
        target = f"{fold}[1600..<2000]" if tuning else test
        path, trained = self.folder / "recipe.json", self.folder / "trained.tally"
        path.write_text(json.dumps(recipe))
        self.run("train", self.converted(figure.model), "--data", source, "--recipe", path, "-o", trained,
                 "--journal", self.folder / "run.tlj", "--force")  # fmt: skip
        result = self.run("eval", trained, "--data", target)
        return 100 * result["correct"] / result["total"]


def tune(bench: Bench, name: str, figure: Figure, seeds: list) -> None:
    """Tries every point of the figure's grid on the validation split of each seed."""
    for values in itertools.product(*figure.grid.values()):
        changes = dict(zip(figure.grid, values))
        scores = [bench.accuracy(figure, figure.resolved(seed, changes), tuning=True) for seed in seeds]
        print(f"{name:18} {sum(scores) / len(scores):6.2f}  {scores}  {json.dumps(changes)}", flush=True)


def measure(bench: Bench, name: str, figure: Figure, seeds: list) -> dict:
    reached = [round(bench.accuracy(figure, figure.resolved(seed), tuning=False), 2) for seed in seeds]
    mean = round(sum(reached) / len(reached), 2)
    asked = "" if figure.at_least is None else f"asked {figure.at_least:.1f}"
    print(f"{name:18} {mean:6.2f}  {asked:10}  {figure.passes:7,} passes  {reached}", flush=True)
    return {"name": name, "what": figure.text, "passes": figure.passes, "mean": mean,
            "seeds": reached, "atLeast": figure.at_least,
            "isReached": figure.at_least is None or mean >= figure.at_least}  # fmt: skip


# ---------------------------------------------------------------------------- memory, time, replay


# Of each model: its first layer, its weighted layers, and the samples and rate of the short runs.
# Masters of all of ResNet8's weights would take 452 KB.
MEMORY = {
    "mnist7": (MNIST_LAYERS[0], 3, "rot30", "0.003"),
    "dscnn": ("L0", 10, "quiet", "0.03"),
    "resnet8": (RESNET_FIRST, 10, "contrast", "0.001"),
}


OWNED = ("weights", "biases", "weight scales", "masters")


def memory(bench: Bench, seeds: list) -> list:
    """RAM of zeroth order against inference with the same weights in RAM, one sample at a time, and a
    short run for each seed: what it touches of its memory, and the loss of its data before and after."""
    rows = []
    for model, (first, layers, shift, rate) in MEMORY.items():
        start = bench.converted(model)
        inference = bench.run("plan", start)
        train, _ = bench.data(model, shift)
        before = float(bench.run("eval", start, "--data", train)["loss"])
        weights, gains = group(first, "weights", layers), group(first, "gain", layers - 1)
        kinds = [("all weights", weights, "int8", rate), ("layer gains", gains, "int8", rate)]
        if model != "resnet8":
            kinds.append(("all weights and masters", weights, "masters", "0.03"))
        for text, chosen, storage, rate in kinds:
            recipe = {**zeroth_order("frozen", chosen), "weights": storage, "batch": 8, "microBatch": 1,
                      "steps": 500, "epochs": 100, "learningRate": rate}  # fmt: skip
            path, trained = bench.folder / "memory.json", bench.folder / "memory.tally"
            after = []
            for seed in seeds:
                path.write_text(json.dumps({**recipe, "seed": seed}))
                run = bench.run("train", start, "--data", train, "--recipe", path, "-o", trained,
                                "--journal", bench.folder / "memory.tlj", "--force")  # fmt: skip
                after.append(float(bench.run("eval", trained, "--data", train)["loss"]))
            mean = round(sum(after) / len(after), 4)
            plan = bench.run("plan", start, "--recipe", path)
            fast = bench.run("plan", start, "--recipe", path, "--fast")
            owned = sum(plan["byPurpose"].get(p, 0) for p in OWNED)
            ratio = plan["ramBytes"] / (inference["ramBytes"] + owned)
            # The command runs the faster layout of the same plan; a board's gives the same bytes.
            is_planned = fast["ramBytes"] == run["plannedBytes"] == run["usedBytes"]
            row = {"name": f"RAM {model}, {text}", "ramBytes": plan["ramBytes"],
                   "inferenceBytes": inference["ramBytes"], "parametersInRAM": owned, "ratio": round(ratio, 3),
                   "fastPlannedBytes": run["plannedBytes"], "fastUsedBytes": run["usedBytes"],
                   "lossBefore": before, "lossAfter": mean, "lossesAfter": after}  # fmt: skip
            row["isReached"] = ratio <= 1.10 and plan["ramBytes"] <= 256 << 10 and is_planned and mean < before
            rows.append(row)
            print(f"{row['name']:28} {plan['ramBytes']:8,} bytes, inference {inference['ramBytes']:,} + "
                  f"{owned:,}: {ratio:.3f}; planned {run['plannedBytes']:,}, used {run['usedBytes']:,}; "
                  f"loss {before:.4f} to {mean:.4f} {after}", flush=True)  # fmt: skip
    return rows


def query_cost(bench: Bench) -> list:
    """Time of one antithetic query of the first layer, in own forward passes."""
    rows = []
    for model, shift, first in (("mnist7", "rot30", MNIST_LAYERS[0]), ("resnet8", "contrast", RESNET_FIRST)):
        train, _ = bench.data(model, shift)
        start = bench.converted(model)

        def seconds(queries: int) -> float:
            """Of a training run of 1,600 samples, the least of three."""
            recipe = {**zeroth_order("frozen", group(first, "weights"), queries=queries), "batch": 32,
                      "epochs": 1, "rootEvery": 1000, "learningRate": "0"}  # fmt: skip
            path = bench.folder / "cost.json"
            path.write_text(json.dumps(recipe))
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                bench.run("train", start, "--data", f"{train}[0..<1600]", "--recipe", path, "-o",
                          bench.folder / "cost.tally", "--journal", bench.folder / "cost.tlj", "--force")
                times.append(time.perf_counter() - begin)
            return min(times)

        def forward(count: int) -> float:
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                bench.run("eval", start, "--data", f"{train}[0..<{count}]")
                times.append(time.perf_counter() - begin)
            return min(times)

        query = (seconds(9) - seconds(1)) / 8 / 1600
        own = (forward(2000) - forward(400)) / 1600
        rows.append({"name": f"query {model}", "microseconds": round(1e6 * query, 1),
                     "forwardMicroseconds": round(1e6 * own, 1), "ratio": round(query / own, 2),
                     "isReached": query / own <= 2.4})
        print(f"{rows[-1]['name']:28} {1e6 * query:.1f} µs, own forward {1e6 * own:.1f} µs: "
              f"{query / own:.2f}", flush=True)
    return rows


def replay(bench: Bench, steps: int) -> list:
    """A run of weights and gains, rebuilt from its journal without data."""
    train, _ = bench.data("mnist7", "rot30")
    start = bench.converted("mnist7")
    groups = [*WEIGHTS, group("Times212", "weights")]
    recipe = {**zeroth_order("frozen", *groups), "batch": 16, "epochs": steps, "steps": steps,
              "learningRate": "0.05", **FREE}  # fmt: skip
    path, journal = bench.folder / "replay.json", bench.folder / "replay.tlj"
    path.write_text(json.dumps(recipe))
    trained, again = bench.folder / "replay-a.tally", bench.folder / "replay-b.tally"
    bench.run("train", start, "--data", train, "--recipe", path, "-o", trained, "--journal", journal, "--force")
    result = bench.run("train", "--replay", journal, "--model", start, "-o", again, "--force")
    same = trained.read_bytes() == again.read_bytes()
    size = journal.stat().st_size
    each = size / (steps * 16)
    print(f"replay {steps} steps: {'the same bytes' if same else 'OTHER BYTES'}, {result['roots']} roots, journal "
          f"{size:,} bytes, {each:.1f} for each query", flush=True)
    return [{"name": "replay", "steps": steps, "isSame": same, "journalBytes": size,
             "bytesPerQuery": round(each, 2), "isReached": same and each <= 16}]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tune", action="store_true", help="score the grids on the validation split")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--folder", help="keep data and models here")
    parser.add_argument("--replay-steps", type=int, default=10_000)
    parser.add_argument("names", nargs="*", choices=[*FIGURES, "memory", "query", "replay", []])
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(options.folder or name)
        folder.mkdir(exist_ok=True)
        bench = Bench(options.tally, folder)
        for figure in options.names or [*FIGURES, "memory", "query", "replay"]:
            if options.tune and figure in FIGURES:
                tune(bench, figure, FIGURES[figure], options.seeds)
            elif figure in FIGURES:
                rows.append(measure(bench, figure, FIGURES[figure], options.seeds))
            elif figure == "memory":
                rows += memory(bench, options.seeds)
            elif figure == "query":
                rows += query_cost(bench)
            else:
                rows += replay(bench, options.replay_steps)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")
    raise SystemExit(0 if all(row["isReached"] for row in rows) else 1)


if __name__ == "__main__":
    main()
