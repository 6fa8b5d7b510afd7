"""One page that says how good a model is: figures, images and what they do not say, in one HTML file.

The file needs nothing else: style and images are inside, there is no script, and nothing is fetched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, indent, tostring

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.system.atomic_file import atomic_write
from trainer.data.dataset import FER2013_LABELS, PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset
from trainer.evaluation import calibration
from trainer.evaluation.metrics import Result
from trainer.reports import plots

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5a5a5a; --line: #d8d8d8; --page: #fff; --plate: #f4f5f7; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a6a6a6; --line: #444; --page: #17191c; --plate: #22252a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 1rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
p, li { max-width: 44rem; }
nav { font-size: .9rem; } nav a { margin-right: 1rem; white-space: nowrap; }
a { color: inherit; }
.soft, caption, figcaption { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, .text { text-align: left; }
td.text { overflow-wrap: anywhere; }
thead th { background: var(--plate); vertical-align: bottom; }
tbody th { font-weight: normal; }
.number { white-space: nowrap; }
thead .number { white-space: normal; }
@media screen and (max-width: 40rem) { table { font-size: .85rem; } th, td { padding: .25rem .4rem; } }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: .4rem; padding: .4rem; }
.faces { list-style: none; margin: 1rem 0; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
.faces li { font-size: .8rem; line-height: 1.3; break-inside: avoid; }
.faces img { display: block; width: 100%; border-radius: .3rem; }
pre { background: var(--plate); padding: .7rem; white-space: pre-wrap; border-radius: .4rem; }
@media print { body { max-width: none; font-size: 10pt; } nav { display: none; } h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; } figure img { max-height: 12cm; } .wide { overflow: visible; } }
"""


