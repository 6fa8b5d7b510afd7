"""`edge doctor --report FILE` writes the report, shows it, and loses no file."""

import json

import pytest
from typer.testing import CliRunner

from edge.cli import app
from edge.diagnostics.check import Check
from tests.edge.cli.test_errors import assert_refused


@pytest.fixture
def run_doctor(monkeypatch, tmp_path):
    monkeypatch.setattr("edge.diagnostics.doctor.run_checks", lambda *_, **__: [Check("memory", "ok", "enough")])
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["doctor", *arguments])


def test_the_command_shows_what_it_writes(run_doctor, tmp_path):
    result = run_doctor("--report", "report.txt")
    written = (tmp_path / "report.txt").read_text()
    assert result.exit_code == 0
    assert "ok          memory: enough" in written
    assert result.output == f"{written}\nThe text above was written to report.txt. Nothing was sent.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_json_stays_json_beside_a_report(run_doctor, tmp_path):
    result = run_doctor("--report", "report.txt", "--json")
    assert json.loads(result.stdout)["status"] == "ok"
    assert (tmp_path / "report.txt").exists()


def test_a_file_is_replaced_only_with_overwrite(run_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "report.txt"
    path.write_text("old")
    assert_refused(run_here("doctor", "--report", "report.txt"), 2, "--report report.txt: the file exists")
    assert path.read_text() == "old"
    run_here("doctor", "--report", "report.txt", "--overwrite")
    assert path.read_text().startswith("emotion-edge ")


def test_a_report_that_cannot_be_written_is_refused_first(run_here, tmp_path):
    (tmp_path / "file").touch()
    result = run_here("doctor", "--report", tmp_path / "file" / "report.txt")
    assert_refused(result, 1, "report.txt: cannot be written (Not a directory)")


def test_the_configuration_is_never_the_target(run_here, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("threads = 1\n")
    result = run_here("doctor", "--report", path, "--config", path, "--overwrite")
    assert_refused(result, 2, "the target is the configuration")


def test_a_configuration_that_does_not_exist_is_named(run_here, tmp_path):
    result = run_here("doctor", "--report", tmp_path / "report.txt", "--config", "nothing.toml")
    assert_refused(result, 2, "--config nothing.toml: no such file")
    assert not (tmp_path / "report.txt").exists()


def test_options_of_a_report_need_one(run_here):
    assert_refused(run_here("doctor", "--overwrite"), 2, "--report FILE")
