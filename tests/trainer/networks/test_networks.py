"""Every backbone from end to end: built, trained, quantized, evaluated, and run by the classifier of the device.

All but the smallest are marked slow: TensorFlow needs long to compile and convert them.
"""

import dataclasses
import math
import shutil

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer import keras_file
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST, TRAINING
from trainer.errors import TrainingError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.prediction import predict_keras, predict_tflite
from trainer.quantization.quantize import quantize

pytestmark = pytest.mark.keras

# Smallest input as in Keras' documentation, and the parameters without the top, as there or in the paper.
SMALL = {
    "mobilenet_v2": (32, 2_257_984),
    "mobilenet": (32, 3_228_864),
    "efficientnet_lite0": (32, 3_413_024),
    "efficientnet_lite2": (32, 4_869_168),
    "small_cnn": (16, 389_856),
    "small_vgg": (8, 4_691_136),
}
LARGE = {
    "resnet50": (32, 23_587_712),
    "vgg16": (32, 14_714_688),
    "vgg19": (32, 20_024_384),
    "inception_v3": (75, 21_802_784),
    "xception": (71, 20_861_480),
}
NETWORKS = SMALL | LARGE
SLOW = {*NETWORKS} - {"small_cnn"}
EVERY_BACKBONE = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NETWORKS]
)

DATA = faces.tiny(training=4, public=2, private=1)


@pytest.fixture
def backbones():
    """The module, imported after Keras was loaded."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.networks import backbones

    return backbones


@pytest.fixture
def folder(tmp_path):
    """Give a folder that is removed after the test: the checkpoint of the largest network takes 0.4 GB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_no_backbone_is_missing_here(backbones):
    assert set(NETWORKS) == {*backbones.BACKBONES} - {"tiny"}  # which tests/support/small.py adds


@pytest.mark.parametrize("name", NETWORKS)
def test_scaling_equals_keras_preprocessing(name, backbones, monkeypatch):
    import keras

    from trainer.networks import model as network

    def identity(input_shape, **_):
        channels = keras.Input(input_shape)
        return keras.Model(channels, keras.layers.Identity()(channels))

    backbone = dataclasses.replace(backbones.BACKBONES[name], build=identity, min_size=16)
    monkeypatch.setitem(backbones.BACKBONES, name, backbone)
    model = network.build(name, 16, 7, alpha=1.0, weights="none", momentum=0.9, dropout=0.0)
    ramp = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    ours = np.asarray(keras.Model(model.input, network.backbone_input(model))(ramp))
    pixels = np.repeat(ramp, 3, axis=3)
    if name.startswith("efficientnet_lite"):  # not in Keras; as its ImageNet model was trained
        expected = (pixels - 127) / 128
    else:  # the small ones have no pretrained weights
        application = getattr(keras.applications, "mobilenet_v2" if name.startswith("small_") else name)
        expected = application.preprocess_input(pixels)
    assert ours == pytest.approx(expected, abs=1e-5)


@EVERY_BACKBONE
def test_smallest_input_and_parameters_are_as_published(name, backbones):
    size, parameters = NETWORKS[name]
    model = backbones.build(name, size, 1.0, "none", 0.9)
    assert min(model.output_shape[1:3]) >= 1
    assert model.count_params() == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_smaller_input_is_an_error_here_and_in_keras(name, backbones):
    size = NETWORKS[name][0]
    with pytest.raises(TrainingError, match=rf"^{name} needs .* at least {size}, found {size - 1}$"):
        backbones.build(name, size - 1, 1.0, "none", 0.9)
    backbone = backbones.BACKBONES[name]
    if name.startswith("efficientnet_lite"):
        return  # not in Keras
    width = {"alpha": 1.0} if backbone.has_alpha else {}
    with pytest.raises(ValueError, match=r"at least|Computed output size would be|negative|not valid"):
        backbone.build(input_shape=(size - 1, size - 1, 3), weights=None, **width)


def stabilize(model, pixels):
    """Give `model` weights that survive quantization, as a long training would.

    In fifty layers that each clip half of their input at random, any rounding error grows into noise. So the outputs of
    batch normalization are moved three standard deviations above zero, where a ReLU clips almost nothing. Without batch
    normalization, weights that keep the variance through a ReLU (He et al., ICCV 2015) let the features of different
    faces differ. The head is scaled so that the probabilities differ as well.

    Args:
        model: from trainer.networks.model, untrained or nearly so.
        pixels: (n, size, size, 1) of 0 to 255.
    """
    import keras

    from trainer.networks import model as network

    for layer in model.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(np.full(layer.beta.shape, 3.0))
            layer.momentum = 0.0
        elif getattr(layer, "activation", None) is keras.activations.relu and layer.weights:
            layer.kernel.assign(np.asarray(layer.kernel) * np.sqrt(2))
    model(pixels, training=True)  # sets the statistics of batch normalization
    features = np.asarray(keras.Model(model.input, model.get_layer("pool").output)(pixels))  # (n, features)
    head = network.head(model)
    logits = features @ np.asarray(head.kernel)  # (n, classes)
    head.kernel.assign(np.asarray(head.kernel) / logits.std(axis=0))
    head.bias.assign(-logits.mean(axis=0) / logits.std(axis=0))


@EVERY_BACKBONE
@pytest.mark.timeout(600)
def test_backbone_trains_and_int8_agrees_with_float(name, folder):
    from trainer.training.batches import model_inputs
    from trainer.training.loop import train
    from trainer.training.settings import TrainingSettings

    size = max(48, NETWORKS[name][0])
    settings = TrainingSettings(
        data=DATA.source,
        backbone=name,
        input_size=size,
        weights="none",
        head_epochs=0,
        epochs=1,
        batch_size=14,  # two steps
        learning_rate=1e-4,
    )
    best = train(settings, DATA, folder / "run")
    assert evaluate(best, DATA, PUBLIC_TEST).model.metrics.n == 14
    model = keras_file.load(best)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())

    stabilize(model, model_inputs(DATA.split(TRAINING), size))
    model.save(folder / "stable.keras")
    quantize(folder / "stable.keras", DATA, folder / "model.tflite", samples=14)
    assert evaluate(folder / "model.tflite", DATA, PUBLIC_TEST).model.metrics.n == 14
    classifier = Classifier(folder / "model.tflite")
    assert classifier.card.labels == FER2013_LABELS
    probabilities = classifier.classify(np.zeros((size, size), np.uint8))
    assert math.fsum(probabilities) == pytest.approx(1, abs=len(FER2013_LABELS) / 512)  # each in steps of 1/256

    rows = DATA.split(PUBLIC_TEST)
    classifier.card = dataclasses.replace(classifier.card, temperature=1.0)  # as the float model, before calibration
    expected, found = predict_keras(model, rows), predict_tflite(classifier, rows)
    assert expected.std(axis=0).min() > 0.02  # else the correlation means nothing
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.6  # 0.75 to 0.99; 0 for another network
