"""A broker with a subscriber, the log, and connections of which a test sees the state."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from edge.system.backoff import Backoff
from tests.support.broker import LIVE_RUN, MosquittoBroker, Subscriber
from tests.support.kiosk import wait_until


@pytest.fixture
def broker(tmp_path):
    with MosquittoBroker(tmp_path) as running:
        yield running


@pytest.fixture
def subscriber(broker):
    with Subscriber(broker.port) as subscribed:
        yield subscribed


@pytest.fixture(autouse=True)
def no_login_in_environment(monkeypatch):
    for name in ("EMOTION_EDGE_MQTT_USER", "EMOTION_EDGE_MQTT_PASSWORD", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wait_for_log(caplog) -> Callable[[str], str]:
    """Return a function that waits until the log contains a text, and returns the log."""
    caplog.set_level(logging.INFO, "edge")

    def wait(text: str) -> str:
        wait_until(lambda: text in caplog.text)
        log: str = caplog.text
        return log

    return wait


@pytest.fixture
def connect():
    """Return a context manager: the queue and the connection of a sink, which is not entered itself."""
    from edge.sinks.mqtt.broker_connection import BrokerConnection
    from edge.sinks.mqtt.options import parse
    from edge.sinks.mqtt.publish_queue import PublishQueue

    @contextmanager
    def connected(argument, run=LIVE_RUN):
        options = parse(argument)
        queue = PublishQueue(options, run)
        connection = BrokerConnection(options, queue, None, wait_for_broker=False)
        connection.start()
        yield queue, connection
        queue.close()
        connection.stop(0.4)

    return connected


@pytest.fixture
def retry_delays(monkeypatch) -> list[float]:
    """Return the delays in seconds that connections request between attempts; they wait 0.05 s instead."""
    from edge.sinks.mqtt import broker_connection

    delays = []

    class RecordingBackoff(Backoff):
        def next(self) -> float:
            delays.append(super().next())
            return 0.05

    monkeypatch.setattr(broker_connection, "Backoff", RecordingBackoff)
    monkeypatch.setattr(broker_connection, "FINAL_RETRY_SECONDS", 0.05)
    return delays
