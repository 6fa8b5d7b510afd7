"""Plots show the measured values, and a plot that cannot be drawn is refused in one line."""

import io
import re
import sys

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, FileError, UsageError
from edge.system.installation import install_command
from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST
from trainer.evaluation.calibration import CoverageCurve, ReliabilityDiagram
from trainer.evaluation.metrics import Metrics
from trainer.reports import plots

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

GOOD = Metrics("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
WORSE = Metrics("PublicTest", ("angry", "happy"), np.array([[4, 6], [5, 5]]), 0.9)
RELIABILITY = ReliabilityDiagram(np.array([0.5, 0.9]), np.array([0.4, 0.95]), np.array([100, 300]))
COVERAGE = CoverageCurve(np.array([0.9, 0.6, 0.35]), np.array([0.25, 0.75, 1.0]), np.array([1.0, 0.9, 0.8]))
HISTORY = """epoch,phase,loss,accuracy,val_loss,val_accuracy
1,head,1.5,0.25,1.25,0.5
2,fine-tune,1.0,0.5,0.75,0.625
"""


def texts(artists):
    return [artist.get_text() for artist in artists]


def legend(figure):
    return texts(figure.legends[0].get_texts())


# --- training and classes -------------------------------------------------------------------------------------------


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


def test_training_curves_are_those_of_the_history(history):
    loss, accuracy = plots.training_curves(history).axes
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 1.5], [2, 1.0]], [[1, 1.25], [2, 0.75]]]
    assert [line.get_xydata().tolist() for line in accuracy.lines] == [[[1, 0.25], [2, 0.5]], [[1, 0.5], [2, 0.625]]]
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        ("", "no epoch"),
        ("epoch,loss\n1,2\n", "'accuracy'"),
        ("epoch,loss,accuracy\n1,x,0.5\n", "could not convert"),
        ("epoch,loss,accuracy\n1,2\n", "not the history.csv of a run"),
        ("\0epoch", "not the history.csv of a run"),
    ],
)
def test_a_file_that_is_not_a_history_is_refused(content, reason, tmp_path):
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=rf"history\.csv: .*{reason}"):
        plots.training_curves(path)


