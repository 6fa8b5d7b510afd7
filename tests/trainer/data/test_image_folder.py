"""Class folders with images: splits, classes, image sizes, and errors that name the file."""

import os

import cv2
import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.formats import KAGGLE, TINY
from trainer.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset
from trainer.errors import DataError

IMAGE = faces.encode(TINY.faces[0])


def load_files(folder, files):
    return load_dataset(faces.write_folder(folder, files))


def two_classes(*names, classes=("happy", "sad")):
    """Return files with these names, once for each of the `classes`, which replace CLASS."""
    return {name.replace("CLASS", label): IMAGE for name in names for label in classes}


def test_hidden_files_and_folders_are_ignored(tmp_path):
    hidden = {"train/happy/.DS_Store": b"x", "train/.ipynb_checkpoints/copy.png": b"x", ".git/refs/head": b"x"}
    folder = faces.write_folder(tmp_path / "data", KAGGLE | hidden)
    (folder / ".git" / "objects").mkdir()
    assert faces.content(load_dataset(folder)) == faces.content(TINY)


def test_folders_in_each_other_without_end_are_refused(tmp_path):
    folder = faces.write_folder(tmp_path / "data", KAGGLE)
    (folder / "train" / "happy" / "/".join("d" * 200)).mkdir(parents=True)
    with pytest.raises(DataError, match=r"^[^\n]*: more than 100 folders in each other; name the folder"):
        load_dataset(folder)


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


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "PublicTest", "dev", "eval", "Public Test"])
def test_test_folder_is_the_final_test_with_a_validation_folder(validation, tmp_path):
    found = load_files(tmp_path, two_classes(*(f"{folder}/CLASS/1.png" for folder in ("Train", validation, "test"))))
    assert sorted(found.splits) == [PRIVATE_TEST] * 2 + [PUBLIC_TEST] * 2 + [TRAINING] * 2


def test_test_folder_is_for_validation_without_such_a_folder(tmp_path):
    found = load_files(tmp_path, two_classes("train/CLASS/1.png", "test/CLASS/1.png"))
    assert sorted(found.splits) == [PUBLIC_TEST] * 2 + [TRAINING] * 2


def test_holdout_is_a_tenth_of_each_class_and_reproducible(tmp_path):
    folder = faces.write_folder(tmp_path, faces.class_files(faces.tiny(training=20, public=0, private=0)))
    first, second = load_dataset(folder), load_dataset(folder)
    assert set(first.split(PUBLIC_TEST).counts().values()) == {2}
    assert set(first.split(TRAINING).counts().values()) == {18}
    assert faces.content(first) == faces.content(second)


def test_persons_in_folders_of_the_classes_are_held_out(tmp_path):
    names = two_classes(*(f"CLASS/person-{person:02}/{n}.png" for person in range(12) for n in range(3)))
    found = load_files(
        tmp_path, {name: faces.encode(np.full((8, 8), int(name.split("-")[1][:2]), np.uint8)) for name in names}
    )
    persons = {split: {int(face[0, 0]) for face in found.split(split).faces} for split in (TRAINING, PUBLIC_TEST)}
    assert persons == {PUBLIC_TEST: {1, 11}, TRAINING: {0, *range(2, 11)}}
    assert found.notes == (
        "no data for validation: every tenth person or photograph, 2 of 12, is held out as PublicTest",
    )


def test_folders_that_leave_a_split_without_a_class_are_not(tmp_path):
    found = load_files(tmp_path, two_classes(*(f"CLASS/{n}.png" for n in range(20)), classes=("happy/a", "sad/b")))
    assert [len(found.split(split)) for split in (TRAINING, PUBLIC_TEST)] == [36, 4]
    assert (
        found.notes[0] == "the folders in the classes are not kept apart: a class would be missing in one of the splits"
    )


