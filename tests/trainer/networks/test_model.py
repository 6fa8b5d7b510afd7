"""The network: raw gray pixels in, one probability per label out, scaling included; freezing and initial weights."""

import numpy as np
import pytest

from tests.support.small import add_tiny_backbone
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def network():
    """The module, imported after Keras was loaded."""
    add_tiny_backbone()
    from trainer.networks import model

    return model


@pytest.fixture(scope="module")
def model(network):
    return network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), dtype=np.uint8)


def test_model_maps_gray_pixels_to_probabilities(model, pixels):
    assert model.input_shape == (None, 32, 32, 1)
    probabilities = model.predict(pixels, verbose=0)
    assert probabilities.shape == (6, 5)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)


def test_backbone_gets_three_equal_scaled_channels(model, network):
    import keras

    scaling = keras.Model(model.input, network.backbone_input(model))
    channels = np.asarray(scaling(np.array([0, 127.5, 255]).reshape(3, 1, 1, 1) * np.ones((1, 32, 32, 1))))
    assert channels[:, 0, 0] == pytest.approx(np.array([[-1] * 3, [0] * 3, [1] * 3]), abs=1e-6)


def test_dropout_is_active_only_in_training(model, pixels):
    first, second = (np.asarray(model(pixels, training=False)) for _ in range(2))
    assert np.array_equal(first, second)
    first, second = (np.asarray(model(pixels, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_probabilities_are_float32_with_mixed_precision(network):
    import keras

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)
        mixed = network.with_ferplus_head(mixed, 10)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert mixed.get_layer("backbone").compute_dtype == "bfloat16"
    assert [output.dtype for output in mixed.outputs] == ["float32", "float32"]
    assert {variable.dtype for variable in mixed.trainable_variables} == {"float32"}


# --- heads ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def build_head(network):
    def build(**head):
        return network.build("small_cnn", 32, 5, alpha=0.25, weights="none", momentum=0.9, dropout=0.5, **head)

    return build


def kinds(model):
    """Return the class and, of dense layers, the units of each layer after the backbone."""
    layers = model.layers[[layer.name for layer in model.layers].index("backbone") + 1 :]
    return [(type(layer).__name__, getattr(layer, "units", None)) for layer in layers]


def test_default_head_is_global_average_pooling_alone(build_head):
    assert kinds(build_head()) == [("GlobalAveragePooling2D", None), ("Dropout", None), ("Dense", 5)]


def test_dense_layers_have_relu_and_dropout(build_head):
    model = build_head(dense=(16, 8))
    expected = [("Dropout", None), ("Dense", 16), ("Dropout", None), ("Dense", 8), ("Dropout", None), ("Dense", 5)]
    assert kinds(model)[1:] == expected
    hidden = [model.get_layer(name) for name in ("dense_1", "dense_2")]
    assert [layer.activation.__name__ for layer in hidden] == ["relu", "relu"]
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.5] * 3


def test_flattened_features_keep_their_positions(build_head):
    model = build_head(flatten=True, dense=(8,))
    assert kinds(model)[0] == ("Flatten", None)
    assert model.get_layer("dense_1").kernel.shape == (2 * 2 * 64, 8)  # 32 px / 16


def test_ferplus_head_shares_the_dense_layers(build_head, network):
    model = network.with_ferplus_head(build_head(dense=(16, 8)), 10)
    assert model.get_layer("ferplus").kernel.shape == (8, 10)
    assert model.get_layer("ferplus").input is network.head(model).input


def test_dense_head_is_trained_and_its_weights_are_copied(build_head, network, tmp_path):
    source, path = build_head(dense=(16,)), tmp_path / "best.keras"
    source.save(path)
    network.unfreeze(source, 0)
    assert trainable_layers(source) == ["dense_1", "probabilities"]
    same, other = build_head(dense=(16,)), build_head(dense=(8,))
    network.load_weights(same, path)
    network.load_weights(other, path)
    assert all(map(np.array_equal, same.get_weights(), source.get_weights()))
    assert np.array_equal(other.get_layer("backbone").get_weights()[0], source.get_layer("backbone").get_weights()[0])


# --- freezing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(network):
    """A new model with a second head; its backbone has four layers with weights."""
    built = network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)
    return network.with_ferplus_head(built, 10)


LAYERS = ("patches", "patches_norm", "dense", "dense_norm")
HEADS = ("probabilities", "ferplus")


def trainable_layers(model):
    """Return the names of the layers that own the trainable variables, in the variables' order."""
    return list(dict.fromkeys(variable.path.split("/")[-2] for variable in model.trainable_variables))


@pytest.mark.parametrize("last", [0, 1, 2, 3, 4, 5, None])
def test_unfreeze_frees_the_last_layers_and_the_heads(last, fresh, network):
    network.unfreeze(fresh, last)
    expected = LAYERS if last is None else LAYERS[max(0, 4 - last) :]
    assert trainable_layers(fresh) == [*expected, *HEADS]


