"""Times Tally beside its peers, alternating on one core, and prints one table.

    python3 Tools/bench/compare.py --tally .build/release/tally [--quick] [--json] [--core N]

Peers run where they are installed: PyTorch (training steps, fp32), LiteRT with XNNPACK (int8 inference),
ONNX Runtime (int8 inference), and a hand-written C float32 step (clang). Models for LiteRT come from the data
folder (TALLY_DATA, or shared/data beside the repository). Each round runs Tally, then the peer, on the same
pinned core; a ratio is the median over the rounds, with the least and the most. Times are CPU time of one
thread. `reached` is goal, gate or missed (gate: what fails the check; goal: what is aimed at).

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


def has(module: str) -> bool:
    return importlib.util.find_spec(module.split(".")[0]) is not None


def data_folder() -> Path | None:
    places = [Path(os.environ["TALLY_DATA"])] if "TALLY_DATA" in os.environ else []
    places += [parent / "shared" / "data" for parent in HERE.parents]
    return next((place for place in places if place.is_dir()), None)


def ratio(id: str, quantity: str, values: list[float], sense: str, gate: float, goal: float, digest="") -> Row:
    return Row(id, quantity, statistics.median(values), min(values), max(values), sense, gate, goal, "×", digest)


# ---- Groups: each gives rows; a peer that is not installed gives none

TRAINING = [  # group, PyTorch's name, what the table calls it, (batch, id, gate, goal)
    ("mlp-784-128-10", "mlp", "MLP 784-128-10", [(1, "3", 20, 35), (32, "3d", 8, 12)]),
    ("cnn-28x28", "cnn", "CNN 28×28", [(1, "3e", 8, 14), (32, "3e", 4, 7)]),
    ("resnet8", "resnet8", "ResNet8", [(1, "3f", 7, 11), (32, "3f", 4, 6)]),
    ("ds-cnn", "dscnn", "DS-CNN", [(1, "3h", 10, 17), (32, "3h", 4, 6)]),
]


def training(machine: Machine, rounds: int) -> list[Row]:
    rows = []
    for group, peer, name, gates in TRAINING if has("torch") else []:
        times: dict[int, list] = {batch: [] for batch, *_ in gates}
        for _ in range(rounds):
            own = machine.own(group)
            torch = machine.peer("torch_step.py", "--threads", 1, "--nets", peer, "--batch", 1, 32,
                                 "--modes", "train")
            for line in torch:
                row = own[f"train/{group}/b{line['batch']}"]
                times[line["batch"]].append((line["median"], float(row["value"]), row["digest"]))
        for batch, id, gate, goal in gates:
            found = times[batch]
            own_time = statistics.median(time for _, time, _ in found)
            peer_time = statistics.median(time for time, _, _ in found)
            rows.append(ratio(
                id, f"{name} step, batch {batch}: PyTorch fp32 {figure(peer_time)} µs / Tally {figure(own_time)} µs",
                [a / b for a, b, _ in found], "atLeast", gate, goal, found[0][2]))
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
    times = [statistics.median(column) for column in list(zip(*found))[:2]]
    return [ratio("3b", f"MLP step, batch 1: C float32 {figure(times[0])} µs / Tally {figure(times[1])} µs",
                  [a / b for a, b, _ in found], "atLeast", 1.4, 2.2, found[0][2])]


INFERENCE = [  # group, file in the data folder, name, (id, gate, goal) against XNNPACK
    ("resnet8", "models/resnet8-cifar10/pretrainedResnet_quant.tflite", "ResNet8", ("2", 1.35, 1.05)),
    ("ds-cnn", "models/dscnn-kws/kws_ref_model.tflite", "DS-CNN", ("2b", 1.25, 0.75)),
]


def inference(machine: Machine, rounds: int) -> list[Row]:
    data, rows = data_folder(), []
    for group, file, name, (id, gate, goal) in INFERENCE if data and has("ai_edge_litert") else []:
        if not (data / file).exists():
            continue
        found: dict[str, list] = {}
        for _ in range(rounds):
            own = machine.own(group)[f"infer/{group}/b1"]
            for line in machine.peer("litert_infer.py", "--threads", 1, data / file):
                kernels = line["case"].split()[-1]
                found.setdefault(kernels, []).append((line["median"], float(own["value"]), own["digest"]))
        for kernels, sense, limits in [("xnnpack", "atMost", (id, gate, goal)),
                                       ("builtin", "atLeast", ("2d", 3, 4.5)),
                                       ("reference", "atLeast", ("2d", 10, 40))]:
            times = [statistics.median(column) for column in list(zip(*found[kernels]))[:2]]
            peer = {"xnnpack": "XNNPACK", "builtin": "LiteRT", "reference": "LiteRT reference"}[kernels]
            if sense == "atMost":
                text = f"{name}, batch 1, inference: Tally {figure(times[1])} µs / {peer} int8 {figure(times[0])} µs"
                values = [b / a for a, b, _ in found[kernels]]
            else:
                text = f"{name}, batch 1, inference: {peer} int8 {figure(times[0])} µs / Tally"
                values = [a / b for a, b, _ in found[kernels]]
            rows.append(ratio(limits[0], text, values, sense, *limits[1:], found[kernels][0][2]))
    return rows


def onnx_runtime(machine: Machine, rounds: int) -> list[Row]:
    if not (has("onnxruntime") and has("onnx")):
        return []
    found: dict[int, list] = {}
    for _ in range(rounds):
        own = machine.own("resnet8")
        for line in machine.peer("ort_infer.py", "--threads", 1, "--resnet8", "--batch", 1, 32):
            if "int8" in line["case"].lower() or "qdq" in line["case"].lower():
                row = own[f"infer/resnet8/b{line['batch']}"]
                found.setdefault(line["batch"], []).append((line["median"], float(row["value"]), row["digest"]))
    rows = []
    for batch, values in found.items():
        times = [statistics.median(column) for column in list(zip(*values))[:2]]
        ratios = [a / b for a, b, _ in values]
        rows.append(Row("–", f"ResNet8, batch {batch}, inference: ONNX Runtime int8 {figure(times[0])} µs / "
                        f"Tally {figure(times[1])} µs", statistics.median(ratios), min(ratios), max(ratios),
                        unit="×", digest=values[0][2]))
    return rows


def products(machine: Machine) -> list[Row]:
    """Shares of the peak, from the microkernels' own program."""
    if not shutil.which("clang"):
        return []
    program = machine.work / "microkernels"
    sources = sorted((HERE.parents[1] / "Sources" / "MicroKernels").glob("*.c"))
    subprocess.run(["clang", "-O3", "-std=c11", "-I", HERE.parents[1] / "Sources/MicroKernels/include",
                    HERE / "microkernels/microkernels.c", *sources, "-o", program], check=True)
    rows = []
    for id, kernel, shape, gate, goal in [
            ("1", "gemm packed", "256^3", 0.85, 0.93), ("1b", "gemm packed", "64^3", 0.7, 0.82),
            ("1d", "depthwise", "3x3 32x32x64", 0.25, 0.35)]:
        for line in machine.lines([program, 11, 1 if machine.quick else 3, f"{kernel} {shape}"]):
            if line["level"] == "vnni" and line["shape"] == shape and "limit" in line:
                rows.append(Row(id, f"{kernel} {shape}: share of the {line['limit']}", line["share"], None, None,
                                "atLeast", gate, goal, "", line["checksum"]))
    return rows


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
    rounds = 3 if arguments.quick else 9
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        machine = Machine(arguments.tally.resolve(), arguments.core, arguments.quick, Path(work))
        try:
            for group in [products, lambda m: inference(m, rounds), lambda m: onnx_runtime(m, rounds),
                          lambda m: training(m, rounds), lambda m: float_step(m, rounds), own, command]:
                rows += group(machine)
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
