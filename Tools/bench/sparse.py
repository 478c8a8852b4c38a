"""Sparse back-propagation: what it costs and what it reaches, through the command.

    python3 Tools/bench/sparse.py --tally .build/release/tally [--seeds 3] [NAME …]

Names: choices, scratch, cnn, finetune, time, memory, resnet8, selection. Each prints a Markdown table and writes its rows
into sparse.json beside this file, with the settings and the models' digests. Settings are chosen on
a split of the training images; the test set is read once per
run, after the last epoch.

Multiply-accumulates are counted as SPEC 8.12 keeps gradients: a kept channel of a sample costs
positions x fan-in for dW and as much again for dX, none for the first layer's dX; bias gradients,
ranking and pooling are not counted. The counts are the journals' kept records.
"""

import argparse
import json
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import shifts
from accuracy import INPUT, CommandFailed, Tally, convert_mnist7, idx_pair

HERE = Path(__file__).parent
RESULTS = HERE / "sparse.json"


# ---------------------------------------------------------------------------- journals


def kept_counts(journal: Path) -> list:
    """Per sparse node (sum of k, of min(k, c), of c) over all steps; and the number of samples."""
    data, offset = journal.read_bytes(), 16
    sums, samples = [], 0
    while offset < len(data):
        (header,) = struct.unpack_from("<I", data, offset)
        kind, size = header & 255, header >> 8
        body = offset + 4
        if kind == 2:
            samples += struct.unpack_from("<I", data, body + 4)[0]
        if kind == 8:
            (count,) = struct.unpack_from("<I", data, body + 4)
            words = struct.unpack_from(f"<{3 * count}I", data, body + 8)
            sums = sums or [0] * (3 * count)
            sums = [a + b for a, b in zip(sums, words)]
        offset = body + size + (8 if kind < 128 else 0)
    return [tuple(sums[i : i + 3]) for i in range(0, len(sums), 3)], samples


@dataclass
class Layer:
    """A weighted layer as the MAC count sees it."""

    channels: int
    fan_in: int
    positions: int = 1

    @property
    def per_channel(self) -> int:
        return self.fan_in * self.positions


def backward_macs(layers: list, channels: list) -> float:
    """dW and dX for the mean number of channels that each layer keeps per sample."""
    return sum(
        kept * layer.per_channel * (1 if first else 2)
        for first, (layer, kept) in zip([True] + [False] * len(layers), zip(layers, channels))
    )


def dense_macs(layers: list) -> float:
    return backward_macs(layers, [layer.channels for layer in layers])


# ---------------------------------------------------------------------------- runs


@dataclass
class Bench:
    """The command, a folder for files, and the seeds."""

    tally: Tally
    seeds: tuple
    results: dict = field(default_factory=dict)

    def train(self, model, data, recipe: dict, seed: int, compact: bool = False):
        """Trains; gives the trained model, the journal and the seconds it took."""
        folder = self.tally.folder
        path = folder / "recipe.json"
        path.write_text(json.dumps({**recipe, "seed": seed}))
        trained, journal = folder / "trained.tally", folder / "run.tlj"
        for old in (trained, journal):
            old.unlink(missing_ok=True)
        start = time.monotonic()
        self.tally.run(
            "train", model, "--data", data, "--recipe", path, "-o", trained, "--journal", journal
        )
        return trained, journal, time.monotonic() - start

    def run(self, model, data, test, recipe: dict, seed: int) -> dict:
        trained, journal, seconds = self.train(model, data, recipe, seed)
        accuracy, digest = self.tally.evaluate(trained, test)
        counts, samples = kept_counts(journal)
        return {
            "seed": seed, "accuracy": round(accuracy, 4), "modelDigest": digest,
            "kept": [[round(v / samples, 6) for v in c] for c in counts],
            "seconds": round(seconds, 1),
        }  # fmt: skip

    def runs(self, model_of, data, test, recipe: dict) -> list:
        return [self.run(model_of(seed), data, test, recipe, seed) for seed in self.seeds]


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def mean_accuracy(runs: list) -> float:
    return round(mean(run["accuracy"] for run in runs), 2)


