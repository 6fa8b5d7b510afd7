"""The settings of a run: name, type, default, range and reason of each, declared once.

The options of `edge run`, the keys of its configuration file (edge/config/toml_file.py) and the example file come from
the fields of RunSettings. To add a setting, add a field here and a parameter in edge/cli/run.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edge.config.defaults import DETECTOR, HALF_LIFE_SECONDS, IDLE_FPS, MIN_FACE_SIZE
from edge.errors import SettingsError
from edge.system.plain_text import escape

DEFAULT_SINKS = ("console",)


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """Documentation and range of a setting."""

    help: str  # what it does
    metavar: str | None = None  # placeholder of the value in the help of the command; None: a flag
    reason: str = ""  # of the default, or of the range
    low: float | None = None  # smallest valid value
    high: float | None = None  # largest valid value
    above: float | None = None  # in place of `low`: valid values are greater than this
    unit: str = ""
    zero: str = ""  # what 0 means, where it is valid but out of range
    unset: str = ""  # what happens without a value, where the default is None or found at run time
    example: object = None  # a value to show, where there is no default
    kiosk: object = None  # the value for a kiosk, where it is not the default

    def is_valid(self, value: Any) -> bool:
        """Return whether `value`, which has the setting's type, is None or in range. NaN is not."""
        if value is None or (self.zero and value == 0):
            return True
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    @property
    def expected(self) -> str:
        """The range with its unit, such as "16 to 640 pixels"; empty if every value is valid."""
        if self.above is not None:
            limits = f"more than {self.above:g}"
        elif self.low is None:
            return ""
        else:
            limits = f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"
        zero = f"0 ({self.zero}) or " if self.zero else ""
        return f"{zero}{limits} {self.unit}".rstrip()


def _spec(help_: str, metavar: str | None = None, **more: Any) -> dict[str, SettingSpec]:
    """Return the metadata of a field of RunSettings."""
    return {"spec": SettingSpec(help_, metavar, **more)}


