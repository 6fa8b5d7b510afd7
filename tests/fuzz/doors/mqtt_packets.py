"""What a broker sends after the client's CONNECT; the first byte of an input selects MQTT 3.1.1 or 5."""

from __future__ import annotations

import logging
from functools import cache

from edge.sinks.mqtt.errors import BrokerRefusedError
from edge.sinks.mqtt.options import parse
from edge.sinks.mqtt.publish_queue import PublishQueue
from edge.sinks.mqtt.session import Session, Wakeup
from edge.types import RunInfo
from tests.fuzz.door import Door
from tests.support.hostile_broker import CONNACK, HostileBroker, packet, publish

answers: list[bytes] = []


@cache
def broker() -> HostileBroker:
    logging.disable()
    server = HostileBroker(lambda: answers)
    server.__enter__()
    return server


@cache
def wakeup() -> Wakeup:
    return Wakeup()


def seeds() -> list[bytes]:
    subscribed, acknowledged = packet(0x90, b"\0\1\0"), packet(0x40, b"\0\2")
    rest = subscribed + acknowledged + packet(0x50, b"\0\3") + packet(0x70, b"\0\3") + packet(0xD0, b"")
    birth = publish("homeassistant/status", b"online")
    properties = b"\x0f\x26\0\1a\0\1b\x01\x01\x02\0\0\0\x10"  # a user property, the payload's format, an expiry
    return [
        b"3" + CONNACK["3.1.1"],
        b"3" + CONNACK["3.1.1"] + rest + birth + publish("homeassistant/status", b"offline", qos=1),
        b"5" + CONNACK["5"] + rest + publish("homeassistant/status", b"online", properties=properties),
        b"5" + packet(0x20, b"\0\0\x08\x21\0\x0a\x27\0\1\0\0") + packet(0x90, b"\0\1\0\0") + packet(0xE0, b"\x8b\0"),
        b"3" + packet(0x20, b"\0\5"),
    ]


def receive(content: bytes) -> None:
    """Run one session against a broker that sends `content`."""
    answers[:] = [content[1:]]
    options = parse(
        f"127.0.0.1:{broker().port},discovery=homeassistant,version={'5' if content[:1] == b'5' else '3.1.1'}"
    )
    session = Session(options, PublishQueue(options, RunInfo(live=True)), None, wakeup(), set())
    try:
        session.run()
    except BrokerRefusedError:
        raise
    except ConnectionError:  # at its end the broker closes the connection
        if not session.accepted:
            raise


DOOR = Door(
    seeds,
    receive,
    refusals=(BrokerRefusedError, ConnectionError, TimeoutError),
    tokens=(
        *(CONNACK["3.1.1"], CONNACK["5"], publish("t", b"x", qos=1), publish("t", b"x", qos=2), packet(0xD0, b"")),
        *(b"\x30\xff\xff\xff\x7f", b"\x30\x80\x80\x80\x80\x01", b"\x40\x02\0\0", b"\x62\x02\0\1", b"\x90\x03\0\1\x80"),
        *(b"\xe0\x00", b"\xf0\x02\x18\0", b"\x1f\0\5abcde", b"\x26\xff\xff", b"\x0b\x80\x80\x80\x80\x01", b"\xc3\x28"),
    ),
    test_inputs=500,
    campaign_inputs=100_000,
)
