"""Light an LED at a GPIO pin: a sink of your own.

    ./scripts/run.sh --sink ./examples/led_sink.py:17                blink when a face changes its label
    ./scripts/run.sh --sink ./examples/led_sink.py:17,label=NAME     light while a face has this label of the model
    ./scripts/run.sh --sink ./examples/led_sink.py:17,active-low     the LED is connected between the pin and 3.3 V

On a Raspberry Pi: sudo apt install python3-gpiozero python3-lgpio. docs/sinks.md describes what a sink must do.
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

BLINK_SECONDS = 0.2


class Sink:
    # The constructor checks the argument, and opens nothing.
    def __init__(self, argument: str, run: RunInfo) -> None:
        pin, options = parse("led_sink", argument, {"label": str, "active-low": bool})
        if not pin:
            raise UsageError("led_sink: no pin found, expected its number, as led_sink.py:17")
        self._pin: int | str = int(pin) if pin.isdecimal() else pin  # gpiozero also accepts "J8:11" and "BOARD11"
        self._active_high = "active-low" not in options
        self._label: str | None = options.get("label")
        if self._label and run.labels and self._label not in run.labels:
            raise UsageError(f"led_sink: no label {self._label!r}; the model has {', '.join(run.labels)}")
        self._last_labels: dict[int, str] = {}  # track id -> label
        self._writer = BackgroundWriter("led_sink", self._update_led, live=True)

    # Open the pin.
    def __enter__(self) -> Self:
        try:
            self._led = gpiozero.LED(self._pin, active_high=self._active_high)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise SinkError(f"led_sink: pin {self._pin} cannot be used ({error})") from error
        self._writer.__enter__()
        return self

    # Called with each frame's result. It must return at once, so a thread switches the LED.
    def write(self, result: FrameResult) -> None:
        self._writer.put(result.faces)

    # Close the pin, which switches the LED off.
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            self._led.close()

    def _update_led(self, faces: tuple[FaceResult, ...]) -> None:
        labels = {face.track_id: face.label for face in faces if face.label}  # a face without a label is uncertain
        if self._label:
            self._led.value = self._label in labels.values()
        elif any(self._last_labels.get(track_id, label) != label for track_id, label in labels.items()):
            self._led.blink(on_time=BLINK_SECONDS, n=1)
        present = {face.track_id for face in faces}
        self._last_labels = {
            track_id: label for track_id, label in (self._last_labels | labels).items() if track_id in present
        }
