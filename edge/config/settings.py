"""The settings of a run: name, type, default, range and reason of each, once.

The options of `edge run`, the keys of its configuration file (edge/config/toml_file.py) and the file's example are derived from
the fields of RunSettings. To add a setting, add a field, and its parameter in edge/cli/run.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edge.config.defaults import HALF_LIFE_SECONDS, IDLE_FPS, MIN_FACE_SIZE
from edge.config.models import shipped_model
from edge.errors import SettingsError

DEFAULT_SINKS = ("console",)


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """Documentation and range of a setting."""

    help: str  # what it does, in a sentence or two
    why: str = ""  # the reason of the default, or of the limits
    low: float | None = None  # the smallest value
    high: float | None = None  # the largest value
    above: float | None = None  # the largest value that is already too small
    unit: str = ""
    zero: str = ""  # what 0 stands for, where it lies outside of the range
    unset: str = ""  # what holds while it is not set, where no default says so
    example: object = None  # a value to show, where there is no default
    kiosk: object = None  # the value for a kiosk, where it is not the default

    def fits(self, value: Any) -> bool:
        """Return whether `value`, of the setting's own type, is in range. NaN is not."""
        if value is None or (self.zero and value == 0):
            return True
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    @property
    def expected(self) -> str:
        """The range in words, with its unit; empty where every value fits."""
        if self.above is not None:
            words = f"more than {self.above:g}"
        elif self.low is None:
            return ""
        else:
            words = f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"
        return f"0 ({self.zero}) or " * bool(self.zero) + " ".join(filter(None, [words, self.unit]))


def _spec(help_: str, **more: Any) -> dict[str, SettingSpec]:
    """Return the metadata of a setting's field."""
    return {"spec": SettingSpec(help_, **more)}


@dataclass(frozen=True)
class RunSettings:
    """The settings of `edge run`. Raises SettingsError naming the one that is out of range."""

    source: str | None = field(
        default=None,
        metadata=_spec(
            "picamera, usb:0, /dev/video0, synthetic, or the path of a video, an image, a folder or a pattern of images.",
            why="To select a USB camera independently of its port: usb:/dev/v4l/by-id/...",
            unset="a camera if one is found, else synthetic; with 'reconnect' a camera is waited for",
            example="usb:0",
        ),
    )
    sinks: tuple[str, ...] = field(
        default=DEFAULT_SINKS,
        metadata=_spec(
            "Where results go: console; jsonl or jsonl:FILE; csv:FOLDER (day logs); window; mqtt:HOST; web; "
            "video:FILE (.mp4, .avi, .webm, .png, .jpg); or the path of a Python file with a class Sink. See docs/sinks.md.",
            why="Only video stores faces; window shows them, web does with web:image. As a service, console output goes to "
            "the journal.",
        ),
    )
    model: Path = field(
        default_factory=shipped_model,
        metadata=_spec(
            "Model file (.tflite with its card).",
            unset="the shipped model",
            example="/var/lib/emotion-edge/my.tflite",
        ),
    )
    max_frames: int | None = field(
        default=None,
        metadata=_spec("Stop after this many frames.", low=1, unset="no limit", example=1000),
    )
    duration: float | None = field(
        default=None,
        metadata=_spec("Stop after this many seconds.", above=0, unit="seconds", unset="no limit", example=60.0),
    )
    min_face_size: int = field(
        default=MIN_FACE_SIZE,
        metadata=_spec(
            "Smallest face to detect, in pixels of an image 640 wide.",
            why="Smaller faces carry little information: the model was trained on 48. A larger minimum makes detection cheaper.",
            low=16,
            high=640,
            unit="pixels",
        ),
    )
    min_confidence: float | None = field(
        default=None,
        metadata=_spec(
            "Confidence below which a face gets no label.", low=0, high=1, unset="from the model's card", example=0.5
        ),
    )
    cascade: Path | None = field(
        default=None,
        metadata=_spec(
            "OpenCV Haar cascade (.xml).",
            why="The default had the fewest false positives of OpenCV's cascades.",
            unset="haarcascade_frontalface_alt2.xml",
            example="/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
        ),
    )
    max_fps: float | None = field(
        default=None,
        metadata=_spec(
            "Maximum frame rate, to keep a board cool.",
            low=0.1,
            high=1000,
            unit="frames per second",
            unset="the camera's",
            example=15.0,
        ),
    )
    idle_fps: float = field(
        default=IDLE_FPS,
        metadata=_spec(
            "Maximum frame rate after 10 s without a face; 0 disables it.",
            why="A full scan takes half a second, so somebody who comes is detected within 0.7 s.",
            low=0.1,
            high=1000,
            unit="frames per second",
            zero="disabled",
        ),
    )
    half_life: float = field(
        default=HALF_LIFE_SECONDS,
        metadata=_spec(
            "Half-life of the temporal average of the probabilities, in seconds; 0 disables smoothing.",
            why="A real change still shows within half a second.",
            low=0,
            high=60,
            unit="seconds",
        ),
    )
    threads: int = field(
        default=1,
        metadata=_spec(
            "Threads of the model and of face detection.", why="One uses the least processor time.", low=1, high=64
        ),
    )
    reconnect: bool = field(
        default=False,
        metadata=_spec(
            "Wait up to 10 minutes for a camera that is missing, busy or lost, instead of ending.",
            why="A USB camera is tried again after 1, 2, 4 ... 30 s; a camera module needs a new process.",
            kiosk=True,
        ),
    )

    def __post_init__(self) -> None:
        for name, spec in setting_specs().items():
            found = getattr(self, name)
            if not spec.fits(found):
                raise SettingsError(f"{name} is {found}, expected {spec.expected}")


def setting_specs() -> dict[str, SettingSpec]:
    """Return the specification of each setting, by its name."""
    return {each.name: each.metadata["spec"] for each in fields(RunSettings)}
