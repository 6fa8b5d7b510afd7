"""Measure the loop on boards that are slower than this machine: the parts are real, their durations are assumed.

A clock of its own advances by the time that each step takes on the board: its instructions, counted on an emulated
Cortex-A72, divided by the instructions that a core of the board executes in a second. Nothing sleeps, and the result is
the same on every machine. The synthetic camera delivers 30 frames per second with noise; a frame that arrives while
the loop is busy replaces the one that waits, as in LatestFrame. Capture and sinks run on the same core as the loop.

    fps           frames per second with their boxes
    inferences    per second and face
    age           of the probabilities that are shown, 95th percentile
    delay         from the frame on which an inference became due until its result is out, 95th percentile
    fair          mean delay of the face that waits the least, relative to the one that waits the most
    change        from a change of the emotion until its label is out, for emotions that the model is sure of: median,
                  and those within 0.5 s
    flicker       label changes without a change of the emotion, per minute and face

These are assumptions, not measurements of a board: see BOARDS. With --before, the loop of another checkout is measured
in the same way. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import edge.pipeline
from benchmarks.common import make_parser
from edge.capture.synthetic import EMOTION_SECONDS, SyntheticFace, SyntheticScene
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Box, Detection, Frame, FrameResult, Track

try:
    from edge.inference.budget import InferenceBudget
except ImportError:  # a checkout from before the budget, see --before
    InferenceBudget = None  # type: ignore[assignment, misc]

FPS = 30
NOISE = 4.0  # standard deviation in gray levels
NOISE_FIELDS = 8  # different images of noise, each of them shifted for each frame
FACES = (1, 2, 4, 8)
PROMPT_SECONDS = 0.5  # within which a change should show
SAME_FACE_IOU = 0.3  # of a result and the true face


@dataclass(frozen=True)
class Board:
    """A board, and what a step of the loop costs on it, in instructions.

    The counts are those of docs/arm64.json and of issue 15, on a Cortex-A72; `inference` on a Cortex-A76 is half of
    them, by its dot-product instruction. Instructions per second: the clock, times 1.0 to 1.4 instructions a cycle on a
    Cortex-A72, 1.9 on a Cortex-A76, 0.75 on a Cortex-A53, which executes them in order; the low end is used.
    """

    name: str
    instructions_per_second: float  # of one core
    inference: float = 38.9e6
    crop: float = 1.1e6  # per inference
    search_per_pixel: float = 560  # of an area after downscaling, over all face sizes
    track: float = 1.0e6  # per face and frame: template matching
    compare: float = 0.3e6  # per face and frame, where it is decided whether the face has changed
    rest: float = 3.4e6  # per frame: 0.1 billion a second for capture, conversion and sinks


BOARDS = (
    Board("Pi 4", 1.8e9),  # Cortex-A72, 1.8 GHz: an inference takes 22 ms
    Board("Pi 5", 4.5e9, inference=19.5e6),  # Cortex-A76, 2.4 GHz: 4 ms
    Board("Zero 2 W", 0.75e9),  # Cortex-A53, 1 GHz: 52 ms
    Board("Zero 2 W, fast", 0.75e9, inference=12e6),  # with a model of 12 million instructions: 16 ms
)


@dataclass(frozen=True)
class Measurement:
    """What a run on a board gave; times in seconds."""

    board: str
    faces: int
    fps: float
    inferences: float  # per second and face
    age_p95: float
    delay_p95: float
    fairness: float  # 0 to 1
    change_median: float
    prompt_changes: int  # within PROMPT_SECONDS
    changes: int
    flicker: float  # per minute and face


class BoardClock:
    """The simulated time of a board; replaces the module `time` in edge.pipeline."""

    def __init__(self, board: Board) -> None:
        self._board, self.now = board, 0.0

    def __call__(self) -> float:
        return self.now

    perf_counter = monotonic = __call__

    def execute(self, instructions: float) -> None:
        self.now += instructions / self._board.instructions_per_second


class TimedDetector(HaarDetector):
    """Adds up the pixels that are searched."""

    pixels = 0.0

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = 0.0,
        max_size: float | None = None,
        window: float = 1.0,
        roll: float = 0.0,
    ) -> list[Detection]:
        height, width = (area.height, area.width) if area else gray.shape
        self.pixels += width * height / max(1.0, min_size / window) ** 2
        turned = {"roll": roll} if roll else {}  # which older checkouts lack
        return super().detect(gray, area, min_size, max_size, window, **turned)


class TimedTracker:
    def __init__(self, board: Board, clock: BoardClock) -> None:
        self._board, self._clock, self._detector = board, clock, TimedDetector()
        self._tracker = Tracker(self._detector)

    @property
    def candidates(self) -> Sequence[Track]:
        return self._tracker.candidates

    def update(self, gray: NDArray[np.uint8], now: float) -> Sequence[Track]:
        before = self._detector.pixels
        tracks = self._tracker.update(gray, now)
        searched = self._detector.pixels - before
        self._clock.execute(searched * self._board.search_per_pixel + len(tracks) * self._board.track)
        return tracks


class TimedClassifier:
    def __init__(self, classifier: Classifier, board: Board, clock: BoardClock) -> None:
        self._classifier, self._board, self._clock = classifier, board, clock

    @property
    def uses_color(self) -> bool:
        return self._classifier.uses_color

    def prepare(self, image: NDArray[np.uint8], box: Box, **options: Any) -> NDArray[np.uint8]:
        self._clock.execute(self._board.crop)
        return self._classifier.prepare(image, box, **options)

    def classify(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._clock.execute(self._board.inference)
        return self._classifier.classify(face)


class TimedSmoother(TemporalSmoother):
    """Keeps the requests of the last frame, and counts those of each face."""

    def __init__(self, classifier: Classifier, board: Board, clock: BoardClock) -> None:
        super().__init__(classifier.card.labels, classifier.card.min_confidence)
        self._board, self._clock = board, clock
        self.requests: Sequence[Any] = ()

    def plan(self, *arguments: Any) -> Any:
        before = getattr(self, "stats", None)
        self.requests = super().plan(*arguments)
        if before is not None:
            compared = self.stats.classified + self.stats.unchanged - before.classified - before.unchanged
            self._clock.execute(compared * self._board.compare)
        return self.requests


@dataclass(frozen=True)
class Shown:
    """One frame's result, and when it was out."""

    result: FrameResult
    waited: Sequence[float]  # seconds that each classified face had been due before the frame
    inferred: Sequence[int]  # track ids of the classified faces
    at: float  # seconds, when the result was out


