"""Video4Linux devices: which there are, what their drivers report, and which programs use them.

The only module that knows V4L2: camera `usb` finds its device here, and `edge doctor` describes all devices. `root` is
the folder that stands for /; a test passes one with the files of a Raspberry Pi.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.system.file_access import NO_WAIT
from edge.system.sysfs import ROOT, read_text

# The Pi's own camera receivers, image processors and codecs report that they capture video. Their images are raw sensor
# data, or come from another device.
NON_CAMERA_DRIVERS = ("unicam", "bcm2835-isp", "rp1-cfe", "pisp", "rpi-hevc-dec", "bcm2835-codec")
# Of these, the receivers: they exist only if a camera module was detected at boot.
RECEIVER_DRIVERS = ("unicam", "rp1-cfe")
MAX_FORMATS = 64  # more than any camera has; bounds a driver whose list never ends

# ioctls and flags of linux/videodev2.h.
_VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32sIII12x")  # driver, card, bus, version, capabilities: device's, node's
_VIDIOC_ENUM_FMT = 0xC0405602
_FORMAT_DESCRIPTION = struct.Struct("=III32s4s16x")  # index, buffer type, flags, description, FourCC
_BUFFER_TYPE_VIDEO_CAPTURE = 1
_CAP_VIDEO_CAPTURE, _CAP_DEVICE_CAPS = 0x00000001, 0x80000000
_BIG_ENDIAN = 0x80  # highest bit of a FourCC


@dataclass(frozen=True, slots=True)
class VideoNode:
    """One /dev/video*, as its driver describes it."""

    path: Path
    name: str  # of the camera, from the driver; the kernel's name for the node if the driver did not answer
    driver: str | None  # None: did not answer
    captures: bool  # delivers images; the second node of a webcam only delivers their metadata
    formats: tuple[str, ...]  # FourCC codes, in the driver's order of preference
    accessible: bool  # this user may read and write it

    @property
    def is_camera(self) -> bool:
        """Whether camera `usb` can read it."""
        return self.captures and not (self.driver or "").startswith(NON_CAMERA_DRIVERS)


def video_nodes(root: Path = ROOT) -> list[VideoNode]:
    """Return all /dev/video* in the order of their numbers. Drivers are only queried, no capture is started."""
    paths = [path for path in root.glob("dev/video*") if path.name[5:].isdecimal()]
    return [query(path, root) for path in sorted(paths, key=lambda path: int(path.name[5:]))]


def query(path: Path, root: Path = ROOT) -> VideoNode:
    """Return the device at `path` as its driver describes it."""
    accessible = os.access(path, os.R_OK | os.W_OK)
    name = read_text(root / "sys/class/video4linux" / path.name / "name") or path.name
    try:
        # A FIFO in place of a device would wait for a writer.
        with open(path, "rb", buffering=0, opener=lambda file, flags: os.open(file, flags | NO_WAIT)) as device:
            answer = bytearray(_CAPABILITY.size)
            _ioctl(device, _VIDIOC_QUERYCAP, answer)
            driver, card, _, _, device_flags, node_flags = _CAPABILITY.unpack(answer)
            flags = node_flags if device_flags & _CAP_DEVICE_CAPS else device_flags
            captures = bool(flags & _CAP_VIDEO_CAPTURE)
            formats = tuple(_formats(device)) if captures else ()
            return VideoNode(path, _decode(card) or name, _decode(driver), captures, formats, accessible)
    except OSError:
        return VideoNode(path, name, None, False, (), accessible)


def processes_using(path: Path, root: Path = ROOT) -> tuple[dict[int, str], int]:
    """Return the other processes that have `path` open, process ID -> name, and how many could not be inspected."""
    found, uninspected, target = {}, 0, os.path.realpath(path)
    for process in root.glob("proc/[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == target for link in (process / "fd").iterdir()):
                found[int(process.name)] = read_text(process / "comm") or "?"
        except PermissionError:
            uninspected += bool(read_text(process / "cmdline"))  # kernel threads have none, and open no device
        except OSError:  # the process has ended
            continue
    return found, uninspected


def _formats(device: BinaryIO) -> Iterator[str]:
    for index in range(MAX_FORMATS):
        answer = bytearray(_FORMAT_DESCRIPTION.pack(index, _BUFFER_TYPE_VIDEO_CAPTURE, 0, b"", b""))
        try:
            _ioctl(device, _VIDIOC_ENUM_FMT, answer)
        except OSError:  # EINVAL: the list has ended
            return
        code: bytes = _FORMAT_DESCRIPTION.unpack(answer)[4]
        name = _decode(code[:3] + bytes([code[3] & ~_BIG_ENDIAN])).strip()
        yield f"{name}-BE" if code[3] & _BIG_ENDIAN else name


def _ioctl(device: BinaryIO, request: int, answer: bytearray) -> None:
    if sys.platform != "linux":
        raise OSError(errno.ENOTTY, "only Linux has Video4Linux")
    import fcntl

    fcntl.ioctl(device, request, answer)


def _decode(text: bytes) -> str:
    return text.split(b"\0")[0].decode(errors="replace")
