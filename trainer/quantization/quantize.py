"""Conversion of a Keras model to a full-int8 .tflite file with its card: 8-bit weights, activations, input, output.

The scheme is the usual one for integer-only inference (Jacob et al., CVPR 2018): one scale per channel for weights, one
per tensor for activations, whose ranges are measured on a representative data set of class-balanced Training faces.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import __version__
from edge.config.defaults import MIN_CONFIDENCE
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.model_file import MAX_NAME_CHARACTERS, ModelCard, is_name
from edge.inference.preprocess import resample
from edge.system.native_output import suppress_native_output
from edge.system.paths import display_name
from edge.system.tflite import runtime
from trainer.data import label_mapping
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset, as_inputs
from trainer.errors import QuantizeError
from trainer.evaluation.calibration import (
    apply_temperature,
    cross_fit,
    fit_temperature,
    fit_threshold,
    reliability_diagram,
)
from trainer.evaluation.metrics import Metrics, compute_metrics
from trainer.evaluation.prediction import predict_keras, predict_tflite
from trainer.keras_file import KerasMetadata
from trainer.quantization.foreign_model import open_float_model

REPRESENTATIVE_FACES = 210  # 35, 210 and 2,100 gave the same accuracy
REPRESENTATIVE_SEED = 0


@dataclass(frozen=True, eq=False)
class QuantizationResult:
    """The float model and its int8 file on the same faces."""

    float_metrics: Metrics
    int8_metrics: Metrics
    agreement: float  # fraction of the faces for which both predict the same class, 0 to 1
    temperature: float  # of the int8 model, fitted on these faces
    uncalibrated_error: float  # expected calibration error of the int8 model at temperature 1, 0 to 1
    calibrated_error: float  # likewise, with temperatures that were fitted on other faces, see calibration.cross_fit
    min_confidence: float  # threshold of the card
    coverage: float  # fraction of the faces whose confidence reaches it, cross-fitted as the error
    selective_accuracy: float  # fraction of those that is predicted correctly
    float_bytes: int  # size of the .keras file
    int8_bytes: int  # size of the .tflite file
    label_warning: str = ""  # why the labels of the outputs may have another order

    @property
    def largest_f1_loss(self) -> tuple[str, float]:
        """The class whose F1 decreased the most, and by how much."""
        loss = self.float_metrics.f1 - self.int8_metrics.f1
        label = int(loss.argmax())
        return self.float_metrics.class_names[label], float(loss[label])

    def card_metrics(self) -> dict[str, dict[str, Any]]:
        """Return split -> metrics for the card."""
        return {
            self.int8_metrics.split: {
                "n": self.int8_metrics.n,
                "accuracy": round(self.int8_metrics.accuracy, 4),
                "macro_f1": round(self.int8_metrics.macro_f1, 4),
                "float_accuracy": round(self.float_metrics.accuracy, 4),
                "agreement": round(self.agreement, 4),
                "expected_calibration_error": round(self.calibrated_error, 4),
                "coverage": round(self.coverage, 4),
                "selective_accuracy": round(self.selective_accuracy, 4),
            }
        }


def quantize(
    source: Path,
    dataset: Dataset,
    out: Path,
    *,
    samples: int = REPRESENTATIVE_FACES,
    name: str = "",
    crop_padding: float = 0.0,
    min_confidence: float = MIN_CONFIDENCE,
    selective_accuracy: float | None = None,
    adapted_temperature: float = 1.0,
    default_prior: str | None = None,
    labels: Sequence[str] = (),
    logits: bool = False,
    report_progress: Callable[[str], None] = lambda _: None,
) -> QuantizationResult:
    """Convert the .keras file `source` and write it with its card to `out`, atomically.

    Args:
        source: a model from pixels (n, size, size, 1 or 3) to probabilities (n, classes).
        dataset: its Training faces are the representative ones, its PublicTest faces give the metrics of the card.
        out: the .tflite file.
        samples: number of representative faces, the same number of each class.
        name: of the model in its card; by default the name of the Keras model.
        crop_padding: of the card: padding of the face box on each side, as a fraction of its side.
        min_confidence: of the card: calibrated confidence below which the device gives no label, 0 to 1.
        selective_accuracy: fit min_confidence so that this fraction of the labels is correct, 0 to 1.
        adapted_temperature: of the card: temperature of probabilities that were adapted to a prior, 0.01 to 100.
        default_prior: of the card: everyday or training, for users who name none; None: everyday.
        labels, logits: of a model of others, see trainer.quantization.foreign_model.
        report_progress: gets one line of text before each step; all of them take about half a minute.

    Raises:
        QuantizeError: an op or a tensor stayed float, or no card can have the name. DataError: a split is missing.
        And what open_float_model raises.
    """
    opened = open_float_model(source, dataset, labels, logits=logits)
    model, keras_metadata = opened.model, opened.metadata
    card_name = _check_name(name or model.name)
    dataset = label_mapping.match_labels(dataset, keras_metadata.labels)
    rows = dataset.split(PUBLIC_TEST)
    report_progress(f"evaluating {source.name} on {len(rows)} {PUBLIC_TEST} faces")
    float_probabilities = predict_keras(model, rows, keras_metadata.effective_resolution)
    if not keras_metadata.class_frequencies:
        report_progress(f"{source.name} has no class frequencies: those of the {TRAINING} faces are used")
    training, resolution = dataset.split(TRAINING), keras_metadata.effective_resolution
    pixels = representative_faces(training, int(model.input_shape[1]), samples, resolution)
    content = _quantize_weights(model, source, pixels, report_progress)
    report_progress("evaluating the int8 model with the classifier of the device")
    card = ModelCard(
        name=card_name,
        labels=dataset.class_names,
        input_size=int(model.input_shape[1]),
        effective_resolution=keras_metadata.effective_resolution,
        color=keras_metadata.color,
        crop_padding=crop_padding,
        class_frequencies=_class_frequencies(keras_metadata, dataset),
        adapted_temperature=adapted_temperature,
        default_prior=default_prior,
        min_confidence=min_confidence,
        data=f"{display_name(Path(dataset.source).name)}: {len(dataset.split(TRAINING))} {TRAINING} faces",
        version=__version__,
    )
    result = _measure(float_probabilities, source.stat().st_size, content, card, rows, selective_accuracy)
    result = replace(result, label_warning=opened.label_warning)
    card = replace(
        card,
        temperature=result.temperature,
        min_confidence=result.min_confidence,
        metrics=result.card_metrics(),
    )
    model_file.attach(content, card, out)
    Classifier(out)  # raises unless the device can load the file
    return result


def _class_frequencies(metadata: KerasMetadata, dataset: Dataset) -> dict[str, float]:
    """Return label -> frequency in training: of the metadata, or else of the Training faces of `dataset`.

    Empty if a class has none: no prior can be applied to a class that the model has not seen.
    """
    counts = dataset.split(TRAINING).counts()
    frequencies = metadata.class_frequencies or {
        label: round(n / sum(counts.values()), 6) for label, n in counts.items()
    }
    return dict(frequencies) if all(x >= model_file.MIN_FREQUENCY for x in frequencies.values()) else {}


def _check_name(name: str) -> str:
    """Return `name`, or raise QuantizeError before minutes of work if no card can have it."""
    if not is_name(name):
        raise QuantizeError(
            f"the model's name {name[:80]!a} is not of 1 to {MAX_NAME_CHARACTERS} printable characters; "
            "choose another one with --name"
        )
    return name


def _quantize_weights(
    model: Any, source: Path, pixels: NDArray[np.float32], report_progress: Callable[[str], None]
) -> bytes:
    """Return the int8 FlatBuffer of `model`, read from `source`. Raises QuantizeError where a part stayed float."""
    if any(layer.name == "backbone" for layer in model.layers):
        from trainer.quantization.bias_correction import correct_biases

        report_progress("correcting the biases for the rounding of the weights")
        correct_biases(model, pixels)
    report_progress(f"converting with {len(pixels)} representative faces")
    content = convert_to_int8(model, pixels)
    float_ops = find_float_ops(content)
    if float_ops:
        raise QuantizeError(f"{source}: not full int8, nothing written; still float: {', '.join(float_ops[:5])}")
    return content


def representative_faces(
    training: Dataset, size: int, samples: int, effective_resolution: int | None = None
) -> NDArray[np.float32]:
    """Return up to `samples` faces (n, size, size, channels), 0 to 255, in equal numbers per class if possible.

    The first one is stretched to 0 to 255: the scale of the input becomes 1, so raw pixels need no conversion.

    Args:
        effective_resolution: of the model, in pixels a side; None: it was trained on faces as large as these.
    """
    rng = np.random.default_rng(REPRESENTATIVE_SEED)
    classes = len(training.class_names)
    faces_per_class = max(1, samples // classes)
    selected: list[int] = []
    for label in range(classes):
        rows = np.flatnonzero(training.labels == label)
        selected.extend(rng.permutation(rows)[:faces_per_class].tolist())
    resolution = effective_resolution or training.side
    faces = [resample(training.faces[row], effective_resolution=resolution, size=size) for row in selected]
    pixels = as_inputs(faces).astype(np.float32)
    low, high = pixels[0].min(), pixels[0].max()
    pixels[0] = (pixels[0] - low) / max(high - low, 1) * 255
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255  # for a uniform face, which cannot be stretched
    return pixels


def convert_to_int8(model: Any, pixels: NDArray[np.float32]) -> bytes:
    """Return the int8 FlatBuffer of a Keras `model`.

    Args:
        pixels: (n, size, size, channels) of 0 to 255, the faces on which the activation ranges are measured.

    Raises QuantizeError when the backend of Keras is not TensorFlow, or TensorFlow cannot convert the model.
    """
    tf, converter = _make_converter(model)

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for face in pixels:
            yield [face[np.newaxis]]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return _run_converter(converter, model)


def convert_to_float(model: Any) -> bytes:
    """Return the float32 FlatBuffer of a Keras `model`, the baseline of the speed of int8. Raises QuantizeError."""
    return _run_converter(_make_converter(model)[1], model)


def _make_converter(model: Any) -> tuple[Any, Any]:
    """Return the tensorflow module and its converter for `model`."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise QuantizeError(
            "conversion needs KERAS_BACKEND=tensorflow; it also converts models that were trained on another backend"
        )
    import tensorflow as tf

    return tf, tf.lite.TFLiteConverter.from_keras_model(model)


