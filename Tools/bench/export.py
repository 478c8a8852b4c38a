"""Converts the shared models, exports them, and compares four answers per test item.

    python3 Tools/bench/export.py --tally .build/release/tally [--json] [NAME …]

Columns: the float model (ONNX Runtime), the integer model (tally eval), the share of items on which
the two answer alike, and the share on which ONNX Runtime answers the exported QDQ file as tally does
(asked: 99.5 %). Calibration sees training data only, or for DS-CNN the first 100 items, which are then
not tested. Every export is also read back: ONNX must convert to the same model, npz must hold the
integers of the file. Exit status: 0 when every figure is reached, 1 when one is missed, 2 when a command
fails or the data is not there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime

import datasets

ROOT = datasets.data_root()


@dataclass
class Model:
    """A checkpoint, what its float runtime is fed, and what is asked of the integers."""

    checkpoint: str
    calibration: str
    test: str
    arrays: object  # () -> data as stored, labels
    real: object  # data as stored -> the float model's input
    options: list = field(default_factory=list)
    per_layer: float = 0.0
    per_channel: float = 0.0


def mnist(part: str) -> str:
    base = ROOT / "mnist" / part
    return f"{base}-images-idx3-ubyte.gz,{base}-labels-idx1-ubyte.gz"


def cifar_test():
    return datasets.read_cifar(ROOT / "cifar10/test_1800.bin.gz")


def keywords():
    data, labels = datasets.read_npz(ROOT / "kws01.npz")
    return data[100:], labels[100:]


def resnet20_input(data):
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((data / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)


CIFAR = "cifar10/train_2000.bin.gz[0..<256]"
MODELS = {
    "mnist-7": Model(
        "models/mnist-cntk/mnist-7.onnx", mnist("train") + "[0..<500]", mnist("t10k"),
        lambda: datasets.read_mnist("mnist", "t10k"),
        lambda data: data.transpose(0, 3, 1, 2) / np.float32(255),
        ["--input-scale", "1/255"], 98.85, 98.85,
    ),
    "resnet8": Model(
        "models/resnet8-cifar10/resnet8-cifar10.onnx", f"cifar:{ROOT}/{CIFAR}",
        f"cifar:{ROOT}/cifar10/test_1800.bin.gz", cifar_test, lambda data: data, [], 87.6, 87.8,
    ),
    "resnet20": Model(
        "models/resnet20-cifar10/resnet20.onnx", f"cifar:{ROOT}/{CIFAR}",
        f"cifar:{ROOT}/cifar10/test_1800.bin.gz", cifar_test, resnet20_input,
        ["--input-scale", "1/255", "--input-mean", "0.485,0.456,0.406",
         "--input-std", "0.229,0.224,0.225"], 92.3, 92.3,
    ),
    "ds-cnn": Model(
        "models/dscnn-kws/dscnn-kws.onnx", f"{ROOT}/kws01.npz[0..<100]",
        f"{ROOT}/kws01.npz[100..<1000]", keywords, lambda data: data, [], 90.3, 90.5,
    ),
}  # fmt: skip
AGREEMENT = {"per-layer": 97.0, "per-channel": 97.5}
EXPORT_AGREEMENT = 99.5


class Failure(Exception):
    """A command that did not do what it should."""


def run(command: Path, *arguments) -> dict:
    line = [str(command), *map(str, arguments), "--json"]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(line)}\nexit {done.returncode}\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def onnx_logits(path: Path, data: np.ndarray) -> np.ndarray:
    """Outputs of ONNX Runtime, one row per item."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    value = session.get_inputs()[0]
    # Files with a fixed batch of one are fed item by item.
    size = value.shape[0] if isinstance(value.shape[0], int) else 100
    rows = []
    for first in range(0, len(data), size):
        part = np.ascontiguousarray(data[first : first + size], dtype=np.float32)
        shape = [len(part)] + [n if isinstance(n, int) else -1 for n in value.shape[1:]]
        rows.append(session.run(None, {value.name: part.reshape(shape)})[0].reshape(len(part), -1))
    return np.concatenate(rows)


