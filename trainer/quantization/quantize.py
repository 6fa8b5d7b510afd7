"""A Keras model to a full-int8 .tflite file with its card inside: weights, activations, input and output, all 8 bits.

The scheme is the usual one for integer-only inference (Jacob et al., CVPR 2018): weights per channel, activations per
tensor with ranges seen on a representative data set, here class-balanced faces from Training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference import model_file as cards
from edge.inference.classifier import Classifier, runtime
from edge.inference.model_file import ModelCard
from edge.inference.preprocess import resample
from edge.system.native_output import suppress_native_output
from trainer import keras_file
from trainer.data import label_mapping
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.errors import QuantizeError
from trainer.evaluation.calibration import coverage, fit_temperature, reliability, tempered
from trainer.evaluation.metrics import Result, measure, predict_keras, predict_tflite
from trainer.keras_file import KerasMetadata

SAMPLES = 210  # 35, 210 and 2,100 gave the same accuracy
SEED = 0
UNSURE = 0.5  # a calibrated confidence: below it an answer is more likely wrong than right


@dataclass(frozen=True, eq=False)
class Comparison:
    """The float model and its int8 file on the same faces."""

    before: Result
    after: Result
    agreement: float  # share of faces that both name the same, 0 to 1
    temperature: float  # of the int8 model, fitted on these faces
    calibration: tuple[float, float]  # its expected calibration error before and after that, 0 to 1
    unsure: float  # its threshold
    covered: float  # share of faces whose confidence reaches it
    accuracy_covered: float  # share of those that it names right
    bytes_before: int
    bytes_after: int

    @property
    def worst(self) -> tuple[str, float]:
        """The class whose F1 lost the most, and how much."""
        lost = self.before.f1 - self.after.f1
        place = int(lost.argmax())
        return self.before.names[place], float(lost[place])


def quantize(
    source: Path,
    dataset: Dataset,
    out: Path,
    *,
    samples: int = SAMPLES,
    name: str = "",
    margin: float = 0.0,
    unsure: float = UNSURE,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Convert the .keras file `source` and write it to `out` with its card, whole or not at all.

    Args:
        source: a model from gray pixels (n, size, size, 1) to shares (n, classes).
        dataset: Training gives the representative faces, PublicTest the figures of the card.
        out: the .tflite file.
        samples: representative faces, of all classes alike.
        name: of the model in its card; the Keras model's by default.
        margin: of the card: by how much of its side the device widens a face box on each side.
        unsure: of the card: the confidence, after calibration, below which the device gives no label.
        say: is told what is being done, as it takes half a minute.

    Raises:
        QuantizeError: an op or a tensor stayed float, or the model does not fit the data set.
        ModelError: `source` is no model. DataError: a split is missing.
    """
    model = keras_file.load(source)
    metadata_ = keras_file.load_metadata(source) or KerasMetadata(dataset.class_names, dataset.side)
    _require_outputs(model, source, len(metadata_.labels))
    dataset = label_mapping.match_labels(dataset, metadata_.labels)
    rows = dataset.split(PUBLIC_TEST)
    say(f"measuring {source.name} on {len(rows)} {PUBLIC_TEST} faces")
    before = predict_keras(model, rows, metadata_.effective_resolution)
    pixels = representative(dataset.split(TRAINING), int(model.input_shape[1]), samples)
    if any(layer.name == "backbone" for layer in model.layers):
        from trainer.quantization.bias_correction import correct_biases

        say("correcting the biases for rounded weights")
        correct_biases(model, pixels)
    say(f"converting with {len(pixels)} representative faces")
    content = convert(model, pixels)
    floats = float_tensors(content)
    if floats:
        raise QuantizeError(f"{source}: not full int8, nothing written; float stayed in {', '.join(floats[:5])}")
    card = _card(model, dataset, name, metadata_.effective_resolution, margin)
    say("measuring the int8 model as the device runs it")
    compared, card = _judge(before, source, content, replace(card, unsure=unsure), rows)
    cards.attach(content, card, out)
    Classifier(out)  # what was written is what the device will run: it must load
    return compared


def _require_outputs(model: Any, source: Path, classes: int) -> None:
    if model.output_shape[-1] != classes:
        raise QuantizeError(f"{source}: {model.output_shape[-1]} outputs, but the data set has {classes} classes")


def _card(model: Any, dataset: Dataset, name: str, detail: int, margin: float) -> ModelCard:
    """Return the card without what is still to be measured."""
    return ModelCard(
        name=name or model.name,
        labels=dataset.class_names,
        input_size=int(model.input_shape[1]),
        detail=detail,
        margin=margin,
        data=f"{Path(dataset.source).name}: {len(dataset.split(TRAINING))} {TRAINING} faces",
        version=metadata.version("emotion-edge"),
    )


