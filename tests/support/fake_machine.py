"""The files, the programs and the video devices of a Raspberry Pi, in a folder that stands for /."""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path

PI_MODEL = "Raspberry Pi 5 Model B Rev 1.0"
CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
THERMAL_ZONE = "sys/class/thermal/thermal_zone0"
# Of a Raspberry Pi 5 with 4 GB and Raspberry Pi OS Bookworm, shortened.
PI_FILES = {
    "proc/device-tree/model": f"{PI_MODEL}\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm\n",
    "proc/meminfo": "MemTotal:        4146176 kB\nMemFree:          300000 kB\nMemAvailable:    3500000 kB\n",
    "proc/self/status": "Name:\tedge\nVmPeak:\t  900000 kB\nVmHWM:\t  120000 kB\nVmRSS:\t  100000 kB\n",
    "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-2712\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    f"{CPUFREQ}/scaling_governor": "ondemand\n",
    f"{CPUFREQ}/scaling_driver": "cpufreq-dt\n",
    f"{CPUFREQ}/scaling_cur_freq": "1500000\n",
    f"{CPUFREQ}/cpuinfo_max_freq": "2400000\n",
    f"{THERMAL_ZONE}/type": "cpu-thermal\n",
    f"{THERMAL_ZONE}/temp": "54350\n",
    "run/systemd/timesync/synchronized": "",
}

# Driver, card, capabilities of the device, capabilities of the node, formats.
Driver = tuple[bytes, bytes, int, int, tuple[bytes, ...]]
WEBCAM: Driver = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04200001, (b"MJPG", b"YUYV"))
WEBCAM_METADATA: Driver = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04A00000, ())  # its second node
RECEIVER: Driver = (b"rp1-cfe", b"rp1-cfe", 0xA4A00001, 0x24200001, (b"pRAA", b"Y16\xa0"))
CODEC: Driver = (b"bcm2835-codec", b"bcm2835-codec-decode", 0x84204000, 0x04204000, (b"H264",))


def write_files(root: Path, files: dict[str, str]) -> Path:
    """Write `files`, path -> text, below `root`; return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def write_program(folder: Path, name: str, script: str) -> None:
    """Put a program into `folder` that runs the shell's `script`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def fake_drivers(monkeypatch, drivers: dict[str, Driver]) -> None:
    """Answer the V4L2 ioctls of each file that has a name in `drivers`."""

    def ioctl(device, request, buffer):
        driver, card, device_flags, node_flags, formats = drivers[Path(device.name).name]
        if request == 0x80685600:  # VIDIOC_QUERYCAP, which writes 104 bytes
            assert len(buffer) == 104
            buffer[:48] = driver.ljust(16, b"\0") + card.ljust(32, b"\0")
            buffer[84:92] = struct.pack("=II", device_flags, node_flags)
        else:
            assert (request, len(buffer)) == (0xC0405602, 64)  # VIDIOC_ENUM_FMT
            index, buffer_type = struct.unpack_from("=II", buffer)
            assert buffer_type == 1  # video capture
            if index >= len(formats):
                raise OSError(22, "Invalid argument")
            buffer[12:44] = b"a description".ljust(32, b"\0")
            buffer[44:48] = formats[index]

    monkeypatch.setattr(fcntl, "ioctl", ioctl)


def fake_picamera2(folder: Path, monkeypatch) -> None:
    """Let Python find picamera2 and libcamera in `folder`; importing them would start the camera: an error."""
    for name in ("picamera2", "libcamera"):
        write_files(folder, {f"{name}/__init__.py": "raise SystemExit('was imported')"})
    monkeypatch.syspath_prepend(str(folder))
