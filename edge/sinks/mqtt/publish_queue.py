"""What is to be published and in which order: filled by the run's thread, emptied by the connection's."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from edge import __version__
from edge.errors import SinkError
from edge.sinks.face_statistics import FaceStatistics
from edge.sinks.mqtt import discovery, payloads
from edge.sinks.mqtt.faces_snapshot import ChangeDetector, FacesSnapshot
from edge.sinks.mqtt.options import MqttOptions
from edge.system import machine, process
from edge.types import FrameResult, RunInfo, RunStats

MAX_CHANGES = 100  # that wait while the broker is away: some minutes, in less than 1 MB
STATE_INTERVAL_SECONDS = 30.0  # between two states while nothing changes
SECOND_STATE_SECONDS = 5.0  # after connecting: by then the frame rate is known
FRAME_TIMEOUT_SECONDS = 30.0  # without a frame, after which no face is present: three frames at the lowest rate
CLOCK_TOLERANCE_SECONDS = 0.1  # drift of the source's clock, beyond which the offset to the time of day is set anew
MAX_ANNOUNCE_DELAY_SECONDS = 3.0  # random: all devices of a house receive Home Assistant's start at once


class Message(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    change: FacesSnapshot | None = None  # to be sent again if the connection breaks


class PublishQueue:
    """Announcements first, then changes in their order, then the newest state and metrics, then the newest sample.

    Bounded: in a live run the oldest change is dropped when MAX_CHANGES wait; in a run of files `add` waits.

    Args:
        max_wait_seconds: that `add` waits for the broker in a run of files.
        clock: monotonic, in seconds.
        wall_clock: seconds since 1970.
        read_temperature: of the CPU in degrees C, None if unknown; may take seconds.
    """

    def __init__(
        self,
        options: MqttOptions,
        run: RunInfo,
        *,
        max_wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        read_temperature: Callable[[], float | None] = machine.cpu_temperature,
    ) -> None:
        self._options, self._run, self._max_wait_seconds = options, run, max_wait_seconds
        self._clock, self._wall_clock, self._read_temperature = clock, wall_clock, read_temperature
        self.device_id = discovery.device_id(options.topic)
        self._changed = threading.Condition()  # also the lock of all below
        self._detector = ChangeDetector()
        self._stats, self._last_frame_at = RunStats(), clock()
        self._face_statistics = FaceStatistics(run.labels)
        self._announcements: deque[Message] = deque()
        self._changes: deque[FacesSnapshot] = deque()
        self._sample: FacesSnapshot | None = None
        self._sample_due = float("-inf")  # on the source's clock
        self._latest = FacesSnapshot(wall_clock(), 0.0, (0, 0), ())
        self._clock_offset = float("inf")  # seconds since 1970 at time 0 of the source
        self._state_pending = self._metrics_pending = False
        self._state_due = self._announce_due = float("inf")
        self._temperature: float | None = None
        self._board: dict[str, Any] = {}  # further metrics of the board
        self._dropped = 0

    @property
    def waiting_changes(self) -> int:
        """Changes that wait to be published."""
        with self._changed:
            return len(self._changes)

    @property
    def lost_changes(self) -> int:
        """Changes that were dropped, or still wait."""
        with self._changed:
            return self._dropped + len(self._changes)

    def add(self, result: FrameResult) -> bool:
        """Queue what is new in `result`; return whether there was anything.

        Raises SinkError in a run of files if the broker took nothing for `max_wait_seconds`.
        """
        frame = result.frame
        with self._changed:
            now = self._clock()
            self._stats, self._last_frame_at = result.stats, now
            self._face_statistics.add(result)
            offset = self._wall_clock() - max(0.0, now - frame.captured_at) - frame.time
            if abs(offset - self._clock_offset) > CLOCK_TOLERANCE_SECONDS:  # else the time of a label would jitter
                self._clock_offset = offset
            self._latest = snapshot = self._detector.update(frame, result.faces, frame.time + self._clock_offset)
            if snapshot.changed:
                self._add_change(snapshot)
            elif not (snapshot.faces and self._options.rate and frame.time >= self._sample_due):
                return False
            else:
                self._sample = snapshot
            self._sample_due = frame.time + 1 / self._options.rate if self._options.rate else float("inf")
            return True

    def announce(self) -> None:
        """Queue what a new connection begins with: discovery, availability, state, metrics."""
        self._temperature, self._board = self._read_temperature(), _read_board()
        options = self._options
        messages = [self._availability_message("online")]
        if options.discovery:
            config = discovery.encode_config(
                options,
                self._run,
                self.device_id,
                version=__version__,
                board=machine.board_model(),
                temperature=self._temperature is not None,
            )
            config_topic = discovery.config_topic(options.discovery, self.device_id)
            messages.insert(0, Message(config_topic, config, options.qos, retain=True))
        with self._changed:
            self._announcements = deque(messages)
            self._announce_due = float("inf")
            self._state_pending = self._metrics_pending = True
            self._state_due = self._clock() + SECOND_STATE_SECONDS

    def announce_soon(self) -> None:
        """Announce again after a random delay, since Home Assistant has started."""
        with self._changed:
            due = self._clock() + random.uniform(0, MAX_ANNOUNCE_DELAY_SECONDS)  # noqa: S311 (no secret)
            self._announce_due = min(due, self._announce_due)

    def queue_due(self) -> None:
        """Queue what is due by the clock; called about every second while connected."""
        now = self._clock()
        if now >= self._announce_due:
            self.announce()
        if now >= self._state_due:
            self._temperature, self._board = self._read_temperature(), _read_board()
            with self._changed:
                self._state_due = now + STATE_INTERVAL_SECONDS
                self._state_pending = self._metrics_pending = True
        with self._changed:
            if now - self._last_frame_at >= FRAME_TIMEOUT_SECONDS:
                self._stats = replace(self._stats, fps=0.0)
                self._remove_faces()

    def next_message(self) -> Message | None:
        """Return and remove the next message; None if there is none."""
        topic, qos = self._options.topic, self._options.qos
        with self._changed:
            if self._announcements:
                return self._announcements.popleft()
            if self._changes:
                change = self._changes.popleft()
                self._changed.notify()
                return Message(f"{topic}/results", payloads.encode_results(change), qos, retain=False, change=change)
            if self._state_pending:
                self._state_pending = False
                figures = {
                    "fps": round(self._stats.fps, 1),
                    "skipped": self._stats.skipped,
                    "temperature": self._temperature,
                    "dropped": self._dropped,
                    "model": self._run.describe_model(),
                }
                return Message(f"{topic}/state", payloads.encode_state(self._latest, figures), qos, retain=True)
            if self._metrics_pending:
                self._metrics_pending = False
                board = {"cpu_temperature_celsius": self._temperature, **self._board}
                metrics = payloads.encode_metrics(self._stats, self._face_statistics, board)
                return Message(f"{topic}/metrics", metrics, 0, retain=False)  # the next one follows in 30 s
            sample, self._sample = self._sample, None
            return Message(f"{topic}/results", payloads.encode_results(sample), 0, retain=False) if sample else None

    def requeue(self, messages: Iterable[Message]) -> None:
        """Put the changes among `messages`, which may not have arrived, back to the front."""
        with self._changed:
            self._changes.extendleft(reversed([message.change for message in messages if message.change]))
            self._drop_excess()

    def close(self) -> None:
        """Queue the end of the run: no face is present."""
        with self._changed:
            self._remove_faces()
            self._sample = None

    def offline_message(self) -> Message:
        """Return the last message, which the broker also publishes by itself when the connection breaks."""
        return self._availability_message("offline")

    def _add_change(self, change: FacesSnapshot) -> None:
        if not self._run.live:
            has_room = self._changed.wait_for(lambda: len(self._changes) < MAX_CHANGES, self._max_wait_seconds)
            if not has_room:
                address, seconds = self._options.address, self._max_wait_seconds
                raise SinkError(f"mqtt: {address}: accepted nothing for {seconds:g} s; is the broker running?")
        self._changes.append(change)
        self._drop_excess()
        self._sample, self._state_pending = None, True

    def _drop_excess(self) -> None:
        while self._run.live and len(self._changes) > MAX_CHANGES:
            self._changes.popleft()
            self._dropped += 1

    def _remove_faces(self) -> None:
        if self._latest.faces:
            self._detector.clear()
            self._latest = self._latest._replace(taken_at=self._wall_clock(), faces=(), changed=True, source_name="")
            self._changes.append(self._latest)
            self._drop_excess()
            self._state_pending = True

    def _availability_message(self, payload: str) -> Message:
        return Message(f"{self._options.topic}/availability", payload.encode(), self._options.qos, retain=True)


def _read_board() -> dict[str, Any]:
    """Return metrics of the board and of this process; None: not available. May take tenths of a second."""
    free_mb, throttling, age = machine.disk_free_mb(Path()), machine.throttling(), process.seconds_since_start()
    now = time.time()
    return {
        "throttled": None if throttling is None else int(bool(throttling["now"])),
        "disk_free_bytes": None if free_mb is None else round(free_mb * 1e6),
        "time_seconds": round(now, 3),
        "process_start_time_seconds": None if age is None else round(now - age, 2),
    }
