"""A Keras model to a full-int8 .tflite file with its card inside: weights, activations, input and output, all 8 bits.

The scheme is the usual one for integer-only inference (Jacob et al., CVPR 2018): weights per channel, activations per
tensor with ranges seen on a representative data set, here class-balanced faces from Training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import card as cards
from edge.card import ModelCard
from edge.classifier import Classifier, runtime
from edge.preprocess import resample
from edge.silence import silence
from trainer.errors import QuantizeError
from trainer.evaluate import Result, load_keras, measure, predict_keras, predict_tflite
from trainer.fer2013 import PUBLIC, TRAINING, Dataset

SAMPLES = 210  # 35, 210 and 2,100 gave the same accuracy
SEED = 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """The float model and its int8 file on the same faces."""

    before: Result
    after: Result
    agreement: float  # share of faces that both name the same, 0 to 1
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
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Convert the .keras file `source` and write it to `out` with its card, whole or not at all.

    Args:
        source: a model from grey pixels (n, size, size, 1) to shares (n, classes).
        dataset: Training gives the representative faces, PublicTest the figures of the card.
        out: the .tflite file.
        samples: representative faces, of all classes alike.
        name: of the model in its card; the Keras model's by default.
        say: is told what is being done, as it takes half a minute.

    Raises:
        QuantizeError: an op or a tensor stayed float, or the model does not fit the data set.
        ModelError: `source` is no model. DataError: a split is missing.
    """
    model = load_keras(source)
    if model.output_shape[-1] != len(dataset.names):
        raise QuantizeError(
            f"{source}: {model.output_shape[-1]} outputs, but the data set has {len(dataset.names)} classes"
        )
    rows = dataset.split(PUBLIC)
    say(f"measuring {source.name} on {len(rows)} {PUBLIC} faces")
    before = predict_keras(model, rows)
    pixels = representative(dataset.split(TRAINING), int(model.input_shape[1]), samples)
    if any(layer.name == "backbone" for layer in model.layers):
        from trainer.correction import correct_biases

        say("correcting the biases for rounded weights")
        correct_biases(model, pixels)
    say(f"converting with {len(pixels)} representative faces")
    content = convert(model, pixels)
    floats = float_tensors(content)
    if floats:
        raise QuantizeError(f"{source}: not full int8, nothing written; float stayed in {', '.join(floats[:5])}")
    card = _card(model, dataset, name)
    say("measuring the int8 model as the device runs it")
    compared = compare(before, source, content, card, rows)
    cards.attach(content, _with_metrics(card, compared), out)
    Classifier(out)  # what was written is what the device will run: it must load
    return compared


def _card(model: Any, dataset: Dataset, name: str) -> ModelCard:
    """Return the card without what is still to be measured."""
    return ModelCard(
        name=name or model.name,
        labels=dataset.names,
        input_size=int(model.input_shape[1]),
        detail=dataset.side,
        data=f"{Path(dataset.source).name}: {len(dataset.split(TRAINING))} {TRAINING} faces",
        version=metadata.version("emotion-edge"),
    )


def representative(training: Dataset, size: int, samples: int) -> NDArray[np.float32]:
    """Return (n, size, size, 1) float32 faces of 0 to 255, as many of each class as there are, up to `samples` in all.

    The first one is stretched to 0 to 255, so that the input's scale becomes 1 and raw pixels need no conversion.
    """
    rng = np.random.default_rng(SEED)
    each = max(1, samples // len(training.names))
    chosen = []
    for label in range(len(training.names)):
        rows = np.flatnonzero(training.labels == label)
        chosen.extend(rng.permutation(rows)[:each].tolist())
    faces = [resample(training.faces[row], detail=training.side, size=size) for row in chosen]
    pixels = np.stack(faces).astype(np.float32)[..., np.newaxis]
    low, high = pixels[0].min(), pixels[0].max()
    pixels[0] = (pixels[0] - low) / max(high - low, 1) * 255
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255  # also where that face is one flat grey
    return pixels


def convert(model: Any, pixels: NDArray[np.float32]) -> bytes:
    """Return the int8 FlatBuffer of a Keras `model`, its ranges measured on `pixels` (n, size, size, 1) of 0 to 255.

    Raises QuantizeError when Keras is not on TensorFlow, or TensorFlow refuses.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise QuantizeError(
            "conversion needs KERAS_BACKEND=tensorflow; a model trained on another backend converts there"
        )
    import tensorflow as tf

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for face in pixels:
            yield [face[np.newaxis]]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    try:
        with silence(1, 2):  # the converter prints hundreds of lines
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


def compare(before: NDArray[np.float32], source: Path, content: bytes, card: ModelCard, rows: Dataset) -> Comparison:
    """Return the float shares `before` (n, classes) of the file `source` beside those of its int8 `content` on `rows`.

    The latter are the device's own classifier's.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        cards.attach(content, card, path)
        after, _ = predict_tflite(Classifier(path), rows)
        size = path.stat().st_size
    agreement = float((before.argmax(axis=1) == after.argmax(axis=1)).mean())
    return Comparison(measure(before, rows), measure(after, rows), agreement, source.stat().st_size, size)


def _with_metrics(card: ModelCard, compared: Comparison) -> ModelCard:
    after = compared.after
    metrics = {
        "n": after.n,
        "accuracy": round(after.accuracy, 4),
        "macro_f1": round(after.macro_f1, 4),
        "float_accuracy": round(compared.before.accuracy, 4),
        "agreement": round(compared.agreement, 4),
    }
    return ModelCard(
        card.name,
        card.labels,
        card.input_size,
        card.detail,
        metrics={after.split: metrics},
        data=card.data,
        version=card.version,
    )
