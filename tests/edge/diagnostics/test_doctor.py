"""`edge doctor` reports each problem of a machine with advice, and nothing else as a problem."""

import json
import os
import subprocess
import sys
from functools import partial

import cv2
import pytest
from typer.testing import CliRunner

from edge.capture import registry as cameras
from edge.capture import v4l2
from edge.cli import app
from edge.config.models import shipped_model
from edge.diagnostics import doctor
from edge.diagnostics import environment as environment_module
from edge.diagnostics.check import Check
from edge.diagnostics.environment import environment
from edge.system import tflite
from tests.support.checks import assert_check, by_name, statuses
from tests.support.commands import run_edge
from tests.support.fake_machine import (
    CPUFREQ,
    PI_FILES,
    RECEIVER,
    THERMAL_ZONE,
    WEBCAM,
    WEBCAM_METADATA,
    fake_drivers,
    fake_picamera2,
    write_files,
    write_program,
)

MODEL = shipped_model()


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is all of PATH: only the programs that a test puts there are found."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def healthy_pi(tmp_path, programs, monkeypatch):
    """The root folder of a Raspberry Pi that lacks nothing and has no problem."""
    root = write_files(tmp_path / "pi", PI_FILES | dict.fromkeys(("dev/video0", "dev/video1", "dev/video4"), ""))
    fake_drivers(monkeypatch, {"video0": WEBCAM, "video1": WEBCAM_METADATA, "video4": RECEIVER})
    fake_picamera2(tmp_path / "apt", monkeypatch)
    write_program(programs, "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x0')
    properties = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nResult=success"
    write_program(programs, "systemctl", f"echo '{properties}'")
    return root


def test_a_healthy_pi_has_no_problems_and_no_camera_is_opened(healthy_pi, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", pytest.fail)
    monkeypatch.setattr(cameras, "frames", pytest.fail)
    facts = environment(tmp_path, healthy_pi)
    checks = doctor.run_checks(facts, MODEL, root=healthy_pi)
    assert [check for check in checks if check.status != "ok" or check.advice] == []
    assert [check.name for check in checks] == [
        *("python", "opencv", "face detector", "runtime", "model", "kernels", "threads"),
        *(str(healthy_pi / "dev/video0"), "camera module", "picamera2"),
        *("temperature", "throttling", "governor", "memory", "disk", "clock", "service"),
    ]
    assert doctor.overall_status(checks) == "ok"
    assert doctor.text(facts, checks, 100).endswith("\n\n0 errors, 0 warnings")


def test_all_problems_of_a_pi_are_reported_at_once(healthy_pi, tmp_path, programs, monkeypatch):
    write_files(healthy_pi, {f"{THERMAL_ZONE}/temp": "82000", f"{CPUFREQ}/scaling_governor": "powersave"})
    write_files(healthy_pi, {"proc/meminfo": PI_FILES["proc/meminfo"].replace("3500000", "150000")})
    (healthy_pi / "run/systemd/timesync/synchronized").unlink()
    write_program(programs, "timedatectl", "echo no")
    write_program(programs, "vcgencmd", "echo throttled=0x50005")
    write_program(programs, "systemctl", "echo ActiveState=failed")
    access = os.access  # which also finds programs
    monkeypatch.setattr(os, "access", lambda path, mode: "/dev/video" not in str(path) and access(path, mode))
    facts = environment(tmp_path, healthy_pi)
    checks = doctor.run_checks(facts, tmp_path / "no.tflite", "no.mp4", healthy_pi)
    problems = {name: status for name, status in statuses(checks).items() if status != "ok"}
    assert problems == {
        **dict.fromkeys(("model", "permission", "frame", "temperature", "throttling", "service"), "error"),
        **dict.fromkeys(("governor", "memory", "clock"), "warning"),
    }
    for check in checks:
        assert_check(check, check.status)
    assert doctor.overall_status(checks) == "error"
    text = doctor.text(facts, checks, 200)
    assert text.endswith("\n\n6 errors, 3 warnings")
    assert {name for name in problems if f"(docs/troubleshooting.md#{name})" in text} == set(problems)


def test_what_a_machine_lacks_is_unavailable_and_no_problem(tmp_path, programs):
    write_files(tmp_path, {"proc/device-tree/model": "Orange Pi 5"})
    checks = doctor.run_checks(environment(tmp_path, tmp_path), MODEL, root=tmp_path)
    missing = {"camera module", "picamera2", "temperature", "throttling", "governor", "memory", "service"}
    assert {check.name for check in checks if check.status == "unavailable"} == missing
    assert [check.name for check in checks if check.status in {"warning", "error"}] == ["cameras"]
    assert doctor.overall_status(checks) == "warning"


def test_a_check_that_fails_itself_is_an_error_and_others_run(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(v4l2, "video_nodes", lambda _: 1 / 0)
    checks = by_name(doctor.run_checks(environment(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["cameras"], "error", "ZeroDivisionError")
    assert checks["clock"].status == "ok"


@pytest.mark.parametrize(
    ("found", "worst"),
    [
        (["ok", "unavailable"], "ok"),
        (["warning", "unavailable", "ok"], "warning"),
        (["ok", "error", "warning"], "error"),
    ],
)
def test_the_overall_status_is_the_worst_one(found, worst):
    assert doctor.overall_status([Check("", status, "") for status in found]) == worst


def test_an_opencv_that_cannot_be_imported_is_one_error(tmp_path, programs, monkeypatch):
    for name in ("cv2", "edge.detection.haar", "edge.inference.classifier"):
        monkeypatch.setitem(sys.modules, name, None)
    checks = by_name(doctor.run_checks(environment(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["opencv"], "error", "pip install --force-reinstall")
    assert [checks[name].status for name in ("face detector", "runtime", "model")] == ["unavailable"] * 3


def test_without_a_runtime_the_model_is_not_run(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(tflite, "RUNTIMES", ())
    checks = by_name(doctor.run_checks(environment(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["runtime"], "error", "pip install --force-reinstall ai-edge-litert")
    assert_check(checks["model"], "unavailable", "emotion.tflite", "runtime")
    assert "kernels" not in checks


def test_the_command_runs_where_numpy_and_opencv_are_broken(tmp_path):
    program = "import sys\nsys.modules |= {'numpy': None, 'cv2': None}\nfrom edge.cli import main\nmain()"
    command = [sys.executable, "-c", program, "doctor", "--json", "--report", tmp_path / "report.txt"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(result.stdout)
    assert (result.returncode, report["status"], report["machine"]["versions"]["numpy"]) == (1, "error", None)
    assert "opencv" in {check["name"] for check in report["checks"] if check["status"] == "error"}
    assert "error       opencv: cannot be imported" in (tmp_path / "report.txt").read_text()


def test_the_command_prints_status_checks_and_machine_as_json():
    result = run_edge("doctor", "--json")
    report = json.loads(result.stdout)
    assert result.stderr == ""
    assert result.returncode == (report["status"] == "error")
    assert set(report) == {"status", "checks", "machine"}
    assert {tuple(check) for check in report["checks"]} == {("name", "status", "message", "advice")}
    assert {check["status"] for check in report["checks"]} <= {"ok", "warning", "error", "unavailable"}
    software = {"python", "opencv", "face detector", "runtime", "model", "kernels"}
    assert {check["name"] for check in report["checks"] if check["status"] == "ok"} >= software
    assert set(report["machine"]) == set(environment())


def test_an_error_is_exit_status_1_and_a_warning_is_0(healthy_pi, tmp_path, monkeypatch):
    monkeypatch.setattr(environment_module, "environment", partial(environment, tmp_path, healthy_pi))
    monkeypatch.setattr(doctor, "run_checks", partial(doctor.run_checks, root=healthy_pi))
    write_files(healthy_pi, {f"{THERMAL_ZONE}/temp": "75000"})
    (healthy_pi / "dev/video0").unlink()  # its path is longer here than a device's, and would leave no room

    def run_doctor(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["doctor", *arguments])
        return result.exit_code, " ".join(result.output.split())

    status, output = run_doctor()
    assert (status, "0 errors, 1 warning" in output) == (0, True), output
    status, output = run_doctor("--model", "no.tflite")
    assert (status, "1 error, 1 warning" in output) == (1, True), output
    assert "no.tflite" in output
    status, output = run_doctor("--source", "synthetic:fast")
    assert status == 0
    assert "synthetic:fast: 640 x 480 pixels" in output
    status, output = run_doctor("--source", "no.mp4", "--json")
    assert (status, json.loads(output)["status"]) == (1, "error")


@pytest.mark.parametrize(("columns", "width"), [(40, 80), (80, 80), (100, 100), (300, 120)])
def test_lines_are_aligned_and_fit_the_terminal(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", str(columns))
    long = Check("memory", "error", "found " * 40, "advice " * 40)
    monkeypatch.setattr(doctor, "run_checks", lambda *_, **__: [long, Check("camera module", "unavailable", "found")])
    lines = CliRunner().invoke(app, ["doctor"]).output.splitlines()
    checks = lines[lines.index("") + 1 : -2]
    assert width - 10 < max(map(len, lines)) <= width
    assert checks[0].startswith("error    memory         found")
    assert checks[-1] == "-        camera module  found"
    assert {line.index(line.strip()) for line in checks[1:-1]} == {24, 27}
    assert sum(line.strip().startswith("-> advice") for line in checks) == 1
