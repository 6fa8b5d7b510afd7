"""Label an archive of images on a Dask cluster: a line of JSON for each image, in parts that a second start keeps.

    python3 examples/archive/label.py tcp://scheduler:8786 /mnt/photos results

README.md in this folder says how to start a cluster and how to read the results.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from distributed import Client, KilledWorker, WorkerPlugin, as_completed, get_worker
except ImportError as error:
    sys.exit(f"label: {error}; pip install . 'dask[distributed]'")

SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PLUGIN = "emotion-edge"
QUEUED_PARTS = 2  # for each thread of the cluster: one that is being labeled, one that is there when it is done
RETRIES = 3  # of a part that failed as a whole, as where a worker's machine does not have the archive
REPORT_SECONDS = 10.0
FAILURES = (OSError, RuntimeError, ValueError, ImportError)  # of the cluster, or of all images alike

Row = dict[str, Any]


class LoadModel(WorkerPlugin):
    """Loads the model once in each worker process, also in those that join later."""

    name = PLUGIN

    def __init__(self, model: str | None) -> None:
        self._model = model

    def setup(self, worker: object) -> None:  # noqa: ARG002 (given by Dask)
        from edge import ImageAnalyzer

        self.lock = threading.Lock()  # an analyzer is not thread-safe, and a worker may have several threads
        self.problem: Exception | None = None
        try:
            self.analyzer = ImageAnalyzer(model=self._model)
            logging.getLogger("distributed.worker").info("emotion-edge: model loaded")
        except Exception as error:  # noqa: BLE001 (raised by label_part: Dask reports no error of a worker that joins later)
            self.problem = error


def label_part(folder: str, names: list[str]) -> list[Row]:
    """Return the row of each of `names` below `folder`. Runs on a worker."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder on {socket.gethostname()}; each worker must see the archive")
    plugin: Any = get_worker().plugins[PLUGIN]
    if plugin.problem:
        raise plugin.problem
    with plugin.lock:
        return [label_image(plugin.analyzer, folder, name) for name in names]


def label_image(analyzer: Any, folder: str, name: str) -> Row:
    """Return the row of one image; of one that cannot be read, with the reason."""
    try:
        found = analyzer.analyze(Path(folder, name))
    except Exception as error:  # noqa: BLE001 (of whatever kind: one image of a million must not end the run)
        return {"image": name, "error": str(error) or type(error).__name__, "faces": []}
    faces = [
        {
            "box": [face.box.x, face.box.y, face.box.width, face.box.height],
            "label": face.label,
            "confidence": round(face.confidence, 4),
            "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
        }
        for face in found
    ]
    return {"image": name, "error": None, "faces": faces}


def label_parts(client: Client, folder: str, parts: dict[Path, list[str]]) -> Iterator[tuple[Path, list[Row]]]:
    """Yield each of `parts`, file -> names, with its rows, in the order in which the cluster completes them."""
    waiting, running = deque(parts.items()), as_completed()
    queued: dict[Any, Path] = {}  # key of a future -> its part
    while waiting or queued:
        while waiting and len(queued) < max(1, QUEUED_PARTS * sum(client.nthreads().values())):
            path, names = waiting.popleft()
            future = client.submit(label_part, folder, names, pure=False, retries=RETRIES)
            queued[future.key] = path
            running.add(future)
        future = next(running)
        path = queued.pop(future.key)
        try:
            rows = future.result()
        except KilledWorker:  # several processes in a row died of this part, perhaps of one image
            rows = [row for name in parts[path] for row in label_alone(client, folder, name)]
        yield path, rows


def label_alone(client: Client, folder: str, name: str) -> list[Row]:
    """Return the row of one image, even if the worker process dies of it."""
    try:
        rows: list[Row] = client.submit(label_part, folder, [name], pure=False).result()
    except KilledWorker:
        return [{"image": name, "error": "the worker process died", "faces": []}]
    return rows


def list_images(folder: Path) -> list[str]:
    """Return the paths of all images below `folder`, relative to it, always in the same order."""
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted(str(path.relative_to(folder)) for path in found if path.suffix.lower() in SUFFIXES)


def check_results(results: Path, run: dict[str, object]) -> None:
    """Make the folder `results` for `run`; end the program if it has parts of another one."""
    results.mkdir(parents=True, exist_ok=True)
    description, text = results / "run.json", json.dumps(run) + "\n"
    if not description.exists():
        atomic_write(description, text)
    elif description.read_text() != text:
        sys.exit(f"label: {results} was begun with other images or options: name another folder, or empty this one")


def atomic_write(path: Path, text: str) -> None:
    """Write a file that is there completely or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def label_missing(client: Client, folder: str, parts: dict[Path, list[str]], model: str | None, kept: int) -> None:
    """Write the file of each of `parts`; `kept` images have theirs from before."""
    client.register_plugin(LoadModel(model))
    total = sum(map(len, parts.values()))
    done = errors = 0
    started = reported = time.monotonic()
    for path, rows in label_parts(client, folder, parts):
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))
        done += len(rows)
        errors += sum(row["error"] is not None for row in rows)
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or done == total:
            reported, rate = now, done / (now - started)
            print(f"{kept + done} of {kept + total} images, {errors} with an error, {rate:.1f} images/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scheduler", help="address of the cluster's scheduler")
    parser.add_argument("folder", type=Path, help="with the images, by a path that each worker sees")
    parser.add_argument("results", type=Path, help="folder for the parts, on this machine")
    parser.add_argument("--model", help="name or path, as of edge run --model")
    parser.add_argument("--part-images", type=int, default=500, help="images in a part; default: 500")
    options = parser.parse_args()
    folder = options.folder.absolute()
    names, size = list_images(folder), max(1, options.part_images)
    if not names:
        sys.exit(f"label: {folder}: no images found")
    listed = hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()
    run = {"folder": str(folder), "images": len(names), "sha256": listed, "model": options.model, "part_images": size}
    check_results(options.results, run)
    begins = range(0, len(names), size)
    parts = {options.results / f"{begin // size:06}.jsonl": names[begin : begin + size] for begin in begins}
    missing = {path: part for path, part in parts.items() if not path.exists()}
    kept = len(names) - sum(map(len, missing.values()))
    try:
        with Client(options.scheduler) as client:
            label_missing(client, str(folder), missing, options.model, kept)
    except FAILURES as error:
        sys.exit(f"label: {error}; parts that are complete are kept: start again to continue")
    print(f"{options.results}: {len(names)} images in {len(parts)} parts")


if __name__ == "__main__":
    main()
