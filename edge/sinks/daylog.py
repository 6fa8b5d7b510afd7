"""Keeps a daily log, without images: `daylog:FOLDER`, options `days=30` and `max-mb=20`. Only for a live camera.

There is one file for each day, emotions-2026-11-21.csv (edge/sinks/daily_log.py); `edge summary FOLDER` evaluates it. A
segment is logged when a face changes its label or leaves, and is split every WRITE_INTERVAL_SECONDS: all lines of an
interval are one write, followed by fsync. So a power failure costs the last interval, and an SD card gets at most one
write in each, none while no face is present. Of more than `days` files the oldest are deleted, only files with this
sink's names. When a day has reached `max-mb`, the rest of it is not logged. A face that is present all day takes 1 MB.

Durations come from the monotonic clock, dates from the wall clock when a line is written: a board without a
battery-backed clock logs wrong dates until its clock is set, but always correct durations.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import NamedTuple, Self

from edge.config.sink_options import number, parse
from edge.errors import SinkError, UsageError
from edge.sinks.active_faces import GONE_AFTER_SECONDS
from edge.sinks.background_writer import BackgroundWriter
from edge.sinks.daily_log import Segment, append, log_path, logged_days
from edge.sinks.output_file import make_output_folder
from edge.system.paths import display_name, expand_path
from edge.types import Disclosure, FaceResult, FrameResult, RunInfo

WRITE_INTERVAL_SECONDS = 10  # a divisor of 900, so that hours begin with an interval in each time zone
MAX_FRAME_GAP_SECONDS = 15.0  # between two frames of a present face: a run may be as slow as a frame in 10 s
DEFAULT_DAYS, DEFAULT_MAX_MB = 30, 20

_log = logging.getLogger(__name__)


class Sample(NamedTuple):
    """The faces of one frame: without the frame, whose image would stay in memory."""

    time: float  # seconds, monotonic
    faces: Sequence[FaceResult]


@dataclass(eq=False, slots=True)
class OpenSegment:
    """A segment whose end is not known yet; times in seconds, monotonic."""

    track_id: int
    label: str | None
    begin: float
    end: float  # so far
    frames: int = 0
    confidence_sum: float = 0.0


class SegmentTracker:
    """Makes segments of samples. `finished` collects the segments that have ended; the caller removes them."""

    def __init__(self) -> None:
        self.finished: list[OpenSegment] = []
        self._open: dict[int, OpenSegment] = {}  # by track id
        self._last_time = float("-inf")  # of the last sample

    def add(self, sample: Sample) -> None:
        """Extend the segments of the faces in `sample`, and finish those of faces that are gone."""
        present = {face.track_id for face in sample.faces}
        for track_id, segment in list(self._open.items()):
            # A face in two successive samples was present in between, even if the run is slow.
            successive = track_id in present and segment.end == self._last_time
            if sample.time - segment.end > (MAX_FRAME_GAP_SECONDS if successive else GONE_AFTER_SECONDS):
                self._finish(self._open.pop(track_id))
        for face in sample.faces:
            current = self._open.get(face.track_id)
            if current is not None:
                current.end = sample.time
            if current is None or current.label != face.label:
                if current is not None:
                    self._finish(current)
                current = OpenSegment(face.track_id, face.label, sample.time, sample.time)
                self._open[face.track_id] = current
            current.frames += 1
            current.confidence_sum += face.confidence
        self._last_time = sample.time

    def split(self) -> None:
        """Finish all segments that have lasted, and continue each with a new one."""
        for track_id, segment in self._open.items():
            if segment.end > segment.begin:
                self._finish(segment)
                self._open[track_id] = OpenSegment(track_id, segment.label, segment.end, segment.end)

    def finish_all(self) -> None:
        """Finish all segments."""
        for segment in self._open.values():
            self._finish(segment)
        self._open.clear()

    def _finish(self, segment: OpenSegment) -> None:
        if segment.frames:  # none: begun by a split, after which the face was gone
            self.finished.append(segment)


class Sink:
    reopens = True  # what could not be written is kept until then

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        folder, options = parse("daylog", argument, {"days": number(1, 36_500), "max-mb": number(1, 100_000)})
        if not folder:
            raise UsageError("sink daylog: no folder found, expected daylog:FOLDER, as daylog:log")
        self.output = self._folder = expand_path(folder)
        self._days, self._max_mb = options.get("days", DEFAULT_DAYS), options.get("max-mb", DEFAULT_MAX_MB)
        self._live = run.live
        self._run_id = os.urandom(3).hex()  # after a reboot neither the process ID nor the time need to differ
        self._segments = SegmentTracker()
        self._interval = 0
        self._today = self._full_day = date.min
        self._writer: BackgroundWriter[Sample | None] = BackgroundWriter(
            f"daylog:{folder}", self._add, live=True, unit="frames"
        )

    def disclose(self) -> Disclosure:
        lines = "a line for each face and label: time of day, duration, mean confidence"
        limits = f"the last {self._days} days with a log, {self._max_mb} MB a day at most"
        return Disclosure(kept=(f"in {display_name(self._folder)}, {limits}: {lines}",))

    def __enter__(self) -> Self:
        if not self._live:
            raise UsageError("sink daylog: the daily log is for a live camera; for files use csv:FILE.csv")
        try:
            make_output_folder("daylog", self._folder)
        except OSError as error:
            raise SinkError(f"daylog:{self._folder}: cannot be created ({error.strerror})") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise SinkError(f"daylog:{self._folder}: cannot be written, check its owner and mode")
        self._interval, self._today = 0, date.min  # the first sample writes, so that errors show at once
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        self._writer.put(Sample(result.frame.captured_at, result.faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):  # the writer raises it again below
            self._writer.put(None)
        self._writer.__exit__(kind, error, trace)

    def _add(self, sample: Sample | None) -> None:
        """Add `sample`, and write when an interval is over; None: the end of the run."""
        if sample is None:
            self._segments.finish_all()
            self._save()
            return
        interval = int(time.time() // WRITE_INTERVAL_SECONDS)
        self._segments.add(sample)
        if interval != self._interval:
            # After the sample, so that what continues begins in the new interval, and with it in the new hour and day.
            self._segments.split()
            self._interval = interval
            self._save()

    def _save(self) -> None:
        """Write the finished segments, each to the file of its day, and begin the file of a new day."""
        now, zero = time.time(), time.time() - time.monotonic()
        today = datetime.fromtimestamp(now).astimezone().date()
        finished = self._segments.finished
        dated = [(datetime.fromtimestamp(zero + segment.begin).astimezone(), segment) for segment in finished]
        is_new_day = today != self._today
        for day in sorted({begin.date() for begin, _ in dated} | ({today} if is_new_day else set())):
            self._append(day, [(begin, segment) for begin, segment in dated if begin.date() == day])
            self._segments.finished = [segment for begin, segment in dated if begin.date() > day]
        if is_new_day:
            self._today = today
            # Counted, not by age: the clock may be wrong by years.
            for day in logged_days(self._folder)[: -self._days]:
                if day != today:
                    log_path(self._folder, day).unlink(missing_ok=True)

    def _append(self, day: date, dated: list[tuple[datetime, OpenSegment]]) -> None:
        path = log_path(self._folder, day)
        segments = [
            Segment(
                begin, each.end - each.begin, self._run_id, each.track_id, each.label, each.confidence_sum / each.frames
            )
            for begin, each in dated
        ]
        try:
            if not (path.exists() and path.stat().st_size >= self._max_mb * 1e6):
                append(path, segments)
            elif day != self._full_day:
                self._full_day = day
                _log.warning(
                    "edge: daylog:%s: %d MB, the rest of the day is not logged; see max-mb=", path, self._max_mb
                )
        except OSError as error:
            raise SinkError(f"daylog:{path}: cannot be written ({error.strerror})") from error
