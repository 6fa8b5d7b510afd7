"""The connection: a broker may be absent, hang, refuse or send anything, and no frame waits for it."""

import contextlib
import gc
import random
import socket
import statistics
import threading
import time
import weakref

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.sinks.mqtt import Sink, broker_connection, options, session
from edge.sinks.mqtt.publish_queue import MAX_CHANGES
from edge.sinks.mqtt.session import MAX_IN_FLIGHT
from tests.support.broker import (
    BASE_TOPIC,
    FILES_RUN,
    HOST,
    LIVE_RUN,
    FakeNetwork,
    MosquittoBroker,
    Subscriber,
    change,
    free_port,
    needs_mosquitto,
    sink_argument,
    track_ids,
)
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import TIMEOUT_SECONDS, wait_until

# The time for leaving a live run, with a margin for a busy machine; without a limit it would be 15 s or more.
MAX_STOP_SECONDS = 5.0


def write(queue, connection, number):
    if queue.add(change(number)):
        connection.wake()


def is_retried(log):
    return "the connection is retried" in log


# --- a broker that is absent or hangs -----------------------------------------------------------------------------


@needs_mosquitto
def test_broker_that_restarts_gets_every_change(broker, connect, retry_delays):
    with FakeNetwork(broker.port) as network, connect(sink_argument(network.port)) as (queue, connection):
        with Subscriber(broker.port) as subscriber:
            subscriber.wait_for("/state")
            broker.pause()
            for number in range(1, MAX_IN_FLIGHT + 11):
                write(queue, connection, number)
            wait_until(lambda: connection.in_flight == MAX_IN_FLIGHT)
            broker.kill()
            network.disconnect()
        for number in range(MAX_IN_FLIGHT + 11, 81):
            write(queue, connection, number)
        broker.start()
        with Subscriber(broker.port) as subscriber:
            network.connect()
            state = subscriber.wait_for("/state", '"track_id":80,').json
            assert track_ids(subscriber.messages("/results")) == list(range(1, 81))
            assert subscriber.wait_for("/availability").payload == "online"
        assert state["dropped"] == 0


@needs_mosquitto
def test_absent_broker_gets_newest_state_and_last_changes_later(broker, retry_delays):
    newest = MAX_CHANGES + 50
    with Subscriber(broker.port) as subscriber, FakeNetwork(broker.port) as network:
        network.disconnect()
        with Sink(sink_argument(network.port), LIVE_RUN) as sink:
            for number in range(1, newest + 1):
                sink.write(change(number))
            network.connect()
            state = subscriber.wait_for("/state", f'"track_id":{newest},').json
            assert track_ids(subscriber.messages("/results")) == list(range(51, newest + 1))
            assert state["dropped"] == 50
            stale = [each for each in subscriber.messages("/state") if f'"track_id":{newest - 1},' in each.payload]
            assert not stale


@needs_mosquitto
def test_hanging_broker_costs_no_memory_and_no_time(broker, subscriber, connect):
    with connect(sink_argument(broker.port, "rate=30")) as (queue, connection):
        subscriber.wait_for("/state")
        broker.pause()
        seconds = []
        for number in range(1, 3001):
            begin = time.thread_time()  # of the CPU: independent of other processes
            write(queue, connection, number)
            seconds.append(time.thread_time() - begin)
        assert queue.waiting_changes <= MAX_CHANGES
        assert connection.in_flight <= MAX_IN_FLIGHT
        broker.resume()
        subscriber.wait_for("/state", '"track_id":3000')
    assert statistics.median(seconds) < 0.2e-3


@needs_mosquitto
def test_hanging_broker_is_noticed_and_reconnected(broker, subscriber, wait_for_log, monkeypatch, retry_delays):
    monkeypatch.setattr(session, "KEEPALIVE_SECONDS", 1)
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        subscriber.wait_for("/state")
        broker.pause()
        sink.write(change(1))
        assert is_retried(wait_for_log("no packet for 1 s"))
        broker.resume()
        subscriber.wait_for("/state", '"track_id":1,')


@needs_mosquitto
def test_stalled_network_gets_only_what_its_sockets_buffer(broker, subscriber, connect):
    crowd = [face_result(track_id=track_id) for track_id in range(20)]
    limit = 4_000  # results: 14 MB; Linux gives a socket 4 MB at most
    with FakeNetwork(broker.port) as network, connect(sink_argument(network.port, "qos=0")) as (queue, connection):
        subscriber.wait_for("/state")
        network.forwarding.clear()
        for number in range(1, limit + 1):
            newest = 19 + number
            queue.add(frame_result(*crowd, face_result(track_id=newest), time=2.0 * number, index=number))
            connection.wake()
            if number % MAX_CHANGES == 0 and not empties(queue):
                break
        assert 0 < number < limit
        network.forwarding.set()
        subscriber.wait_for("/state", f'"track_id":{newest},')


