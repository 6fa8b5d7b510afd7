"""Runs a small system program for its output."""

from __future__ import annotations

import shutil
import subprocess

TIMEOUT_SECONDS = 2.0  # for a program that answers in milliseconds, or hangs because the firmware does


def output_of(program: str, *arguments: str, timeout: float = TIMEOUT_SECONDS) -> str | None:
    """Return the standard output of `program`, None if it is not installed, fails, or takes `timeout` seconds."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        result = subprocess.run(
            [path, *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.decode(errors="replace") if result.returncode == 0 else None
