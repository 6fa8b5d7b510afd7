"""The report is one page that needs nothing else, holds the measured figures, and says what they do not say."""

import base64
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from edge.errors import FileError, UsageError
from tests.support import faces
from trainer.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING
from trainer.evaluation.metrics import measure
from trainer.reports import html_report as report
from trainer.reports.html_report import Measured, Report, write

pytestmark = pytest.mark.keras  # not Keras itself, but Matplotlib, which comes with it

DATA = faces.tiny(training=1, public=6, private=1)
ROWS = DATA.split(PUBLIC_TEST)
VOID = {"meta", "img", "br", "link", "input", "hr"}
ALWAYS = [
    "Summary",
    "Classes",
    "Confusion matrix",
    "Confidence",
    "Most confident mistakes",
    "What these figures do not say",
    "The model and this page",
]


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, texts, and cells of tables; refuses wrong nesting."""

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
        if tag not in VOID:
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

    def said(self, *tags):
        """Return the texts directly in elements of these kinds; of all but the style when none is named."""
        return [text for tag, text in self.texts if (tag in tags if tags else tag != "style") and text.strip()]

    def row(self, first):
        """Return the cells beside the only row header `first`."""
        (cells,) = [row[1:] for table in self.tables for row in table if row[0] == first]
        return cells


def scores(seed=0, wrong=0.3):
    """Return (n, classes) shares for ROWS, of which about the share `wrong` names another class."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(ROWS)) < wrong, rng.integers(0, 7, len(ROWS)), ROWS.labels)
    shares = rng.random((len(ROWS), 7)) + 3 * np.eye(7)[said] * rng.random((len(ROWS), 1))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def measured(name="model.tflite", seed=0, wrong=0.3):
    return Measured(name, measure(scores(seed, wrong), ROWS), scores(seed, wrong))


MODEL, OTHER = measured(), measured("best.keras", seed=1, wrong=0.1)
PLAIN = Report(MODEL, ROWS, 0.4, "trainer evaluate model.tflite")


def decoded(image):
    """Return kind and content of an image that is inside the page."""
    kind, _, content = image["src"].partition(";base64,")
    return kind, base64.b64decode(content, validate=True)


def face(content):
    """Return the pixels of an image file."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return pixels


def interval(result):
    low, high = result.interval
    return f"{low:.1%} to {high:.1%}"


def read(told, folder):
    write(told, folder / "report.html")
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Give a report with all that can be told."""
    history = tmp_path_factory.mktemp("run") / "history.csv"
    history.write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,1.5,0.25,1.25,0.5\n2,1.0,0.5,0.75,0.625\n")
    robustness = {
        "model.tflite": {"as it is": MODEL.result, "dark": OTHER.result},
        "best.keras": {"as it is": OTHER.result, "dark": MODEL.result},
    }
    facts = {"input": "96 x 96 gray pixels", "temperature": "1.2"}
    more = {"beside": OTHER, "robustness": robustness, "ferplus": OTHER.result, "history": history, "facts": facts}
    return replace(PLAIN, **more)


