"""The preview shows what training would make: the stored faces and their copies by the run's own augmentation."""

import numpy as np
import pytest

from edge.inference.preprocess import resample
from tests.support import faces
from tests.trainer.reports.test_plots import found, gray
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError
from trainer.reports import plots
from trainer.reports.preview import preview
from trainer.training.augmentation import OFF, Augmentation, augment

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

NAMES = ("angry", "disgust")
DATA = faces.tiny(training=3, public=1, private=0, class_names=NAMES)


@pytest.fixture
def sheets(monkeypatch):
    """Collect what is put on sheets."""
    collected, draw = [], plots.sheet

    def keep(images, path, **texts):
        collected.append((images, texts))
        draw(images, path, **texts)

    monkeypatch.setattr("trainer.reports.preview.sheet", keep)
    return collected


def test_each_row_is_a_stored_training_face_and_copies_that_training_would_make(sheets, tmp_path):
    how = Augmentation()
    preview(DATA, how, 96, 7, tmp_path / "p.png", rows_per_class=2, copies=3)
    ((images, texts),) = sheets
    assert (len(images), texts["columns"]) == (4 * 4, 4)
    training = DATA.split(TRAINING)
    stored = [resample(face, detail=48, size=96) for face in training.faces]
    rng = np.random.default_rng(7)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(training.labels == label))[:2]
        for place, row in enumerate(rows):
            first, *copies = images[(2 * label + place) * 4 :][:4]
            assert np.array_equal(first, stored[row])
            assert all(np.array_equal(copy, augment(training.faces[row], 96, how, rng)) for copy in copies)


def test_rows_are_named_by_their_class_and_the_title_tells_size_and_seed(sheets, tmp_path):
    preview(DATA, OFF, 64, 3, tmp_path / "p.png", rows_per_class=2, copies=2)
    ((_, texts),) = sheets
    assert texts["left"] == ["angry", "angry", "disgust", "disgust"]
    assert texts["above"] == ("stored", "copy 1", "copy 2")
    assert "64 x 64 px, seed 3" in texts["title"]


def test_the_pixels_of_the_file_are_those_that_training_would_see(sheets, tmp_path):
    preview(DATA, Augmentation(), 96, 1, tmp_path / "p.png", rows_per_class=1, copies=2)
    ((images, _),) = sheets
    written = gray(tmp_path / "p.png")
    assert all(found(image, written) for image in images)


def test_the_same_seed_gives_the_same_image_and_another_one_another(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        preview(DATA, Augmentation(), 48, seed, tmp_path / f"{name}.png", copies=2)
    a, b, c = (gray(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_small_inputs_are_enlarged_for_the_eye(sheets, tmp_path):
    preview(DATA, OFF, 32, 1, tmp_path / "p.png", rows_per_class=1, copies=1)
    ((images, _),) = sheets
    assert {image.shape for image in images} == {(96, 96)}


def test_a_class_with_fewer_faces_than_rows_shows_those_that_it_has(sheets, tmp_path):
    few = DATA.take(np.flatnonzero((DATA.labels == 0) | (np.cumsum(DATA.labels == 1) == 1)))
    preview(few, OFF, 48, 1, tmp_path / "p.png", rows_per_class=2, copies=1)
    assert sheets[0][1]["left"] == ["angry", "angry", "disgust"]


def test_a_data_set_without_training_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"tiny\.csv: no rows of split Training; found: PublicTest \(2\)"):
        preview(DATA.split(PUBLIC_TEST), OFF, 96, 1, tmp_path / "p.png")
    assert not list(tmp_path.iterdir())
