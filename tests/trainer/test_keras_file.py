"""`.keras` files carry labels and effective resolution, and only fitting models are loaded."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from tests.support import faces
from trainer import keras_backend, keras_file
from trainer.evaluation.prediction import open_model
from trainer.keras_file import KerasMetadata

METADATA = KerasMetadata(("a", "b", "c"), 48, {"a": 0.5, "b": 0.3, "c": 0.2})


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
    with pytest.raises(ModelError, match=r"best\.keras: no such file"):
        keras_file.load(tmp_path / "best.keras")


@pytest.mark.keras
def test_saved_model_has_its_metadata_and_weights(build, tmp_path):
    path, model = tmp_path / "model.keras", build((32, 32, 1))
    keras_file.save(model, path, METADATA)
    assert keras_file.load_metadata(path) == METADATA
    assert all(map(np.array_equal, keras_file.load(path).get_weights(), model.get_weights()))


def test_metadata_from_before_class_frequencies_are_read(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(keras_file.METADATA_MEMBER, '{"labels": ["a", "b"], "effective_resolution": 48}')
    assert keras_file.load_metadata(path) == KerasMetadata(("a", "b"), 48)


@pytest.mark.keras
def test_model_of_others_has_no_metadata(build, tmp_path):
    path = tmp_path / "model.keras"
    build((32, 32, 1)).save(path)
    assert keras_file.load_metadata(path) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"labels": ["a"], "detail": 48}',
        '{"labels": 1, "effective_resolution": 48}',
        '{"labels": ["a"], "effective_resolution": 48, "class_frequencies": [1]}',
        '{"labels": ["a"], "effective_resolution": 48, "class_frequencies": {"a": "all"}}',
        '{"labels": "abc", "effective_resolution": 48}',
        '{"labels": ["a", "a"], "effective_resolution": 48}',
        '{"labels": ["a"], "effective_resolution": 1e999}',
        '{"labels": ["a"], "effective_resolution": 0}',
        '{"labels": ["a"], "effective_resolution": 48, "color": "bgr"}',
        "[" * 20_000,
    ],
    ids=lambda content: content[:60],
)
def test_damaged_or_old_metadata_are_an_error(content, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(keras_file.METADATA_MEMBER, content)
    with pytest.raises(ModelError, match=r"model\.keras: .*trainer\.migrate"):
        keras_file.load_metadata(path)


def test_labels_of_damaged_metadata_are_not_guessed(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(keras_file.METADATA_MEMBER, '{"labels": ["a", "b"], "effective_resolution": 48}')
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"c"'))  # its checksum is wrong now
    with pytest.raises(ModelError, match="metadata damaged"):
        keras_file.load_metadata(path)


@pytest.mark.keras
def test_mixed_precision_model_is_loaded_as_float32(build, tmp_path):
    path, model = tmp_path / "model.keras", build((32, 32, 1), dtype="mixed_bfloat16")
    keras_file.save(model, path, METADATA)
    loaded = keras_file.load(path)
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


@pytest.mark.parametrize(("saved", "color"), [({"color": "rgb"}, "rgb"), ({"color": "gray"}, "gray"), ({}, "gray")])
def test_color_of_the_input_is_read(saved, color, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        values = {"labels": ["a", "b"], "effective_resolution": 48, **saved}
        archive.writestr(keras_file.METADATA_MEMBER, json.dumps(values))
    metadata = keras_file.load_metadata(path)
    assert metadata
    assert metadata.color == color


@pytest.mark.keras
@pytest.mark.parametrize("shape", [(32, 32, 2), (32, 48, 1), (None, None, 1), (1024,)])
def test_other_input_than_square_images_is_an_error(shape, build, tmp_path):
    path = tmp_path / "model.keras"
    build(shape).save(path)
    with pytest.raises(ModelError, match=r"model\.keras: its input is .*expected square images"):
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


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [
        ("../../escape.txt", b"x", r"it holds '\.\./\.\./escape\.txt', expected only config\.json"),
        ("/etc/passwd", b"x", "it holds '/etc/passwd'"),
        ("assets/big", bytes(1000), "it holds 'assets/big'"),
        ("a\x1b[2J\n", b"x", r"it holds 'a\\x1b\[2J\\n'"),
        ("config.json", bytes(11_000_000), "its config.json has 11 MB, expected at most 10"),
    ],
    ids=["parent", "root", "assets", "control", "bomb"],
)
def test_an_archive_of_other_files_is_refused_before_loading(member, content, reason, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    with pytest.raises(ModelError, match=rf"^[^\n]*model\.keras: .*{reason}"):
        keras_file.load(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_file, "MAX_UNPACKED_BYTES", 1_000_000)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2_000_000))
    assert path.stat().st_size < 10_000
    with pytest.raises(ModelError, match="it unpacks to 2 MB, expected at most 1"):
        keras_file.load(path)


@pytest.mark.keras
@pytest.mark.slow  # TensorFlow tries for 10 s
def test_a_layer_that_claims_gigabytes_is_refused(build, tmp_path):
    small, path = tmp_path / "small.keras", tmp_path / "model.keras"
    build((32, 32, 1)).save(small)
    with zipfile.ZipFile(small) as archive, zipfile.ZipFile(path, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            changed.writestr(
                name, content.replace(b'"units": 4', b'"units": 400000000') if name == "config.json" else content
            )
    result = subprocess.run(
        [sys.executable, "-c", LOAD_WITHIN_LIMIT, path], capture_output=True, text=True, check=False
    )
    *_, error, growth = result.stdout.splitlines()
    assert "model.keras: not a Keras model (" in error
    assert float(growth) < 500


# In a process of its own: one that has freed gigabytes takes memory without growing.
LOAD_WITHIN_LIMIT = """
import sys
from pathlib import Path
import keras
from edge.errors import ModelError
from edge.system import process
from trainer import keras_file
keras_file.LOAD_BYTES = 500_000_000
before = process.peak_resident_mb()
try:
    keras_file.load(Path(sys.argv[1]))
except ModelError as error:
    print(error)
print(process.peak_resident_mb() - before)
"""


@pytest.mark.parametrize(
    ("name", "reason"), [("m.h5", r"older format.*load_model\(\"m\.h5\""), ("M.HDF5", "older format")]
)
def test_older_format_is_refused_with_the_way_to_convert_it(name, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\x89HDF")
    for open_file in (keras_file.load, lambda path: open_model(path, faces.tiny())):
        with pytest.raises(ModelError, match=reason):
            open_file(Path(name))


def test_saved_model_folder_is_refused_with_its_reason(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    for open_file in (keras_file.load, lambda path: open_model(path, faces.tiny())):
        with pytest.raises(ModelError, match=r"SavedModel.*model\.save"):
            open_file(tmp_path)


def test_run_folder_is_refused_with_the_path_of_its_model(tmp_path):
    (tmp_path / "best.keras").write_bytes(b"x")
    for open_file in (keras_file.load, lambda path: open_model(path, faces.tiny())):
        with pytest.raises(ModelError, match=f"a run folder; name its model, {tmp_path}/best.keras$"):
            open_file(tmp_path)


@pytest.mark.keras
def test_other_output_than_one_of_classes_is_an_error(build, tmp_path):
    import keras

    path, model = tmp_path / "model.keras", build((32, 32, 1))
    keras.Model(model.inputs, [model.outputs[0]] * 2).save(path)
    with pytest.raises(ModelError, match=r"its output is .*expected one of \(None, classes\)"):
        keras_file.load(path)
