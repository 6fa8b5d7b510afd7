"""Several runs in one table: their measurements as text, Markdown, CSV and a plot."""

import csv
import shutil
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from tests.support.small import DATA
from trainer import cli, keras_file
from trainer.data.dataset import PUBLIC_TEST
from trainer.errors import DataError, TrainingError
from trainer.evaluation.evaluate import evaluate
from trainer.reports.comparison import HEADER, as_csv, compare_files, compare_runs, measure_latencies, write_comparison

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]


@pytest.fixture(scope="module")
def runs(run, tmp_path_factory):
    """Two copies of the folder of one run."""
    folder = tmp_path_factory.mktemp("compared")
    return [shutil.copytree(run, folder / name) for name in ("first", "second|b")]


@pytest.fixture(scope="module")
def compared(runs):
    """The rows of the two runs, the FlatBuffers that were timed, and their latencies."""
    measured: list[tuple[bytes, float]] = []

    def record(contents):
        latencies = measure_latencies(contents)
        measured.extend(zip(contents, latencies, strict=True))
        return latencies

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.reports.comparison.measure_latencies", record)
        rows = compare_runs(runs, DATA)
    return rows, *zip(*measured, strict=True)


@pytest.fixture
def rows(compared):
    return compared[0]


def test_a_row_has_the_settings_and_measurements_of_a_run(rows, runs):
    row = rows[0]
    assert (row.name, row.backbone, row.alpha, row.input_size, row.epochs) == ("first", "tiny", 1.0, 32, 5)
    assert row.cells()[4:6] == ("gap", "all")
    assert row.parameters == keras_file.load(runs[0] / "best.keras").count_params()
    assert row.training_seconds > 0
    evaluation = evaluate(runs[0] / "best.keras", DATA, PUBLIC_TEST)
    assert np.array_equal(row.float_metrics.confusion, evaluation.model.metrics.confusion)


def test_each_run_gets_an_int8_file(rows, runs):
    for row, folder in zip(rows, runs, strict=True):
        file = folder / "best.tflite"
        assert Classifier(file).card.labels == DATA.class_names
        evaluation = evaluate(file, DATA, PUBLIC_TEST)
        assert np.array_equal(evaluation.model.metrics.confusion, row.int8_metrics.confusion)
        assert row.int8_bytes == pytest.approx(file.stat().st_size, abs=200)


def test_each_latency_is_that_of_its_own_model(compared, runs):
    rows, contents, latencies = compared
    assert min(latencies) > 0
    assert latencies == tuple(latency for row in rows for latency in (row.float_ms, row.int8_ms))
    assert contents[1::2] == tuple((folder / "best.tflite").read_bytes() for folder in runs)
    assert all(
        len(float_model) > 2 * len(int8) for float_model, int8 in zip(contents[::2], contents[1::2], strict=True)
    )


def test_csv_has_a_line_per_run_with_plain_numbers(rows, tmp_path):
    write_comparison(rows, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["run"] for line in lines] == ["first", "second|b"]
    assert float(lines[0]["int8 accuracy"]) == pytest.approx(rows[0].int8_metrics.accuracy, abs=1e-4)
    assert int(lines[0]["parameters"]) == rows[0].parameters
    assert int(lines[0]["int8 bytes"]) == rows[0].int8_bytes


def test_a_name_in_csv_is_no_formula(rows):
    line = as_csv([replace(rows[0], name="=1+1,2")]).splitlines()[1]
    assert next(csv.reader([line]))[0] == "'=1+1,2"


def test_markdown_has_the_same_number_of_cells_in_each_line(rows, tmp_path):
    write_comparison(rows, tmp_path / "table.md")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADER) + 1}


def test_any_other_suffix_gives_a_plot(rows, tmp_path):
    write_comparison(rows, tmp_path / "table.png")
    assert cv2.imread(str(tmp_path / "table.png")) is not None


@pytest.mark.parametrize("settings_file", [None, "{}", "[]", "not JSON", '{"settings": {}}'])
def test_a_folder_that_is_not_a_run_is_named(settings_file, tmp_path):
    if settings_file is not None:
        (tmp_path / "settings.json").write_text(settings_file)
    with pytest.raises(TrainingError, match=f"{tmp_path}: not a run with a finished epoch"):
        compare_runs([tmp_path], DATA)


# --- paired difference ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worse(run, tmp_path_factory):
    """The model of the run with its first two outputs exchanged."""
    path = tmp_path_factory.mktemp("worse") / "worse.keras"
    model = keras_file.load(run / "best.keras")
    head = model.get_layer("probabilities")
    head.set_weights([weight[..., [1, 0, 2, 3, 4, 5, 6]] for weight in head.get_weights()])
    metadata = keras_file.load_metadata(run / "best.keras")
    assert metadata
    keras_file.save(model, path, metadata)
    return path


def test_files_are_compared_with_the_first_one_on_the_same_faces(run, worse):
    first, second = compare_files([run / "best.keras", worse], DATA)
    assert (first.difference.better, first.difference.worse, first.difference.p_value) == (0, 0, 1.0)
    assert second.difference.n == 28
    assert second.difference.difference == pytest.approx(second.metrics.accuracy - first.metrics.accuracy)
    assert second.difference.worse >= 6  # of the eight faces of the exchanged classes
    assert second.difference.p_value < 0.05


def test_labels_in_another_order_are_compared_by_name(run, tmp_path):
    metadata = keras_file.load_metadata(run / "best.keras")
    assert metadata
    reverse, some = tmp_path / "reverse.keras", tmp_path / "some.keras"
    model = keras_file.load(run / "best.keras")
    keras_file.save(model, some, replace(metadata, labels=tuple("abcdefg")))
    head = model.get_layer("probabilities")
    head.set_weights([weight[..., ::-1] for weight in head.get_weights()])
    keras_file.save(model, reverse, replace(metadata, labels=metadata.labels[::-1]))
    _, same = compare_files([run / "best.keras", reverse], DATA)
    assert (same.difference.better, same.difference.worse) == (0, 0)
    with pytest.raises(DataError, match=r"some\.keras: the model's labels are a, b"):
        compare_files([run / "best.keras", some], DATA)


def test_command_prints_the_paired_difference_of_files(run, worse, tmp_path, monkeypatch, capsys):
    table = faces.write_csv(tmp_path / "tiny.csv", DATA)
    monkeypatch.setattr(sys, "argv", ["trainer", "compare", str(run / "best.keras"), str(worse), "--data", str(table)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    pair = compare_files([run / "best.keras", worse], DATA)[1].difference
    assert lines[0].split()[:4] == ["PublicTest", "accuracy", "macro-F1", "difference"]
    assert lines[2].split()[-3:] == [str(pair.better), str(pair.worse), f"{pair.p_value:.2g}"]
    assert f"{pair.difference:+.4f}" in lines[2]


def test_model_files_are_not_mixed_with_run_folders(run, worse, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainer", "compare", str(run), str(worse), "--data", "none.csv"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "model files are compared by themselves" in capsys.readouterr().err
