"""fleet/history: a real run, a real Mosquitto with TLS, Node-RED with the flow, and a real PostgreSQL."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.broker import HOST, MosquittoBroker, Subscriber, free_port, needs_mosquitto
from tests.support.commands import EDGE
from tests.support.kiosk import wait_until
from tests.support.paths import ROOT
from tests.support.postgres import HISTORY, Postgres, needs_postgres

NODE_RED = HISTORY / "node_modules" / "node-red" / "red.js"
COMMAND = ["node", str(NODE_RED), "--userDir", str(HISTORY)]
ACCESS_LIST = ROOT / "fleet" / "monitoring" / "mosquitto" / "emotion-edge.acl"
TOPIC = "emotion-edge/shop/kiosk1"
KEPT = "emotion-edge/shop/kiosk1/results"
needs_node_red = pytest.mark.skipif(
    not NODE_RED.exists() or shutil.which("node") is None,
    reason="Node-RED is not installed: 'npm ci --omit=dev --prefix fleet/history'",
)
pytestmark = [needs_mosquitto, needs_node_red, needs_postgres, pytest.mark.slow]
pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")


class Broker(MosquittoBroker):
    """Mosquitto with TLS for the bridge, the access list of fleet/monitoring, and a port without TLS for the others."""

    def __init__(self, folder):
        self.ca, key, self.tls_port = folder / "ca.pem", folder / "ca.key", free_port()
        self.ca.touch()
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: 'sudo apt install openssl'")
        new = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
        ]
        name = ["-subj", "/CN=broker", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", self.ca]
        subprocess.run([*new, *name], check=True, capture_output=True)
        users = folder / "passwd"
        users.write_text("kiosk1:one\nreader:secret\n")
        subprocess.run(["mosquitto_passwd", "-U", users], check=True)
        users.chmod(0o644)
        lines = ["allow_anonymous false", f"password_file {users}", f"acl_file {ACCESS_LIST}"]
        self._saved = folder / "mosquitto.db"
        lines += ["persistence true", f"persistence_location {folder}/"]
        tls = [f"listener {self.tls_port} {HOST}", f"certfile {self.ca}", f"keyfile {key}"]
        super().__init__(folder, *lines, *tls)

    def save(self):
        """Let it write the session of the bridge to its disk."""
        assert self._process
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self._saved.exists() and b"emotion-edge-history" in self._saved.read_bytes())


class Bridge:
    """Node-RED with the flow of fleet/history. A context manager that leaves no process behind."""

    def __init__(self, folder, broker, database):
        self._log = folder / "node-red.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            **database.environment,
            "PGUSER": "emotion-edge-history",
            "EMOTION_EDGE_HISTORY_BROKER": f"mqtts://{HOST}:{broker.tls_port}",
            "EMOTION_EDGE_HISTORY_CA": str(broker.ca),
            "EMOTION_EDGE_HISTORY_MQTT_USER": "reader",
            "EMOTION_EDGE_HISTORY_MQTT_PASSWORD": "secret",
        }

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Start it, and wait until it is connected to the broker."""
        connections = self.log.count("Connected to broker")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(COMMAND, env=self._environment, stdout=log, stderr=log)
        wait_until(lambda: self.log.count("Connected to broker") > connections)

    def kill(self):
        assert self._process
        self._process.kill()
        self._process.wait()

    @property
    def log(self):
        return self._log.read_text() if self._log.exists() else ""


@pytest.fixture(scope="module")
def database():
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def world(tmp_path, database):
    """Yield broker, database (empty) and bridge."""
    database.run("TRUNCATE emotion_edge.boards, emotion_edge.readings RESTART IDENTITY")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path))
        yield broker, database, stack.enter_context(Bridge(tmp_path, broker, database))


@contextlib.contextmanager
def running_board(folder, broker):
    """Run the synthetic camera at a few frames per second, until the block ends."""
    (folder / "password").write_text("one")
    (folder / "user").write_text("kiosk1")
    files = f"user-file={folder / 'user'},password-file={folder / 'password'}"
    sink = f"mqtt:{HOST}:{broker.port},topic={TOPIC},{files}"
    command = [EDGE, "run", "synthetic", "--max-fps", "4", "--sink", sink]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def rows(database):
    """Return {(time, track id): label} of all readings; there may be no two of one key."""
    time = "to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    readings = database.run(f"SELECT {time}, track_id, label FROM emotion_edge.readings")
    stored = {(time, int(track_id)): label for time, track_id, label in readings}
    assert len(stored) == len(readings)
    return stored


