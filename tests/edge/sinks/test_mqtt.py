"""A broker hears who is there, as documented; it may be away, frozen, closed or hostile, and no frame waits for it."""

import errno
import gc
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.support.paths import ROOT

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.errors import SettingsError, SinkError, UsageError
from edge.sinks import registry as sinks
from edge.sinks.mqtt import Sink, credentials, discovery, options
from edge.sinks.mqtt import broker_connection as link
from edge.sinks.mqtt import publish_queue as desk
from edge.sinks.mqtt.broker_connection import WINDOW
from edge.sinks.mqtt.publish_queue import KEPT, Desk
from edge.types import Box, RunInfo
from tests.support.broker import HOST, Broker, Gate, Listener, free_port, needs_mosquitto
from tests.support.commands import EDGE, open_descriptors, run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import PATIENCE, until
from tests.support.kiosk import RunInfo as Process

BASE = "home/kiosk1"
LIVE = RunInfo(live=True, labels=("calm", "cross"), model="stand-in 1")
FILES = RunInfo(live=False, labels=LIVE.labels)
MOMENT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
DOCUMENT = ROOT / "docs" / "mqtt.md"
# paho leaves the socket of a TLS connection that failed to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as running:
        yield running


@pytest.fixture
def listener(broker):
    with Listener(broker.port) as listening:
        yield listening


@pytest.fixture(autouse=True)
def nothing_of_ours_in_the_environment(monkeypatch):
    for name in ("EMOTION_EDGE_MQTT_USER", "EMOTION_EDGE_MQTT_PASSWORD", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def to(port, *more) -> str:
    return ",".join([f"{HOST}:{port}", f"topic={BASE}", *more])


def spec(port, *more) -> str:
    return f"mqtt:{to(port, *more)}"


def change(number: int):
    """Return an observation that differs from the one before: another person each time, alone."""
    return frame_result(face_result(track_id=number), time=2.0 * number, index=number)


def numbers(heard) -> list[int]:
    """Return whose faces the changes among the readings `heard` are, each once, in their order."""
    found = [message.content["faces"][0]["id"] for message in heard if message.content["faces"]]
    return list(dict.fromkeys(found))


# The argument


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "'' is no broker, expected HOST, HOST:PORT"),
        ("topic=a", "'' is no broker"),
        ("nas.local:70000", "is no broker"),
        ("//nas.local", "is no broker"),
        ("nas.local:1883:1", "is no broker"),
        ("nas,topic=a/#", "topic is 'a/#', expected levels"),
        ("nas,topic=/a", "expected levels"),
        ("nas,topic=$SYS", "expected levels"),
        ("nas,qos=3", "qos is '3', expected a whole number from 0 to 2"),
        ("nas,rate=31", "rate is '31', expected a number from 0 to 30"),
        ("nas,version=4", "version is '4', expected 3.1.1 or 5"),
        ("nas,discovery", "discovery has no value"),
        ("nas,discovery=a+", "expected the discovery prefix of Home Assistant"),
        ("nas,client-id=a b", "client-id is 'a b', expected 1 to 64"),
        ("nas,key=k.pem", "key without cert"),
        ("nas,user=joe", "no option 'user'; did you mean user-file?"),
    ],
)
def test_a_wrong_argument_is_told_when_the_sink_is_made(argument, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        sinks.make(f"mqtt:{argument}")


@pytest.mark.parametrize(
    "argument", ["joe:secret@nas", "//joe:secret@nas:1883,topic=a", "joe@nas", "joe:a,secret@nas,tls", "j:a=secret@nas"]
)
def test_a_password_in_the_argument_is_refused_and_not_repeated(argument):
    with pytest.raises(UsageError, match=r"where every user of this machine can read it; .*password-file=FILE") as told:
        sinks.make(f"mqtt:{argument}")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("argument", "host", "port", "tls"),
    [
        ("nas.local", "nas.local", 1883, False),
        ("10.0.0.2:2000", "10.0.0.2", 2000, False),
        ("nas,tls", "nas", 8883, True),
        ("nas:2000,ca=ca.pem", "nas", 2000, True),
        ("[fe80::1]:2000", "fe80::1", 2000, False),
        ("[::1]", "::1", 1883, False),
    ],
)
def test_the_port_is_the_usual_one_and_a_certificate_means_tls(argument, host, port, tls):
    found = options.parse(argument)
    assert (found.host, found.port, found.tls) == (host, port, tls)
    assert options.parse(found.address).address == found.address


def test_making_a_sink_opens_nothing_and_starts_nothing():
    sinks.make("mqtt:nas")  # the modules are loaded
    before = open_descriptors(), threading.active_count()
    made = sinks.make("mqtt:nas,tls,ca=/nowhere,password-file=/nowhere")
    assert (open_descriptors(), threading.active_count()) == before
    assert made


