"""What a run may be told, each with its range and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge.card import shipped_model
from edge.errors import SettingsError

DEFAULT_SINKS = ("console",)


@dataclass(frozen=True)
class RunSettings:
    """The settings of `edge run`. Raises SettingsError naming the one that is out of range."""

    source: str | None = None  # None: a camera if there is one, else the synthetic one
    sinks: tuple[str, ...] = DEFAULT_SINKS
    model: Path = field(default_factory=shipped_model)
    frames: int | None = None  # end after so many
    seconds: float | None = None  # end after so long
    min_face: int = 30  # pixels; a face of fewer tells little: the model was trained on 48
    unsure: float | None = None  # confidence below which no label is given; None: what the model's card says
    cascade: Path | None = None  # of OpenCV's; None: the built-in one, the best of those that OpenCV brings
    max_fps: float | None = None  # None: as many as the camera gives
    idle_fps: float | None = 5.0  # of a camera while nobody is there; None: no idling
    half_life: float = 0.6  # seconds; a real change shows sooner all the same, see edge/steady.py
    threads: int = 1  # of model and search each: more were slower on a busy machine

    def __post_init__(self) -> None:
        _require(self.frames is None or self.frames >= 1, "frames", self.frames, "1 or more")
        _require(self.seconds is None or self.seconds > 0, "seconds", self.seconds, "more than 0")
        _require(16 <= self.min_face <= 640, "min_face", self.min_face, "16 to 640 pixels")
        _require(self.unsure is None or 0 <= self.unsure <= 1, "unsure", self.unsure, "0 to 1")
        for name, fps in (("max_fps", self.max_fps), ("idle_fps", self.idle_fps)):
            _require(fps is None or 0.1 <= fps <= 1000, name, fps, "0.1 to 1000 frames a second")
        _require(0 <= self.half_life <= 60, "half_life", self.half_life, "0 to 60 seconds")
        _require(1 <= self.threads <= 64, "threads", self.threads, "1 to 64")


def _require(fits: bool, name: str, found: object, expected: str) -> None:
    if not fits:
        raise SettingsError(f"{name} is {found}, expected {expected}")
