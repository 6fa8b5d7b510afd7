"""A sink is found by its name or by the path of a file; an error is reported in one line, before anything runs."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from edge.errors import SinkError, UnknownNameError, UsageError
from edge.sinks import registry
from edge.sinks.group import SinkGroup
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import frame_result
from tests.support.paths import ROOT

VALID_SINK = """
from edge.types import RunInfo

class Sink:
    def __init__(self, argument, run):
        self.argument, self.run = argument, run
    def __enter__(self):
        return self
    def write(self, result):
        print("mine", self.argument, result.frame.index, len(result.faces), flush=True)
    def __exit__(self, *_):
        print("closed", flush=True)
"""
METHODS = """
class Methods:
    def __enter__(self): return self
    def write(self, result): pass
    def __exit__(self, *_): pass

"""
INIT = "\n def __init__(self, argument, run):"
OPTIONAL_SINKS = ("mqtt", "web", "window")  # need libraries of their extras


@pytest.fixture
def write_sink(tmp_path):
    """Return a function that writes the file of a user's own sink and returns its path."""

    def write(code: str) -> str:
        path = tmp_path / "my_sink.py"
        path.write_text(code)
        return str(path)

    return write


def test_each_module_is_a_sink_or_a_support_module():
    folder = Path(registry.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {*registry.names(), *registry.SUPPORT_MODULES} == modules - {"__init__"}
    for name in modules - {"__init__", "registry", *OPTIONAL_SINKS}:
        has_sink = hasattr(importlib.import_module(f"edge.sinks.{name}"), "Sink") and name != "group"
        assert has_sink == (name in registry.names()), f"{name}: a support module is missing in SUPPORT_MODULES"


@pytest.mark.parametrize("spec", ["console", "daylog:log", "jsonl:out.jsonl", "video:out.mp4"])
def test_making_a_sink_opens_nothing(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sink = registry.find(spec)(RunInfo())
    assert type(sink).__module__ == f"edge.sinks.{spec.partition(':')[0]}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["consle", "background_writer", "registry"])
def test_an_unknown_name_lists_the_sinks(name):
    with pytest.raises(UnknownNameError) as caught:
        registry.find(name)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in registry.names())


def test_a_file_gets_its_argument_and_the_run(write_sink):
    run = RunInfo(labels=("calm", "cross"))
    sink = registry.find(f"{write_sink(VALID_SINK)}:a:b,c=1")(run)
    assert vars(sink) == {"argument": "a:b,c=1", "run": run}


def test_a_file_knows_its_path(write_sink):
    code = f"{METHODS}class Sink(Methods):\n    def __init__(self, argument, run):\n        self.path = __file__\n"
    path = write_sink(code)
    assert vars(registry.find(path)(RunInfo())) == {"path": path}


def test_a_file_may_have_dataclasses_and_any_module_s_name(tmp_path):
    path = tmp_path / "json.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
        f"{METHODS}@dataclass\nclass Sink(Methods):\n"
        "    argument: str\n    run: object\n    reopens: ClassVar[bool] = True\n"
    )
    run = RunInfo()
    assert vars(registry.find(f"{path}:x")(run)) == {"argument": "x", "run": run}
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\nclass Sink(:\n", ":2: not valid Python (invalid syntax)"),
        ("a\0b", ": not valid Python (source code string cannot contain null bytes)"),
        ("import not_there", ": cannot be loaded (ModuleNotFoundError: No module named 'not_there')"),
        ("1 / 0", ": cannot be loaded (ZeroDivisionError: division by zero)"),
        ("from edge.errors import UsageError\nraise UsageError('led needs gpiozero')", None),
        ("class Sinks: pass", ": no class Sink found"),
        ("Sink = 3", ": no class Sink found"),
        ("class Sink: pass", ": Sink(argument, run) cannot be called (too many positional arguments)"),
        (
            f"class Sink:{INIT} pass\n def write(self, result): pass",
            ": the class Sink has no __enter__, __exit__; examples/",
        ),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(write_sink, code, words):
    path = write_sink(code)
    with pytest.raises(UsageError) as caught:
        registry.find(path)
    assert str(caught.value).startswith("led needs gpiozero" if words is None else f"{path}{words}")
    assert "\n" not in str(caught.value)


def test_a_program_that_ends_itself_is_no_sink(write_sink):
    path = write_sink("import sys\nsys.exit('usage: my_sink FILE')")
    with pytest.raises(UsageError, match=r"cannot be loaded \(SystemExit: usage: my_sink FILE\)"):
        registry.find(path)


@pytest.mark.parametrize("call", ["Sink(argument, run)", "__enter__", "write", "__exit__"])
def test_an_unexpected_error_of_a_file_names_its_line(write_sink, call):
    path = write_sink(
        "class Sink:\n"
        " def __init__(self, argument, run):\n"
        "  self.fail_at = argument; self.check('Sink(argument, run)')\n"
        " def __enter__(self): self.check('__enter__'); return self\n"
        " def write(self, result): self.check('write')\n"
        " def __exit__(self, *_): self.check('__exit__')\n"
        " def check(self, call):\n"
        "  if call == self.fail_at: int('x')\n"
    )
    spec = f"{path}:{call}"

    def run():
        with SinkGroup({spec: registry.find(spec)(RunInfo())}, live=False) as group:
            group.write(frame_result())

    with pytest.raises(SinkError) as caught:
        run()
    assert str(caught.value).startswith(f"{path}:8: {call} raised ValueError: invalid literal")


def test_what_a_file_raises_on_purpose_is_kept(write_sink):
    path = write_sink(
        f"from edge.errors import UsageError\n{METHODS}class Sink(Methods):{INIT} raise UsageError('pin?')"
    )
    with pytest.raises(UsageError, match=r"^pin\?$"):
        registry.find(path)(RunInfo())


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"none\.py: cannot be read \(No such file or directory\)"):
        registry.find(f"{tmp_path}/none.py:17")


