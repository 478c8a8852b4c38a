"""Readers of the data files the benchmarks use. NumPy and the standard library only.

Every reader gives images as uint8 [count, height, width, channels] and labels as uint8 [count].
"""

import gzip
import os
import sys
from pathlib import Path

import numpy as np


def data_root() -> Path:
    """The folder TALLY_DATA names, or the nearest ../shared/data above this file."""
    named = os.environ.get("TALLY_DATA")
    above = [folder / "shared" / "data" for folder in Path(__file__).resolve().parents]
    candidates = [Path(named)] if named else above
    for folder in candidates:
        if folder.is_dir():
            return folder
    print(f"skipped: no data at {named or '../shared/data'}; set TALLY_DATA", file=sys.stderr)
    raise SystemExit(2)


def read_bytes(path) -> bytes:
    """The bytes of a file, decompressed when it starts with gzip's magic number."""
    raw = Path(path).read_bytes()
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def read_idx(path) -> np.ndarray:
    """An idx file of unsigned bytes: 00 00 08 rank, big-endian sizes, then the elements."""
    raw = read_bytes(path)
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an idx file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, dtype=">u4", count=rank, offset=4).astype(np.int64)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_images(path) -> np.ndarray:
    """Grey images of an idx file, with the channel axis the other readers have."""
    return read_idx(path)[..., None]


def read_cifar(path):
    """CIFAR binary rows: one label byte, then 3072 bytes of planar RGB."""
    rows = np.frombuffer(read_bytes(path), dtype=np.uint8).reshape(-1, 3073)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].copy()


def read_npz(path):
    """The arrays x and y of an .npz file."""
    with np.load(path) as arrays:
        return arrays["x"], arrays["y"]


def read_mnist(folder: str, part: str):
    """MNIST or Fashion-MNIST below the data root; part is "train" or "t10k"."""
    base = data_root() / folder
    return (
        read_images(base / f"{part}-images-idx3-ubyte.gz"),
        read_idx(base / f"{part}-labels-idx1-ubyte.gz"),
    )