def empties(queue):
    """Wait until no change is queued; return False if it takes more than a second."""
    end = time.monotonic() + 1
    while queue.waiting_changes and time.monotonic() < end:
        time.sleep(0.001)
    return queue.waiting_changes == 0


@needs_mosquitto
def test_hanging_broker_is_left_soon_and_publishes_offline(broker, subscriber):
    with Sink(sink_argument(broker.port), LIVE_RUN) as sink:
        sink.write(change(1))
        subscriber.wait_for("/state", '"count":1')
        broker.pause()
        begin = time.monotonic()
    seconds = time.monotonic() - begin
    assert not [thread for thread in threading.enumerate() if thread.name == "sink mqtt"]
    broker.resume()
    assert seconds < MAX_STOP_SECONDS
    subscriber.wait_for("/availability", "offline")


@pytest.mark.parametrize("address", [f"{HOST}:1", "nowhere.invalid"])
def test_absent_broker_is_logged_once(address, caplog, wait_for_log, retry_delays):
    with Sink(address, LIVE_RUN) as sink:
        sink.write(change(1))
        wait_until(lambda: len(retry_delays) > 3)
    assert caplog.text.count(f"edge: mqtt: {options.parse(address).address}: ") == 1
    assert "2 changes dropped; " in caplog.text  # a face came, and went when the run ended