def test_a_run_takes_a_file_among_other_sinks(write_sink, portrait_file, tmp_path):
    out = tmp_path / "out.jsonl"
    result = run_edge("run", portrait_file, "-s", f"{write_sink(VALID_SINK)}:hello", "-s", f"jsonl:{out}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "mine hello 0 1\nclosed\n"
    assert len(json.loads(out.read_text())["faces"]) == 1


def test_the_sink_of_the_documentation_works(write_sink):
    page = (ROOT / "docs" / "sinks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    result = run_edge("run", "synthetic", "--max-frames", 3, "-s", f"{write_sink(code)}:hello")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"(hello \[\(1, ('\w+'|None)\)\]\n){3}", result.stdout)


def test_a_live_run_continues_when_a_file_s_sink_fails(write_sink, tmp_path):
    out = tmp_path / "out.jsonl"
    mine = write_sink(VALID_SINK.replace('print("mine"', '1 / 0, print("mine"'))
    result = run_edge("run", "synthetic", "--max-frames", 5, "-s", mine, "-s", f"jsonl:{out}")
    assert len(out.read_text().splitlines()) == 5
    line = 1 + VALID_SINK.partition('print("mine"')[0].count("\n")
    when_it_happens, at_the_end = result.stderr.splitlines()
    error = f"edge: error: {mine}:{line}: write raised ZeroDivisionError: division by zero"
    assert when_it_happens.startswith(f"{error}; the run continues without it")
    assert at_the_end == error
    assert result.stdout == "closed\n"
    assert result.returncode == 1


def test_the_configuration_check_reports_a_broken_file(write_sink, tmp_path):
    (tmp_path / "config.toml").write_text(f"sinks = [{json.dumps(write_sink('x ='))}]\n")
    result = run_edge("config", "--check", tmp_path / "config.toml")
    assert result.returncode == 78
    assert "my_sink.py:1: not valid Python" in result.stderr
