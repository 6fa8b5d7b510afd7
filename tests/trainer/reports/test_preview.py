"""The preview shows Training faces and the copies that the augmentation of a run would make."""

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import resample
from tests.support import faces
from trainer.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError
from trainer.reports import plots
from trainer.reports.preview import write_preview

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

NAMES = ("angry", "disgust")
DATA = faces.tiny(training=3, public=1, private=0, class_names=NAMES)


@pytest.fixture
def sheets(monkeypatch):
    """A list that collects the arguments of every contact sheet."""
    collected, draw = [], plots.contact_sheet

    def record(images, **texts):
        collected.append((images, texts))
        return draw(images, **texts)

    monkeypatch.setattr(plots, "contact_sheet", record)
    return collected


def read_gray(path):
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def contains(image, part):
    """Return whether the exact pixels of `part` are somewhere in `image`."""
    left, top = cv2.minMaxLoc(cv2.matchTemplate(image, part, cv2.TM_SQDIFF))[2]
    return np.array_equal(image[top : top + len(part), left : left + len(part)], part)


def test_each_row_has_a_face_and_copies_that_training_would_make(sheets, tmp_path):
    augmentation = Augmentation()
    write_preview(DATA, augmentation, 96, 7, tmp_path / "p.png", rows_per_class=2, copies=3)
    ((images, texts),) = sheets
    assert (len(images), texts["columns"]) == (4 * 4, 4)
    training = DATA.split(TRAINING)
    rng = np.random.default_rng(7)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(training.labels == label))[:2]
        for number, row in enumerate(rows):
            original, *copies = images[(2 * label + number) * 4 :][:4]
            face = training.faces[row]
            assert np.array_equal(original, resample(face, effective_resolution=48, size=96))
            assert all(np.array_equal(copy, augment(face, 96, augmentation, rng)) for copy in copies)


def test_rows_have_their_class_and_the_title_size_and_seed(sheets, tmp_path):
    write_preview(DATA, NO_AUGMENTATION, 64, 3, tmp_path / "p.png", rows_per_class=2, copies=2)
    ((_, texts),) = sheets
    assert texts["left"] == ["angry", "angry", "disgust", "disgust"]
    assert texts["above"] == ("original", "copy 1", "copy 2")
    assert "64 x 64 px, seed 3" in texts["title"]


def test_the_file_has_exactly_the_pixels_of_the_images(sheets, tmp_path):
    write_preview(DATA, Augmentation(), 96, 1, tmp_path / "p.png", rows_per_class=1, copies=2)
    ((images, _),) = sheets
    written = read_gray(tmp_path / "p.png")
    assert all(contains(written, image) for image in images)


def test_the_seed_determines_the_image(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_preview(DATA, Augmentation(), 48, seed, tmp_path / f"{name}.png", copies=2)
    a, b, c = (read_gray(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_small_inputs_are_enlarged(sheets, tmp_path):
    write_preview(DATA, NO_AUGMENTATION, 32, 1, tmp_path / "p.png", rows_per_class=1, copies=1)
    ((images, _),) = sheets
    assert {image.shape for image in images} == {(96, 96)}


def test_a_class_with_few_faces_shows_all_of_them(sheets, tmp_path):
    few = DATA.take(np.flatnonzero((DATA.labels == 0) | (np.cumsum(DATA.labels == 1) == 1)))
    write_preview(few, NO_AUGMENTATION, 48, 1, tmp_path / "p.png", rows_per_class=2, copies=1)
    assert sheets[0][1]["left"] == ["angry", "angry", "disgust"]


def test_a_data_set_without_training_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"tiny\.csv: no rows of split Training; found: PublicTest \(2\)"):
        write_preview(DATA.split(PUBLIC_TEST), NO_AUGMENTATION, 96, 1, tmp_path / "p.png")
    assert not list(tmp_path.iterdir())
