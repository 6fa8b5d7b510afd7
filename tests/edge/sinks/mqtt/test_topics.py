"""Topics and payloads as a subscriber of a real broker receives them."""

import re

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from dataclasses import replace

from edge.sinks import mqtt
from edge.sinks.mqtt import Sink, options, session
from edge.types import Box, RunStats
from tests.support.broker import BASE_TOPIC, LIVE_RUN, Subscriber, change, needs_mosquitto, sink_argument
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import TIMEOUT_SECONDS

pytestmark = needs_mosquitto

TIMESTAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def expected_face(track_id, box, label, confidence, probabilities):
    return {
        "track_id": track_id,
        "box": box,
        "label": label,
        "age": 0.0,
        "confidence": confidence,
        "probabilities": probabilities,
    }


@pytest.mark.parametrize("version", options.VERSIONS)
def test_results_have_all_faces_with_all_probabilities(broker, subscriber, version):
    cross = face_result("cross", 0.75, 3, Box(1, 2, 30, 40))
    with Sink(sink_argument(broker.port, f"version={version}"), LIVE_RUN) as sink:
        sink.write(frame_result(cross, face_result(None, 0.55, 2), time=4.5, index=9))
        results = subscriber.wait_for("/results").json
    times = [results.pop("time"), *(face.pop("since") for face in results["faces"])]
    assert all(re.fullmatch(TIMESTAMP, text) for text in times)
    assert results == {
        "changed": True,
        "size": [96, 64],
        "faces": [
            expected_face(2, [10, 12, 20, 24], None, 0.55, {"calm": 0.55, "cross": 0.45}),
            expected_face(3, [1, 2, 30, 40], "cross", 0.75, {"calm": 0.25, "cross": 0.75}),
        ],
    }


@pytest.mark.parametrize("version", options.VERSIONS)
def test_state_has_the_faces_in_short_and_figures_of_the_run(broker, subscriber, version):
    result = frame_result(face_result("cross", 0.75, 3), face_result(None, 0.55, 2), index=9)
    with Sink(sink_argument(broker.port, f"version={version}"), LIVE_RUN) as sink:
        assert subscriber.wait_for("/availability").payload == "online"
        empty = subscriber.wait_for("/state").json
        sink.write(replace(result, stats=RunStats(frames=1, skipped=9, fps=29.97)))
        state = subscriber.wait_for("/state", '"present":true').json
    assert {key: empty[key] for key in ("present", "count", "label", "confidence", "faces")} == {
        "present": False,
        "count": 0,
        "label": None,
        "confidence": None,
        "faces": [],
    }
    assert re.fullmatch(TIMESTAMP, state.pop("time"))
    assert [list(face) for face in state["faces"]] == [["track_id", "label", "confidence", "since"]] * 2
    assert [face["track_id"] for face in state.pop("faces")] == [2, 3]
    assert state == {
        "present": True,
        "count": 2,
        "label": "cross",
        "confidence": 0.75,
        "fps": 30.0,
        "skipped": 9,
        "temperature": state["temperature"],
        "dropped": 0,
        "model": "tiny 1",
    }


def test_later_subscriber_gets_availability_and_state_only(broker, subscriber):
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        sink.write(change(1))
        subscriber.wait_for("/state", '"count":1')
        with Subscriber(broker.port) as later:
            assert later.wait_for("/availability").retained
            assert later.wait_for("/state", '"count":1').retained
            assert not later.messages("/results")


def test_end_publishes_no_faces_then_offline_without_delay(broker, subscriber, monkeypatch):
    # Far more time than the test waits for: the sink must not use it up.
    monkeypatch.setattr(mqtt, "LIVE_STOP_SECONDS", 10 * TIMEOUT_SECONDS)
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        sink.write(change(1))
        subscriber.wait_for("/state", '"count":1')
    subscriber.wait_for("/availability", "offline")
    subscriber.publish("fence", "")
    subscriber.wait_for("fence")
    assert [message.topic for message in subscriber.received[-2:]] == [f"{BASE_TOPIC}/availability", "fence"]
    offline = [message for message in subscriber.received if message.payload == "offline"]
    assert len(offline) == 1  # the broker did not publish the will as well
    assert subscriber.messages("/results")[-1].json["faces"] == []
    assert subscriber.messages("/state")[-1].json["present"] is False


def test_change_is_published_at_once(broker, subscriber, monkeypatch):
    monkeypatch.setattr(session, "MAX_POLL_SECONDS", 10 * TIMEOUT_SECONDS)  # only the change itself wakes the thread
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        subscriber.wait_for("/state")
        for number in range(1, 6):
            sink.write(change(number))
            subscriber.wait_for("/results", f'"track_id":{number},')


def test_labels_are_published_in_any_language(broker, subscriber):
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        sink.write(frame_result(replace(face_result(), label="müde")))
        assert subscriber.wait_for("/results", "müde").json["faces"][0]["label"] == "müde"


@pytest.mark.parametrize("qos", [1, 2])
def test_changes_and_state_have_the_qos_and_samples_have_0(broker, subscriber, qos):
    with Sink(sink_argument(broker.port, *([f"qos={qos}"] if qos != 1 else [])), LIVE_RUN) as sink:
        sink.write(change(1))
        assert subscriber.wait_for("/results").qos == qos
        assert subscriber.wait_for("/state").qos == qos
        sink.write(frame_result(face_result(), time=2.6))
        assert subscriber.wait_for("/results", '"changed":false').qos == 0
