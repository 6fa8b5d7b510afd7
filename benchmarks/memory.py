"""Check that the loop's memory does not grow with the number of frames.

Two faces of the synthetic camera that appear, change and disappear; each result is written as a JSON line to
/dev/null. The first tenth of the frames fills the buffers and does not count. Exit status 1 if the resident memory
grew by more than 1 MB after it. The default of 100,000 frames takes minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice

from benchmarks.common import make_parser, make_pipeline
from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.pipeline import run as run_loop
from edge.sinks import registry as sinks
from edge.system import process
from edge.types import Frame, RunInfo

MAX_GROWTH_MB = 1.0
SAMPLES = 10  # of the resident memory
SOURCE = "synthetic:fast,faces=2,size=320x240"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("memory", __doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    count = parser.parse_args(arguments).frames
    sizes: list[float] = []
    with sinks.find("jsonl:/dev/null")(RunInfo()) as sink:
        frames = sample_memory(islice(cameras.frames(SOURCE), count), count // SAMPLES, sizes)
        run_loop(make_pipeline(Classifier(shipped_model())), frames, [sink])
    growth = sizes[-1] - sizes[0]
    print(f"growth {growth:.2f} MB from frame {count // SAMPLES:,} to {count:,}, limit {MAX_GROWTH_MB:g} MB")
    if growth > MAX_GROWTH_MB:
        sys.exit(1)


def sample_memory(frames: Iterator[Frame], interval: int, sizes: list[float]) -> Iterator[Frame]:
    """Yield `frames`; after every `interval` of them add the resident memory in MB to `sizes`, and print it."""
    for number, frame in enumerate(frames, start=1):
        yield frame
        if number % interval == 0:
            resident = process.resident_mb()
            if resident is None:
                sys.exit("memory: the resident memory is not available (/proc/self/status)")
            sizes.append(resident)
            print(f"{number:9,} frames {resident:8.2f} MB", flush=True)


if __name__ == "__main__":
    main()
