"""Compare face detectors: what each finds in images, its time for an image, and that for a frame of a video.

The detectors take turns on each image and on each video, so that other programs slow all of them alike. Found: an image
in which a box covers the center and is at least a quarter of the width wide; extra: every other box. Times are the
processor time of the thread, detection alone for an image, detection and tracking for a frame; the median of a frame
and its 99th percentile, which a camera's rate must leave time for.

    python -m benchmarks.detectors haar blazeface:FILE.tflite yunet:FILE.onnx --images FOLDER
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import make_parser
from edge.capture import registry as cameras
from edge.config.defaults import MIN_FACE_SIZE
from edge.detection import registry as detectors
from edge.tracking.tracker import Tracker
from edge.types import Detection, Frame

MIN_WIDTH_FRACTION = 0.25  # of the image, as in trainer.evaluation.scenes
FPS = 30  # of the synthetic camera, which has no rate of its own


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("detectors", __doc__)
    parser.add_argument("detectors", nargs="+", metavar="DETECTOR", help="as of edge run")
    parser.add_argument("--images", type=Path, action="append", default=[], metavar="FOLDER", help="repeatable")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="read only every Nth image")
    parser.add_argument("--videos", nargs="*", default=["synthetic:fast"], metavar="SOURCE", help="as of edge run")
    parser.add_argument("--frames", type=int, default=450, metavar="COUNT", help="of each video")
    parser.add_argument("--min-face-size", type=int, default=MIN_FACE_SIZE, metavar="PIXELS", help="as of edge run")
    options = parser.parse_args(arguments)
    for folder in options.images:
        paths = sorted(path for path in folder.rglob("*") if path.suffix == ".jpg")[:: options.every]
        print(f"{folder.name}, {len(paths)} images, smallest face {options.min_face_size} pixels")
        compare_images(options.detectors, paths, options.min_face_size)
    for source in options.videos:
        frames = list(islice(cameras.frames(source), options.frames))
        print(f"{source}, {len(frames)} frames, smallest face {options.min_face_size} pixels")
        compare_videos(options.detectors, frames, options.min_face_size)


def compare_images(specs: Sequence[str], paths: Sequence[Path], min_face_size: int) -> None:
    """Print what each detector finds in the images."""
    each = {spec: detectors.make_image_detector(spec) for spec in specs}
    seconds, found, extra = defaultdict[str, float](float), defaultdict[str, int](int), defaultdict[str, int](int)
    for path in paths:
        gray = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        for spec, detector in each.items():
            start = time.thread_time()
            faces = detector.detect(gray, min_face_size)
            seconds[spec] += time.thread_time() - start
            is_found = any(_is_center_face(face, gray.shape[1], gray.shape[0]) for face in faces)
            found[spec] += is_found
            extra[spec] += len(faces) - is_found
    print(f"{'detector':34} {'found':>6} {'extra':>5} {'ms an image':>11}")
    for spec in specs:
        ms = 1000 * seconds[spec] / len(paths)
        print(f"{_short(spec):34} {found[spec] / len(paths):6.1%} {extra[spec]:5} {ms:11.1f}", flush=True)


def compare_videos(specs: Sequence[str], frames: Sequence[Frame], min_face_size: int) -> None:
    """Print the time of each detector in the tracker, and how many faces are tracked."""
    trackers = {spec: Tracker(detectors.make_detector(spec), min_face_size) for spec in specs}
    times: dict[str, list[float]] = defaultdict(list)
    tracked, ids = defaultdict[str, int](int), defaultdict[str, set[int]](set)
    for number, frame in enumerate(frames):
        for spec, tracker in trackers.items():
            start = time.thread_time()
            tracks = tracker.update(frame.gray, number / FPS)
            times[spec].append(1000 * (time.thread_time() - start))
            tracked[spec] += len(tracks)
            ids[spec] |= {track.track_id for track in tracks}
    print(f"{'detector':34} {'mean ms':>8} {'median':>7} {'99 %':>6} {'faces a frame':>13} {'tracks':>6}")
    for spec in specs:
        mean, median, high = np.mean(times[spec]), *np.percentile(times[spec], (50, 99))
        faces = tracked[spec] / len(frames)
        print(f"{_short(spec):34} {mean:8.2f} {median:7.2f} {high:6.1f} {faces:13.2f} {len(ids[spec]):6}", flush=True)


def _is_center_face(face: Detection, width: int, height: int) -> bool:
    box = face.box
    covers_center = box.x <= width / 2 <= box.x + box.width and box.y <= height / 2 <= box.y + box.height
    return covers_center and box.width >= MIN_WIDTH_FRACTION * width


def _short(spec: str) -> str:
    """Return `spec` with the name of its file alone."""
    name, _, file = spec.partition(":")
    return f"{name}:{Path(file).name}" if file else name


if __name__ == "__main__":
    main()
