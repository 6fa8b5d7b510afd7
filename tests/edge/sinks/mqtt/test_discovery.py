"""Home Assistant's discovery."""

import json
import re

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.sinks.mqtt import Sink, discovery, options, publish_queue
from edge.sinks.mqtt.publish_queue import PublishQueue
from tests.support.broker import BASE_TOPIC, LIVE_RUN, change, needs_mosquitto, sink_argument

COMPONENTS = {"emotion", "faces", "presence", "fps", "temperature"}


@needs_mosquitto
def test_device_is_announced_with_all_its_sensors(broker, subscriber):
    with Sink(sink_argument(broker.port, "discovery=homeassistant"), LIVE_RUN):
        message = subscriber.wait_for("/config")
        subscriber.wait_for("/availability")
    device = discovery.device_id(BASE_TOPIC)
    assert message.topic == f"homeassistant/device/{device}/config"
    config, components = message.json, message.json["components"]
    assert config["device"]["identifiers"] == [device]
    assert (config["availability_topic"], config["state_topic"]) == (
        f"{BASE_TOPIC}/availability",
        f"{BASE_TOPIC}/state",
    )
    assert config["origin"]["name"] == "emotion-edge"
    assert COMPONENTS - {"temperature"} <= components.keys() <= COMPONENTS
    assert {each["unique_id"] for each in components.values()} == {f"{device}_{name}" for name in components}
    assert components["presence"]["platform"] == "binary_sensor"
    assert (components["emotion"]["device_class"], components["emotion"]["options"]) == ("enum", ["calm", "cross"])


@pytest.mark.parametrize("temperature", [True, False])
def test_temperature_is_a_component_only_if_it_is_known(temperature):
    config = discovery.encode_config(
        options.parse("nas"), LIVE_RUN, "d", version="1", board=None, temperature=temperature
    )
    assert json.loads(config)["components"].keys() == (COMPONENTS if temperature else COMPONENTS - {"temperature"})


def test_templates_read_keys_of_the_state():
    queue = PublishQueue(options.parse("nas"), LIVE_RUN)
    queue.add(change(1))
    state = json.loads(list(iter(queue.next_message, None))[-1].payload)
    config = discovery.encode_config(options.parse("nas"), LIVE_RUN, "d", version="1", board=None, temperature=True)
    keys = re.findall(r"value_json\.(\w+)", config.decode())
    assert len(keys) == len(COMPONENTS)
    assert set(keys) <= state.keys()


@needs_mosquitto
def test_device_is_announced_again_when_home_assistant_starts(broker, subscriber, monkeypatch):
    monkeypatch.setattr(publish_queue, "MAX_ANNOUNCE_DELAY_SECONDS", 0.0)
    subscriber.publish("homeassistant/status", "online", retain=True)
    with Sink(sink_argument(broker.port, "discovery=homeassistant"), LIVE_RUN) as sink:

        def count_announcements(first_number):
            """Return how often the device was announced, after three changes that the sink has published since."""
            for number in range(first_number, first_number + 3):
                sink.write(change(number))
                subscriber.wait_for("/state", f'"track_id":{number},')
            return len(subscriber.messages("/config"))

        subscriber.wait_for("/state")
        assert count_announcements(1) == 1  # not for the retained message, which is old
        subscriber.publish("homeassistant/status", "offline")
        assert count_announcements(4) == 1
        start = len(subscriber.received)
        subscriber.publish("homeassistant/status", "online")
        assert count_announcements(7) == 2
        subscriber.wait_for("/availability", "online", start)


@needs_mosquitto
def test_without_discovery_all_topics_are_below_the_base(broker, subscriber):
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        sink.write(change(1))
        subscriber.wait_for("/state", '"count":1')
    subscriber.wait_for("/availability", "offline")
    names = ("availability", "state", "results", "metrics")
    assert {message.topic for message in subscriber.received} == {f"{BASE_TOPIC}/{name}" for name in names}


def test_device_id_is_constant_and_hides_the_machine_id(tmp_path):
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")
    device = discovery.device_id("a", machine_id)
    assert device == discovery.device_id("a", machine_id) != discovery.device_id("b", machine_id)
    assert re.fullmatch("[a-z0-9]{1,23}", device)  # what every broker of MQTT 3.1.1 accepts as a client id
    assert device[11:] not in machine_id.read_text()
    assert discovery.device_id("a", tmp_path / "none") != device
