"""An output of your own: an LED at a GPIO pin, by gpiozero.

    edge run --sink ./led_sink.py:17                     a blink whenever a face surely shows something else
    edge run --sink ./led_sink.py:17,label=NAME          lit as long as a face shows this label of the model
    edge run --sink ./led_sink.py:17,active-low          an LED between the pin and 3.3 V

On a Raspberry Pi: sudo apt install python3-gpiozero python3-lgpio. docs/sinks.md tells what a sink has to keep to.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from edge.config.sink_options import parse
from edge.errors import SinkError, UsageError
from edge.sinks.background_writer import BackgroundWriter
from edge.types import FaceResult, FrameResult, RunInfo

try:
    import gpiozero
except ImportError:
    raise UsageError("led_sink needs gpiozero: sudo apt install python3-gpiozero python3-lgpio") from None

BLINK = 0.2  # seconds


class Sink:
    def __init__(self, argument: str, run: RunInfo) -> None:
        pin, options = parse("led_sink", argument, {"label": str, "active-low": bool})
        if not pin:
            raise UsageError("led_sink: no pin found, expected its number, as ./led_sink.py:17")
        self._pin: int | str = int(pin) if pin.isdecimal() else pin  # gpiozero also knows "J8:11" and "BOARD11"
        self._label: str | None = options.get("label")
        if self._label and run.labels and self._label not in run.labels:
            raise UsageError(f"led_sink: no label {self._label!r}; the model has {', '.join(run.labels)}")
        self._active_high = "active-low" not in options
        self._shown: dict[int, str] = {}  # the last sure label of each face that is there
        self._outbox = BackgroundWriter("led_sink", self._show, live=True)

    def __enter__(self) -> Self:
        try:
            self._led = gpiozero.LED(self._pin, active_high=self._active_high)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise SinkError(f"led_sink: pin {self._pin} cannot be used ({error})") from error
        self._outbox.__enter__()
        return self

    def write(self, seen: FrameResult) -> None:
        self._outbox.put(seen.faces)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._outbox.__exit__(kind, error, trace)
        finally:
            self._led.close()

    def _show(self, readings: tuple[FaceResult, ...]) -> None:
        sure = {reading.track_id: reading.label for reading in readings if reading.label}
        if self._label:
            self._led.value = self._label in sure.values()
        elif any(self._shown.get(face, label) != label for face, label in sure.items()):
            self._led.blink(on_time=BLINK, n=1)
        present = {reading.track_id for reading in readings}
        self._shown = {face: label for face, label in (self._shown | sure).items() if face in present}
