"""A backbone is found by its name, starts from the weights that are named, and says what it cannot do."""

import numpy as np
import pytest

from trainer.errors import TrainingError

pytestmark = pytest.mark.keras


@pytest.fixture
def backbones():
    """The module, imported when Keras has been loaded."""
    from trainer import keras_backend as framework

    framework.load()
    from trainer.networks import backbones

    return backbones


@pytest.fixture(scope="module")
def small():
    """MobileNetV2 at its smallest, made once."""
    from trainer import keras_backend as framework

    framework.load()
    from trainer.networks import backbones

    return backbones.build("mobilenet_v2", 32, 0.35, "none", 0.9)


def test_mobilenet_gives_feature_maps_of_a_32nd_of_its_input(small):
    assert small.input_shape == (None, 32, 32, 3)
    assert small.output_shape == (None, 1, 1, 1280)


def test_every_batch_normalization_has_the_momentum_that_was_asked_for(small):
    import keras

    norms = [layer for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
    assert len(norms) == 52


def test_a_weights_file_gives_its_weights(small, backbones, tmp_path):
    path = tmp_path / "small.weights.h5"
    small.save_weights(path)
    again = backbones.build("mobilenet_v2", 32, 0.35, str(path), 0.9)
    assert all(map(np.array_equal, again.get_weights(), small.get_weights()))


def test_a_weights_file_of_the_old_format_without_the_top_gives_its_weights(backbones, tmp_path):
    import h5py

    first = backbones.build("mobilenet", 32, 0.25, "none", 0.9)
    first.save(tmp_path / "whole.h5")
    path = tmp_path / "mobilenet_2_5_224_tf_no_top.h5"
    with (
        h5py.File(tmp_path / "whole.h5") as whole,
        h5py.File(path, "w") as file,
    ):  # as Keras' own downloads are laid out
        weights = whole["model_weights"]
        file.attrs.update(weights.attrs)
        for name in weights:
            whole.copy(weights[name], file)
    again = backbones.build("mobilenet", 64, 0.25, str(path), 0.9)
    assert all(map(np.array_equal, again.get_weights(), first.get_weights()))


def test_small_cnn_is_narrower_at_a_smaller_alpha_and_takes_a_weights_file(backbones, tmp_path):
    first = backbones.build("small_cnn", 32, 0.25, "none", 0.9)
    assert first.output_shape == (None, 2, 2, 64)
    path = tmp_path / "small.weights.h5"
    first.save_weights(path)
    again = backbones.build("small_cnn", 48, 0.25, str(path), 0.9)
    assert all(map(np.array_equal, again.get_weights(), first.get_weights()))


@pytest.mark.parametrize("content", [b"", b"not weights"], ids=["empty", "text"])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(content, backbones, tmp_path):
    path = tmp_path / "small.weights.h5"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"^weights '[^\n]*small\.weights\.h5' for mobilenet_v2: [^\n]*$"):
        backbones.build("mobilenet_v2", 32, 0.35, str(path), 0.9)


def test_weights_of_another_width_are_refused(small, backbones, tmp_path):
    path = tmp_path / "small.weights.h5"
    small.save_weights(path)
    with pytest.raises(TrainingError, match=r"small\.weights\.h5' for mobilenet_v2: "):
        backbones.build("mobilenet_v2", 32, 0.5, str(path), 0.9)


def test_imagenet_weights_that_cannot_be_downloaded_are_refused_in_one_line(backbones, monkeypatch):
    def no_network(*_, **__):
        raise Exception("URL fetch failure on https://storage...:\nNone -- no network")  # as Keras says it

    monkeypatch.setitem(backbones.BACKBONES, "far", backbones.Backbone(no_network, 1.0, 0.0, 16, (1.0,)))
    with pytest.raises(
        TrainingError, match=r"^weights 'imagenet' for far: URL fetch [^\n]*; name a file by '--weights"
    ):
        backbones.build("far", 32, 1.0, "imagenet", 0.9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mobilenet_v9", 96, 1.0, "none"), r"^unknown backbone 'mobilenet_v9'; there are mobilenet_v2, mobilenet, "),
        (("mobilenet_v2", 16, 1.0, "none"), r"^mobilenet_v2 needs an input size of at least 32, found 16$"),
        (("mobilenet_v2", 96, 0.4, "imagenet"), r"^mobilenet_v2 has ImageNet weights for alpha 0\.35, .*, not 0\.4; "),
        (
            ("mobilenet", 96, 1.3, "imagenet"),
            r"^mobilenet has ImageNet weights for alpha 0\.25, 0\.5, 0\.75, 1\.0, not 1",
        ),
        (("mobilenet", 96, 0.01, "none"), r"^mobilenet of alpha 0\.01 cannot be built: [^\n]*$"),
        (("mobilenet_v2", 96, 0.0, "none"), r"^alpha is 0\.0, expected more than 0$"),
        (("resnet50", 96, 0.5, "none"), r"^resnet50 comes in one width, alpha 1, found 0\.5$"),
        (("small_cnn", 96, 1.0, "imagenet"), r"^small_cnn has no ImageNet weights; take '--weights none'$"),
        (
            ("mobilenet_v2", 96, 1.0, "no.h5"),
            r"^weights 'no\.h5': no such file; expected 'imagenet', 'none', a weights file or a run's \.keras file$",
        ),
    ],
)
def test_what_a_backbone_cannot_do_is_said_before_anything_is_built(arguments, said, backbones):
    with pytest.raises(TrainingError, match=said):
        backbones.build(*arguments, momentum=0.9)
