"""The run as Prometheus reads it: the text format 0.0.4, with base units and the endings of its naming conventions."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edge.sinks.web.health import Health
from edge.sinks.web.run_state import BOUNDS, Histogram, Watch
from edge.system import machine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "emotion_edge"

Labels = Mapping[str, str]


class Metric(NamedTuple):
    name: str  # without the prefix
    kind: str  # counter, gauge or histogram
    help: str
    samples: Sequence[tuple[Labels, float]] | Histogram


def text(watch: Watch, health: Health, viewers: Mapping[str, int], dropped: int, model: str) -> str:
    """Return all metrics; what is not available is left out.

    Args:
        viewers: how many look now, by what they look at.
        dropped: how many were dropped since the start.
    """
    return "".join(
        _lines(metric) for metric in (*_of_run(watch), *_of_board(health), *_of_web(viewers, dropped, model))
    )


def _of_run(watch: Watch) -> Iterator[Metric]:
    rates = watch.rates(time.monotonic())
    yield _gauge("camera_fps", "Frames a second that the camera gave, over the last 5 seconds.", rates.camera)
    yield _gauge("process_fps", "Frames a second that were looked at, over the last 5 seconds.", rates.process)
    yield _gauge("skipped_fps", "Frames a second that nobody looked at, over the last 5 seconds.", rates.skipped)
    yield _counter("frames_total", "Frames that were looked at.", watch.frames)
    yield _counter("skipped_frames_total", "Frames of the camera that nobody looked at.", watch.skipped)
    since = watch.since_frame(time.monotonic())
    yield _gauge("last_frame_age_seconds", "Time since the last frame.", since)
    yield Metric("detection_seconds", "histogram", "Time for the search of faces in a frame.", watch.detection)
    yield Metric("inference_seconds", "histogram", "Time for the model on a frame's faces.", watch.inference)
    yield Metric("image_age_seconds", "histogram", "Age of an image when its labels are out.", watch.age)
    _, _, readings = watch.reading or (0.0, 0, ())
    yield _gauge("faces", "Faces in the last frame.", len(readings))
    count = max(1, len(readings))
    shares = {label: sum(each.probabilities.get(label, 0.0) for each in readings) / count for label in watch.labels}
    samples = [({"emotion": label}, share) for label, share in shares.items()]
    yield Metric("emotion_ratio", "gauge", "Mean share of an emotion over the last frame's faces; 0: no face.", samples)


def _of_board(health: Health) -> Iterator[Metric]:
    board = health.board
    resident = None if board.resident is None else board.resident * 1e6
    yield _gauge("temperature_celsius", "Temperature of the processor.", board.temperature)
    if board.throttling is not None:
        now = [({"reason": reason}, float(reason in board.throttling["now"])) for reason in machine.THROTTLING]
        yield Metric("throttled", "gauge", "Whether the board is held back for that reason now.", now)
    yield _gauge("resident_memory_bytes", "Memory of the process.", resident)
    yield _gauge("uptime_seconds", "Time since the process was started.", machine.process_age())


def _of_web(viewers: Mapping[str, int], dropped: int, model: str) -> Iterator[Metric]:
    looking = [({"of": what}, float(count)) for what, count in viewers.items()]
    yield Metric("web_viewers", "gauge", "Open connections that are sent something all the time.", looking)
    yield _counter("web_dropped_viewers_total", "Viewers dropped as they took nothing for 10 seconds.", dropped)
    about = {
        "version": machine.installed("emotion-edge") or "",
        "model": model,
        "python": platform.python_version(),
    }
    yield Metric("build_info", "gauge", "What is running; always 1.", [(about, 1.0)])


def _gauge(name: str, help_: str, value: float | None) -> Metric:
    return Metric(name, "gauge", help_, [] if value is None else [({}, value)])


def _counter(name: str, help_: str, value: float) -> Metric:
    return Metric(name, "counter", help_, [({}, value)])


def _lines(metric: Metric) -> str:
    name = f"{PREFIX}_{metric.name}"
    if isinstance(metric.samples, Histogram):
        samples = list(_of_histogram(name, metric.samples))
    else:
        samples = [f"{name}{_labels(labels)} {value:.10g}" for labels, value in metric.samples]
    if not samples:
        return ""
    return "\n".join([f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}", *samples, ""])


def _of_histogram(name: str, histogram: Histogram) -> Iterator[str]:
    counts, below = list(histogram.counts), 0
    for bound, count in zip((*BOUNDS, float("inf")), counts, strict=True):
        below += count
        yield f'{name}_bucket{{le="{"+Inf" if bound == float("inf") else f"{bound:g}"}"}} {below}'
    yield f"{name}_sum {histogram.sum:.10g}"
    yield f"{name}_count {below}"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
