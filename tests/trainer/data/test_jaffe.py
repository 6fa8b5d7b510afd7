"""JAFFE: the file names have person and expression; a held-out person is in no other split."""

from tests.support import faces
from tests.support.images import draw_faces
from tests.trainer.data.published import jaffe
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset


def test_persons_of_the_splits_are_disjoint(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, jaffe()))
    assert found.class_names == FER2013_LABELS
    assert set(found.split(TRAINING).counts().values()) == {1}  # KA
    assert set(found.split(PUBLIC_TEST).counts().values()) == {1}  # KL


def test_face_is_found_in_the_image(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, jaffe()))
    assert 60 < found.side < 110  # of 128; the face has 85 pixels


def test_image_without_a_face_is_an_error(tmp_path, load_error):
    files = jaffe() | {"jaffe/KA.AN2.99.tiff": faces.encode(draw_faces(size=(128, 128)), ".tiff")}
    folder = faces.write_folder(tmp_path, files)
    assert "KA.AN2.99.tiff: no face was found in it; remove it, or use --skip-invalid" in load_error(folder)
    assert load_dataset(folder, skip_invalid=True).skipped == 1


def test_images_with_other_names_are_left_out(tmp_path):
    other = {f"jaffe/{name}": b"x" for name in ("cover.png", "KA.XX1.39.tiff", "ka.AN1.39.tiff")}
    found = load_dataset(faces.write_folder(tmp_path / "data", jaffe() | other))
    assert len(found) == 14
    assert "left out, images with other names: 3" in found.notes


def test_mostly_other_names_are_no_jaffe(tmp_path, load_error):
    files = jaffe(["KA"]) | {f"jaffe/{number}.png": b"x" for number in range(7)}
    assert "the only class is jaffe" in load_error(faces.write_folder(tmp_path / "data", files), skip_invalid=True)
