"""Checks of the cameras: permission, USB cameras, camera module, picamera2, and a frame."""

from __future__ import annotations

import getpass
import importlib.util
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from edge.capture import v4l2
from edge.capture.v4l2 import VideoNode
from edge.config.secrets import hide_passwords
from edge.diagnostics.check import NOT_AVAILABLE, Check, describe_error
from edge.system.sysfs import ROOT

FRAME_TIMEOUT_SECONDS = 20.0  # OpenCV gives up after 10, and a camera module takes some seconds to start
MAX_FORMATS_SHOWN = 6  # a webcam has two or three, a test driver sixty
OWN_PROCESS = "edge"  # name of the process that may use a camera
VIDEO_GROUP = "video"  # of Linux, whose members may use cameras


def check_cameras(is_pi: bool, root: Path = ROOT) -> list[Check]:
    """Check every video device. `is_pi`: the machine is a Raspberry Pi; `root` is the folder that stands for /."""
    nodes = v4l2.video_nodes(root)
    usb_cameras = [_check_camera(node, root) for node in nodes if node.is_camera]
    receiver = next((node for node in nodes if (node.driver or "").startswith(v4l2.RECEIVER_DRIVERS)), None)
    checks = [*usb_cameras, check_camera_module(receiver, is_pi), check_picamera2(is_pi, root)]
    denied = [node.path for node in nodes if not node.accessible]
    if denied:
        more = f" and {len(denied) - 1} more" if denied[1:] else ""
        message = f"{getpass.getuser()} may not read and write {denied[0]}{more}"
        checks.insert(0, Check("permission", "error", message, join_group_advice(device_group(denied[0]))))
    elif not usb_cameras and receiver is None:
        if sys.platform != "linux":
            message = "this system does not list its cameras; 'edge run usb:0' opens the first one"
            return [*checks, Check("cameras", "unavailable", message)]
        message = "none was found; the synthetic camera needs none"
        advice = "connect one (a ribbon cable only with the power off), or use 'edge run synthetic'"
        checks.insert(0, Check("cameras", "warning", message, advice))
    return checks


def device_group(path: Path) -> str:
    """Return the group that may use the device at `path`; VIDEO_GROUP where a user cannot join that group."""
    if sys.platform == "win32":
        return VIDEO_GROUP
    try:
        group = path.group()
    except (OSError, KeyError):  # KeyError: a group without a name
        return VIDEO_GROUP
    return VIDEO_GROUP if group == "root" else group


def join_group_advice(group: str, user: str | None = None) -> str:
    """Return how `user` (None: the present one) gets the permissions of `group`."""
    user = user or getpass.getuser()
    is_member = False
    with suppress(ImportError, KeyError):  # no such group
        import grp

        is_member = sys.platform != "win32" and user in grp.getgrnam(group).gr_mem
    if is_member:
        return f"log out and in again: {user} was added to group {group} after this login"
    return f"sudo usermod -aG {group} {user}, then log out and in again"


def _check_camera(node: VideoNode, root: Path) -> Check:
    more = f" and {len(node.formats) - MAX_FORMATS_SHOWN} more" if node.formats[MAX_FORMATS_SHOWN:] else ""
    message = f"{node.name} ({node.driver}), formats {', '.join(node.formats[:MAX_FORMATS_SHOWN]) or 'none'}{more}"
    users, uninspected = v4l2.processes_using(node.path, root)
    if users:
        message += "; used by " + ", ".join(f"{name} (process {number})" for number, name in users.items())
    if uninspected:
        message += f"; {uninspected} processes of other users could not be inspected, use 'sudo' to include them"
    others = [str(number) for number, name in users.items() if name != OWN_PROCESS]
    if others:
        return Check(str(node.path), "warning", message, f"end the programs that use it: kill {' '.join(others)}")
    return Check(str(node.path), "ok", message)


def check_camera_module(receiver: VideoNode | None, is_pi: bool) -> Check:
    """Check the camera module; `receiver` is its node, which exists only if the kernel found one."""
    if receiver is not None:
        return Check("camera module", "ok", f"detected by the kernel ({receiver.driver} at {receiver.path})")
    message = "none was detected; see 'rpicam-hello --list-cameras'" if is_pi else NOT_AVAILABLE
    return Check("camera module", "unavailable", message)


def check_picamera2(is_pi: bool, root: Path = ROOT) -> Check:
    """Check that this Python can import picamera2, without importing it: that would start the camera's software."""
    missing = [name for name in ("picamera2", "libcamera") if importlib.util.find_spec(name) is None]
    if not missing:
        return Check("picamera2", "ok", "picamera2 and libcamera can be imported")
    if not is_pi:
        return Check("picamera2", "unavailable", NOT_AVAILABLE)
    installed = any((root / "usr/lib/python3/dist-packages" / name).is_dir() for name in missing)
    install = "" if installed else "sudo apt install python3-picamera2, then "
    advice = f"{install}create the environment with --system-site-packages, as scripts/run.sh does"
    return Check("picamera2", "warning", f"this Python cannot import {' and '.join(missing)}", advice)


def check_frame(source: str, timeout: float = FRAME_TIMEOUT_SECONDS) -> Check:
    """Read one frame of `source`, in a thread that is abandoned when the camera hangs for `timeout` seconds."""
    answers: SimpleQueue[str | Exception] = SimpleQueue()

    def read() -> None:
        try:
            from edge.capture import registry as cameras

            with closing(cameras.frames(source)) as frames:
                height, width = next(frames).gray.shape
            answers.put(f"{width} x {height} pixels")
        except StopIteration:
            answers.put(OSError("ended without a frame"))
        except Exception as error:  # noqa: BLE001 (an exception in this thread would be lost)
            answers.put(error)

    start = time.perf_counter()
    threading.Thread(target=read, name="doctor frame", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except Empty:
        answer = TimeoutError(f"no frame within {timeout:g} seconds")
    source = hide_passwords(source)
    if isinstance(answer, Exception):
        return Check("frame", "error", f"{source}: {describe_error(answer)}", "see the checks of the cameras above")
    return Check("frame", "ok", f"{source}: {answer} after {time.perf_counter() - start:.1f} s")
