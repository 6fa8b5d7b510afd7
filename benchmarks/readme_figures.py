"""Measure the figures of the README: installed size, start, results on the synthetic camera, speed.

Run it with .venv/bin/python, which scripts/run.sh makes: the installed size is that of the environment it runs in.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2

from benchmarks.common import make_parser, make_pipeline, synthetic_frames
from edge.capture.synthetic import SyntheticScene
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.types import FrameResult

FPS = 30  # of the synthetic camera
CORRECT_IOU = 0.4  # of a result's box and the face
QUERIES = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("readme_figures", __doc__)
    parser.add_argument("--starts", type=int, default=5, help="of which the median is taken")
    starts = parser.parse_args(arguments).starts
    classifier, scene = Classifier(shipped_model()), SyntheticScene()
    frames = synthetic_frames(round(scene.period * FPS))
    pipeline = make_pipeline(classifier)
    begin = time.perf_counter()
    results = [pipeline.process(frame) for frame in frames]
    fps = len(frames) / (time.perf_counter() - begin)
    visible, single, correct = count_correct(scene, results)
    face = classifier.prepare(results[0].frame.gray, scene.faces(0)[0].box)
    installed_mb = sum(path.lstat().st_blocks * 512 for path in Path(sys.prefix).rglob("*")) / 1e6  # as `du` counts
    start = statistics.median(seconds_to_first_result(scene) for _ in range(starts))
    latency = statistics.median(elapsed(lambda: classifier.classify(face)) for _ in range(QUERIES))
    figures = {
        "environment": f"{installed_mb:.0f} MB in {Path(sys.prefix).name}",
        "model": f"{shipped_model().stat().st_size / 1e6:.2f} MB",
        "start to first result": f"{start:.2f} s on an image (median of {starts})",
        "synthetic, one result": f"{single / visible:.1%} of {visible} frames with a complete face: one result, at it",
        "synthetic, emotion": f"{correct / visible:.1%} of them with the emotion that is shown",
        "loop": f"{fps:.0f} frames per second, synthetic 640x480 drawn beforehand, one thread",
        "classifier": f"{1000 * latency:.2f} ms per face (median of {QUERIES})",
    }
    for name, value in figures.items():
        print(f"{name:24} {value}")


def count_correct(scene: SyntheticScene, results: Iterable[FrameResult]) -> tuple[int, int, int]:
    """Return the frames with a complete face, those with exactly one result at it, and those with its emotion, too."""
    visible = single = correct = 0
    for result in results:
        (face,) = scene.faces(result.frame.time)
        if face.visible:
            visible += 1
            found = len(result.faces) == 1 and result.faces[0].box.iou(face.box) >= CORRECT_IOU
            single += found
            correct += found and result.faces[0].label == face.emotion
    return visible, single, correct


def seconds_to_first_result(scene: SyntheticScene) -> float:
    """Return the seconds from starting the command to its first line."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "face.png"
        cv2.imwrite(str(image), scene.image(0))
        command = [str(Path(sys.executable).with_name("edge")), "run", str(image), "--sink", "jsonl"]
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            line = process.stdout.readline()
            seconds = time.perf_counter() - begin
        if b'"label"' not in line:
            sys.exit(f"readme_figures: no result for the image: {line!r}")
        return seconds


def elapsed(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
