"""Times Tally beside its peers, alternating on one core, and prints one table.

    python3 Tools/bench/compare.py --tally .build/release/tally [--quick] [--json] [--core N]

Peers run where they are installed: PyTorch (training steps and zeroth-order queries, fp32), LiteRT with XNNPACK
(int8 inference), ONNX Runtime (int8 inference and products), and a hand-written C float32 step (clang). Trained
models come from the data folder (TALLY_DATA, or shared/data beside the repository), the others have seeded random
weights. Each round runs Tally, then the peer, on the same pinned core; a ratio is the median over the rounds, with
the least and the most. Times are CPU time of one thread. `reached` is goal, gate or missed (gate: what fails the
check; goal: what is aimed at); rows without either are facts.

Exit status: 0 when every gate that was measured is reached, 1 when one is missed, 2 when a command fails.
"""

import argparse
import gzip
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"


class CommandFailed(Exception):
    """A command's exit status was not 0; says which and what it printed."""


@dataclass
class Row:
    """One line of the table. `sense` is atLeast or atMost; a row without a gate is a fact."""

    id: str
    quantity: str
    value: float
    low: float | None = None
    high: float | None = None
    sense: str | None = None
    gate: float | None = None
    goal: float | None = None
    unit: str = ""
    digest: str = ""

    @property
    def reached(self) -> str:
        if self.gate is None:
            return ""
        better = (lambda limit: self.value >= limit) if self.sense == "atLeast" else (
            lambda limit: self.value <= limit)
        return "goal" if better(self.goal) else "gate" if better(self.gate) else "missed"

    @property
    def cells(self) -> list[str]:
        sign = {"atLeast": "≥ ", "atMost": "≤ "}.get(self.sense, "")
        show = lambda value: "" if value is None else figure(value)
        span = f"{show(self.low)}–{show(self.high)}" if self.low is not None else ""
        return [self.id, self.quantity, show(self.value) + (f" {self.unit}" if self.unit else ""), span,
                sign + show(self.gate) if sign else "", sign + show(self.goal) if sign else "",
                self.reached, self.digest[:12]]


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Machine:
    """Runs commands pinned to one core and reads the JSON they print."""

    def __init__(self, tally: Path, core: int, quick: bool, work: Path):
        self.tally, self.core, self.quick, self.work = tally, core, quick, work
        self.pin = ["taskset", "-c", str(core)] if shutil.which("taskset") else []

    def lines(self, command: list, is_pinned: bool = True) -> list[dict]:
        pin = self.pin if is_pinned else []
        done = subprocess.run([*pin, *map(str, command)], capture_output=True, text=True)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(map(str, command))}: {done.stderr[-400:]}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def own(self, group: str) -> dict[str, dict]:
        """Rows of `tally bench`, by id."""
        command = [self.tally, "bench", "--only", group, "--json", "-q"] + ["--quick"] * self.quick
        # Two threads on one core would show nothing.
        return {row["id"]: row for row in self.lines(command, group != "threads")[0]["rows"]}

    def peer(self, script: str, *arguments) -> list[dict]:
        seconds = ["--seconds", "0.3" if self.quick else "1.0"]
        return self.lines([sys.executable, PEERS / script, *arguments, *seconds])

    def program(self, name: str, *flags) -> Path:
        """A C program of peers/, compiled."""
        path = self.work / name
        subprocess.run(
            ["clang", "-O3", "-march=native", *flags, "-I", HERE / "microkernels",
             PEERS / f"{name}.c", "-o", path, "-lm"], check=True)
        return path

    def microkernels(self, kernel: str, shape: str) -> list[dict]:
        """Lines of the microkernels' own program, one for each SIMD level, the best first."""
        path = self.work / "microkernels"
        if not path.exists():
            sources = HERE.parents[1] / "Sources" / "MicroKernels"
            subprocess.run(
                ["clang", "-O3", "-std=c11", "-I", sources / "include", HERE / "microkernels/microkernels.c",
                 *sorted(sources.glob("*.c")), "-o", path], check=True)
        lines = self.lines([path, 11, 1 if self.quick else 3, f"{kernel} {shape}"])
        return [line for line in lines if line["shape"] == shape]


