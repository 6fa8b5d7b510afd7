"""A real Mosquitto, a listener that notes what it is sent, and a gate between a sink and its broker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.kiosk import TIMEOUT_SECONDS, wait_until

HOST = "127.0.0.1"
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is not installed: 'sudo apt install mosquitto mosquitto-clients'"
)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


class Broker:
    """Mosquitto in a process of its own. A context manager that leaves none behind.

    Args:
        folder: for its configuration.
        lines: of it; without any everybody is let in.
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
        wait_until(lambda: process.poll() is not None or _open(self.port))
        assert process.poll() is None, self._config.read_text()

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Have it take and answer nothing, with all its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)


class Heard(NamedTuple):
    topic: str
    payload: str
    retained: bool
    qos: int

    @property
    def content(self) -> Any:
        return json.loads(self.payload)


class Listener:
    """Somebody who has subscribed to all topics at the broker's `port`; what they were sent is in `heard`."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _, __, message: self._note(message)
        self._client.connect(HOST, port)

    def __enter__(self):
        self._client.loop_start()
        assert self._subscribed.wait(TIMEOUT_SECONDS)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def wait_until(self, topic: str, words: str = "", after: int = 0, patience: float = TIMEOUT_SECONDS) -> Heard:
        """Return the first message number `after` or later of a topic that ends in `topic` with `words` in it."""

        def found() -> list[Heard]:
            return [heard for heard in self.heard[after:] if heard.topic.endswith(topic) and words in heard.payload]

        with self._changed:
            assert self._changed.wait_for(found, patience), (topic, words, self.heard[after:])
            return found()[0]

    def of(self, topic: str) -> list[Heard]:
        """Return all messages so far of a topic that ends in `topic`."""
        with self._changed:
            return [heard for heard in self.heard if heard.topic.endswith(topic)]

    def say(self, topic: str, text: str, *, retain: bool = False) -> None:
        """Publish `text`, and wait until the broker has it."""
        self._client.publish(topic, text, 1, retain).wait_for_publish(TIMEOUT_SECONDS)

    def _note(self, message: Any) -> None:
        with self._changed:
            self.heard.append(Heard(message.topic, message.payload.decode(), message.retain, message.qos))
            self._changed.notify_all()


class Gate:
    """A port that leads to another one as long as it is open: a network that can be cut, or stand still.

    A context manager. It holds back next to nothing: what it does not carry on fills up on the sender's side.
    """

    def __init__(self, port: int) -> None:
        self.port, self._to = free_port(), port
        self._door: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self.flows = threading.Event()

    def __enter__(self):
        self.flows.set()
        self.open()
        return self

    def __exit__(self, *_):
        self.close()

    def open(self) -> None:
        self._door = socket.socket()
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._door.bind((HOST, self.port))
        self._door.listen()
        threading.Thread(target=self._let_in, args=(self._door,), daemon=True).start()

    def close(self) -> None:
        """Refuse who comes, and cut off who is in."""
        if self._door:
            self._door.shutdown(socket.SHUT_RDWR)
            self._door.close()
            self._door = None
        while self._pairs:
            with contextlib.suppress(OSError):
                self._pairs.pop().shutdown(socket.SHUT_RDWR)

    def _let_in(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection((HOST, self._to))
                self._pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(one, other, self.flows), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket, flows: threading.Event) -> None:
    with contextlib.suppress(OSError), one:
        while content := one.recv(4096):
            flows.wait(TIMEOUT_SECONDS)
            other.sendall(content)
        other.shutdown(socket.SHUT_RDWR)


def _open(port: int) -> bool:
    with socket.socket() as way:
        return way.connect_ex((HOST, port)) == 0
