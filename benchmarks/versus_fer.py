"""Measure the pipeline against the package `fer`, each in a process and an environment of its own, interleaved.

fer needs gigabytes, so it gets an environment of its own:

    python3 -m venv .venv-fer && .venv-fer/bin/pip install fer==25.10.3 "opencv-python<5" "setuptools<81"
    python -m benchmarks.versus_fer .venv-fer/bin/python VIDEO

fer's pipeline is that of its README: `FER().detect_emotions(frame)`, with its default face detection, one OpenCV
thread. The start is from starting Python to the first result; frames per second are those after it; memory is the
peak of the process without the decoded frames.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.common import make_parser

# {imports} and {setup} define `detect`, which takes a BGR frame. Decoding the video is left out of the start.
PROGRAM = """
import json, resource, sys, time
import cv2
{imports}
imported = time.time()
cv2.setNumThreads(1)
video, process_started, max_frames = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
capture, frames = cv2.VideoCapture(video), []
while len(frames) < max_frames and (read := capture.read())[0]:
    frames.append(read[1])
decoded = time.time()
{setup}
detect(frames[0])
first_result = time.time()
for frame in frames[1:]:
    detect(frame)
fps = (len(frames) - 1) / (time.time() - first_result)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - sum(frame.nbytes for frame in frames) / 2**20
start = (imported - process_started) + (first_result - decoded)
print(json.dumps({{"start": start, "fps": fps, "memory": memory}}))
"""
FER = PROGRAM.format(imports="from fer.fer import FER", setup="detect = FER().detect_emotions")
EDGE = PROGRAM.format(
    imports="""
from itertools import count
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Frame
""",
    setup="""
classifier = Classifier(shipped_model())
smoother = TemporalSmoother(classifier.card.labels, classifier.card.min_confidence)
pipeline, indices = Pipeline(Tracker(HaarDetector()), classifier, smoother), count()
def detect(frame):
    index = next(indices)
    pipeline.process(Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), lambda: frame, index / 30, index))
""",
)
# Key -> unit, and which of the rounds counts.
METRICS: dict[str, tuple[str, Callable[..., float]]] = {
    "fps": ("frames per second", max),
    "start": ("s to the first result", min),
    "memory": ("MiB at the peak", min),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("versus_fer", __doc__)
    parser.add_argument("fer_python", metavar="FER_PYTHON", help="the Python of an environment with fer")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--max-frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(arguments)
    fer, edge = [], []
    for _ in range(options.rounds):
        fer.append(measure(options.fer_python, FER, options.video, options.max_frames))
        edge.append(measure(sys.executable, EDGE, options.video, options.max_frames))
    print(f"{'':24} {'fer':>9} {'edge':>9} {'gain':>7}")
    for key, (unit, best) in METRICS.items():
        fer_value, edge_value = (best(run[key] for run in runs) for runs in (fer, edge))
        gain = edge_value / fer_value if best is max else fer_value / edge_value
        print(f"{unit:24} {fer_value:9.2f} {edge_value:9.2f} {gain:7.1f}")


def measure(python: str, program: str, video: str, max_frames: int) -> dict[str, float]:
    """Return the METRICS of `program` in a new process."""
    command = [python, "-c", program, video, str(time.time()), str(max_frames)]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
