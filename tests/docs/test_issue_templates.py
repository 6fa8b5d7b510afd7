"""The issue forms are valid for GitHub, and the one for bugs asks for the report of `edge doctor`."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_commands import parse
from tests.support.paths import ROOT

yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
# https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema
TYPES = {"markdown": {"value"}, "textarea": {"label"}, "input": {"label"}}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_the_keys_that_github_requires(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels", "title"}
    for element in form["body"]:
        assert TYPES[element["type"]] <= set(element["attributes"])
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len({*ids}) == len(ids)


def test_a_bug_needs_the_report_and_its_command_exists():
    body = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())["body"]
    (report,) = [element for element in body if element.get("id") == "report"]
    assert report["validations"]["required"]
    commands = re.findall(r"`(?:sudo )?(?:/\S+/)?(edge doctor [^`]+)`", report["attributes"]["description"])
    assert len(commands) == 2
    for command in commands:
        parse(*command.split())


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_files_that_a_form_names_exist(path):
    named = re.findall(r"\b(?:docs/)?[\w-]+\.md\b", path.read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
