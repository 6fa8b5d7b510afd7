"""Tells an MQTT broker who is there and what they show: `mqtt:HOST[:PORT],topic=BASE,...`; docs/mqtt.md tells it all.

    BASE/availability   online or offline, retained; the broker says offline by itself when the connection breaks
    BASE/state          JSON, retained: the faces that are there, and how the run is doing; on change and every 30 s
    BASE/readings       JSON: all scores; every change, and samples in between

Labels, shares and boxes, never an image. A thread of its own talks to the broker; no frame waits for it, and a broker
that is away, slow or hostile does not end the run. Kept for a broker that is away: the state and the last 100 changes.

    options.py      what stands behind mqtt:
    credentials.py  user, password, certificates: read where they are, never from the command line
    scene.py        who is there, and whether that has changed
    desk.py         what is still to be said, and in which order; bounded
    payloads.py     the JSON of both topics
    discovery.py    what Home Assistant is told
    link.py         the connection, and its return
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from edge.errors import SinkError, UsageError
from edge.sinks.mqtt import credentials
from edge.sinks.mqtt.options import parse
from edge.sinks.mqtt.publish_queue import Desk
from edge.system import log as journal
from edge.types import FrameResult, RunInfo

try:
    from edge.sinks.mqtt.broker_connection import Link
except ImportError as error:
    if (error.name or "").partition(".")[0] != "paho":
        raise
    raise UsageError("sink mqtt needs paho-mqtt 2 or newer: pip install 'emotion-edge[mqtt]'") from error

GRACE = 0.4  # seconds that leaving gives the last words of a live run: a stop takes less than one in all
PATIENCE = 10.0  # seconds that a run of files, of which nothing may be lost, waits for its broker


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._options, self._run = parse(argument), run
        self._desk = Desk(self._options, run)
        self._link: Link | None = None

    def __enter__(self) -> Self:
        """Start the thread that connects. Raises SettingsError naming a file that cannot be used."""
        login, context = credentials.login(self._options), credentials.tls_context(self._options)
        for line in credentials.warnings(self._options, login):
            journal.say(f"edge: mqtt: {line}", journal.WARNING)
        self._desk = Desk(self._options, self._run, patience=PATIENCE)
        self._link = Link(self._options, self._desk, context, persists=not self._run.live)
        self._link.start()
        return self

    def write(self, seen: FrameResult) -> None:
        """Take note of `seen`. In a run of files it waits for a broker that is slow; raises SinkError if in vain."""
        if self._desk.process(seen) and self._link:
            self._link.wake()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._link
        self._desk.close()
        self._link.stop(GRACE if self._run.live else PATIENCE)
        lost = self._desk.lost
        if lost and not self._run.live and error is None:
            raise SinkError(f"mqtt: {self._options.address}: {lost} changes were not taken; is the broker there?")
        if lost:
            journal.say(f"edge: mqtt: {lost} changes dropped, as the broker did not take them in time", journal.WARNING)
