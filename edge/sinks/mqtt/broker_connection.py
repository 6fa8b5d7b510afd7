"""Keeps the broker connected: one thread runs a session after the other, with a backoff between them."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time

from edge.errors import SettingsError
from edge.sinks.mqtt.errors import BrokerRefusedError
from edge.sinks.mqtt.options import MqttOptions
from edge.sinks.mqtt.publish_queue import PublishQueue
from edge.sinks.mqtt.session import BROKEN, CONNECT_TIMEOUT_SECONDS, NO_ANSWER, Session, Wakeup
from edge.system.backoff import Backoff
from edge.system.limited_log import printable

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 2.0, 60.0
RETRY_JITTER = 0.5  # devices that lost the same broker do not all return at once
SHORT_SESSIONS = 3  # that broke in succession: of MQTT 3.1.1 the only sign of another client with the same id
FINAL_RETRY_SECONDS = 1.0  # between attempts at the end of a run of files
JOIN_TIMEOUT_SECONDS = 0.05  # beyond the deadline: the thread may hang in a name server that does not answer

_log = logging.getLogger(__name__)


class BrokerConnection:
    """Publishes what is in `queue`, from `start` to `stop`.

    Args:
        context: verifies the broker's certificate; None: no TLS.
        wait_for_broker: whether `stop` still waits for a broker that is not connected, as a run of files does.
    """

    def __init__(
        self, options: MqttOptions, queue: PublishQueue, context: ssl.SSLContext | None, *, wait_for_broker: bool
    ) -> None:
        self._options, self._queue, self._context, self._wait_for_broker = options, queue, context, wait_for_broker
        self._wakeup = Wakeup()
        self._backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, RETRY_JITTER)
        self._session: Session | None = None
        self._last_problem = ""  # that was logged
        self._short_sessions = 0  # in succession, that were accepted and soon broke
        self._rejected_topics: set[str] = set()
        # A daemon: a name server that does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="sink mqtt", daemon=True)

    @property
    def in_flight(self) -> int:
        """Number of unacknowledged messages."""
        return self._session.in_flight if self._session else 0

    @property
    def problem(self) -> str:
        """Why the broker does not take messages; empty while it does."""
        if self._session and self._session.accepted:
            return ""
        return self._last_problem or "no answer yet; is this the port of an MQTT broker?"

    def start(self) -> None:
        """Start to connect; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Look for new messages in the queue."""
        self._wakeup.notify()

    def stop(self, seconds: float) -> None:
        """Publish what is queued, disconnect, and return after `seconds` and JOIN_TIMEOUT_SECONDS at most."""
        self._wakeup.stop(time.monotonic() + seconds)
        self._thread.join(seconds + JOIN_TIMEOUT_SECONDS)

    def _run(self) -> None:
        try:
            self._keep_connected()
        finally:
            self._wakeup.close()

    def _keep_connected(self) -> None:
        stopping = self._wakeup.stopping
        while True:
            started_at, self._session = time.monotonic(), None
            try:
                self._session = Session(self._options, self._queue, self._context, self._wakeup, self._rejected_topics)
                self._session.run()
                return
            except Exception as error:  # noqa: BLE001 (a broker may send anything; the run goes on)
                problem, accepted = _describe(error), self._session is not None and self._session.accepted
                # Not after a short connection: one that is lost again and again must not fill the journal.
                is_short = time.monotonic() - started_at < MAX_RETRY_SECONDS
                if not is_short:
                    self._backoff.reset()
                self._short_sessions = self._short_sessions + 1 if accepted and is_short and problem == BROKEN else 0
                if isinstance(error, BrokerRefusedError | SettingsError | ssl.SSLCertVerificationError):
                    self._backoff.advance_to_max()
                elif self._session and self._short_sessions >= SHORT_SESSIONS:
                    problem = f"{BROKEN} again and again; perhaps {self._session.same_id}"
                elif accepted:
                    self._last_problem = ""
                if problem != self._last_problem:
                    address = self._options.address
                    _log.warning(
                        "edge: mqtt: %s: %s; the run continues, and the connection is retried", address, problem
                    )
                self._last_problem = problem
            if stopping.wait(self._backoff.next()):
                seconds_left = self._wakeup.deadline - time.monotonic()
                if not self._wait_for_broker or seconds_left <= 0:
                    return
                time.sleep(min(FINAL_RETRY_SECONDS, seconds_left))


def _describe(error: Exception) -> str:
    """Return what is wrong, and what to do where that is not obvious."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); ca=FILE names the CA that signed it"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); is this its TLS port?"
    if isinstance(error, ConnectionResetError):  # during the TLS handshake; after that paho handles it
        return NO_ANSWER
    if isinstance(error, OSError) and not _may_use_network():
        return "this process may not use the network; systemd/network.conf allows it to the service"
    if isinstance(error, OSError | SettingsError):
        reason = getattr(error, "strerror", None) or str(error).removeprefix("mqtt: ")
        if isinstance(error, TimeoutError) and error.errno is None:  # of TCP or TLS: the text is OpenSSL's
            reason = f"no answer for {CONNECT_TIMEOUT_SECONDS:g} s; is this the port of an MQTT broker, and is it TLS?"
        return printable(reason)
    return printable(f"failed ({type(error).__name__}: {error})")


def _may_use_network() -> bool:
    """Return whether this process may open IPv4 sockets; the service's unit forbids it by default."""
    try:
        socket.socket(socket.AF_INET).close()
    except OSError:
        return False
    return True