def has(module: str) -> bool:
    return importlib.util.find_spec(module.split(".")[0]) is not None


def data_folder() -> Path | None:
    places = [Path(os.environ["TALLY_DATA"])] if "TALLY_DATA" in os.environ else []
    places += [parent / "shared" / "data" for parent in HERE.parents]
    return next((place for place in places if place.is_dir()), None)


FACT = ("–", None, None)  # id, gate and goal of a row without limits


def compared(limits: tuple, what: str, peer: str, rounds: list[tuple], sense: str = "atLeast") -> Row:
    """A row of rounds (peer's µs, Tally's µs, digest): the peer's time over Tally's, or the inverse if atMost."""
    id, gate, goal = limits
    peer_times, own_times, digests = zip(*rounds)
    sides = [(f"{peer} {figure(statistics.median(peer_times))} µs", peer_times),
             (f"Tally {figure(statistics.median(own_times))} µs", own_times)]
    (above, times), (below, others) = sides if sense == "atLeast" else reversed(sides)
    ratios = [time / other for time, other in zip(times, others)]
    return Row(id, f"{what}: {above} / {below}", statistics.median(ratios), min(ratios), max(ratios),
               sense if gate is not None else None, gate, goal, "×", digests[0])


# ---- Groups: each gives rows; a peer that is not installed gives none

TRAINING = [  # group, PyTorch's name, what the table calls it, limits at batch 1 and 32
    ("mlp-784-128-10", "mlp", "MLP 784-128-10", {1: ("3", 20, 35), 32: ("3d", 8, 12)}),
    ("cnn-28x28", "cnn", "CNN 28×28", {1: ("3e", 8, 14), 32: ("3e", 4, 7)}),
    ("resnet8", "resnet8", "ResNet8", {1: ("3f", 7, 11), 32: ("3f", 4, 6)}),
    ("ds-cnn", "dscnn", "DS-CNN", {1: ("3h", 10, 17), 32: ("3h", 4, 6)}),
]


def training(machine: Machine, rounds: int) -> list[Row]:
    rows = []
    for group, peer, name, limits in TRAINING if has("torch") else []:
        found: dict[int, list] = {batch: [] for batch in limits}
        for _ in range(rounds):
            own = machine.own(group)
            for line in machine.peer("torch_step.py", "--threads", 1, "--nets", peer, "--batch", *limits,
                                     "--modes", "train"):
                row = own[f"train/{group}/b{line['batch']}"]
                found[line["batch"]].append((line["median"], float(row["value"]), row["digest"]))
        rows += [compared(limits[batch], f"{name} step, batch {batch}", "PyTorch fp32", values)
                 for batch, values in found.items()]
    return rows


ZEROTH = [  # group, PyTorch's name, what the table calls it, limits
    ("mlp-784-128-10", "mlp", "MLP 784-128-10", ("5b", 40, 60)),
    ("ds-cnn", "dscnn", "DS-CNN", ("5b", 12, 20)),
    ("resnet8", "resnet8", "ResNet8", ("5b", 12, 18)),
]


def zeroth_order(machine: Machine, rounds: int) -> list[Row]:
    """Tally's query is what a step of one takes beyond its unperturbed pass."""
    rows = []
    for group, peer, name, limits in ZEROTH if has("torch") else []:
        found = []
        for _ in range(rounds):
            rows_of_group = machine.own(f"zeroth/{group}")
            own, passes = rows_of_group[f"zeroth/{group}/b1"], float(rows_of_group[f"5/{group}"]["value"])
            line = machine.peer("torch_step.py", "--threads", 1, "--nets", peer, "--batch", 1, "--modes", "zo")[0]
            found.append((line["median"], float(own["value"]) * passes / (passes + 1), own["digest"]))
        rows.append(compared(limits, f"{name} zeroth-order query of all weights, batch 1", "PyTorch fp32", found))
    return rows


def float_step(machine: Machine, rounds: int) -> list[Row]:
    if not shutil.which("clang"):
        return []
    program = machine.program("step_f32", "-ffast-math")
    found = []
    for _ in range(rounds):
        own = machine.own("mlp-784-128-10")["train/mlp-784-128-10/b1"]
        line = machine.lines([program, 11, 2])[0]
        found.append((line["us"], float(own["value"]), own["digest"]))
    return [compared(("3b", 1.4, 2.2), "MLP step, batch 1", "C float32", found)]


