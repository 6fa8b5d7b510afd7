"""The images of a run show the measured figures, and an image that cannot be drawn is said in one line."""

import io
import sys

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, FileError, UsageError
from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST
from trainer.evaluation.calibration import Coverage, Reliability
from trainer.evaluation.metrics import Result
from trainer.reports import plots

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

RESULT = Result("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
WORSE = Result("PublicTest", ("angry", "happy"), np.array([[4, 6], [5, 5]]), 0.9)
RELIABILITY = Reliability(np.array([0.5, 0.9]), np.array([0.4, 0.95]), np.array([100, 300]))
COVERAGE = Coverage(np.array([0.9, 0.6, 0.35]), np.array([0.25, 0.75, 1.0]), np.array([1.0, 0.9, 0.8]))
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


def labels(texts):
    return [text.get_text() for text in texts]


def legend(figure):
    return labels(figure.legends[0].get_texts())


def found(part, image):
    """Tell whether the pixels of `part` are in `image` just so."""
    left, top = cv2.minMaxLoc(cv2.matchTemplate(image, part, cv2.TM_SQDIFF))[2]
    return np.array_equal(image[top : top + len(part), left : left + len(part)], part)


def gray(path):
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read \\(No such file"),
        ("", "not the history.csv of a run \\(no epoch"),
        ("epoch,loss\n1,2\n", "not the history.csv of a run \\('accuracy'"),
        ("epoch,loss,accuracy\n1,x,0.5\n", "not the history.csv of a run \\(could not convert"),
        ("epoch,loss,accuracy\n1,2\n", "not the history.csv of a run"),
        ("\0epoch", "not the history.csv of a run"),
    ],
)
def test_a_history_that_is_none_is_refused(content, reason, tmp_path):
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=rf"history\.csv: {reason}"):
        plots.curves(path, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


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


def test_bars_show_precision_recall_and_f1_of_each_class_from_the_top(drawn, tmp_path):
    plots.per_class(RESULT, tmp_path / "bars.png")
    (axis,) = drawn[0].axes
    lengths = [[bar.get_width() for bar in bars] for bars in axis.containers]
    assert lengths == [pytest.approx(values) for values in (RESULT.precision, RESULT.recall, RESULT.f1)]
    assert labels(axis.get_yticklabels()) == ["angry\n10 faces", "happy\n10 faces"]
    assert legend(drawn[0]) == ["precision", "recall", "F1"]
    tops = [bars[0].get_y() for bars in axis.containers]
    assert tops == sorted(tops)
    assert axis.yaxis_inverted()


def test_bars_show_each_models_accuracy_under_each_condition_with_its_interval(drawn, tmp_path):
    rows = {"_a.keras": {"plain": RESULT, "dark": WORSE}, "b.tflite": {"plain": WORSE, "dark": WORSE}}
    plots.robustness(rows, tmp_path / "robustness.png")
    (axis,) = drawn[0].axes
    bars = [found for found in axis.containers if hasattr(found, "patches")]
    assert [[bar.get_width() for bar in found] for found in bars] == [[0.9, 0.45], [0.45, 0.45]]
    assert labels(axis.get_yticklabels()) == ["plain", "dark"]
    assert legend(drawn[0]) == ["_a.keras", "b.tflite"]
    (segments,) = [found.get_segments() for found in bars[0].errorbar.lines[2]]
    assert [segment[:, 0].tolist() for segment in segments] == [
        pytest.approx(RESULT.interval),
        pytest.approx(WORSE.interval),
    ]


def test_each_network_is_a_dot_at_its_time_and_accuracy_as_large_as_its_file(drawn, tmp_path):
    points = [("small", 0.2, 0.6, 1_000_000), ("large", 5.0, 0.7, 4_000_000)]
    plots.tradeoff(points, tmp_path / "tradeoff.png")
    (axis,) = drawn[0].axes
    (dots,) = axis.collections
    assert dots.get_offsets().tolist() == [[0.2, 0.6], [5, 0.7]]
    small, large = dots.get_sizes()
    assert large == 4 * small
    assert labels(axis.texts) == ["small\n1.00 MB", "large\n4.00 MB"]


def test_the_reliability_diagram_has_accuracy_over_confidence_the_counts_and_the_error(drawn, tmp_path):
    plots.reliability(RELIABILITY, tmp_path / "reliability.png")
    above, below = drawn[0].axes
    diagonal, points = [line.get_xydata().tolist() for line in above.lines if len(line.get_xydata()) == 2][:2]
    assert (diagonal, points) == ([[0, 0], [1, 1]], [[0.5, 0.4], [0.9, 0.95]])
    (whiskers,) = above.containers[0].lines[2]
    reach = [(low[1], high[1]) for low, high in whiskers.get_segments()]
    assert reach[0] == pytest.approx((0.3094, 0.4980), abs=1e-4)  # 40 of 100, Wilson's
    assert [bar.get_height() for bar in below.patches] == [100, 300]
    assert labels(below.texts) == ["100", "300"]
    assert above.get_title() == "expected calibration error 0.062 (400 faces)"


def test_the_coverage_curve_marks_thresholds_and_says_what_the_chosen_one_does(drawn, tmp_path):
    plots.coverage(COVERAGE, tmp_path / "coverage.png", 0.5)
    (axis,) = drawn[0].axes
    curve, *dots = [line.get_xydata().tolist() for line in axis.lines]
    assert curve == [[0.25, 1], [0.75, 0.9], [1, 0.8]]
    *marks, chosen = labels(axis.texts)
    assert (marks, len(dots)) == (["40%", "60%", "70%", "80%", "90%"], 6)  # at 30 % all faces get an answer
    assert dots[-1] == [[0.75, 0.9]]
    assert chosen == "unsure below 50%:\n75.0% of the faces get an answer,\n90.0% of those are right"


def test_a_threshold_that_no_answer_reaches_is_said(drawn, tmp_path):
    plots.coverage(COVERAGE, tmp_path / "coverage.png", 0.95)
    assert labels(drawn[0].axes[0].texts)[-1] == "unsure below 95%:\nno answer at all"


def test_the_start_of_a_coverage_curve_that_is_left_to_chance_is_not_drawn(drawn, tmp_path):
    few = Coverage(np.array([0.9, 0.8, 0.7]), np.array([0.01, 0.02, 1.0]), np.array([0.0, 1.0, 0.8]))
    plots.coverage(few, tmp_path / "coverage.png")
    assert drawn[0].axes[0].lines[0].get_xdata().tolist() == [0.02, 1.0]


# --- contact sheets -------------------------------------------------------------------------------------------------

DATA = faces.tiny(training=1, public=2).split(PUBLIC_TEST)


def shares(answers, sure):
    """Return (n, 7) scores that name `answers`, each with its share in `sure`."""
    scores = np.repeat((1 - np.array(sure, np.float32))[:, np.newaxis] / 6, 7, axis=1)
    scores[np.arange(len(answers)), answers] = sure
    return scores


def test_the_surest_mistakes_come_first_and_right_answers_not_at_all():
    answers = [0, 1, 3, 3, 5, 5, 6, 1, 1, 2, 3, 4, 5, 6]  # wrong at 2, 4 and 7
    sure = [0.9] * 14
    sure[2], sure[4], sure[7] = 0.5, 0.8, 0.7
    scores = shares(answers, sure)
    assert plots.mistaken(scores, DATA.labels).tolist() == [4, 7, 2]
    assert plots.mistaken(scores, DATA.labels, most=2).tolist() == [4, 7]


def test_a_mistake_has_its_enlarged_face_label_answer_and_confidence(drawn, tmp_path):
    answers = DATA.labels.copy()
    answers[9], answers[3] = 5, 0
    sure = [0.6] * 14
    sure[3] = 0.99
    plots.mistakes(DATA, shares(answers, sure), tmp_path / "mistakes.png")
    assert labels(drawn[0].axes[0].texts) == [
        "happy \N{RIGHTWARDS ARROW} angry\n99%",
        "fear \N{RIGHTWARDS ARROW} surprise\n60%",
        "PublicTest: the 2 surest wrong answers: label \N{RIGHTWARDS ARROW} answer",
    ]
    image = gray(tmp_path / "mistakes.png")
    assert all(found(plots.enlarged(DATA.faces[row], 144), image) for row in (3, 9))
    assert not found(plots.enlarged(DATA.faces[0], 144), image)


def test_a_model_without_mistakes_gets_a_sheet_that_says_so(drawn, tmp_path):
    plots.mistakes(DATA, shares(DATA.labels, [0.9] * 14), tmp_path / "mistakes.png")
    assert labels(drawn[0].axes[0].texts) == ["PublicTest: no wrong answer"]
    assert cv2.imread(str(tmp_path / "mistakes.png")) is not None


@pytest.mark.parametrize(("side", "least", "expected"), [(48, 96, 96), (48, 97, 144), (96, 96, 96), (200, 96, 200)])
def test_a_face_is_enlarged_a_whole_number_of_times(side, least, expected):
    face = np.full((side, side), 80, np.uint8)
    assert plots.enlarged(face, least).shape == (expected, expected)


def test_long_texts_on_a_sheet_make_room_for_themselves(drawn, tmp_path):
    dark = [np.zeros((20, 20), np.uint8)] * 2
    name = "a class with a really long name"
    plots.sheet(dark, tmp_path / "s.png", columns=2, title="", below=[name] * 2, left=[name], above=[name] * 2)
    figure = drawn[0]
    figure.set_dpi(plots.DPI)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    inside = figure.bbox
    assert len(boxes) == 5
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 <= inside.y1 for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


# --- files ----------------------------------------------------------------------------------------------------------


def test_images_decode_and_nothing_else_is_left(history, tmp_path):
    plots.curves(history, tmp_path / "curves.png")
    plots.confusion(RESULT, tmp_path / "confusion.png")
    images = [cv2.imread(str(path)) for path in tmp_path.glob("*.png")]
    assert all(image is not None and min(image.shape[:2]) > 150 for image in images)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_ending_decides_the_format(tmp_path):
    plots.confusion(RESULT, tmp_path / "confusion.svg")
    assert "<svg" in (tmp_path / "confusion.svg").read_text()


def test_a_stream_gets_an_svg_that_is_the_same_each_time():
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        plots.reliability(RELIABILITY, stream)
    once, again = (stream.getvalue() for stream in streams)
    assert once.startswith(b"<?xml")
    assert b"<svg" in once
    assert once == again


def test_a_dollar_in_a_name_is_a_dollar_and_no_formula(tmp_path):
    names = ("$a$", r"$\nonsense{$")
    odd = Result("PublicTest", names, RESULT.confusion, 0.3)
    plots.confusion(odd, tmp_path / "confusion.svg")
    plots.per_class(odd, tmp_path / "bars.svg")
    plots.robustness({names[1]: {names[0]: odd, names[1]: odd}}, tmp_path / "robustness.svg")
    assert len(list(tmp_path.iterdir())) == 3


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
