"""What the pages say of the shipped models is what their cards say: a new file of a model makes old figures fail."""

import hashlib
import json
import re

import pytest

from edge.config.models import packaged_model, packaged_models
from edge.inference import model_file
from tests.support.paths import ROOT
from trainer.evaluation.metrics import wilson_interval

SPLIT = "PublicTest"
CARD_PAGE = "models/README.md"
# Pages that have the accuracy of the default model, and those that also have its interval, macro-F1 and size.
PAGES = (
    "README.md",
    CARD_PAGE,
    "docs/figures.md",
    "docs/faq.md",
    "docs/hardware.md",
    "docs/picamera2.md",
    "edge/inference/schedule.py",
)
COMPLETE_PAGES = ("README.md", CARD_PAGE, "docs/figures.md")


def metrics(name):
    return model_file.load(packaged_models()[name])[1].metrics[SPLIT]


def correct(values, key="accuracy"):
    """Return how many faces are right: the card's accuracy has four digits, too few to round it again."""
    return round(values[key] * values["n"])


def percent(values, key="accuracy"):
    return f"{100 * correct(values, key) / values['n']:.1f} %"


def text_of(page):
    """Return the text of a page without the marks of bold type."""
    return (ROOT / page).read_text().replace("**", "")


@pytest.mark.parametrize("page", PAGES)
def test_page_has_the_accuracy_of_the_default_model(page):
    assert percent(metrics("emotion")) in text_of(page)


@pytest.mark.parametrize("page", COMPLETE_PAGES)
def test_page_has_interval_macro_f1_and_size(page):
    content, values = text_of(page), metrics("emotion")
    low, high = wilson_interval(correct(values), values["n"])
    assert f"{100 * low:.1f} to {100 * high:.1f}" in content
    assert f"{values['macro_f1']:.3f}" in content
    assert f"{packaged_model().stat().st_size / 1e6:.2f} MB" in content


@pytest.mark.parametrize("name", packaged_models())
def test_model_has_a_section_with_its_figures(name):
    sections = re.split(r"(?m)^#+ .*?(\w+)\.tflite$", text_of(CARD_PAGE))
    section, values = dict(zip(sections[1::2], sections[2::2], strict=True)).get(name, ""), metrics(name)
    for figure in (percent(values), percent(values, "float_accuracy"), f"{values['macro_f1']:.3f}"):
        assert figure in section


def test_leaderboard_is_that_of_the_default_model():
    peers = json.loads((ROOT / "docs/leaderboard.json").read_text())["peers"]
    (ours,) = [peer for peer in peers if peer["name"] == "ours"]
    assert ours["model_sha256"] == hashlib.sha256(packaged_model().read_bytes()).hexdigest()
    assert round(ours["conditions"]["clean"]["accuracy"], 4) == metrics("emotion")["accuracy"]


# --- figures that the card in the file does not have: every page has those of the card's page -----------------------


def row_of(start):
    """Return the cells of the first table row on the card's page that begins with `start`."""
    line = next(line for line in text_of(CARD_PAGE).splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("page", ["README.md", "docs/figures.md"])
def test_calibration_and_coverage_are_those_of_the_card(page):
    content = text_of(page)
    _, coverage, accuracy = row_of("50 %")
    assert f"coverage {coverage}, selective accuracy {accuracy}" in content
    assert row_of("expected calibration error")[-1] in content


@pytest.mark.parametrize("corruption", ["low light", "blur", "noise", "low resolution"])
@pytest.mark.parametrize("page", ["docs/figures.md", "docs/hardware.md"])
def test_accuracy_on_corrupted_faces_is_that_of_the_card(page, corruption):
    assert row_of(corruption)[1] in text_of(page)


def test_accuracy_on_photographs_is_told_alike():
    pages = ("README.md", "docs/figures.md", "docs/faq.md", "docs/images.md", "docs/prior.md")
    row = next(line for line in text_of(pages[-1]).splitlines() if line.startswith("| everyday, as the device"))
    natural = row.split("|")[4].strip()  # right of all, as collected
    assert [page for page in pages if natural not in text_of(page)] == []
