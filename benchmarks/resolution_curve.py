"""Measure the cost of a frame at several image sizes and numbers of faces, against the baseline.

Frames of the synthetic camera, drawn beforehand; processor time of the loop's thread in ms per frame, of the pipeline
and of the baseline of benchmarks.versus_baseline, one after the other at each size. Parts are built beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.common import make_parser, make_pipeline, synthetic_frames, thread_seconds
from benchmarks.versus_baseline import run_baseline
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.pipeline import Summary
from edge.pipeline import run as run_loop

SIZES = ("320x240", "640x480", "1280x720", "1920x1080")
FACE_COUNTS = (2, 4, 8)  # at 640x480; at each size one
BASELINE_STEP = 10  # every so many frames are enough: the baseline's frames all cost the same


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("resolution_curve", __doc__)
    parser.add_argument("--frames", type=int, default=240)
    count = parser.parse_args(arguments).frames
    classifier = Classifier(shipped_model())
    print(f"{'image':>10} {'faces':>5} {'results':>8} {'baseline ms':>11} {'ms':>7} {'ratio':>6}")
    for size, faces in [*((size, 1) for size in SIZES), *(("640x480", faces) for faces in FACE_COUNTS)]:
        frames = synthetic_frames(count, f"size={size},faces={faces}")
        sparse = frames[::BASELINE_STEP]
        baseline = 1000 * run_baseline(sparse, classifier, "alt2", time.thread_time)[0] / len(sparse)
        pipeline, summaries = make_pipeline(classifier), list[Summary]()
        cost = 1000 * thread_seconds(lambda: summaries.append(run_loop(pipeline, iter(frames)))) / count  # noqa: B023
        results = summaries[0].face_results / count
        row = f"{size:>10} {faces:5} {results:8.2f} {baseline:11.1f} {cost:7.2f} {baseline / cost:6.1f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
