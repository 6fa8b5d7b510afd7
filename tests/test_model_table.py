"""The table of models by width and input size: trained alike, step by step. See benchmarks/model_table.py."""

from __future__ import annotations

import json

import pytest

from benchmarks import model_table
from benchmarks.model_table import ShippedModel, better_rows
from tests.support import faces
from tests.support.paths import ROOT
from trainer.data.dataset import FER2013_LABELS

DATA = faces.tiny(training=8, public=2, private=1)


def row(width, size, instructions, accuracy=None):
    return {
        "width": width,
        "input_size": size,
        "instructions": {"cortex-a72": instructions, "cortex-a76": instructions // 2},
        "public_test_accuracy": accuracy,
        "trained_from": None,
    }


def test_no_committed_row_beats_a_shipped_model():
    committed = json.loads((ROOT / "docs" / model_table.COSTS).read_text())["models"]
    shipped = model_table.shipped_models(FER2013_LABELS)
    assert "emotion" in [model.name for model in shipped]
    assert better_rows(committed, shipped) == []


def test_a_row_that_is_cheaper_and_more_accurate_is_named():
    rows = [row(1.0, 128, 400, 0.5), row(1.0, 64, 100, 0.4), row(0.5, 128, 150, 0.6), row(0.35, 64, 50)]
    assert better_rows(rows, [ShippedModel("emotion", 128, 0.7)]) == []
    assert better_rows(rows, [ShippedModel("emotion", 128, 0.55), ShippedModel("fast", 64, 0.3)]) == [
        "width 0.5 at 128 px (60.0%) than emotion (55.0%)"
    ]
    assert better_rows([*rows, row(0.75, 64, 90, 0.31)], [ShippedModel("fast", 64, 0.3)]) == [
        "width 0.75 at 64 px (31.0%) than fast (30.0%)"
    ]


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute where nothing else runs
def test_the_table_is_trained_step_by_step(tmp_path, monkeypatch, capsys):
    from pi_vm import tables

    from trainer.errors import TrainingError
    from trainer.networks import model as network
    from trainer.training.loop import build_model
    from trainer.training.settings import TrainingSettings

    teacher = tmp_path / "teacher.keras"
    build_model(
        TrainingSettings(backbone="small_cnn", alpha=0.25, weights="none", input_size=32, ferplus_weight=0), 7
    ).save(teacher)
    docs = tmp_path / "docs"
    docs.mkdir()
    content = {"models": [row(0.25, 64, 200), row(0.25, 32, 100)]}
    (docs / model_table.COSTS).write_text(json.dumps(content))
    (docs / model_table.DOCUMENT).write_text(f"Before.\n\n{tables.models(content)}\n\nAfter.\n")
    folder = tmp_path / "runs"
    options = ["--teacher", str(teacher), "--backbone", "small_cnn", "--batch-size", "16", "--run-dir", str(folder)]
    command = ["--data", str(faces.write_csv(tmp_path / "fer2013.csv", DATA)), "--docs", str(docs), *options]
    command += ["--epochs", "2"]
    monkeypatch.setattr(model_table, "shipped_models", lambda _: [])

    load_weights = network.load_weights

    def load_once(*arguments):
        load_weights(*arguments)
        stopped.setattr(network, "load_weights", fail)

    def fail(*_):
        raise TrainingError("stopped")

    with monkeypatch.context() as stopped:  # after the width, before the first row
        stopped.setattr(network, "load_weights", load_once)
        with pytest.raises(SystemExit, match=r"^model_table: error: stopped; give the same command again to go on$"):
            model_table.main(command)
    assert {path.name for path in folder.iterdir()} == {"teacher", "width-0.25"}
    first = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    model_table.main(command)
    assert {
        path: path.stat().st_mtime_ns for path in first
    } == first  # neither the predictions nor the width were made again
    rows = json.loads((docs / model_table.COSTS).read_text())["models"]
    assert [each["trained_from"] for each in rows] == [
        "teacher.keras, 2 epochs at 64 px, 1 at 64",
        "teacher.keras, 2 epochs at 64 px, 1 at 32",
    ]
    assert all(0 <= each["public_test_accuracy"] <= 1 and each["epochs"] == 3 for each in rows)
    assert (docs / model_table.DOCUMENT).read_text() == f"Before.\n\n{tables.models({'models': rows})}\n\nAfter.\n"
    output = capsys.readouterr().out
    assert "row 2 of 2: width 0.25, 32 px: " in output
    assert tables.models({"models": rows}) in output

    complete = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    monkeypatch.setattr(model_table, "shipped_models", lambda _: [ShippedModel("tiny", 64, -1.0)])
    monkeypatch.setattr(model_table, "SHIPPED_WIDTH", 0.25)
    with pytest.raises(SystemExit, match=r"width 0\.25 at 32 px .* than tiny"):
        model_table.main(command)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == complete
