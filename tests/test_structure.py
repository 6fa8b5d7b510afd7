"""Limits on the structure of the code: few one-use helpers, short test names, few private accesses in tests."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from benchmarks.structure import PACKAGES, functions, one_use_helpers, source_files
from tests.support.paths import ROOT

MAX_ONE_USE_FRACTION = 0.12  # rich, tornado and Pillow have 0.03 to 0.04, pytest 0.09
MAX_TEST_NAME_LENGTH = 60  # characters
MAX_PRIVATE_ACCESSES = 40


def test_at_most_12_percent_of_functions_are_one_use_helpers():
    files = source_files(ROOT, PACKAGES)
    helpers, total = one_use_helpers(files), len(functions(files))
    listed = ", ".join(f"{helper.path.relative_to(ROOT)}: {helper.name}" for helper in helpers)
    assert len(helpers) <= MAX_ONE_USE_FRACTION * total, f"{len(helpers)} of {total}: {listed}"


def test_test_names_have_at_most_60_characters():
    tests = [function for function in functions(source_files(ROOT, ["tests"])) if function.name.startswith("test_")]
    assert tests
    long = [f"{test.path.relative_to(ROOT)}: {test.name}" for test in tests if len(test.name) > MAX_TEST_NAME_LENGTH]
    assert long == []


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
def test_tests_access_at_most_40_private_attributes():
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--ignore-noqa", "--select", "SLF001"]
    output = subprocess.run(
        [*command, "--output-format", "json", ROOT / "tests"], capture_output=True, text=True, check=False
    ).stdout
    found = [f"{each['filename']}:{each['location']['row']}" for each in json.loads(output)]
    assert len(found) <= MAX_PRIVATE_ACCESSES, found


@pytest.mark.parametrize(("code", "expected"), [("_a()", ["_a"]), ("_a()\n_a()", []), ("", ["_a"])])
def test_a_private_function_named_once_is_a_one_use_helper(tmp_path, code, expected):
    path = tmp_path / "module.py"
    path.write_text(f"def _a(): pass\ndef b(): pass\ndef __c(): pass\n{code}\n")
    assert [helper.name for helper in one_use_helpers([path])] == expected
