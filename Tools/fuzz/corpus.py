#!/usr/bin/env python3
"""Fills a folder with one sub-folder of seeds per reader, from golden vectors and test fixtures.

    corpus.py FOLDER

Standard library only. Seeds are small; the fuzzer finds the rest.
"""

import gzip
import io
import json
import pathlib
import struct
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARGEST = 64 * 1024


def npy(kind: str, shape: tuple, data: bytes, fortran: bool = False) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def npz(compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("x.npy", npy("|u1", (3, 4), bytes(range(12))))
        archive.writestr("y.npy", npy("<i8", (3,), struct.pack("<3q", 0, 1, 2)))
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "b": {"dtype": "I8", "shape": [3], "data_offsets": [16, 19]},
            "__metadata__": {"k": "v"},
        }
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(19)


def texts_of(path: pathlib.Path) -> list[bytes]:
    """The fenced JSON examples of a format page."""
    parts = path.read_text().split("```json\n")[1:]
    return [part.split("```")[0].encode() for part in parts]


def seeds() -> dict[str, list[bytes]]:
    def files(pattern: str) -> list[bytes]:
        found = [path.read_bytes() for path in sorted(ROOT.glob(pattern))]
        return [data for data in found if 0 < len(data) <= LARGEST]

    idx = struct.pack(">HBB2I", 0, 8, 2, 2, 3) + bytes(6)
    arrays = [npy("|u1", (2, 3), bytes(6)), npy(">f4", (2,), bytes(8), True), npy("<i8", (1,), bytes(8))]
    archives = [npz(zipfile.ZIP_STORED), npz(zipfile.ZIP_DEFLATED)]
    zipped = [gzip.compress(idx, mtime=0), gzip.compress(b"hello" * 40, mtime=0)]
    tables = [b"a,b,kind\n1.5,-2e3,x\n0.25,4,y\n", b"\xef\xbb\xbf1,2\r\n3,4\r\n"]
    onnx = files("Tests/ImportersTests/Fixtures/**/*.onnx") + files("Tools/tally/Resources/*.onnx")
    networks = texts_of(ROOT / "Formats/network.md") + files("Tools/examples/*.json")
    recipes = texts_of(ROOT / "Formats/recipe.md") + files("Tools/examples/recipes/*.json")
    models = files("Formats/vectors/**/*.tally")
    journals = files("Formats/vectors/**/*.tlj")
    mixed = [part[:64] for part in onnx[:3] + models[:1] + journals[:1] + archives + zipped + [idx]]
    return {
        "onnx": onnx,
        "safetensors": [safetensors()],
        "npy": arrays,
        "npz": archives,
        "gzip": zipped,
        "idx": [idx],
        "csv": tables,
        "cifar": [bytes([3]) + bytes(3072), bytes([1, 2]) + bytes(3072)],
        "json": networks + recipes,
        "network": networks,
        "recipe": recipes,
        "recipe-bytes": files("Formats/vectors/**/*.recipe.bin"),
        "kind": mixed,
        "model": models,
        "journal": journals,
        "report": journals,
        "checkpoint": files("Formats/vectors/checkpoints/*.tlc"),
        "trace": files("Formats/vectors/traces/*.tlt"),
    }


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for reader, contents in seeds().items():
        place = folder / reader
        place.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(contents):
            (place / f"seed-{number:03d}").write_bytes(data)


if __name__ == "__main__":
    main()
