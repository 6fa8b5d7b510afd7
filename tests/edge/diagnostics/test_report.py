"""The report of `edge doctor --report` has what a maintainer needs, and nothing that is private."""

import io
import json
import random
import string
from datetime import UTC, datetime

import pytest

from edge.capture import v4l2
from edge.config.models import shipped_model
from edge.diagnostics import report
from edge.diagnostics.check import Check
from edge.diagnostics.environment import environment
from edge.diagnostics.scrub import PrivateNames
from edge.sinks.console import Sink as ConsoleSink
from edge.sinks.jsonl import Sink as JsonlSink
from tests.support.fake_machine import PI_FILES, WEBCAM, fake_drivers, write_files, write_program
from tests.support.fakes import face_result, frame_result

NAMES = PrivateNames(hosts=frozenset({"kiosk1"}), users=frozenset({"anna"}), secrets=frozenset({"hunter2"}))
LOG = r"""
2026-11-26T11:30:10+0000 systemd[1]: Started emotion-edge.service.
2026-11-26T11:30:11+0000 edge[12]: web: http://192.168.1.7:8080/
2026-11-26T11:30:12+0000 edge[12]: 00:00.0  face 1: angry 86%
2026-11-26T11:30:12+0000 edge[12]: 00:03.1  face 1 gone
2026-11-26T11:30:12+0000 edge[12]: {"time": 0.0, "faces": []}
2026-11-26T11:30:12+0000 edge[12]: Eva.jpg  face 1 at 3,4 5x6: happy 99%
2026-11-26T11:30:12+0000 edge[12]: Eva.jpg  no face
2026-11-26T11:30:13+0000 edge[12]: mqtt: broker.shop.example: no answer from kiosk1, hunter2
2026-11-26T11:30:14+0000 edge[12]: edge: error: /home/anna/x.py: cannot be read (Permission denied)
"""
CONFIG = """
source = "rtsp://eva@cam.shop.example/live#password-file=/home/anna/password"
more_sources = ["synthetic:faces=2", "/dev/video0", "/home/anna/films"]
sinks = [
    "console", "web:0.0.0.0:8080,image,blur,fps=5,token-file=/etc/token", "window:nobody=Hello Eva",
    "mqtt:broker.shop.example,topic=shop/eva,qos=1", "/home/anna/sink.py:geheim", "daylog:log,days=30",
]
model = "fast"
detector = "yunet:/home/anna/net.onnx"
prior = "happy=0.5,neutral=0.5"
cascade = "/etc/passwd"
threads = 2
reconnect = true
"""


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """The root folder of a Raspberry Pi with a webcam, a configuration, and a service with a log."""
    files = {**PI_FILES, "dev/video0": "", "etc/emotion-edge/config.toml": CONFIG}
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    write_program(tmp_path / "bin", "journalctl", f"echo '{LOG.strip()}'")
    write_program(tmp_path / "bin", "systemctl", "echo ActiveState=active; echo NRestarts=3")
    fake_drivers(monkeypatch, {"video0": WEBCAM})
    return write_files(tmp_path / "pi", files)


def make(root, checks=(), **options):
    facts = environment(root, root)
    options = {"names": NAMES, "root": root, "now": datetime(2026, 11, 26, tzinfo=UTC), **options}
    return report.text(facts, checks, shipped_model(), **options)


def section(text, title):
    (found,) = [part for part in text.split("\n\n") if part.startswith(title)]
    return [line.removeprefix("  ") for line in found.splitlines()[1:]]


def test_it_has_board_versions_cameras_model_and_checks(pi):
    text = make(pi, [Check("memory", "error", "3 MB available", "buy some")])
    assert text.startswith("emotion-edge ")
    assert "2026-11-26 00:00 UTC" in text
    assert "board: Raspberry Pi 5 Model B Rev 1.0" in section(text, "Machine")
    assert "kernel: 6.6.31+rpt-rpi-2712" in section(text, "Machine")
    assert any(line.startswith("opencv: 4.") for line in section(text, "Versions"))
    assert section(text, "Cameras") == ["video0: HD Webcam C270 (uvcvideo), formats MJPG, YUYV"]
    assert section(text, "Model")[0].startswith("file: emotion.tflite, ")
    assert section(text, "Checks") == ["error       memory: 3 MB available"]
    assert section(text, "Service") == ["ActiveState: active", "NRestarts: 3"]


def test_the_log_has_no_results_and_nothing_private(pi):
    assert section(make(pi), "The last 50 lines") == [
        "2026-11-26T11:30:10+0000 systemd[1]: Started emotion-edge.service.",
        "2026-11-26T11:30:11+0000 edge[12]: web: http://[address]",
        "2026-11-26T11:30:13+0000 edge[12]: mqtt: [host]: no answer from [host], [secret]",
        "2026-11-26T11:30:14+0000 edge[12]: edge: error: [path]: cannot be read (Permission denied)",
        "(5 of 9 lines were results of faces, and are left out)",
    ]


def test_every_line_of_the_console_and_of_jsonl_is_a_result(tmp_path):
    console, lines = io.StringIO(), tmp_path / "lines.jsonl"
    happy, uncertain = face_result(), face_result(label=None, track_id=2)
    results = [
        *(frame_result(happy, uncertain), frame_result(time=90.0)),
        *(frame_result(happy, source_name="Eva at home.jpg"), frame_result(source_name="Eva at home.jpg")),
    ]
    with ConsoleSink(stream=console) as first, JsonlSink(str(lines)) as second:
        for result in results:
            first.write(result)
            second.write(result)
    written = [*console.getvalue().splitlines(), *lines.read_text().splitlines()]
    assert len(written) == 10
    for line in written:
        assert report._RESULT.match(f"2026-11-26T11:30:12+0000 edge[12]: {line}"), line
    half = lines.read_text().splitlines()[0][50:]  # as the journal splits a line
    assert report._RESULT.match(f"2026-11-26T11:30:12+0000 edge[12]: {half}")