def test_without_paho_the_line_says_what_to_install(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('sinks = ["mqtt:nas"]\n')
    program = "import sys; sys.modules['paho'] = None; from edge.cli import main; main()"
    command = [sys.executable, "-c", program, "config", "--check", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "sink mqtt needs paho-mqtt 2 or newer: pip install 'emotion-edge[mqtt]'" in done.stderr


def test_every_option_is_documented():
    text = DOCUMENT.read_text()
    assert [name for name in options._known() if f"`{name}" not in text] == []


# What is said, and when


@needs_mosquitto
@pytest.mark.parametrize("version", options.VERSIONS)
def test_topics_and_payloads_are_the_documented_ones(broker, listener, version):
    with Sink(to(broker.port, f"version={version}"), LIVE) as sink:
        assert listener.until("/availability").payload == "online"
        empty = listener.until("/state").content
        assert {key: empty[key] for key in ("present", "count", "label", "confidence", "faces")} == {
            "present": False,
            "count": 0,
            "label": None,
            "confidence": None,
            "faces": [],
        }
        sink.write(frame_result(face_result("cross", 0.75, 3, Box(1, 2, 30, 40)), face_result(None, 0.55, 2), time=4.5, index=9))
        said = listener.until("/readings").content
        state = listener.until("/state", '"present":true').content
    times = [said.pop("time"), *(face.pop("since") for face in said["faces"])]
    assert all(re.fullmatch(MOMENT, text) for text in times)
    assert said == {
        "changed": True,
        "size": [96, 64],
        "faces": [
            {
                "id": 2,
                "label": None,
                "confidence": 0.55,
                "box": [10, 12, 20, 24],
                "scores": {"calm": 0.55, "cross": 0.45},
            },
            {
                "id": 3,
                "label": "cross",
                "confidence": 0.75,
                "box": [1, 2, 30, 40],
                "scores": {"calm": 0.25, "cross": 0.75},
            },
        ],
    }
    assert re.fullmatch(MOMENT, state.pop("time"))
    assert [list(face) for face in state["faces"]] == [["id", "label", "confidence", "since"]] * 2
    assert [face["id"] for face in state.pop("faces")] == [2, 3]
    assert state == {
        "present": True,
        "count": 2,
        "label": "cross",
        "confidence": 0.75,
        "fps": None,
        "skipped": 9,
        "temperature": state["temperature"],
        "dropped": 0,
        "model": "stand-in 1",
    }


@needs_mosquitto
def test_who_comes_later_gets_availability_and_state_but_no_old_readings(broker, listener):
    with Sink(to(broker.port), LIVE) as sink:
        sink.write(change(1))
        listener.until("/state", '"count":1')
        with Listener(broker.port) as late:
            assert late.until("/availability").retained
            assert late.until("/state", '"count":1').retained
            assert not late.of("/readings")


@needs_mosquitto
def test_a_clean_end_says_that_nobody_is_there_and_then_offline(broker, listener):
    with Sink(to(broker.port), LIVE) as sink:
        sink.write(change(1))
        listener.until("/state", '"count":1')
        began = time.monotonic()
    assert time.monotonic() - began < 0.3  # milliseconds, on an idle machine
    listener.until("/availability", "offline")
    listener.say("fence", "")
    listener.until("fence")
    assert [heard.topic for heard in listener.heard[-2:]] == [f"{BASE}/availability", "fence"]
    assert len([heard for heard in listener.heard if heard.payload == "offline"]) == 1  # the broker had not to say it
    assert listener.of("/readings")[-1].content["faces"] == []
    assert listener.of("/state")[-1].content["present"] is False


@needs_mosquitto
def test_a_change_is_there_at_once(broker, listener):
    seconds = []
    with Sink(to(broker.port), LIVE) as sink:
        listener.until("/state")
        for number in range(1, 6):
            began = time.monotonic()
            sink.write(change(number))
            listener.until("/readings", f'"id":{number},')
            seconds.append(time.monotonic() - began)
    assert statistics.median(seconds) < 0.2


@needs_mosquitto
def test_labels_of_any_language_arrive_as_they_are(broker, listener):
    observation = frame_result(face_result())
    object.__setattr__(observation.faces[0], "label", "müde")
    with Sink(to(broker.port), LIVE) as sink:
        sink.write(observation)
        assert listener.until("/readings", "müde").content["faces"][0]["label"] == "müde"


@needs_mosquitto
@pytest.mark.parametrize("qos", [1, 2])
def test_changes_and_state_are_acknowledged_and_samples_are_not(broker, listener, qos):
    with Sink(to(broker.port, *([f"qos={qos}"] if qos != 1 else [])), LIVE) as sink:
        sink.write(change(1))
        assert listener.until("/readings").qos == qos
        assert listener.until("/state").qos == qos
        sink.write(frame_result(face_result(), time=2.6))
        assert listener.until("/readings", '"changed":false').qos == 0


def test_samples_come_at_the_rate_and_a_change_at_once():
    board = Desk(options.parse(f"nas,topic={BASE},rate=2"), LIVE)

    def new(time, label="calm"):
        return board.process(frame_result(face_result(label), time=time))

    spoken = [index / 30 for index in range(90) if new(index / 30)]
    assert spoken == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=0.04)
    assert new(3.1)
    assert new(3.11, "cross")
    assert not new(3.5, "cross")


def test_without_a_rate_and_without_anybody_there_are_no_samples():
    silent, alone = (Desk(options.parse(f"nas,topic={BASE}{more}"), LIVE) for more in (",rate=0", ""))
    assert [silent.process(frame_result(face_result(), time=time)) for time in (0, 1, 2)] == [True, False, False]
    assert [alone.process(frame_result(time=time)) for time in (0, 1, 2)] == [True, False, False]


def test_a_face_that_is_missed_for_less_than_a_second_has_not_gone():
    board = Desk(options.parse("nas,rate=0"), LIVE)
    said = [board.process(frame_result(*there, time=time)) for time, there in enumerate_scene("x  x    ", 0.3)]
    assert said == [True, False, False, False, False, False, False, True]


def enumerate_scene(text: str, apart: float):
    """Yield time and faces for each letter of `text`, `apart` seconds from the next; a blank is nobody."""
    for index, letter in enumerate(text):
        yield index * apart, [] if letter == " " else [face_result()]


def test_the_label_is_the_one_of_who_has_been_there_longest_of_those_who_have_one():
    board = Desk(options.parse("nas"), LIVE)
    board.process(frame_result(face_result("cross", 0.99, 7), face_result("calm", 0.6, 5), face_result(None, 0.5, 2)))
    messages = drained(board)
    assert messages[-1]["label"] == "calm"


def drained(board) -> list[Any]:
    return [json.loads(message.payload) for message in iter(board.next, None)]


def test_a_label_has_one_moment_since_when_though_frames_come_late_by_turns():
    now = [0.0]
    board = Desk(options.parse("nas,rate=30"), LIVE, clock=lambda: now[0], wall=lambda: 1e9 + now[0])
    moments = set()
    for index in range(6):
        now[0] = index / 2 + 0.2
        observation = frame_result(face_result(), time=index / 2, index=index)
        object.__setattr__(observation.frame, "arrived", index / 2 + index % 2 * 0.05)
        board.process(observation)
        moments |= {said["faces"][0]["since"] for said in drained(board)}
    assert moments == {"2001-09-09T01:46:40.000Z"}


def test_when_the_clock_of_the_wall_is_set_moments_follow():
    ahead = [0.0]
    board = Desk(options.parse("nas,rate=30"), LIVE, clock=lambda: 100.0, wall=lambda: 1e9 + ahead[0])
    board.process(frame_result(face_result(), time=5))
    ahead[0] = 3600
    board.process(frame_result(face_result("cross"), time=5))
    assert drained(board)[1]["time"] == "2001-09-09T02:46:40.000Z"


def test_when_no_frame_comes_for_half_a_minute_nobody_is_there():
    now = [0.0]
    board = Desk(options.parse("nas"), LIVE, clock=lambda: now[0], temperature=lambda: None)
    board.process(change(1))
    drained(board)
    now[0] = 29
    board.tick()
    assert drained(board) == []
    now[0] = 31
    board.tick()
    readings, state = drained(board)
    assert (readings["faces"], state["present"]) == ([], False)


def test_the_state_is_said_again_every_half_minute_with_rate_and_temperature():
    now, warmer = [0.0], iter([41.5, 42.5, 43.5, 44.5])
    board = Desk(options.parse("nas,rate=0"), LIVE, clock=lambda: now[0], temperature=lambda: next(warmer))
    board.announce()
    states = []
    for tick in range(700):  # 70 s of ten frames each
        now[0] = tick / 10
        if tick < 600:
            board.process(frame_result(index=2 * tick))
        board.tick()
        states += [(now[0], message) for message in drained_states(board)]
    assert [time for time, _ in states] == pytest.approx([0, 5, 35, 65], abs=0.2)
    assert [state["fps"] for _, state in states] == [
        None,
        pytest.approx(10, abs=0.3),
        10.0,
        pytest.approx(8.3, abs=0.3),
    ]
    assert [state["temperature"] for _, state in states] == [41.5, 42.5, 43.5, 44.5]
    assert states[-1][1]["skipped"] == 599


def drained_states(board) -> list[Any]:
    messages = list(iter(board.next, None))
    return [json.loads(message.payload) for message in messages if message.topic.endswith("/state")]


# A broker that is away


@needs_mosquitto
def test_a_broker_that_is_killed_and_comes_back_gets_every_change(broker, monkeypatch):
    monkeypatch.setattr(link, "FIRST_WAIT", 0.05)
    with Gate(broker.port) as gate, Sink(to(gate.port), LIVE) as sink:
        assert sink._link is not None
        with Listener(broker.port) as listener:
            listener.until("/state")
            broker.freeze()
            for number in range(1, WINDOW + 11):
                sink.write(change(number))
            until(lambda: len(sink._link._under_way) == WINDOW)
            broker.kill()
            gate.close()
        for number in range(WINDOW + 11, 81):
            sink.write(change(number))
        broker.start()
        with Listener(broker.port) as listener:
            gate.open()
            state = listener.until("/state", '"id":80,').content
            assert numbers(listener.of("/readings")) == list(range(1, 81))
            assert listener.until("/availability").payload == "online"
        assert state["dropped"] == 0


@needs_mosquitto
def test_a_broker_that_is_away_for_long_gets_the_newest_state_and_the_last_hundred_changes(broker, monkeypatch):
    monkeypatch.setattr(link, "FIRST_WAIT", 0.05)
    with Listener(broker.port) as listener, Gate(broker.port) as gate:
        gate.close()
        with Sink(to(gate.port), LIVE) as sink:
            for number in range(1, KEPT + 51):
                sink.write(change(number))
            gate.open()
            state = listener.until("/state", f'"id":{KEPT + 50}').content
            assert numbers(listener.of("/readings")) == list(range(51, KEPT + 51))
            assert state["dropped"] == 50
            assert not [heard for heard in listener.of("/state") if f'"id":{KEPT + 49}' in heard.payload]


@needs_mosquitto
def test_a_frozen_broker_takes_no_memory_and_no_time_and_gets_the_last_word(broker, listener):
    with Sink(to(broker.port, "rate=30"), LIVE) as sink:
        listener.until("/state")
        broker.freeze()
        seconds = []
        for number in range(1, 3001):
            began = time.perf_counter()
            sink.write(change(number))
            seconds.append(time.perf_counter() - began)
        assert len(sink._desk._changes) <= KEPT
        assert sink._link is not None
        assert len(sink._link._under_way) <= WINDOW
        broker.thaw()
        listener.until("/state", '"id":3000')
    assert statistics.median(seconds) < 0.2e-3


@needs_mosquitto
def test_a_broker_that_hangs_is_noticed_by_its_silence_and_found_again(broker, listener, capfd, monkeypatch):
    monkeypatch.setattr(link, "KEEPALIVE", 1)
    monkeypatch.setattr(link, "FIRST_WAIT", 0.05)
    with Sink(to(broker.port), LIVE) as sink:
        listener.until("/state")
        broker.freeze()
        sink.write(change(1))
        assert "nothing heard for 1 s; it is tried again" in told(capfd, "the run goes on")
        broker.thaw()
        listener.until("/state", '"id":1,')


@needs_mosquitto
def test_a_network_that_stands_still_is_handed_no_more_than_its_sockets_take(broker, listener):
    crowd = [face_result(track_id=face) for face in range(20)]
    most = 4_000  # 14 MB; Linux gives a socket 4 at most
    with Gate(broker.port) as gate, Sink(to(gate.port, "qos=0"), LIVE) as sink:
        listener.until("/state")
        gate.flows.clear()
        for number in range(1, most + 1):
            sink.write(frame_result(*crowd, face_result(track_id=19 + number), time=2.0 * number, index=number))
            if number % KEPT == 0 and not taken(sink._desk):
                break
        assert 0 < number < most
        gate.flows.set()
        listener.until("/state", f'"id":{19 + number},')


def taken(board) -> bool:
    """Wait for the changes on the desk to be taken; return False if they are not for a second."""
    end = time.monotonic() + 1
    while board._changes and time.monotonic() < end:
        time.sleep(0.001)
    return not board._changes


@needs_mosquitto
def test_leaving_a_frozen_broker_takes_half_a_second_at_most_and_it_says_offline_by_itself(broker, listener):
    with Sink(to(broker.port), LIVE) as sink:
        sink.write(change(1))
        listener.until("/state", '"count":1')
        broker.freeze()
        began = time.monotonic()
    taken = time.monotonic() - began
    assert sink._link is not None
    assert not sink._link._thread.is_alive()
    broker.thaw()
    assert taken < 0.6  # promised is half a second; the machine of a test is busy
    listener.until("/availability", "offline")


@pytest.mark.parametrize("address", [f"{HOST}:1", "nowhere.invalid"])
def test_a_broker_that_is_not_there_is_told_once_and_delays_neither_start_nor_end(address, capfd, monkeypatch):
    monkeypatch.setattr(link, "FIRST_WAIT", 0.01)
    tries = []
    converse = link.Link._converse

    def counted(self):
        tries.append(self)
        converse(self)

    monkeypatch.setattr(link.Link, "_converse", counted)
    began = time.monotonic()
    with Sink(address, LIVE) as sink:
        assert time.monotonic() - began < 0.3
        sink.write(change(1))
        said = told(capfd, "it is tried again, and the run goes on")
        until(lambda: len(tries) > 3)
        began = time.monotonic()
    assert time.monotonic() - began < 0.6
    said += capfd.readouterr().err
    assert said.count(f"edge: mqtt: {options.parse(address).address}: ") == 1
    assert "2 changes dropped" in said  # somebody came, and went when the camera was off


def told(capfd, words: str) -> str:
    """Return what was said on stderr up to `words`, waiting for them."""
    said = []

    def there() -> bool:
        said.append(capfd.readouterr().err)
        return words in "".join(said)

    until(there)
    return "".join(said)


def test_a_service_that_may_use_no_network_is_told_so(capfd, monkeypatch):
    def refused(*_):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refused)
    with Sink(f"{HOST}:1", LIVE):
        assert "this process may use no network; for the service systemd/network.conf" in told(capfd, "the run goes on")