def _run_converter(converter: Any, model: Any) -> bytes:
    try:
        with suppress_native_output(1, 2):  # the converter prints hundreds of lines
            return bytes(converter.convert())
    except Exception as error:  # TensorFlow's ConverterError is a bare Exception without a public name
        raise QuantizeError(f"TensorFlow cannot convert {model.name}: {' '.join(str(error).split())[:300]}") from error


def find_float_ops(content: bytes) -> list[str]:
    """Return `OP (tensor)` for each op of a FlatBuffer that reads or writes floating point; empty for full int8."""
    # The default delegate, XNNPACK, would replace the model's own ops.
    resolver = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime().Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    floats = {index for index, tensor in tensors.items() if np.issubdtype(np.dtype(tensor["dtype"]), np.floating)}
    float_ops: list[str] = []
    for op in interpreter._get_ops_details():  # noqa: SLF001 (the names of the ops have no public access)
        float_tensors = floats & {int(index) for index in (*op["inputs"], *op["outputs"])}
        float_ops.extend(f"{op['op_name']} ({tensors[index]['name']})" for index in sorted(float_tensors))
    return float_ops


def _measure(
    float_probabilities: NDArray[np.float32],
    float_bytes: int,
    content: bytes,
    card: ModelCard,
    rows: Dataset,
    selective_accuracy: float | None,
) -> QuantizationResult:
    """Return the result for the int8 FlatBuffer `content` on `rows`, and fit its temperature on them.

    The temperature, and the threshold with `selective_accuracy`, are fitted on all rows. What they do is measured by
    cross-fitting, on rows on which they were not fitted.

    Args:
        float_probabilities: (n, classes) of the float model, whose file has `float_bytes`.
        card: the temperature is ignored: the probabilities of the device's classifier are measured at temperature 1.
        selective_accuracy: None: the threshold is that of the card.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model_file.attach(content, replace(card, temperature=1.0), path)
        uncalibrated = predict_tflite(Classifier(path), rows)
        int8_bytes = path.stat().st_size
    temperature = round(fit_temperature(uncalibrated, rows.labels), 3)
    probabilities = apply_temperature(uncalibrated, temperature)
    threshold = card.min_confidence
    if selective_accuracy is not None:
        threshold = math.floor(1000 * fit_threshold(probabilities, rows.labels, selective_accuracy)) / 1000
    crossed = cross_fit(uncalibrated, rows.labels, threshold, selective_accuracy)
    coverage, accuracy = crossed.selective
    return QuantizationResult(
        float_metrics=compute_metrics(float_probabilities, rows),
        int8_metrics=compute_metrics(probabilities, rows),
        agreement=float((float_probabilities.argmax(axis=1) == probabilities.argmax(axis=1)).mean()),
        temperature=temperature,
        uncalibrated_error=reliability_diagram(uncalibrated, rows.labels).expected_calibration_error,
        calibrated_error=crossed.expected_calibration_error,
        min_confidence=threshold,
        coverage=coverage,
        selective_accuracy=accuracy,
        float_bytes=float_bytes,
        int8_bytes=int8_bytes,
    )