def mean_kept(runs: list, which: int) -> list:
    """Mean per node of the counts: 0 selected, 1 selected and not zero, 2 not zero."""
    return [mean(run["kept"][node][which] for run in runs) for node in range(len(runs[0]["kept"]))]


def table(header: list, rows: list) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def tiny_prop(minimum, maximum="1", zeta="1", **more) -> dict:
    fields = {"kind": "tinyprop", "minimum": minimum, "maximum": maximum, "zeta": zeta}
    return {**fields, **more}


def top_k(ratio: float, **more) -> dict:
    return {"kind": "topk", "ratio": f"{ratio:.5f}", **more}


# ---------------------------------------------------------------------------- from scratch

MLPS = {
    "784-128-10": (HERE / "accuracy/fashion-mlp.network.json", [Layer(128, 784), Layer(10, 128)]),
    "784-100-50-10": (
        HERE / "sparse/mlp2.network.json",
        [Layer(100, 784), Layer(50, 100), Layer(10, 50)],
    ),
}
SCRATCH = {
    "epochs": 6, "batch": 32, "learningRate": "0.1", "schedule": {"kind": "cosine"},
    "trustRatio": "0", "normClip": "0",
}  # fmt: skip
# S_min: the most accurate of those that save five times or more on the last 10,000 training images, seed 0:
# `sparse.py choices`.
MINIMUM = {
    ("784-128-10", "mnist"): "0.2", ("784-100-50-10", "mnist"): "0.2",
    ("784-128-10", "fashion-mnist"): "0.1", ("784-100-50-10", "fashion-mnist"): "0.15",
}  # fmt: skip


def initialised(bench: Bench, network: Path):
    def model(seed: int) -> Path:
        path = bench.tally.folder / f"init-{seed}.tally"
        bench.tally.run("init", network, "-o", path, "--seed", seed, *INPUT)
        return path

    return model


def equal_top_k(bench: Bench, model, data, test, layers: list, target: float, head: int) -> list:
    """Runs of a fixed top-k that costs `target` MACs, its recipe first.

    Samples whose gradient is zero cost nothing, so what a ratio costs is measured, with the first seed.
    """
    ratio, tried, below, above = target / dense_macs(layers), [], None, None
    for _ in range(6):
        recipe = SCRATCH | {"sparseGradients": top_k(ratio, headMinimum=head)}
        run = bench.run(model(bench.seeds[0]), data, test, recipe, bench.seeds[0])
        spent = backward_macs(layers, [kept[0] for kept in run["kept"]])
        tried.append((abs(spent / target - 1), recipe, run))
        print("top-k", f"{ratio:.3f}", f"{spent / target:.2f}", run["accuracy"], file=sys.stderr, flush=True)
        if tried[-1][0] < 0.07 or ratio == 1 and spent < target:
            break
        below, above = (ratio, above) if spent < target else (below, ratio)
        guess = ratio * target / spent
        ratio = (below * above) ** 0.5 if below and above else min(1.0, guess)
    _, recipe, run = min(tried, key=lambda t: t[0])
    more = [bench.run(model(seed), data, test, recipe, seed) for seed in bench.seeds[1:]]
    return recipe["sparseGradients"], [run] + more