# Group, file in the data folder or none, name, limits against XNNPACK, LiteRT without it, LiteRT's reference kernels.
INFERENCE = [
    ("resnet8", "models/resnet8-cifar10/pretrainedResnet_quant.tflite", "ResNet8",
     ("2", 1.35, 1.05), ("2d", 3, 4.5), ("2d", 10, 40)),
    ("ds-cnn", "models/dscnn-kws/kws_ref_model.tflite", "DS-CNN", ("2b", 1.25, 0.75), ("2d", 3, 4.5), ("2d", 10, 40)),
    ("vww-mobilenet", None, "VWW MobileNetV1-0.25", ("2b", 1.25, 0.75), ("2d", 3, 4.5), ("2d", 10, 40)),
    ("ad-autoencoder", None, "AD autoencoder", ("2c", 1.25, 1.0), ("2d", 3, 4.5), ("2d", 10, 12)),
    ("mnist-7", None, "mnist-7", FACT, FACT, FACT),
]


def inference(machine: Machine, rounds: int) -> list[Row]:
    data, rows = data_folder(), []
    for group, file, name, *limits in INFERENCE if has("ai_edge_litert") else []:
        if not (data and (data / file).exists() if file else has("flatbuffers")):
            continue
        model = [data / file] if file else ["--seeded", group]
        found: dict[str, list] = {}
        for _ in range(rounds):
            own = machine.own(group)[f"infer/{group}/b1"]
            for line in machine.peer("litert_infer.py", "--threads", 1, *model):
                kernels = line["case"].split()[-1]
                found.setdefault(kernels, []).append((line["median"], float(own["value"]), own["digest"]))
        for limit, (kernels, peer, sense) in zip(limits, [
                ("xnnpack", "XNNPACK int8", "atMost"), ("builtin", "LiteRT int8", "atLeast"),
                ("reference", "LiteRT reference int8", "atLeast")]):
            rows.append(compared(limit, f"{name}, batch 1, inference", peer, found[kernels], sense))
    return rows


ONNX = [  # group, float file in the data folder or none, name, batches
    ("resnet8", None, "ResNet8", [1, 32]),
    ("ds-cnn", "models/dscnn-kws/dscnn-kws.onnx", "DS-CNN", [1]),
    ("mnist-7", "models/mnist-cntk/mnist-7.onnx", "mnist-7", [1]),
]


def onnx_runtime(machine: Machine, rounds: int) -> list[Row]:
    data, rows = data_folder(), []
    for group, file, name, batches in ONNX if has("onnxruntime") and has("onnx") else []:
        if file and not (data and (data / file).exists()):
            continue
        model = ["--int8", data / file] if file else ["--resnet8"]
        found: dict[int, list] = {batch: [] for batch in batches}
        for _ in range(rounds):
            own = machine.own(group)
            for line in machine.peer("ort_infer.py", "--threads", 1, *model, "--batch", *batches):
                if "int8" in line["case"]:
                    row = own[f"infer/{group}/b{line['batch']}"]
                    found[line["batch"]].append((line["median"], float(row["value"]), row["digest"]))
        rows += [compared(FACT, f"{name}, batch {batch}, inference", "ONNX Runtime int8", values)
                 for batch, values in found.items()]
    return rows


def products(machine: Machine) -> list[Row]:
    """Shares of the peak, from the microkernels' own program."""
    rows = []
    for id, level, kernel, shape, gate, goal in [
            ("1", "vnni", "gemm packed", "256^3", 0.85, 0.93), ("1b", "vnni", "gemm packed", "64^3", 0.7, 0.82),
            ("1d", "vnni", "depthwise", "3x3 32x32x64", 0.25, 0.35),
            ("1e", "avx2", "gemm packed", "256^3", 0.75, 0.88)] if shutil.which("clang") else []:
        for line in machine.microkernels(kernel, shape):
            if line["level"] == level and "limit" in line:
                name = f"{kernel} {shape}" + (f", {level}" if level != "vnni" else "")
                rows.append(Row(id, f"{name}: share of the {line['limit']}", line["share"], None, None, "atLeast",
                                gate, goal, "", line["checksum"]))
    return rows