def simulate(board: Board, scene: SyntheticScene, classifier: Classifier, seconds: float) -> Iterator[Shown]:
    """Yield the result of each frame that the loop processes on `board` in `seconds`."""
    clock, rng = BoardClock(board), np.random.default_rng(1)
    fields = rng.normal(0, NOISE, (NOISE_FIELDS, scene.height, scene.width)).astype(np.float32)
    smoother = TimedSmoother(classifier, board, clock)
    parts: list[Any] = [TimedTracker(board, clock), TimedClassifier(classifier, board, clock), smoother]
    if InferenceBudget is not None:
        parts.append(InferenceBudget(clock))
    pipeline, last = Pipeline(*parts), -1
    with patch.object(edge.pipeline, "time", clock):
        while True:
            requested = clock.now
            clock.now = max(clock.now, (last + 1) / FPS)  # waits for the next frame
            last = max(last + 1, math.floor(clock.now * FPS + 1e-9))
            if last >= seconds * FPS:
                return
            noisy = scene.image(last / FPS) + np.roll(fields[last % NOISE_FIELDS], 37 * last)
            gray = np.clip(noisy, 0, 255).astype(np.uint8)
            frame = Frame(gray, lambda: gray, last / FPS, last)  # noqa: B023 (nothing asks for color)
            result = pipeline.process(frame, clock.now - requested)
            clock.execute(board.rest)
            waited = [getattr(request, "waited", 0.0) for request in smoother.requests]
            yield Shown(result, waited, [request.track.track_id for request in smoother.requests], clock.now)


def measure(board: Board, faces: int, seconds: float, classifier: Classifier) -> Measurement:
    """Return the measurements of `board` with `faces` faces of the synthetic camera."""
    scene = SyntheticScene(face_count=faces)
    shown = list(simulate(board, scene, classifier, seconds))
    counts = Counter(track_id for each in shown for track_id in each.inferred)
    visible = Counter(face.track_id for each in shown for face in each.result.faces)
    waits: dict[int, list[float]] = defaultdict(list)  # track id -> seconds, of faces that stayed
    for each in shown:
        for track_id, waited in zip(each.inferred, each.waited, strict=True):
            if visible[track_id] > len(shown) / 4:
                waits[track_id].append(each.at - each.result.frame.time + waited)
    mean_waits = [float(np.mean(of_face)) for of_face in waits.values()]
    ages = [face.age for each in shown for face in each.result.faces]
    delays = [each.at - each.result.frame.time + waited for each in shown for waited in each.waited]
    changes, wrong, face_seconds = label_changes(scene, shown, sure_emotions(scene, classifier))
    return Measurement(
        board=board.name,
        faces=faces,
        fps=len(shown) / seconds,
        inferences=sum(counts.values()) / (len(ages) / len(shown) * seconds),
        age_p95=float(np.percentile(ages, 95)),
        delay_p95=float(np.percentile(delays, 95)),
        fairness=min(mean_waits) / max(mean_waits),
        change_median=float(np.median(changes)),
        prompt_changes=sum(change <= PROMPT_SECONDS for change in changes),
        changes=len(changes),
        flicker=60 * wrong / face_seconds,
    )