def choices(bench: Bench) -> str:
    """S_min on the last 10,000 training images, seed 0."""
    rows = []
    for folder in ("fashion-mnist", "mnist"):
        base = idx_pair(folder, "train")
        for name, (network, layers) in MLPS.items():
            model = initialised(bench, network)(0)
            for minimum in (None, "0.1", "0.15", "0.2", "0.25"):
                more = {"sparseGradients": tiny_prop(minimum)} if minimum else {}
                run = bench.run(
                    model, f"{base}[0..<50000]", f"{base}[50000..<60000]", SCRATCH | more, 0)
                saved = 1.0
                if minimum:
                    saved = dense_macs(layers) / backward_macs(layers, [k[0] for k in run["kept"]])
                rows.append(
                    [f"{name}, {folder}", minimum or "dense", f"{run['accuracy']:.2f}", f"{saved:.2f}"])
                print(rows[-1], file=sys.stderr, flush=True)
    bench.results["choices"] = rows
    return table(["network, data", "S_min", "validation", "MACs saved"], rows)


def scratch(bench: Bench) -> str:
    """Against fixed top-k of equal MACs: both with two channels of the head at least, both with all."""
    rows, results = [], []
    for folder in ("fashion-mnist", "mnist"):
        for name, (network, layers) in MLPS.items():
            model, full = initialised(bench, network), dense_macs(layers)
            data, test = idx_pair(folder, "train"), idx_pair(folder, "t10k")
            dense = bench.runs(model, data, test, SCRATCH)
            for head in (2, layers[-1].channels):
                fields = tiny_prop(MINIMUM[name, folder], headMinimum=head)
                tiny = bench.runs(model, data, test, SCRATCH | {"sparseGradients": fields})
                spent = backward_macs(layers, mean_kept(tiny, 0))
                zeros = backward_macs(layers, mean_kept(tiny, 2))
                top, fixed = equal_top_k(bench, model, data, test, layers, spent, head)
                other = backward_macs(layers, mean_kept(fixed, 0))
                a, b, c = (mean_accuracy(runs) for runs in (dense, tiny, fixed))
                rows.append([
                    f"{name}, {folder}, head ≥ {head}", f"{a:.2f}", f"{b:.2f}", f"{a - b:.2f}",
                    f"{full / spent:.1f}×", f"{zeros / spent:.2f}×", f"{c:.2f}", f"{full / other:.1f}×",
                    f"{b - c:+.2f}",
                ])  # fmt: skip
                results.append({
                    "network": name, "data": folder, "head": head, "tinyProp": fields, "topK": top,
                    "denseMACs": full, "tinyPropMACs": spent, "zeroSkippingMACs": zeros,
                    "topKMACs": other, "runs": {"dense": dense, "TinyProp": tiny, "top-k": fixed},
                })  # fmt: skip
                print(rows[-1], file=sys.stderr, flush=True)
                bench.results["scratch"] = results
                save(bench.results)
    return table(
        ["network, data", "dense", "TinyProp", "lost", "MACs saved", "… against skipping zeros",
         "fixed top-k", "MACs saved", "TinyProp − top-k"], rows)  # fmt: skip


# ---------------------------------------------------------------------------- a small CNN

CNN = [Layer(8, 9, 784), Layer(16, 72, 196), Layer(10, 784)]


