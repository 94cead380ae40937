"""Slicing: megapixels per second and peak memory, beside libvips' own dzsave.

    python -m bench.slicing [--side 10000] [--runs 3]

Makes a square mosaic of real photographs, as JPEG and as tiled TIFF, and cuts both into tiles of
512 pixels that share 64, JPEG of quality 90. The two take turns on the same file, each in a process
of its own whose start is counted; the median of all runs.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from skimage import data

from bench.results import Aim, conclude
from tessera.images.inspection import inspect
from tessera.images.policy import SlicePolicy
from tessera.images.slicing import slice_image

OUT = Path("var/bench/slicing.json")
LEAST_RATIO = 0.7
"""Of our speed to dzsave's."""
POLICY = SlicePolicy(tile=512, margin=32, quality=90)
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "coins", "hubble_deep_field")
CELL = 500

DZSAVE = """
import sys, pyvips
load = pyvips.Image.jpegload if sys.argv[1].endswith("jpg") else pyvips.Image.tiffload
load(sys.argv[1], access="sequential").dzsave(
    sys.argv[2] + "/tiles", tile_size=448, overlap=32, depth="one", suffix=".jpg[Q=90]", keep="none"
)
"""


def mosaic(side: int) -> pyvips.Image:
    """Photographs side by side, each in one of four turns, chosen by a seed."""
    cells = [_cell(getattr(data, name)()) for name in PHOTOGRAPHS]
    across = -(-side // CELL)
    rng = np.random.default_rng(1)
    picked = [
        cells[rng.integers(len(cells))].rot(("d0", "d90", "d180", "d270")[rng.integers(4)])
        for _ in range(across * across)
    ]
    return pyvips.Image.arrayjoin(picked, across=across).crop(0, 0, side, side)


def _cell(photograph: np.ndarray[Any, Any]) -> pyvips.Image:
    colour = pyvips.Image.new_from_array(photograph).colourspace("srgb")
    return colour.thumbnail_image(CELL, height=CELL, crop="centre").copy_memory()


def ours(path: Path) -> dict[str, Any]:
    """What a worker does: check the file, then slice it. Only the latter is compared."""

    async def work(folder: Path) -> tuple[float, float]:
        started = time.perf_counter()
        facts = await inspect(path)
        checked = time.perf_counter()
        async with slice_image(path, facts, POLICY, folder) as slices:
            async for piece in slices:
                slices.release(piece)
        return checked - started, time.perf_counter() - checked

    with tempfile.TemporaryDirectory() as folder:
        check, seconds = asyncio.run(work(Path(folder)))
    return {"seconds": seconds, "check_seconds": check, "peak_mb": _peak_of_children()}


def dzsave(path: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", DZSAVE, str(path), folder], check=True)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": _peak_of_children()}


METHODS: dict[str, Callable[[Path], dict[str, Any]]] = {"ours": ours, "dzsave": dzsave}


def compare(path: Path, megapixels: float, runs_each: int) -> dict[str, Any]:
    """Medians of both methods, taking turns, so that a busy moment hits both."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    for turn in range(runs_each):
        for name in METHODS:
            print(
                f"\r· {path.name}, turn {turn + 1} of {runs_each}: {name}      ", end="", flush=True
            )
            command = [sys.executable, "-m", "bench.slicing", name, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            runs[name].append(json.loads(done.stdout))
    print("\r", end="")
    found = {name: _median(measured, megapixels) for name, measured in runs.items()}
    return {
        "input": path.name,
        "megapixels": megapixels,
        **found,
        "ratio": round(found["ours"]["mpix_per_s"] / found["dzsave"]["mpix_per_s"], 2),
    }


def _median(runs: list[dict[str, Any]], megapixels: float) -> dict[str, float]:
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {
        "mpix_per_s": round(megapixels / middle["seconds"], 1),
        **{key: round(value, 2) for key, value in middle.items()},
    }


def _peak_of_children() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def measure(side: int, runs: int) -> list[dict[str, Any]]:
    print(f"· making mosaics of {side} x {side} pixels")
    with tempfile.TemporaryDirectory() as folder:
        jpeg, tiff = Path(folder) / f"{side}.jpg", Path(folder) / f"{side}_tiled.tif"
        mosaic(side).jpegsave(str(jpeg), Q=92)
        mosaic(side).tiffsave(str(tiff), tile=True, tile_width=256, tile_height=256, bigtiff=True)
        return [compare(path, side * side / 1e6, runs) for path in (jpeg, tiff)]


def table(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'input':18}{'ours MPix/s':>12}{'dzsave':>8}{'ratio':>7}{'ours MB':>9}{'dzsave MB':>11}"
    )
    for row in rows:
        mine, other = row["ours"], row["dzsave"]
        print(
            f"{row['input']:18}{mine['mpix_per_s']:>12}{other['mpix_per_s']:>8}{row['ratio']:>7}"
            f"{mine['peak_mb']:>9.0f}{other['peak_mb']:>11.0f}"
        )


def aims(rows: list[dict[str, Any]]) -> list[Aim]:
    return [
        Aim(
            f"speed at {row['input']} as a multiple of dzsave's",
            row["ratio"],
            f"{LEAST_RATIO} at least",
            row["ratio"] >= LEAST_RATIO,
        )
        for row in rows
    ]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.slicing")
    parser.add_argument("--side", type=int, default=10_000, help="of the mosaic, pixels")
    parser.add_argument("--runs", type=int, default=3, help="of either method on each file")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    rows = measure(asked.side, asked.runs)
    table(rows)
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    conclude({**machine, "side": asked.side, "rows": rows}, aims(rows), asked.out)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in METHODS:
        print(json.dumps(METHODS[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main(sys.argv[1:])
