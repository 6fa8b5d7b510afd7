"""Class folders with images: splits, classes, image sizes, and errors that name the file."""

import cv2
import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.formats import KAGGLE, TINY
from trainer.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset

IMAGE = faces.encode(TINY.faces[0])


def load_files(folder, files):
    return load_dataset(faces.write_folder(folder, files))


def test_hidden_files_and_folders_are_ignored(tmp_path):
    hidden = {"train/happy/.DS_Store": b"x", "train/.ipynb_checkpoints/copy.png": b"x", ".git/refs/head": b"x"}
    folder = faces.write_folder(tmp_path / "data", KAGGLE | hidden)
    (folder / ".git" / "objects").mkdir()
    assert faces.content(load_dataset(folder)) == faces.content(TINY)


def test_jpeg_images_are_read(tmp_path):
    found = load_files(tmp_path, faces.kaggle_files(TINY, ".jpg"))
    order = np.lexsort((TINY.labels, TINY.splits))
    found_order = np.lexsort((found.labels, found.splits))
    assert np.array_equal(found.labels[found_order], TINY.labels[order])
    # Only compression changes the pixels.
    assert np.abs(found.faces[found_order].astype(int) - TINY.faces[order]).mean() < 8


# --- splits ---------------------------------------------------------------------------------------------------------


def test_file_names_decide_the_split_in_kaggles_test_folder(tmp_path):
    found = load_files(tmp_path, KAGGLE)
    counts = {split: int((found.splits == split).sum()) for split in (TRAINING, PUBLIC_TEST, PRIVATE_TEST)}
    assert counts == {TRAINING: 21, PUBLIC_TEST: 14, PRIVATE_TEST: 7}


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "PublicTest"])
def test_test_folder_is_the_final_test_with_a_validation_folder(validation, tmp_path):
    found = load_files(tmp_path, {f"{folder}/happy/1.png": IMAGE for folder in ("Train", validation, "test")})
    assert sorted(found.splits) == [PRIVATE_TEST, PUBLIC_TEST, TRAINING]


def test_test_folder_is_for_validation_without_such_a_folder(tmp_path):
    found = load_files(tmp_path, {"train/happy/1.png": IMAGE, "test/happy/1.png": IMAGE})
    assert sorted(found.splits) == [PUBLIC_TEST, TRAINING]


def test_holdout_is_a_tenth_of_each_class_and_reproducible(tmp_path):
    folder = faces.write_folder(tmp_path, faces.class_files(faces.tiny(training=20, public=0, private=0)))
    first, second = load_dataset(folder), load_dataset(folder)
    assert set(first.split(PUBLIC_TEST).counts().values()) == {2}
    assert set(first.split(TRAINING).counts().values()) == {18}
    assert faces.content(first) == faces.content(second)


@pytest.mark.parametrize(("images", "held_out"), [(1, 0), (2, 1), (9, 1), (11, 1), (12, 2)])
def test_class_with_two_images_is_in_both_splits(images, held_out, tmp_path):
    found = load_files(tmp_path, faces.class_files(faces.tiny(training=images, public=0, private=0)))
    counts = np.bincount(found.labels[found.splits == PUBLIC_TEST], minlength=7)
    assert counts.tolist() == [held_out] * 7


# --- classes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("synonym", "label"),
    [("anger", "angry"), ("Happiness", "happy"), ("sadness", "sad"), ("FEARFUL", "fear"), ("surprised", "surprise")],
)
def test_synonyms_of_fer2013_labels_are_mapped(synonym, label, tmp_path):
    found = load_files(tmp_path, {f"{synonym}/1.png": IMAGE, "neutral/1.png": IMAGE})
    assert found.class_names == (label, "neutral")


def test_own_classes_are_in_alphabetical_order(tmp_path):
    found = load_files(tmp_path, {f"{name}/1.png": IMAGE for name in ("tired", "happy", "bored")})
    assert found.class_names == ("bored", "happy", "tired")


def test_fer2013_labels_keep_their_order_if_some_are_missing(tmp_path):
    found = load_files(tmp_path, {f"{name}/1.png": IMAGE for name in ("neutral", "happy", "angry")})
    assert found.class_names == ("angry", "happy", "neutral")


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_color_images_become_gray(tmp_path):
    color = cv2.merge([TINY.faces[0]] * 3)
    found = load_files(tmp_path, {"happy/1.png": faces.encode(color)})
    assert np.array_equal(found.faces[0], TINY.faces[0])


@pytest.mark.parametrize("is_tall", [False, True], ids=["wide", "tall"])
def test_images_are_cropped_to_the_central_square(is_tall, tmp_path):
    wide = np.hstack([np.zeros((48, 20), np.uint8), TINY.faces[0], np.full((48, 20), 255, np.uint8)])
    found = load_files(tmp_path, {"happy/1.png": faces.encode(wide.T if is_tall else wide)})
    assert np.array_equal(found.faces[0], TINY.faces[0].T if is_tall else TINY.faces[0])


@pytest.mark.parametrize(("sides", "expected"), [((100, 100), 100), ((100, 20, 100), 100), ((300, 400), 224)])
def test_images_get_the_median_side_up_to_224(sides, expected, tmp_path):
    files = {
        f"happy/{side}{n}.png": faces.encode(cv2.resize(TINY.faces[0], (side, side))) for n, side in enumerate(sides)
    }
    assert load_files(tmp_path, files).faces.shape == (len(sides), expected, expected)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden_file", [None, ".gitkeep"])
def test_empty_class_folder_is_named(hidden_file, load_error, tmp_path):
    empty = faces.write_folder(tmp_path, KAGGLE) / "test" / "contempt"
    empty.mkdir()
    if hidden_file:
        (empty / hidden_file).touch()
    message = load_error(tmp_path)
    assert message.startswith(f"{empty}: ")
    assert "empty" in message


@pytest.mark.parametrize("content", [b"", b"not an image", IMAGE[:200]], ids=["empty", "text", "truncated"])
@pytest.mark.parametrize("in_archive", [False, True], ids=["folder", "zip"])
def test_damaged_image_is_named_or_skipped(content, in_archive, load_error, tmp_path):
    files = KAGGLE | {"train/happy/bad.png": content}
    path = faces.write_zip(tmp_path / "a.zip", files) if in_archive else faces.write_folder(tmp_path / "data", files)
    message = load_error(path)
    assert message.startswith(f"{path}/train/happy/bad.png: ")
    assert "decode" in message
    found = load_dataset(path, skip_invalid=True)
    assert found.skipped == 1
    assert faces.content(found) == faces.content(TINY)


def test_only_damaged_images_is_an_error_with_skip_invalid(load_error, tmp_path):
    folder = faces.write_folder(tmp_path, {"happy/1.png": b"", "sad/1.png": b""})
    assert "2 invalid" in load_error(folder, skip_invalid=True)


@pytest.mark.parametrize("name", ["1.png", "test/1.png", "train/1.png"])
def test_image_outside_of_a_class_folder_is_named(name, load_error, tmp_path):
    faces.write_folder(tmp_path, KAGGLE | {name: IMAGE})
    message = load_error(tmp_path)
    assert message.startswith(f"{tmp_path / name}: ")
    assert "class folder" in message
