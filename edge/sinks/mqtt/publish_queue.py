"""What is still to be said to the broker, and in which order: filled by the run's thread, emptied by the link's."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from edge.errors import SinkError
from edge.sinks.mqtt import discovery, payloads
from edge.sinks.mqtt.faces_snapshot import Scene, Watch
from edge.sinks.mqtt.options import Options
from edge.system import machine
from edge.types import Frame, FrameResult, RunInfo

KEPT = 100  # changes that wait for a broker that is away: some minutes of the past, in less than 1 MB
STATE_SECONDS = 30.0  # between two states while nothing changes
SILENCE_SECONDS = 30.0  # without a frame, after which nobody is there: three of the slowest rate that a run may have
RATE_SECONDS = 5.0  # over which frames a second are counted, at least
STRAY_SECONDS = 0.1  # by which a camera's clock may be off before it is set anew, as after a clock's change
REANNOUNCE_SECONDS = 3.0  # Home Assistant asks for a random delay after its start, as every device of a house hears it


class Message(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    change: Scene | None = None  # what it says, if that must be said again when the connection breaks


class Desk:
    """Announcements first, then changes in their order, then the newest state; the newest sample when all is said.

    Args:
        patience: seconds that a change of a run of files waits for room.
        clock: in seconds, monotonic; another than time's in tests, as all that follow.
        wall: in seconds since 1970.
        temperature: the board's in degrees C, None where it has none; may take seconds.
    """

    def __init__(
        self,
        options: Options,
        run: RunInfo,
        *,
        patience: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        temperature: Callable[[], float | None] = machine.temperature,
    ) -> None:
        self._options, self._run, self._patience = options, run, patience
        self._clock, self._wall, self._temperature = clock, wall, temperature
        self.device = discovery.device_id(options.topic)
        self._room = threading.Condition()  # and the lock of all below
        self._watch = Watch()
        self._figures = _Figures(clock())
        self._announcements: deque[Message] = deque()
        self._changes: deque[Scene] = deque()
        self._sample: Scene | None = None
        self._sample_due = float("-inf")  # on the source's clock
        self._scene = Scene(wall(), 0.0, (0, 0), ())  # the last one
        self._apart = float("inf")  # seconds from the source's clock to the one of the wall
        self._state_wanted = False
        self._state_due = self._announce_due = float("inf")
        self._degrees: float | None = None
        self._dropped = 0

    @property
    def lost(self) -> int:
        """Changes that never arrived: dropped, or still here."""
        with self._room:
            return self._dropped + len(self._changes)

    def process(self, seen: FrameResult) -> bool:
        """Take note of `seen`; return whether there is something new to say.

        Raises SinkError in a run of files, when nothing was taken for `patience` seconds.
        """
        frame = seen.frame
        with self._room:
            now = self._clock()
            self._figures.count(frame.index, now)
            self._scene = scene = self._watch.update(frame, seen.faces, self._moment(frame, now))
            if scene.changed:
                self._keep(scene)
            elif not (scene.faces and self._options.rate and frame.time >= self._sample_due):
                return False
            else:
                self._sample = scene
            self._sample_due = frame.time + 1 / self._options.rate if self._options.rate else float("inf")
            return True

    def announce(self) -> None:
        """Have a new connection told everything that it must know."""
        self._degrees = self._temperature()
        messages = [self._availability("online")]
        if self._options.discovery:
            messages.insert(0, self._discovery(self._options.discovery))
        with self._room:
            self._announcements = deque(messages)
            self._announce_due, self._state_wanted = float("inf"), True
            self._state_due = self._clock() + RATE_SECONDS  # the next one knows the frames a second

    def announce_soon(self) -> None:
        """Have it told again, as Home Assistant has started; soon, but not at once."""
        with self._room:
            due = self._clock() + random.uniform(0, REANNOUNCE_SECONDS)  # noqa: S311 (no secret)
            self._announce_due = min(due, self._announce_due)

    def tick(self) -> None:
        """See what is due by the clock; called every second or so while there is a connection."""
        now = self._clock()
        if now >= self._announce_due:
            self.announce()
        if now >= self._state_due:
            self._degrees = self._temperature()
            with self._room:
                self._state_due, self._state_wanted = now + STATE_SECONDS, True
        with self._room:
            if now - self._figures.heard >= SILENCE_SECONDS:
                self._leave()

    def next(self) -> Message | None:
        """Return what is to be said next, None if there is nothing."""
        topic, qos = self._options.topic, self._options.qos
        with self._room:
            if self._announcements:
                return self._announcements.popleft()
            if self._changes:
                change = self._changes.popleft()
                self._room.notify()
                return Message(f"{topic}/readings", payloads.readings(change), qos, False, change)
            if self._state_wanted:
                self._state_wanted = False
                return Message(f"{topic}/state", payloads.state(self._scene, self._told()), qos, True)
            sample, self._sample = self._sample, None
            return Message(f"{topic}/readings", payloads.readings(sample), 0, False) if sample else None

    def give_back(self, messages: Iterable[Message]) -> None:
        """Take back, in their order, `messages` that may not have arrived; what only the newest is worth stays away."""
        with self._room:
            self._changes.extendleft(reversed([message.change for message in messages if message.change]))
            self._bound()

    def close(self) -> None:
        """Have the last things said: that nobody is before a camera that is off, and that it is off."""
        with self._room:
            self._leave()
            self._sample = None

    def farewell(self) -> Message:
        """Return the very last message; the broker sends it by itself when the connection breaks."""
        return self._availability("offline")

    def _moment(self, frame: Frame, now: float) -> float:
        """Return when `frame` was taken, in seconds since 1970, so that one label has one moment since when."""
        apart = self._wall() - max(0.0, now - frame.captured_at) - frame.time
        if abs(apart - self._apart) > STRAY_SECONDS:
            self._apart = apart
        return frame.time + self._apart

    def _keep(self, change: Scene) -> None:
        if not self._run.live and not self._room.wait_for(lambda: len(self._changes) < KEPT, self._patience):
            raise SinkError(
                f"mqtt: {self._options.address}: took nothing for {self._patience:g} s; is the broker there?"
            )
        self._changes.append(change)
        self._bound()
        self._sample, self._state_wanted = None, True

    def _bound(self) -> None:
        while self._run.live and len(self._changes) > KEPT:
            self._changes.popleft()
            self._dropped += 1

    def _leave(self) -> None:
        """Have everybody gone, if anybody is there."""
        if self._scene.faces:
            self._watch.forget()
            self._scene = self._scene._replace(moment=self._wall(), faces=(), changed=True, name="")
            self._changes.append(self._scene)
            self._bound()
            self._state_wanted = True

    def _told(self) -> dict[str, Any]:
        figures = self._figures
        return {
            "fps": figures.rate(self._clock()),
            "skipped": figures.skipped,
            "temperature": self._degrees,
            "dropped": self._dropped,
            "model": self._run.model,
        }

    def _availability(self, text: str) -> Message:
        return Message(f"{self._options.topic}/availability", text.encode(), self._options.qos, True)

    def _discovery(self, prefix: str) -> Message:
        payload = discovery.config(
            self._options,
            self._run,
            self.device,
            version=machine.installed("emotion-edge") or "",
            board=machine.board(),
            thermometer=self._degrees is not None,
        )
        return Message(discovery.topic(prefix, self.device), payload, self._options.qos, True)


class _Figures:
    """Frames a second, and frames that were skipped. Times are of the desk's clock."""

    def __init__(self, now: float) -> None:
        self.skipped = 0
        self.heard = now  # when the last frame came
        self._expected = 0  # index of the next frame, if none is skipped
        self._since, self._frames = now, 0
        self._rate: float | None = None

    def count(self, index: int, now: float) -> None:
        """Count the frame of `index`."""
        self.skipped += max(0, index - self._expected)
        self._expected, self.heard = index + 1, now
        self._frames += 1

    def rate(self, now: float) -> float | None:
        """Return frames a second since the last time but RATE_SECONDS at least; None as long as these are not over."""
        if now - self._since >= RATE_SECONDS:
            self._rate = round(self._frames / (now - self._since), 1)
            self._since, self._frames = now, 0
        return self._rate
