"""docs/troubleshooting.md has an entry for each check of `edge doctor` and each error class, and for nothing else.

The program links to it: each link leads to its entry.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from typing import Any

import pytest

import edge.errors
import trainer.errors
from edge.errors import EmotionEdgeError
from edge.system import troubleshooting
from tests.support.markdown import anchors, sections
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
MAKERS = {"Check", "_check_minimum"}  # the calls that make a line of `edge doctor`; the name comes first
CAMERA = troubleshooting.CAMERA_ENTRY  # stands for every camera, whose check has the name of its device file
OTHER = "OSError"  # the entry of errors that are not ours
PROBLEMS = {"warning", "error"}


def strings(node):
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def checks():
    """Return the name of each check and the statuses with a problem that its code can give."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "edge" / "diagnostics").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", None) not in MAKERS:
                continue
            name: Any = call.args[0]
            if isinstance(name, ast.Call):  # str(node.path)
                found[CAMERA] |= strings(call.args[1]) & PROBLEMS
            elif isinstance(name, ast.Constant):
                makes_both = len(call.args) > 5  # _check_minimum(name, value, warning_below, error_below, ...)
                found[str(name.value)] |= PROBLEMS if makes_both else strings(call.args[1]) & PROBLEMS
    return dict(found)


def error_classes():
    members = [member for module in (edge.errors, trainer.errors) for member in vars(module).values()]
    return {
        member.__name__: member
        for member in members
        if inspect.isclass(member) and issubclass(member, EmotionEdgeError)
    }


CHECKS, ERRORS, ENTRIES = checks(), error_classes(), sections(PAGE.read_text(), 3)


def test_the_code_has_the_checks_and_errors_that_are_compared():
    assert {"python", "model", "throttling", "memory", CAMERA} <= CHECKS.keys()
    assert CHECKS["throttling"] == PROBLEMS
    assert {"EmotionEdgeError", "CameraError", "DataError"} <= ERRORS.keys()


def test_each_check_and_error_has_an_entry_and_no_other_exists():
    assert sorted(ENTRIES) == sorted([*CHECKS, *ERRORS, OTHER])


@pytest.mark.parametrize("name", [*CHECKS, *ERRORS, OTHER, "/dev/video12"])
def test_each_link_of_the_program_leads_to_an_entry(name):
    page, _, anchor = troubleshooting.link(name).partition("#")
    assert ROOT / page == PAGE
    assert anchor in anchors(PAGE.read_text())


@pytest.mark.parametrize("name", CHECKS)
def test_the_entry_of_a_check_has_its_statuses(name):
    assert set(re.findall(r"^\| `(\w+)`", ENTRIES[name], re.MULTILINE)) == CHECKS[name]


@pytest.mark.parametrize("name", [name for name, error in ERRORS.items() if error is not EmotionEdgeError])
def test_the_entry_of_an_error_has_its_exit_status(name):
    assert re.match(rf"Exit status {ERRORS[name].exit_status}\b", ENTRIES[name].strip())
