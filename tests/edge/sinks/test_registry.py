"""A sink is found by its name or by a file's path; what is wrong is told in one line, before anything runs."""

import json
import re
import sys

import pytest

from edge.errors import UnknownNameError, UsageError
from edge.sinks import registry as sinks
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.paths import ROOT

GOOD = """
from edge.types import Run

class Sink:
    def __init__(self, argument, run):
        self.argument, self.run = argument, run
    def __enter__(self):
        return self
    def write(self, seen):
        print("mine", self.argument, seen.frame.index, len(seen.faces), flush=True)
    def __exit__(self, *_):
        print("closed", flush=True)
"""


@pytest.fixture
def own(tmp_path):
    """A function that writes a file of a user's own and returns its path."""

    def write(code: str) -> str:
        path = tmp_path / "my_sink.py"
        path.write_text(code)
        return str(path)

    return write


def test_each_name_is_a_sink_of_its_own_and_making_it_opens_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {"video": ":out.mp4", "csv": ":log", "jsonl": ":out.jsonl"}
    for name in ("console", "csv", "jsonl", "video"):
        assert name in sinks.names()
        assert type(sinks.make(f"{name}{arguments.get(name, '')}")).__module__ == f"edge.sinks.registry.{name}"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_none_lists_those_that_there_are():
    with pytest.raises(UnknownNameError, match=r"no sink 'consle'; there are console, csv, .*ends in \.py"):
        sinks.make("consle")


def test_a_file_of_ones_own_gets_its_argument_and_the_run(own):
    run = RunInfo(labels=("calm", "cross"))
    sink = sinks.make(f"{own(GOOD)}:a:b,c=1", run)
    assert vars(sink) == {"argument": "a:b,c=1", "run": run}


def test_a_file_of_ones_own_is_told_where_it_is(own):
    sink = sinks.make(own("class Sink:\n    def __init__(self, argument, run):\n        self.where = __file__\n"))
    assert vars(sink)["where"].endswith("my_sink.py")


def test_a_file_of_ones_own_may_have_dataclasses_and_the_name_of_any_module(tmp_path):
    path = tmp_path / "json.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass Sink:\n    argument: str\n    run: object\n    reopens: ClassVar[bool] = True\n"
    )
    run = RunInfo()
    assert vars(sinks.make(f"{path}:x", run)) == {"argument": "x", "run": run}
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\nclass Sink(:\n", ":2: is no Python (invalid syntax)"),
        ("a\0b", ": is no Python (source code string cannot contain null bytes)"),
        ("import not_there", ": cannot be loaded (ModuleNotFoundError: No module named 'not_there')"),
        ("1 / 0", ": cannot be loaded (ZeroDivisionError: division by zero)"),
        ("from edge.errors import UsageError\nraise UsageError('led needs gpiozero')", None),
        ("class Sinks: pass", ": no class Sink found, expected one as in edge/sinks"),
        ("Sink = 3", ": no class Sink found"),
    ],
)
def test_what_is_wrong_with_a_file_of_ones_own_is_told_with_its_place(own, code, words):
    path = own(code)
    with pytest.raises(UsageError) as refused:
        sinks.make(path)
    expected = "led needs gpiozero" if words is None else f"{path}{words}"
    assert str(refused.value).startswith(expected)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"none\.py: cannot be read \(No such file or directory\), expected a Python"):
        sinks.make(f"{tmp_path}/none.py:17")


def test_a_run_takes_a_file_of_ones_own_among_the_others(own, portrait_file, tmp_path):
    out = tmp_path / "out.jsonl"
    result = run_edge("run", portrait_file, "-s", f"{own(GOOD)}:hello", "-s", f"jsonl:{out}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "mine hello 0 1\nclosed\n"
    assert len(json.loads(out.read_text())["faces"]) == 1


def test_the_sink_of_the_documentation_works_as_it_stands_there(own):
    page = (ROOT / "docs" / "sinks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    result = run_edge("run", "synthetic", "--max-frames", 3, "-s", f"{own(code)}:hello")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"(hello \[\(1, '\w+'\)\]\n){3}", result.stdout)


def test_a_file_of_ones_own_that_fails_leaves_a_camera_and_the_other_outputs_going(own, tmp_path):
    out = tmp_path / "out.jsonl"
    mine = own(GOOD.replace('print("mine"', '1 / 0, print("mine"'))
    result = run_edge("run", "synthetic", "--max-frames", 5, "-s", mine, "-s", f"jsonl:{out}")
    assert len(out.read_text().splitlines()) == 5
    assert f"{mine}: failed (ZeroDivisionError: division by zero); the run goes on without it" in result.stderr
    assert result.stdout == "closed\n"
    assert result.returncode == 1


def test_the_check_of_a_configuration_names_what_is_wrong_with_a_file_of_ones_own(own, tmp_path):
    (tmp_path / "config.toml").write_text(f"sinks = [{json.dumps(own('x ='))}]\n")
    result = run_edge("config", "--check", tmp_path / "config.toml")
    assert result.returncode == 78
    assert "my_sink.py:1: is no Python (invalid syntax)" in result.stderr
