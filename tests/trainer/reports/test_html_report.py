"""The report is one self-contained page with the measured values and their limitations."""

import base64
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, FileError, UsageError
from edge.system.installation import install_command
from tests.support import faces
from trainer.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING
from trainer.evaluation.evaluate import Evaluation, ModelResult
from trainer.evaluation.metrics import SceneMetrics, compute_metrics
from trainer.reports.html_report import HtmlReport, write_report

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

DATA = faces.tiny(training=1, public=6, private=1)
ROWS = DATA.split(PUBLIC_TEST)
VOID_ELEMENTS = {"meta", "img", "br", "link", "input", "hr"}
SECTIONS = [
    "Summary",
    "Classes",
    "Confusion matrix",
    "Confidence",
    "Most confident mistakes",
    "Limitations",
    "Model and command",
]


class Page(HTMLParser):
    """A parsed page: its elements with attributes, its texts, the cells of its tables. Wrong nesting is an error."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        self.texts.append((inside, data))
        if inside in ("th", "td"):
            self.tables[-1][-1][-1] += data

    @property
    def style(self):
        return "".join(text for tag, text in self.texts if tag == "style")

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text_in(self, *tags):
        """Return the texts directly in elements of these kinds; without arguments all but the style."""
        wanted = [text for tag, text in self.texts if (tag in tags if tags else tag != "style")]
        return [" ".join(text.split()) for text in wanted if text.strip()]

    def row(self, first):
        """Return the other cells of the only row with the header `first`."""
        (cells,) = [row[1:] for table in self.tables for row in table if row[0] == first]
        return cells


def model_result(name, seed=0, wrong=0.3):
    """Return the predictions of a model for ROWS, of which about the fraction `wrong` is wrong."""
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(len(ROWS)) < wrong, rng.integers(0, 7, len(ROWS)), ROWS.labels)
    weights = rng.random((len(ROWS), 7)) + 3 * np.eye(7)[predicted] * rng.random((len(ROWS), 1))
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return ModelResult(name, probabilities, compute_metrics(probabilities, ROWS))


MODEL, OTHER = model_result("model.tflite"), model_result("best.keras", seed=1, wrong=0.1)
EVALUATION = Evaluation(ROWS, (MODEL,), 0.4)
MINIMAL = HtmlReport(EVALUATION, "trainer evaluate model.tflite")


def decode_image(image):
    """Return media type and content of an image that is inside the page."""
    media_type, _, content = image["src"].partition(";base64,")
    return media_type, base64.b64decode(content, validate=True)


def decode_face(content):
    """Return the pixels of an image file."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return pixels


def interval(metrics):
    low, high = metrics.accuracy_interval
    return f"{low:.1%} to {high:.1%}"


