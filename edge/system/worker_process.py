"""A child process for work on what strangers send: within limits, and ended at any time without waiting for it.

A thread in native code can be neither limited nor ended. A process can: its memory and processor time are the kernel's
to limit, a crash in it is an error message, and what its libraries print is discarded.

    parent                      child (`serve`)
    WorkerProcess(command) ---> starts, imports, warms up
                           <--- an empty message: ready
    request(content)       ---> work(content), at most CPU_SECONDS
                           <--- the answer
    after IDLE_SECONDS     ---> killed: it has no state; the next request starts another one

Messages are bytes with their length before them, on a socket that is the child's standard input.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from edge.errors import WorkerError
from edge.system.sysfs import ROOT, read_megabytes

START_SECONDS = 60.0  # for Python, the libraries and a model: 1 s on x86-64, several on a small board under load
ANSWER_SECONDS = 40.0  # for one request
CPU_SECONDS = 20  # of the processor, for one request
IDLE_SECONDS = 60.0  # that the process is kept after a request, since starting it costs a second or more
MAX_MESSAGE_BYTES = 20_000_000
MEMORY_BYTES = 140_000_000  # beyond what the process has after its warm-up
_LENGTH = struct.Struct(">I")
# One thread and one heap each: the limit counts address space, of which each further one reserves much.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class WorkerProcess:
    """Runs `command`, which calls `serve`, for as long as there are requests. Thread-safe: one request at a time."""

    def __init__(self, command: Sequence[str], idle_seconds: float = IDLE_SECONDS) -> None:
        self._command, self._idle_seconds = list(command), idle_seconds
        self._turn = threading.Lock()  # of requests
        self._state = threading.Lock()  # of what follows
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._idle_timer: threading.Timer | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process identifier of the child; None: there is none."""
        return self._process.pid if self._process else None

    def request(self, content: bytes) -> bytes:
        """Return the answer to `content`. Raises WorkerError if there is none: the process is then ended."""
        with self._turn:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            try:
                connection = self._connection or self._start()
                deadline = time.monotonic() + ANSWER_SECONDS
                connection.settimeout(ANSWER_SECONDS)
                send(connection, content)
                answer = receive(connection, deadline)
            except OSError as error:
                raise WorkerError(f"the process for it ended: {self._end(error)}") from error
            if answer is None:
                raise WorkerError(f"the process for it ended: {self._end(None)}")
            self._idle_timer = threading.Timer(self._idle_seconds, self._end_if_idle)
            self._idle_timer.daemon = True
            self._idle_timer.start()
            return answer

    def close(self) -> None:
        """End the process at once, also during a request, which then raises WorkerError. No other one is started."""
        with self._state:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        with self._turn:
            self._end(None)

    def _start(self) -> socket.socket:
        if sys.platform == "win32":
            raise WorkerError("uploaded images need Linux or macOS")  # no socket can be a child's standard input
        connection, far_end = socket.socketpair()
        with self._state, far_end:
            if self._closed:
                connection.close()
                raise WorkerError("the run is ending")
            self._connection = connection
            self._process = subprocess.Popen(
                self._command,
                stdin=far_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT},
            )
        if receive(connection, time.monotonic() + START_SECONDS) != b"":
            raise ConnectionError("it could not start")
        return connection

    def _end_if_idle(self) -> None:
        if self._turn.acquire(blocking=False):  # otherwise a request has just come
            try:
                self._end(None)
            finally:
                self._turn.release()

    def _end(self, error: OSError | None) -> str:
        """End the process, and return the reason why it ended."""
        with self._state:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if process is None or connection is None:
            return str(error)
        connection.close()
        if isinstance(error, TimeoutError):
            process.kill()
            process.wait()
            return "no answer in time"
        with suppress(subprocess.TimeoutExpired):  # it ends by itself, because the connection is closed
            process.wait(0 if error is None else 1)
        process.kill()
        return describe_exit(process.wait())


def describe_exit(status: int) -> str:
    """Return why a child ended, by its exit status; below 0: the number of a signal."""
    if sys.platform != "win32" and -status == signal.SIGXCPU:
        return f"more than {CPU_SECONDS} s of processor time"
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `module` of this package in a new process.

    The working directory is not searched for modules (-P): others may write there.
    """
    package_folder = Path(__file__).resolve().parents[2]
    program = f"import sys; sys.path.insert(0, {str(package_folder)!r}); from {module} import main; main()"
    return [sys.executable, "-P", "-c", program, *arguments]


def serve(work: Callable[[bytes], bytes]) -> None:
    """Answer requests with what `work` returns until the parent closes the connection or ends; `work` has warmed up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent ends this process
    limit_process(MEMORY_BYTES)
    with socket.socket(fileno=os.dup(0)) as connection:
        send(connection, b"")
        while (content := receive(connection)) is not None:
            limit_cpu(CPU_SECONDS)
            send(connection, work(content))


def send(connection: socket.socket, content: bytes) -> None:
    """Send a message."""
    connection.sendall(_LENGTH.pack(len(content)))
    connection.sendall(content)


def receive(connection: socket.socket, deadline: float = math.inf) -> bytes | None:
    """Return the next message; None: the other side has closed the connection. Raises OSError.

    Args:
        deadline: monotonic seconds, after which TimeoutError is raised.
    """
    head = _receive_exactly(connection, _LENGTH.size, deadline)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE_BYTES:
        raise ConnectionError(f"a message of {length} bytes")
    content = _receive_exactly(connection, length, deadline)
    if len(content) < length:
        raise ConnectionError("half a message")
    return content


def _receive_exactly(connection: socket.socket, length: int, deadline: float) -> bytes:
    """Return `length` bytes, or nothing if the other side closes the connection before the first one."""
    content = bytearray()
    while len(content) < length:
        if deadline < math.inf:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
        block = connection.recv(length - len(content))
        if not block and content:
            raise ConnectionError("half a message")
        if not block:
            break
        content += block
    return bytes(content)


def limit_process(memory_bytes: int) -> None:
    """Limit this process to `memory_bytes` more of memory and to no files that it writes, behind other processes.

    macOS does not say how much memory it has, and has no limit of that; Windows has none of these limits.
    """
    if sys.platform == "win32":
        return
    import resource

    size = read_megabytes(ROOT / "proc/self/status", "VmSize")
    if size is not None:
        limit = round(size * 1e6) + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its memory holds faces
    with suppress(OSError):  # the service's unit forbids it
        os.nice(10)


def limit_cpu(allowed_seconds: int) -> None:
    """Allow `allowed_seconds` of processor time from now on; the kernel then ends this process with SIGXCPU.

    Windows has no such limit.
    """
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + allowed_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
