"""What a run may be told: name, type, default, range and reason of each setting, once.

The options of `edge run`, the keys of its configuration file (edge/config/toml_file.py) and the file's example are all made of
the fields of RunSettings. To add a setting, add a field, and its parameter in edge/cli/__init__.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edge.errors import SettingsError
from edge.inference.model_file import shipped_model

DEFAULT_SINKS = ("console",)


@dataclass(frozen=True, slots=True)
class About:
    """What is to be known of a setting besides name, type and default."""

    help: str  # what it does, in a sentence or two
    why: str = ""  # the reason of the default, or of the limits
    low: float | None = None  # the smallest value
    high: float | None = None  # the largest value
    above: float | None = None  # the largest value that is already too small
    unit: str = ""
    zero: str = ""  # what 0 stands for, where it lies outside of the range
    unset: str = ""  # what holds while it is not set, where no default says so
    example: object = None  # a value to show, where there is no default
    kiosk: object = None  # the value for a board that nobody looks after, where it is not the default

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


def _about(help_: str, **more: Any) -> dict[str, About]:
    """Return the metadata of a setting's field."""
    return {"about": About(help_, **more)}


@dataclass(frozen=True)
class RunSettings:
    """The settings of `edge run`. Raises SettingsError naming the one that is out of range."""

    source: str | None = field(
        default=None,
        metadata=_about(
            "picamera, usb:0, /dev/video0, synthetic, or a video, a picture, a folder or pattern of pictures.",
            why="A USB camera that shall be the same one after it was plugged in elsewhere: usb:/dev/v4l/by-id/...",
            unset="the camera if there is one, else synthetic (with 'retry' no synthetic one: a camera is waited for)",
            example="usb:0",
        ),
    )
    sinks: tuple[str, ...] = field(
        default=DEFAULT_SINKS,
        metadata=_about(
            "console; jsonl or jsonl:FILE; csv:FOLDER (a log of each day); window; mqtt:HOST; web; "
            "video:FILE (.mp4, .avi, .webm, .png, .jpg); or the path of a Python file of your own. See docs/.",
            why="Only video stores faces; window shows them, web does with web:picture. As a service, what goes to the "
            "console goes to the journal.",
        ),
    )
    model: Path = field(
        default_factory=shipped_model,
        metadata=_about(
            "A .tflite file with its card.", unset="the one that is shipped", example="/var/lib/emotion-edge/my.tflite"
        ),
    )
    frames: int | None = field(
        default=None,
        metadata=_about("End after so many frames.", low=1, unset="goes on until it is stopped", example=1000),
    )
    seconds: float | None = field(
        default=None,
        metadata=_about("End after so many seconds.", above=0, unset="goes on until it is stopped", example=60.0),
    )
    min_face: int = field(
        default=30,
        metadata=_about(
            "Smallest face, pixels of a picture 640 wide.",
            why="Fewer pixels tell little: the model was trained on 48. More make the search cheaper.",
            low=16,
            high=640,
            unit="pixels",
        ),
    )
    unsure: float | None = field(
        default=None,
        metadata=_about(
            "Confidence below which no label is given.", low=0, high=1, unset="what the model's card says", example=0.5
        ),
    )
    cascade: Path | None = field(
        default=None,
        metadata=_about(
            "A cascade file of OpenCV's.",
            why="It is the best of those that OpenCV brings.",
            unset="frontalface_alt2",
            example="/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
        ),
    )
    max_fps: float | None = field(
        default=None,
        metadata=_about(
            "Frames a second at most, to keep a board cool.",
            low=0.1,
            high=1000,
            unit="frames a second",
            unset="as many as the camera gives",
            example=15.0,
        ),
    )
    idle_fps: float = field(
        default=5.0,
        metadata=_about(
            "The same while nobody has been before the camera for 10 s; 0: no idling.",
            why="With the search's half second somebody who comes is seen within 0.7 s.",
            low=0.1,
            high=1000,
            unit="frames a second",
            zero="no idling",
        ),
    )
    half_life: float = field(
        default=0.6,
        metadata=_about(
            "Seconds after which an old score counts half.",
            why="A real change shows within half a second all the same.",
            low=0,
            high=60,
            unit="seconds",
        ),
    )
    threads: int = field(
        default=1,
        metadata=_about("Of model and face search each.", why="One takes the least of all cores.", low=1, high=64),
    )
    retry: bool = field(
        default=False,
        metadata=_about(
            "Wait for a camera that is missing, taken or lost, 10 minutes at most, instead of ending.",
            why="A USB camera is tried again after 1, 2, 4 ... 30 s; a camera module needs a new process.",
            kiosk=True,
        ),
    )

    def __post_init__(self) -> None:
        for name, about in abouts().items():
            found = getattr(self, name)
            if not about.fits(found):
                raise SettingsError(f"{name} is {found}, expected {about.expected}")


def abouts() -> dict[str, About]:
    """Return what is to be known of each setting, by its name."""
    return {each.name: each.metadata["about"] for each in fields(RunSettings)}
