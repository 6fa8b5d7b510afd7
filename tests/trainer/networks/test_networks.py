"""Every backbone that can be named goes the whole way: built, trained, made int8, measured, and run on the device.

All but the smallest are marked slow: what takes long is not the data but TensorFlow, which compiles and converts them.
"""

import dataclasses
import math
import shutil

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST, TRAINING
from trainer.errors import TrainingError
from trainer.evaluation.metrics import evaluate, load_keras, predict_keras, predict_tflite
from trainer.quantization.quantize import quantize

pytestmark = pytest.mark.keras

# Least size as Keras' documentation has it, and the parameters without the top that it or the paper names.
FIRST = {"mobilenet_v2": (32, 2_257_984), "mobilenet": (32, 3_228_864), "small_cnn": (16, 389_856)}
LARGE = {
    "resnet50": (32, 23_587_712),
    "vgg16": (32, 14_714_688),
    "vgg19": (32, 20_024_384),
    "inception_v3": (75, 21_802_784),
    "xception": (71, 20_861_480),
}
NETWORKS = FIRST | LARGE
SLOW = {*NETWORKS} - {"small_cnn"}
EACH = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NETWORKS]
)

DATA = faces.tiny(training=4, public=2, private=1)


@pytest.fixture
def backbones():
    """The module, imported when Keras has been loaded."""
    from trainer import keras_backend as framework

    framework.load()
    from trainer.networks import backbones

    return backbones


@pytest.fixture
def folder(tmp_path):
    """Give a folder that is emptied at once: the state of a training of the largest takes 0.4 GB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_no_network_is_left_out(backbones):
    assert set(NETWORKS) == {*backbones.BACKBONES} - {"tiny"}  # which tests/support/small.py adds


@pytest.mark.parametrize("name", NETWORKS)
def test_the_planes_are_what_keras_own_preprocessing_makes_of_gray_pixels(name, backbones, monkeypatch):
    import keras

    from trainer.networks import model as network

    def nothing(input_shape, **_):
        planes = keras.Input(input_shape)
        return keras.Model(planes, keras.layers.Identity()(planes))

    backbone = dataclasses.replace(backbones.BACKBONES[name], build=nothing, least=16)
    monkeypatch.setitem(backbones.BACKBONES, name, backbone)
    model = network.build(name, 16, 7, alpha=1.0, weights="none", momentum=0.9, dropout=0.0)
    ramp = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    ours = np.asarray(keras.Model(model.input, model.get_layer("three_planes").output)(ramp))
    # small_cnn has no pretrained weights to obey.
    kind = getattr(keras.applications, "mobilenet_v2" if name == "small_cnn" else name)
    assert ours == pytest.approx(kind.preprocess_input(np.repeat(ramp, 3, axis=3)), abs=1e-5)


@EACH
def test_a_network_is_built_at_its_least_size_as_published(name, backbones):
    size, parameters = NETWORKS[name]
    model = backbones.build(name, size, 1.0, "none", 0.9)
    assert min(model.output_shape[1:3]) >= 1
    assert model.count_params() == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_below_its_least_size_a_network_names_it_and_keras_could_not_build_it(name, backbones):
    size = NETWORKS[name][0]
    with pytest.raises(TrainingError, match=rf"^{name} needs an input size of at least {size}, found {size - 1}$"):
        backbones.build(name, size - 1, 1.0, "none", 0.9)
    backbone = backbones.BACKBONES[name]
    widths = {"alpha": 1.0} if backbone.has_widths else {}
    with pytest.raises(ValueError, match=r"at least|Computed output size would be|negative|not valid"):
        backbone.build(input_shape=(size - 1, size - 1, 3), weights=None, **widths)


def steady(model, pixels):
    """Give `model` weights from which an int8 network can follow its float one, as those of a long training would be.

    In fifty layers that each cut off half of what they get at random, any rounding grows into noise. Normalized values
    that lie three standard deviations above zero pass nearly whole. Where there is no normalization, weights that keep
    the variance through a ReLU (He et al., ICCV 2015) let the faces differ to the end. The head is scaled to tell them
    apart.

    Args:
        model: from trainer.networks.model, untrained or nearly so.
        pixels: (n, size, size, 1) of 0 to 255.
    """
    import keras

    for layer in model.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(np.full(layer.beta.shape, 3.0))
            layer.momentum = 0.0
        elif getattr(layer, "activation", None) is keras.activations.relu and layer.weights:
            layer.kernel.assign(np.asarray(layer.kernel) * np.sqrt(2))
    model(pixels, training=True)  # measures the statistics for batch normalization
    features = np.asarray(keras.Model(model.input, model.get_layer("pool").output)(pixels))  # (n, features)
    head = model.get_layer("scores")
    logits = features @ np.asarray(head.kernel)  # (n, classes)
    head.kernel.assign(np.asarray(head.kernel) / logits.std(axis=0))
    head.bias.assign(-logits.mean(axis=0) / logits.std(axis=0))


@EACH
@pytest.mark.timeout(600)
def test_a_network_trains_and_says_as_int8_on_the_device_what_it_says_as_float(name, folder):
    from trainer.training.loop import Settings, inputs_of, train

    size = max(48, NETWORKS[name][0])
    about = {"data": DATA.source, "backbone": name, "input_size": size, "weights": "none"}
    best = train(Settings(**about, head_epochs=0, epochs=1, batch=14, rate=1e-4), DATA, folder / "run")  # two steps
    assert evaluate(best, DATA, PUBLIC_TEST).n == 14
    model = load_keras(best)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())

    steady(model, inputs_of(DATA.split(TRAINING), size))
    model.save(folder / "steady.keras")
    quantize(folder / "steady.keras", DATA, folder / "model.tflite", samples=14)
    assert evaluate(folder / "model.tflite", DATA, PUBLIC_TEST).n == 14
    classifier = Classifier(folder / "model.tflite")
    assert classifier.card.labels == FER2013_LABELS
    shares = classifier.classify(np.zeros((size, size), np.uint8))
    assert math.fsum(shares) == pytest.approx(1, abs=len(FER2013_LABELS) / 512)  # each in steps of 1/256

    rows = DATA.split(PUBLIC_TEST)
    classifier.card = dataclasses.replace(classifier.card, temperature=1.0)  # as the float model, before calibration
    exact, (rounded, _) = predict_keras(model, rows), predict_tflite(classifier, rows)
    assert exact.std(axis=0).min() > 0.02  # it tells the faces apart, or nothing would be compared
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.6  # 0.75 to 0.99; another network's say would be 0
