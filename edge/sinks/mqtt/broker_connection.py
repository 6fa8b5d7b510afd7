"""The connection to the broker: one thread keeps it, loses it, and finds it again.

paho-mqtt makes and reads the packets; its own thread and its own queue are not used. So it is here, in one place, that
no more than WINDOW messages are under way and that nothing is handed over while the network takes nothing: memory stays
bounded whatever the broker does. Each connection is a new client; what it had not brought to an end goes back to the
desk.
"""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import threading
import time
from typing import Any

from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import SettingsError, SinkError
from edge.sinks.mqtt import credentials
from edge.sinks.mqtt.discovery import ONLINE
from edge.sinks.mqtt.options import Options
from edge.sinks.mqtt.publish_queue import Desk, Message
from edge.system import log as journal

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between two tries, doubled each time
KEEPALIVE = (
    15  # seconds: a broker says offline 1.5 times as long after a power cut; a dead one is noticed in twice that
)
CONNECT_SECONDS = 5.0  # for the network, and for TLS
ANSWER_SECONDS = 10.0  # for the broker to accept
GIVE_UP = 0.05  # seconds beyond its time that the thread has to end: it may hang in a name server's silence
WINDOW = 10  # messages under way that were not acknowledged
TICK = 1.0  # seconds, at most, between two looks at the clock
WRONG_LOGIN = (
    134,
    135,
)  # reason codes of MQTT 5, which paho also makes of 3.1.1's: bad user or password, not authorized

CLOSED = "closed without an answer; is this the port of an MQTT broker, and is it TLS?"


class Refused(SinkError):
    """The broker or its certificate says no: the next try will hear the same, so that it is not made soon."""


