"""One connection to the broker, from connecting to its end.

paho-mqtt encodes and decodes the packets; its own thread and its own queue are not used (reasons: docs/mqtt.md). At
most MAX_IN_FLIGHT messages are unacknowledged, none is handed over while the network accepts no data, and PacketGuard
bounds what arrives: memory stays bounded whatever the broker does.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.sinks.mqtt import credentials
from edge.sinks.mqtt.discovery import BIRTH_PAYLOAD
from edge.sinks.mqtt.errors import BrokerRefusedError
from edge.sinks.mqtt.options import MqttOptions
from edge.sinks.mqtt.packet_guard import MAX_PACKET_BYTES, PacketGuard
from edge.sinks.mqtt.publish_queue import Message, PublishQueue

KEEPALIVE_SECONDS = 15  # a broker publishes "offline" 1.5 times as long after a power cut
CONNECT_TIMEOUT_SECONDS = 5.0  # of TCP, and of TLS
CONNACK_TIMEOUT_SECONDS = 10.0  # for the broker's answer
MAX_IN_FLIGHT = 10  # unacknowledged messages
MAX_POLL_SECONDS = 1.0
# Bad user name or password, not authorized: reason codes of MQTT 5, to which paho converts those of 3.1.1.
LOGIN_REASON_CODES = (134, 135)
SESSION_TAKEN_OVER = 142  # reason code of MQTT 5, section 3.14.2.1: another client has connected with the same id
BROKEN = "the connection broke"
NO_ANSWER = "closed without an answer; is this the port of an MQTT broker, and does it use TLS?"

# Made for each wait: neither holds a descriptor. `select` takes none from 1024 on, except on Windows.
if sys.platform == "win32":
    Selector = selectors.SelectSelector
else:
    Selector = selectors.PollSelector

_log = logging.getLogger(__name__)


class GuardedClient(Client):
    """paho's client; each byte that it receives passes `guard` first, which paho takes for an error of the network."""

    def __init__(self, guard: PacketGuard, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._guard = guard

    def _sock_recv(self, bufsize: int) -> bytes:
        content = super()._sock_recv(bufsize)
        self._guard.check(content)
        return content


class Wakeup:
    """Wakes the thread of a connection: there are new messages, or the run stops."""

    def __init__(self) -> None:
        self.receiver, self._sender = socket.socketpair()
        self.receiver.setblocking(False)
        self._sender.setblocking(False)
        self._lock = threading.Lock()  # of the sender: the descriptor of a closed one may be another file's
        self.stopping = threading.Event()
        self.deadline = float("inf")  # monotonic seconds: end of the time to publish what is queued

    def notify(self) -> None:
        with self._lock, suppress(OSError):  # full: the thread has reasons enough; closed: it has ended
            self._sender.send(b".")

    def clear(self) -> None:
        """Take away what has woken the thread."""
        with suppress(BlockingIOError):
            self.receiver.recv(4096)

    def close(self) -> None:
        """Free the sockets, when the thread ends."""
        with self._lock:
            self.receiver.close()
            self._sender.close()

    def stop(self, deadline: float) -> None:
        self.deadline = deadline
        self.stopping.set()
        self.notify()


class Session:
    """A connection, used by one thread; each attempt to connect is a new session.

    Args:
        context: verifies the broker's certificate; None: no TLS.
        rejected_topics: topics that the broker has rejected in this run, each of which is logged once.

    Raises SettingsError if the credentials cannot be read.
    """

    def __init__(
        self,
        options: MqttOptions,
        queue: PublishQueue,
        context: ssl.SSLContext | None,
        wakeup: Wakeup,
        rejected_topics: set[str],
    ) -> None:
        self._options, self._queue, self._wakeup, self._rejected_topics = options, queue, wakeup, rejected_topics
        self.accepted = False  # by the broker
        self._offline_sent = False
        self._error: Exception | None = None  # that ended the connection
        self._in_flight: dict[int, Message] = {}  # packet identifier -> unacknowledged message
        self._guard = PacketGuard()
        # Constant: the broker then ends a former connection, and publishes its "offline" before our "online".
        self._client_id = options.client_id or queue.device_id
        self._client = client = GuardedClient(
            self._guard,
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if options.version == "5" else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_SECONDS
        login = credentials.load_login(options)
        if login.user is not None:
            client.username_pw_set(login.user, login.password)
        if context:
            client.tls_set_context(context)
        will = queue.offline_message()
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message

    @property
    def in_flight(self) -> int:
        """Number of unacknowledged messages."""
        return len(self._in_flight)

    @property
    def same_id(self) -> str:
        """What another client with the same id does, and what to do."""
        return (
            f"another client takes the connection over, with the same id {self._client_id}: a second run, or a copy of "
            "this SD card? Give each its own topic or client-id"
        )

    def run(self) -> None:
        """Connect and publish until the run stops. Raises what ended the connection before that."""
        client, options = self._client, self._options
        try:
            client.connect(options.host, options.port, KEEPALIVE_SECONDS, properties=self._connect_properties())
            connack_deadline = time.monotonic() + CONNACK_TIMEOUT_SECONDS
            while not self.accepted and not self._done:
                if time.monotonic() >= connack_deadline:
                    seconds = CONNACK_TIMEOUT_SECONDS
                    raise ConnectionError(f"no answer for {seconds:g} s; is this the port of an MQTT broker?")
                self._exchange()
            if self.accepted:
                _log.info("edge: mqtt: connected to %s", options.address)
                if options.discovery:
                    client.subscribe(f"{options.discovery}/status")
                self._queue.announce()
            while not self._done:
                self._queue.queue_due()
                self._publish()
                self._exchange()
            if self._offline_sent:
                client.disconnect()  # otherwise the broker publishes the will
        finally:
            self._queue.requeue(self._in_flight.values())
            if (connection := client.socket()) is not None:
                connection.close()

    def _connect_properties(self) -> Properties | None:
        """Return what MQTT 5 tells the broker: it must not send larger packets."""
        if self._options.version != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no types here
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        return properties

    @property
    def _done(self) -> bool:
        """Whether everything is published, or there is no more time for it."""
        all_published = self._offline_sent and not self._in_flight
        return all_published or time.monotonic() >= self._wakeup.deadline

    def _publish(self) -> None:
        """Hand over messages as long as the network accepts data, and MAX_IN_FLIGHT at most."""
        while len(self._in_flight) < MAX_IN_FLIGHT and not self._client.want_write() and self._error is None:
            message = self._queue.next_message()
            if message is None and self._wakeup.stopping.is_set() and not self._in_flight and not self._offline_sent:
                message, self._offline_sent = self._queue.offline_message(), True
            if message is None:
                return
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
            if message.qos:
                self._in_flight[info.mid] = message
                self._guard.expect(message.qos)  # QoS 1 is acknowledged once, QoS 2 twice

    def _exchange(self) -> None:
        """Wait for the network, the wakeup or the clock, then read and write. Raises when the connection has ended."""
        client, wakeup = self._client, self._wakeup
        connection = client.socket()
        if connection is not None:
            selector = Selector()
            selector.register(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if client.want_write() else 0))
            selector.register(wakeup.receiver, selectors.EVENT_READ)
            # Decrypted bytes may wait in the TLS layer, where poll does not see them.
            has_bytes = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
            seconds = 0.0 if has_bytes else max(0.0, min(MAX_POLL_SECONDS, wakeup.deadline - time.monotonic()))
            events = {key.fileobj: mask for key, mask in selector.select(seconds)}
            if wakeup.receiver in events:
                wakeup.clear()
            if has_bytes or events.get(connection, 0) & selectors.EVENT_READ:
                self._read()
            if client.want_write():
                client.loop_write()
            client.loop_misc()
        if self._error is None and client.socket() is None:
            self._error = ConnectionError(BROKEN)
        if self._error is not None and not self._done:
            raise self._error

    def _read(self) -> None:
        """Hand one packet to paho. Raises BrokerRefusedError if paho cannot decode it."""
        try:
            self._client.loop_read()
        except Exception as error:
            # It checks the structure of a packet only in part: any exception may come of a malformed one.
            raise BrokerRefusedError(f"sent a malformed packet ({type(error).__name__})") from error

    def _on_connect(self, _: Client, __: object, ___: object, reason: ReasonCode, ____: Properties | None) -> None:
        if not self._guard.checked_bytes:
            self._error = BrokerRefusedError(
                "this version of paho-mqtt receives bytes unchecked; install paho-mqtt 2.2"
            )
            return
        self.accepted = not reason.is_failure
        if reason.is_failure:
            hint = "; check user-file and password-file, and the users of the broker"
            hint = hint if reason.value in LOGIN_REASON_CODES else ""
            self._error = BrokerRefusedError(f"refused ({reason}){hint}")

    def _on_disconnect(
        self, _: Client, __: object, flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if self._error is not None:
            return
        if self._guard.error is not None:
            self._error = self._guard.error
        elif flags.is_disconnect_packet_from_server and reason.value == SESSION_TAKEN_OVER:
            self._error = BrokerRefusedError(self.same_id)
        elif flags.is_disconnect_packet_from_server:
            self._error = ConnectionError(f"the broker ended the connection ({reason})")
        elif not self.accepted:
            self._error = ConnectionError(NO_ANSWER)
        elif reason == "Keep alive timeout":
            self._error = ConnectionError(f"no packet for {KEEPALIVE_SECONDS} s")
        else:
            self._error = ConnectionError(BROKEN)

    def _on_publish(self, _: Client, __: object, packet_id: int, reason: ReasonCode, ___: Properties | None) -> None:
        message = self._in_flight.pop(packet_id, None)
        # Only MQTT 5 reports a rejected message.
        if message and reason.is_failure and message.topic not in self._rejected_topics:
            self._rejected_topics.add(message.topic)
            _log.warning(
                "edge: mqtt: %s: %s is rejected (%s); check its access control",
                self._options.address,
                message.topic,
                reason,
            )

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        # A retained message is old: this connection has announced since.
        if message.payload == BIRTH_PAYLOAD and not message.retain:
            self._queue.announce_soon()