def test_a_log_that_cannot_be_read_is_one_line_with_advice(pi, tmp_path):
    write_program(tmp_path / "bin", "journalctl", "exit 1")
    (line,) = section(make(pi), "The last 50 lines")
    assert "sudo edge doctor --report" in line


def test_settings_are_told_without_addresses_and_paths(pi):
    sinks = (
        "console, web:[text],image,blur,fps=5,token-file=[text], window:nobody=[text], "
        "mqtt:[text],topic=[text],qos=1, [a sink of your own], daylog:[text],days=30"
    )
    assert sorted(section(make(pi), "Settings")) == [
        "cascade = [path]",
        "detector = yunet:[path]",
        "model = fast",
        "more_sources = synthetic:faces=2, /dev/video0, [path]",
        "prior = happy=0.5,neutral=0.5",
        "reconnect = true",
        f"sinks = {sinks}",
        "source = rtsp://[address]",
        "threads = 2",
    ]


def test_of_invalid_settings_only_the_lines_are_told(pi, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('threads = "hunter3"\nreconnect = true\npassword = "geheim"\nmodel = geheim\n')
    found = section(make(pi, config=path), "Settings")
    assert found == ["reconnect = true", "line 1: not valid", "line 3: not valid", "line 4: not valid"]


def test_a_file_that_is_no_text_is_told(pi):
    assert section(make(pi, config=pi), "Settings") == ["the file cannot be read"]


def test_a_machine_without_service_and_camera_has_a_report(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    text = make(tmp_path)
    assert section(text, "Settings") == ["no file"]
    assert section(text, "Cameras") == ["none"]
    assert section(text, "Service") == ["none"]


def test_a_part_that_fails_does_not_cost_the_others(pi, monkeypatch):
    monkeypatch.setattr(v4l2, "video_nodes", lambda _: 1 / 0)
    text = make(pi)
    assert section(text, "Cameras") == ["not available: ZeroDivisionError"]
    assert section(text, "Service") == ["ActiveState: active", "NRestarts: 3"]


def test_a_secret_at_the_end_of_a_long_line_is_not_cut(pi):
    for length in range(270, 300):
        text = make(pi, [Check("camera", "error", f"{'x' * (length - 20)} hunter2 was refused")])
        assert "hunt" not in text


def test_no_line_controls_a_terminal(pi, monkeypatch):
    monkeypatch.setattr(v4l2, "video_nodes", lambda _: 1 / 0)
    lines = make(pi, [Check("\x1b[2J", "error", "a\nb\u202e")]).splitlines()
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("carl und eva/eva am strand.mp4", "carl und eva/eva am strand.mp4: no such file"),
        ("eva", "no camera 'eva'; there are usb"),
        ("eva-video.bin", "eva-video.bin: not a video"),
        ("eva:secretpw", "no camera 'eva:secretpw'"),
        ("evas-folder/x.tflite", "/mnt/evas-folder/x.tflite: no such file in evas-folder"),
        ("yunet:eva-folder/y.onnx", "eva-folder/y.onnx: no such file"),
    ],
)
def test_what_the_command_line_names_is_replaced(pi, source, message):
    (line,) = section(make(pi, [Check("frame", "error", message)], named=[source]), "Checks")
    assert not [part for part in ("eva", "carl", "strand", "secretpw") if part in line]
    assert line.startswith("error       frame: ")


def test_names_that_the_program_defines_stay(pi):
    named = ["usb:0", "fast", "yunet"]
    (line,) = section(make(pi, [Check("frame", "ok", "usb:0: fast and yunet work")], named=named), "Checks")
    assert line == "ok          frame: usb:0: fast and yunet work"


def test_a_label_of_no_packaged_model_is_replaced():
    assert report.describe_setting("prior", "happy=0.5,eva=0.1") == "happy=0.5,[label]=0.1"


SPECS = [
    ("source", "rtsp://{user}:{secret}@10.1.2.3/{secret}?token={secret}#password-file={secret}"),
    ("source", "{secret}://{user}@10.1.2.3"),
    ("source", "usb:{secret}"),
    ("source", "{secret}"),
    ("sinks", "mqtt:{user}:{secret}@10.1.2.3,topic={secret},{secret}={secret}"),
    ("sinks", "web:10.1.2.3:80,token={secret},{secret}"),
    ("sinks", "{secret}:{secret},image"),
    ("sinks", "video:{secret}.mp4,blur,{secret}"),
    ("model", "{secret}"),
    ("prior", "{secret}={secret}"),
    ("detector", "yunet:{secret}"),
    ("detector", "{secret}:{user}"),
    ("cascade", "/dev/{secret}"),
]


def test_no_secret_of_a_configuration_reaches_the_report(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    rng, path = random.Random(0), tmp_path / "config.toml"
    characters = f"{string.ascii_letters}{string.digits}@:/?#&=%+.,;!$()[]{{}}<>*~^|- äß"
    for _ in range(300):
        name, template = rng.choice(SPECS)
        secret = f"Zq{''.join(rng.choices(characters, k=rng.randint(1, 12)))}Xj"
        value = template.format(secret=secret, user="wkeva")
        quoted = json.dumps([value] if name == "sinks" else value, ensure_ascii=False)
        path.write_text(f"{name} = {quoted}\n" if rng.random() < 0.8 else f"{name} {quoted}\n")
        lines = "\n".join(report._settings(path))
        assert not [part for part in ("Zq", "Xj", "wkeva", "10.1.2.3") if part in lines], value