def representative(training: Dataset, size: int, samples: int) -> NDArray[np.float32]:
    """Return (n, size, size, 1) float32 faces of 0 to 255, as many of each class as there are, up to `samples` in all.

    The first one is stretched to 0 to 255, so that the input's scale becomes 1 and raw pixels need no conversion.
    """
    rng = np.random.default_rng(SEED)
    each = max(1, samples // len(training.class_names))
    chosen = []
    for label in range(len(training.class_names)):
        rows = np.flatnonzero(training.labels == label)
        chosen.extend(rng.permutation(rows)[:each].tolist())
    faces = [resample(training.faces[row], detail=training.side, size=size) for row in chosen]
    pixels = np.stack(faces).astype(np.float32)[..., np.newaxis]
    low, high = pixels[0].min(), pixels[0].max()
    pixels[0] = (pixels[0] - low) / max(high - low, 1) * 255
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255  # also where that face is one flat gray
    return pixels


def convert(model: Any, pixels: NDArray[np.float32]) -> bytes:
    """Return the int8 FlatBuffer of a Keras `model`, its ranges measured on `pixels` (n, size, size, 1) of 0 to 255.

    Raises QuantizeError when Keras is not on TensorFlow, or TensorFlow refuses.
    """
    tf, converter = _converter(model)

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for face in pixels:
            yield [face[np.newaxis]]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return _converted(converter, model)


def to_float_tflite(model: Any) -> bytes:
    """Return the float32 FlatBuffer of a Keras `model`: what int8 is compared with in speed. Raises as `convert`."""
    return _converted(_converter(model)[1], model)


def _converter(model: Any) -> tuple[Any, Any]:
    """Return TensorFlow and its converter of `model`."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise QuantizeError(
            "conversion needs KERAS_BACKEND=tensorflow; a model trained on another backend converts there"
        )
    import tensorflow as tf

    return tf, tf.lite.TFLiteConverter.from_keras_model(model)


def _converted(converter: Any, model: Any) -> bytes:
    try:
        with suppress_native_output(1, 2):  # the converter prints hundreds of lines
            return bytes(converter.convert())
    except Exception as error:  # TensorFlow's ConverterError is a bare Exception without a public name
        raise QuantizeError(f"TensorFlow cannot convert {model.name}: {' '.join(str(error).split())[:300]}") from error


def float_tensors(content: bytes) -> list[str]:
    """Return `OP (tensor)` for every op of a FlatBuffer that reads or writes floating point; empty for full int8."""
    # Without its delegate, XNNPACK, which would hide the model's own ops.
    plain = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime().Interpreter(model_content=content, experimental_op_resolver_type=plain)
    tensors = {item["index"]: item for item in interpreter.get_tensor_details()}
    floats = {index for index, item in tensors.items() if np.issubdtype(np.dtype(item["dtype"]), np.floating)}
    found: list[str] = []
    for op in interpreter._get_ops_details():  # noqa: SLF001 (the only way to the ops' names)
        touched = floats & {int(index) for index in (*op["inputs"], *op["outputs"])}
        found.extend(f"{op['op_name']} ({tensors[index]['name']})" for index in sorted(touched))
    return found


def _judge(
    before: NDArray[np.float32], source: Path, content: bytes, card: ModelCard, rows: Dataset
) -> tuple[Comparison, ModelCard]:
    """Return the float shares `before` (n, classes) of the file `source` beside those of its int8 `content` on `rows`.

    The latter are the device's own classifier's. The card comes back with the temperature that calibrates them, and
    with what was measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        cards.attach(content, replace(card, temperature=1.0), path)
        raw, _ = predict_tflite(Classifier(path), rows)
        size = path.stat().st_size
    temperature = round(fit_temperature(raw, rows.labels), 3)
    after = tempered(raw, temperature)
    covered, accuracy_covered = coverage(after, rows.labels).at(card.min_confidence)
    compared = Comparison(
        measure(before, rows),
        measure(after, rows),
        float((before.argmax(axis=1) == after.argmax(axis=1)).mean()),
        temperature,
        (reliability(raw, rows.labels).error, reliability(after, rows.labels).error),
        card.min_confidence,
        covered,
        accuracy_covered,
        source.stat().st_size,
        size,
    )
    return compared, replace(card, temperature=temperature, metrics=_metrics(compared))


def _metrics(compared: Comparison) -> dict[str, dict[str, Any]]:
    after = compared.after
    metrics = {
        "n": after.n,
        "accuracy": round(after.accuracy, 4),
        "macro_f1": round(after.macro_f1, 4),
        "float_accuracy": round(compared.before.accuracy, 4),
        "agreement": round(compared.agreement, 4),
        "calibration_error": round(compared.calibration[1], 4),
        "covered": round(compared.covered, 4),
        "accuracy_covered": round(compared.accuracy_covered, 4),
    }
    return {after.split: metrics}
