"""`.keras` files carry labels and effective resolution, and only fitting models are loaded."""

import zipfile

import numpy as np
import pytest

from edge.errors import ModelError
from trainer import keras_backend, keras_file
from trainer.keras_file import KerasMetadata

METADATA = KerasMetadata(("a", "b", "c"), 48)


@pytest.fixture
def build():
    """Return a function that builds an untrained model of the given input shape, with three outputs."""
    keras_backend.load()
    import keras

    def build(shape, dtype="float32"):
        pixels = keras.Input(shape)
        pooled = keras.layers.GlobalAveragePooling2D()(pixels) if len(shape) == 3 else pixels
        hidden = keras.layers.Dense(4, dtype=dtype)(pooled)
        return keras.Model(pixels, keras.layers.Dense(3, activation="softmax", dtype="float32")(hidden))

    return build


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"best\.keras: not found"):
        keras_file.load(tmp_path / "best.keras")


@pytest.mark.keras
def test_saved_model_has_its_metadata_and_weights(build, tmp_path):
    path, model = tmp_path / "model.keras", build((32, 32, 1))
    keras_file.save(model, path, METADATA)
    assert keras_file.load_metadata(path) == METADATA
    assert all(map(np.array_equal, keras_file.load(path).get_weights(), model.get_weights()))


@pytest.mark.keras
def test_model_of_others_has_no_metadata(build, tmp_path):
    path = tmp_path / "model.keras"
    build((32, 32, 1)).save(path)
    assert keras_file.load_metadata(path) is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"labels": ["a"], "detail": 48}', '{"labels": 1, "effective_resolution": 48}']
)
def test_damaged_or_old_metadata_are_an_error(content, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(keras_file.METADATA_MEMBER, content)
    with pytest.raises(ModelError, match=r"model\.keras: .*trainer\.migrate"):
        keras_file.load_metadata(path)


@pytest.mark.keras
def test_mixed_precision_model_is_loaded_as_float32(build, tmp_path):
    path, model = tmp_path / "model.keras", build((32, 32, 1), dtype="mixed_bfloat16")
    keras_file.save(model, path, METADATA)
    loaded = keras_file.load(path)
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


@pytest.mark.keras
@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 48, 1), (None, None, 1), (1024,)])
def test_other_input_than_square_gray_is_an_error(shape, build, tmp_path):
    path = tmp_path / "model.keras"
    build(shape).save(path)
    with pytest.raises(ModelError, match=r"model\.keras: its input is .*expected square gray"):
        keras_file.load(path)


@pytest.mark.keras
@pytest.mark.parametrize("damage", ["empty", "truncated", "changed"])
def test_damaged_file_is_an_error_in_one_line(damage, build, tmp_path):
    path = tmp_path / "model.keras"
    build((32, 32, 1)).save(path)
    content = path.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
    path.write_bytes({"empty": b"", "truncated": content[:middle], "changed": changed}[damage])
    with pytest.raises(ModelError, match=r"^[^\n]*model\.keras: not a Keras model \([^\n]*\)$"):
        keras_file.load(path)
