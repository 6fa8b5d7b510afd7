"""Builds a run from its settings: the only place that knows every part."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

from edge.capture import registry as cameras
from edge.config.settings import RunSettings
from edge.errors import CameraError
from edge.sinks import registry as sink_registry
from edge.types import Frame, RunInfo

if TYPE_CHECKING:
    from edge.capture.latest_frame import LatestFrame
    from edge.image_analyzer import ImageAnalyzer
    from edge.inference.classifier import Classifier
    from edge.pipeline import FrameProcessor, Summary
    from edge.system.systemd import SystemdNotifier

_log = logging.getLogger(__name__)


def _check_sinks(specs: list[str]) -> None:
    for spec in specs:
        sink_registry.find(spec)(RunInfo())


# Setting -> raises what is wrong with the names in its value, before anything is opened; see edge.config.toml_file.
NAME_CHECKS: dict[str, Callable[[Any], object]] = {"source": cameras.parse, "sinks": _check_sinks}


def run(settings: RunSettings) -> Summary:
    """Run until the source ends, a limit is reached, or a signal stops it; return the summary."""
    from edge.capture.frame_rate import FrameRateLimiter
    from edge.inference.classifier import Classifier
    from edge.pipeline import run as run_loop
    from edge.sinks.group import SinkGroup

    makers = {
        spec: sink_registry.find(spec) for spec in settings.sinks
    }  # a misspelled name ends the run before all else
    classifier = Classifier(settings.model, settings.threads)
    source = settings.source or ("" if settings.reconnect else detect_source())
    live = not source or cameras.is_live(source)
    run_info = make_run_info(settings, classifier, live=live)
    sinks = SinkGroup({spec: make(run_info) for spec, make in makers.items()}, live)
    rates = settings.max_fps, (settings.idle_fps or None) if live else None
    notifier = _make_notifier(classifier, rates)
    processor = make_processor(settings, classifier, images=not live and cameras.has_images(source))
    with ExitStack() as stack:
        ended = RunLimit(stack.enter_context(StopSignals()), settings.duration)
        frames = (
            _latest_frames(source, settings.reconnect, ended, notifier) if live else closing(cameras.frames(source))
        )
        return run_loop(
            processor,
            stack.enter_context(frames),
            [stack.enter_context(sinks), *([stack.enter_context(notifier)] if notifier else [])],
            max_frames=settings.max_frames,
            max_seconds=settings.duration,
            limiter=FrameRateLimiter(*rates),
            stopped=ended,
        )


def make_processor(settings: RunSettings, classifier: Classifier, *, images: bool = False) -> FrameProcessor:
    """Return what turns a frame of the run into a result; `images` says that each frame is an image on its own."""
    if images:
        return make_image_analyzer(settings, classifier)
    from edge.detection.haar import HaarDetector
    from edge.inference.smoothing import TemporalSmoother
    from edge.pipeline import Pipeline
    from edge.tracking.tracker import Tracker

    card = classifier.card
    min_confidence = card.min_confidence if settings.min_confidence is None else settings.min_confidence
    return Pipeline(
        Tracker(HaarDetector(settings.cascade, settings.threads), settings.min_face_size),
        classifier,
        TemporalSmoother(card.labels, min_confidence, settings.half_life),
    )


def make_image_analyzer(settings: RunSettings, classifier: Classifier) -> ImageAnalyzer:
    """Return the analyzer of images on their own."""
    from edge.detection.haar import HaarDetector
    from edge.image_analyzer import ImageAnalyzer

    detector = HaarDetector(settings.cascade, settings.threads)
    return ImageAnalyzer(detector, classifier, settings.min_face_size, settings.min_confidence)


def make_run_info(settings: RunSettings, classifier: Classifier, *, live: bool) -> RunInfo:
    """Return what sinks may know about the run."""
    from edge.image_analyzer import LazyImageAnalyzer
    from edge.inference.classifier import Classifier

    card = classifier.card
    # With a classifier of its own: an upload is analyzed in another thread than the run's frames.
    analyze = LazyImageAnalyzer(lambda: make_image_analyzer(settings, Classifier(settings.model)))
    return RunInfo(live, card.labels, f"{card.name} {card.version}", analyze)


def detect_source() -> str:
    """Return the source to use where none is named, and log it with the reason."""
    source, reason = cameras.detect_source()
    _log.info("source: %s (%s)", source, reason)
    return source


def _make_notifier(classifier: Classifier, rates: tuple[float | None, ...]) -> SystemdNotifier | None:
    """Return what notifies the service manager; without one not even its module is loaded."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    from edge.system.systemd import make_notifier

    return make_notifier(classifier.warm_up, min((rate for rate in rates if rate is not None), default=None))


def _latest_frames(
    source: str, reconnect: bool, ended: Callable[[], bool], notifier: SystemdNotifier | None
) -> LatestFrame:
    """Return the newest frames of the live `source`; with `reconnect` also of a camera that is lost and found again."""
    from edge.capture.latest_frame import LatestFrame
    from edge.capture.reconnecting import ReconnectingCamera

    if not reconnect:
        return LatestFrame(cameras.frames(source), ended)
    camera = ReconnectingCamera(_camera_opener(source), _log_camera, ended)

    def waiting() -> bool:
        reason = camera.waiting
        if reason and notifier:
            notifier.waiting(reason)
        return reason is not None

    return LatestFrame(camera.frames(), ended, waiting)


def _camera_opener(source: str) -> Callable[[], tuple[Generator[Frame, None, None], bool]]:
    """Return what opens `source`, or without one the camera that is there then; it raises CameraError if there is none."""
    logged = set()

    def open_camera() -> tuple[Generator[Frame, None, None], bool]:
        name, reason = (source, "") if source else cameras.detect_source()
        if name == "synthetic" and not source:
            raise CameraError(reason)
        if reason and name not in logged:
            logged.add(name)
            _log.info("source: %s (%s)", name, reason)
        return cameras.frames(name), cameras.can_reconnect(name)

    return open_camera


def _log_camera(change: str, bad: bool) -> None:
    _log.log(logging.WARNING if bad else logging.INFO, "edge: %s", change)


class StopSignals:
    """Ctrl-C or SIGTERM ends the run after the current frame, with everything closed; a second one ends it at once."""

    def __init__(self) -> None:
        self._received = False

    def __call__(self) -> bool:
        return self._received

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: Any) -> None:
        if self._received:
            sys.exit(128 + number)
        self._received = True


class RunLimit:
    """Whether a run is to end, by a signal or by its duration, also while no frame comes."""

    def __init__(self, stopped: Callable[[], bool], duration: float | None) -> None:
        self._stopped, self._end = stopped, time.monotonic() + (math.inf if duration is None else duration)

    def __call__(self) -> bool:
        return self._stopped() or time.monotonic() >= self._end