def check_npz(path: Path) -> None:
    """Every array has the integers' type, and every decimal is a Scale: mantissa · 2^k."""
    with np.load(path) as arrays:
        document = json.loads(arrays["metadata.json"])
        for name in arrays.files:
            wanted = {"weight": np.int8, "bias": np.int32, "table": np.int8, "slopes": np.int16}
            suffix = name.rsplit(".", 1)[-1]
            if suffix in wanted and arrays[name].dtype != wanted[suffix]:
                raise Failure(f"{path}: {name} is {arrays[name].dtype}")
    for layer in document["layers"]:
        for text in [layer["scale"], *layer.get("weightScales", [])]:
            value = Fraction(text)
            if value.denominator & (value.denominator - 1) or value.numerator >> 31 << 31:
                if value.denominator != 1:
                    raise Failure(f"{path}: {text} is no Scale")


def measure(command: Path, folder: Path, name: str, scales: str) -> dict:
    """One row of the table."""
    model = MODELS[name]
    tally, onnx, back = folder / "m.tally", folder / "m.onnx", folder / "back.tally"
    converted = run(
        command, "convert", ROOT / model.checkpoint, "-o", tally, "--calibrate", model.calibration,
        "--scales", scales, "--force", *model.options,
    )  # fmt: skip
    evaluated = run(command, "eval", tally, "--data", model.test, "--answers", folder / "a.npy", "--force")
    for target in ("onnx", "npz", "safetensors"):
        run(command, "export", tally, "--to", target, "-o", folder / f"m.{target}", "--force")
    check_npz(folder / "m.npz")
    again = run(command, "convert", onnx, "-o", back, "--force")
    data, labels = model.arrays()
    float_answers = onnx_logits(ROOT / model.checkpoint, model.real(data)).argmax(1)
    exported = onnx_logits(onnx, data).argmax(1)
    answers = np.load(folder / "a.npy")
    percent = lambda flags: round(100 * float(np.mean(flags)), 2)  # noqa: E731
    row = {
        "model": name,
        "scales": scales,
        "float": percent(float_answers == labels),
        "integer": round(100 * evaluated["correct"] / evaluated["total"], 2),
        "asked": model.per_layer if scales == "per-layer" else model.per_channel,
        "agreement": percent(answers == float_answers),
        "exported": percent(exported == answers),
        "sameModel": again["modelDigest"] == converted["modelDigest"],
    }
    row["passed"] = (
        row["integer"] >= row["asked"] and row["agreement"] >= AGREEMENT[scales]
        and row["exported"] >= EXPORT_AGREEMENT and row["sameModel"]
    )  # fmt: skip
    return row


def markdown(rows: list) -> str:
    header = ["model", "scales", "float", "integer", "asked", "agree with float", "ORT of the export "
              "agrees", "reads back", ""]  # fmt: skip
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in rows:
        cells = [
            row["model"], row["scales"], f"{row['float']:.2f}", f"**{row['integer']:.2f}**",
            f"{row['asked']:.2f}", f"{row['agreement']:.2f}", f"{row['exported']:.2f}",
            "same model" if row["sameModel"] else "DIFFERS", "reached" if row["passed"] else "MISSED",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--tally", type=Path, required=True, help="the built command")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    unknown = set(options.names) - set(MODELS)
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or MODELS:
            for scales in ("per-layer", "per-channel"):
                try:
                    rows.append(measure(options.tally.resolve(), Path(folder), name, scales))
                except Failure as failure:
                    print(f"{name}: {failure}", file=sys.stderr)
                    raise SystemExit(2)
    print(json.dumps(rows, indent=2) if options.json else markdown(rows))
    raise SystemExit(0 if all(row["passed"] for row in rows) else 1)


if __name__ == "__main__":
    main()
