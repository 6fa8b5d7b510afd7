"""Face to probabilities, by the TFLite runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference import model_file
from edge.inference.model_file import RGB
from edge.inference.preprocess import as_rgb, model_input
from edge.inference.prior import TRAINING, default_prior, expected_frequencies
from edge.system.tflite import make_interpreter
from edge.types import Box


class Classifier:
    """A TFLite model that matches its card: uint8 squares in, gray or in color, one probability per label out.

    Args:
        path: the model file, with its card inside.
        threads: of the runtime. One thread uses the least processor time per face (benchmarks/threads.py).
        prior: expected class frequencies, see edge.inference.prior.expected_frequencies. With the default the
            probabilities are those for faces as frequent as in the training data.

    Attributes:
        card: of the model.
        expected_frequencies: label -> fraction to which the probabilities are adapted; None: not adapted.
        prior: its name, training if the probabilities are not adapted.

    Raises:
        SettingsError: the prior does not fit the model.
        ModelError: the file, its card or its tensors do not fit; the message has what was found and what was expected.
    """

    def __init__(self, path: Path, threads: int = 1, prior: str | None = TRAINING) -> None:
        model, self.card = model_file.load(path)
        self._interpreter = make_interpreter(model, path, threads, known=model_file.is_packaged(model, path))
        self._input = _single(self._interpreter.get_input_details(), f"{path}: input")
        self._output = _single(self._interpreter.get_output_details(), f"{path}: output")
        _check_tensors(path, self.card, self._input, self._output)
        self.expected_frequencies = expected_frequencies(prior, self.card)
        self.prior = (prior or default_prior(self.card)) if self.expected_frequencies else TRAINING
        self._frequency_ratios: NDArray[np.float32] | None = None
        if self.expected_frequencies:
            trained = self.card.class_frequencies
            ratios = [expected / trained[label] for label, expected in self.expected_frequencies.items()]
            self._frequency_ratios = np.array(ratios, np.float32)

    @property
    def uses_color(self) -> bool:
        """Whether the model was trained on faces in color."""
        return self.card.color == RGB

    def warm_up(self) -> None:
        """Classify a uniform gray face: the first inference allocates buffers and proves that the model runs."""
        self.classify(np.full(self._input["shape"][1:], 128, np.uint8))

    def describe(self) -> str:
        """Return the name and the version of the model."""
        return f"{self.card.name} {self.card.version}"

    def prepare(
        self,
        image: NDArray[np.uint8],
        box: Box,
        *,
        flip: bool = False,
        roll: float = 0.0,
        padding: float | None = None,
    ) -> NDArray[np.uint8]:
        """Return the uint8 input for the face in `box`: (size, size) gray, or (size, size, 3) RGB for color.

        Args:
            image: (height, width) gray; if the model uses color also (height, width, 3) BGR, and gray has no color.
            roll: degrees by which the head is tilted clockwise; the crop is turned upright.
            flip: whether to mirror it for flip test-time augmentation, see edge.inference.preprocess.flip_crop.
            padding: of the box, see edge.inference.preprocess.crop; None: that of the card, for a detector's boxes.
        """
        card = self.card
        face = model_input(
            image,
            box,
            padding=card.crop_padding if padding is None else padding,
            effective_resolution=card.effective_resolution,
            size=card.input_size,
            flip=flip,
            roll=roll,
        )
        return as_rgb(face) if self.uses_color else face

    def classify(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (labels,) float32 probabilities summing to 1 for a uint8 face from `prepare`."""
        self._interpreter.set_tensor(self._input["index"], face.reshape(self._input["shape"]))
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output["index"])[0]
        probabilities = calibrate(dequantize(raw, self._output["quantization"]), self.card.temperature)
        if self._frequency_ratios is None:
            return probabilities
        return calibrate(probabilities * self._frequency_ratios, self.card.adapted_temperature)


def dequantize(raw: NDArray[Any], quantization: tuple[float, int]) -> NDArray[np.float32]:
    """Return the real values of `raw`: (raw - zero point) * scale; unchanged where the scale is 0 (not quantized)."""
    scale, zero_point = quantization
    values = raw.astype(np.float32)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


def calibrate(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return `probabilities` (labels,), of any sum, sharpened (temperature below 1) or softened (above), summing to 1.

    Raising softmax outputs to 1/T and normalizing equals dividing the logits by T (Guo et al., ICML 2017).
    """
    powered = np.maximum(probabilities, 0) ** np.float32(1 / temperature)
    total = powered.sum()
    # A softmax is never all zero. A model whose output is carries no information: equal probabilities.
    return powered / total if total > 0 else np.full_like(powered, 1 / len(powered))


def _single(details: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if len(details) != 1:
        raise ModelError(f"{what}: {len(details)} tensors, expected one")
    return details[0]


def _check_tensors(path: Path, card: model_file.ModelCard, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Raise ModelError unless shape and type of the tensors are those of the card."""
    expected = (1, card.input_size, card.input_size, 3 if card.color == RGB else 1)
    shape, dtype = tuple(int(n) for n in inputs["shape"]), np.dtype(inputs["dtype"]).name
    if dtype != "uint8":
        raise ModelError(f"{path}: input is {dtype}, expected uint8 (raw pixels); make it with 'trainer quantize'")
    if shape != expected:
        raise ModelError(f"{path}: input shape is {shape}, its card has {expected}")
    scale, zero_point = inputs["quantization"]
    if not (0.98 <= scale <= 1.02 and zero_point == 0):
        # Raw pixels are the input; with any other scale the model expects pixels that were preprocessed in another way.
        raise ModelError(
            f"{path}: input scale is {scale:g} and its zero point is {zero_point}, expected 1 and 0 (raw pixels)"
        )
    expected_output = (1, len(card.labels))
    shape, dtype = tuple(int(n) for n in outputs["shape"]), np.dtype(outputs["dtype"]).name
    if shape != expected_output:
        raise ModelError(f"{path}: output shape is {shape}, its card has {len(card.labels)} labels: {expected_output}")
    if dtype not in ("uint8", "int8"):
        raise ModelError(f"{path}: output is {dtype}, expected uint8 or int8; make it with 'trainer quantize'")