def cnn(bench: Bench) -> str:
    """Fashion-MNIST, 10,000 images, 3 epochs: the curve, channel by channel."""
    settings = [
        ("dense", None), ("TinyProp (0, 1)", tiny_prop("0")), ("TinyProp (.1, .5)", tiny_prop("0.1", "0.5")),
        ("TinyProp (.3, 1)", tiny_prop("0.3")), ("TinyProp (.3, 1), decay 4", tiny_prop("0.3", decay=4)),
        ("top-k .25", top_k(0.25)), ("top-k .375", top_k(0.375)), ("top-k .5", top_k(0.5)),
        # The head costs 3 % of the products: kept whole, and deeper layers thinned more.
        ("top-k .25, head whole", top_k(0.25, headMinimum=10)),
        ("TinyProp (.1, .5), head whole", tiny_prop("0.1", "0.5", headMinimum=10)),
        ("top-k 1, ζ .25", tiny_prop("1", zeta="0.25")),
        ("top-k 1, ζ .375", tiny_prop("1", zeta="0.375")),
        ("top-k 1, ζ .5", tiny_prop("1", zeta="0.5")),
    ]  # fmt: skip
    model = initialised(bench, HERE / "accuracy/mnist-cnn.network.json")
    data = idx_pair("fashion-mnist", "train") + "[0..<10000]"
    rows, results = [], []
    for name, gradients in settings:
        recipe = SCRATCH | {"epochs": 3} | ({"sparseGradients": gradients} if gradients else {})
        runs = bench.runs(model, data, idx_pair("fashion-mnist", "t10k"), recipe)
        saved = dense_macs(CNN) / backward_macs(CNN, mean_kept(runs, 0)) if gradients else 1.0
        rows.append([name, f"{mean_accuracy(runs):.2f}", f"{saved:.2f}×"])
        results.append({"setting": name, "saved": saved, "runs": runs})
        print(rows[-1], file=sys.stderr, flush=True)
        bench.results["cnn"] = results
        save(bench.results)
    return table(["Fashion-MNIST, CNN 8-16-fc", "accuracy", "MACs saved"], rows)


# ---------------------------------------------------------------------------- fine-tuning mnist-7

MNIST7 = [Layer(8, 25, 784), Layer(16, 200, 196), Layer(10, 256)]


def shifted_mnist(bench: Bench, shift: str) -> dict:
    paths = {}
    for part, count in (("train", 2000), ("t10k", None)):
        images, labels = datasets.read_mnist("mnist", part)
        paths[part] = bench.tally.folder / f"{shift}-{part}.npz"
        shifts.write_npz(paths[part], shifts.apply(shift, images[:count]), labels[:count])
    return paths


def finetune(bench: Bench) -> str:
    """mnist-7 on rot30: 2,000 images, 5 epochs, batch 16."""
    model = convert_mnist7(bench.tally)
    paths = shifted_mnist(bench, "rot30")
    parameters = sum(layer.channels * (layer.fan_in + 1) for layer in MNIST7)
    base = {
        "epochs": 5, "batch": 16, "learningRate": "0.1", "schedule": {"kind": "cosine"},
        "trustRatio": "0", "normClip": "0",
    }  # fmt: skip
    settings = [
        ("full", None), ("TinyProp (0, 1), ζ .5", tiny_prop("0", zeta="0.5")),
        ("TinyProp (0, .5), ζ .5", tiny_prop("0", "0.5", "0.5")),
        ("TinyProp (0, .3), ζ .25", tiny_prop("0", "0.3", "0.25")),
    ]  # fmt: skip
    rows, results = [], []
    for name, gradients in settings:
        recipe = base | ({"sparseGradients": gradients} if gradients else {})
        runs = bench.runs(lambda seed: model, paths["train"], paths["t10k"], recipe)
        share, saved = 1.0, 1.0
        if gradients:
            kept = mean_kept(runs, 1)
            share = sum(k * (layer.fan_in + 1) for k, layer in zip(kept, MNIST7)) / parameters
            saved = dense_macs(MNIST7) / backward_macs(MNIST7, mean_kept(runs, 0))
        rows.append([name, f"{mean_accuracy(runs):.2f}", f"{100 * share:.1f} %", f"{saved:.1f}×"])
        results.append({"setting": name, "touched": share, "saved": saved, "runs": runs})
        print(rows[-1], file=sys.stderr)
    bench.results["finetune"] = results
    return table(["mnist-7 on rot30", "accuracy", "parameters touched per sample", "MACs saved"], rows)


# ---------------------------------------------------------------------------- time


