"""Grey face to probabilities, on ai-edge-litert or its predecessor tflite-runtime, whichever is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError, ModelError
from edge.inference import model_file as card
from edge.inference.preprocess import model_input
from edge.system.native_output import silence
from edge.types import Box

# First choice first. Both give the same Interpreter; tflite-runtime 2.14 is what 32-bit Raspberry Pi OS has.
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def runtime() -> Any:
    """Return the module of the installed TFLite runtime. Raises EmotionEdgeError when there is none."""
    for name in RUNTIMES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
    raise EmotionEdgeError("no TFLite runtime is installed; 'pip install ai-edge-litert' (32-bit: tflite-runtime)")


class Classifier:
    """A TFLite model that fits its card: uint8 grey squares in, one score a label out.

    Args:
        path: the model file with its card inside.
        threads: of the runtime. One takes the least of all cores for a face (benchmarks/threads.py).

    Raises:
        ModelError: the file, its card or its tensors are not what this program runs, saying what was found.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        model, self.card = card.load(path)
        _check_whole(path, model)
        try:
            with silence(2):  # the runtime says which delegate it took; what it refuses comes as an exception
                self._interpreter = runtime().Interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: the TFLite runtime refuses it: {' '.join(str(error).split())}") from error
        self._input = _only(self._interpreter.get_input_details(), f"{path}: input")
        self._output = _only(self._interpreter.get_output_details(), f"{path}: output")
        _check(path, self.card, self._input, self._output)

    def warm_up(self) -> None:
        """Read an even grey picture: the first one sets up buffers, and shows that the model runs."""
        self.scores(np.full((self.card.input_size, self.card.input_size), 128, np.uint8))

    def prepare(self, grey: NDArray[np.uint8], box: Box, *, again: bool = False) -> NDArray[np.uint8]:
        """Return the (size, size) uint8 input for the face in `box` of `grey` (height, width).

        Args:
            again: for a second look at it, see edge.inference.preprocess.second_look.
        """
        card = self.card
        return model_input(grey, box, margin=card.margin, detail=card.detail, size=card.input_size, again=again)

    def scores(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (labels,) float32 shares summing to 1 for a (size, size) uint8 face from `prepare`."""
        self._interpreter.set_tensor(self._input["index"], face[np.newaxis, :, :, np.newaxis])
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output["index"])[0]
        return calibrate(dequantise(raw, self._output["quantization"]), self.card.temperature)


def dequantise(raw: NDArray[Any], quantization: tuple[float, int]) -> NDArray[np.float32]:
    """Return real values of `raw`: (raw - zero point) * scale; unchanged where the scale is 0 (not quantised)."""
    scale, zero = quantization
    values = raw.astype(np.float32)
    return (values - np.float32(zero)) * np.float32(scale) if scale else values


def calibrate(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return `scores` (labels,) sharpened (temperature below 1) or softened (above), summing to 1.

    Raising softmax shares to 1/T and normalising equals dividing the logits by T (Guo et al., ICML 2017).
    """
    powered = np.maximum(scores, 0) ** np.float32(1 / temperature)
    total = powered.sum()
    # All zero cannot happen with a softmax; a model that does it all the same has said nothing: equal shares.
    return powered / total if total > 0 else np.full_like(powered, 1 / len(powered))


def _check_whole(path: Path, model: bytes) -> None:
    """Raise ModelError for what is plainly no FlatBuffer: tflite-runtime would read past its end, and crash."""
    if model[4:8] != b"TFL3" or int.from_bytes(model[:4], "little") + 4 > len(model):
        raise ModelError(f"{path}: no TFLite model, or not a whole one; copy the file again")


def _only(details: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if len(details) != 1:
        raise ModelError(f"{what}: {len(details)} tensors, expected one")
    return details[0]


def _check(path: Path, found: card.ModelCard, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Raise ModelError unless the tensors are what the card promises."""
    wanted_in = (1, found.input_size, found.input_size, 1)
    shape_in, type_in = tuple(int(n) for n in inputs["shape"]), np.dtype(inputs["dtype"]).name
    if type_in != "uint8":
        raise ModelError(f"{path}: input is {type_in}, expected uint8 (raw pixels); make it with 'trainer quantize'")
    if shape_in != wanted_in:
        raise ModelError(f"{path}: input shape is {shape_in}, its card says {wanted_in}")
    scale, zero = inputs["quantization"]
    if not (0.98 <= scale <= 1.02 and zero == 0):
        # Raw pixels go straight in: any other scale means that the model expects pixels prepared in some other way.
        raise ModelError(f"{path}: input scale is {scale:g}, zero point {zero}, expected 1 and 0 (raw pixels)")
    wanted_out = (1, len(found.labels))
    shape_out, type_out = tuple(int(n) for n in outputs["shape"]), np.dtype(outputs["dtype"]).name
    if shape_out != wanted_out:
        raise ModelError(f"{path}: output shape is {shape_out}, its card has {len(found.labels)} labels: {wanted_out}")
    if type_out not in ("uint8", "int8"):
        raise ModelError(f"{path}: output is {type_out}, expected uint8 or int8; make it with 'trainer quantize'")
