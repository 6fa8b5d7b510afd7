"""A broker that sends too much, too large, or what nobody subscribed to, loses its connection."""

import itertools

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.sinks.mqtt import Sink
from edge.sinks.mqtt.errors import BrokerRefusedError
from edge.sinks.mqtt.packet_guard import MAX_PACKET_BYTES, MAX_PACKETS, PacketGuard
from edge.sinks.mqtt.session import GuardedClient
from edge.system import process
from tests.support.broker import LIVE_RUN, change, needs_mosquitto, sink_argument
from tests.support.fakes import FakeClock
from tests.support.hostile_broker import CONNACK, HostileBroker, packet, publish
from tests.support.kiosk import TIMEOUT_SECONDS

PINGRESP = packet(0xD0, b"")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def guard(clock):
    return PacketGuard(clock)


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_packets_are_followed_however_they_arrive(guard, step):
    content = CONNACK["3.1.1"] + publish("homeassistant/status", b"online", qos=1) + packet(0x40, b"\0\1") + PINGRESP
    content += publish("t", bytes(MAX_PACKET_BYTES - 7)) + PINGRESP
    for start in range(0, len(content), step):
        guard.check(content[start : start + step])
    with pytest.raises(BrokerRefusedError, match="QoS 2"):
        guard.check(publish("t", b"", qos=2))


def test_packet_above_the_limit_is_refused_at_its_length(guard):
    with pytest.raises(BrokerRefusedError, match=f"a packet of {MAX_PACKET_BYTES + 1} bytes"):
        guard.check(publish("t", bytes(MAX_PACKET_BYTES - 6))[:4])


@pytest.mark.parametrize("qos", [2, 3])
def test_message_of_qos_2_is_refused_at_its_first_byte(guard, qos):
    with pytest.raises(BrokerRefusedError, match="sent a message with QoS 2"):
        guard.check(bytes([0x30 | qos << 1]))


def test_packets_are_limited_besides_acknowledgments(guard, clock):
    guard.expect(50)
    guard.check(PINGRESP * (MAX_PACKETS + 50))
    with pytest.raises(BrokerRefusedError, match="more than 100 packets within 60 s"):
        guard.check(PINGRESP)
    clock.now = 30.0
    guard.check(PINGRESP * (MAX_PACKETS // 2 - 1))
    clock.now = 3600.0
    guard.check(PINGRESP * MAX_PACKETS)
    with pytest.raises(BrokerRefusedError):
        guard.check(PINGRESP)


def flood(version: str, message: bytes):
    """Return an answer that accepts the client, and then repeats `message` 1,000 times."""
    return lambda: itertools.chain([CONNACK[version]], itertools.repeat(message, 1000))


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize(
    ("size", "qos", "reason"),
    [
        (1_000_000, 2, "sent a message with QoS 2"),
        (1_000_000, 0, "sent a packet of 1000"),
        (60_000, 1, "sent more than 100 packets within 60 s"),
    ],
)
def test_flood_ends_the_connection_in_one_line(version, size, qos, reason, wait_for_log):
    properties = b"\0" if version == "5" else b""
    message = publish("x", bytes(size), qos, properties=properties)
    before = process.resident_mb() or 0.0
    with (
        HostileBroker(flood(version, message)) as broker,
        Sink(sink_argument(broker.port, f"version={version}"), LIVE_RUN) as sink,
    ):
        log = wait_for_log(reason)
        sink.write(change(1))
        assert broker.ended.wait(TIMEOUT_SECONDS)
    assert log.count("the connection is retried") == 1
    assert (process.resident_mb() or 0.0) - before < 30
    assert broker.sent_bytes < 20_000_000, "the rest was not received"


def test_repeated_flood_is_logged_once_and_retried_late(wait_for_log, retry_delays):
    with HostileBroker(flood("3.1.1", publish("x", b"", qos=2))) as broker, Sink(sink_argument(broker.port), LIVE_RUN):
        for _ in range(4):
            assert broker.ended.wait(TIMEOUT_SECONDS)
            broker.ended.clear()
        log = wait_for_log("QoS 2")
    assert log.count("QoS 2") == 1
    assert min(retry_delays) >= 30


def test_version_of_paho_that_bypasses_the_guard_is_refused(monkeypatch, wait_for_log):
    monkeypatch.delattr(GuardedClient, "_sock_recv")
    with HostileBroker(lambda: [CONNACK["3.1.1"]]) as broker, Sink(sink_argument(broker.port), LIVE_RUN):
        wait_for_log("this version of paho-mqtt receives bytes unchecked")


def test_mqtt_5_broker_is_told_the_largest_packet():
    with (
        HostileBroker(lambda: [CONNACK["5"]]) as broker,
        Sink(sink_argument(broker.port, "version=5"), LIVE_RUN),
    ):
        assert broker.ended.wait(TIMEOUT_SECONDS)
    maximum_packet_size = b"\x27" + MAX_PACKET_BYTES.to_bytes(4)  # MQTT 5.0, section 3.1.2.11.4
    assert maximum_packet_size in broker.connects[0]


@needs_mosquitto
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_real_broker_may_send_messages_of_qos_2_as_qos_0(broker, subscriber, version):
    with Sink(sink_argument(broker.port, "discovery=homeassistant", f"version={version}"), LIVE_RUN) as sink:
        subscriber.wait_for("/state")
        subscriber._client.publish("homeassistant/status", "online", 2).wait_for_publish(TIMEOUT_SECONDS)
        sink.write(change(1))
        subscriber.wait_for("/state", '"track_id":1,')
    subscriber.wait_for("/availability", "offline")
    payloads = [each.payload for each in subscriber.messages("/availability")]
    assert payloads[-1] == "offline"
    assert payloads.count("offline") == 1, "the connection was never ended"


@needs_mosquitto
@pytest.mark.parametrize(("version", "is_cut"), [("3.1.1", True), ("5", False)])
def test_real_broker_keeps_large_messages_from_mqtt_5(broker, subscriber, version, is_cut, retry_delays, caplog):
    with Sink(sink_argument(broker.port, "discovery=homeassistant", f"version={version}"), LIVE_RUN) as sink:
        subscriber.wait_for("/state")
        subscriber.publish("homeassistant/status", "x" * 100_000)
        start = len(subscriber.received)
        sink.write(change(1))
        subscriber.wait_for("/state", '"track_id":1,', start)
    assert ("sent a packet of 1000" in caplog.text) == is_cut