def timing(bench: Bench) -> str:
    """Backward passes at fixed kept ratios against dense, without forward pass, hashes and journal."""
    rows = bench.tally.run("bench", "--only", "backward")["rows"]
    values = {row["id"]: row["value"] for row in rows}
    result = []
    for row in rows:
        if row["id"].endswith("/dense"):
            stem = row["id"].removeprefix("backward/").removesuffix("/dense")
            gains = [values[f"4b/{stem}/{ratio}"] for ratio in ("0.5", "0.25", "0.1")]
            result.append([stem.replace("/b", ", batch "), f"{row['value']} µs"] + [f"{g}×" for g in gains])
    bench.results["time"] = rows
    return table(["backward pass and update", "dense", "kept 0.5", "kept 0.25", "kept 0.1"], result)


# ---------------------------------------------------------------------------- memory


def memory(bench: Bench) -> str:
    """Full training state, one sample at a time: what `plan` says and what a run in that memory uses."""
    root = datasets.data_root()
    keywords = f"{root}/kws01.npz"
    dscnn = bench.tally.folder / "dscnn.tally"
    bench.tally.run(
        "convert", root / "models/dscnn-kws/dscnn-kws.onnx", "-o", dscnn, "--calibrate",
        f"{keywords}[0..<500]")  # fmt: skip
    cases = [
        ("DS-CNN", dscnn, f"{keywords}[0..<64]"),
        ("mnist-7", convert_mnist7(bench.tally), idx_pair("mnist", "train") + "[0..<64]"),
    ]
    rows = []
    for name, model, data in cases:
        for weights in ("masters", "int8"):
            recipe = {"epochs": 1, "batch": 16, "microBatch": 1, "update": "full", "weights": weights}
            path = bench.tally.folder / "memory.json"
            path.write_text(json.dumps(recipe))
            plan = planned(bench, model, recipe)
            run = bench.tally.run(
                "train", model, "--data", data, "--recipe", path, "--compact", "-o",
                bench.tally.folder / "m.tally", "--journal", bench.tally.folder / "m.tlj")  # fmt: skip
            rows.append([name, weights, plan["ramBytes"], run["plannedBytes"], run["usedBytes"],
                         plan["lowerBound"], plan["flashBytes"], plan["stackBytes"], plan["journalBytes"]])
    bench.results["memory"] = rows
    return table(
        ["all weights, one sample at a time", "weights", "plan, bytes", "arena of the run", "written to",
         "lower bound", "flash", "stack", "journal, a step"],
        [[f"{v:,}" if isinstance(v, int) else v for v in row] for row in rows])  # fmt: skip


# ---------------------------------------------------------------------------- ResNet8 in 256 KiB


def converted_resnet8(bench: Bench, scales: str = "per-layer", *more) -> Path:
    model = bench.tally.folder / f"resnet8-{scales}{'-'.join(more)}.tally"
    root = datasets.data_root()
    bench.tally.run(
        "convert", root / "models/resnet8-cifar10/resnet8-cifar10.onnx", "-o", model, "--calibrate",
        f"cifar:{root}/cifar10/train_2000.bin.gz[0..<500]", "--scales", scales, *more,
    )  # fmt: skip
    return model


def shifted_cifar(bench: Bench, shift: str) -> dict:
    paths = {}
    for part, name in (("train", "train_2000"), ("test", "test_1800")):
        images, labels = datasets.read_cifar(datasets.data_root() / f"cifar10/{name}.bin.gz")
        paths[part] = bench.tally.folder / f"{shift}-{part}.npz"
        shifts.write_npz(paths[part], shifts.apply(shift, images), labels)
    return paths


# Rates chosen on the last 400 and the first 400 training images, trained on the others (README).
TUNING = {
    "epochs": 5, "batch": 16, "microBatch": 1, "learningRate": "0.003", "momentum": "0.9",
    "learningRates": {"biases": "0.01", "head": "0.01", "scales": "0.03"},
    "schedule": {"kind": "cosine"}, "trustRatio": "0", "normClip": "1",
}  # fmt: skip
# Weights beside channel Scales: a tenth of the rate.
CHOSEN = TUNING | {"learningRate": "0.0003"}
BUDGET = 262_144


