"""The examples, each as its user starts it: with a broker, a server, a screen, a simulated pin."""

import ast
import contextlib
import csv
import http.client
import json
import os
import socket
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.errors import SinkError, UsageError
from edge.sinks import registry
from edge.types import Box, RunInfo
from tests.support.broker import (
    BASE_TOPIC,
    HOST,
    LIVE_RUN,
    MosquittoBroker,
    Subscriber,
    free_port,
    needs_mosquitto,
    sink_argument,
)
from tests.support.commands import run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import TIMEOUT_SECONDS, wait_until
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
SIX = ("led", "mqtt_lamp", "mirror", "count_smiles", "async_sink", "flask_page")
FACE = Box(100, 60, 120, 120)


def image(*emotions):
    """Return a gray image with a face of each of `emotions` at the same place."""
    return SyntheticScene(320, 240).draw(*((emotion, FACE) for emotion in emotions))


def run_example(name, *arguments, **environment):
    """Run an example to its end, and return what it printed."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def smile_then_nobody(tmp_path):
    """A folder with two images."""
    cv2.imwrite(str(tmp_path / "1.png"), image("happy"))
    cv2.imwrite(str(tmp_path / "2.png"), image())
    return tmp_path


@pytest.mark.parametrize("name", SIX)
def test_an_example_has_ten_to_forty_lines_of_code(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    body = ast.parse(text).body[1:]  # less the docstring
    code = text.splitlines()[body[0].lineno - 1 :]
    assert 10 <= len([line for line in code if line.strip()]) <= 40


def test_the_list_of_examples_is_complete():
    listed = (EXAMPLES / "README.md").read_text()
    files = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".toml"}}
    assert {name for name in files if f"]({name})" not in listed} == set()
    assert {f"{name}.py" for name in SIX} <= files


@pytest.mark.slow
def test_the_led_is_lit_while_somebody_smiles(smile_then_nobody):
    pytest.importorskip("gpiozero")
    assert run_example("led", smile_then_nobody, GPIOZERO_PIN_FACTORY="mock").split() == ["on", "off"]


@needs_mosquitto
def test_the_lamp_follows_the_emotion(tmp_path):
    pytest.importorskip("paho")
    with MosquittoBroker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        arguments = [HOST, str(broker.port), f"{BASE_TOPIC}/state", "lamp/set"]
        lamp = subprocess.Popen([sys.executable, EXAMPLES / "mqtt_lamp.py", *arguments])
        try:
            with registry.find(f"mqtt:{sink_argument(broker.port)}")(LIVE_RUN) as sink:
                subscriber.wait_for("lamp/set", "OFF")  # nobody is there yet
                sink.write(frame_result(face_result("happy")))
                assert subscriber.wait_for("lamp/set", "ON").json["color"] == {"hex": "#ffc000"}
                so_far = len(subscriber.received)
            subscriber.wait_for("lamp/set", "OFF", start=so_far)
        finally:
            lamp.kill()
            lamp.wait()


@pytest.mark.slow
def test_the_mirror_shows_the_mirrored_image_with_a_circle(smile_then_nobody):
    pytest.importorskip("pygame")
    saved = smile_then_nobody / "screen.bmp"
    program = (
        "import pygame, runpy, sys\nquit = pygame.quit\n"
        f"pygame.quit = lambda: (pygame.image.save(pygame.display.get_surface(), {str(saved)!r}), quit())\n"
        f"runpy.run_path({str(EXAMPLES / 'mirror.py')!r}, run_name='__main__')"
    )
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    command = [sys.executable, "-c", program, str(smile_then_nobody / "1.png")]
    subprocess.run(command, check=True, timeout=120, env=environment)
    screen = np.asarray(cv2.imread(str(saved), cv2.IMREAD_GRAYSCALE), int)
    difference = np.abs(screen - image("happy")[:, ::-1]) > 5
    assert screen.shape == (240, 320)
    assert 0.005 < difference.mean() < 0.1  # circle and label
    inside = np.s_[FACE.y + 30 : FACE.y + 90, 320 - FACE.x - 90 : 320 - FACE.x - 30]
    assert not difference[inside].any()


@pytest.mark.slow
def test_the_smiles_of_a_video_are_counted(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for emotion in ("neutral", "happy", "neutral"):
        for _ in range(15):
            writer.write(cv2.cvtColor(image(emotion), cv2.COLOR_GRAY2BGR))
    writer.release()
    assert run_example("count_smiles", tmp_path / "film.avi", tmp_path / "smiles.csv") == "1 smiles\n"
    with (tmp_path / "smiles.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["face"] == "1"
    assert 1.5 <= float(row["begin_seconds"]) <= 2.3
    assert 3.0 <= float(row["end_seconds"]) <= 3.8


@pytest.mark.slow
def test_a_video_that_does_not_exist_is_one_line(tmp_path):
    command = [sys.executable, EXAMPLES / "count_smiles.py", tmp_path / "none.mp4", tmp_path / "smiles.csv"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "none.mp4: no such file" in result.stderr


class LineServer:
    """A TCP server that keeps the lines it receives. A context manager."""

    def __init__(self, port=0):
        self._port = port

    def __enter__(self):
        self.lines: list[str] = []
        self._server = socket.create_server((HOST, self._port))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _receive(self):
        with contextlib.suppress(OSError):
            connection, _ = self._server.accept()
            with connection, connection.makefile() as file:
                for line in file:
                    self.lines.append(line)


@pytest.mark.parametrize("live", [True, False])
def test_the_async_sink_sends_a_line_for_each_result(live):
    with LineServer() as server:
        argument = f"{EXAMPLES / 'async_sink.py'}:{HOST}:{server.port}"
        with registry.find(argument)(RunInfo(live=live)) as sink:
            sink.write(frame_result(face_result("calm")))
            sink.write(frame_result())
            wait_until(lambda: len(server.lines) == 2)
    assert [json.loads(line) for line in server.lines] == [{"1": "calm"}, {}]


@pytest.mark.parametrize("argument", ["localhost", "localhost:", "localhost:0", "localhost:99999", "localhost:٣"])
def test_an_async_sink_without_a_port_is_refused(argument):
    with pytest.raises(UsageError, match="has no port from 1 to 65535, expected HOST:PORT"):
        registry.find(f"{EXAMPLES / 'async_sink.py'}:{argument}")(LIVE_RUN)


@pytest.mark.parametrize("live", [True, False])
def test_only_a_run_of_files_fails_without_its_server(live, monkeypatch):
    port = free_port()
    sink = registry.find(f"{EXAMPLES / 'async_sink.py'}:{HOST}:{port}")(RunInfo(live=live))
    monkeypatch.setitem(type(sink).write.__globals__, "RETRY_SECONDS", 0.1)
    sink.__enter__()
    sink.write(frame_result(face_result("calm")))
    with contextlib.nullcontext() if live else pytest.raises(SinkError, match="did not take all results"):
        sink.__exit__(None, None, None)
    with LineServer(port) as server:  # ends the sink's thread, which otherwise warns during other tests
        wait_until(lambda: len(server.lines) == 1)


@pytest.mark.parametrize(("name", "package"), [("count_smiles", "cv2"), ("mqtt_lamp", "paho")])
def test_an_example_without_arguments_shows_its_usage(name, package):
    pytest.importorskip(package)
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert result.stderr.startswith(f"usage: {name}.py ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "package", "remedy"),
    [
        ("led", "gpiozero", "sudo apt install python3-gpiozero"),
        ("led", "edge", "pip install . gpiozero"),
        ("mirror", "pygame", "pip install '.[window]'"),
        ("mqtt_lamp", "paho.mqtt.client", "pip install '.[mqtt]'"),
        ("count_smiles", "edge", "pip install ."),
        ("flask_page", "flask", "pip install . flask"),
        ("archive/label", "distributed", "pip install . 'dask[distributed]'"),
    ],
)
def test_a_missing_package_is_one_line_with_the_remedy(name, package, remedy):
    program = (
        f"import runpy, sys; sys.modules[{package!r}] = None; "
        f"runpy.run_path({str(EXAMPLES / f'{name}.py')!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{name.rpartition('/')[2]}: ")
    assert remedy in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "package"), [("led", "gpiozero"), ("mirror", "pygame")])
def test_an_example_without_a_camera_is_one_line(name, package):
    pytest.importorskip(package)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "usb:/dev/video99"]
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "GPIOZERO_PIN_FACTORY": "mock"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{name}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_run_takes_the_async_sink_by_its_path(smile_then_nobody):
    with LineServer() as server:
        result = run_edge("run", smile_then_nobody, "-s", f"{EXAMPLES / 'async_sink.py'}:{HOST}:{server.port}")
        assert result.returncode == 0, result.stderr
        wait_until(lambda: len(server.lines) == 2)
    assert [json.loads(line) for line in server.lines] == [{"1": "happy"}, {}]


@pytest.fixture
def page(tmp_path):
    """The port of the page, as `flask run` serves it."""
    pytest.importorskip("flask")
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", str(EXAMPLES / "flask_page.py"), "run", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stderr
    try:
        assert any("Running on" in line for line in process.stderr)
        yield port
    finally:
        process.kill()
        process.communicate()


def post(port, name, content):
    """Return status and answer to a form with a file `name`."""
    body = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n--b--\r\n' % (name, content)
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/faces", body, {"Content-Type": "multipart/form-data; boundary=b"})
    answer = connection.getresponse()
    return answer.status, json.load(answer)


@pytest.mark.slow
def test_the_page_answers_with_the_faces_of_a_photo(page):
    _, content = cv2.imencode(".png", image("happy"))
    status, answer = post(page, b"image", content.tobytes())
    assert status == 200
    assert [face["label"] for face in answer["faces"]] == ["happy"]
    assert Box(**answer["faces"][0]["box"]).iou(FACE) > 0.5
    for name, sent, error in ((b"image", b"no image", "not a JPEG"), (b"other", b"", "no file 'image'")):
        status, answer = post(page, name, sent)
        assert status == 400
        assert error in answer["error"]
