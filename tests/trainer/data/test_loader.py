"""Every format of the same data set gives the same arrays."""

import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.formats import FORMATS, KAGGLE, TINY
from trainer.data.dataset import FER2013_LABELS
from trainer.data.loader import load_dataset


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_faces_and_labels(name, tmp_path):
    found = load_dataset(FORMATS[name](tmp_path))
    assert faces.content(found) == faces.content(TINY)
    assert (found.class_names, found.side, found.skipped) == (FER2013_LABELS, 48, 0)
    assert (found.faces.dtype.name, found.labels.dtype.name) == ("uint8", "int64")


@pytest.mark.parametrize("name", ["csv", "icml-csv", "zip", "tar.gz"])
def test_csv_rows_keep_their_order(name, tmp_path):
    found = load_dataset(FORMATS[name](tmp_path))
    assert np.array_equal(found.faces, TINY.faces)
    assert np.array_equal(found.labels, TINY.labels)
    assert np.array_equal(found.splits, TINY.splits)


@pytest.mark.parametrize("name", FORMATS)
def test_source_is_the_path(name, tmp_path):
    path = FORMATS[name](tmp_path)
    assert load_dataset(path).source.startswith(str(path))


def test_missing_path_is_an_error(load_error, tmp_path):
    path = tmp_path / "no.csv"
    assert load_error(path).startswith(f"{path}: not found")


def test_unknown_file_type_lists_known_ones(load_error, tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.parquet", ["x"])
    message = load_error(path)
    assert message.startswith(f"{path}: ")
    assert all(suffix in message for suffix in (".csv", ".zip", ".tar.gz"))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_unknown_layout_is_an_error_with_the_known_ones(kind, load_error, tmp_path):
    files = {"readme.txt": b"x"}
    writers = {"folder": faces.write_folder, "zip": faces.write_zip, "tar": faces.write_tar}
    path = writers[kind](tmp_path / f"a.{kind}", files)
    message = load_error(path)
    assert message.startswith(f"{path}: ")
    assert all(name in message for name in ("fer2013.csv", "train/CLASS/*", "CLASS/*", ".png"))


def test_empty_folder_is_an_error(load_error, tmp_path):
    assert load_error(tmp_path).startswith(f"{tmp_path}: no data set found")


def test_folder_named_like_the_csv_is_an_error(load_error, tmp_path):
    path = tmp_path / "archive.zip"
    path.mkdir()
    (path / "fer2013.csv").mkdir()
    assert load_error(path).startswith(f"{path / 'fer2013.csv'}: ")


def test_ferplus_is_an_error_for_images(load_error, tmp_path):
    votes = faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(TINY))
    folder = faces.write_folder(tmp_path / "data", KAGGLE)
    message = load_error(folder, ferplus=votes)
    assert str(votes) in message
    assert "row order" in message
