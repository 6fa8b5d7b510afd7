"""What is wrong with this machine, and what to do about it: facts of `edge.system.machine`, judged one by one.

A check is a function that returns its line. What a machine does not have, as a PC has no under-voltage bits, is absent:
neither good nor bad. To add a check, write its function and name it in `examine`.
"""

from __future__ import annotations

import getpass
import grp
import importlib.util
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from edge.diagnostics.environment import installed_version
from edge.errors import EmotionEdgeError
from edge.inference import model_file
from edge.system import machine, systemd
from edge.system.machine import BROKEN, ROOT, VideoNode

Status = Literal["good", "warning", "bad", "absent"]

# Raspberry Pi's documentation ("Frequency management and thermal control"): from 80 degrees C the Arm cores are
# slowed down step by step, at 85 the GPU too. (The 3B+ has a soft limit of 60 besides; the firmware's bits tell that.)
HOT_C, WARM_C = 80.0, 70.0
MEMORY_MB = 200, 100  # below the first a warning, below the second bad: `edge run` took 116 on x86-64
DISK_MB = 200, 50  # a minute of annotated video of the synthetic camera took 6
OLDEST_YEAR = 2024  # this program is younger: an earlier clock is one that was never set
FRAME_SECONDS = 20.0  # OpenCV gives a camera up after 10, and a camera module takes some seconds to start
SHOWN_FORMATS = 6  # a webcam has two or three, a test driver sixty
DYNAMIC_POWERSAVE = ("intel_pstate", "amd-pstate-epp")  # whose `powersave` goes up to the full clock all the same

OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
# The environment that scripts/run.sh makes has no pip.
_ANEW = ", or delete .venv and let scripts/run.sh make it anew"
_INSTALL_OPENCV = f"pip install --force-reinstall 'opencv-python-headless<5'{_ANEW}"
_INSTALL_RUNTIME = f"pip install --force-reinstall ai-edge-litert{_ANEW}"
_SYMBOL = {"good": "good", "warning": "warning", "bad": "bad", "absent": "-"}
_NOT_HERE = "not available here"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the findings."""

    name: str
    status: Status
    found: str
    advice: str = ""  # what to do; empty where nothing is to be done


def examine(found: dict[str, Any], model: Path, source: str | None = None, root: Path = ROOT) -> list[Check]:
    """Return all checks of a machine.

    Args:
        found: its `machine.facts`.
        model: the model file to load and run once.
        source: a camera to take one frame from, as `edge run` names it; None: no camera is opened for capturing.
        root: the folder that stands for /.
    """
    runtime = _safely("runtime", lambda: _runtime(found["versions"]))
    runs = all(check.status == "good" for check in runtime)
    return [
        *_safely("python", _python),
        *_safely("opencv", _opencv),
        *_safely("face search", _face_search),
        *runtime,
        *_safely("model", lambda: _model(model, found["versions"]["runtime"], runs)),
        *_safely("cameras", lambda: _cameras(_is_pi(found), root)),
        *(_safely("frame", lambda: _frame(source)) if source else ()),
        *_safely("temperature", lambda: _temperature(found["temperature_c"], _is_pi(found))),
        *_safely("power", lambda: _throttling(found["throttling"])),
        *_safely("governor", lambda: _governor(found["governor"], found["clock_driver"])),
        *_safely("memory", lambda: _memory(found["memory_available_mb"], found["memory_mb"])),
        *_safely("disk", lambda: _disk(found["disk_free_mb"])),
        *_safely("clock", lambda: _clock(datetime.now(UTC), machine.clock_synchronized(root))),
        *_safely("service", lambda: _service(systemd.service_properties())),
    ]


def overall(checks: Iterable[Check]) -> Status:
    """Return the worst of good, warning and bad."""
    states = {check.status for check in checks}
    return "bad" if "bad" in states else "warning" if "warning" in states else "good"


def text(found: dict[str, Any], checks: Sequence[Check], width: int) -> str:
    """Return the machine and its `checks` as lines of at most `width` characters.

    A check's line has status, name and what was found; the advice stands below it.
    """
    names = max(len(check.name) for check in checks)
    lines = [*textwrap.wrap(machine.describe(found), width), ""]
    for check in checks:
        head = f"{_SYMBOL[check.status]:8} {check.name:{names}}  "
        rest = " " * len(head)
        lines += textwrap.wrap(check.found, width, initial_indent=head, subsequent_indent=rest, break_on_hyphens=False)
        if check.advice:
            lines += textwrap.wrap(
                f"-> {check.advice}", width, initial_indent=rest, subsequent_indent=rest + "   ", break_on_hyphens=False
            )
    return "\n".join([*lines, "", _summary(checks)])


def _summary(checks: Sequence[Check]) -> str:
    bad, warnings = (sum(check.status == status for check in checks) for status in ("bad", "warning"))
    return f"{bad or 'nothing'} bad, {warnings or 'no'} warning" + "s" * (warnings != 1)


def _safely(name: str, step: Callable[[], Check | list[Check]]) -> list[Check]:
    """Return what `step` finds. On a machine that is broken in a way that nobody thought of, the others still count."""
    try:
        checks = step()
    except Exception as error:  # noqa: BLE001 (the finding is the error)
        return [Check(name, "bad", f"the check itself failed: {_said(error)}", "tell the makers of emotion-edge")]
    return checks if isinstance(checks, list) else [checks]


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) if isinstance(error, EmotionEdgeError | OSError) else repr(error)


def _is_pi(found: dict[str, Any]) -> bool:
    return (found["board"] or "").startswith("Raspberry Pi")


# Programs


def _python(version: tuple[int, int] = sys.version_info[:2], bits: int = 64 if sys.maxsize > 2**32 else 32) -> Check:
    found = f"{version[0]}.{version[1]}, {bits} bit"
    if not (3, 11) <= version <= (3, 13):
        return Check("python", "bad", found, "make the environment with Python 3.11, 3.12 or 3.13")
    if bits == 32:
        advice = "install the 64-bit Raspberry Pi OS: 32 bit has an old, slower runtime, and only for Python 3.11"
        return Check("python", "warning", found, advice)
    return Check("python", "good", found)


def _opencv() -> Check:
    packages = [name for name in OPENCV if installed_version(name)]
    try:
        import cv2

        version = cv2.__version__
    except BROKEN as error:
        return Check("opencv", "bad", f"does not load: {error}", _INSTALL_OPENCV)
    found = f"{version} ({', '.join(packages) or 'of no package'})"
    if int(version.split(".")[0]) >= 5:
        return Check("opencv", "bad", f"{found}: version 5 has no Haar face search any more", _INSTALL_OPENCV)
    if len(packages) > 1:
        advice = f"pip uninstall -y {' '.join(packages)}; {_INSTALL_OPENCV}"
        return Check("opencv", "warning", f"{found}: these overwrite each other's files", advice)
    return Check("opencv", "good", found)


def _face_search() -> Check:
    try:
        from edge.detection.haar import DEFAULT_CASCADE, HaarDetector

        HaarDetector()
    except EmotionEdgeError as error:
        return Check("face search", "bad", _said(error), _INSTALL_OPENCV)
    except BROKEN:
        return Check("face search", "absent", "needs OpenCV")
    return Check("face search", "good", f"{DEFAULT_CASCADE} loads")


def _runtime(versions: dict[str, str | None]) -> Check:
    if versions["opencv"] is None:  # the classifier prepares its images with it
        return Check("runtime", "absent", "needs OpenCV")
    try:
        from edge.inference.classifier import runtime
        from edge.system.native_output import suppress_native_output

        with suppress_native_output(2):
            runtime()
    except (EmotionEdgeError, *BROKEN) as error:
        return Check("runtime", "bad", f"none that loads: {error}", _INSTALL_RUNTIME)
    found = f"{versions['runtime']} {versions['runtime_version']} with numpy {versions['numpy']}"
    if versions["runtime"] == "tflite-runtime" and int((versions["numpy"] or "1").split(".")[0]) >= 2:
        advice = f"pip install 'numpy<2' 'opencv-python-headless<4.12'{_ANEW}"
        return Check("runtime", "bad", f"{found}: it was made for numpy 1 and runs no model with this one", advice)
    return Check("runtime", "good", found)


def _model(path: Path, runtime: str | None, runs: bool) -> list[Check]:
    try:
        _, about = model_file.load(path)
    except EmotionEdgeError as error:
        return [Check("model", "bad", _said(error), "copy the file again, or name another with --model")]
    found = f"{path.name} ({about.name}), {len(about.labels)} labels"
    if not runs:
        return [Check("model", "absent", f"{found}; not run: it needs the runtime")]
    from edge.inference.classifier import Classifier

    try:
        classifier = Classifier(path)
        seconds = _seconds_for_a_gray_image(classifier)
    except (EmotionEdgeError, *BROKEN) as error:
        return [Check("model", "bad", f"{found}: {_said(error)}", "make it anew with 'trainer quantize'")]
    interpreter = classifier._interpreter  # noqa: SLF001 (nothing else can tell what it runs on)
    return [
        Check("model", "good", f"{found}; a gray image is read in {1000 * seconds:.1f} ms"),
        _kernels(interpreter, runtime),
    ]


def _seconds_for_a_gray_image(classifier: Any) -> float:
    import numpy as np

    from edge.types import Box

    face = classifier.prepare(np.full((480, 640), 128, np.uint8), Box(200, 120, 240, 240))
    classifier.classify(face)  # the first one sets up buffers
    start = time.perf_counter()
    classifier.classify(face)
    return time.perf_counter() - start


def _kernels(interpreter: Any, runtime: str | None) -> Check:
    """Tell which kernels compute the model. We hand over no delegate, so one that is there is XNNPACK, the built-in."""
    listing: Callable[[], list[dict[str, Any]]] = getattr(interpreter, "_get_ops_details", list)  # not public
    operations = listing()
    if not operations:
        return Check("kernels", "absent", "this runtime does not tell which")
    taken, whole = _delegated(operations, [int(each["index"]) for each in interpreter.get_output_details()])
    if taken:
        return Check("kernels", "good", f"XNNPACK computes {taken} of {whole} operations")
    found = f"the plain ones of {runtime}, no XNNPACK"
    if runtime == "tflite-runtime":  # has XNNPACK, and does not use it for int8
        return Check("kernels", "good", found)
    return Check("kernels", "warning", f"{found}: slower", _INSTALL_RUNTIME)


def _delegated(operations: Sequence[dict[str, Any]], outputs: Iterable[int]) -> tuple[int, int]:
    """Return how many operations a delegate computes, and how many there are.

    The list keeps those that a delegate has replaced. What is really run is found by going back from the `outputs`,
    through the delegate wherever it gives a tensor.
    """
    plain = [each for each in operations if each["op_name"] != "DELEGATE"]
    delegates = [each for each in operations if each["op_name"] == "DELEGATE"]
    maker = {int(tensor): each for each in [*plain, *delegates] for tensor in each["outputs"]}
    left, seen, wanted = 0, set(), list(outputs)
    while wanted:
        each = maker.get(wanted.pop())
        if each is not None and each["index"] not in seen:
            seen.add(each["index"])
            left += each["op_name"] != "DELEGATE"
            wanted += [int(tensor) for tensor in each["inputs"]]
    return (len(plain) - left if delegates else 0), len(plain)


# Cameras


def _cameras(is_pi: bool, root: Path) -> list[Check]:
    nodes = machine.video_nodes(root)
    cameras = [_camera(node, root) for node in nodes if node.is_camera]
    module = next((node for node in nodes if (node.driver or "").startswith(machine.RECEIVERS)), None)
    checks = [*_permission(nodes), *cameras, _camera_module(module, is_pi), _picamera2(is_pi, root)]
    if not cameras and module is None and all(node.allowed for node in nodes):
        advice = "plug one in (a ribbon cable only with the power off), or use 'edge run synthetic'"
        checks.insert(0, Check("cameras", "warning", "none was found; the synthetic camera works all the same", advice))
    return checks


def _permission(nodes: Sequence[VideoNode]) -> list[Check]:
    denied = [node.path for node in nodes if not node.allowed]
    if not denied:
        return []
    more = f" and {len(denied) - 1} more" if denied[1:] else ""
    found = f"{getpass.getuser()} may not read and write {denied[0]}{more}"
    return [Check("permission", "bad", found, _way_in(_group(denied[0])))]


def _group(path: Path) -> str:
    """Return the group that may use the device at `path`; Linux' own, `video`, where that is nobody's to join."""
    try:
        group = path.group()
    except (OSError, KeyError):  # a group without a name
        return "video"
    return "video" if group == "root" else group


def _way_in(group: str, user: str | None = None) -> str:
    user = user or getpass.getuser()
    try:
        member = user in grp.getgrnam(group).gr_mem
    except KeyError:
        member = False
    again = "log out and in again"
    return f"{again}: {user} is in group {group} since" if member else f"sudo usermod -aG {group} {user}, then {again}"


def _camera(node: VideoNode, root: Path) -> Check:
    more = f" and {len(node.formats) - SHOWN_FORMATS} more" if node.formats[SHOWN_FORMATS:] else ""
    found = f"{node.name} ({node.driver}), gives {', '.join(node.formats[:SHOWN_FORMATS]) or 'no formats'}{more}"
    users, unseen = machine.holders(node.path, root)
    if users:
        found += "; in use by " + ", ".join(f"{name} (process {number})" for number, name in users.items())
    if unseen:
        found += f"; {unseen} processes of others could not be looked into, 'sudo' shows whether they use it"
    strangers = [str(number) for number, name in users.items() if name != "edge"]  # ours may have it
    if strangers:
        return Check(str(node.path), "warning", found, f"end what uses it: kill {' '.join(strangers)}")
    return Check(str(node.path), "good", found)


def _camera_module(receiver: VideoNode | None, is_pi: bool) -> Check:
    if receiver is not None:
        return Check("camera module", "good", f"the kernel has found one ({receiver.driver} at {receiver.path})")
    found = "none found; 'rpicam-hello --list-cameras' tells more" if is_pi else _NOT_HERE
    return Check("camera module", "absent", found)


def _picamera2(is_pi: bool, root: Path) -> Check:
    missing = [name for name in ("picamera2", "libcamera") if importlib.util.find_spec(name) is None]
    if not missing:
        return Check("picamera2", "good", "picamera2 and libcamera are there")
    if not is_pi:
        return Check("picamera2", "absent", _NOT_HERE)
    unseen = any((root / "usr/lib/python3/dist-packages" / name).is_dir() for name in missing)
    install = "" if unseen else "sudo apt install python3-picamera2, then "
    advice = f"{install}make the venv with --system-site-packages, as scripts/run.sh does"
    return Check("picamera2", "warning", f"this Python has no {' and no '.join(missing)}", advice)


def _frame(source: str, limit: float = FRAME_SECONDS) -> Check:
    """Take one frame of `source`, in a thread that is left behind when the camera hangs."""
    answers: SimpleQueue[str | Exception] = SimpleQueue()
    start = time.perf_counter()
    threading.Thread(target=_take, args=(source, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except Empty:
        answer = TimeoutError(f"no frame within {limit:g} seconds")
    if isinstance(answer, Exception):
        return Check("frame", "bad", f"{source}: {_said(answer)}", "see what is said of the cameras above")
    return Check("frame", "good", f"{source}: {answer} after {time.perf_counter() - start:.1f} s")


def _take(source: str, answers: SimpleQueue[str | Exception]) -> None:
    try:
        from edge.capture import registry as cameras

        with closing(cameras.frames(source)) as frames:
            height, width = next(frames).gray.shape
        answers.put(f"{width} x {height} pixels")
    except StopIteration:
        answers.put(OSError("it ended without an image"))
    except Exception as error:  # noqa: BLE001 (raised in a thread nobody would hear of it)
        answers.put(error)


# The board


def _temperature(degrees: float | None, is_pi: bool) -> Check:
    if degrees is None:
        return Check("temperature", "absent", _NOT_HERE)
    found = f"{degrees:.0f} degrees C"
    if degrees < WARM_C:
        return Check("temperature", "good", found)
    advice = "give the board a heat sink or a fan, and free air"
    if degrees < HOT_C or not is_pi:  # a PC's processor is made for more
        return Check("temperature", "warning", found, advice)
    return Check("temperature", "bad", f"{found}: from {HOT_C:.0f} on a Raspberry Pi slows itself down", advice)


def _throttling(bits: dict[str, list[str]] | None) -> Check:
    if bits is None:
        return Check("power", "absent", _NOT_HERE)
    now, since_boot = bits["now"], bits["since_boot"]
    if not now and not since_boot:
        return Check("power", "good", "no under-voltage and no throttling since boot")
    said = [f"now: {', '.join(now)}"] * bool(now) + [f"since boot: {', '.join(since_boot)}"] * bool(since_boot)
    return Check("power", "bad" if now else "warning", "; ".join(said), _relief({*now, *since_boot}))


def _relief(words: set[str]) -> str:
    power = "use the power supply made for this board and a short, thick cable"
    cool = "give the board a heat sink or a fan, and free air"
    heat = "soft temperature limit" in words or "under-voltage" not in words
    return "; ".join([power] * ("under-voltage" in words) + [cool] * heat)


def _governor(governor: str | None, driver: str | None) -> Check:
    if governor is None:
        return Check("governor", "absent", _NOT_HERE)
    if governor == "powersave" and driver not in DYNAMIC_POWERSAVE:
        advice = "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        return Check("governor", "warning", "powersave: the CPU stays at its lowest clock", advice)
    return Check("governor", "good", governor)


def _memory(available: float | None, whole: float | None) -> Check:
    if available is None or whole is None:
        return Check("memory", "absent", _NOT_HERE)
    found = f"{available:.0f} MB available of {whole:.0f}"
    return _enough("memory", available, MEMORY_MB, found, "end what needs it (see 'top'), or use a board with more")


def _disk(free: float | None) -> Check:
    if free is None:
        return Check("disk", "absent", _NOT_HERE)
    return _enough("disk", free, DISK_MB, f"{free:.0f} MB free for the working folder", "delete what is not needed")


def _enough(name: str, value: float, limits: tuple[float, float], found: str, advice: str) -> Check:
    if value >= limits[0]:
        return Check(name, "good", found)
    return Check(name, "warning" if value >= limits[1] else "bad", found, advice)


def _clock(now: datetime, synchronized: bool | None) -> Check:
    found, advice = f"{now:%Y-%m-%d %H:%M} UTC", "sudo timedatectl set-ntp true, and a way to a time server"
    if now.year < OLDEST_YEAR:
        return Check("clock", "bad", f"{found}: it was never set", advice)
    if synchronized is False:
        return Check("clock", "warning", f"{found} (time server: none has set it)", advice)
    return Check("clock", "good", f"{found} (time server: {'yes' if synchronized else _NOT_HERE})")


def _service(unit: dict[str, str] | None) -> Check:
    if unit is None:
        return Check("service", "absent", _NOT_HERE)
    if unit.get("LoadState") == "not-found":
        return Check("service", "absent", "not installed")
    state, detail = unit.get("ActiveState", "unknown"), unit.get("SubState", "")
    restarts = int(re.sub(r"\D", "", unit.get("NRestarts", "")) or 0)
    found = f"{state} ({detail}), restarted {restarts} times, last result {unit.get('Result', 'unknown')}"
    log = f"journalctl -u {systemd.SERVICE_UNIT} -n 50"
    if state == "failed" or detail == "auto-restart":
        return Check("service", "bad", found, log)
    if state != "active":
        return Check("service", "warning", found, f"sudo systemctl start {systemd.SERVICE_UNIT}; {log}")
    return Check("service", "warning" if restarts else "good", found, log if restarts else "")