NOISY = (
    "FER2013's labels are noisy: the majority of the ten people who judged its faces again for FER+ names the same "
    "label on about two thirds of them. Some of the mistakes are the label's."
)
PEOPLE = (
    "Age, gender and origin of the people are not recorded. How much worse the model is for whom cannot be measured "
    "here; that it is not equally good for all must be assumed."
)
FEELING = "An expression is not a feeling. The figures tell how often the model says what the labellers said of a face."
CHANCE = "The interval covers the chance of which faces were drawn, not another camera, light or kind of people."
LIMITS = (PEOPLE, FEELING, CHANCE)
CHOSEN_ON = {
    TRAINING: "The model was trained on these very faces: on others it is worse.",
    PUBLIC_TEST: "The epoch was chosen, and an int8 file's temperature fitted, on these very faces: expect less on others.",
    PRIVATE_TEST: "Nothing was chosen by these faces, as long as nobody compares models on them.",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """One model's answers on the split."""

    name: str  # of its file
    result: Result
    scores: NDArray[np.float32]  # (n, classes) shares summing to 1, in the order of the data set's rows


@dataclass(frozen=True, eq=False)
class Report:
    """What was measured, for `write`."""

    model: Measured
    dataset: Dataset  # the rows of the split, those of the scores
    threshold: float  # share below which a face gets no label, 0 to 1
    command: str  # the command line that made it
    facts: Mapping[str, str] = field(default_factory=dict)  # of the model: its size, input, labels, checksum
    beside: Measured | None = None  # another model on the same rows, as the float one beside the int8 one
    robustness: Mapping[str, Mapping[str, Result]] = field(default_factory=dict)  # model -> condition -> result
    ferplus: Result | None = None  # of the model against the majority of FER+'s voters
    history: Path | None = None  # history.csv of the run that the model came from
    faces: bool = True  # show, and so store, the most confident mistakes

    @property
    def models(self) -> tuple[Measured, ...]:
        """The model, and the one beside it where there is one."""
        return (self.model, self.beside) if self.beside else (self.model,)


def write(report: Report, path: Path) -> None:
    """Write `report` as one HTML file to `path`, whole or not at all.

    Unless `report.faces` is False the file stores up to 40 faces of the data set: it may be passed on only where the
    data set may.

    Raises FileError when `path` cannot be written, UsageError when `report.history` is no run's history.
    """
    title = f"{report.model.name} on {report.model.result.split}"
    sections = [section for section in _sections(report) if section[1]]
    links = [_tag("a", name, href=f"#{_anchor(name)}") for name, _ in sections]
    main = [_tag("section", _tag("h2", name), *parts, id=_anchor(name)) for name, parts in sections]
    head = _tag(
        "head",
        _tag("meta", charset="utf-8"),
        _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _tag("title", title),
        _tag("style", STYLE),
    )
    body = _tag("body", _tag("h1", title), *_lead(report), _tag("nav", *links), _tag("main", *main))
    page = _tag("html", head, body, lang="en")
    indent(page, "")
    atomic_write(path, f"<!DOCTYPE html>\n{tostring(page, 'unicode', method='html')}\n".encode(errors="replace"))


# --- sections -------------------------------------------------------------------------------------------------------


def _sections(report: Report) -> list[tuple[str, Sequence[Element]]]:
    """Return each section's heading and content; one that there is nothing for has none."""
    result = report.model.result
    return [
        ("Summary", [_summary(report)]),
        ("Classes", [_classes(report), _image(plots.per_class, result, alt=_per_class_in_words(result))]),
        ("Confusion matrix", _confusion(result)),
        ("Confidence", _confidence(report)),
        ("Robustness", _robustness(report)),
        ("Training", _training(report)),
        ("Most confident mistakes", _mistakes(report)),
        ("What these figures do not say", [_limits(report)]),
        ("The model and this page", _about(report)),
    ]


def _lead(report: Report) -> list[Element]:
    result, name = report.model.result, report.model.name
    (low, high), faces = result.interval, result.confusion.sum(axis=1)
    most = int(faces.argmax())
    first = f"{name} names {result.accuracy:.1%} of {result.n:,} faces right (95% interval: {low:.1%} to {high:.1%}). "
    second = f"Always saying {result.names[most]} would be right on {faces[most] / result.n:.1%}."
    where = f"{Path(report.dataset.source).name}, split {result.split}, {len(result.names)} classes"
    return [_tag("p", first + second), _tag("p", where, class_="soft")]


def _summary(report: Report) -> Element:
    labels, models = report.dataset.labels, report.models
    results = [model.result for model in models]
    covered = [calibration.coverage(model.scores, labels).at(report.threshold) for model in models]
    errors = [calibration.reliability(model.scores, labels).error for model in models]
    rows = [
        ("accuracy", *(f"{result.accuracy:.1%}" for result in results)),
        ("95% interval of the accuracy", *(_interval(result) for result in results)),
        ("macro-F1", *(f"{result.macro_f1:.3f}" for result in results)),
        ("negative log likelihood", *(f"{result.loss:.3f}" for result in results)),
        (f"expected calibration error, {calibration.BINS} ranges", *(f"{error:.3f}" for error in errors)),
        (f"faces answered, unsure below {report.threshold:.0%}", *(f"{share:.1%}" for share, _ in covered)),
        ("right answers among those", *(f"{right:.1%}" if share else "none" for share, right in covered)),
    ]
    if report.ferplus:
        found = report.ferplus
        empty = [""] * (len(models) - 1)
        rows.append((f"accuracy by FER+'s majority, {found.n:,} faces", f"{found.accuracy:.1%}", *empty))
        rows.append(("95% interval of that", _interval(found), *empty))
    if report.beside:
        same = report.model.scores.argmax(axis=1) == report.beside.scores.argmax(axis=1)
        rows.append((f"same answer as {report.beside.name}", f"{same.mean():.1%}", ""))
    caption = f"{report.model.result.n:,} faces, one crop each"
    return _table(("figure", *(model.name for model in models)), rows, caption)


def _classes(report: Report) -> Element:
    result, others = report.model.result, report.models[1:]
    head = ["class", "precision", "recall", "F1", *(f"F1 of {other.name}" for other in others), "faces"]
    rows = []
    for number, name in enumerate(result.names):
        own = (result.precision[number], result.recall[number], result.f1[number])
        figures = (*own, *(other.result.f1[number] for other in others))
        faces = result.confusion[number].sum()
        rows.append((name, *(f"{figure:.3f}" for figure in figures), f"{faces:,}", _taken_for(result, number)))
    return _table((*head, "most often taken for"), rows, f"{report.model.name}, class by class")


def _taken_for(result: Result, number: int) -> str:
    wrong = result.confusion[number].copy()
    wrong[number] = 0
    if not wrong.any():
        return "none"
    return f"{result.names[int(wrong.argmax())]} ({wrong.max() / result.confusion[number].sum():.0%})"


def _per_class_in_words(result: Result) -> str:
    return "F1: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(result.names, result.f1, strict=True))


def _confusion(result: Result) -> list[Element]:
    rows = [(name, *map(str, row)) for name, row in zip(result.names, result.confusion.tolist(), strict=True)]
    table = _table(("true \\ predicted", *result.names), rows, "number of faces")
    alt = "Confusion matrix: a row for each true class, a column for each predicted one; its numbers stand below"
    return [_image(plots.confusion, result, alt=alt), _tag("details", _tag("summary", "The numbers alone"), table)]


def _confidence(report: Report) -> list[Element]:
    scores, labels = report.model.scores, report.dataset.labels
    reliability, coverage = calibration.reliability(scores, labels), calibration.coverage(scores, labels)
    error, sure = reliability.error, float(scores.max(axis=1).mean())
    return [
        _tag(
            "p",
            f"The answers are on average {sure:.1%} sure, and {report.model.result.accuracy:.1%} of them are right.",
        ),
        _image(plots.reliability, reliability, alt=f"Reliability diagram, expected calibration error {error:.3f}"),
        _tag("p", "On the dashed line 80% sure means right in 80% of the cases; below it the model is too sure."),
        _image(partial(plots.coverage, threshold=report.threshold), coverage, alt="Right answers over faces answered"),
        _tag("p", f"Each dot is a threshold below which no answer is given; here it is {report.threshold:.0%}."),
    ]


def _robustness(report: Report) -> list[Element]:
    if not report.robustness:
        return []
    name, first = next(iter(report.robustness.items()))
    head = [f"{model}: {what}" for model in report.robustness for what in ("accuracy", "macro-F1")]
    rows = [
        (condition, *(cell for found in report.robustness.values() for cell in _compared(found, condition)))
        for condition in first
    ]
    said = ", ".join(f"{condition} {found.accuracy:.1%}" for condition, found in first.items())
    return [
        _tag("p", "The same faces, each changed as a camera may change it. In brackets: points against the first row."),
        _table(("condition", *head), rows, "accuracy and macro-F1 under each condition"),
        _image(plots.robustness, report.robustness, alt=f"Accuracy of {name}: {said}"),
    ]


def _compared(found: Mapping[str, Result], condition: str) -> tuple[str, str]:
    """Return accuracy, with the points lost against the first condition, and macro-F1."""
    result, first = found[condition], next(iter(found.values()))
    lost = "" if result is first else f" ({100 * (result.accuracy - first.accuracy):+.1f})"
    return f"{result.accuracy:.1%}{lost}", f"{result.macro_f1:.3f}"


def _training(report: Report) -> list[Element]:
    if report.history is None:
        return []
    return [_image(plots.curves, report.history, alt="Loss and accuracy over the epochs, training and validation")]


def _mistakes(report: Report) -> list[Element]:
    if not report.faces:
        return []
    dataset, scores, items = report.dataset, report.model.scores, []
    for row in plots.mistaken(scores, dataset.labels):
        answer = int(scores[row].argmax())
        true, said = dataset.class_names[dataset.labels[row]], dataset.class_names[answer]
        face = _tag("img", src=_data("image/png", _png(dataset.faces[row])), alt=f"face labeled {true}")
        items.append(_tag("li", face, f"{true} \N{RIGHTWARDS ARROW} {said} {scores[row, answer]:.0%}"))
    if not items:
        return [_tag("p", "There is no wrong answer.")]
    note = f"The wrong answers that {report.model.name} was surest of: label \N{RIGHTWARDS ARROW} answer, confidence. "
    note += f"So this page stores {len(items)} faces of {Path(dataset.source).name}; "
    note += "pass it on only where they may be passed on."
    return [_tag("p", note), _tag("ul", *items, class_="faces")]


def _limits(report: Report) -> Element:
    own = [NOISY] if report.dataset.class_names == FER2013_LABELS else []
    texts = (CHOSEN_ON[report.model.result.split], *own, *LIMITS)
    return _tag("ul", *(_tag("li", text) for text in texts))


def _about(report: Report) -> list[Element]:
    table = [_table(("model", report.model.name), list(report.facts.items()), "", "text")] if report.facts else []
    return [*table, _tag("p", "Made by"), _tag("pre", report.command)]


# --- markup ---------------------------------------------------------------------------------------------------------


def _tag(kind: str, /, *content: Element | str, **attributes: str) -> Element:
    """Return an element: texts are escaped when it is written, and it cannot be left open. `class_` means class."""
    element = Element(kind, {name.rstrip("_"): value for name, value in attributes.items()})
    for part in content:
        if isinstance(part, Element):
            element.append(part)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + part
        else:
            element.text = (element.text or "") + part
    return element


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "number") -> Element:
    """Return a table whose first cells are the rows' headers, in a frame that scrolls where it is too wide."""
    top = _tag("tr", *(_tag("th", text, scope="col", class_=kind) for text in head))
    body = [
        _tag("tr", _tag("th", first, scope="row"), *(_tag("td", cell, class_=kind) for cell in rest))
        for first, *rest in rows
    ]
    said = [_tag("caption", caption)] if caption else []
    return _tag("div", _tag("table", *said, _tag("thead", top), _tag("tbody", *body)), class_="wide")


def _image(draw: Callable[..., None], *what: object, alt: str) -> Element:
    """Return a figure of what `draw`, one of trainer.reports.plots, makes of `what`."""
    stream = io.BytesIO()
    draw(*what, stream)
    return _tag("figure", _tag("img", src=_data("image/svg+xml", stream.getvalue()), alt=alt))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _png(face: NDArray[np.uint8]) -> bytes:
    done, content = cv2.imencode(".png", face)
    assert done
    return content.tobytes()


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _interval(result: Result) -> str:
    low, high = result.interval
    return f"{low:.1%} to {high:.1%}"
