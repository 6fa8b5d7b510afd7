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