def test_a_name_server_that_never_answers_does_not_delay_the_end(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(Client, "connect", lambda *_: answered.wait(PATIENCE))
    with Sink("nas.local", LIVE):
        began = time.monotonic()
    assert time.monotonic() - began < 0.6
    answered.set()


@needs_mosquitto
def test_waits_between_tries_double_up_to_a_minute_each_shortened_by_chance(monkeypatch):
    waits: list[float] = []

    def pause(seconds):
        waits.append(seconds)
        return len(waits) < 10

    sink = Sink(f"{HOST}:1", LIVE)
    at = link.Link(sink._options, sink._desk, None, persists=False)
    monkeypatch.setattr(at, "_converse", lambda: 1 / 0)
    monkeypatch.setattr(at, "_pause", pause)
    at._run()
    os.close(at._news)
    longest = [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    assert len({wait / most for wait, most in zip(waits, longest, strict=True)}) == 10


def test_a_connection_that_held_for_long_is_tried_again_soon(monkeypatch):
    now, waits = [0.0], []
    held = iter([0, 0, 0, 61, 0])

    def lost():
        now[0] += next(held)
        raise ConnectionError

    def pause(seconds):
        waits.append(seconds)
        return len(waits) < 5

    sink = Sink(f"{HOST}:1", LIVE)
    at = link.Link(sink._options, sink._desk, None, persists=False)
    monkeypatch.setattr(at, "_converse", lost)
    monkeypatch.setattr(at, "_pause", pause)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    at._run()
    monkeypatch.undo()
    os.close(at._news)
    assert [wait <= most for wait, most in zip(waits, [2, 4, 8, 2, 4], strict=True)] == [True] * 5
    assert waits[2] >= 4


@needs_mosquitto
def test_one_that_takes_the_same_id_is_told_and_the_connection_comes_back(broker, listener, capfd, monkeypatch):
    monkeypatch.setattr(link, "FIRST_WAIT", 0.05)
    with Sink(to(broker.port, "client-id=twin", "version=5"), LIVE):
        listener.until("/state")
        twin = Client(CallbackAPIVersion.VERSION2, client_id="twin", protocol=MQTTProtocolVersion.MQTTv5)
        twin.connect(HOST, broker.port)
        twin.loop_start()
        # Newer brokers say why, others just hang up.
        assert re.search("the connection broke|the broker ended the connection", told(capfd, "the run goes on"))
        twin.disconnect()
        twin.loop_stop()
        listener.until("/availability", "online", after=len(listener.heard))


@needs_mosquitto
def test_a_topic_that_the_broker_does_not_take_is_told_once(tmp_path, capfd):
    (tmp_path / "rights").write_text(f"topic write {BASE}/availability\ntopic write {BASE}/state\n")
    with (
        Broker(tmp_path, "allow_anonymous true", f"acl_file {tmp_path / 'rights'}") as broker,
        Sink(to(broker.port, "version=5"), LIVE) as sink,
    ):
        sink.write(change(1))
        sink.write(change(2))
        said = told(capfd, f"{BASE}/readings is not taken (Not authorized); check the broker's rights for it")
        until(lambda: not sink._desk._changes)
    assert (said + capfd.readouterr().err).count("is not taken") == 1


def test_no_image_is_kept_while_a_broker_is_away():
    with Sink(f"{HOST}:1", LIVE) as sink:
        observation = change(1)
        image = weakref.ref(observation.frame.gray)
        sink.write(observation)
        del observation
        gc.collect()
        assert image() is None


# Who may, and who is who


@pytest.fixture
def locked(tmp_path):
    """A broker that lets in joe with the password 'right', and the folder of the files with both."""
    assert shutil.which("mosquitto_passwd")
    list_ = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", list_, "joe", "right"], check=True, capture_output=True)
    for name, text in (("user", "joe\n"), ("right", "right\n"), ("wrong", "wrong\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    with Broker(tmp_path, "allow_anonymous false", f"password_file {list_}") as running:
        yield running


@needs_mosquitto
@pytest.mark.parametrize("way", ["files", "environment", "systemd"])
def test_user_and_password_come_from_files_the_environment_or_systemd(locked, tmp_path, monkeypatch, way):
    more = []
    if way == "files":
        more = [f"user-file={tmp_path / 'user'}", f"password-file={tmp_path / 'right'}"]
    elif way == "environment":
        monkeypatch.setenv("EMOTION_EDGE_MQTT_USER", "joe")
        monkeypatch.setenv("EMOTION_EDGE_MQTT_PASSWORD", "right")
    else:
        (tmp_path / "mqtt-user").write_text("joe")
        (tmp_path / "mqtt-password").write_text("right")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with Listener(locked.port, "joe", "right") as listener, Sink(to(locked.port, *more), LIVE):
        assert listener.until("/availability").payload == "online"


@needs_mosquitto
@pytest.mark.parametrize("version", options.VERSIONS)
def test_a_wrong_password_is_told_once_tried_slowly_and_mended_without_a_restart(
    locked, tmp_path, capfd, monkeypatch, version
):
    waits = []
    goes_on = threading.Event()

    def pause(self, seconds):
        waits.append(seconds)
        return goes_on.wait(PATIENCE) and not self._stopping.is_set()

    monkeypatch.setattr(link.Link, "_pause", pause)
    files = [f"user-file={tmp_path / 'user'}", f"password-file={tmp_path / 'wrong'}", f"version={version}"]
    with Listener(locked.port, "joe", "right") as listener, Sink(to(locked.port, *files), LIVE):
        said = told(capfd, "check user-file and password-file")
        assert said.count("\n") == 1
        until(lambda: waits)
        assert waits[0] >= link.LONGEST_WAIT / 2
        begin = len(listener.heard)
        (tmp_path / "wrong").write_text("right\n")
        goes_on.set()
        listener.until("/availability", "online", after=begin)


def test_a_named_file_goes_before_the_environment_and_that_before_systemd(tmp_path, monkeypatch):
    (tmp_path / "named").write_text("named")
    (tmp_path / "mqtt-user").write_text("systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials.login(options.parse("nas")).user == "systemd"
    monkeypatch.setenv("EMOTION_EDGE_MQTT_USER", "environment")
    assert credentials.login(options.parse("nas")).user == "environment"
    assert credentials.login(options.parse(f"nas,user-file={tmp_path / 'named'}")).user == "named"


def test_a_password_file_that_is_not_there_ends_the_start_with_a_line_that_names_it(tmp_path):
    result = run_edge("run", "synthetic:fast", "-s", f"mqtt:{HOST},password-file={tmp_path / 'none'}")
    assert result.returncode == 78
    assert f"edge: error: mqtt: {tmp_path / 'none'}: cannot be read (No such file" in result.stderr


def test_a_password_that_everybody_may_read_or_that_goes_unencrypted_is_warned_of(tmp_path):
    (tmp_path / "user").write_text("joe")
    (tmp_path / "password").write_text("right")
    (tmp_path / "password").chmod(0o644)

    def warned(address):
        files = f"user-file={tmp_path / 'user'},password-file={tmp_path / 'password'}"
        found = options.parse(f"{address},{files}")
        return "\n".join(credentials.warnings(found, credentials.login(found)))

    assert "every user of this machine may read the password; 'chmod o-r" in warned("127.0.0.1")
    (tmp_path / "password").chmod(0o640)
    assert warned("127.0.0.1") == warned("localhost") == warned("[::1]") == warned("nas,tls") == ""
    assert "the password goes to nas:1883 unencrypted" in warned("nas")


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "x" * 65536])
def test_a_secret_is_one_line(tmp_path, text):
    (tmp_path / "user").write_text(text)
    with pytest.raises(SettingsError, match="expected one line that is not empty"):
        credentials.login(options.parse(f"nas,user-file={tmp_path / 'user'}"))


def test_a_password_without_a_user_is_refused(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_MQTT_PASSWORD", "right")
    with pytest.raises(SettingsError, match="a password but no user"):
        credentials.login(options.parse("nas"))


# TLS


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with two CAs, and certificates of the first: for this machine, for another one, and for a client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: 'sudo apt install openssl'")
    folder = tmp_path_factory.mktemp("certificates")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl(*new, "-x509", "-subj", f"/CN={name}", "-days", 1, *files)
    for name, alternative in (("here", f"IP:{HOST}"), ("there", "DNS:elsewhere"), ("client", "DNS:client")):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        (folder / "extension").write_text(f"subjectAltName={alternative}\n")
        signer = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 1)
        more = ("-extfile", folder / "extension", "-out", folder / f"{name}.pem")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", *signer, *more)
    return folder


def tls_lines(folder: Path, name: str, *more: str) -> list[str]:
    files = (f"cafile {folder}/ca.pem", f"certfile {folder}/{name}.pem", f"keyfile {folder}/{name}.key")
    return [*files, "allow_anonymous true", *more]


@needs_mosquitto
@pytest.mark.parametrize("version", options.VERSIONS)
def test_over_tls_a_broker_of_the_named_ca_is_trusted(certificates, tmp_path, capfd, version):
    with Broker(tmp_path, *tls_lines(certificates, "here")) as broker:
        with Sink(to(broker.port, f"ca={certificates}/ca.pem", f"version={version}"), LIVE) as sink:
            told(capfd, "connected to")
            sink.write(change(1))
        assert "dropped" not in capfd.readouterr().err


@needs_mosquitto
@pytest.mark.parametrize(
    ("name", "ca", "words"),
    [
        ("here", "other", "its certificate is not trusted (self-signed certificate in certificate chain); ca=FILE"),
        ("there", "ca", f"its certificate is not trusted (IP address mismatch, certificate is not valid for '{HOST}'"),
        ("here", None, "its certificate is not trusted ("),
    ],
)
def test_over_tls_another_ca_another_name_or_none_is_refused(certificates, tmp_path, capfd, name, ca, words):
    with Broker(tmp_path, *tls_lines(certificates, name)) as broker:
        trusted = f"ca={certificates}/{ca}.pem" if ca else "tls"
        with Sink(to(broker.port, trusted), LIVE):
            said = told(capfd, "the run goes on")
        assert words in said
        assert "connected" not in said + capfd.readouterr().err


@needs_mosquitto
def test_a_certificate_of_our_own_opens_a_broker_that_asks_for_one(certificates, tmp_path, capfd):
    lines = tls_lines(certificates, "here", "require_certificate true")
    ours = (f"cert={certificates}/client.pem", f"key={certificates}/client.key")
    with Broker(tmp_path, *lines) as broker:
        with Sink(to(broker.port, f"ca={certificates}/ca.pem", *ours), LIVE):
            told(capfd, "connected to")
        with Sink(to(broker.port, f"ca={certificates}/ca.pem"), LIVE):
            assert "connected" not in told(capfd, "the run goes on")


@needs_mosquitto
def test_plain_words_to_a_tls_port_and_tls_to_a_plain_one_say_what_may_be_wrong(broker, certificates, tmp_path, capfd):
    with Sink(to(broker.port, "tls"), LIVE):
        assert re.search("is this its port for TLS|is it TLS", told(capfd, "the run goes on"))
    with Broker(tmp_path, *tls_lines(certificates, "here")) as closed, Sink(to(closed.port), LIVE):
        assert "closed without an answer; is this the port of an MQTT broker" in told(capfd, "the run goes on")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca": "none"}, "ca={folder}/none: No such file or directory, expected a CA's certificate in PEM"),
        ({"ca": "junk"}, "ca={folder}/junk: .*expected a CA's certificate in PEM"),
        ({"cert": "junk"}, "cert={folder}/junk, key=in cert: .*, expected a certificate and its key in PEM"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_named(tmp_path, files, words):
    (tmp_path / "junk").write_text("junk")
    argument = ",".join(["nas", *(f"{key}={tmp_path / name}" for key, name in files.items())])
    with pytest.raises(SettingsError, match=words.format(folder=tmp_path)), Sink(argument, LIVE):
        pass


# Home Assistant


@needs_mosquitto
def test_home_assistant_finds_the_device_with_all_its_sensors(broker, listener):
    with Sink(to(broker.port, "discovery=homeassistant"), LIVE):
        found = listener.until("/config")
        listener.until("/availability")
    device = discovery.device_id(BASE)
    assert found.topic == f"homeassistant/device/{device}/config"
    config = found.content
    assert config["device"]["identifiers"] == [device]
    assert (config["availability_topic"], config["state_topic"]) == (f"{BASE}/availability", f"{BASE}/state")
    assert config["origin"]["name"] == "emotion-edge"
    parts = config["components"]
    assert (
        {"emotion", "faces", "presence", "fps"}
        <= parts.keys()
        <= {"emotion", "faces", "presence", "fps", "temperature"}
    )
    assert {part["unique_id"] for part in parts.values()} == {f"{device}_{name}" for name in parts}
    assert {name: part["platform"] for name, part in parts.items() if name == "presence"} == {
        "presence": "binary_sensor"
    }
    assert (parts["emotion"]["device_class"], parts["emotion"]["options"]) == ("enum", ["calm", "cross"])


def test_its_templates_name_what_the_state_has():
    board = Desk(options.parse("nas"), LIVE)
    board.process(change(1))
    state = drained(board)[-1]
    config = discovery.config(options.parse("nas"), LIVE, "d", version="1", board=None, thermometer=True)
    named = re.findall(r"value_json\.(\w+)", config.decode())
    assert len(named) == 5
    assert set(named) <= state.keys()


@needs_mosquitto
def test_it_is_told_again_when_it_has_started_and_only_then(broker, listener, monkeypatch):
    monkeypatch.setattr(desk, "REANNOUNCE_SECONDS", 0.0)
    listener.say("homeassistant/status", "online", retain=True)
    with Sink(to(broker.port, "discovery=homeassistant"), LIVE) as sink:

        def announced(number):
            """Return how often it was told, after the sink has had the time for it."""
            for face in range(number, number + 3):
                sink.write(change(face))
                listener.until("/state", f'"id":{face},')
            return len(listener.of("/config"))

        listener.until("/state")
        assert announced(1) == 1  # the old word is from before
        listener.say("homeassistant/status", "offline")
        assert announced(4) == 1
        begin = len(listener.heard)
        listener.say("homeassistant/status", "online")
        assert announced(7) == 2
        listener.until("/availability", "online", after=begin)


@needs_mosquitto
def test_without_the_option_nothing_is_said_outside_of_the_base_topic(broker, listener):
    with Sink(to(broker.port), LIVE) as sink:
        sink.write(change(1))
        listener.until("/state", '"count":1')
    listener.until("/availability", "offline")
    assert {heard.topic for heard in listener.heard} == {
        f"{BASE}/{name}" for name in ("availability", "state", "readings")
    }


def test_the_device_is_the_same_after_each_start_another_for_each_topic_and_tells_no_machine_id(tmp_path):
    secret = tmp_path / "machine-id"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    named = discovery.device_id("a", secret)
    assert named == discovery.device_id("a", secret) != discovery.device_id("b", secret)
    assert re.fullmatch("[a-z0-9]{1,23}", named)  # all that MQTT 3.1.1 promises of a client's ID
    assert named[11:] not in secret.read_text()
    assert discovery.device_id("a", tmp_path / "none") != named


# Whole runs


@needs_mosquitto
def test_a_run_that_is_killed_is_said_to_be_offline_by_the_broker(broker, listener):
    with Process("run", "synthetic", "-s", spec(broker.port)) as run:
        listener.until("/state", '"present":true')
        run.process.send_signal(signal.SIGKILL)
        listener.until("/availability", "offline")
    assert listener.of("/state")[-1].content["present"] is True  # nobody could say otherwise


@needs_mosquitto
def test_a_run_that_is_stopped_ends_within_a_second_and_says_so(broker, listener):
    with Process("run", "synthetic", "-s", spec(broker.port, "version=5")) as run:
        listener.until("/state", '"present":true')
        assert run.stop() < 2.5  # promised is a second; the machine of a test is busy
    assert run.process.returncode == 0
    listener.until("/availability", "offline")
    assert listener.of("/state")[-1].content["present"] is False


@needs_mosquitto
@pytest.mark.slow
def test_a_frozen_broker_does_not_delay_frames(broker, listener):
    def frames(*more):
        command = [
            EDGE,
            "run",
            "synthetic:fps=30",
            "--idle-fps",
            "0",
            "--duration",
            "8",
            "-s",
            "jsonl:/dev/null",
            *more,
        ]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    with frames("-s", spec(broker.port, "rate=30")) as sent, frames() as alone:
        listener.until("/state", '"present":true')
        broker.freeze()
        counts = [int(re.findall(r"(\d+) frames", process.communicate(timeout=60)[1])[0]) for process in (sent, alone)]
    broker.thaw()
    assert counts[1] > 100
    assert counts[0] >= 0.95 * counts[1]


@pytest.fixture
def images(tmp_path, portrait):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), portrait)
    return folder


@needs_mosquitto
def test_of_a_run_of_files_every_image_arrives(broker, listener, images):
    result = run_edge("run", images, "-s", spec(broker.port))
    assert result.returncode == 0, result.stderr
    listener.until("/availability", "offline")
    named = [heard.content["name"] for heard in listener.of("/readings") if "name" in heard.content]
    assert named == [str(path) for path in sorted(images.iterdir())] or named == sorted(
        p.name for p in images.iterdir()
    )


@needs_mosquitto
def test_a_run_of_files_that_has_ended_still_waits_for_its_broker(broker, listener, monkeypatch):
    monkeypatch.setattr(link, "FIRST_WAIT", 0.05)
    with Gate(broker.port) as gate:
        gate.close()
        opening = threading.Timer(0.3, gate.open)
        with Sink(to(gate.port), FILES) as sink:
            for number in range(1, 31):
                sink.write(change(number))
            opening.start()
        opening.join()
    assert numbers(listener.of("/readings")) == list(range(1, 31))


def test_a_run_of_files_whose_broker_never_comes_is_an_error(images, monkeypatch):
    monkeypatch.setattr("edge.sinks.registry.mqtt.PATIENCE", 0.2)
    with (
        pytest.raises(SinkError, match=r"mqtt: 127.0.0.1:1: 2 changes were not taken; is the broker there\?"),
        Sink(f"{HOST}:1", FILES) as sink,
    ):
        sink.write(change(1))


def test_a_run_of_files_waits_for_room_and_not_for_ever(monkeypatch):
    board = Desk(options.parse("nas"), FILES, patience=0.05)
    for number in range(KEPT):
        board.process(change(number))
    with pytest.raises(SinkError, match=r"mqtt: nas:1883: took nothing for 0.05 s"):
        board.process(change(KEPT))


def test_a_port_that_is_taken_by_something_else_is_no_broker(capfd, monkeypatch):
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.1)
    port = free_port()
    with socket.create_server((HOST, port)), Sink(f"{HOST}:{port}", LIVE):
        assert "no answer for 0.1 s; is this the port of an MQTT broker?" in told(capfd, "the run goes on")