@pytest.mark.parametrize(("images", "held_out"), [(1, 0), (2, 1), (9, 1), (11, 1), (12, 2)])
def test_class_with_two_images_is_in_both_splits(images, held_out, tmp_path):
    found = load_files(tmp_path, faces.class_files(faces.tiny(training=images, public=0, private=0)))
    counts = np.bincount(found.labels[found.splits == PUBLIC_TEST], minlength=7)
    assert counts.tolist() == [held_out] * 7


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("Training Data", "Testing-Data"),
        ("train2013", "holdout"),
        ("trainset", "testset"),
    ],
)
def test_split_names_that_people_use_are_known_and_told(train, test, tmp_path):
    found = load_files(tmp_path, two_classes(f"{train}/CLASS/1.png", f"{train}/CLASS/2.png", f"{test}/CLASS/1.png"))
    assert (found.class_names, len(found.split(TRAINING)), len(found.split(PUBLIC_TEST))) == (("happy", "sad"), 4, 2)
    (note,) = found.notes
    assert note.startswith("splits: ")
    assert f"{train} is Training (4)" in note
    assert f"{test} is PublicTest (2)" in note


def test_folder_that_is_no_split_beside_splits_is_named(load_error, tmp_path):
    faces.write_folder(tmp_path, two_classes("train/CLASS/1.png", "test/CLASS/1.png", "more/CLASS/1.png"))
    message = load_error(tmp_path)
    assert "'more'" in message
    assert "publictest" in message


def test_splits_below_the_classes_are_known(tmp_path):
    found = load_files(tmp_path, two_classes("CLASS/train/1.png", "CLASS/train/2.png", "CLASS/test/1.png"))
    assert (found.class_names, len(found.split(TRAINING)), len(found.split(PUBLIC_TEST))) == (("happy", "sad"), 4, 2)


def test_holdout_is_told_also_where_only_a_train_folder_exists(tmp_path):
    found = load_files(tmp_path, two_classes("train/CLASS/1.png", "train/CLASS/2.png"))
    assert (len(found.split(TRAINING)), len(found.split(PUBLIC_TEST))) == (2, 2)
    assert "every tenth face of a class is held out" in found.notes[1]


def test_split_that_is_a_link_is_followed(tmp_path):
    folder = faces.write_folder(tmp_path / "data", two_classes("train/CLASS/1.png"))
    faces.write_folder(tmp_path / "elsewhere", two_classes("CLASS/1.png"))
    (folder / "valid").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert len(load_dataset(folder).split(PUBLIC_TEST)) == 2


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


@pytest.mark.parametrize("top", ["", "train/", "archive/faces/", "archive/train/"])
def test_label_is_the_folder_below_split_or_top(top, tmp_path):
    found = load_files(tmp_path, two_classes(f"{top}CLASS/anna/1.png", f"{top}CLASS/ben/left/1.png"))
    assert found.counts() == {"happy": 2, "sad": 2}


def test_labels_below_folders_of_persons_are_an_error(load_error, tmp_path):
    faces.write_folder(tmp_path, two_classes("anna/CLASS/1.png", "ben/CLASS/1.png"))
    assert "the classes would be anna, ben, but the folders below are named happy, sad" in load_error(tmp_path)


@pytest.mark.parametrize("files", [["happy/1.png"], ["happy/anna/1.png", "happy/ben/1.png"], ["train/mood/1.png"]])
def test_one_class_is_an_error(files, load_error, tmp_path):
    message = load_error(faces.write_folder(tmp_path, dict.fromkeys(files, IMAGE)))
    assert f"the only class is {'mood' if 'mood' in files[0] else 'happy'}; expected at least two" in message


@pytest.mark.parametrize("name", ["a" * 65, "sad\u202e", "sad\n"])
def test_folder_that_cannot_be_a_label_is_an_error(name, load_error, tmp_path):
    message = load_error(faces.write_folder(tmp_path, two_classes("CLASS/1.png", classes=("happy", name))))
    assert "at most 64 printable characters" in message


def test_class_folder_that_is_a_link_is_followed(tmp_path):
    folder = faces.write_folder(tmp_path / "data", {"happy/1.png": IMAGE})
    faces.write_folder(tmp_path / "elsewhere", {"1.png": IMAGE, "2.png": IMAGE})
    (folder / "sad").symlink_to("../elsewhere", target_is_directory=True)
    assert load_dataset(folder).counts() == {"happy": 1, "sad": 2}


