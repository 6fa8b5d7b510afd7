"""A real Mosquitto, a subscriber that keeps what it receives, and a network between a sink and its broker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.types import FrameResult, RunInfo
from tests.support.fakes import FAKE_LABELS, face_result, frame_result
from tests.support.kiosk import TIMEOUT_SECONDS, wait_until

HOST = "127.0.0.1"
BASE_TOPIC = "home/kiosk1"
LIVE_RUN = RunInfo(live=True, labels=FAKE_LABELS, describe_model=lambda: "tiny 1")
FILES_RUN = RunInfo(live=False, labels=FAKE_LABELS)
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is not installed: 'sudo apt install mosquitto mosquitto-clients'"
)


def sink_argument(port: int, *options: str) -> str:
    """Return the argument of a sink for the broker at `port`, with BASE_TOPIC."""
    return ",".join([f"{HOST}:{port}", f"topic={BASE_TOPIC}", *options])


def change(number: int) -> FrameResult:
    """Return a result that differs from the one before: one face, another one for each `number`."""
    return frame_result(face_result(track_id=number), time=2.0 * number, index=number)


def track_ids(messages: Iterable[ReceivedMessage]) -> list[int]:
    """Return the track id of the first face in each of `messages` that has one; each once, in their order."""
    return list(dict.fromkeys(each.json["faces"][0]["track_id"] for each in messages if each.json["faces"]))


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        port: int = bound.getsockname()[1]
        return port


class MosquittoBroker:
    """Mosquitto in a process of its own. A context manager that leaves no process behind.

    Args:
        folder: for its configuration.
        lines: of its configuration; without any everybody may connect.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        listener = f"listener {self.port} {HOST}"
        self._config.write_text("\n".join(["user root", listener, *(lines or ["allow_anonymous true"]), ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self) -> None:
        assert MOSQUITTO
        self._process = process = subprocess.Popen(
            [MOSQUITTO, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: process.poll() is not None or self._accepts())
        assert process.poll() is None, self._config.read_text()

    def kill(self) -> None:
        """End it as a power failure does."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Make it hang: its connections remain open, but it reads and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _accepts(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex((HOST, self.port)) == 0


class ReceivedMessage(NamedTuple):
    topic: str
    payload: str
    retained: bool
    qos: int

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Subscriber:
    """Subscribes to all topics of the broker at `port`; `received` has the messages. A context manager."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.received: list[ReceivedMessage] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _, __, message: self._add(message)
        self._client.connect(HOST, port)

    def __enter__(self):
        self._client.loop_start()
        assert self._subscribed.wait(TIMEOUT_SECONDS)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()
        # They refer to this object: without them paho closes its sockets at once, not when garbage is collected.
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None

    def wait_for(self, topic: str, text: str = "", start: int = 0) -> ReceivedMessage:
        """Wait for a message of a topic that ends in `topic`, with `text` in its payload, and return it.

        Args:
            start: index in `received` of the first message that counts.
        """

        def matching() -> list[ReceivedMessage]:
            return [each for each in self.received[start:] if each.topic.endswith(topic) and text in each.payload]

        with self._changed:
            assert self._changed.wait_for(matching, TIMEOUT_SECONDS), (topic, text, self.received[start:])
            return matching()[0]

    def messages(self, topic: str) -> list[ReceivedMessage]:
        """Return all messages until now of a topic that ends in `topic`."""
        with self._changed:
            return [each for each in self.received if each.topic.endswith(topic)]

    def publish(self, topic: str, text: str, *, retain: bool = False) -> None:
        """Publish `text`, and wait until the broker has acknowledged it."""
        self._client.publish(topic, text, 1, retain).wait_for_publish(TIMEOUT_SECONDS)

    def _add(self, message: Any) -> None:
        with self._changed:
            self.received.append(ReceivedMessage(message.topic, message.payload.decode(), message.retain, message.qos))
            self._changed.notify_all()


class FakeNetwork:
    """A port that forwards to another one while it is connected, and while `forwarding` is set. A context manager.

    Its buffers are small: what it does not forward stays on the side of the sender.
    """

    def __init__(self, target_port: int) -> None:
        self.port, self._target_port = free_port(), target_port
        self._server: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self.forwarding = threading.Event()

    def __enter__(self):
        self.forwarding.set()
        self.connect()
        return self

    def __exit__(self, *_):
        self.disconnect()

    def connect(self) -> None:
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._server.bind((HOST, self.port))
        self._server.listen()
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def disconnect(self) -> None:
        """Refuse new connections and cut the existing ones."""
        if self._server:
            self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        while self._connections:
            with contextlib.suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection((HOST, self._target_port))
                self._connections += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while content := source.recv(4096):
                self.forwarding.wait(TIMEOUT_SECONDS)
                target.sendall(content)
            target.shutdown(socket.SHUT_RDWR)
