"""Each thing that can be wrong with a machine is told with what to do about it, and nothing else is called wrong."""

import getpass
import grp
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from edge.capture import registry as cameras
from edge.capture import synthetic
from edge.cli import app
from edge.config.models import shipped_model
from edge.diagnostics import doctor
from edge.diagnostics.doctor import Check
from edge.errors import CameraError
from edge.inference import classifier, model_file
from edge.system import machine
from tests.edge.system.test_machine import CPUFREQ, METADATA, PI, RECEIVER, WEBCAM, ZONE, drivers, lay, program
from tests.support.commands import run_edge

MODEL = shipped_model()
OLD_RUNTIME = classifier.runtime().__name__.startswith("tflite_runtime")
STATES = {"good", "warning", "bad", "absent"}
VERSIONS = {"runtime": "ai-edge-litert", "runtime_version": "2.3.0", "numpy": "2.4.6", "opencv": "4.14.0"}


def named(checks: list[Check]) -> dict[str, Check]:
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.status for check in checks}


def assert_check(check: Check, status: str, *words: str) -> None:
    """Check status and words of a line, and that there is advice where, and only where, something is to be done."""
    assert check.status == status, check
    assert all(word in f"{check.found} {check.advice}" for word in words), check
    assert bool(check.advice) == (status in {"warning", "bad"}), check


def picamera2_is_there(folder, monkeypatch) -> None:
    """Let Python find picamera2 and libcamera; importing one, which would start the camera's software, is an error."""
    for name in ("picamera2", "libcamera"):
        lay(folder, {f"{name}/__init__.py": "raise SystemExit('was imported')"})
    monkeypatch.syspath_prepend(str(folder))


