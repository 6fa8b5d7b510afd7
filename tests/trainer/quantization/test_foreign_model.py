"""A Keras model of somebody else's is converted with the labels that its outputs have, or not at all."""

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference import model_file
from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.errors import DataError, QuantizeError
from trainer.evaluation.evaluate import evaluate
from trainer.quantization.quantize import quantize

pytestmark = pytest.mark.keras

LABELS = ("calm", "cross", "glad", "tired")
ALPHABET_BUT_TWO = ("calm", "cross", "tired", "glad")


def data_set(each=25):
    """Return faces whose label is told by a bright quarter, each fifth one of PublicTest."""
    labels = np.tile(np.arange(len(LABELS)), each)
    images = np.full((len(labels), 32, 32), 40, np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 250
    numbers = np.arange(len(labels)) // len(LABELS)
    return Dataset(images, labels, np.where(numbers % 5 == 4, PUBLIC_TEST, TRAINING), LABELS, source="own.csv")


@pytest.fixture
def write_model(tmp_path):
    """Return a function that writes a model which is right about every face; its outputs have the given order."""
    from trainer import keras_backend

    keras_backend.load()
    import keras

    def write(order=LABELS, activation="softmax"):
        pixels = keras.Input((32, 32, 1))
        quarters = keras.layers.Flatten()(keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(1 / 255)(pixels)))
        outputs = keras.layers.Dense(len(order), activation=activation)
        model = keras.Model(pixels, outputs(quarters), name="foreign")
        weights = np.array([[8.0 if label == name else 0.0 for name in order] for label in LABELS])
        outputs.set_weights([weights, np.full(len(order), -5.0)])
        path = tmp_path / "foreign.keras"
        model.save(path)
        return path

    return write


def test_wrong_order_is_refused_with_the_one_that_fits(write_model, tmp_path):
    source, out = write_model(ALPHABET_BUT_TWO), tmp_path / "out.tflite"
    order = ",".join(ALPHABET_BUT_TWO)
    with pytest.raises(QuantizeError, match=f"foreign.keras: nothing written: .* glad, tired .*--labels {order}$"):
        quantize(source, data_set(), out)
    assert not out.exists()
    result = quantize(source, data_set(), out, labels=ALPHABET_BUT_TWO)
    assert (result.int8_metrics.accuracy, result.label_warning) == (1, "")
    assert model_file.load(out)[1].labels == ALPHABET_BUT_TWO


def test_wrong_labels_are_refused_also_when_they_are_given(write_model, tmp_path):
    with pytest.raises(QuantizeError, match=f"--labels {','.join(LABELS)}$"):
        quantize(write_model(), data_set(), tmp_path / "out.tflite", labels=ALPHABET_BUT_TWO)


def test_with_few_faces_the_order_is_only_warned_of(write_model, tmp_path):
    result = quantize(write_model(ALPHABET_BUT_TWO), data_set(each=15), tmp_path / "out.tflite")
    assert "glad, tired" in result.label_warning
    assert "too few faces" in result.label_warning


def test_logits_are_refused_or_get_a_softmax(write_model, tmp_path):
    source, out = write_model(activation=None), tmp_path / "out.tflite"
    with pytest.raises(ModelError, match=r"no probabilities .*--logits"):
        quantize(source, data_set(), out)
    with pytest.raises(ModelError, match=r"no probabilities .*--logits"):
        evaluate(source, data_set(), PUBLIC_TEST)
    assert not out.exists()
    result = quantize(source, data_set(), out, logits=True)
    assert result.int8_metrics.accuracy == 1
    assert result.float_metrics.loss < 0.05


def test_probabilities_with_the_option_logits_are_refused(write_model, tmp_path):
    with pytest.raises(QuantizeError, match="probabilities already; leave out --logits"):
        quantize(write_model(), data_set(), tmp_path / "out.tflite", logits=True)


def test_other_number_of_labels_names_the_option(write_model, tmp_path):
    with pytest.raises(QuantizeError, match=r"4 outputs, but the data set has 7 classes; .*--labels"):
        quantize(write_model(), faces.tiny(), tmp_path / "out.tflite")
    with pytest.raises(QuantizeError, match="4 outputs, but --labels has 2 classes"):
        quantize(write_model(), data_set(), tmp_path / "out.tflite", labels=("calm", "glad"))


def test_labels_that_the_data_lack_are_an_error(write_model, tmp_path):
    with pytest.raises(DataError, match="the model's labels are calm, cross, glad, angry; the data set's are"):
        quantize(write_model(), data_set(), tmp_path / "out.tflite", labels=("calm", "cross", "glad", "angry"))