@pytest.mark.parametrize(("target", "reason"), [("../gone", "leads nowhere"), ("..", "a folder around it")])
def test_class_link_without_images_is_named(target, reason, load_error, tmp_path):
    folder = faces.write_folder(tmp_path / "data", two_classes("CLASS/1.png"))
    (folder / "neutral").symlink_to(target, target_is_directory=True)
    message = load_error(folder)
    assert message.startswith(f"{folder / 'neutral'}: ")
    assert reason in message


def test_thumbnails_of_a_synology_are_ignored(tmp_path):
    thumbnails = {"happy/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg": IMAGE, "@eaDir/x.jpg": IMAGE, "sad/Thumbs.db": b"x"}
    found = load_files(tmp_path, two_classes("CLASS/1.png") | thumbnails)
    assert (found.counts(), len(found.notes)) == ({"happy": 1, "sad": 1}, 1)


# --- what is left out -----------------------------------------------------------------------------------------------


def test_files_that_are_no_images_are_counted_by_suffix(tmp_path):
    others = {"readme.txt": b"x", "happy/a.TXT": b"x", "happy/b.xyz": b"x", "sad/c": b"x"}
    found = load_files(tmp_path, two_classes("CLASS/1.png") | others)
    assert found.notes[-1] == "no data for validation: every tenth face of a class is held out as PublicTest"
    assert "left out, not images: 2 .txt, 1 .xyz, 1 without suffix" in found.notes


@pytest.mark.parametrize("layout", ["CLASS/{}", "train/CLASS/{}", "data/CLASS/anna/{}"])
@pytest.mark.parametrize("in_archive", [False, True], ids=["folder", "zip"])
def test_class_without_images_is_named_with_its_suffixes(layout, in_archive, load_error, tmp_path):
    bad = {layout.replace("CLASS", "fear").format(name): b"x" for name in ("1.raw", "2.raw", "3.psd")}
    files = two_classes(layout.format("1.png")) | bad
    path = faces.write_zip(tmp_path / "a.zip", files) if in_archive else faces.write_folder(tmp_path / "data", files)
    message = load_error(path)
    assert message.startswith(
        f"{path}/{layout.partition('CLASS')[0]}fear: no image that can be read, but 2 .raw, 1 .psd"
    )
    assert load_error(path, skip_invalid=True) == message


def test_class_whose_images_are_all_invalid_is_named(load_error, tmp_path):
    faces.write_folder(tmp_path, two_classes("CLASS/1.png") | {"fear/1.png": b"x", "fear/2.png": b"x"})
    assert "no image of fear is valid (2 invalid ones skipped)" in load_error(tmp_path, skip_invalid=True)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("gone.png"), os.mkfifo], ids=["link", "fifo"])
def test_image_that_cannot_be_opened_is_named_or_skipped(make, load_error, tmp_path):
    folder = faces.write_folder(tmp_path / "data", two_classes("CLASS/1.png"))
    make(folder / "sad" / "2.png")
    assert load_error(folder).startswith(f"{folder}/sad/2.png: cannot be read (")
    assert load_dataset(folder, skip_invalid=True).skipped == 1


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_color_images_become_gray(tmp_path):
    color = cv2.merge([TINY.faces[0]] * 3)
    found = load_files(tmp_path, {"happy/1.png": faces.encode(color), "sad/1.png": IMAGE})
    assert np.array_equal(found.faces[0], TINY.faces[0])


@pytest.mark.parametrize("is_tall", [False, True], ids=["wide", "tall"])
def test_images_are_cropped_to_the_central_square(is_tall, tmp_path):
    wide = np.hstack([np.zeros((48, 20), np.uint8), TINY.faces[0], np.full((48, 20), 255, np.uint8)])
    found = load_files(tmp_path, {"happy/1.png": faces.encode(wide.T if is_tall else wide), "sad/1.png": IMAGE})
    assert np.array_equal(found.faces[0], TINY.faces[0].T if is_tall else TINY.faces[0])


@pytest.mark.parametrize(("sides", "expected"), [((100, 100), 100), ((100, 20, 100), 100), ((300, 400), 224)])
def test_images_get_the_median_side_up_to_224(sides, expected, tmp_path):
    files = {
        f"{('happy', 'sad')[n % 2]}/{side}{n}.png": faces.encode(cv2.resize(TINY.faces[0], (side, side)))
        for n, side in enumerate(sides)
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
