"""Raw gray pixels go in, one share a label comes out, and the scaling lies inside."""

import numpy as np
import pytest

from tests.support.small import add_tiny_backbone
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def model():
    add_tiny_backbone()
    from trainer.networks import model as network

    return network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), dtype=np.uint8)


def test_the_model_goes_from_gray_pixels_to_one_share_a_class(model, pixels):
    assert model.input_shape == (None, 32, 32, 1)
    shares = model.predict(pixels, verbose=0)
    assert shares.shape == (6, 5)
    assert shares.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)


def test_the_backbone_sees_three_equal_planes_scaled_to_what_it_was_pretrained_on(model):
    import keras

    inside = keras.Model(model.input, model.get_layer("three_planes").output)
    seen = np.asarray(inside(np.array([0, 127.5, 255]).reshape(3, 1, 1, 1) * np.ones((1, 32, 32, 1))))
    assert seen[:, 0, 0] == pytest.approx(np.array([[-1] * 3, [0] * 3, [1] * 3]), abs=1e-6)


def test_dropout_is_for_training_alone(model, pixels):
    once, twice = (np.asarray(model(pixels, training=False)) for _ in range(2))
    assert np.array_equal(once, twice)
    once, twice = (np.asarray(model(pixels, training=True)) for _ in range(2))
    assert not np.array_equal(once, twice)


# --- freezing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh():
    """A network with a second head whose backbone has four layers with weights, and the module."""
    add_tiny_backbone()
    from trainer.networks import model as network

    built = network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)
    return network.with_votes(built, 10), network


LAYERS = ("patches", "patches_norm", "whole", "whole_norm")
HEAD = ("scores", "votes")


def trainable(model):
    """Return the names of the layers that own the trainable variables, in the variables' order."""
    return list(dict.fromkeys(variable.path.split("/")[-2] for variable in model.trainable_variables))


@pytest.mark.parametrize("last", [0, 1, 2, 3, 4, 5, None])
def test_the_last_layers_of_the_backbone_that_have_weights_are_free_and_the_head_always(last, fresh):
    model, network = fresh
    network.unfreeze(model, last)
    free = LAYERS if last is None else LAYERS[max(0, 4 - last) :]
    assert trainable(model) == [*free, *HEAD]


def test_freezing_and_freeing_again_changes_no_order(fresh):
    model, network = fresh
    model.set_weights([np.random.default_rng(0).random(weight.shape) for weight in model.weights])
    everything, weights = list(model.trainable_variables), model.get_weights()
    for last in (0, 2, 3, 1, None):
        network.unfreeze(model, last)
        places = [next(n for n, other in enumerate(everything) if other is one) for one in model.trainable_variables]
        assert places == sorted(places)
        assert all(map(np.array_equal, model.get_weights(), weights))
    assert places == list(range(len(everything)))


def test_a_head_that_was_frozen_is_freed(fresh):
    model, network = fresh
    model.trainable = False
    network.unfreeze(model, 0)
    assert trainable(model) == list(HEAD)


@pytest.mark.parametrize(("last", "moved"), [(0, []), (2, ["whole_norm"]), (None, ["patches_norm", "whole_norm"])])
def test_only_a_free_batch_normalization_learns_statistics(last, moved, fresh, pixels):
    model, network = fresh
    network.unfreeze(model, last)
    backbone = model.get_layer("backbone")
    norms = {name: backbone.get_layer(name) for name in ("patches_norm", "whole_norm")}
    before = {name: np.asarray(norm.moving_mean).copy() for name, norm in norms.items()}
    model(pixels, training=True)
    assert [name for name, norm in norms.items() if not np.array_equal(norm.moving_mean, before[name])] == moved


def test_a_frozen_backbone_gives_in_training_what_it_gives_in_use(fresh, pixels):
    model, network = fresh
    planes = np.repeat(pixels / np.float32(127.5) - 1, 3, axis=3)
    backbone = model.get_layer("backbone")
    network.unfreeze(model, None)
    assert not np.allclose(backbone(planes, training=True), backbone(planes, training=False))
    network.unfreeze(model, 0)
    assert np.array_equal(backbone(planes, training=True), backbone(planes, training=False))


def test_training_moves_only_what_is_free(fresh, pixels):
    model, network = fresh
    network.unfreeze(model, 2)
    before = [np.asarray(variable).copy() for variable in model.trainable_variables + model.non_trainable_variables]
    targets = np.eye(5, dtype=np.float32)[np.arange(6) % 5], np.full((6, 10), 0.1, np.float32)
    model.compile("sgd", ["categorical_crossentropy"] * 2)
    model.fit(pixels, targets, epochs=1, verbose=0)
    now = model.trainable_variables + model.non_trainable_variables
    moved = {
        variable.path.split("/")[-2]
        for variable, old in zip(now, before, strict=True)
        if not np.array_equal(variable, old) and "seed" not in variable.path
    }
    assert moved == {"whole", "whole_norm", *HEAD}


def test_less_than_no_layer_is_refused(fresh):
    model, network = fresh
    with pytest.raises(TrainingError, match=r"^cannot unfreeze -1 layers, expected at least 0$"):
        network.unfreeze(model, -1)


# --- starting from an earlier run -----------------------------------------------------------------------------------


def build(size, classes, alpha=0.25):
    add_tiny_backbone()
    from trainer.networks import model as network

    return network.build("small_cnn", size, classes, alpha=alpha, weights="none", momentum=0.9, dropout=0.0)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    model, path = build(32, 5), tmp_path_factory.mktemp("earlier") / "best.keras"
    model.save(path)
    return model, path


@pytest.mark.parametrize(("classes", "head"), [(5, True), (4, False)])
def test_an_earlier_runs_weights_come_along_whatever_the_size_and_its_head_where_it_fits(classes, head, earlier):
    from trainer.networks import model as network

    old, path = earlier
    model = build(48, classes)
    network.start_from(model, path)
    backbones = (one.get_layer("backbone").get_weights() for one in (model, old))
    assert all(map(np.array_equal, *backbones))
    kernels = [one.get_layer("scores").get_weights()[0] for one in (model, old)]
    assert np.array_equal(*kernels) == head


def test_an_earlier_run_of_another_width_is_refused(earlier):
    from trainer.networks import model as network

    with pytest.raises(TrainingError, match=r"best\.keras: not a small_cnn of the same width; "):
        network.start_from(build(32, 5, alpha=0.5), earlier[1])


def test_an_earlier_run_that_is_not_there_is_refused_in_one_line(model, tmp_path):
    from trainer.networks import model as network

    said = r"no\.keras': no such file; expected 'imagenet', 'none', a weights file or a run's \.keras file$"
    with pytest.raises(TrainingError, match=said):
        network.start_from(model, tmp_path / "no.keras")