def planned(bench: Bench, model: Path, recipe: dict) -> dict:
    path = bench.tally.folder / "plan.json"
    path.write_text(json.dumps(recipe))
    return bench.tally.run("plan", model, "--recipe", path)


def selected(
    bench: Bench, model: Path, way: str, data: str, recipe: dict, seed: int = 1, trial: int = 0
) -> dict:
    """What `plan --select` says, with the recipe that it writes.

    `trial`: epochs of the runs that contribution and search make, on 1,600 images, with 400 to count on.
    """
    path = bench.tally.folder / "template.json"
    path.write_text(json.dumps(recipe | {"seed": seed} | ({"epochs": trial} if trial else {})))
    parts = [data, data]
    if trial:
        parts = [f"{data}[0..<1600]", f"{data}[1600..<2000]"]
    result = bench.tally.run(
        "plan", model, "--budget", BUDGET, "--select", way, "--recipe", path, "--data", parts[0],
        "--validate", parts[1],
    )  # fmt: skip
    result["recipe"]["epochs"] = recipe["epochs"]
    return result


def step_macs(layers: list) -> int:
    """One sample's multiply-accumulates for dW of what changes and dX behind the first change."""
    first = min(i for i, layer in enumerate(layers) if layer["update"])
    return sum(layer["macs"] for layer in layers[first + 1 :]) + sum(
        layer["macs"] * layer["chosenWeights"] // layer["weights"] for layer in layers
    )


def scheme_layers(bench: Bench, model: Path, recipe: dict) -> list:
    """The rows of `plan --select` for a recipe that names whole layers."""
    path = bench.tally.folder / "macs.json"
    path.write_text(json.dumps(recipe))
    named = bench.tally.run("train", model, "--recipe", path, "--dry-run")["recipe"]["update"]["layers"]
    layers = bench.tally.run("plan", model, "--select", "random", "--budget", 1 << 30)["layers"]
    for layer in layers:
        layer["update"] = named.get(layer["name"], [])
        layer["chosenWeights"] = layer["weights"] if "weights" in layer["update"] else 0
    return layers


def resnet8_entry(bench: Bench, name: str, model: Path, scheme, shifts_: tuple) -> dict:
    """Accuracy of a scheme: keys of a recipe, or a way to select (with epochs of its trial runs)."""
    entry = {"scheme": name, "runs": {}}
    for shift in shifts_:
        paths = shifted_cifar(bench, shift)
        chosen, runs = None, []
        for seed in bench.seeds:
            if isinstance(scheme, dict):
                recipe = TUNING | scheme
                layers = scheme_layers(bench, model, recipe)
            else:
                way, trial = scheme
                # Lots differ by seed; the other ways depend on the data alone.
                if chosen is None or way == "random":
                    chosen = selected(bench, model, way, str(paths["train"]), CHOSEN, seed + 1, trial)
                recipe, layers = chosen["recipe"], chosen["layers"]
            runs.append(bench.run(model, str(paths["train"]), str(paths["test"]), recipe, seed))
        entry["ramBytes"] = planned(bench, model, recipe)["ramBytes"]
        entry["macs"] = step_macs(layers)
        entry["runs"][shift] = runs
        print(name, shift, [r["accuracy"] for r in runs], entry["ramBytes"], file=sys.stderr, flush=True)
    return entry


def resnet8_table(entries: list, shifts_: tuple) -> str:
    rows = []
    for e in entries:
        means = [mean_accuracy(e["runs"][shift]) for shift in shifts_]
        rows.append([e["scheme"]] + [f"{m:.2f}" for m in means] + [f"{mean(means):.2f}"]
                    + [f"{e['ramBytes']:,}", f"{e['macs'] / 1e6:.2f} M"])
    return table(["ResNet8", *shifts_, "mean", "peak RAM, bytes", "MACs backward, a sample"], rows)