# Whole machines


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is all of PATH: no program is found but those that a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def healthy(tmp_path, programs, monkeypatch):
    """A Raspberry Pi with everything that one can have, all of it well."""
    pi = lay(tmp_path / "pi", PI | dict.fromkeys(("dev/video0", "dev/video1", "dev/video4"), ""))
    drivers(monkeypatch, {"video0": WEBCAM, "video1": METADATA, "video4": RECEIVER})
    picamera2_is_there(tmp_path / "apt", monkeypatch)
    program(programs, "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x0')
    shown = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nResult=success"
    program(programs, "systemctl", f"echo '{shown}'")
    return pi


def test_on_a_healthy_raspberry_pi_everything_is_good_and_no_camera_is_opened(healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", pytest.fail)
    monkeypatch.setattr(cameras, "frames", pytest.fail)
    checks = doctor.examine(machine.facts(tmp_path, healthy), MODEL, root=healthy)
    assert [check for check in checks if check.status != "good" or check.advice] == []
    assert [check.name for check in checks] == [
        *("python", "opencv", "face search", "runtime", "model", "kernels"),
        *(str(healthy / "dev/video0"), "camera module", "picamera2"),
        *("temperature", "power", "governor", "memory", "disk", "clock", "service"),
    ]
    assert doctor.overall(checks) == "good"
    assert doctor.text(machine.facts(tmp_path, healthy), checks, 100).endswith("\n\nnothing bad, no warnings")


def test_what_ails_a_raspberry_pi_is_told_all_at_once(healthy, tmp_path, programs, monkeypatch):
    lay(healthy, {f"{ZONE}/temp": "82000", f"{CPUFREQ}/scaling_governor": "powersave"})
    lay(healthy, {"proc/meminfo": PI["proc/meminfo"].replace("3500000", "150000")})
    (healthy / "run/systemd/timesync/synchronized").unlink()
    program(programs, "timedatectl", "echo no")
    program(programs, "vcgencmd", "echo throttled=0x50005")
    program(programs, "systemctl", "echo ActiveState=failed")
    access = os.access  # which also finds programs
    monkeypatch.setattr(os, "access", lambda path, mode: "/dev/video" not in str(path) and access(path, mode))
    checks = doctor.examine(machine.facts(tmp_path, healthy), tmp_path / "no.tflite", "no.mp4", healthy)
    ill = {name: status for name, status in states(checks).items() if status != "good"}
    assert ill == {
        **dict.fromkeys(("model", "permission", "frame", "temperature", "power", "service"), "bad"),
        **dict.fromkeys(("governor", "memory", "clock"), "warning"),
    }
    for check in checks:
        assert_check(check, check.status)
    assert doctor.overall(checks) == "bad"
    assert doctor.text(machine.facts(tmp_path, healthy), checks, 100).endswith("\n\n6 bad, 3 warnings")


def test_what_a_machine_does_not_have_is_absent_and_not_wrong(tmp_path, programs):
    lay(tmp_path, {"proc/device-tree/model": "Orange Pi 5"})
    checks = doctor.examine(machine.facts(tmp_path, tmp_path), MODEL, root=tmp_path)
    missing = {"camera module", "picamera2", "temperature", "power", "governor", "memory", "service"}
    assert {check.name for check in checks if check.status == "absent"} == missing
    assert [check.name for check in checks if check.status in {"warning", "bad"}] == ["cameras"]
    assert doctor.overall(checks) == "warning"


def test_a_check_that_fails_itself_is_told_and_the_others_go_on(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(machine, "video_nodes", lambda _: 1 / 0)
    checks = named(doctor.examine(machine.facts(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["cameras"], "bad", "the check itself failed", "ZeroDivisionError")
    assert checks["clock"].status == "good"


@pytest.mark.parametrize(
    ("found", "worst"),
    [(["good", "absent"], "good"), (["warning", "absent", "good"], "warning"), (["good", "bad", "warning"], "bad")],
)
def test_the_worst_counts(found, worst):
    assert doctor.overall([Check("", status, "") for status in found]) == worst


# Programs


@pytest.mark.parametrize(
    ("version", "bits", "status", "word"),
    [
        ((3, 11), 64, "good", "3.11, 64 bit"),
        ((3, 13), 64, "good", "3.13"),
        ((3, 10), 64, "bad", "make the environment with Python 3.11, 3.12 or 3.13"),
        ((3, 14), 64, "bad", "3.14"),
        ((3, 11), 32, "warning", "64-bit Raspberry Pi OS"),
    ],
)
def test_python_is_of_the_versions_that_there_are_wheels_for(version, bits, status, word):
    assert_check(doctor._python(version, bits), status, word)


def test_opencv_5_is_bad_for_it_has_no_face_search(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    monkeypatch.delattr(cv2, "CascadeClassifier")
    assert_check(doctor._opencv(), "bad", "5.0.0", "no Haar", "'opencv-python-headless<5'")
    assert_check(doctor._face_search(), "bad", "no Haar", "'opencv-python-headless<5'")


def test_two_packages_of_opencv_are_a_warning_that_tells_both(tmp_path, monkeypatch):
    for name in ("opencv-python", "opencv-python-headless"):
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.14.0\n"
        lay(tmp_path, {f"{name.replace('-', '_')}-4.14.0.dist-info/METADATA": text})
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    advice = "pip uninstall -y opencv-python-headless opencv-python; pip install --force-reinstall"
    assert_check(doctor._opencv(), "warning", "opencv-python-headless, opencv-python", "overwrite", advice)


def test_an_opencv_that_does_not_load_is_told_once(tmp_path, programs, monkeypatch):
    for name in ("cv2", "edge.detection.haar", "edge.inference.classifier"):
        monkeypatch.setitem(sys.modules, name, None)
    checks = named(doctor.examine(machine.facts(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["opencv"], "bad", "does not load: ", "pip install --force-reinstall")
    assert [checks[name].status for name in ("face search", "runtime", "model")] == ["absent"] * 3


def test_without_a_runtime_the_model_is_not_run(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(classifier, "RUNTIMES", ())
    checks = named(doctor.examine(machine.facts(tmp_path, tmp_path), MODEL, root=tmp_path))
    assert_check(checks["runtime"], "bad", "no TFLite runtime", "pip install --force-reinstall ai-edge-litert")
    assert_check(checks["model"], "absent", "emotion.tflite", "needs the runtime")
    assert "kernels" not in checks


@pytest.mark.parametrize(
    ("runtime", "numpy", "status"),
    [("tflite-runtime", "2.0.1", "bad"), ("tflite-runtime", "1.26.4", "good"), ("ai-edge-litert", "2.4.6", "good")],
)
def test_the_old_runtime_does_not_go_with_numpy_2(runtime, numpy, status):
    check = doctor._runtime({**VERSIONS, "runtime": runtime, "numpy": numpy})
    assert_check(check, status, runtime, numpy, *(["pip install 'numpy<2'"] if status == "bad" else []))


def test_a_model_is_run_once_and_its_kernels_are_told():
    model, kernels = doctor._model(MODEL, "tflite-runtime" if OLD_RUNTIME else "ai-edge-litert", runs=True)
    assert_check(model, "good", "emotion.tflite", "labels; a gray image is read in ", " ms")
    words = ["plain ones of tflite-runtime"] if OLD_RUNTIME else ["XNNPACK computes ", " of "]
    assert_check(kernels, "good", *words)


def test_a_model_that_does_not_load_or_run_is_bad(tmp_path):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(MODEL.read_bytes()[:1000])
    assert_check(doctor._model(cut, None, runs=True)[0], "bad", "cut.tflite: ", "--model")
    content, about = model_file.load(MODEL)
    model_file.attach(content, replace(about, labels=("calm",)), cut)
    assert_check(doctor._model(cut, None, runs=True)[0], "bad", "its card has 1 labels", "trainer quantize")
    model_file.attach(content[:8], about, cut)
    (check,) = doctor._model(cut, None, runs=True)
    assert_check(check, "bad", "no TFLite model, or not a whole one")


def test_without_xnnpack_the_new_runtime_is_slow_and_the_old_one_as_it_is_made():
    module = classifier.runtime()
    plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = module.Interpreter(model_content=model_file.load(MODEL)[0], experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    assert_check(doctor._kernels(interpreter, "ai-edge-litert"), "warning", "no XNNPACK", "slower")
    assert_check(doctor._kernels(interpreter, "tflite-runtime"), "good", "no XNNPACK")
    assert_check(doctor._kernels(SimpleNamespace(), "other"), "absent", "does not tell")


def operation(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}


def test_the_operations_that_a_delegate_took_over_are_counted():
    chain = [operation(number, "ADD", [number, number], [number + 1]) for number in range(5)]
    assert doctor._delegated(chain, [5]) == (0, 5)
    unused = operation(5, "ADD", [0, 0], [99])
    assert doctor._delegated([*chain, unused], [5]) == (0, 6)
    middle = operation(5, "DELEGATE", [1, 90], [4])  # the second, third and fourth
    assert doctor._delegated([*chain, middle], [5]) == (3, 5)
    two = [operation(5, "DELEGATE", [0, 90], [2]), operation(6, "DELEGATE", [3, 90], [5])]
    assert doctor._delegated([*chain, *two], [5]) == (4, 5)
    whole = operation(5, "DELEGATE", [0, 90], [5])
    assert doctor._delegated([*chain, whole], [5]) == (5, 5)


# Cameras


def test_a_webcam_is_told_with_its_formats_and_its_second_node_is_not(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": "", "dev/video1": ""})
    drivers(monkeypatch, {"video0": WEBCAM, "video1": METADATA})
    checks = doctor._cameras(False, tmp_path)
    assert [check.name for check in checks] == [str(tmp_path / "dev/video0"), "camera module", "picamera2"]
    assert checks[0].found == "HD Webcam C270 (uvcvideo), gives MJPG, YUYV"
    assert states(checks) == {checks[0].name: "good", "camera module": "absent", "picamera2": "absent"}


@pytest.mark.parametrize(("user", "status"), [("sleep", "warning"), ("edge", "good")])
def test_who_holds_a_camera_is_told_and_only_our_own_may(tmp_path, monkeypatch, user, status):
    lay(tmp_path, {"dev/video0": ""})
    (tmp_path / user).symlink_to("/bin/sleep")
    drivers(monkeypatch, {"video0": WEBCAM})
    with (tmp_path / "dev/video0").open() as held, subprocess.Popen([tmp_path / user, "60"], stdin=held) as process:
        (tmp_path / "proc").mkdir()
        (tmp_path / f"proc/{process.pid}").symlink_to(f"/proc/{process.pid}")
        check = doctor._cameras(False, tmp_path)[0]
        process.kill()
    words = [f"kill {process.pid}"] if status == "warning" else []
    assert_check(check, status, f"in use by {user} (process {process.pid})", *words)


def test_that_other_users_processes_could_not_be_looked_into_is_told(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": ""})
    drivers(monkeypatch, {"video0": WEBCAM})
    monkeypatch.setattr(machine, "holders", lambda *_: ({}, 7))
    assert_check(doctor._cameras(False, tmp_path)[0], "good", "7 processes of others could not be looked into")


def test_of_very_many_formats_the_first_are_told(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": ""})
    formats = tuple(b"FMT%d" % number for number in range(8))
    drivers(monkeypatch, {"video0": (*WEBCAM[:4], formats)})
    found = doctor._cameras(False, tmp_path)[0].found
    assert found.endswith("gives FMT0, FMT1, FMT2, FMT3, FMT4, FMT5 and 2 more")
    drivers(monkeypatch, {"video0": (*WEBCAM[:4], formats[:6])})
    assert doctor._cameras(False, tmp_path)[0].found.endswith(" FMT4, FMT5")


def test_a_camera_module_is_told_by_its_receiver(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video4": ""})
    drivers(monkeypatch, {"video4": RECEIVER})
    assert_check(named(doctor._cameras(True, tmp_path))["camera module"], "good", "rp1-cfe at ")
    (tmp_path / "dev/video4").unlink()
    assert_check(named(doctor._cameras(True, tmp_path))["camera module"], "absent", "rpicam-hello --list-cameras")


def test_without_any_camera_there_is_a_warning_and_the_synthetic_one(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video10": ""})
    codec = (b"bcm2835-codec", b"bcm2835-codec-decode", 0x84204000, 0x04204000, ())
    drivers(monkeypatch, {"video10": codec})
    assert_check(doctor._cameras(False, tmp_path)[0], "warning", "none was found", "edge run synthetic")


def test_on_a_pi_picamera2_comes_by_apt_and_by_a_venv_that_sees_it(tmp_path, monkeypatch):
    venv = "make the venv with --system-site-packages"
    check = doctor._picamera2(True, tmp_path)
    assert_check(check, "warning", "no picamera2 and no libcamera", f"sudo apt install python3-picamera2, then {venv}")
    lay(tmp_path, {"usr/lib/python3/dist-packages/picamera2/__init__.py": ""})
    check = doctor._picamera2(True, tmp_path)
    assert_check(check, "warning", venv)
    assert "apt" not in check.advice
    picamera2_is_there(tmp_path / "apt", monkeypatch)
    assert_check(doctor._picamera2(True, tmp_path), "good")


def test_a_user_outside_the_group_video_is_told_how_to_get_in(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": "", "dev/video1": "", "dev/video2": ""})
    monkeypatch.setattr(os, "access", lambda *_: False)
    check, *others = doctor._cameras(False, tmp_path)
    node = tmp_path / "dev/video0"
    assert_check(check, "bad", f"{getpass.getuser()} may not read and write {node} and 2 more", "log out and in again")
    assert "cameras" not in states(others)  # there may be one: nobody could ask


@pytest.mark.parametrize(("group", "joined"), [("video", "video"), ("plugdev", "plugdev"), ("root", "video")])
def test_the_group_to_join_is_the_device_s_unless_it_is_root_s(tmp_path, monkeypatch, group, joined):
    monkeypatch.setattr(Path, "group", lambda _: group)
    assert doctor._group(tmp_path) == joined


def test_the_group_of_a_device_that_is_gone_is_linux_own(tmp_path):
    assert doctor._group(tmp_path / "video0") == "video"


def test_the_way_into_a_group_is_adduser_and_for_a_member_a_new_login(monkeypatch):
    monkeypatch.setattr(grp, "getgrnam", lambda name: {"video": SimpleNamespace(gr_mem=["berry"])}[name])
    assert doctor._way_in("video", "pi") == "sudo usermod -aG video pi, then log out and in again"
    assert doctor._way_in("video", "berry") == "log out and in again: berry is in group video since"
    assert doctor._way_in("nothing", "pi").startswith("sudo usermod -aG nothing pi")


def test_a_frame_of_the_named_source_is_taken_and_the_source_given_back(monkeypatch):
    given_back = []

    def frames(_):
        try:
            yield from synthetic.frames("fast")
        finally:
            given_back.append(True)

    monkeypatch.setattr(cameras, "frames", frames)
    check = doctor._frame("synthetic:fast")
    assert_check(check, "good", "synthetic:fast: 640 x 480 pixels after ", " s")
    assert given_back


@pytest.mark.parametrize(
    ("source", "words"),
    [("usb:987654", "/dev/video987654: no such camera"), ("picamra", "no camera 'picamra'; there are ")],
)
def test_a_source_that_gives_no_frame_is_bad_with_the_error_s_words(source, words):
    assert_check(doctor._frame(source), "bad", f"{source}: {words}")


@pytest.mark.parametrize("error", [CameraError("unplugged"), RuntimeError("unplugged"), None])
def test_whatever_a_camera_does_is_told(monkeypatch, error):
    def frames(_):
        if error:
            raise error
        yield from ()

    monkeypatch.setattr(cameras, "frames", frames)
    assert_check(doctor._frame("usb:0"), "bad", "unplugged" if error else "ended without an image")


def test_a_camera_that_hangs_is_left(monkeypatch):
    release = threading.Event()

    def frames(_):
        release.wait(30)
        yield from ()

    monkeypatch.setattr(cameras, "frames", frames)
    assert_check(doctor._frame("usb:0", limit=0.02), "bad", "usb:0: no frame within 0.02 seconds")
    (left,) = (thread for thread in threading.enumerate() if "_take" in thread.name)
    assert left.daemon  # else the command would wait for it after all
    release.set()


# The board


@pytest.mark.parametrize(
    ("degrees", "is_pi", "status"),
    [
        (None, True, "absent"),
        (69.9, True, "good"),
        (70.0, True, "warning"),
        (79.9, True, "warning"),
        (80.0, True, "bad"),
        (91.0, False, "warning"),  # a PC
    ],
)
def test_a_pi_is_too_hot_where_it_slows_itself_down(degrees, is_pi, status):
    words = ["heat sink"] if status in {"warning", "bad"} else []
    assert_check(doctor._temperature(degrees, is_pi), status, *words)


@pytest.mark.parametrize(
    ("now", "since_boot", "status", "words"),
    [
        ([], [], "good", []),
        ([], ["under-voltage"], "warning", ["since boot: under-voltage", "power supply"]),
        (["under-voltage"], ["under-voltage"], "bad", ["now: under-voltage; since boot", "power supply"]),
        (["throttled"], [], "bad", ["now: throttled", "heat sink"]),
        ([], ["under-voltage", "soft temperature limit"], "warning", ["power supply", "heat sink"]),
    ],
)
def test_under_voltage_and_throttling_are_bad_now_and_a_warning_since_boot(now, since_boot, status, words):
    assert_check(doctor._throttling({"now": now, "since_boot": since_boot}), status, *words)


def test_the_advice_is_for_power_or_heat_where_only_one_is_to_blame():
    power = doctor._throttling({"now": [], "since_boot": ["under-voltage", "throttled"]}).advice
    heat = doctor._throttling({"now": ["throttled"], "since_boot": ["soft temperature limit"]}).advice
    assert ("power supply" in power, "heat sink" in power) == (True, False)
    assert ("power supply" in heat, "heat sink" in heat) == (False, True)


@pytest.mark.parametrize(
    ("governor", "driver", "status"),
    [
        ("ondemand", "cpufreq-dt", "good"),
        ("powersave", "cpufreq-dt", "warning"),
        ("powersave", "intel_pstate", "good"),  # that one is dynamic
        (None, None, "absent"),
    ],
)
def test_a_governor_that_keeps_the_clock_down_is_a_warning(governor, driver, status):
    assert_check(doctor._governor(governor, driver), status, *(["ondemand"] if status == "warning" else []))


@pytest.mark.parametrize(("free", "status"), [(200, "good"), (199, "warning"), (100, "warning"), (99, "bad")])
def test_memory_runs_out_before_it_is_out(free, status):
    assert_check(doctor._memory(free, 512), status, f"{free} MB available of 512")
    assert doctor._memory(None, 512).status == "absent"


@pytest.mark.parametrize(("free", "status"), [(200, "good"), (199, "warning"), (50, "warning"), (49, "bad")])
def test_the_disk_runs_full_before_it_is_full(free, status):
    assert_check(doctor._disk(free), status, f"{free} MB free")
    assert doctor._disk(None).status == "absent"


@pytest.mark.parametrize(
    ("year", "synchronized", "status"),
    [(2026, True, "good"), (2026, None, "good"), (2026, False, "warning"), (2023, True, "bad"), (1970, None, "bad")],
)
def test_a_clock_that_was_never_set_is_bad_and_one_that_nobody_sets_a_warning(year, synchronized, status):
    assert_check(doctor._clock(datetime(year, 5, 4, tzinfo=UTC), synchronized), status, f"{year}-05-04 00:00 UTC")


@pytest.mark.parametrize(
    ("unit", "status", "words"),
    [
        (None, "absent", ["not available here"]),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "absent", ["not installed"]),
        ({"ActiveState": "active", "SubState": "running", "NRestarts": "0"}, "good", ["active (running)"]),
        ({"ActiveState": "active", "SubState": "running", "NRestarts": "4"}, "warning", ["restarted 4 times"]),
        (
            {"ActiveState": "activating", "SubState": "auto-restart"},
            "bad",
            ["journalctl -u emotion-edge.system.systemd"],
        ),
        ({"ActiveState": "failed", "Result": "oom-kill"}, "bad", ["last result oom-kill"]),
        (
            {"ActiveState": "inactive", "SubState": "dead"},
            "warning",
            ["sudo systemctl start emotion-edge.system.systemd"],
        ),
    ],
)
def test_the_service_is_well_when_it_runs_and_was_never_restarted(unit, status, words):
    assert_check(doctor._service(unit), status, *words)


# The command


def test_the_command_tells_status_checks_and_machine_as_json():
    result = run_edge("doctor", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert result.returncode == (found["status"] == "bad")
    assert set(found) == {"status", "checks", "machine"}
    assert {tuple(check) for check in found["checks"]} == {("name", "status", "found", "advice")}
    assert {check["status"] for check in found["checks"]} <= STATES
    programs_ = {"python", "opencv", "face search", "runtime", "model", "kernels"}
    assert {check["name"] for check in found["checks"] if check["status"] == "good"} >= programs_
    assert set(found["machine"]) == set(machine.facts())


def test_something_bad_ends_the_command_with_status_1_and_a_warning_does_not(healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "facts", partial(machine.facts, tmp_path, healthy))
    monkeypatch.setattr(doctor, "examine", partial(doctor.examine, root=healthy))
    lay(healthy, {f"{ZONE}/temp": "75000"})
    (healthy / "dev/video0").unlink()  # its path is longer here than a device's: it would leave no room for words

    def told(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["doctor", *arguments])
        return result.exit_code, " ".join(result.output.split())

    status, output = told()
    assert (status, output.endswith("nothing bad, 1 warning")) == (0, True), output
    status, output = told("--model", "no.tflite")
    assert (status, output.endswith("1 bad, 1 warning")) == (1, True), output
    assert "no.tflite: cannot be read" in output
    status, output = told("--source", "synthetic:fast")
    assert status == 0
    assert "synthetic:fast: 640 x 480 pixels after" in output
    status, output = told("--source", "no.mp4", "--json")
    assert (status, json.loads(output)["status"]) == (1, "bad")


@pytest.mark.parametrize(("columns", "width"), [(40, 80), (80, 80), (100, 100), (300, 120)])
def test_lines_are_aligned_and_fit_the_terminal(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", str(columns))
    long = Check("memory", "bad", "found " * 40, "advise " * 40)
    monkeypatch.setattr(doctor, "examine", lambda *_: [long, Check("camera module", "absent", "found")])
    lines = CliRunner().invoke(app, ["doctor"]).output.splitlines()
    findings = lines[lines.index("") + 1 : -2]
    assert width - 10 < max(map(len, lines)) <= width
    assert findings[0].startswith("bad      memory         found")
    assert findings[-1] == "-        camera module  found"
    assert {line.index(line.strip()) for line in findings[1:-1]} == {24, 27}
    assert sum(line.strip().startswith("-> advise") for line in findings) == 1
