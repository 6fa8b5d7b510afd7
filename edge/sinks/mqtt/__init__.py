"""Publishes results to an MQTT broker: `mqtt:HOST[:PORT],topic=BASE,...`; docs/mqtt.md describes topics and options.

    BASE/availability   online or offline, retained; the broker publishes offline itself when the connection breaks
    BASE/state          JSON, retained: the faces that are present and the figures of the run; on change and every 30 s
    BASE/results        JSON: all probabilities; every change, and samples between changes
    BASE/metrics        JSON: counters since the start, for monitoring; every 30 s

Labels, probabilities and boxes, never an image. A thread of its own talks to the broker: no frame waits for it, and a
broker that is absent, slow or hostile does not end the run. Of a time without broker, the newest state and the last 100
changes are kept.

    options.py            what follows `mqtt:`
    credentials.py        user, password, certificates
    faces_snapshot.py     the faces that are present, and whether they changed
    publish_queue.py      what is to be published, in which order; bounded
    payloads.py           the JSON of the topics
    discovery.py          Home Assistant's discovery
    packet_guard.py       what a broker may send
    session.py            one connection
    broker_connection.py  one connection after the other
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from edge.errors import SinkError
from edge.sinks.missing_package import missing_package
from edge.sinks.mqtt import credentials
from edge.sinks.mqtt.options import parse
from edge.sinks.mqtt.publish_queue import MAX_CHANGES, PublishQueue
from edge.types import Disclosure, FrameResult, RunInfo

try:
    from edge.sinks.mqtt.broker_connection import BrokerConnection
except ImportError as error:
    if (error.name or "").partition(".")[0] != "paho":
        raise
    raise missing_package("mqtt", "paho-mqtt 2 or newer") from error

LIVE_STOP_SECONDS = 0.4  # to publish the last messages of a live run, which stops in less than a second in all
FILES_TIMEOUT_SECONDS = 10.0  # that a run of files, of which nothing may be lost, waits for its broker

_log = logging.getLogger(__name__)


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._options, self._run = parse(argument), run
        self._queue: PublishQueue | None = None
        self._connection: BrokerConnection | None = None

    def disclose(self) -> Disclosure:
        options = self._options
        protection = "encrypted" if options.tls else "NOT ENCRYPTED"
        line = (
            f"to the broker {options.address}, {protection}, below {options.topic}: labels, probabilities and boxes of "
            "the faces, times, figures of the run; no image. The broker keeps the last state, and decides who may read"
        )
        lines = [line]
        if options.discovery:
            lines.append(f"to the broker, below {options.discovery}: name and model of the board")
        waiting = f"in memory: up to {MAX_CHANGES} changes of labels, until the broker has them or the run ends"
        return Disclosure(kept=(waiting,), sent=tuple(lines))

    def __enter__(self) -> Self:
        """Start to connect. Raises SettingsError naming a file that cannot be used."""
        login, context = credentials.load_login(self._options), credentials.make_tls_context(self._options)
        for risk in credentials.find_risks(self._options, login):
            _log.warning("edge: mqtt: %s", risk)
        self._queue = PublishQueue(self._options, self._run, max_wait_seconds=FILES_TIMEOUT_SECONDS)
        self._connection = BrokerConnection(self._options, self._queue, context, wait_for_broker=not self._run.live)
        self._connection.start()
        return self

    def write(self, result: FrameResult) -> None:
        """Queue `result`. In a run of files, wait for a slow broker; raises SinkError on timeout."""
        assert self._queue
        assert self._connection
        if self._queue.add(result):
            self._connection.wake()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._queue
        assert self._connection
        self._queue.close()
        self._connection.stop(LIVE_STOP_SECONDS if self._run.live else FILES_TIMEOUT_SECONDS)
        lost, address = self._queue.lost_changes, self._options.address
        problem = self._connection.problem or "too slow"
        if lost and not self._run.live and error is None:
            raise SinkError(f"mqtt: {address}: did not accept {lost} changes: {problem}")
        if lost:
            _log.warning("edge: mqtt: %d changes dropped; %s: %s", lost, address, problem)
