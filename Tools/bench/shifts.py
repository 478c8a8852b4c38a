"""Domain shifts of u8 images, with integers only, so that any machine makes the same bytes.

    python3 Tools/bench/shifts.py rot45 --images train-images-idx3-ubyte.gz \\
        --labels train-labels-idx1-ubyte.gz --first 2000 -o rot45-train.npz
    python3 Tools/bench/shifts.py contrast --cifar test_1800.bin.gz -o contrast-test.npz

The output holds x, uint8 [count, height, width, channels], and y, uint8 [count], stored without
compression. NumPy only.
"""

import argparse
import zipfile

import numpy as np

import datasets

# degrees: (round(65536 cos), round(65536 sin))
COSINE_SINE = {
    15: (63303, 16962),
    30: (56756, 32768),
    45: (46341, 46341),
    60: (32768, 56756),
}


def rotate(images: np.ndarray, degrees: int) -> np.ndarray:
    """Nearest-neighbour rotation of square images about their centre; what comes from outside is 0.

    Pixel p has the doubled centred coordinate 2p − (n−1), which is an integer for even n too. The
    source coordinate is the inverse rotation in Q16 of doubled pixels: the shift by 17 undoes both
    and the added 65536 (half of 2^17) rounds half up.
    """
    cosine, sine = COSINE_SINE[degrees]
    n = images.shape[1]
    if images.shape[2] != n:
        raise ValueError(f"rotation needs square images, not {n}×{images.shape[2]}")
    centred = 2 * np.arange(n, dtype=np.int64) - (n - 1)
    y, x = np.meshgrid(centred, centred, indexing="ij")
    offset = (n - 1) * 65536 + 65536
    source_x = (cosine * x + sine * y + offset) >> 17
    source_y = (-sine * x + cosine * y + offset) >> 17
    inside = (source_x >= 0) & (source_x < n) & (source_y >= 0) & (source_y < n)
    rotated = images[:, source_y.clip(0, n - 1), source_x.clip(0, n - 1)]
    rotated[:, ~inside] = 0
    return rotated


def add_noise(images: np.ndarray, amplitude: int, seed: int) -> np.ndarray:
    """Adds uniform noise of about ±amplitude, SplitMix64 of the element's index, then clips."""
    index = np.arange(1, images.size + 1, dtype=np.uint64)
    z = np.uint64(seed) + index * np.uint64(0x9E3779B97F4A7C15)  # wraps modulo 2^64
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    draw = (z >> np.uint64(56)).astype(np.int32) - 128  # −128…127, the top byte
    noisy = images.astype(np.int32) + ((draw.reshape(images.shape) * amplitude) >> 7)
    return noisy.clip(0, 255).astype(np.uint8)


def invert(images: np.ndarray) -> np.ndarray:
    """Black for white: 255 − x."""
    return 255 - images


def scale_contrast(images: np.ndarray, numerator: int, shift: int) -> np.ndarray:
    """(x · numerator) >> shift, kept within a byte."""
    scaled = (images.astype(np.int32) * numerator) >> shift
    return scaled.clip(0, 255).astype(np.uint8)


# The named shifts. Noise takes its seed from the command line.
SHIFTS = {
    "none": lambda images, seed: images,
    "rot15": lambda images, seed: rotate(images, 15),
    "rot30": lambda images, seed: rotate(images, 30),
    "rot45": lambda images, seed: rotate(images, 45),
    "rot60": lambda images, seed: rotate(images, 60),
    "noise": lambda images, seed: add_noise(images, 40, seed),
    "invert": lambda images, seed: invert(images),
    "contrast": lambda images, seed: scale_contrast(images, 1, 2),
}


def apply(name: str, images: np.ndarray, seed: int = 1) -> np.ndarray:
    """The images under the named shift; seed is read by "noise" alone."""
    return SHIFTS[name](images, seed)


def write_npz(path, images: np.ndarray, labels: np.ndarray) -> None:
    """x and y, stored, dated 1980-01-01, so that equal arrays give equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in (("x", images), ("y", labels)):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array, dtype=np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a shifted data set (.npz).")
    parser.add_argument("shift", choices=sorted(SHIFTS))
    parser.add_argument("--images", help="idx or idx.gz file of images")
    parser.add_argument("--labels", help="idx or idx.gz file of labels")
    parser.add_argument("--cifar", help="CIFAR binary file, or .gz of one")
    parser.add_argument("--npz", help=".npz file with u8 arrays x and y")
    parser.add_argument("--first", type=int, help="use only the first N images")
    parser.add_argument("--seed", type=int, default=1, help="seed of noise (default 1)")
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()

    sources = [options.images, options.cifar, options.npz]
    if sum(source is not None for source in sources) != 1:
        parser.error("give exactly one of --images, --cifar, --npz")
    if (options.images is None) != (options.labels is None):
        parser.error("--images and --labels belong together")
    if options.images:
        images = datasets.read_images(options.images)
        labels = datasets.read_idx(options.labels)
    elif options.cifar:
        images, labels = datasets.read_cifar(options.cifar)
    else:
        images, labels = datasets.read_npz(options.npz)
    if images.dtype != np.uint8 or labels.dtype != np.uint8:
        parser.error(f"x and y must be uint8, not {images.dtype} and {labels.dtype}")
    if len(images) != len(labels):
        parser.error(f"{len(images)} images but {len(labels)} labels")
    shifted = apply(options.shift, images[: options.first], options.seed)
    write_npz(options.output, shifted, labels[: options.first])


if __name__ == "__main__":
    main()
