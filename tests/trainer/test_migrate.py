"""Old .keras files and run folders get the present names; everything else in them keeps its bytes."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from tests.support.small import DATA
from trainer import keras_file
from trainer.errors import TrainingError
from trainer.migrate import migrate

pytest_plugins = ["tests.support.trained"]

OLD_SETTING_NAMES = {
    "batch_size": "batch",
    "learning_rate": "rate",
    "head_learning_rate": "head_rate",
    "warmup_epochs": "warm_up",
    "ema_momentum": "average",
    "batch_norm_momentum": "momentum",
    "distill_weight": "teaching",
    "ferplus_weight": "votes",
}
NEW_SETTINGS = ("precision", "balance")  # old runs have none of them
OLD_AUGMENTATION_NAMES = {"blur": "soften", "darken": "dim"}


def make_old_keras_file(path, members):
    """Write a .keras file whose members are `members` and old metadata."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(keras_file.METADATA_MEMBER, json.dumps({"labels": ["a", "b"], "detail": 48}))
    return path


def read_members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != keras_file.METADATA_MEMBER}


def test_keras_file_gets_new_metadata_and_keeps_its_weights(tmp_path):
    members = {"config.json": b"{}", "model.weights.h5": bytes(range(256)) * 9}
    path = make_old_keras_file(tmp_path / "old.keras", members)
    assert migrate(path) == [path]
    assert keras_file.load_metadata(path) == keras_file.KerasMetadata(("a", "b"), 48)
    assert read_members(path) == members


def test_keras_file_without_metadata_is_not_changed(tmp_path):
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    before = path.read_bytes()
    assert migrate(path) == []
    assert path.read_bytes() == before


def test_migrated_file_is_not_changed_again(tmp_path):
    path = make_old_keras_file(tmp_path / "old.keras", {})
    migrate(path)
    before = path.read_bytes()
    assert migrate(path) == []
    assert path.read_bytes() == before


@pytest.fixture
def old_run(run, tmp_path):
    """A copy of a finished run with the old names."""
    folder = tmp_path / "old"
    shutil.copytree(run, folder)
    content = json.loads((folder / "settings.json").read_text())
    settings = content["settings"]
    settings = {
        OLD_SETTING_NAMES.get(name, name): value for name, value in settings.items() if name not in NEW_SETTINGS
    }
    settings["augmentation"] = {
        OLD_AUGMENTATION_NAMES.get(name, name): value
        for name, value in settings["augmentation"].items()
        if name != "shear"
    }
    content["settings"] = settings
    content["detail"] = content.pop("effective_resolution")
    (folder / "settings.json").write_text(json.dumps(content))
    history = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(history.replace("learning_rate", "rate", 1))
    make_old_keras_file(folder / "best.keras", read_members(run / "best.keras"))
    return folder


@pytest.mark.keras
def test_old_run_resumes_after_migration(old_run, run, settings):
    from trainer.training.loop import train

    with pytest.raises(TrainingError, match=r"trainer\.migrate"):
        train(settings, DATA, old_run, resume=True)
    assert {path.name for path in migrate(old_run)} == {"settings.json", "history.csv", "best.keras"}
    assert train(settings, DATA, old_run, resume=True) == old_run / "best.keras"
    assert (old_run / "history.csv").read_text() == (run / "history.csv").read_text()
    assert (old_run / "last.npz").read_bytes() == (run / "last.npz").read_bytes()
    with pytest.raises(TrainingError, match="seed 1 -> 2"):
        train(replace(settings, seed=2), DATA, old_run, resume=True)


def run_module(*arguments):
    command = [sys.executable, "-m", "trainer.migrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_names_what_it_changed(tmp_path):
    path = make_old_keras_file(tmp_path / "old.keras", {})
    assert run_module(path).stdout == f"{path}: old.keras converted\n"
    assert run_module(path).stdout == f"{path}: up to date\n"


def test_command_rejects_other_paths_in_one_line(tmp_path):
    done = run_module(tmp_path)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert len(done.stderr.splitlines()) == 1
