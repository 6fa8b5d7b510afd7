"""Reads the small text files of /proc and /sys. A file that is missing, unreadable or malformed gives None."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/")  # functions take another folder in its place: tests pass one with the files of a board


def read_text(path: Path) -> str | None:
    """Return the content of the file at `path` without the NUL bytes that end texts of a device tree."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """Return the decimal number that is the content of the file at `path`."""
    text = read_text(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def read_field(path: Path, key: str) -> str | None:
    """Return the value of the first line `key: value` of the file at `path`."""
    match = re.search(rf"^{key}\s*:\s*(.+)$", read_text(path) or "", re.MULTILINE)
    return match[1].strip() if match else None


def read_megabytes(path: Path, key: str) -> float | None:
    """Return in MB (10^6 bytes) the field `key`, which the kernel gives in kB (1,024 bytes)."""
    match = re.match(r"(\d+) kB", read_field(path, key) or "")
    return round(int(match[1]) * 1024e-6, 1) if match else None
