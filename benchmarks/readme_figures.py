"""Print the figures that README and the model card quote: size, start, synthetic yield, speed.

usage: .venv/bin/python benchmarks/readme_figures.py        (after scripts/run.sh has made .venv)
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import cv2

from edge.capture import registry as cameras
from edge.capture.synthetic import SyntheticScene
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import FrameResult

FPS = 30  # of the synthetic camera
RIGHT_PLACE = 0.4  # intersection over union of box and face


def main() -> None:
    classifier = Classifier(shipped_model())
    pipeline = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
    stage = SyntheticScene()
    frames = round(stage.period * FPS)
    started = time.perf_counter()
    seen = [pipeline.process(frame) for frame in islice(cameras.frames("synthetic:fast"), frames)]
    speed = frames / (time.perf_counter() - started)
    visible, alone, right = count(stage, seen)
    face = classifier.prepare(seen[0].frame.gray, stage.faces(0)[0].box)
    show("environment", f"{megabytes(Path(sys.prefix).rglob('*')):.0f} MB in {Path(sys.prefix).name}")
    show("model", f"{shipped_model().stat().st_size / 1e6:.2f} MB")
    show("start to first reading", f"{median(lambda: first_reading(stage), 5):.2f} s on an image (median of 5)")
    show(
        "synthetic, one reading",
        f"{alone / visible:.1%} of {visible} frames with a whole face: one reading, right place",
    )
    show("synthetic, emotion", f"{right / visible:.1%} of them read as the emotion that is shown")
    show("loop", f"{speed:.0f} frames a second, synthetic 640x480 and its drawing, one thread")
    show(
        "classifier",
        f"{median(lambda: timed(lambda: classifier.classify(face)), 1000) * 1000:.2f} ms a face (median of 1000)",
    )


def count(stage: SyntheticScene, seen: Iterable[FrameResult]) -> tuple[int, int, int]:
    """Return frames with a whole face, those with one reading at its place, and those that also name its emotion."""
    visible = alone = right = 0
    for observation in seen:
        (actor,) = stage.faces(observation.frame.time)
        readings = observation.faces
        if actor.visible:
            visible += 1
            good = len(readings) == 1 and readings[0].box.iou(actor.box) >= RIGHT_PLACE
            alone += good
            right += good and readings[0].label == actor.emotion
    return visible, alone, right


def first_reading(stage: SyntheticScene) -> float:
    """Return the seconds from starting the command to its first line."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "face.png"
        cv2.imwrite(str(image), stage.image(0))
        command = [str(Path(sys.executable).with_name("edge")), "run", str(image), "--sink", "jsonl"]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            line = process.stdout.readline()
            seconds = time.perf_counter() - started
        if b'"label"' not in line:
            sys.exit(f"figures.py: no reading on the image: {line!r}")
        return seconds


def median(measure: Callable[[], float], times: int) -> float:
    return statistics.median(measure() for _ in range(times))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def megabytes(paths: Iterable[Path]) -> float:
    return sum(path.lstat().st_blocks * 512 for path in paths) / 1e6  # on the disk, as du counts


def show(name: str, value: str) -> None:
    print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
