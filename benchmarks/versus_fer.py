"""Measure the loop against the package `fer`, each in a process and an environment of its own, in turn.

usage (gigabytes to install):
       python3 -m venv .venv-fer && .venv-fer/bin/pip install fer==25.10.3 "opencv-python<5" "setuptools<81"
       .venv/bin/python benchmarks/versus_fer.py .venv-fer/bin/python VIDEO

fer's pipeline as its README shows it: `FER().detect_emotions(frame)`, with its default face search, one OpenCV thread.
Start is from starting Python to the first result; frames a second are those after it; memory is the process's peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

COMMON = """
import json, resource, sys, time
import cv2
cv2.setNumThreads(1)
video, began = sys.argv[1], float(sys.argv[2])
capture, frames = cv2.VideoCapture(video), []
while len(frames) < 150 and (read := capture.read())[0]:
    frames.append(read[1])
decoded = time.time()
def measure(detect):
    detect(frames[0])
    first = time.time()
    for frame in frames[1:]:
        detect(frame)
    fps = (len(frames) - 1) / (time.time() - first)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - sum(frame.nbytes for frame in frames) / 2**20
    print(json.dumps({"start": first - decoded + started - began, "fps": fps, "memory": peak}))
"""
FER = f"""
import time
from fer.fer import FER
{COMMON}
started = imported
detector = FER()
measure(detector.detect_emotions)
"""
OURS = f"""
import time
from itertools import count
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.detection.haar import Detector
from edge.pipeline import Pipeline
from edge.inference.smoothing import TemporalSmoother
from edge.tracking.tracker import Tracker
from edge.types import Frame
{COMMON}
started = imported
classifier = Classifier(shipped_model())
pipeline, index = Pipeline(Tracker(Detector()), classifier, TemporalSmoother(), classifier.card.labels), count()
def detect(frame):
    number = next(index)
    pipeline.observe(Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), lambda: frame, number / 30, number))
measure(detect)
"""
ROUNDS = 2


def main() -> None:
    python, video = sys.argv[1:3]
    fer, ours = [], []
    for _ in range(ROUNDS):
        fer.append(measured(python, FER, video))
        ours.append(measured(sys.executable, OURS, video))
    print(f"{'':24} {'fer':>9} {'ours':>9} {'gain':>7}")
    for key, unit, best in (
        ("fps", "frames a second", max),
        ("start", "s to first result", min),
        ("memory", "MB", min),
    ):
        theirs, own = (best(run[key] for run in runs) for runs in (fer, ours))
        gain = own / theirs if best is max else theirs / own
        print(f"{unit:24} {theirs:9.2f} {own:9.2f} {gain:7.1f}")


def measured(python: str, program: str, video: str) -> dict[str, float]:
    # The moment at which the imports are done, before the video is decoded for both.
    program = program.replace("capture, frames =", "imported = time.time(); capture, frames =", 1)
    command = [python, "-c", program, video, str(time.time())]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
