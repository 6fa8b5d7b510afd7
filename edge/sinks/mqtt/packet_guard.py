"""Ends a connection whose broker sends what nobody asked for, before it takes memory or processor time.

paho-mqtt reads packets of up to 256 MB, and keeps each QoS 2 message until the broker releases it. A broker sends this
device acknowledgments, and with discovery a word from Home Assistant: some bytes each, some packets a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from edge.sinks.mqtt.errors import BrokerRefusedError

MAX_PACKET_BYTES = 65_536  # of a packet from the broker, its header included; MQTT 5 brokers are told
MAX_PACKETS, REFILL_SECONDS = 100, 60.0  # in that time, besides acknowledgments of what was published
_PUBLISH, _MAX_QOS = 3, 1  # the subscription asks for QoS 0


class PacketGuard:
    """Follows the packets in the bytes that arrive: MQTT 5.0 and 3.1.1, section 2.1, "Structure of an MQTT packet".

    Args:
        clock: in seconds; replaced in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowance, self._refilled_at = float(MAX_PACKETS), clock()  # packets
        self._header = bytearray()  # of the packet that arrives
        self._remaining = 0  # bytes of its rest
        self.checked_bytes = 0
        self.error: BrokerRefusedError | None = None  # that `check` has raised

    def expect(self, packets: int) -> None:
        """Allow as many acknowledgments."""
        self._allowance += packets

    def check(self, content: bytes) -> None:
        """Follow `content`, the next bytes from the broker. Raises BrokerRefusedError."""
        self.checked_bytes += len(content)
        position = 0
        while position < len(content):
            if self._remaining:
                skipped = min(self._remaining, len(content) - position)
                self._remaining -= skipped
                position += skipped
                continue
            self._header.append(content[position])
            position += 1
            if len(self._header) == 1:
                self._check_type(self._header[0])
            elif self._header[-1] < 128 or len(self._header) == 5:  # the length has ended, or is too long
                self._check_length()

    def _check_type(self, first: int) -> None:
        if first >> 4 == _PUBLISH and (first >> 1 & 3) > _MAX_QOS:
            self._refuse("sent a message with QoS 2")
        now = self._clock()
        refill = (now - self._refilled_at) / REFILL_SECONDS * MAX_PACKETS
        # A credit for acknowledgments is kept; only what is below the usual allowance grows with time.
        self._allowance = max(self._allowance, min(MAX_PACKETS, self._allowance + refill)) - 1
        self._refilled_at = now
        if self._allowance < 0:
            self._refuse(f"sent more than {MAX_PACKETS} packets within {REFILL_SECONDS:g} s")

    def _check_length(self) -> None:
        digits = enumerate(self._header[1:])
        self._remaining = sum((digit & 127) << 7 * place for place, digit in digits)
        size = len(self._header) + self._remaining
        self._header.clear()
        if size > MAX_PACKET_BYTES:
            self._refuse(f"sent a packet of {size} bytes; the limit is {MAX_PACKET_BYTES}")

    def _refuse(self, reason: str) -> None:
        self.error = BrokerRefusedError(reason)
        raise self.error