def read(report, folder):
    write_report(report, folder / "report.html")
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The page of a report with everything in it."""
    folder = tmp_path_factory.mktemp("full")
    history = folder / "history.csv"
    history.write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,1.5,0.25,1.25,0.5\n2,1.0,0.5,0.75,0.625\n")
    corruptions = {
        "model.tflite": {"original": MODEL.metrics, "dark": OTHER.metrics},
        "best.keras": {"original": OTHER.metrics, "dark": MODEL.metrics},
    }
    evaluation = Evaluation(ROWS, (MODEL, OTHER), 0.4, corruptions=corruptions, ferplus=OTHER.metrics)
    description = {"input": "96 x 96 gray pixels", "temperature": "1.2"}
    return read(HtmlReport(evaluation, MINIMAL.command, description, history), folder)


@pytest.fixture(scope="module")
def minimal(tmp_path_factory):
    """The page of the smallest report."""
    return read(MINIMAL, tmp_path_factory.mktemp("minimal"))


@pytest.fixture
def read_undrawn(monkeypatch, tmp_path):
    """Return a function that reads a report without its plots, which take most of the time."""
    monkeypatch.setattr("trainer.reports.plots.save", lambda _, stream: stream.write(b"<svg/>"))
    return lambda report: read(report, tmp_path)


# --- the page -------------------------------------------------------------------------------------------------------


def test_a_page_is_self_contained(full):
    assert not {tag for tag, _ in full.elements} & {"script", "link", "iframe", "object", "base"}
    assert all(image["src"].startswith("data:image/") for image in full.all("img"))
    assert all(link["href"].startswith("#") for link in full.all("a"))
    assert "url(" not in full.style
    assert "@import" not in full.style
    attributes = [value for _, pairs in full.elements for name, value in pairs.items() if name != "src"]
    assert not any("http" in text for text in (*attributes, *full.text_in(), full.style))


def test_a_page_declares_language_title_encoding_and_width(minimal):
    assert minimal.all("html") == [{"lang": "en"}]
    assert minimal.text_in("title") == ["model.tflite on PublicTest"]
    assert {"charset": "utf-8"} in minimal.all("meta")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in minimal.all("meta")


def test_dark_mode_applies_to_the_page_but_not_to_the_plots(minimal):
    assert "prefers-color-scheme: dark" in minimal.style
    assert "figure img { max-width: 100%; height: auto; background: #fff;" in minimal.style


def test_images_have_alternative_texts_and_headers_a_scope(full):
    assert all(image["alt"] for image in full.all("img"))
    assert all(header["scope"] in ("col", "row") for header in full.all("th"))
    assert len(full.all("th")) > 40


def test_every_section_is_there_and_linked(full):
    assert sorted(full.text_in("h2")) == sorted([*SECTIONS, "Corruptions", "Training"])
    assert full.text_in("a") == full.text_in("h2")
    assert [link["href"][1:] for link in full.all("a")] == [section["id"] for section in full.all("section")]


def test_a_section_without_content_is_left_out(minimal):
    assert minimal.text_in("h2") == minimal.text_in("a") == SECTIONS


def test_scenes_have_a_section_with_the_figures_of_all_images(read_undrawn):
    images = MODEL.metrics.support + 6 * np.eye(7, dtype=np.int64)[DATA.class_names.index("happy")]
    scenes = SceneMetrics(images, MODEL.metrics, extra_faces=4, milliseconds=12.34, skipped=5)
    page = read_undrawn(replace(MINIMAL, evaluation=replace(EVALUATION, scenes=scenes)))
    assert page.text_in("h2") == [SECTIONS[0], "Detection", *SECTIONS[1:]]
    assert page.row("faces found") == ["42 (87.5%)"]
    assert page.row("extra faces") == ["4"]
    assert page.row("macro recall") == [f"{scenes.macro_recall:.1%}"]
    assert page.row("mean time per image") == ["12.3 ms"]
    assert ["happy", "12", "50.0%", f"{scenes.recall[3]:.1%}"] in [row for table in page.tables for row in table]
    assert not any("FER2013's labels" in text for text in page.text_in("li"))


def test_all_images_decode(full):
    media_types = []
    for image in full.all("img"):
        media_type, content = decode_image(image)
        media_types.append(media_type)
        assert b"<svg" in content if "svg" in media_type else decode_face(content) is not None
    # Classes, confusion matrix, reliability, coverage, corruptions, training curves.
    assert media_types.count("data:image/svg+xml") == 6
    assert set(media_types) == {"data:image/svg+xml", "data:image/png"}


def test_names_are_escaped(tmp_path):
    names = ("<b>angry", "a & b", 'say "x"', "it's", "</style>", "<!-- -->", "&lt;")
    odd = replace(MODEL, name="<script>&.tflite", metrics=replace(MODEL.metrics, class_names=names))
    rows = replace(ROWS, class_names=names, source="<i>.csv")
    evaluation = Evaluation(rows, (odd, odd), 0.4, corruptions={"<u>": {"x < y": odd.metrics}})
    command = "trainer evaluate '<script>&.tflite' && \"x\""
    page = read(HtmlReport(evaluation, command, {"<a>": "<b>"}), tmp_path)
    assert not {tag for tag, _ in page.elements} & {"script", "b", "i", "u"}
    assert {*names, "<a>", "x < y"} <= {row[0] for table in page.tables for row in table}
    assert page.text_in("title") == page.text_in("h1") == ["<script>&.tflite on PublicTest"]
    assert page.text_in("pre") == [command]
    assert "<i>.csv, split PublicTest, 7 classes" in page.text_in("p")


def test_the_same_values_give_the_same_file(minimal, tmp_path):
    assert read(MINIMAL, tmp_path).text == minimal.text


def test_a_file_name_that_is_not_utf8_does_not_end_the_report(read_undrawn):
    page = read_undrawn(replace(MINIMAL, command="trainer evaluate \udcff.tflite"))
    assert page.text_in("pre") == ["trainer evaluate ?.tflite"]


def test_a_path_that_cannot_be_written_is_named(read_undrawn, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/report\.html: cannot be written"):
        write_report(MINIMAL, tmp_path / "file" / "report.html")


def test_a_missing_history_leaves_no_page(read_undrawn, tmp_path):
    with pytest.raises(UsageError, match=r"history\.csv: cannot be read"):
        read_undrawn(replace(MINIMAL, history=tmp_path / "history.csv"))
    assert not list(tmp_path.iterdir())


def test_without_jinja2_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        EmotionEdgeError, match=re.escape(f"jinja2 is not installed; {install_command('trainer')} installs it")
    ):
        write_report(MINIMAL, tmp_path / "report.html")


# --- values ---------------------------------------------------------------------------------------------------------


def test_a_page_begins_with_the_accuracy_and_its_baseline(minimal):
    lead = minimal.text_in("p")[0]
    for value in (f"{MODEL.metrics.accuracy:.1%} of 42 faces", interval(MODEL.metrics), "angry", "14.3%"):
        assert value in lead


def test_the_summary_has_the_metrics_of_both_models(full):
    both = [MODEL.metrics, OTHER.metrics]
    assert full.tables[0][0] == ["metric", "model.tflite", "best.keras"]
    assert full.row("accuracy") == [f"{metrics.accuracy:.1%}" for metrics in both]
    assert full.row("macro-F1") == [f"{metrics.macro_f1:.3f}" for metrics in both]
    assert full.row("negative log likelihood") == [f"{metrics.loss:.3f}" for metrics in both]
    assert full.row("95% confidence interval of the accuracy") == [interval(metrics) for metrics in both]


def test_the_summary_has_calibration_and_selective_accuracy(full):
    errors, coverages, accuracies = [], [], []
    for model in (MODEL, OTHER):
        confidence, correct = model.probabilities.max(axis=1), model.predicted == ROWS.labels
        covered = confidence >= 0.4
        coverages.append(f"{covered.mean():.1%}")
        accuracies.append(f"{correct[covered].mean():.1%}")
        bins = np.floor(confidence * 15)
        gaps = [abs((confidence - correct)[bins == number].sum()) for number in range(15)]
        errors.append(f"{sum(gaps) / len(ROWS):.3f}")
    assert full.row("expected calibration error, 15 bins") == errors
    assert full.row("coverage at threshold 40%") == coverages
    assert full.row("selective accuracy at threshold 40%") == accuracies


def test_a_threshold_that_no_face_reaches_has_no_accuracy(read_undrawn):
    page = read_undrawn(replace(MINIMAL, evaluation=replace(EVALUATION, min_confidence=1.0)))
    assert page.row("coverage at threshold 100%") == ["0.0%"]
    assert page.row("selective accuracy at threshold 100%") == ["none"]


def test_the_summary_has_the_agreement_of_the_models(full):
    assert full.row("agreement with best.keras") == [f"{np.mean(MODEL.predicted == OTHER.predicted):.1%}", ""]


def test_the_ferplus_majority_has_rows_of_its_own(full, minimal):
    assert full.row("accuracy against FER+'s majority, 42 faces") == [f"{OTHER.metrics.accuracy:.1%}", ""]
    assert full.row("95% confidence interval of that accuracy") == [interval(OTHER.metrics), ""]
    assert not any("majority" in text for text in minimal.text_in("th"))


def test_every_class_has_its_metrics_and_most_frequent_mistake(full):
    head, *rows = full.tables[1]
    metrics = MODEL.metrics
    assert head == ["class", "precision", "recall", "F1", "F1 of best.keras", "faces", "most frequent mistake"]
    assert [row[0] for row in rows] == list(ROWS.class_names)
    for number, (_, *cells) in enumerate(rows):
        values = [metrics.precision[number], metrics.recall[number], metrics.f1[number], OTHER.metrics.f1[number]]
        wrong = metrics.confusion[number] * (np.arange(7) != number)
        mistake = f"{ROWS.class_names[wrong.argmax()]} ({wrong.max() / 6:.0%})" if wrong.any() else "none"
        assert cells == [*(f"{value:.3f}" for value in values), "6", mistake]


def test_the_confusion_matrix_is_a_table_too(minimal):
    head, *rows = minimal.tables[2]
    assert head[1:] == [row[0] for row in rows] == list(ROWS.class_names)
    assert [list(map(int, row[1:])) for row in rows] == MODEL.metrics.confusion.tolist()


def test_each_corruption_has_accuracy_difference_and_macro_f1(full):
    one, two = MODEL.metrics, OTHER.metrics
    change = 100 * (two.accuracy - one.accuracy)
    first = [f"{two.accuracy:.1%} ({change:+.1f})", f"{two.macro_f1:.3f}"]
    assert full.row("dark") == [*first, f"{one.accuracy:.1%} ({-change:+.1f})", f"{one.macro_f1:.3f}"]
    assert full.row("original")[0] == f"{one.accuracy:.1%}"


def test_the_page_ends_with_model_and_command(full):
    assert full.row("input") == ["96 x 96 gray pixels"]
    assert full.row("temperature") == ["1.2"]
    assert full.text_in("pre") == ["trainer evaluate model.tflite"]


# --- faces ----------------------------------------------------------------------------------------------------------


def test_mistakes_have_face_label_prediction_and_confidence(minimal):
    confidence = MODEL.probabilities.max(axis=1)
    wrong = sorted(np.flatnonzero(MODEL.predicted != ROWS.labels), key=lambda row: -confidence[row])
    names = ROWS.class_names
    assert len(wrong) > 5
    assert minimal.text_in("li")[: len(wrong)] == [
        f"{names[ROWS.labels[row]]} \N{RIGHTWARDS ARROW} {names[MODEL.predicted[row]]} {confidence[row]:.0%}"
        for row in wrong
    ]
    images = [content for media_type, content in map(decode_image, minimal.all("img")) if "png" in media_type]
    for content, row in zip(images, wrong, strict=True):
        assert np.array_equal(decode_face(content), ROWS.faces[row])


def test_a_page_with_faces_says_how_many_and_of_which_data_set(minimal):
    wrong = (MODEL.predicted != ROWS.labels).sum()
    assert any(f"{wrong} faces of tiny.csv" in text for text in minimal.text_in("p"))


def test_a_page_without_faces_has_none(read_undrawn):
    page = read_undrawn(replace(MINIMAL, show_faces=False))
    assert not any("png" in image["src"][:20] for image in page.all("img"))
    assert page.text_in("h2") == [name for name in SECTIONS if name != "Most confident mistakes"]
    assert not any("faces of tiny.csv" in text for text in page.text_in())


def test_a_model_without_mistakes_is_reported_too(read_undrawn):
    probabilities = np.eye(7, dtype=np.float32)[ROWS.labels]
    perfect = ModelResult("perfect.keras", probabilities, compute_metrics(probabilities, ROWS))
    page = read_undrawn(replace(MINIMAL, evaluation=replace(EVALUATION, models=(perfect,))))
    assert any("no wrong predictions" in text for text in page.text_in("p"))


# --- limitations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "expected"),
    [(PUBLIC_TEST, "The epoch was selected"), (PRIVATE_TEST, "Nothing was selected"), (TRAINING, "was trained on")],
)
def test_the_use_of_the_split_is_a_limitation(split, expected, read_undrawn):
    model = replace(MODEL, metrics=replace(MODEL.metrics, split=split))
    page = read_undrawn(replace(MINIMAL, evaluation=replace(EVALUATION, models=(model,))))
    assert sum(expected in text for text in page.text_in("li")) == 1


def test_the_limitations_of_the_data_are_listed(minimal):
    text = " ".join(minimal.text_in("li"))
    for words in ("labels are noisy", "Age, gender and origin", "An expression is not a feeling"):
        assert words in text


def test_other_data_has_no_limitations_of_fer2013(read_undrawn):
    names = tuple("abcdefg")
    model = replace(MODEL, metrics=replace(MODEL.metrics, class_names=names))
    evaluation = Evaluation(replace(ROWS, class_names=names), (model,), 0.4)
    text = " ".join(read_undrawn(replace(MINIMAL, evaluation=evaluation)).text_in())
    assert "FER2013" not in text
    assert "An expression is not a feeling" in text
