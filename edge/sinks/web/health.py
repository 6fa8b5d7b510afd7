"""Health of the run and of the board."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import __version__
from edge.sinks.web.run_in_thread import run_in_thread
from edge.sinks.web.run_state import RunState
from edge.system import machine, process

BOARD_INTERVAL_SECONDS = 5.0  # between two reads: on a Raspberry Pi each starts a program of the firmware


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """What the board reports; None: not available."""

    temperature: float | None = None  # degrees C
    throttling: dict[str, list[str]] | None = None  # "now" and "since_boot", see edge.system.machine
    resident_mb: float | None = None  # memory of this process
    disk_free_mb: float | None = None  # of the working folder, where sinks with relative paths write


class HealthMonitor:
    """Combines the rates of `run_state` with the status of the board, which is read only when a client asks.

    Args:
        describe_model: returns name and version of the model in use.
    """

    def __init__(self, run_state: RunState, describe_model: Callable[[], str]) -> None:
        self._run_state = run_state
        self.describe_model = describe_model
        self.version = __version__
        self.board = BoardStatus()
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Read the board's status, unless that was done within BOARD_INTERVAL_SECONDS."""
        now = time.monotonic()
        if now - self._read_at >= BOARD_INTERVAL_SECONDS:
            self._read_at = now
            self.board = await run_in_thread(
                lambda: BoardStatus(
                    machine.cpu_temperature(),
                    machine.throttling(),
                    process.resident_mb(),
                    machine.disk_free_mb(Path()),
                ),
                native=False,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON; None where one is not available."""
        now = time.monotonic()
        rates, age = self._run_state.rates(now), self._run_state.last_frame_age(now)
        uptime = process.seconds_since_start()
        return {
            "receiving_frames": self._run_state.is_receiving_frames(now),
            "last_frame_age_seconds": None if age is None else round(age, 1),
            "camera_fps": round(rates.camera_fps, 1),
            "process_fps": round(rates.process_fps, 1),
            "skipped_fps": round(rates.skipped_fps, 1),
            "frames": self._run_state.stats.frames,
            "skipped": self._run_state.stats.skipped,
            "latency_ms": None if rates.latency is None else round(rates.latency * 1000, 1),
            "temperature_c": self.board.temperature,
            "throttling": self.board.throttling,
            "resident_mb": self.board.resident_mb,
            "uptime_seconds": None if uptime is None else round(uptime, 0),
            "model": self.describe_model(),
            "version": self.version,
        }