PRODUCTS = {"64^3": ("1f", 3, 4.5), "256^3": ("1f", 1, 1.08), "1024^3": ("1f", 1, 1.08),
            "fc 784-128 b32": ("1f", 1.1, 1.3)}  # shape, limits


def products_of_peers(machine: Machine, rounds: int) -> list[Row]:
    """Packed weights on both sides; the peer's time has that of a call from Python in it."""
    if not (shutil.which("clang") and has("onnxruntime") and has("onnx")):
        return []
    found: dict[str, list] = {shape: [] for shape in PRODUCTS}
    for _ in range(rounds):
        own = {shape: machine.microkernels("gemm packed", shape)[0] for shape in PRODUCTS}
        for line in machine.peer("ort_infer.py", "--threads", 1, "--gemm", "u8s8", "--shapes", *PRODUCTS):
            shape = line["case"].removeprefix("MatMulInteger u8s8 ")
            # The program's `us` is its best; its median rate is what a median time is compared with.
            own_time = line["gmac_per_s"] * line["median"] / own[shape]["median"]
            found[shape].append((line["median"], own_time, own[shape]["checksum"]))
    return [compared(PRODUCTS[shape], f"gemm packed {shape}", "ONNX Runtime MatMulInteger", values)
            for shape, values in found.items()]


def command(machine: Machine) -> list[Row]:
    """Whole processes: wall time and peak memory."""
    data = data_folder()
    if not data or not shutil.which("cc"):
        return []
    launch = machine.work / "launch"
    subprocess.run(["cc", "-O2", PEERS / "launch.c", "-o", launch], check=True)
    model = machine.work / "resnet8.tally"
    # A file of one image: what is timed is the command, not the reading of others.
    image = machine.work / "image.bin"
    with gzip.open(data / "cifar10/test_1800.bin.gz") as file:
        image.write_bytes(file.read(3073))
    subprocess.run([machine.tally, "convert", data / "models/resnet8-cifar10/resnet8-cifar10.onnx", "-o", model,
                    "--calibrate", f"cifar:{data / 'cifar10/train_2000.bin.gz'}[0..<100]", "-q"], check=True,
                   stdout=subprocess.DEVNULL)
    line = machine.lines([launch, 9 if machine.quick else 21, "eval", machine.tally, "eval", model, "--data",
                          f"cifar:{image}", "-q"])[0]
    return [Row("6", "tally eval of ResNet8 on one image: wall time", line["median"], line["min"], line["max"],
                "atMost", 15, 6, "ms"),
            Row("6", "the same: peak memory", line["peak_rss_mib"], None, None, "atMost", 20, 12, "MiB")]


def own(machine: Machine) -> list[Row]:
    """What `tally bench` holds against itself."""
    rows = []
    for group in ["mlp-784-128-10", "mnist-7", "resnet8", "ds-cnn", "sparse", "zeroth", "threads", "growth", "load"]:
        for row in machine.own(group).values():
            if row["gate"] is not None:
                rows.append(Row(row["id"], row["quantity"], float(row["value"]), None, None, row["sense"],
                                float(row["gate"]), float(row["goal"]), row["unit"], row["digest"] or ""))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tally", type=Path, required=True, help="the command, a release build")
    parser.add_argument("--quick", action="store_true", help="about two minutes")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of Markdown")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else 9
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        machine = Machine(arguments.tally.resolve(), arguments.core, arguments.quick, Path(work))
        try:
            rows += products(machine)
            for group in [products_of_peers, inference, onnx_runtime, training, zeroth_order, float_step]:
                rows += group(machine, rounds)
            rows += own(machine) + command(machine)
        except (CommandFailed, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 2
    if arguments.json:
        print(json.dumps([asdict(row) | {"reached": row.reached} for row in rows], indent=1, ensure_ascii=False))
    else:
        print("| id | quantity | value | range | gate | goal | reached | digest |\n|---|---|---|---|---|---|---|---|")
        for row in rows:
            print("| " + " | ".join(row.cells) + " |")
    return 1 if any(row.reached == "missed" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
