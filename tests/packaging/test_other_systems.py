"""edge and trainer load, and edge reads cameras and files, where Linux' or POSIX' own functions do not exist."""

import json
import subprocess
import sys
from datetime import date

import cv2
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.sinks import daily_log
from tests.support.paths import ROOT

SYSTEMS = ["win32", "darwin"]


def run_on(system, *arguments):
    command = [sys.executable, "-m", "tests.support.other_system", system, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=ROOT)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_of_edge_loads(system):
    for package in ("paho.mqtt", "tornado", "prometheus_client", "pygame"):
        pytest.importorskip(package, reason="pip install 'emotion-edge[mqtt,web,window]'")
    result = run_on(system, "import", "edge")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 100


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_of_trainer_loads(system):
    result = run_on(system, "import", "trainer")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 50


def test_a_module_that_windows_lacks_cannot_be_imported(tmp_path):
    package = tmp_path / "edge"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "user.py").write_text("import os\nos.geteuid()\n")
    program = (
        "import builtins, sys\nfrom tests.support.other_system import make_import\n"
        f"builtins.__import__ = make_import('win32')\nsys.path.insert(0, {str(tmp_path)!r})\nimport edge.user\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "module 'os' has no attribute 'geteuid' on this system" in result.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_synthetic_camera_runs_with_the_sinks_of_files(system, tmp_path):
    sinks = "console", f"jsonl:{tmp_path}/faces.jsonl", f"csv:{tmp_path}/faces.csv"
    # One that waits for the loop: of a live run, a busy machine drops lines.
    result = run_on(system, "edge", "run", "synthetic:fast", "--max-frames", 10, *(f"--sink={sink}" for sink in sinks))
    assert (result.returncode, result.stdout.count("face 1: ")) == (0, 1), result.stderr
    lines = [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    assert lines[-1]["faces"]
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 11


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_live_camera_runs_with_a_daily_log(system, tmp_path):
    result = run_on(system, "edge", "run", "synthetic", "--max-frames", 60, f"--sink=daylog:{tmp_path}")
    assert result.returncode == 0, result.stderr
    (log,) = tmp_path.iterdir()
    assert log == daily_log.log_path(tmp_path, date.fromisoformat(log.stem.removeprefix("emotions-")))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_folder_is_read_and_a_labeled_video_written(system, tmp_path):
    scene, source = SyntheticScene(), tmp_path / "source"
    source.mkdir()
    writer = cv2.VideoWriter(str(source / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for number in range(5):
        writer.write(cv2.cvtColor(scene.image(number / 10), cv2.COLOR_GRAY2BGR))
    writer.release()
    cv2.imwrite(str(source / "face.png"), scene.image(0))
    for _ in range(2):  # the second run continues the file of lines, and replaces the video
        result = run_on(system, "edge", "run", source, f"--sink=jsonl:{tmp_path}/faces.jsonl")
        assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()]
    assert [len(line["faces"]) for line in lines] == [1] * 12
    result = run_on(system, "edge", "run", source / "clip.avi", f"--sink=video:{tmp_path}/labeled.mp4")
    assert result.returncode == 0, result.stderr
    assert cv2.VideoCapture(str(tmp_path / "labeled.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.jsonl", "labeled.mp4", "source"]


@pytest.mark.parametrize("arguments", [["doctor"], ["info"], ["config", "--example"]])
def test_commands_that_describe_run(arguments):
    result = run_on("win32", "edge", *arguments)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs=2"], "jobs is 2, but Windows has only 1"),
        (["--sink=window"], "sink window needs Linux or macOS"),
        (["--max-frames=1", "usb:/dev/video0"], "expected a number (usb:0)"),
        (["--max-frames=1", r"C:\photos"], "no such file"),
    ],
)
def test_what_windows_lacks_is_named(arguments, message):
    source = [] if len(arguments) == 2 else ["synthetic"]
    result = run_on("win32", "edge", "run", *source, *arguments)
    assert result.returncode in (1, 2)
    assert result.stderr.startswith("edge: error: ")
    assert message in result.stderr