def test_slow_name_server_delays_neither_start_nor_end(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(Client, "connect", lambda *_: answered.wait(TIMEOUT_SECONDS))
    begin = time.monotonic()
    with Sink("nas.local", LIVE_RUN):
        pass
    assert time.monotonic() - begin < MAX_STOP_SECONDS
    answered.set()


def test_no_image_is_kept_while_the_broker_is_absent():
    with Sink(f"{HOST}:1", LIVE_RUN) as sink:
        result = change(1)
        image = weakref.ref(result.frame.gray)
        sink.write(result)
        del result
        gc.collect()
        assert image() is None


@needs_mosquitto
def test_ended_run_of_files_still_waits_for_its_broker(broker, subscriber, retry_delays):
    with FakeNetwork(broker.port) as network:
        network.disconnect()
        connecting = threading.Timer(0.3, network.connect)
        with Sink(sink_argument(network.port), FILES_RUN) as sink:
            for number in range(1, 31):
                sink.write(change(number))
            connecting.start()
        connecting.join()
        wait_until(lambda: len(track_ids(subscriber.messages("/results"))) == 30)
    assert track_ids(subscriber.messages("/results")) == list(range(1, 31))


@needs_mosquitto
def test_end_of_run_of_files_shortens_a_long_delay(broker, subscriber, wait_for_log, monkeypatch):
    monkeypatch.setattr(broker_connection, "FIRST_RETRY_SECONDS", 10 * TIMEOUT_SECONDS)
    monkeypatch.setattr(broker_connection, "FINAL_RETRY_SECONDS", 0.05)
    with FakeNetwork(broker.port) as network:
        network.disconnect()
        with Sink(sink_argument(network.port), FILES_RUN) as sink:
            sink.write(change(1))
            wait_for_log("the connection is retried")
            network.connect()
    assert track_ids(subscriber.messages("/results")) == [1]


# --- attempts to reconnect ----------------------------------------------------------------------------------------


def test_delay_doubles_up_to_a_minute_with_jitter(retry_delays):
    with Sink(f"{HOST}:1", LIVE_RUN):
        wait_until(lambda: len(retry_delays) >= 10)
    limits = [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    fractions = [delay / limit for delay, limit in zip(retry_delays[:10], limits, strict=True)]
    assert all(0.5 <= fraction <= 1 for fraction in fractions)
    assert len(set(fractions)) == 10


def test_delay_starts_anew_after_a_long_connection(retry_delays, monkeypatch):
    monkeypatch.setattr(broker_connection, "MAX_RETRY_SECONDS", 0.0)  # from which on a connection was long
    with Sink(f"{HOST}:1", LIVE_RUN):
        wait_until(lambda: len(retry_delays) >= 5)
    assert max(retry_delays) <= 2


# --- a broker that refuses ----------------------------------------------------------------------------------------


@needs_mosquitto
def test_client_with_the_same_id_ends_and_connection_returns(broker, subscriber, wait_for_log, retry_delays):
    with Sink(sink_argument(broker.port, "client-id=twin", "version=5"), LIVE_RUN):
        subscriber.wait_for("/state")
        before = len(subscriber.received)
        twin = Client(CallbackAPIVersion.VERSION2, client_id="twin", protocol=MQTTProtocolVersion.MQTTv5)
        twin.connect(HOST, broker.port)
        twin.loop_start()
        wait_for_log("the connection is retried")
        twin.disconnect()
        twin.loop_stop()
        subscriber.wait_for("/availability", "online", start=before)


@needs_mosquitto
@pytest.mark.parametrize(
    ("version", "begin"), [("5", "another"), ("3.1.1", f"{session.BROKEN} again and again; perhaps another")]
)
def test_two_runs_with_the_same_id_name_each_other_once(broker, wait_for_log, retry_delays, caplog, version, begin):
    argument = sink_argument(broker.port, "client-id=twin", f"version={version}")
    message = f"{begin} client takes the connection over, with the same id twin: a second run"
    with Sink(argument, LIVE_RUN), Sink(argument, LIVE_RUN):
        wait_for_log(message)
        so_far = len(retry_delays)
        wait_until(lambda: len(retry_delays) >= so_far + 8)
    assert 1 <= caplog.text.count(message) <= 2, "once from each of them"
    assert "Give each its own topic or client-id; the run continues" in caplog.text
    assert max(retry_delays[so_far:]) > broker_connection.FIRST_RETRY_SECONDS, "they do not take turns without a pause"


@needs_mosquitto
def test_rejected_topic_is_logged_once(tmp_path, connect, wait_for_log, caplog):
    (tmp_path / "acl").write_text(f"topic write {BASE_TOPIC}/availability\ntopic write {BASE_TOPIC}/state\n")
    with (
        MosquittoBroker(tmp_path, "allow_anonymous true", f"acl_file {tmp_path / 'acl'}") as broker,
        connect(sink_argument(broker.port, "version=5")) as (queue, connection),
    ):
        write(queue, connection, 1)
        write(queue, connection, 2)
        wait_for_log(f"{BASE_TOPIC}/results is rejected (Not authorized)")
        wait_until(lambda: not queue.waiting_changes and not connection.in_flight)
    assert caplog.text.count("is rejected") == 1


def test_service_without_network_access_is_logged(wait_for_log, monkeypatch):
    open_socket = socket.socket

    def refuse_network(family=socket.AF_INET, *arguments):  # as RestrictAddressFamilies=AF_UNIX does
        if family != socket.AF_UNIX:
            raise OSError(97, "Address family not supported by protocol")
        return open_socket(family, *arguments)

    monkeypatch.setattr(socket, "socket", refuse_network)
    with Sink(f"{HOST}:1", LIVE_RUN):
        wait_for_log("systemd/network.conf")


def test_port_of_another_program_is_no_broker(wait_for_log, monkeypatch):
    monkeypatch.setattr(session, "CONNACK_TIMEOUT_SECONDS", 0.1)
    port = free_port()
    with socket.create_server((HOST, port)), Sink(f"{HOST}:{port}", LIVE_RUN):
        assert is_retried(wait_for_log("no answer for 0.1 s"))


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_handshake_without_an_answer_is_named(wait_for_log, monkeypatch):
    for module in (session, broker_connection):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT_SECONDS", 0.1)
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with Sink(f"{HOST}:{port},tls", LIVE_RUN):
            log = wait_for_log("no answer for 0.1 s")
    assert is_retried(log)
    assert f"edge: mqtt: {HOST}:{port}: no answer" in log
    assert "is it TLS?" in log


def test_run_that_ends_before_the_broker_answers_names_it(caplog):
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with Sink(f"{HOST}:{port}", LIVE_RUN) as sink:
            sink.write(change(1))
    assert f"2 changes dropped; {HOST}:{port}: no answer yet; is this the port of an MQTT broker?" in caplog.text


def malformed_packets():
    """Return what a hostile server may answer: packets that are cut, too long, or random, behind a valid CONNACK."""
    connack = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}
    broken = [
        b"\x20\x02\x00",
        b"\x20\x06\x00\x00\x03\x26\x00\x05",  # properties that end early
        b"\x30\x04\x00\xff\x61\x62",  # a topic longer than its packet
        b"\x30\x05\x00\x02\xff\xfe\x00",  # a topic that is not UTF-8
        b"\x30\xff\xff\xff\xff\xff",  # a length that does not end
        b"\x40\x01\x00",
        b"\xf0\x00",
        random.Random(0).randbytes(2000),
    ]
    for version, accepted in connack.items():
        for index, packet in enumerate(broken):
            yield pytest.param(version, packet, id=f"{version} first {index}")
            yield pytest.param(version, accepted + packet, id=f"{version} later {index}")


@pytest.mark.parametrize(("version", "answer"), list(malformed_packets()))
def test_malformed_packets_do_not_end_the_connection_thread(version, answer, retry_delays, monkeypatch):
    monkeypatch.setattr(session, "CONNACK_TIMEOUT_SECONDS", 0.5)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(0.05)
                    connection.sendall(answer)
                    while connection.recv(4096):
                        pass

    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        with Sink(f"{HOST}:{port},version={version}", LIVE_RUN) as sink:
            sink.write(change(1))
            wait_until(lambda: len(retry_delays) >= 3)
        server.shutdown(socket.SHUT_RDWR)