@pytest.fixture(scope="module")
def full(everything, tmp_path_factory):
    """Give the page of that report."""
    return read(everything, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Give the page of the least that can be told."""
    return read(PLAIN, tmp_path_factory.mktemp("plain"))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the drawing out, which takes most of the time."""
    monkeypatch.setattr("trainer.reports.html_report._image", lambda *_, alt: report._tag("figure", alt))


@pytest.fixture
def sketch(undrawn, tmp_path):
    """Read a report without its drawings."""
    return lambda told: read(told, tmp_path)


# --- the page -------------------------------------------------------------------------------------------------------


def test_a_page_needs_nothing_from_outside(full):
    assert not {tag for tag, _ in full.elements} & {"script", "link", "iframe", "object", "base"}
    assert all(image["src"].startswith("data:image/") for image in full.all("img"))
    assert all(link["href"].startswith("#") for link in full.all("a"))
    assert "url(" not in full.style
    assert "@import" not in full.style
    attributes = [value for _, pairs in full.elements for name, value in pairs.items() if name != "src"]
    assert not any("http" in text for text in (*attributes, *full.said(), full.style))


def test_a_page_tells_its_language_title_characters_and_width(plain):
    assert plain.all("html") == [{"lang": "en"}]
    assert plain.said("title") == ["model.tflite on PublicTest"]
    assert {"charset": "utf-8"} in plain.all("meta")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in plain.all("meta")


def test_dark_mode_turns_the_page_dark_but_not_the_plots(plain):
    assert "prefers-color-scheme: dark" in plain.style
    assert "figure img { max-width: 100%; height: auto; background: #fff;" in plain.style


def test_every_image_has_an_alternative_and_every_header_a_scope(full):
    assert all(image["alt"] for image in full.all("img"))
    assert all(header["scope"] in ("col", "row") for header in full.all("th"))
    assert len(full.all("th")) > 40


def test_every_section_is_there_and_linked(full):
    assert sorted(full.said("h2")) == sorted([*ALWAYS, "Robustness", "Training"])
    assert full.said("a") == full.said("h2")
    assert [link["href"][1:] for link in full.all("a")] == [section["id"] for section in full.all("section")]


def test_a_section_without_anything_to_say_is_left_out(plain):
    assert plain.said("h2") == ALWAYS


def test_all_images_can_be_shown(full):
    kinds = []
    for image in full.all("img"):
        kind, content = decoded(image)
        kinds.append(kind)
        assert b"<svg" in content if "svg" in kind else face(content) is not None
    assert kinds.count("data:image/svg+xml") == 6  # classes, confusion, reliability, coverage, robustness, curves
    assert set(kinds) == {"data:image/svg+xml", "data:image/png"}


def test_names_are_text_and_no_markup(tmp_path):
    names = ("<b>angry", "a & b", 'say "x"', "it's", "</style>", "<!-- -->", "&lt;")
    odd = Measured("<script>&.tflite", replace(MODEL.result, names=names), MODEL.scores)
    command = "trainer evaluate '<script>&.tflite' && \"x\""
    rows = replace(ROWS, class_names=names, source="<i>.csv")
    told = Report(odd, rows, 0.4, command, {"<a>": "<b>"}, odd, {"<u>": {"x < y": odd.result}})
    found = read(told, tmp_path)
    assert not {tag for tag, _ in found.elements} & {"script", "b", "i", "u"}
    assert {*names, "<a>", "x < y"} <= {row[0] for table in found.tables for row in table}
    assert found.said("title") == found.said("h1") == ["<script>&.tflite on PublicTest"]
    assert found.said("pre") == [command]
    assert "<i>.csv, split PublicTest, 7 classes" in found.said("p")


def test_the_same_figures_give_the_same_file(plain, tmp_path):
    assert read(PLAIN, tmp_path).text == plain.text


def test_a_place_that_cannot_be_written_is_named(undrawn, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/report\.html: cannot be written"):
        write(PLAIN, tmp_path / "file" / "report.html")


def test_a_history_that_is_none_leaves_no_page(tmp_path):
    with pytest.raises(UsageError, match=r"history\.csv: cannot be read"):
        write(replace(PLAIN, history=tmp_path / "history.csv"), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


# --- figures --------------------------------------------------------------------------------------------------------


def test_the_page_begins_with_the_accuracy_and_what_a_blind_guess_would_reach(plain):
    result = MODEL.result
    low, high = result.interval
    first = f"model.tflite names {result.accuracy:.1%} of 42 faces right (95% interval: {low:.1%} to {high:.1%}). "
    assert plain.said("p")[0] == first + "Always saying angry would be right on 14.3%."


def test_the_summary_has_the_figures_of_both_models(full):
    both = [MODEL.result, OTHER.result]
    assert full.tables[0][0] == ["figure", "model.tflite", "best.keras"]
    assert full.row("accuracy") == [f"{result.accuracy:.1%}" for result in both]
    assert full.row("macro-F1") == [f"{result.macro_f1:.3f}" for result in both]
    assert full.row("negative log likelihood") == [f"{result.loss:.3f}" for result in both]
    assert full.row("95% interval of the accuracy") == [interval(result) for result in both]


def test_the_summary_tells_calibration_and_what_the_threshold_does(full):
    errors, covered, accuracy = [], [], []
    for model in (MODEL, OTHER):
        confidence, right = model.scores.max(axis=1), model.scores.argmax(axis=1) == ROWS.labels
        answered = confidence >= 0.4
        covered.append(f"{answered.mean():.1%}")
        accuracy.append(f"{right[answered].mean():.1%}")
        ranges = np.floor(confidence * 15)
        gaps = [abs((confidence - right)[ranges == place].sum()) for place in range(15)]
        errors.append(f"{sum(gaps) / len(ROWS):.3f}")
    assert full.row("expected calibration error, 15 ranges") == errors
    assert full.row("faces answered, unsure below 40%") == covered
    assert full.row("right answers among those") == accuracy


def test_a_threshold_that_no_answer_reaches_leaves_none_to_be_right(sketch):
    found = sketch(replace(PLAIN, threshold=1.0))
    assert found.row("faces answered, unsure below 100%") == ["0.0%"]
    assert found.row("right answers among those") == ["none"]


def test_the_summary_tells_on_how_many_faces_the_models_agree(full):
    same = np.mean(MODEL.scores.argmax(axis=1) == OTHER.scores.argmax(axis=1))
    assert full.row("same answer as best.keras") == [f"{same:.1%}", ""]


def test_the_majority_of_ferplus_has_rows_of_its_own(full, plain):
    assert full.row("accuracy by FER+'s majority, 42 faces") == [f"{OTHER.result.accuracy:.1%}", ""]
    assert full.row("95% interval of that") == [interval(OTHER.result), ""]
    assert not any("majority" in text for text in plain.said("th"))


def test_every_class_has_its_figures_and_what_it_is_taken_for(full):
    head, *rows = full.tables[1]
    result = MODEL.result
    assert head == ["class", "precision", "recall", "F1", "F1 of best.keras", "faces", "most often taken for"]
    assert [row[0] for row in rows] == list(ROWS.class_names)
    for number, (_, *cells) in enumerate(rows):
        figures = [result.precision[number], result.recall[number], result.f1[number], OTHER.result.f1[number]]
        wrong = result.confusion[number] * (np.arange(7) != number)
        taken = f"{ROWS.class_names[wrong.argmax()]} ({wrong.max() / 6:.0%})" if wrong.any() else "none"
        assert cells == [*(f"{figure:.3f}" for figure in figures), "6", taken]


def test_the_confusion_matrix_is_there_as_numbers_too(plain):
    head, *rows = plain.tables[2]
    assert head[1:] == [row[0] for row in rows] == list(ROWS.class_names)
    assert [list(map(int, row[1:])) for row in rows] == MODEL.result.confusion.tolist()


def test_each_condition_has_accuracy_what_it_costs_and_macro_f1(full):
    one, two = MODEL.result, OTHER.result
    change = 100 * (two.accuracy - one.accuracy)
    first = [f"{two.accuracy:.1%} ({change:+.1f})", f"{two.macro_f1:.3f}"]
    assert full.row("dark") == [*first, f"{one.accuracy:.1%} ({-change:+.1f})", f"{one.macro_f1:.3f}"]
    assert full.row("as it is")[0] == f"{one.accuracy:.1%}"


def test_the_model_and_the_command_are_told(full):
    assert full.row("input") == ["96 x 96 gray pixels"]
    assert full.row("temperature") == ["1.2"]
    assert full.said("pre") == ["trainer evaluate model.tflite"]


# --- faces ----------------------------------------------------------------------------------------------------------


def test_mistakes_are_the_stored_faces_with_label_answer_and_confidence(plain):
    said = MODEL.scores.argmax(axis=1)
    wrong = sorted(np.flatnonzero(said != ROWS.labels), key=lambda row: -MODEL.scores[row].max())
    assert len(wrong) > 5
    assert plain.said("li")[: len(wrong)] == [
        f"{ROWS.class_names[ROWS.labels[row]]} \N{RIGHTWARDS ARROW} {ROWS.class_names[said[row]]} {MODEL.scores[row].max():.0%}"
        for row in wrong
    ]
    stored = [content for kind, content in map(decoded, plain.all("img")) if kind == "data:image/png"]
    for content, row in zip(stored, wrong, strict=True):
        assert np.array_equal(face(content), ROWS.faces[row])


def test_a_page_that_stores_faces_says_so(plain):
    assert any("stores" in text and "faces of tiny.csv" in text for text in plain.said("p"))


def test_without_faces_there_is_none_on_the_page(sketch):
    found = sketch(replace(PLAIN, faces=False))
    assert not found.all("img")
    assert found.said("h2") == [name for name in ALWAYS if name != "Most confident mistakes"]
    assert not any("stores" in text for text in found.said())


def test_a_model_without_mistakes_is_reported_too(tmp_path):
    scores = np.eye(7, dtype=np.float32)[ROWS.labels]
    found = read(replace(PLAIN, model=Measured("perfect.keras", measure(scores, ROWS), scores)), tmp_path)
    assert "There is no wrong answer." in found.said("p")


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (PUBLIC_TEST, "The epoch was chosen"),
        (PRIVATE_TEST, "Nothing was chosen"),
        (TRAINING, "was trained on these very faces"),
    ],
)
def test_what_the_split_was_used_for_is_said(split, expected, sketch):
    found = sketch(replace(PLAIN, model=replace(MODEL, result=replace(MODEL.result, split=split))))
    assert sum(expected in text for text in found.said("li")) == 1


def test_the_limits_of_the_data_are_said(plain):
    told = " ".join(plain.said("li"))
    for words in ("labels are noisy", "Age, gender and origin", "An expression is not a feeling"):
        assert words in told


def test_of_other_data_nothing_is_said_of_fer2013s_labels(sketch):
    names = tuple("abcdefg")
    model = replace(MODEL, result=replace(MODEL.result, names=names))
    told = " ".join(sketch(replace(PLAIN, model=model, dataset=replace(ROWS, class_names=names))).said())
    assert "FER2013" not in told
    assert "An expression is not a feeling" in told
