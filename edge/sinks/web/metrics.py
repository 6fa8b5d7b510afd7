"""Metrics for Prometheus, named by its conventions: https://prometheus.io/docs/practices/naming/.

The collectors read counters that the run keeps anyway. A value that is not available is left out.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from edge.sinks.web.context import WebContext
from edge.sinks.web.health import HealthMonitor
from edge.sinks.web.run_state import RunState
from edge.sinks.web.subscribers import SubscriberSet
from edge.system.machine import THROTTLING_STATES


def make_registry(context: WebContext) -> CollectorRegistry:
    """Return a registry with the metrics of the run, the board, the clients and this process."""
    registry = CollectorRegistry()
    registry.register(RunCollector(context.run_state))
    registry.register(FaceCollector(context.run_state))
    registry.register(FaceStatisticsCollector(context.run_state))
    registry.register(BoardCollector(context.health))
    registry.register(ClientCollector({"events": context.event_clients, "mjpeg": context.mjpeg_clients}))
    ProcessCollector(registry=registry)  # Prometheus' standard process_... metrics
    return registry


class RunCollector(Collector):
    """Frame rates, counters of frames, and histograms of durations."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state, now = self._state, time.monotonic()
        rates, age = state.rates(now), state.last_frame_age(now)
        yield _gauge("camera_fps", "Frames per second that the camera delivered.", rates.camera_fps)
        yield _gauge("process_fps", "Frames per second that were processed.", rates.process_fps)
        yield _gauge("skipped_fps", "Frames per second that were skipped.", rates.skipped_fps)
        yield CounterMetricFamily("emotion_edge_frames", "Frames processed.", state.stats.frames)
        yield CounterMetricFamily("emotion_edge_skipped_frames", "Frames skipped.", state.stats.skipped)
        inference = state.stats.inference
        yield CounterMetricFamily("emotion_edge_inferences", "Inferences.", inference.classified)
        skipped = CounterMetricFamily(
            "emotion_edge_skipped_inferences",
            "Faces in a frame that were not classified: recent: classified a moment before; unchanged: the label is "
            "certain, and the face looks the same; waiting: there was time only for other faces.",
            labels=["reason"],
        )
        for reason in ("recent", "unchanged", "waiting"):
            skipped.add_metric([reason], getattr(inference, reason))
        yield skipped
        if age is not None:
            yield _gauge("last_frame_age_seconds", "Time since the last frame.", age)
        for name, text, histogram in (
            ("detection_duration_seconds", "Duration of face detection in a frame.", state.detection),
            (
                "inference_duration_seconds",
                "Duration of inference in a frame with a face that was due.",
                state.inference,
            ),
            ("latency_seconds", "Latency from the capture of a frame to its result.", state.latency),
        ):
            yield HistogramMetricFamily(f"emotion_edge_{name}", text, histogram.buckets(), histogram.sum)


class FaceCollector(Collector):
    """The faces in the last frame."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        faces = self._state.faces
        yield _gauge("faces", "Faces in the last frame.", len(faces))
        text = "Largest time since the last inference of a face in the last frame, 0 without a face."
        yield _gauge("result_age_seconds", text, max((face.age for face in faces), default=0.0))
        text = "Mean probability of a label over the faces in the last frame, 0 without a face."
        probability = GaugeMetricFamily("emotion_edge_probability", text, labels=["label"])
        for label in self._state.labels:
            total = sum(face.probabilities.get(label, 0.0) for face in faces)
            probability.add_metric([label], total / max(1, len(faces)))
        yield probability


class FaceStatisticsCollector(Collector):
    """The faces of all frames: what drift shows in."""

    def __init__(self, state: RunState) -> None:
        self._statistics = state.face_statistics

    def collect(self) -> Iterator[Metric]:
        statistics = self._statistics
        text = "Faces with this label; a face counts once in each frame."
        labeled = CounterMetricFamily("emotion_edge_labeled_faces", text, labels=["label"])
        for label, count in statistics.labeled.items():
            labeled.add_metric([label], count)
        yield labeled
        text = "Uncertain faces; a face counts once in each frame."
        yield CounterMetricFamily("emotion_edge_uncertain_faces", text, statistics.uncertain)
        for name, text, histogram in (
            ("face_width_pixels", "Width of a face in pixels of the frame.", statistics.width),
            ("face_brightness_ratio", "Mean brightness of a face, 0 black to 1 white.", statistics.brightness),
        ):
            yield HistogramMetricFamily(f"emotion_edge_{name}", text, histogram.buckets(), histogram.sum)


class BoardCollector(Collector):
    """Temperature, throttling and disk of the board, as last read, its clock, and the versions that are running."""

    def __init__(self, health: HealthMonitor) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        board = self._health.board
        if board.temperature is not None:
            yield _gauge("cpu_temperature_celsius", "Temperature of the processor.", board.temperature)
        if board.throttling is not None:
            throttled = GaugeMetricFamily(
                "emotion_edge_throttled", "Whether the board is throttled for this reason.", labels=["reason"]
            )
            for state in THROTTLING_STATES:
                throttled.add_metric([state], float(state in board.throttling["now"]))
            yield throttled
        if board.disk_free_mb is not None:
            text = "Free space of the file system of the run's working folder."
            yield _gauge("disk_free_bytes", text, board.disk_free_mb * 1e6)
        yield _gauge("time_seconds", "The board's clock, in seconds since 1970.", time.time())
        health, python = self._health, platform.python_version()
        build = {"version": health.version, "model": health.describe_model(), "python": python}
        yield InfoMetricFamily("emotion_edge_build", "Versions that are running.", build)


class ClientCollector(Collector):
    """The clients of the server's streams, stream -> clients."""

    def __init__(self, clients: dict[str, SubscriberSet]) -> None:
        self._clients = clients

    def collect(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("emotion_edge_web_clients", "Clients of a stream.", labels=["stream"])
        dropped = CounterMetricFamily(
            "emotion_edge_web_dropped_clients", "Clients disconnected because they stalled.", labels=["stream"]
        )
        for stream, clients in self._clients.items():
            connected.add_metric([stream], len(clients))
            dropped.add_metric([stream], clients.dropped)
        yield from (connected, dropped)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"emotion_edge_{name}", text, value)
