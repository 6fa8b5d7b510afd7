"""How the run and the board are doing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from edge.sinks.web.run_in_thread import apart
from edge.sinks.web.run_state import Watch
from edge.system import machine

BOARD_SECONDS = 5.0  # between two looks at the board: on a Raspberry Pi each starts a program of the firmware's


@dataclass(frozen=True, slots=True)
class Board:
    """None: not available."""

    temperature: float | None = None  # degrees C
    throttling: dict[str, list[str]] | None = None  # "now" and "since_boot", see edge.system.machine
    resident: float | None = None  # memory of this process, MB


class Health:
    """The figures of `watch` and of the board, which is asked when somebody wants to know."""

    def __init__(self, watch: Watch, model: str) -> None:
        self._watch, self._model = watch, model
        self.version = machine.installed("emotion-edge")
        self.board = Board()
        self._asked = float("-inf")

    async def refresh(self) -> None:
        """Look at the board again, unless that was done just now."""
        now = time.monotonic()
        if now - self._asked >= BOARD_SECONDS:
            self._asked = now
            self.board = await apart(_board, native=False)

    def figures(self) -> dict[str, Any]:
        """Return all of it, ready for JSON; None where something is not available."""
        now, age = time.monotonic(), machine.process_age()
        rates, since = self._watch.rates(now), self._watch.since_frame(now)
        return {
            "fresh": self._watch.is_fresh(now),
            "since_frame_seconds": _rounded(since, 1),
            "camera_fps": round(rates.camera, 1),
            "process_fps": round(rates.process, 1),
            "skipped_fps": round(rates.skipped, 1),
            "frames": self._watch.frames,
            "skipped": self._watch.skipped,
            "age_ms": None if rates.age is None else round(rates.age * 1000, 1),
            "temperature_c": self.board.temperature,
            "throttling": self.board.throttling,
            "resident_mb": self.board.resident,
            "uptime_seconds": _rounded(age, 0),
            "model": self._model,
            "version": self.version,
        }


def _board() -> Board:
    return Board(machine.temperature(), machine.throttling(), machine.resident())


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
