"""Measure how many images a second examples/archive/label.py labels with one and with two workers on this machine.

Each round labels the same images once with each number of workers, one after the other. The images are scenes of the
synthetic camera with a face, sensor noise and JPEG compression. Beside images per second, which other programs on the
machine lower, it prints images per second of the workers' processor time. Needs the dependency group examples (Dask).
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.common import add_noise, make_parser
from edge.capture.synthetic import SyntheticScene

if TYPE_CHECKING:
    from distributed import Client

PROGRAM = Path(__file__).parents[1] / "examples" / "archive" / "label.py"
WORKERS = (1, 2)
PART_IMAGES = 10


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("archive_throughput", __doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="640x480", metavar="WIDTHxHEIGHT")
    options = parser.parse_args(arguments)
    from distributed import Client

    width, height = map(int, options.size.split("x"))
    rates: dict[int, list[tuple[float, float]]] = {count: [] for count in WORKERS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_images(Path(folder, "images"), options.images, width, height)
        clients = {
            count: stack.enter_context(Client(n_workers=count, threads_per_worker=1, dashboard_address=":0"))
            for count in WORKERS
        }
        for number in range(options.rounds):
            for count in WORKERS if number % 2 == 0 else reversed(WORKERS):
                rates[count].append(label(clients[count], Path(folder), f"{number}-{count}", options.images))
            last = ", ".join(f"{count}: {each[-1][0]:.1f} ({each[-1][1]:.1f})" for count, each in rates.items())
            print(f"round {number + 1}, images/s by workers (in a second of processor time): {last}", flush=True)
    for count, each in rates.items():
        rate, of_processor = (statistics.median(values) for values in zip(*each, strict=True))
        print(f"workers: {count}; images/s: {rate:.1f}; images in a second of processor time: {of_processor:.1f}")
    print(f"load of the machine: {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors")


def write_images(folder: Path, count: int, width: int, height: int) -> None:
    """Write `count` JPEG files."""
    folder.mkdir()
    scene, rng = SyntheticScene(width, height), np.random.default_rng(1)
    for number in range(count):
        image = add_noise(scene.image(number * scene.period / count), rng, 4.0)
        cv2.imwrite(str(folder / f"{number:05}.jpg"), image)


def label(client: Client, folder: Path, name: str, images: int) -> tuple[float, float]:
    """Return the images per second of one run of the example, and per second of processor time of the workers."""
    scheduler = str(client.scheduler_info()["address"])
    command = [sys.executable, str(PROGRAM), scheduler, "images", name, "--part-images", str(PART_IMAGES)]
    before = sum(client.run(time.process_time).values())
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds = sum(client.run(time.process_time).values()) - before
    return float(re.findall(r"([\d.]+) images/s", result.stdout)[-1]), images / seconds


if __name__ == "__main__":
    main()