class Link:
    """Brings what lies on `desk` to the broker, as long as it is started.

    Args:
        context: checks the broker's certificate; None: no TLS.
        persists: whether a stop still waits for a broker that is not connected, as a run of files does.
    """

    def __init__(self, options: Options, desk: Desk, context: ssl.SSLContext | None, *, persists: bool) -> None:
        self._options, self._desk, self._context, self._persists = options, desk, context, persists
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._deadline = float("inf")
        self._said = ""  # what was wrong, as it was said last
        self._unwanted: set[str] = set()  # topics that the broker refused, as was said
        self._reset()
        # A name server that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="sink mqtt", daemon=True)

    def start(self) -> None:
        """Start to connect; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Have the desk looked at."""
        os.eventfd_write(self._news, 1)

    def stop(self, grace: float) -> None:
        """Say what lies on the desk, then goodbye, and end; takes `grace` seconds at most, and GIVE_UP."""
        self._deadline = time.monotonic() + grace
        self._stopping.set()
        self.wake()
        self._thread.join(grace + GIVE_UP)
        if not self._thread.is_alive():
            os.close(self._news)

    def _reset(self) -> None:
        """Forget the last connection."""
        self._connected = self._farewell_said = False
        self._end: Exception | None = None  # why the connection is at its end
        self._under_way: dict[int, Message] = {}

    def _run(self) -> None:
        wait = FIRST_WAIT
        while True:
            began = time.monotonic()
            try:
                self._converse()
                return
            except (Refused, SettingsError, ssl.SSLCertVerificationError) as error:
                wait = LONGEST_WAIT
                self._say(error)
            except Exception as error:  # noqa: BLE001 (a broker may send anything; the run goes on)
                self._say(error)
            # Only one that held: a connection that is lost again and again must not fill the journal.
            if time.monotonic() - began > LONGEST_WAIT:
                wait = FIRST_WAIT
            wait = min(2 * wait, LONGEST_WAIT)
            if not self._pause(random.uniform(wait / 2, wait)):  # noqa: S311 (boards that lost one broker spread out)
                return

    def _converse(self) -> None:
        """Connect and talk until the end of the run. Raises what ended the connection before."""
        self._reset()
        client = self._client()
        try:
            client.connect(self._options.host, self._options.port, KEEPALIVE)
            if self._accepted(client):
                self._greet(client)
            while not self._done():
                self._desk.tick()
                self._send(client)
                self._exchange(client)
            if self._farewell_said:
                client.disconnect()  # otherwise the broker says offline, as it was told to
        finally:
            self._desk.give_back(self._under_way.values())
            if (way := client.socket()) is not None:
                way.close()

    def _client(self) -> Client:
        options, login = self._options, credentials.login(self._options)
        client = Client(
            CallbackAPIVersion.VERSION2,
            # The same after each start: the broker then ends what is left of the connection before, and says its
            # "offline" before our "online", not after it.
            client_id=options.client_id or self._desk.device,
            protocol=MQTTProtocolVersion.MQTTv5 if options.version == "5" else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_SECONDS
        if login.user is not None:
            client.username_pw_set(login.user, login.password)
        if self._context:
            client.tls_set_context(self._context)
        last = self._desk.farewell()
        client.will_set(last.topic, last.payload, last.qos, last.retain)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        return client

    def _accepted(self, client: Client) -> bool:
        """Wait for the broker's answer; return False if the run ended first. Raises where there is none."""
        until = time.monotonic() + ANSWER_SECONDS
        while not self._connected and not self._done():
            if time.monotonic() >= until:
                raise TimeoutError(f"no answer for {ANSWER_SECONDS:g} s; is this the port of an MQTT broker?")
            self._exchange(client)
        return self._connected

    def _greet(self, client: Client) -> None:
        journal.say(f"edge: mqtt: connected to {self._options.address}", journal.NOTICE)
        self._said = ""
        if self._options.discovery:
            client.subscribe(f"{self._options.discovery}/status")
        self._desk.announce()

    def _send(self, client: Client) -> None:
        """Hand over what may go now: while the network takes it, and WINDOW messages at most."""
        while len(self._under_way) < WINDOW and not client.want_write() and self._end is None:
            message = self._desk.next()
            if message is None and self._stopping.is_set() and not self._under_way and not self._farewell_said:
                message, self._farewell_said = self._desk.farewell(), True
            if message is None:
                return
            info = client.publish(message.topic, message.payload, message.qos, message.retain)
            if message.qos:
                self._under_way[info.mid] = message

    def _exchange(self, client: Client) -> None:
        """Wait for the network, for news or for the clock, and do what it wants. Raises when the connection ended."""
        way = client.socket()
        if way is not None:
            if self._readable(way, writing=client.want_write()):
                client.loop_read()
            if client.want_write():
                client.loop_write()
            client.loop_misc()
        if self._end is None and client.socket() is None:
            self._end = ConnectionError("the connection broke")
        if self._end is not None and not self._done():
            raise self._end

    def _readable(self, way: Any, *, writing: bool) -> bool:
        """Wait; return whether there is something to read at `way`, the socket."""
        if isinstance(way, ssl.SSLSocket) and way.pending():
            return True
        poll = select.poll()
        poll.register(way, select.POLLIN | (select.POLLOUT if writing else 0))
        poll.register(self._news, select.POLLIN)
        left = max(0.0, min(TICK, self._deadline - time.monotonic()))
        events = dict(poll.poll(left * 1000))
        if self._news in events:
            os.eventfd_read(self._news)
        return bool(events.get(way.fileno(), 0) & ~select.POLLOUT)

    def _done(self) -> bool:
        """Whether all is said, or there is no more time for it."""
        said = self._farewell_said and not self._under_way
        return said or time.monotonic() >= self._deadline

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; return whether there is to be one."""
        if not self._stopping.wait(seconds):
            return True
        left = self._deadline - time.monotonic()
        if not self._persists or left <= 0:
            return False
        time.sleep(min(FIRST_WAIT, left))
        return True

    def _say(self, error: Exception) -> None:
        """Say what is wrong, unless it was said before."""
        words = _words(error)
        if words != self._said:
            told = f"edge: mqtt: {self._options.address}: {words}; it is tried again, and the run goes on"
            journal.say(told, journal.WARNING)
        self._said = words

    def _on_connect(self, _: Client, __: object, ___: object, reason: ReasonCode, ____: Properties | None) -> None:
        self._connected = not reason.is_failure
        if reason.value in WRONG_LOGIN:
            self._end = Refused(f"refused ({reason}); check user-file and password-file, and the broker's own list")
        elif reason.is_failure:
            self._end = Refused(f"refused ({reason})")

    def _on_disconnect(
        self, _: Client, __: object, flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if self._end is not None:
            return
        if flags.is_disconnect_packet_from_server:
            self._end = ConnectionError(f"the broker ended the connection ({reason})")
        elif not self._connected:
            self._end = ConnectionError(CLOSED)
        elif reason == "Keep alive timeout":
            self._end = ConnectionError(f"nothing heard for {KEEPALIVE} s")
        else:
            self._end = ConnectionError("the connection broke")

    def _on_publish(self, _: Client, __: object, number: int, reason: ReasonCode, ___: Properties | None) -> None:
        message = self._under_way.pop(number, None)
        if message and reason.is_failure and message.topic not in self._unwanted:  # told by MQTT 5 alone
            self._unwanted.add(message.topic)
            words = f"{message.topic} is not taken ({reason}); check the broker's rights for it"
            journal.say(f"edge: mqtt: {self._options.address}: {words}", journal.WARNING)

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        # A retained one is old: what it would ask for was just said.
        if message.payload == ONLINE and not message.retain:
            self._desk.announce_soon()


def _words(error: Exception) -> str:
    """Return what went wrong, and what to do about it where that is not plain."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); ca=FILE names who signed it"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); is this its port for TLS?"
    if isinstance(error, ConnectionResetError):  # in the middle of TLS: later paho hides it
        return CLOSED
    if isinstance(error, OSError) and not _may_use_networks():
        return "this process may use no network; for the service systemd/network.conf opens it"
    if isinstance(error, OSError | SettingsError):
        return getattr(error, "strerror", None) or str(error).removeprefix("mqtt: ")
    return f"failed ({type(error).__name__}: {error})"


def _may_use_networks() -> bool:
    """Return whether there are sockets for this process at all; the service's unit allows none by itself."""
    try:
        socket.socket(socket.AF_INET).close()
    except OSError:
        return False
    return True
