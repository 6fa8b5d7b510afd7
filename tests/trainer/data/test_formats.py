"""Published data sets in their own layouts: recognized or named; for another layout it says what was looked for."""

import pytest

from tests.support import faces
from tests.trainer.data import published
from tests.trainer.data.formats import KAGGLE
from trainer.data import formats
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset
from trainer.errors import DataError

WRITERS = {"folder": faces.write_folder, "zip": faces.write_zip, "tar.gz": faces.write_tar}


@pytest.mark.parametrize("name", published.SETS)
def test_layout_is_recognized_and_its_labels_are_shown(name, tmp_path):
    found = load_dataset(faces.write_folder(tmp_path / "data", published.SETS[name]()))
    assert set(found.splits) == {TRAINING, PUBLIC_TEST}
    assert any(note.startswith("labels: ") and " is " in note for note in found.notes)
    assert all(count > 0 for count in found.split(TRAINING).counts().values())


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", ["rafdb", "affectnet", "affectnet-lists", "expw"])
def test_archive_gives_the_faces_of_the_folder(name, ending, tmp_path):
    files = published.SETS[name]()
    folder = load_dataset(faces.write_folder(tmp_path / "folder", files))
    archive = load_dataset(WRITERS[ending](tmp_path / f"archive.{ending}", files))
    assert faces.content(archive) == faces.content(folder)


def test_list_too_large_for_a_tar_is_an_error(tmp_path, load_error, monkeypatch):
    monkeypatch.setattr("trainer.data.archive.MAX_IMAGE_BYTES", 50)
    path = faces.write_tar(tmp_path / "a.tar.gz", published.rafdb())
    assert "too large to be read from a tar archive; unpack it" in load_error(path)


def test_format_can_be_named(tmp_path):
    names = faces.class_files(faces.tiny()) | published.rafdb()
    folder = faces.write_folder(tmp_path, names)
    assert len(load_dataset(folder, data_format="rafdb")) == 14


@pytest.mark.parametrize("name", [name for name in formats.NAMES if name not in {"auto", "folders"}])
def test_another_layout_says_what_was_looked_for(name, tmp_path, load_error):
    folder = faces.write_folder(tmp_path / "data", KAGGLE)
    message = load_error(folder, data_format=name)
    assert message == f"{folder}: not in the format {name}; looked for {formats.EXPECTED[name]}"


@pytest.mark.parametrize("name", ["folders", *formats.MODULES])
def test_csv_is_in_no_other_format(name, tmp_path, load_error):
    path = faces.write_csv(tmp_path / "fer2013.csv", faces.tiny())
    assert load_error(path, data_format=name).startswith(f"{path}: not in the format {name}; looked for ")
    assert len(load_dataset(path, data_format="fer2013")) == 42


@pytest.mark.parametrize("files", [{"1.png": published.CROP}, {"a/readme.txt": b"x"}])
def test_unknown_layout_lists_what_was_looked_for(files, tmp_path, load_error):
    message = load_error(faces.write_folder(tmp_path / "data", files))
    assert "no data set found" in message
    assert all(expected in message for expected in formats.EXPECTED.values())


def test_two_data_sets_in_one_folder_are_an_error(tmp_path, load_error):
    folder = faces.write_folder(tmp_path / "data", published.rafdb() | published.expw())
    assert "may be rafdb or expw; choose one with --format" in load_error(folder)
    assert len(load_dataset(folder, data_format="expw")) == 28


def test_csv_is_of_its_format_whatever_the_folder_has(tmp_path, load_error):
    folder = faces.write_folder(tmp_path / "data", published.rafdb() | {"fer2013.csv": faces.csv_bytes(faces.tiny())})
    assert len(load_dataset(folder)) == 42
    assert len(load_dataset(folder, data_format="rafdb")) == 14


def test_empty_folders_matter_only_to_class_folders(tmp_path):
    folder = faces.write_folder(tmp_path / "data", published.ckplus())
    (folder / "Emotion" / "S005" / "002").mkdir()  # as CK+ has them
    assert len(load_dataset(folder))
    with pytest.raises(DataError, match="the class folder is empty"):
        load_dataset(folder, data_format="folders")
