"""Starts the process of this host in a training on several hosts, and ends all of them when one ends.

The launcher of process 0 listens on the port after the one that JAX uses. The others connect to it, and each says every
few seconds that it is alive. A process that fails, is killed, or whose host is not heard for SILENCE_SECONDS ends the
training on every host: JAX itself would wait for it for minutes.

The connections are not authenticated, as JAX's are not: they are for a network of the user's own.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from trainer.errors import TrainingError

CONNECT_SECONDS = 600.0  # until all hosts have to be there
ALIVE_SECONDS = 3.0
SILENCE_SECONDS = 15.0
LATE_SECONDS = 20.0  # that a failed process 0 waits for others, which may be starting still
TERMINATE_SECONDS = 5.0  # from SIGTERM to SIGKILL
POLL_SECONDS = 0.2
MAX_LINE_BYTES = 200


@dataclass(frozen=True)
class Group:
    """The processes of a training, and which one this host runs. Raises TrainingError for a wrong value."""

    host: str  # of process 0, as the other hosts reach it
    port: int  # for JAX; the launchers use the next one
    processes: int
    process: int  # from 0

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_534:
            raise TrainingError(f"port {self.port}, expected 1 to 65534")
        if not 0 <= self.process < self.processes:
            raise TrainingError(f"process is {self.process}, expected 0 to {self.processes - 1}")

    @property
    def environment(self) -> dict[str, str]:
        """What tells the process about the group, as keras.distribution.initialize documents it."""
        return {
            "KERAS_BACKEND": "jax",
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"{self.host}:{self.port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(self.processes),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(self.process),
        }


class _Peer:
    """The connection to another launcher."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SILENCE_SECONDS)  # of a send; reads happen only when there is something
        self.connection = connection
        self.last_heard = time.monotonic()
        self.name = ""
        self.is_done = False
        self.is_known = False  # whether it has said which process it runs; others may be strangers
        self._received = b""

    def lines(self) -> list[str] | None:
        """Return the complete lines received since the last call; None at the end of the connection."""
        try:
            content = self.connection.recv(4096)
        except OSError:
            return None
        self.last_heard = time.monotonic()
        *lines, self._received = (self._received + content).split(b"\n")
        if not content or len(self._received) > MAX_LINE_BYTES:
            return None
        return [line.decode("ascii", errors="replace")[:MAX_LINE_BYTES] for line in lines]

    def send(self, line: str) -> None:
        try:
            self.connection.sendall(line.encode("ascii", errors="replace")[:MAX_LINE_BYTES] + b"\n")
        except OSError:
            self.last_heard = 0.0  # noticed as silence, which names it


