"""Backbones by name: their weights, widths and sizes, and errors before anything is built."""

import numpy as np
import pytest

from trainer.errors import TrainingError

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def backbones():
    """The module, imported after Keras was loaded."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.networks import backbones

    return backbones


@pytest.fixture(scope="module")
def smallest(backbones):
    """The smallest MobileNetV2."""
    return backbones.build("mobilenet_v2", 32, 0.35, "none", 0.9)


def test_mobilenet_feature_maps_are_a_32nd_of_its_input(smallest):
    assert smallest.input_shape == (None, 32, 32, 3)
    assert smallest.output_shape == (None, 1, 1, 1280)


def test_every_batch_normalization_gets_the_momentum(smallest):
    import keras

    normalizations = [layer for layer in smallest.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in normalizations} == {0.9}
    assert len(normalizations) == 52


# --- weights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "alpha", "size"),
    [("mobilenet_v2", 0.35, 32), ("small_cnn", 0.25, 48), ("small_vgg", 0.125, 48)],
)
def test_weights_file_is_loaded(name, alpha, size, backbones, tmp_path):
    source = backbones.build(name, 32, alpha, "none", 0.9)
    path = tmp_path / "saved.weights.h5"
    source.save_weights(path)
    model = backbones.build(name, size, alpha, str(path), 0.9)
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))


def test_weights_file_of_the_old_format_is_loaded(backbones, tmp_path):
    import h5py

    source = backbones.build("mobilenet", 32, 0.25, "none", 0.9)
    source.save(tmp_path / "model.h5")
    path = tmp_path / "mobilenet_2_5_224_tf_no_top.h5"
    with h5py.File(tmp_path / "model.h5") as model_file, h5py.File(path, "w") as file:  # the layout of Keras' downloads
        weights = model_file["model_weights"]
        file.attrs.update(weights.attrs)
        for name in weights:
            model_file.copy(weights[name], file)
    model = backbones.build("mobilenet", 64, 0.25, str(path), 0.9)
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))


@pytest.mark.parametrize("content", [b"", b"not weights"], ids=["empty", "text"])
def test_file_without_weights_is_an_error_in_one_line(content, backbones, tmp_path):
    path = tmp_path / "saved.weights.h5"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"^weights '[^\n]*saved\.weights\.h5' for mobilenet_v2: [^\n]*$"):
        backbones.build("mobilenet_v2", 32, 0.35, str(path), 0.9)


def test_weights_of_another_width_are_an_error(smallest, backbones, tmp_path):
    path = tmp_path / "saved.weights.h5"
    smallest.save_weights(path)
    with pytest.raises(TrainingError, match=r"saved\.weights\.h5' for mobilenet_v2: "):
        backbones.build("mobilenet_v2", 32, 0.5, str(path), 0.9)


def test_failed_download_is_an_error_in_one_line(backbones, monkeypatch):
    def fail(*_, **__):
        raise Exception("URL fetch failure on https://storage...:\nNone -- no network")  # as Keras raises it

    monkeypatch.setitem(
        backbones.BACKBONES, "remote", backbones.Backbone(fail, 1.0, 0.0, min_size=16, imagenet_alphas=(1.0,))
    )
    with pytest.raises(TrainingError, match=r"^weights 'imagenet' for remote: URL fetch [^\n]*--weights"):
        backbones.build("remote", 32, 1.0, "imagenet", 0.9)


# --- widths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "alpha", "shape"), [("small_cnn", 0.25, (2, 2, 64)), ("small_vgg", 0.25, (4, 4, 128))]
)
def test_alpha_scales_the_number_of_features(name, alpha, shape, backbones):
    assert backbones.build(name, 32, alpha, "none", 0.9).output_shape == (None, *shape)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("mobilenet_v9", 96, 1.0, "none"), r"'mobilenet_v9'.* mobilenet_v2, mobilenet, .*small_vgg"),
        (("mobilenet_v2", 16, 1.0, "none"), r"^mobilenet_v2 needs .* at least 32, found 16$"),
        (("mobilenet_v2", 96, 0.4, "imagenet"), r"^mobilenet_v2 has .* alpha 0\.35, .*, not 0\.4; "),
        (("mobilenet", 96, 1.3, "imagenet"), r"^mobilenet has .* alpha 0\.25, 0\.5, 0\.75, 1\.0, not 1"),
        (("mobilenet", 96, 0.01, "none"), r"^mobilenet of alpha 0\.01 cannot be built: [^\n]*$"),
        (("mobilenet_v2", 96, 0.0, "none"), r"^alpha is 0\.0, expected more than 0$"),
        (("resnet50", 96, 0.5, "none"), r"^resnet50 .* alpha 1, found 0\.5$"),
        (("small_cnn", 96, 1.0, "imagenet"), r"^small_cnn has no ImageNet weights; .*--weights none"),
        (("mobilenet_v2", 96, 1.0, "no.h5"), r"^weights 'no\.h5': no such file; .*'imagenet', 'none'"),
    ],
)
def test_invalid_backbone_is_an_error_that_names_the_choices(arguments, reason, backbones):
    with pytest.raises(TrainingError, match=reason):
        backbones.build(*arguments, momentum=0.9)