def test_the_confusion_matrix_has_fractions_and_counts():
    (axis,) = plots.confusion_matrix(GOOD).axes
    assert axis.images[0].get_array().tolist() == [[0.8, 0.2], [0, 1]]
    cells = {text.get_position(): text.get_text() for text in axis.texts}  # at (column, row)
    assert cells == {(0, 0): "80%\n8", (1, 0): "20%\n2", (0, 1): "0%\n0", (1, 1): "100%\n10"}
    assert texts(axis.get_yticklabels()) == ["angry", "happy"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("true", "predicted")
    assert axis.get_title().startswith("PublicTest: accuracy 90.0% (69.9% to 97.2%)")


def test_the_confusion_matrix_of_a_class_without_faces():
    metrics = Metrics("PublicTest", ("a", "b"), np.array([[3, 0], [0, 0]]), 0.1)
    (axis,) = plots.confusion_matrix(metrics).axes
    assert axis.images[0].get_array().tolist() == [[1, 0], [0, 0]]


def test_bars_of_each_class_are_precision_recall_and_f1():
    figure = plots.per_class(GOOD)
    (axis,) = figure.axes
    widths = [[bar.get_width() for bar in bars] for bars in axis.containers]
    assert widths == [pytest.approx(values) for values in (GOOD.precision, GOOD.recall, GOOD.f1)]
    assert texts(axis.get_yticklabels()) == ["angry\n10 faces", "happy\n10 faces"]
    assert legend(figure) == ["precision", "recall", "F1"]
    tops = [bars[0].get_y() for bars in axis.containers]
    assert tops == sorted(tops)
    assert axis.yaxis_inverted()


# --- corruptions, latency -------------------------------------------------------------------------------------------


def test_bars_of_each_corruption_are_accuracies_with_intervals():
    by_model = {"_a.keras": {"original": GOOD, "dark": WORSE}, "b.tflite": {"original": WORSE, "dark": WORSE}}
    figure = plots.corruptions(by_model)
    (axis,) = figure.axes
    bars = [container for container in axis.containers if hasattr(container, "patches")]
    assert [[bar.get_width() for bar in container] for container in bars] == [[0.9, 0.45], [0.45, 0.45]]
    assert texts(axis.get_yticklabels()) == ["original", "dark"]
    assert legend(figure) == ["_a.keras", "b.tflite"]
    (segments,) = [lines.get_segments() for lines in bars[0].errorbar.lines[2]]
    assert [segment[:, 0].tolist() for segment in segments] == [
        pytest.approx(GOOD.accuracy_interval),
        pytest.approx(WORSE.accuracy_interval),
    ]


def test_the_tradeoff_has_a_dot_per_model_as_large_as_its_file():
    (axis,) = plots.tradeoff([("small", 0.2, 0.6, 1_000_000), ("large", 5.0, 0.7, 4_000_000)]).axes
    (dots,) = axis.collections
    assert dots.get_offsets().tolist() == [[0.2, 0.6], [5, 0.7]]
    small, large = dots.get_sizes()
    assert large == 4 * small
    assert texts(axis.texts) == ["small\n1.00 MB", "large\n4.00 MB"]


# --- confidence -----------------------------------------------------------------------------------------------------


def test_reliability_has_accuracy_counts_intervals_and_error():
    above, below = plots.reliability(RELIABILITY).axes
    diagonal, points = [line.get_xydata().tolist() for line in above.lines if len(line.get_xydata()) == 2][:2]
    assert (diagonal, points) == ([[0, 0], [1, 1]], [[0.5, 0.4], [0.9, 0.95]])
    (error_bars,) = above.containers[0].lines[2]
    intervals = [(low[1], high[1]) for low, high in error_bars.get_segments()]
    assert intervals[0] == pytest.approx((0.3094, 0.4980), abs=1e-4)  # 40 of 100, Wilson
    assert [bar.get_height() for bar in below.patches] == [100, 300]
    assert texts(below.texts) == ["100", "300"]
    assert above.get_title() == "expected calibration error 0.062 (400 faces)"


def test_coverage_marks_thresholds_and_describes_the_chosen_one():
    (axis,) = plots.coverage(COVERAGE, 0.5).axes
    curve, *dots = [line.get_xydata().tolist() for line in axis.lines]
    assert curve == [[0.25, 1], [0.75, 0.9], [1, 0.8]]
    *marks, chosen = texts(axis.texts)
    assert (marks, len(dots)) == (["40%", "60%", "70%", "80%", "90%"], 6)  # at 30 % the coverage is complete
    assert dots[-1] == [[0.75, 0.9]]
    assert chosen == "at threshold 50%:\ncoverage 75.0%,\nselective accuracy 90.0%"


def test_coverage_at_a_threshold_that_no_face_reaches_is_0():
    (axis,) = plots.coverage(COVERAGE, 0.95).axes
    assert texts(axis.texts)[-1] == "at threshold 95%:\ncoverage 0%"


def test_the_noisy_start_of_a_coverage_curve_is_left_out():
    few = CoverageCurve(np.array([0.9, 0.8, 0.7]), np.array([0.01, 0.02, 1.0]), np.array([0.0, 1.0, 0.8]))
    assert plots.coverage(few).axes[0].lines[0].get_xdata().tolist() == [0.02, 1.0]


def test_mistakes_are_sorted_by_confidence():
    rows = faces.tiny(training=1, public=2).split(PUBLIC_TEST)
    predicted = [0, 1, 3, 3, 5, 5, 6, 1, 1, 2, 3, 4, 5, 6]  # wrong in rows 2, 4 and 7
    confidence = np.full(14, 0.9, np.float32)
    confidence[[2, 4, 7]] = 0.5, 0.8, 0.7
    probabilities = np.repeat((1 - confidence)[:, np.newaxis] / np.float32(6), 7, axis=1)
    probabilities[np.arange(14), predicted] = confidence
    assert plots.most_confident_mistakes(probabilities, rows.labels).tolist() == [4, 7, 2]
    assert plots.most_confident_mistakes(probabilities, rows.labels, count=2).tolist() == [4, 7]


# --- contact sheets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "least", "expected"), [(48, 96, 96), (48, 97, 144), (96, 96, 96), (200, 96, 200)])
def test_a_face_is_enlarged_by_an_integer_factor(side, least, expected):
    face = np.full((side, side), 80, np.uint8)
    assert plots.enlarge(face, least).shape == (expected, expected)


def test_long_texts_on_a_contact_sheet_do_not_overlap():
    name = "a class with a really long name"
    images = [np.zeros((20, 20), np.uint8)] * 4
    figure = plots.contact_sheet(images, columns=2, title=name, left=[name] * 2, above=[name] * 2)
    figure.set_dpi(plots.DOTS_PER_INCH)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    inside = figure.bbox
    assert len(boxes) == 5
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 <= inside.y1 for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


# --- files ----------------------------------------------------------------------------------------------------------


def test_saved_images_decode_and_leave_nothing_else(history, tmp_path):
    plots.save(plots.training_curves(history), tmp_path / "curves.png")
    plots.save(plots.confusion_matrix(GOOD), tmp_path / "confusion.png")
    images = [cv2.imread(str(path)) for path in tmp_path.glob("*.png")]
    assert all(image is not None and min(image.shape[:2]) > 150 for image in images)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_suffix_determines_the_format(tmp_path):
    plots.save(plots.confusion_matrix(GOOD), tmp_path / "confusion.svg")
    assert "<svg" in (tmp_path / "confusion.svg").read_text()


def test_a_stream_gets_the_same_svg_every_time():
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        plots.save(plots.reliability(RELIABILITY), stream)
    first, second = (stream.getvalue() for stream in streams)
    assert first.startswith(b"<?xml")
    assert b"<svg" in first
    assert first == second


def test_a_dollar_in_a_name_is_not_a_formula(tmp_path):
    names = ("$a$", r"$\nonsense{$")
    metrics = Metrics("PublicTest", names, GOOD.confusion, 0.3)
    plots.save(plots.confusion_matrix(metrics), tmp_path / "confusion.svg")
    plots.save(plots.per_class(metrics), tmp_path / "bars.svg")
    plots.save(plots.corruptions({names[1]: {names[0]: metrics, names[1]: metrics}}), tmp_path / "corruptions.svg")
    assert len(list(tmp_path.iterdir())) == 3


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"confusion\.txt: .*'txt' is not supported .*png"):
        plots.save(plots.confusion_matrix(GOOD), tmp_path / "confusion.txt")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/confusion\.png: cannot be written"):
        plots.save(plots.confusion_matrix(GOOD), tmp_path / "file" / "confusion.png")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        EmotionEdgeError, match=re.escape(f"matplotlib is not installed; {install_command('trainer')} installs it")
    ):
        plots.confusion_matrix(GOOD)