class Launcher:
    """Runs this host's process of `group` until it or another one ends.

    Args:
        group: of the processes.
        command: of the process; it gets the environment of this one and `Group.environment`.
        report: gets a line when something happens that people want to know.
    """

    def __init__(self, group: Group, command: Sequence[str], report: Callable[[str], None] = print) -> None:
        self._group, self._command, self._report = group, command, report
        self._selector = selectors.DefaultSelector()
        self._peers: list[_Peer] = []
        self._server: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._terminated = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(TERMINATE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for peer in self._peers:
            peer.connection.close()
        if self._server:
            self._server.close()
        self._selector.close()

    def run(self) -> None:
        """Run the process. Raises TrainingError when it or another one of the group fails."""
        signal.signal(signal.SIGTERM, lambda *_: self._terminated.set())
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the process, too, which ends after its step
        self._connect()
        if failure := self._wait():
            self._wait_for_late_peers()
            for peer in self._peers:
                peer.send(f"failed {failure}")
            raise TrainingError(f"{failure}; the training has ended on all hosts, resume it with --resume")

    def _connect(self) -> None:
        """Listen or connect, and start the process. Raises TrainingError when process 0 cannot be reached."""
        group, address = self._group, (self._group.host, self._group.port + 1)
        if group.process == 0:
            try:
                self._server = socket.create_server(("", group.port + 1))
            except OSError as error:
                raise TrainingError(f"port {group.port + 1} cannot be used ({error.strerror})") from error
            self._selector.register(self._server, selectors.EVENT_READ)
        else:
            self._report(f"process {group.process}: connecting to {address[0]}:{address[1]}")
            self._add(_Peer(self._reach(address)))
            self._peers[0].is_known = True
            self._peers[0].name = "process 0"
            self._peers[0].send(f"process {group.process}")
        environment = os.environ | group.environment
        self._process = subprocess.Popen(self._command, env=environment)

    def _reach(self, address: tuple[str, int]) -> socket.socket:
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return socket.create_connection(address, timeout=SILENCE_SECONDS)
            except OSError as error:  # process 0 may start later
                if time.monotonic() > end or self._terminated.is_set():
                    raise TrainingError(f"{address[0]}:{address[1]} cannot be reached ({error})") from error
                time.sleep(1)

    def _add(self, peer: _Peer) -> None:
        self._peers.append(peer)
        self._selector.register(peer.connection, selectors.EVENT_READ, peer)

    def _wait(self) -> str:
        """Wait until all processes have ended well; return why one has not, or an empty text."""
        begin = next_alive = time.monotonic()
        while True:
            if failure := self._handle_events():
                return failure
            now = time.monotonic()
            if failure := self._own_failure() or self._missing(now, now - begin):
                return failure
            if now >= next_alive or self._is_done:
                next_alive = now + ALIVE_SECONDS
                for peer in self._peers:
                    peer.send("done" if self._is_done else "alive")
            if self._is_done and self._is_complete and all(peer.is_done for peer in self._peers if peer.is_known):
                return ""

    def _handle_events(self) -> str:
        """Take connections and lines for up to POLL_SECONDS; return why the training ends, or an empty text."""
        for key, _ in self._selector.select(POLL_SECONDS):
            if key.data is None:
                assert self._server is not None
                self._add(_Peer(self._server.accept()[0]))
            elif failure := self._receive(key.data):
                return failure
        return ""

    def _wait_for_late_peers(self) -> None:
        """Wait until the others are there: they hear of the failure, and do not wait for process 0 in vain."""
        end = time.monotonic() + LATE_SECONDS
        while not (self._is_complete or self._terminated.is_set()) and time.monotonic() < end:
            self._handle_events()

    @property
    def _is_done(self) -> bool:
        return self._process is not None and self._process.poll() == 0

    @property
    def _is_complete(self) -> bool:
        """Whether all processes were there, as far as this launcher has to know."""
        return self._group.process > 0 or len(self._known()) == self._group.processes

    def _own_failure(self) -> str:
        assert self._process is not None
        name = f"process {self._group.process}"
        if self._terminated.is_set():
            return f"{name} was stopped by a signal"
        status = self._process.poll()
        return f"{name} on {socket.gethostname()} ended with {_describe(status)}" if status else ""

    def _missing(self, now: float, waited: float) -> str:
        """Return which other process is missing at the time `now`, `waited` seconds after the start."""
        for peer in self._peers:
            if peer.is_known and not peer.is_done and now - peer.last_heard > SILENCE_SECONDS:
                return f"{peer.name} was not heard for {SILENCE_SECONDS:.0f} s"
        if waited > CONNECT_SECONDS and not self._is_complete:
            return f"only {len(self._known())} of {self._group.processes} processes are there"
        return ""

    def _known(self) -> set[str]:
        return {"process 0", *(peer.name for peer in self._peers if peer.is_known)}

    def _receive(self, peer: _Peer) -> str:
        """Handle what `peer` sent; return why the training ends, or an empty text."""
        lines = peer.lines()
        if lines is None:
            self._selector.unregister(peer.connection)
            return f"the connection to {peer.name} was closed" if peer.is_known and not peer.is_done else ""
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "process" and rest in map(str, range(1, self._group.processes)):
                if f"process {rest}" in self._known():
                    return f"process {rest} is there twice"
                peer.name, peer.is_known = f"process {rest}", True
            elif word == "done":
                peer.is_done = True
            elif word == "failed" and peer.is_known:
                return "".join(character for character in rest if character.isprintable()) or f"{peer.name} failed"
        return ""


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `text`, HOST:PORT. Raises TrainingError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5:
        raise TrainingError(f"coordinator {text!r}, expected HOST:PORT")
    return host, int(port)


def _describe(status: int) -> str:
    return f"status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
