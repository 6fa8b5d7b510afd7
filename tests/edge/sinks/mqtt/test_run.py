"""Complete runs of the command, and of files."""

import re
import signal

import cv2
import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.errors import SinkError
from edge.sinks import mqtt
from edge.sinks.mqtt import Sink
from tests.support.broker import FILES_RUN, HOST, change, needs_mosquitto, sink_argument
from tests.support.commands import run_edge
from tests.support.kiosk import EdgeProcess, wait_until


def spec(port, *options):
    return f"mqtt:{sink_argument(port, *options)}"


@needs_mosquitto
def test_broker_publishes_offline_for_a_killed_run(broker, subscriber):
    with EdgeProcess("run", "synthetic", "-s", spec(broker.port)) as run:
        subscriber.wait_for("/state", '"present":true')
        run.process.send_signal(signal.SIGKILL)
        subscriber.wait_for("/availability", "offline")
    assert subscriber.messages("/state")[-1].json["present"] is True  # nobody corrects it


@needs_mosquitto
def test_stopped_run_publishes_its_end(broker, subscriber):
    with EdgeProcess("run", "synthetic", "-s", spec(broker.port, "version=5")) as run:
        subscriber.wait_for("/state", '"present":true')
        assert run.stop() < 5  # documented is a second, on a machine that is not busy
    assert run.process.returncode == 0
    subscriber.wait_for("/availability", "offline")
    assert subscriber.messages("/state")[-1].json["present"] is False


@needs_mosquitto
@pytest.mark.slow
def test_hanging_broker_does_not_delay_frames(broker, subscriber, tmp_path):
    lines = tmp_path / "lines.jsonl"
    sinks = ("-s", spec(broker.port, "rate=30"), "-s", f"jsonl:{lines}")
    with EdgeProcess("run", "synthetic:fps=30", "--idle-fps", "0", *sinks) as run:
        subscriber.wait_for("/state", '"present":true')
        broker.pause()
        frames = lines.read_bytes().count(b"\n")
        wait_until(lambda: lines.read_bytes().count(b"\n") >= frames + 240)
        assert run.stop() < 5
    broker.resume()
    assert run.process.returncode == 0


@pytest.fixture
def images(tmp_path, portrait):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), portrait)
    return folder


@needs_mosquitto
def test_every_image_of_a_folder_arrives(broker, subscriber, images):
    result = run_edge("run", images, "-s", spec(broker.port))
    assert result.returncode == 0, result.stderr
    subscriber.wait_for("/availability", "offline")
    names = [each.json["source_name"] for each in subscriber.messages("/results") if "source_name" in each.json]
    assert [re.sub(".*/", "", name) for name in names] == ["00.png", "01.png", "02.png", "03.png"]


def test_run_of_files_without_a_broker_is_an_error(monkeypatch):
    monkeypatch.setattr(mqtt, "FILES_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(SinkError, match=f"{HOST}:1: .* 2 changes"), Sink(f"{HOST}:1", FILES_RUN) as sink:
        sink.write(change(1))
