"""Keeps a log of the day, without images: `csv:FOLDER`, with `days=30` and `max-mb=20`. For a live camera.

One file for each day, emotions-2026-11-21.csv, see edge/sinks/daily_log.py; `edge summary FOLDER` tells what is in it. A line is
written where a face shows another label or is gone, and after SLOT seconds in any case: all lines of that time in one
write, which is on the disk then. So a power cut costs the last SLOT seconds, and an SD card has at most one write in
that time, none while nobody is there. Of more than `days` files the oldest ones are deleted, among those named as this
sink names them; a day of more than `max-mb` is not logged to its end. A face that is there all day fills 1 MB.

Lengths are taken from a clock that is never set, dates from the one on the wall when a line is written. So a board
without a clock of its own has wrong dates until it has heard of the time, and right lengths all the while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from edge.config.sink_options import number, parse
from edge.errors import SinkError, UsageError
from edge.sinks.active_faces import GONE_SECONDS
from edge.sinks.background_writer import BackgroundWriter
from edge.sinks.daily_log import Span, append, days, file_of
from edge.system import log as journal
from edge.types import FaceResult, FrameResult, RunInfo

SLOT = 10  # seconds between two writes; a divisor of 900, as time zones differ by quarters of an hour
BLIND = 15.0  # seconds without any frame after which everybody is: the slowest pace is one in 10 s
DAYS, MAX_MB = 30, 20


class Look(NamedTuple):
    """What the log is made of: not the frame, whose image would stay in memory."""

    arrived: float  # seconds, monotonic
    readings: Sequence[FaceResult]


@dataclass(eq=False, slots=True)
class Stay:
    """One face showing one label; times in seconds, monotonic."""

    face: int
    label: str | None
    begin: float
    last: float
    looks: int = 0
    confidences: float = 0.0  # their sum

    def add(self, now: float, reading: FaceResult) -> None:
        self.last = now
        self.looks += 1
        self.confidences += reading.confidence


class Stays:
    """Makes stays of looks: `done` holds those that are over, until somebody takes them out."""

    def __init__(self) -> None:
        self.done: list[Stay] = []
        self._open: dict[int, Stay] = {}  # by face
        self._before = float("-inf")  # the last look, at whomever

    def see(self, now: float, readings: Sequence[FaceResult]) -> None:
        """Take note of all who are seen `now`."""
        for face in [face for face in self._open if self._is_gone(self._open[face], now)]:
            self._end(self._open.pop(face))
        for reading in readings:
            self._see_one(now, reading)
        for face in [face for face, stay in self._open.items() if now - stay.last > GONE_SECONDS]:
            self._end(self._open.pop(face))
        self._before = now

    def cut(self) -> None:
        """End all stays that have lasted, and go on with new ones where they end."""
        for face, stay in self._open.items():
            if stay.last > stay.begin:
                self._end(stay)
                self._open[face] = Stay(face, stay.label, stay.last, stay.last)

    def leave(self) -> None:
        """End all stays."""
        for stay in self._open.values():
            self._end(stay)
        self._open.clear()

    def _is_gone(self, stay: Stay, now: float) -> bool:
        """Tell whether `stay` is over, whoever is seen now. A slow run may have longer between frames than that."""
        return now - stay.last > (BLIND if stay.last == self._before else GONE_SECONDS)

    def _see_one(self, now: float, reading: FaceResult) -> None:
        stay = self._open.get(reading.track_id)
        if stay is None or stay.label != reading.label:
            if stay is not None:
                stay.last = now
                self._end(stay)
            stay = self._open[reading.track_id] = Stay(reading.track_id, reading.label, now, now)
        stay.add(now, reading)

    def _end(self, stay: Stay) -> None:
        if stay.looks:  # else it was begun by a cut, and the face was not seen again
            self.done.append(stay)


class Sink:
    reopens = True  # what could not be written is kept until then

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        folder, options = parse("csv", argument, {"days": number(1, 36_500), "max-mb": number(1, 100_000)})
        if not folder:
            raise UsageError("sink csv: no folder found, expected csv:FOLDER, as csv:log")
        self._folder = Path(folder).expanduser()
        self._days, self._max_mb = options.get("days", DAYS), options.get("max-mb", MAX_MB)
        self._live = run.live
        self._run = os.urandom(3).hex()  # neither the process's number nor the time need differ after a start
        self._stays = Stays()
        self._slot = 0
        self._today = self._full = date.min
        self._outbox: BackgroundWriter[Look | None] = BackgroundWriter(
            f"csv:{folder}", self._take, live=True, what="frames"
        )

    def __enter__(self) -> Self:
        if not self._live:
            raise UsageError("sink csv: the log of the day is of a live camera; for files there is jsonl:FILE")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"csv:{self._folder}: cannot be made ({error.strerror})") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise SinkError(f"csv:{self._folder}: cannot be written to, check its owner and mode")
        self._slot, self._today = 0, date.min  # the first look writes: what is wrong is known at once
        self._outbox.__enter__()
        return self

    def write(self, seen: FrameResult) -> None:
        self._outbox.put(Look(seen.frame.captured_at, seen.faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):  # an error is raised below
            self._outbox.put(None)
        self._outbox.__exit__(kind, error, trace)

    def _take(self, look: Look | None) -> None:
        """Take note of `look`, and write where a slot is over; None: of the end."""
        slot = int(time.time() // SLOT)
        if look is None:
            self._stays.leave()
            self._save()
            return
        self._stays.see(look.arrived, look.readings)
        if slot != self._slot:
            # After the look, so that what goes on begins in the new slot, and with it in the new hour and day.
            self._stays.cut()
            self._slot = slot
            self._save()

    def _save(self) -> None:
        """Write what is done, each day to its file; today has one also where nobody was there."""
        now, zero = time.time(), time.time() - time.monotonic()
        today = datetime.fromtimestamp(now).astimezone().date()
        dated = [(datetime.fromtimestamp(zero + stay.begin).astimezone(), stay) for stay in self._stays.done]
        begun = {today} if today != self._today else set()
        for day in sorted(begun | {begin.date() for begin, _ in dated}):
            self._append(day, [self._span(begin, stay) for begin, stay in dated if begin.date() == day])
            self._stays.done = [stay for begin, stay in dated if begin.date() > day]
        if begun:
            self._today = today
            self._forget()

    def _span(self, begin: datetime, stay: Stay) -> Span:
        mean = stay.confidences / stay.looks
        return Span(begin, stay.last - stay.begin, self._run, stay.face, stay.label, mean)

    def _append(self, day: date, spans: list[Span]) -> None:
        path = file_of(self._folder, day)
        try:
            if path.exists() and path.stat().st_size >= self._max_mb * 1e6:
                self._say_full(day)
            else:
                append(path, spans)
        except OSError as error:
            raise SinkError(f"csv:{path}: cannot be written ({error.strerror})") from error

    def _say_full(self, day: date) -> None:
        if day != self._full:
            told = f"holds {self._max_mb} MB, the rest of the day is not logged; 'max-mb=' sets more"
            journal.say(f"edge: csv:{file_of(self._folder, day)}: {told}", journal.WARNING)
        self._full = day

    def _forget(self) -> None:
        """Delete the oldest days, if there are too many. Counted, not by age: a clock may be wrong by years."""
        for day in days(self._folder)[: -self._days]:
            if day != self._today:
                file_of(self._folder, day).unlink(missing_ok=True)
