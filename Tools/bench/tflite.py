"""int8 .tflite models through Tools/export and `tally convert`, held against LiteRT.

    python3 Tools/bench/tflite.py --tally .build/release/tally [--json]

Both take the file's own integers, scales and zero points. LiteRT runs as people run it, with its
default kernels; "agreement" is the share of test items on which both give the same class. Needs
the packages `tflite`, `ai-edge-litert`, `onnx` and `onnxruntime`, and the models and data of
TALLY_DATA. Exit status: 0 when every figure is reached, 1 when one is missed, 2 when the command
fails or something is not there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import datasets

EXPORT = Path(__file__).resolve().parents[1] / "export"
sys.path.insert(0, str(EXPORT / "src"))

AGREEMENT = 99.0  # percent of items
DISTANCE = 0.3  # points between the accuracies


class Failed(Exception):
    """A command's exit status was not 0; says which command and what it printed."""


@dataclass
class Model:
    title: str
    file: str
    calibration: str  # behind the data root
    samples: object  # () → (x as the command reads it, labels)


def cifar():
    return datasets.read_cifar(datasets.data_root() / "cifar10/test_1800.bin.gz")


def keywords():
    return datasets.read_npz(datasets.data_root() / "kws01.npz")


MODELS = (
    Model(
        "ResNet8, CIFAR-10 test_1800", "models/resnet8-cifar10/pretrainedResnet_quant.tflite",
        "cifar:{root}/cifar10/train_2000.bin.gz[0..<500]", cifar,
    ),
    Model(
        "DS-CNN, Speech Commands, 1,000 items", "models/dscnn-kws/kws_ref_model.tflite",
        "{root}/kws01.npz[0..<100]", keywords,
    ),
)  # fmt: skip


def run(*line) -> dict:
    """A command's JSON result."""
    line = [str(part) for part in line]
    done = subprocess.run([*line, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(line)}\nexit {done.returncode}\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def litert_classes(path: Path, x: np.ndarray) -> np.ndarray:
    """LiteRT's class of every item; of equal outputs the first."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    result = interpreter.get_output_details()[0]["index"]
    scale, zero = source["quantization"]
    integers = np.rint(x.astype(np.float64) / scale) + zero
    integers = integers.clip(-128, 127).astype(np.int8)
    classes = np.empty(len(x), np.int64)
    for number, sample in enumerate(integers):
        interpreter.set_tensor(source["index"], sample[None])
        interpreter.invoke()
        classes[number] = interpreter.get_tensor(result)[0].argmax()
    return classes


def measure(model: Model, tally: Path, folder: Path) -> dict:
    start = time.monotonic()
    root = datasets.data_root()
    onnx, integers = folder / "model.onnx", folder / "model.tally"
    exporter = EXPORT / "tally_export.py"
    run(sys.executable, exporter, "tflite", root / model.file, "-o", onnx, "--force")
    # Everything is prescribed by the file: the samples only make the table that convert prints.
    calibration = model.calibration.format(root=root)
    converted = run(
        tally, "convert", onnx, "-o", integers, "--force", "--calibrate", calibration
    )
    x, labels = model.samples()
    theirs = litert_classes(root / model.file, x)
    # Asked for LiteRT's answers instead of the labels, the command counts on how many it agrees.
    counts = {}
    for name, asked in (("labels", labels), ("litert", theirs)):
        data = folder / f"{name}.npz"
        np.savez(data, x=x, y=asked.astype(np.int64))
        counts[name] = run(tally, "eval", integers, "--data", data)["correct"]
    reference = 100 * float((theirs == labels).mean())
    accuracy = 100 * counts["labels"] / len(x)
    agreement = 100 * counts["litert"] / len(x)
    return {
        "model": model.title, "items": len(x), "litert": round(reference, 2),
        "tally": round(accuracy, 2), "agreement": round(agreement, 2),
        "passed": agreement >= AGREEMENT and abs(accuracy - reference) <= DISTANCE + 1e-9,
        "modelDigest": converted["modelDigest"], "seconds": round(time.monotonic() - start, 1),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tally", type=Path, required=True, help="the command")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    for module in ("tflite", "ai_edge_litert", "onnx", "onnxruntime"):
        try:
            __import__(module)
        except ModuleNotFoundError:
            print(f"skipped: the package '{module}' is not installed", file=sys.stderr)
            return 2
    passed = True
    if not options.json:
        print(f"| int8 .tflite | LiteRT | Tally | same class (≥ {AGREEMENT:.0f} %) | |")
        print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            try:
                row = measure(model, options.tally, Path(folder))
            except Failed as failure:
                print(failure, file=sys.stderr)
                return 2
            passed &= row["passed"]
            if options.json:
                print(json.dumps(row), flush=True)
                continue
            verdict = "reached" if row["passed"] else "MISSED"
            print(
                f"| {row['model']} | {row['litert']:.2f} | {row['tally']:.2f} "
                f"| {row['agreement']:.2f} % | {verdict} |", flush=True,
            )  # fmt: skip
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