def seen(subscriber, *, changes=False):
    """Return the same of what the subscriber has received; `changes`: of changes only."""
    contents = [message.json for message in subscriber.messages("/results")]
    return {
        (content["time"], face["track_id"]): face["label"] or ""
        for content in contents
        for face in content["faces"]
        if content["changed"] or not changes
    }


def publish(broker, number, qos=1):
    """Publish a message as the board does: a face with track id `number`."""
    taken_at = (datetime.now(UTC) + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    face = {"track_id": number, "label": "happy", "confidence": 0.9}
    content = json.dumps({"time": taken_at, "changed": qos > 0, "size": [1, 1], "faces": [face]})
    command = [
        "mosquitto_pub",
        "-p",
        str(broker.port),
        "-u",
        "kiosk1",
        "-P",
        "one",
        "-t",
        KEPT,
        "-q",
        str(qos),
        "-m",
        content,
    ]
    subprocess.run(command, check=True)


def stored_tracks(database):
    return sorted(track_id for _, track_id in rows(database))


def test_no_reading_of_a_run_is_lost_while_the_database_is_away(world, tmp_path):
    broker, database, bridge = world
    with Subscriber(broker.port, "reader", "secret") as subscriber, running_board(tmp_path, broker):
        wait_until(lambda: len(rows(database)) >= 3)
        database.stop()
        count = len(seen(subscriber))
        wait_until(lambda: "not stored, tried again" in bridge.log and len(seen(subscriber)) >= count + 3)
        database.start()
        wait_until(lambda: "stored again; 0 messages dropped" in bridge.log)
    wait_until(lambda: rows(database) == seen(subscriber))  # the board has ended
    assert database.run("SELECT site, board FROM emotion_edge.boards") == [["shop", "kiosk1"]]
    assert set(database.run("SELECT DISTINCT changed FROM emotion_edge.readings")[0]) <= {"t", "f"}
    assert database.run("TABLE emotion_edge.rejected") == []


def test_a_database_that_loses_power_has_what_was_stored(world):
    broker, database, bridge = world
    publish(broker, 1)
    wait_until(lambda: stored_tracks(database) == [1])
    database.kill()
    publish(broker, 2)
    publish(broker, 3, qos=0)
    wait_until(lambda: "not stored, tried again" in bridge.log)
    database.start()
    wait_until(lambda: stored_tracks(database) == [1, 2, 3])


def test_readings_go_on_after_the_broker_was_killed(world, tmp_path):
    broker, database, _ = world
    with Subscriber(broker.port, "reader", "secret") as subscriber, running_board(tmp_path, broker):
        wait_until(lambda: len(rows(database)) >= 3)
        broker.save()  # as it does every half an hour
        broker.kill()
        before = rows(database)
        restarted_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        broker.start()
        wait_until(lambda: max(rows(database))[0] > restarted_at)
        wait_until(lambda: max(seen(subscriber))[0] > restarted_at)
    changes = seen(subscriber, changes=True)  # it does not see those that the broker got before it was back
    wait_until(lambda: changes.items() <= rows(database).items())
    assert before.items() <= rows(database).items()


def test_the_broker_keeps_changes_while_the_bridge_is_away(world):
    broker, database, bridge = world
    publish(broker, 1)
    wait_until(lambda: stored_tracks(database) == [1])
    bridge.kill()
    publish(broker, 2)
    publish(broker, 3, qos=0)  # a sample: nobody keeps it
    publish(broker, 4)
    bridge.start()
    wait_until(lambda: stored_tracks(database) == [1, 2, 4])
    publish(broker, 5)
    wait_until(lambda: stored_tracks(database) == [1, 2, 4, 5])


def test_a_message_that_is_no_result_stops_nothing(world):
    broker, database, _ = world
    command = ["mosquitto_pub", "-p", str(broker.port), "-u", "kiosk1", "-P", "one", "-t", KEPT, "-q", "1", "-s"]
    for content in (b"{", b"\0\xff", b"5", b"[" * 60000):
        subprocess.run(command, input=content, check=True)
    publish(broker, 1)
    wait_until(lambda: stored_tracks(database) == [1])
    assert database.run("SELECT topic, messages FROM emotion_edge.rejected") == [[KEPT, "4"]]
    database.run("TRUNCATE emotion_edge.rejected")


def test_the_bridge_does_not_start_without_its_variables(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EMOTION_EDGE")}
    environment["EMOTION_EDGE_HISTORY_BROKER"] = "mqtt://127.0.0.1"
    result = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    names = "EMOTION_EDGE_HISTORY_MQTT_USER, EMOTION_EDGE_HISTORY_MQTT_PASSWORD"
    line = f"emotion-edge-history: error: {names} not set, expected in the environment (docs/history.md)\n"
    assert (result.returncode, result.stderr) == (78, line)
