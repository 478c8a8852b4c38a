"""Draws how the cost of a step grows, as SVG: with batch, width, depth, samples and the kept ratio.

    python3 Tools/bench/growth.py --tally .build/release/tally [--quick] -o FOLDER

Writes growth-batch.svg and so on, and growth.json with the figures. No packages needed. Both axes are
logarithmic, so proportional growth is a straight line of slope 1, drawn dashed through the first point.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 320, 64, 16, 36, 48
PLOTS = {  # group of rows -> title, horizontal axis
    "batch": ("MLP 784-128-10: one step", "samples in a batch"),
    "width": ("784-H-10, batch 1: one step", "hidden units H"),
    "depth": ("784-128-…-128-10, batch 1: one step", "hidden layers"),
    "samples": ("MLP, batch 20: one epoch", "samples in the data set"),
    "kept": ("MLP, batch 1: one step with part of the gradient", "kept ratio"),
}


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between the bounds."""
    found = [m * 10.0**e for e in range(-3, 9) for m in (1, 2, 5) if low * 0.99 <= m * 10.0**e <= high * 1.01]
    return found if len(found) <= 8 else [t for t in found if f"{t:e}"[0] == "1"]


def plot(title: str, axis: str, points: list[tuple[float, float, float, float]]) -> str:
    """An SVG of points (x, median, least, most)."""
    xs = [p[0] for p in points]
    ys = [value for p in points for value in p[1:]]
    (x0, x1), (y0, y1) = (min(xs), max(xs)), (min(ys) / 1.3, max(ys) * 1.3)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - math.log(x0)) / (math.log(x1) - math.log(x0))
        up = (math.log(y) - math.log(y0)) / (math.log(y1) - math.log(y0))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-size="13">{title}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{axis}</text>',
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">µs</text>',
    ]
    for x in xs:
        px, _ = at(x, y0)
        parts.append(f'<line x1="{px:.1f}" y1="{TOP}" x2="{px:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>'
                     f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    for y in ticks(y0, y1):
        _, py = at(x0, y)
        parts.append(f'<line x1="{LEFT}" y1="{py:.1f}" x2="{WIDTH - RIGHT}" y2="{py:.1f}" stroke="#eee"/>'
                     f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>')
    # Proportional growth, from the first point to the edge of the plot.
    first = points[0]
    end = min(x1, x0 * y1 / first[1])
    (ax, ay), (bx, by) = at(x0, first[1]), at(end, first[1] * end / x0)
    parts.append(f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="#999" stroke-dasharray="4 3"/>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(p[0], p[1]) for p in points))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="2"/>')
    for x, median, least, most in points:
        (px, py), (_, low), (_, high) = at(x, median), at(x, least), at(x, most)
        parts.append(f'<line x1="{px:.1f}" y1="{low:.1f}" x2="{px:.1f}" y2="{high:.1f}" stroke="#1565c0"/>'
                     f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="#1565c0"/>')
    return "\n".join(parts + ["</svg>", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tally", type=Path, required=True, help="the command, a release build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args()
    series: dict[str, list] = {name: [] for name in PLOTS}
    for group in ["growth", "sparse"]:
        command = [arguments.tally, "bench", "--only", group, "--json", "-q"] + ["--quick"] * arguments.quick
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return 2
        for row in json.loads(done.stdout)["rows"]:
            name, _, x = row["id"].removeprefix("growth/").partition("/")
            if name in series and row["unit"] == "µs":
                series[name].append((float(x), float(row["value"]), float(row["min"]), float(row["max"])))
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, points in series.items():
        if len(points) > 1:
            title, axis = PLOTS[name]
            (arguments.output / f"growth-{name}.svg").write_text(plot(title, axis, sorted(points)))
    (arguments.output / "growth.json").write_text(json.dumps(series, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