def test_unfreeze_keeps_weights_and_the_order_of_variables(fresh, network):
    fresh.set_weights([np.random.default_rng(0).random(weight.shape) for weight in fresh.weights])
    variables, weights = list(fresh.trainable_variables), fresh.get_weights()
    for last in (0, 2, 3, 1, None):
        network.unfreeze(fresh, last)
        order = [next(n for n, other in enumerate(variables) if other is one) for one in fresh.trainable_variables]
        assert order == sorted(order)
        assert all(map(np.array_equal, fresh.get_weights(), weights))
    assert order == list(range(len(variables)))


def test_unfreeze_frees_a_frozen_head(fresh, network):
    fresh.trainable = False
    network.unfreeze(fresh, 0)
    assert trainable_layers(fresh) == list(HEADS)


@pytest.mark.parametrize(("last", "updated"), [(0, []), (2, ["dense_norm"]), (None, ["patches_norm", "dense_norm"])])
def test_only_unfrozen_batch_normalization_updates_statistics(last, updated, fresh, network, pixels):
    network.unfreeze(fresh, last)
    backbone = fresh.get_layer("backbone")
    normalizations = {name: backbone.get_layer(name) for name in ("patches_norm", "dense_norm")}
    before = {name: np.asarray(layer.moving_mean).copy() for name, layer in normalizations.items()}
    fresh(pixels, training=True)
    changed = [name for name, layer in normalizations.items() if not np.array_equal(layer.moving_mean, before[name])]
    assert changed == updated


def test_frozen_backbone_runs_in_inference_mode_in_training(fresh, network, pixels):
    channels = np.repeat(pixels / np.float32(127.5) - 1, 3, axis=3)
    backbone = fresh.get_layer("backbone")
    network.unfreeze(fresh, None)
    assert not np.allclose(backbone(channels, training=True), backbone(channels, training=False))
    network.unfreeze(fresh, 0)
    assert np.array_equal(backbone(channels, training=True), backbone(channels, training=False))


def test_training_changes_only_unfrozen_layers(fresh, network, pixels):
    network.unfreeze(fresh, 2)
    before = [np.asarray(variable).copy() for variable in fresh.trainable_variables + fresh.non_trainable_variables]
    targets = np.eye(5, dtype=np.float32)[np.arange(6) % 5], np.full((6, 10), 0.1, np.float32)
    fresh.compile("sgd", ["categorical_crossentropy"] * 2)
    fresh.fit(pixels, targets, epochs=1, verbose=0)
    after = fresh.trainable_variables + fresh.non_trainable_variables
    changed = {
        variable.path.split("/")[-2]
        for variable, old in zip(after, before, strict=True)
        if not np.array_equal(variable, old) and "seed" not in variable.path
    }
    assert changed == {"dense", "dense_norm", *HEADS}


def test_negative_number_of_layers_is_an_error(fresh, network):
    with pytest.raises(TrainingError, match=r"-1 layers, expected at least 0"):
        network.unfreeze(fresh, -1)


# --- weights of an earlier run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def build_small_cnn(network):
    def build(size, classes, alpha=0.25):
        return network.build("small_cnn", size, classes, alpha=alpha, weights="none", momentum=0.9, dropout=0.0)

    return build


@pytest.fixture(scope="module")
def earlier(build_small_cnn, tmp_path_factory):
    """A model of an earlier run, and its file."""
    model, path = build_small_cnn(32, 5), tmp_path_factory.mktemp("earlier") / "best.keras"
    model.save(path)
    return model, path


@pytest.mark.parametrize(("classes", "copies_head"), [(5, True), (4, False)])
def test_weights_are_copied_whatever_the_input_size(classes, copies_head, earlier, build_small_cnn, network):
    source, path = earlier
    model = build_small_cnn(48, classes)
    network.load_weights(model, path)
    backbones = (one.get_layer("backbone").get_weights() for one in (model, source))
    assert all(map(np.array_equal, *backbones))
    kernels = [network.head(one).get_weights()[0] for one in (model, source)]
    assert np.array_equal(*kernels) == copies_head


def test_weights_of_a_narrower_network_are_an_error(earlier, build_small_cnn, network):
    with pytest.raises(TrainingError, match=r"best\.keras: not a small_cnn of the same width or a wider one"):
        network.load_weights(build_small_cnn(32, 5, alpha=0.5), earlier[1])


def test_narrower_network_gets_the_most_important_channels(build_small_cnn, network, tmp_path):
    wide = build_small_cnn(32, 5, alpha=0.5)
    wide.get_layer("backbone").get_layer("block1_norm").gamma.assign([1, 9, 2, 8, 3, 7, 4, 6, 5, 9, 9, 9, 9, 1, 1, 1])
    wide.save(tmp_path / "wide.keras")
    model = build_small_cnn(32, 5, alpha=0.25)
    network.load_weights(model, tmp_path / "wide.keras")
    scales = np.asarray(model.get_layer("backbone").get_layer("block1_norm").gamma)
    assert scales.tolist() == [9, 8, 7, 6, 9, 9, 9, 9]


def test_missing_file_is_an_error_in_one_line(model, network, tmp_path):
    with pytest.raises(TrainingError, match=r"^[^\n]*no\.keras': no such file; [^\n]*$"):
        network.load_weights(model, tmp_path / "no.keras")