def sure_emotions(scene: SyntheticScene, classifier: Classifier) -> set[str]:
    """Return the emotions of `scene` that the model is sure of in a still face of 200 pixels without noise."""
    box, card, sure = Box(220, 140, 200, 200), classifier.card, set()
    for emotion in scene.emotions:
        probabilities = classifier.classify(classifier.prepare(scene.draw((emotion, box)), box))
        if probabilities[card.labels.index(emotion)] >= card.min_confidence:
            sure.add(emotion)
    return sure


def label_changes(scene: SyntheticScene, shown: Sequence[Shown], sure: set[str]) -> tuple[list[float], int, float]:
    """Return the delay of each change to a `sure` emotion, the number of wrong changes, and the seconds with a label.

    A change that never shows has the delay EMOTION_SECONDS.
    """
    labels: dict[int, list[tuple[float, str | None]]] = defaultdict(list)  # by number of the true face
    truths: dict[int, list[tuple[float, SyntheticFace]]] = defaultdict(list)
    for each in shown:
        for number, truth in enumerate(scene.faces(each.result.frame.time)):
            truths[number].append((each.result.frame.time, truth))
            face = max(each.result.faces, key=lambda face: face.box.iou(truth.box), default=None)
            if face is not None and face.box.iou(truth.box) > SAME_FACE_IOU:
                labels[number].append((each.at, face.label))
    delays, wrong, seconds = [], 0, 0.0
    for number, found in labels.items():
        seconds += len(found) / len(shown) * shown[-1].at
        true_changes = [
            (time, truth.emotion)
            for (_, before), (time, truth) in pairwise(truths[number])
            if truth.emotion != before.emotion and truth.visible
        ]
        shown_changes = [(time, label) for (_, before), (time, label) in pairwise(found) if label != before]
        correct = 0
        for time, emotion in true_changes:
            after = [at - time for at, label in shown_changes if label == emotion and 0 <= at - time < EMOTION_SECONDS]
            correct += bool(after)
            if emotion in sure and time + EMOTION_SECONDS <= shown[-1].at:
                delays.append(min(after, default=EMOTION_SECONDS))
        wrong += max(0, len(shown_changes) - correct)
    return delays, wrong, seconds


HEADER = (
    f"{'board':16} {'loop':8} {'faces':>5} {'fps':>5} {'inferences':>10} {'age':>6} {'delay':>6} {'fair':>5} "
    f"{'change':>7} {'prompt':>8} {'flicker':>7}"
)


def format_row(loop: str, row: Measurement) -> str:
    prompt = f"{row.prompt_changes} of {row.changes}"
    return (
        f"{row.board:16} {loop:8} {row.faces:5} {row.fps:5.1f} {row.inferences:10.1f} {row.age_p95:6.2f} "
        f"{row.delay_p95:6.2f} {row.fairness:5.2f} {row.change_median:7.2f} {prompt:>8} {row.flicker:7.1f}"
    )


def measure_checkout(checkout: Path, board: Board, faces: int, seconds: float) -> Measurement:
    """Return the measurements of the loop in another checkout, by this program with that checkout's packages."""
    command = [sys.executable, __file__, "--json", board.name, str(faces), "--duration", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    output = subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True).stdout
    return Measurement(**json.loads(output))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("slow_board", __doc__)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="also measure the loop of this checkout")
    parser.add_argument("--duration", type=float, default=24.0, help="seconds of each run; 24: a period of the camera")
    parser.add_argument("--faces", type=int, nargs="+", default=FACES)
    parser.add_argument("--json", nargs=2, metavar=("BOARD", "FACES"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    classifier, boards = Classifier(shipped_model()), {board.name: board for board in BOARDS}
    if options.json:
        name, faces = options.json
        print(json.dumps(asdict(measure(boards[name], int(faces), options.duration, classifier))))
        return
    print(HEADER)
    for board in BOARDS:
        for faces in options.faces:
            if options.before:
                print(format_row("before", measure_checkout(options.before, board, faces, options.duration)))
            print(format_row("now", measure(board, faces, options.duration, classifier)), flush=True)


if __name__ == "__main__":
    main()
