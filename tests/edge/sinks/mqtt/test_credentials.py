"""User and password: where they come from, and what is wrong with them."""

import shutil
import subprocess

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.errors import SettingsError
from edge.sinks.mqtt import Sink, broker_connection, credentials, options
from tests.support.broker import HOST, LIVE_RUN, MosquittoBroker, Subscriber, needs_mosquitto, sink_argument
from tests.support.commands import run_edge
from tests.support.kiosk import wait_until


@pytest.fixture
def protected_broker(tmp_path):
    """A broker that accepts only joe with the password 'right'; the test's folder has files with both."""
    assert shutil.which("mosquitto_passwd")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "joe", "right"], check=True, capture_output=True)
    for name, text in (("user", "joe\n"), ("right", "right\n"), ("wrong", "wrong\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    with MosquittoBroker(tmp_path, "allow_anonymous false", f"password_file {passwords}") as running:
        yield running


@needs_mosquitto
@pytest.mark.parametrize("origin", ["files", "environment", "systemd"])
def test_login_from_files_environment_or_systemd(protected_broker, tmp_path, monkeypatch, origin):
    files = []
    if origin == "files":
        files = [f"user-file={tmp_path / 'user'}", f"password-file={tmp_path / 'right'}"]
    elif origin == "environment":
        monkeypatch.setenv("EMOTION_EDGE_MQTT_USER", "joe")
        monkeypatch.setenv("EMOTION_EDGE_MQTT_PASSWORD", "right")
    else:
        (tmp_path / "mqtt-user").write_text("joe")
        (tmp_path / "mqtt-password").write_text("right")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    port = protected_broker.port
    with Subscriber(port, "joe", "right") as subscriber, Sink(sink_argument(port, *files), LIVE_RUN):
        assert subscriber.wait_for("/availability").payload == "online"


@needs_mosquitto
@pytest.mark.parametrize("version", options.VERSIONS)
def test_wrong_password_is_retried_slowly_without_restart(
    protected_broker, tmp_path, caplog, wait_for_log, retry_delays, version
):
    files = [f"user-file={tmp_path / 'user'}", f"password-file={tmp_path / 'wrong'}", f"version={version}"]
    port = protected_broker.port
    with Subscriber(port, "joe", "right") as subscriber, Sink(sink_argument(port, *files), LIVE_RUN):
        wait_for_log("check user-file and password-file")
        wait_until(lambda: len(retry_delays) > 2)
        assert caplog.text.count("the connection is retried") == 1
        assert min(retry_delays) >= broker_connection.MAX_RETRY_SECONDS / 2
        start = len(subscriber.received)
        (tmp_path / "wrong").write_text("right\n")
        subscriber.wait_for("/availability", "online", start)


def test_file_overrides_environment_and_that_overrides_systemd(tmp_path, monkeypatch):
    (tmp_path / "named").write_text("named")
    (tmp_path / "mqtt-user").write_text("systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials.load_login(options.parse("nas")).user == "systemd"
    monkeypatch.setenv("EMOTION_EDGE_MQTT_USER", "environment")
    assert credentials.load_login(options.parse("nas")).user == "environment"
    assert credentials.load_login(options.parse(f"nas,user-file={tmp_path / 'named'}")).user == "named"


def test_missing_password_file_ends_the_start_and_is_named(tmp_path):
    result = run_edge("run", "synthetic:fast", "-s", f"mqtt:{HOST},password-file={tmp_path / 'none'}")
    assert result.returncode == 78
    assert result.stderr.startswith(f"edge: error: mqtt: {tmp_path / 'none'}: ")
    assert result.stderr.count("\n") == 1


def test_readable_or_unencrypted_password_is_a_risk(tmp_path):
    (tmp_path / "user").write_text("joe")
    (tmp_path / "password").write_text("right")
    (tmp_path / "password").chmod(0o644)

    def risks(address):
        parsed = options.parse(f"{address},user-file={tmp_path / 'user'},password-file={tmp_path / 'password'}")
        return credentials.find_risks(parsed, credentials.load_login(parsed))

    [readable] = risks("127.0.0.1")
    assert f"chmod o-r {tmp_path / 'password'}" in readable
    (tmp_path / "password").chmod(0o640)
    assert risks("127.0.0.1") == risks("localhost") == risks("[::1]") == risks("nas,tls") == []
    [unencrypted] = risks("nas")
    assert "nas:1883 unencrypted" in unencrypted


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "x" * 65536], ids=["empty", "newline", "two lines", "long"])
def test_a_secret_is_one_line(tmp_path, text):
    (tmp_path / "user").write_text(text)
    with pytest.raises(SettingsError, match="expected one line"):
        credentials.load_login(options.parse(f"nas,user-file={tmp_path / 'user'}"))


def test_password_without_user_is_refused(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_MQTT_PASSWORD", "right")
    with pytest.raises(SettingsError, match="password without a user"):
        credentials.load_login(options.parse("nas"))
