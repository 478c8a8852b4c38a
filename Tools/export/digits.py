"""Trains the demo's float checkpoint on the bundled digits and exports it to ONNX.

    python3 Tools/export/digits.py [--output Tools/tally/Resources/digits.onnx]

Also prints how the float model fares on rotated digits, before and after float fine-tuning: the
demo adapts to the same shift in integers. Needs numpy and torch (with onnx for the export).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS / "bench"))
import shifts  # noqa: E402

RESOURCES = TOOLS / "tally" / "Resources"
TRAINING_COUNT = 1437
SEED = 1


def build() -> nn.Sequential:
    """8×8×1 in 0…1, ten logits, 1,898 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def tensors(images: np.ndarray, labels: np.ndarray):
    """Real inputs x/16 as NCHW, and labels."""
    x = torch.from_numpy(images.astype(np.float32) / 16).permute(0, 3, 1, 2).contiguous()
    return x, torch.from_numpy(labels.astype(np.int64))


def shifted_by_a_pixel(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every image moved by −1, 0 or 1 pixel along each axis, zeros at the border."""
    padded = functional.pad(x, (1, 1, 1, 1))[:, 0]
    first = torch.randint(0, 3, (2, len(x), 1), generator=generator)
    rows, columns = first + torch.arange(8)
    image = torch.arange(len(x))[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]][:, None]


def train(model, x, y, *, epochs, batch, rate, seed, momentum=0.0, decay=0.0, augment=False):
    """SGD with a cosine from `rate` to zero, stepped per batch."""
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(x) // batch)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), generator=generator).split(batch):
            inputs = shifted_by_a_pixel(x[chosen], generator) if augment else x[chosen]
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), y[chosen]).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(model, x, y) -> float:
    return 100 * (model(x).argmax(1) == y).float().mean().item()


def export(model, path: Path) -> None:
    """One file, opset 17. The TorchScript exporter: the newer one records source paths in it."""
    torch.onnx.export(
        model, (torch.zeros(1, 1, 8, 8),), str(path), dynamo=False, opset_version=17,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip


def report_shift(model, name: str, images, labels) -> None:
    """Float accuracy under a shift, unadapted and fine-tuned (5 epochs, batch 16, no momentum)."""
    x, y = tensors(shifts.apply(name, images), labels)
    x_test, y_test = x[TRAINING_COUNT:], y[TRAINING_COUNT:]
    before = accuracy(model, x_test, y_test)
    line = f"{name}: unadapted {before:.2f} %; fine-tuned on"
    for count in (500, TRAINING_COUNT):
        after = []
        for seed in range(3):
            adapted = build()
            adapted.load_state_dict(model.state_dict())
            train(adapted, x[:count], y[:count], epochs=5, batch=16, rate=0.1, seed=seed)
            after.append(accuracy(adapted, x_test, y_test))
        line += f" {count}: {sum(after) / 3:.2f} % ({', '.join(f'{a:.2f}' for a in after)})"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESOURCES / "digits.onnx")
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    with np.load(RESOURCES / "digits.npz") as digits:
        images, labels = digits["x"], digits["y"]
    x, y = tensors(images, labels)

    model = build()
    # Chosen among 14 recipes on the last 360 training images, training on the 1,077 before them:
    # 99.1 % there, against 96.9 % for the plainest one (means of three seeds). The last 360 images
    # of the file are harder than that. Two recipes that validated worse were also run on them and
    # scored 95.56 % and 95.83 %; going back to one of those would be choosing on the test images.
    train(
        model, x[:TRAINING_COUNT], y[:TRAINING_COUNT], epochs=120, batch=32, rate=0.1, seed=SEED,
        momentum=0.9, decay=0.001, augment=True,
    )  # fmt: skip
    model.eval()
    print(f"float: train {accuracy(model, x[:TRAINING_COUNT], y[:TRAINING_COUNT]):.2f} %, "
          f"test {accuracy(model, x[TRAINING_COUNT:], y[TRAINING_COUNT:]):.2f} %")  # fmt: skip
    export(model, options.output)
    print(f"wrote {options.output.name}, {options.output.stat().st_size} bytes")
    for name in ("rot15", "rot30", "rot45", "rot60"):
        report_shift(model, name, images, labels)


if __name__ == "__main__":
    main()