@dataclass(frozen=True)
class RunSettings:
    """The settings of `edge run`. Raises SettingsError with the name of a setting that is out of range."""

    source: str | None = field(
        default=None,
        metadata=_spec(
            "Camera or files: picamera, usb:0, /dev/video0, rtsp://HOST/PATH, http://HOST/PATH, synthetic, or the path "
            "of a video, an image, a folder or a pattern of images. Details: docs/sources.md.",
            "SOURCE",
            reason="To select a USB camera independently of its port: /dev/v4l/by-id/...",
            unset="the first camera found, else synthetic; with reconnect, wait for a camera",
            example="usb:0",
        ),
    )
    sinks: tuple[str, ...] = field(
        default=DEFAULT_SINKS,
        metadata=_spec(
            "Where to send results: console, jsonl or jsonl:FILE, csv:FILE.csv, daylog:FOLDER, window, mqtt:HOST, web, "
            "video:FILE (.mp4, .avi, .webm, .png, .jpg), or the path of a Python file with a class Sink. Details: "
            "docs/sinks.md.",
            "SINK",
            reason="Of these only video stores images of faces; window shows them, and web does with web:image. The "
            "console of a service is the journal.",
        ),
    )
    model: str | None = field(
        default=None,
        metadata=_spec(
            "Model: a name, such as emotion, or a file (.tflite with its card). auto: for a camera, emotion if the "
            "board has time for it, else fast.",
            "MODEL",
            reason="'edge info' lists the names. auto measures in the first second of the run, and decides once.",
            unset="the deployed model, else emotion",
            example="/var/lib/emotion-edge/my.tflite",
        ),
    )
    max_frames: int | None = field(
        default=None,
        metadata=_spec("Stop after this many frames.", "COUNT", low=1, unset="no limit", example=1000),
    )
    duration: float | None = field(
        default=None,
        metadata=_spec(
            "Stop after this many seconds.", "SECONDS", above=0, unit="seconds", unset="no limit", example=60.0
        ),
    )
    min_face_size: int = field(
        default=MIN_FACE_SIZE,
        metadata=_spec(
            "Smallest face to detect, in pixels of an image 640 pixels wide.",
            "PIXELS",
            reason="Smaller faces carry little information: the model was trained on 48 x 48. A larger minimum makes "
            "detection faster.",
            low=16,
            high=640,
            unit="pixels",
        ),
    )
    min_confidence: float | None = field(
        default=None,
        metadata=_spec(
            "Confidence below which a face gets no label.",
            "PROBABILITY",
            low=0,
            high=1,
            unset="from the model's card",
            example=0.5,
        ),
    )
    prior: str | None = field(
        default=None,
        metadata=_spec(
            "How frequent each emotion is expected to be: everyday, training (as in the model's training data), "
            "NAME=FRACTION,... or a .toml file with NAME = FRACTION.",
            "PRIOR",
            reason="Emotions that are not named share the rest. Details: docs/prior.md.",
            unset="the default_prior of the model's card, else everyday; training for a card without class frequencies",
            example="training",
        ),
    )
    detector: str = field(
        default=DETECTOR,
        metadata=_spec(
            "Face detector: haar, or with a file of your own blazeface:FILE.tflite or yunet:FILE.onnx.",
            "DETECTOR",
            reason="Only haar needs no file. Details: docs/detectors.md.",
        ),
    )
    cascade: Path | None = field(
        default=None,
        metadata=_spec(
            "OpenCV Haar cascade of the detector haar (.xml).",
            "FILE",
            reason="The default had the fewest false positives of OpenCV's cascades.",
            unset="haarcascade_frontalface_alt2.xml",
            example="/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
        ),
    )
    more_sources: tuple[str, ...] = field(
        default=(),
        metadata=_spec(
            "More videos, images, folders or patterns, which are read after the first.",
            "SOURCE",
            reason="Not for cameras.",
        ),
    )
    recursive: bool = field(
        default=False,
        metadata=_spec("Read folders with their subfolders.", reason="Links to folders are not followed."),
    )
    crops: bool = field(
        default=False,
        metadata=_spec(
            "Each image is a face crop, as in FER2013: classify its largest centered square, without detection.",
            reason="Only for images, not for cameras and videos, and without detector and cascade.",
        ),
    )
    max_fps: float | None = field(
        default=None,
        metadata=_spec(
            "Maximum frame rate, to keep a board cool.",
            "FPS",
            low=0.1,
            high=1000,
            unit="frames per second",
            unset="as fast as frames come",
            example=15.0,
        ),
    )
    idle_fps: float = field(
        default=IDLE_FPS,
        metadata=_spec(
            "Maximum frame rate after 10 s without a face; 0 disables it.",
            "FPS",
            reason="A full scan takes half a second, so a new face is detected within 0.7 s.",
            low=0.1,
            high=1000,
            unit="frames per second",
            zero="disabled",
        ),
    )
    half_life: float = field(
        default=HALF_LIFE_SECONDS,
        metadata=_spec(
            "Half-life in seconds of the temporal average of the probabilities; 0 disables smoothing.",
            "SECONDS",
            reason="With the default, a real change shows within half a second.",
            low=0,
            high=60,
            unit="seconds",
        ),
    )
    calibrate_neutral: bool = field(
        default=False,
        metadata=_spec(
            "Learn what each face shows at rest while it is there, and correct its labels by it.",
            reason="For a person whose face at rest looks like an emotion. A slight emotion that lasts is taken for "
            "that, too. Unproven on people; not for images. Details: docs/neutral.md.",
        ),
    )
    threads: int = field(
        default=1,
        metadata=_spec(
            "Threads of the model and of face detection.",
            "COUNT",
            reason="One uses the least processor time.",
            low=1,
            high=64,
        ),
    )
    jobs: int = field(
        default=1,
        metadata=_spec(
            "Processes that read several files at the same time.",
            "COUNT",
            reason="The results are the same, in the order of the files. Not for sinks that need images.",
            low=1,
            high=64,
        ),
    )
    overwrite: bool = field(
        default=False,
        metadata=_spec(
            "Let sinks replace files that this run did not write.",
            reason="Without it, video ends with an error if its file exists; jsonl:FILE and csv:FILE.csv continue "
            "their own. A file that is read is never replaced.",
        ),
    )
    reconnect: bool = field(
        default=False,
        metadata=_spec(
            "Wait up to 10 minutes for a camera that is missing, busy or disconnected, instead of ending.",
            reason="A USB camera is opened again after 1, 2, 4 ... 30 s; a camera module needs a new process.",
            kiosk=True,
        ),
    )

    def __post_init__(self) -> None:
        hints = get_type_hints(RunSettings)
        for name, spec in setting_specs().items():
            value = getattr(self, name)
            if expected := _type_problem(value, hints[name]):
                such_as = "" if spec.example is None else f", such as {spec.example!r}"
                raise SettingsError(f"{name} is {escape(repr(value))[:80]}, expected {expected}{such_as}")
            if not spec.is_valid(value):
                raise SettingsError(f"{name} is {value}, expected {spec.expected}")


def _type_problem(value: Any, hint: Any) -> str:
    """Return which type was expected in place of that of `value`; empty: it has the type `hint`."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (get_origin(hint) or hint,)
    kind = kinds[0]
    if isinstance(value, kinds) and not (isinstance(value, bool) and kind is not bool):
        return ""
    abstract = {int: Integral, float: Real}.get(kind)  # of NumPy, too
    if abstract and isinstance(value, abstract) and not isinstance(value, bool):
        return ""
    return {bool: "True or False", int: "an integer", float: "a number", str: "a text"}.get(kind, f"a {kind.__name__}")


def setting_specs() -> dict[str, SettingSpec]:
    """Return the specification of each setting, by its name."""
    return {each.name: each.metadata["spec"] for each in fields(RunSettings)}