def resnet8(bench: Bench) -> str:
    """Every scheme on contrast/4 and rot15: test accuracy, peak RAM, multiply-accumulates."""
    plain = converted_resnet8(bench)
    channels = converted_resnet8(bench, "per-channel")
    lite = converted_resnet8(bench, "per-layer", "--lite-residual")
    batch = {"microBatch": 16}
    int8 = {"weights": "int8", "momentum": "0", "trustRatio": "0.003", "learningRate": "0.03",
            "learningRates": {"biases": "0.1", "head": "0.1"}}
    schemes = [
        ("last", plain, {"update": "last"}),
        ("TinyTL, biases alone", plain, {"update": "biases"}),
        ("biases + last", plain, {"update": "bias+last"}),
        ("scales alone", plain, {"update": "scales"}),
        ("scales + biases + last", plain, {"update": "scales+biases+last"}),
        ("channel scales + biases + last", channels, {"update": "scales+biases+last"}),
        ("channel scales + biases + last, micro-batch 16", channels,
         {"update": "scales+biases+last"} | batch),
        ("TinyTL, lite residual, micro-batch 16", lite, {
            "update": "lite+biases+last", "learningRate": "0.001",
            "learningRates": {"biases": "0.003", "head": "0.01", "scales": "0.03"}} | batch),
        ("MCUNetV3, contribution, 256 KiB", channels, ("contribution", 2)),
        ("MCUNetV3, search, 256 KiB", channels, ("search", 1)),
        ("TinyProp (.5, 1), head whole, all weights, micro-batch 16", plain, {
            "update": "full", "learningRate": "0.001",
            "sparseGradients": tiny_prop("0.5", headMinimum=10)} | batch),
        ("all weights, micro-batch 16", plain, {"update": "full"} | batch),
        ("all weights, int8 alone, micro-batch 16", plain, {"update": "full"} | int8 | batch),
    ]  # fmt: skip
    shifts_, results = ("contrast", "rot15"), []
    for name, model, scheme in schemes:
        results.append(resnet8_entry(bench, name, model, scheme, shifts_))
        bench.results["resnet8"] = results
        save(bench.results)
    return resnet8_table(results, shifts_)


def selection(bench: Bench) -> str:
    """What is chosen within 256 KiB by three rules, on three shifts."""
    channels = converted_resnet8(bench, "per-channel")
    shifts_, results = ("contrast", "rot15", "noise"), []
    ways = [("Fisher (TinyTrain)", "fisher"), ("Fisher potentials alone", "potential"),
            ("by lot", "random"), ("magnitude", "magnitude")]
    for name, way in ways:
        results.append(resnet8_entry(bench, f"{name}, 256 KiB", channels, (way, 0), shifts_))
        bench.results["selection"] = results
        save(bench.results)
    return resnet8_table(results, shifts_)


SECTIONS = {
    "choices": choices, "scratch": scratch, "cnn": cnn, "finetune": finetune, "time": timing,
    "memory": memory, "resnet8": resnet8, "selection": selection,
}  # fmt: skip


def save(results: dict) -> None:
    """Puts results beside those of earlier calls."""
    old = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps(old | results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--tally", type=Path, required=True, help="the built command")
    parser.add_argument("--seeds", type=int, default=3, help="runs per setting (default 3)")
    options = parser.parse_args()
    unknown = set(options.names) - set(SECTIONS)
    if unknown:
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    if not options.tally.is_file():
        parser.error(f"no command at {options.tally}; build it with swift build -c release")
    for name in options.names or SECTIONS:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Tally(options.tally.resolve(), Path(folder)), tuple(range(options.seeds)))
            try:
                print(SECTIONS[name](bench), flush=True)
            except CommandFailed as failure:
                print(f"{name}: {failure}", file=sys.stderr)
                raise SystemExit(2)
        save(bench.results)
        print()


if __name__ == "__main__":
    main()
