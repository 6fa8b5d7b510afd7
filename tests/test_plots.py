"""The pictures of a run show the measured figures, and a picture that cannot be drawn is said in one line."""

import sys

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, FileError, UsageError
from trainer import plots
from trainer.evaluate import Result

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

RESULT = Result("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
HISTORY = """epoch,phase,loss,accuracy,val_loss,val_accuracy
1,head,1.5,0.25,1.25,0.5
2,fine-tune,1.0,0.5,0.75,0.625
"""


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    figures, save = [], plots._save

    def keep(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return figures


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


def test_the_curves_are_those_of_the_history(drawn, history, tmp_path):
    plots.curves(history, tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 1.5], [2, 1.0]], [[1, 1.25], [2, 0.75]]]
    assert [line.get_xydata().tolist() for line in accuracy.lines] == [[[1, 0.25], [2, 0.5]], [[1, 0.5], [2, 0.625]]]
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")


def test_the_confusion_matrix_has_shares_of_the_true_label_and_counts(drawn, tmp_path):
    plots.confusion(RESULT, tmp_path / "confusion.png")
    (axis,) = drawn[0].axes
    assert axis.images[0].get_array().tolist() == [[0.8, 0.2], [0, 1]]
    texts = {text.get_position(): text.get_text() for text in axis.texts}  # at (column, row)
    assert texts == {(0, 0): "80%\n8", (1, 0): "20%\n2", (0, 1): "0%\n0", (1, 1): "100%\n10"}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["angry", "happy"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("true", "predicted")
    assert axis.get_title().startswith("PublicTest: accuracy 90.0% (69.9% to 97.2%)")


def test_a_class_that_the_split_has_none_of_is_drawn_too(tmp_path):
    plots.confusion(Result("PublicTest", ("a", "b"), np.array([[3, 0], [0, 0]]), 0.1), tmp_path / "confusion.png")
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None


def test_pictures_decode_and_nothing_else_is_left(history, tmp_path):
    plots.curves(history, tmp_path / "curves.png")
    plots.confusion(RESULT, tmp_path / "confusion.png")
    pictures = [cv2.imread(str(path)) for path in tmp_path.glob("*.png")]
    assert all(picture is not None and min(picture.shape[:2]) > 150 for picture in pictures)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_ending_decides_the_format(tmp_path):
    plots.confusion(RESULT, tmp_path / "confusion.svg")
    assert "<svg" in (tmp_path / "confusion.svg").read_text()


def test_an_ending_that_there_is_no_format_for_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(UsageError, match=r"confusion\.txt: Format 'txt' is not supported .*png"):
        plots.confusion(RESULT, tmp_path / "confusion.txt")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/confusion\.png: cannot be written"):
        plots.confusion(RESULT, tmp_path / "file" / "confusion.png")


def test_without_matplotlib_one_line_says_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(EmotionEdgeError, match=r"^matplotlib is not installed; 'pip install emotion-edge\[trainer\]'"):
        plots.confusion(RESULT, tmp_path / "confusion.png")
