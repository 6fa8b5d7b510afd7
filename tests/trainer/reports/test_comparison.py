"""Runs side by side: what was measured of each, as text, Markdown, CSV and an image."""

import csv
import shutil

import cv2
import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support.small import DATA
from trainer.data.dataset import PUBLIC_TEST
from trainer.errors import TrainingError
from trainer.evaluation.metrics import evaluate, load_keras

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]


@pytest.fixture(scope="module")
def runs(run, tmp_path_factory):
    """Two folders of the same run."""
    folder = tmp_path_factory.mktemp("compared")
    return [shutil.copytree(run, folder / name) for name in ("first", "second|b")]


@pytest.fixture(scope="module")
def rows(runs):
    from trainer.evaluation.comparison import compare

    return compare(runs, DATA)


def test_a_row_tells_what_the_run_was_told_and_what_was_measured(rows, runs):
    row = rows[0]
    assert (row.name, row.backbone, row.alpha, row.input_size, row.epochs) == ("first", "tiny", 1.0, 32, 5)
    assert row.parameters == load_keras(runs[0] / "best.keras").count_params()
    assert row.seconds > 0
    before = evaluate(runs[0] / "best.keras", DATA, PUBLIC_TEST)
    assert np.array_equal(row.float_result.confusion, before.confusion)


def test_each_run_gets_its_int8_file(rows, runs):
    for row, folder in zip(rows, runs, strict=True):
        file = folder / "best.tflite"
        assert Classifier(file).card.labels == DATA.class_names
        assert np.array_equal(evaluate(file, DATA, PUBLIC_TEST).confusion, row.int8_result.confusion)


def test_the_same_network_twice_takes_the_same_time_within_the_noise(rows):
    first, second = rows
    assert first.int8_ms > 0
    assert 0.2 < first.int8_ms / second.int8_ms < 5
    assert 0.2 < first.float_ms / second.float_ms < 5


def test_csv_has_a_line_for_each_run_that_a_program_can_read(rows, tmp_path):
    from trainer.evaluation import comparison

    comparison.write(rows, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [line["run"] for line in found] == ["first", "second|b"]
    assert float(found[0]["int8 accuracy"]) == pytest.approx(rows[0].int8_result.accuracy, abs=1e-4)
    assert int(found[0]["parameters"]) == rows[0].parameters


def test_markdown_has_as_many_cells_in_each_line(rows, tmp_path):
    from trainer.evaluation import comparison

    comparison.write(rows, tmp_path / "table.md")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(comparison.HEADER) + 1}


def test_the_image_shows_each_run(rows, tmp_path):
    from trainer.evaluation import comparison

    comparison.write(rows, tmp_path / "table.png")
    assert cv2.imread(str(tmp_path / "table.png")) is not None


def test_a_folder_that_is_no_run_is_named(tmp_path, settings):
    from trainer.evaluation.comparison import compare

    with pytest.raises(TrainingError, match=r"not a run with a finished epoch; name a folder of 'trainer train'$"):
        compare([tmp_path], DATA)
